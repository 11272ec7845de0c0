"""Tables of a run cut into files another way than by evidence item: written, and read back in the order of the items."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from compliancectl.model.lake import ITEM
from compliancectl.model.table import Table
from compliancectl.query.content import parquet
from compliancectl.query.rows import full_disk
from compliancectl.query.syntax import quote, text_literal

_MEMORY = "1GB"


def write_part(files: Sequence[Path], evidence: Path, out: Path) -> None:
    """Put the files of several evidence items into one, each row with the item that its file's folder names.

    Args:
        files: Parquet files of one table, in the order in which their rows shall lie.
        evidence: the folder that the items' folders are in, as their ids name them.
        out: the file to write.
    """
    root = len(f"{evidence.resolve()}/") + 1
    source = parquet(files).removesuffix(")") + f", filename = {text_literal(ITEM)})"
    item = f"regexp_replace(substr({ITEM}, {root}), '/[^/]*$', '')"
    _copy(f"SELECT * REPLACE ({item} AS {ITEM}) FROM {source}", out)


def in_order(table: Table, files: Sequence[Path], scratch: Path) -> list[Path]:
    """The files, if their rows lie as those of a run's own files do: by item, then by key; otherwise a copy that does.

    Results must not depend on how somebody else ordered the rows, and SQL may.
    """
    import duckdb

    order = ", ".join((ITEM, *(quote(name) for name in table.key)))
    with full_disk(), duckdb.connect() as db:
        found = db.execute(
            f"SELECT count(*) FROM (SELECT row({order}) AS now, lag(row({order})) OVER () AS before "
            f"FROM {parquet(files)}) WHERE now < before"
        ).fetchone()
    if found == (0,):
        return list(files)
    copy = scratch / f"{table.name}.parquet"
    _copy(f"SELECT * FROM {parquet(files)} ORDER BY {order}", copy)
    return [copy]


def _copy(sql: str, out: Path) -> None:
    import duckdb

    with (
        full_disk(),
        tempfile.TemporaryDirectory(prefix="compliancectl-part-") as spill,
        # One thread: rows lie in the file as they were read.
        duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY, "temp_directory": spill}) as db,
    ):
        db.execute(f"COPY ({sql}) TO {text_literal(str(out))} (FORMAT parquet, COMPRESSION zstd)")
