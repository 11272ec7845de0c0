"""Writing rows: checked JSON lines in, one Parquet file with declared types out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.model.table import Table

if TYPE_CHECKING:
    import duckdb

MIN_BUFFER = 1 << 20
SMALL = 1 << 20
"""Rows of at most so many bytes are sorted in memory."""
ROW_GROUP = 20_480
MEMORY_LIMITS = ("80MB", "128MB", "512MB", "2GB")
"""Tried in turn: nearly every table fits the first by spilling to disk; one with very long rows needs more."""


def write_parquet(table: Table, lines: Path, out: Path, scratch: Path, *, longest: int) -> tuple[int, list[str]]:
    """Turn JSON lines that keep the table's contract into a Parquet file, sorted by key.

    Rows that share a key are left out, because nobody can say which of them is so.

    Args:
        table: declares columns, types and key.
        lines: the rows, one JSON object a line with every column, times in UTC.
        out: the Parquet file to write.
        scratch: folder for DuckDB's spill files.
        longest: length of the longest line in bytes; DuckDB's buffers are made to hold it.

    Returns:
        The number of rows written, and the keys that occurred more than once, sorted.
    """
    import duckdb

    unsorted, buffer = scratch / f"{table.name}.unsorted", max(longest, MIN_BUFFER)
    if lines.stat().st_size <= SMALL:
        with _shared().cursor() as db:
            return _write(db, table, lines, out, unsorted, buffer)
    for limit in MEMORY_LIMITS:
        try:
            with duckdb.connect(config=_settings(limit, str(scratch))) as db:
                return _write(db, table, lines, out, unsorted, buffer)
        except duckdb.OutOfMemoryException:
            if limit == MEMORY_LIMITS[-1]:
                raise
    raise AssertionError("unreachable")


@cache
def _shared() -> duckdb.DuckDBPyConnection:
    """One database for all small tables: it costs far more to open one than to write them."""
    import duckdb

    return duckdb.connect(config=_settings("512MB", ""))


def _write(
    db: duckdb.DuckDBPyConnection, table: Table, lines: Path, out: Path, unsorted: Path, buffer: int
) -> tuple[int, list[str]]:
    """Read, sort and look for double keys, each step in little memory.

    Reading and sorting in one statement would hold every row: DuckDB spills what it sorts out of a Parquet file, but
    not what it sorts out of JSON. Sorted rows have equal keys side by side, so that one look back finds them.
    """
    columns = ", ".join(f"'{c.name}': '{c.type.sql}'" for c in table)
    key = ", ".join(f'"{name}"' for name in table.key)
    form = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
    db.execute(
        f"COPY (SELECT * FROM read_json($1, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {buffer})) TO '{_quoted(unsorted)}' {form}",
        [str(lines)],
    )
    rows = f"read_parquet('{_quoted(unsorted)}')"
    db.execute(f"COPY (SELECT * FROM {rows} ORDER BY {key}) TO '{_quoted(out)}' {form}")
    doubles = _doubles(db, table, out)
    if doubles:
        unique = f"SELECT * FROM {rows} QUALIFY count(*) OVER (PARTITION BY {key}) = 1 ORDER BY {key}"
        db.execute(f"COPY ({unique}) TO '{_quoted(out)}' {form}")
    total = db.execute(f"SELECT count(*) FROM read_parquet('{_quoted(out)}')").fetchone()
    assert total is not None
    return int(total[0]), doubles


def _doubles(db: duckdb.DuckDBPyConnection, table: Table, file: Path) -> list[str]:
    """The keys that occur more than once in a sorted file, as text, sorted."""
    readable = " || ' ' || ".join(f"coalesce(\"{name}\"::VARCHAR, '-')" for name in table.key)
    keys = ", ".join(
        f'"{name}" AS k{number}, lag("{name}") OVER () AS b{number}' for number, name in enumerate(table.key)
    )
    same = " AND ".join(f"k{number} IS NOT DISTINCT FROM b{number}" for number in range(len(table.key)))
    found = db.execute(
        f"SELECT DISTINCT shown FROM (SELECT {readable} AS shown, {keys}, row_number() OVER () AS place "
        f"FROM read_parquet('{_quoted(file)}')) WHERE place > 1 AND {same} ORDER BY 1"
    ).fetchall()
    return [row[0] for row in found]


def read_rows(file: Path) -> list[dict[str, object]]:
    """All rows of a Parquet file as dictionaries, in file order; for small tables and for people."""
    import duckdb

    with duckdb.connect() as db:
        cursor = db.execute(f"SELECT * FROM read_parquet('{_quoted(file)}')")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _settings(limit: str, spill: str) -> dict[str, str | bool | int | float | list[str]]:
    # One thread: the order of rows and row groups, and so the bytes, do not depend on the machine.
    return {"threads": 1, "memory_limit": limit, "temp_directory": spill}


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
