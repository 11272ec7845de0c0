"""Which engine answers."""

from __future__ import annotations


def engine_version() -> str:
    """`duckdb 2.0.0`."""
    import duckdb

    return f"duckdb {duckdb.__version__}"
