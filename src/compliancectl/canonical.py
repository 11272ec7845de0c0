"""Canonical bytes and digests: RFC 8785 JSON and SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any


def to_bytes(value: Any) -> bytes:
    """Serialise JSON-ready data (no floats in our formats, integers below 2^53) as RFC 8785 bytes."""
    import rfc8785

    return rfc8785.dumps(value)


def write(value: Any, stream: IO[bytes]) -> None:
    """The same bytes as `to_bytes`, written as they arise: of much, no second copy is held."""
    import rfc8785

    rfc8785.dump(value, stream)


def to_lines(values: Iterable[Any]) -> bytes:
    """One RFC 8785 object a line, each ended by a line feed."""
    return b"".join(to_bytes(value) + b"\n" for value in values)


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes in lower-case hexadecimal, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
