"""A run's tables on object storage: the names in the paths and columns, and what is recorded of a run."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from compliancectl.model.base import Instant, Model, Wire

ITEM = "evidence_item"
"""The column that says which evidence item a row came from. No collector's table has a column that begins so."""

Source = Path | str
"""A Parquet file on this machine, or the address of one that an engine reads where it lies."""


class LakeTable(Model):
    """What a run gave to one table."""

    rows: int
    items: int
    """Evidence items that gave rows, or could have."""


class LakeRun(Wire):
    """`runs/<run>.json`: that all tables and replies of a run are there. It is written last, and follows from the run."""

    version: int = Field(1, ge=1, le=1)
    run_id: str
    run_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of `run.json`, which has the digest of every evidence item."""
    organization: str
    system: str
    environment: str
    finished_at: Instant
    replies: int
    tables: dict[str, LakeTable]
