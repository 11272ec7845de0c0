"""Ids that are always the same for the same thing."""

from __future__ import annotations

import base64
import hashlib


def sha(*parts: object) -> str:
    """A commit id."""
    return hashlib.sha1("/".join(str(part) for part in parts).encode(), usedforsecurity=False).hexdigest()


def node_id(prefix: str, *parts: object) -> str:
    """A global node id: the prefix of the type, and something opaque."""
    return f"{prefix}_{base64.urlsafe_b64encode(bytes.fromhex(sha(*parts))[:9]).decode()}"
