"""Writing rows: checked JSON lines in, one Parquet file with declared types out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.model.table import Table

if TYPE_CHECKING:
    import duckdb

MIN_BUFFER = 1 << 20
SMALL = 1 << 20
"""Rows of at most so many bytes need no spill files."""


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
    columns = ", ".join(f"'{c.name}': '{c.type.sql}'" for c in table)
    key = ", ".join(f'"{name}"' for name in table.key)
    readable = " || ' ' || ".join(f"coalesce(\"{name}\"::VARCHAR, '-')" for name in table.key)
    with _engine(lines, scratch) as db:
        db.execute(
            f"CREATE TEMP TABLE row_in AS SELECT * FROM read_json($1, format = 'newline_delimited', "
            f"columns = {{{columns}}}, maximum_object_size = {max(longest, MIN_BUFFER)})",
            [str(lines)],
        )
        doubles = db.execute(f"SELECT {readable} FROM row_in GROUP BY {key} HAVING count(*) > 1 ORDER BY 1").fetchall()
        unique = f"QUALIFY count(*) OVER (PARTITION BY {key}) = 1" if doubles else ""
        db.execute(
            f"COPY (SELECT * FROM row_in {unique} ORDER BY {key}) TO '{_quoted(out)}' (FORMAT parquet, COMPRESSION zstd)"
        )
        total = db.execute(f"SELECT count(*) FROM read_parquet('{_quoted(out)}')").fetchone()
    assert total is not None
    return int(total[0]), [row[0] for row in doubles]


def read_rows(file: Path) -> list[dict[str, object]]:
    """All rows of a Parquet file as dictionaries, in file order; for small tables and for people."""
    import duckdb

    with duckdb.connect() as db:
        cursor = db.execute(f"SELECT * FROM read_parquet('{_quoted(file)}')")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def _engine(lines: Path, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own for one table.

    A database costs far more to open than a small table to write, so small tables share one; its connections have
    their temporary tables to themselves. A large table may have to spill, so it gets a database beside its scratch.
    """
    import duckdb

    if lines.stat().st_size <= SMALL:
        with _shared().cursor() as connection:
            yield connection
    else:
        with duckdb.connect(config={**_SETTINGS, "temp_directory": str(scratch)}) as connection:
            yield connection


@cache
def _shared() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={**_SETTINGS, "temp_directory": ""})


# One thread: the order of rows and row groups, and so the bytes, do not depend on the machine.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": "512MB"}


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
