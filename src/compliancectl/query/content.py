"""The digest of what a table says, whatever files it is cut into and whoever wrote them.

    row      the columns by name, each written so that no two values of its kind are written alike; then SHA-256
    group    the rows' digests in hexadecimal that begin with the same two letters, sorted, one after another; SHA-256
    table    the columns with their kinds, then each group with its count; SHA-256

Neither the order of rows and columns, nor files, row groups, compression or writer count; a row that is missing, added,
doubled or changed does. Here are two ways to the same digest: of the lines that a collector gives, for the thousands of
small tables of a run, and of Parquet files by DuckDB, for tables of any size. docs/decisions/0007 has the form in full.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.model.table import ListOf, Struct, Table, Type
from compliancectl.query.syntax import quote, text_literal

if TYPE_CHECKING:
    import duckdb

FORM = "compliancectl-content-v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FETCH = 5_000
_MEMORY = "1GB"
_KINDS = {"VARCHAR": "text", "BOOLEAN": "boolean", "BIGINT": "integer", "TIMESTAMP": "instant", "DATE": "date"}
_OF_DUCKDB = {
    "varchar": "text",
    "boolean": "boolean",
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"), "integer"),
    **dict.fromkeys(("ubigint", "hugeint"), "integer"),
    **dict.fromkeys(("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"), "instant"),
    "timestamp with time zone": "instant",
    "date": "date",
}
"""How DuckDB's client names a type → kind. Another writer may have chosen other widths for the same values."""


class NoDigest(Exception):
    """Files that cannot be read as evidence; the sentence says why."""


@dataclass(frozen=True)
class Content:
    """What some rows say."""

    sha256: str
    rows: int


Group = tuple[str, int, str]
"""The two letters that digests of rows begin with, how many do, and the group's digest."""


# -- the form ---------------------------------------------------------------------------------------------------------


def _total(columns: Iterable[tuple[str, str]], digests: Iterable[str]) -> Content:
    """The digest of a table, from its columns (name, kind) and the sorted digests of its rows."""
    return _of_groups(columns, _groups(digests))


def _groups(digests: Iterable[str]) -> Iterator[Group]:
    for start, group in groupby(digests, key=lambda digest: digest[:2]):
        inner, count = hashlib.sha256(), 0
        for digest in group:
            inner.update(digest.encode())
            count += 1
        yield start, count, inner.hexdigest()


def _of_groups(columns: Iterable[tuple[str, str]], groups: Iterable[Group]) -> Content:
    found = hashlib.sha256(f"{FORM}\n".encode())
    for name, kind in sorted(columns):
        found.update(f"{name} {kind}\n".encode())
    rows = 0
    for start, count, digest in groups:
        found.update(f"{start} {count} {digest}\n".encode())
        rows += count
    return Content(found.hexdigest(), rows)


def of_groups(table: Table, groups: Iterable[Group]) -> Content:
    """The content of rows of exactly a table's declared columns, from groups that somebody else made, in any order."""
    return _of_groups(((name, _kind(kind)) for name, kind in columns_of(table)), sorted(groups))


def columns_of(table: Table) -> list[tuple[str, Type]]:
    """A table's columns in the order in which a row is written."""
    return sorted((column.name, column.type) for column in table.columns)


def _kind(kind: Type) -> str:
    if isinstance(kind, ListOf):
        return f"list({_kind(kind.item)})"
    if isinstance(kind, Struct):
        return f"struct({', '.join(f'{name} {_kind(inner)}' for name, inner in sorted(kind.fields))})"
    return _KINDS[kind.sql]


# -- of lines ---------------------------------------------------------------------------------------------------------


def of_lines(table: Table, lines: Iterable[bytes]) -> Content:
    """The content of rows as a collector gives them: JSON lines that keep the table's contract. All in memory."""
    columns = columns_of(table)
    digests = []
    for line in lines:
        row = json.loads(line)
        text = "".join(_written(row[name], kind) for name, kind in columns)
        digests.append(hashlib.sha256(text.encode()).hexdigest())
    return _total([(name, _kind(kind)) for name, kind in columns], sorted(digests))


def _written(value: Any, kind: Type) -> str:
    if value is None:
        return "n"
    if isinstance(kind, ListOf):
        return f"[{len(value)}:{''.join(_written(entry, kind.item) for entry in value)}"
    if isinstance(kind, Struct):
        return f"({''.join(_written(value[name], inner) for name, inner in sorted(kind.fields))}"
    if kind.sql == "VARCHAR":
        return f"{len(value.encode())}:{value}"
    if kind.sql == "BOOLEAN":
        return "t" if value else "f"
    if kind.sql == "TIMESTAMP":
        return f"{(datetime.fromisoformat(value).replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)};"
    if kind.sql == "DATE":
        return f"{date.fromisoformat(value).toordinal() - _EPOCH.toordinal()};"
    return f"{value};"


# -- of Parquet files -------------------------------------------------------------------------------------------------


def of_files(files: Sequence[Path]) -> Content:
    """The content of a table that lies in Parquet files.

    Raises:
        NoDigest: one cannot be read, or holds what no evidence is.
    """
    with _database() as db:
        return of_open(db, files)


