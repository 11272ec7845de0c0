"""The small records of a depot: what a bundle is and until when it is kept, holds, and what is left of a purged one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compliancectl.model.base import Instant, Wire


class Kept(Wire):
    """`record.json`: one bundle."""

    version: Literal[1] = 1
    run_id: str
    organization: str
    system: str
    environment: str
    statement_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    archive_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int
    stored_at: Instant
    stored_by: str
    retain_until: Instant
    """It is not purged before this instant."""


class Hold(Wire):
    """`hold-….json` or `release-….json`: that a bundle is kept for a reason, or no longer."""

    version: Literal[1] = 1
    at: Instant
    by: str
    reason: str = Field(min_length=1)


class Tombstone(Wire):
    """`tombstone.json`: that a bundle was purged. Its digests let a copy be recognised."""

    version: Literal[1] = 1
    run_id: str
    statement_sha256: str
    archive_sha256: str
    at: Instant
    by: str
    reason: str = Field(min_length=1)
