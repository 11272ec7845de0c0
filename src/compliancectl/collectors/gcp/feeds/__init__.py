"""What is fetched from Google Cloud, one module per service."""
