"""`python -m compliancectl`."""

from compliancectl.cli import main

if __name__ == "__main__":
    main()