def of_open(db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> Content:
    """Likewise, on an open database with limits of its own."""
    columns = _columns(db, files)
    return _total(_kinds(columns), (digest for _, digest in _digests(db, files, columns, "''")))


def by_item(files: Sequence[Path], item: str) -> dict[str, Content]:
    """The contents of a table by the item that each row came from.

    Args:
        files: Parquet files with equal columns; at least one.
        item: the column that names the item; it is no part of the content.

    Raises:
        NoDigest: one cannot be read, holds what no evidence is, or names no item.
    """
    with _database() as db:
        columns = _columns(db, files)
        if item not in columns or _kind_of(columns.pop(item)) != "text":
            raise NoDigest(f"there is no column {item}, which says which evidence a row came from")
        kinds = _kinds(columns)
        found = {}
        for name, rows in groupby(_digests(db, files, columns, quote(item)), key=lambda row: row[0]):
            if name is None:
                raise NoDigest(f"a row does not say in {item} which evidence it came from")
            found[name] = _total(kinds, (digest for _, digest in rows))
        return found


def empty(table: Table) -> Content:
    """The content of a table without rows."""
    return of_lines(table, ())


_Columns = dict[str, Any]
"""Column → its type, as DuckDB's client describes it."""


def _columns(db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> _Columns:
    """The columns that every one of the files has; DuckDB alone would bend the others to those of the first."""
    found: _Columns | None = None
    for file in files:
        described = _ask(db, f"SELECT * FROM {parquet([file])} LIMIT 0").description or []
        mine = {str(column[0]): column[1] for column in described}
        kinds = _kinds(mine)
        if found is not None and kinds != _kinds(found):
            raise NoDigest(f"{file.name} has other columns than the files beside it")
        found = mine
    return found or {}


def _kinds(columns: _Columns) -> list[tuple[str, str]]:
    return sorted((_name(name), _kind_of(kind)) for name, kind in columns.items())


def _kind_of(kind: Any) -> str:
    if kind.id == "list":
        return f"list({_kind_of(kind.children[0][1])})"
    if kind.id == "struct":
        return f"struct({', '.join(f'{_name(name)} {_kind_of(inner)}' for name, inner in _fields(kind))})"
    if kind.id not in _OF_DUCKDB:
        raise NoDigest(f"it holds values of the type {kind}, and no evidence does")
    return _OF_DUCKDB[kind.id]


def _fields(kind: Any) -> list[tuple[str, Any]]:
    return sorted(kind.children, key=lambda field: field[0])


def _name(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise NoDigest(f"it has a column {name!r}, and no evidence has")
    return name


def _digests(
    db: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: _Columns, item: str
) -> Iterator[tuple[str | None, str]]:
    """Item and digest of every row, sorted."""
    if not files:
        return
    written = " || ".join(_sql(quote(name), kind, 0) for name, kind in sorted(columns.items()))
    cursor = _ask(db, f"SELECT {item}, sha256({written}) FROM {parquet(files)} ORDER BY ALL")
    while rows := _fetched(cursor):
        for name, digest in rows:
            if digest is None:
                raise NoDigest("a value in it has no digest")
            yield name, digest


def _sql(value: str, kind: Any, depth: int) -> str:
    """`_written`, in SQL."""
    return f"CASE WHEN {value} IS NULL THEN 'n' ELSE {_sql_of_value(value, kind, depth)} END"


def _sql_of_value(value: str, kind: Any, depth: int) -> str:
    word = _OF_DUCKDB.get(kind.id, kind.id)
    if word == "list":
        entry = f"e{depth}"
        entries = f"list_transform({value}, lambda {entry}: {_sql(entry, kind.children[0][1], depth + 1)})"
        return f"'[' || len({value}) || ':' || array_to_string({entries}, '')"
    if word == "struct":
        fields = (_sql(f"{value}.{quote(name)}", inner, depth) for name, inner in _fields(kind))
        return " || ".join(["'('", *fields])
    if word == "text":
        return f"strlen({value}) || ':' || {value}"
    if word == "boolean":
        return f"CASE WHEN {value} THEN 't' ELSE 'f' END"
    if word == "instant":  # neither infinity nor a part of a microsecond is in evidence
        fine = kind.id == "timestamp_ns"
        whole = f"epoch_us({value}) * 1000 = epoch_ns({value})" if fine else f"isfinite({value})"
        return f"CASE WHEN {whole} THEN epoch_us({value}) || ';' ELSE error('an instant that no evidence has') END"
    if word == "date":
        days = f"({value} - DATE '1970-01-01') || ';'"
        return f"CASE WHEN isfinite({value}) THEN {days} ELSE error('a date that no evidence has') END"
    return f"{value} || ';'"


def parquet(files: Sequence[Path]) -> str:
    """Parquet files as a table of SQL, with the columns that are in the files and none from the names of folders."""
    listed = ", ".join(text_literal(str(file.resolve())) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _ask(db: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    with _reading():
        return db.execute(sql)


def _fetched(cursor: duckdb.DuckDBPyConnection) -> list[Any]:
    with _reading():
        return cursor.fetchmany(_FETCH)


@contextmanager
def _reading() -> Iterator[None]:
    """What keeps files from being read is no digest; too little memory says nothing about them."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise NoDigest(f"it cannot be read: {str(error).splitlines()[0]}") from error


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of its own, which may use the disk."""
    import duckdb

    with (
        tempfile.TemporaryDirectory(prefix="compliancectl-content-") as spill,
        duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": spill}) as db,
    ):
        yield db
