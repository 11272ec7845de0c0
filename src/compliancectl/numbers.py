"""Numbers of things, in words."""

from __future__ import annotations


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """`1 item`, `0 items`, `3,400 items`, `2 weaknesses`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"
