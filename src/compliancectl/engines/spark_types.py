"""Types: as evidence tables declare them, and as DuckDB gives them to a population's columns, in Spark's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.engines.digests import Words
from compliancectl.model.table import ListOf, Struct, Table, Type
from compliancectl.query.bind import Bound
from compliancectl.query.syntax import Refused

_SCALARS = {
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "DATE": "DATE",
    "BIGINT": "BIGINT",
    "INTEGER": "INT",
    "DOUBLE": "DOUBLE",
}
_DUCKDB = {
    "varchar": "STRING",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP_NTZ",
    "date": "DATE",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INT",
    "bigint": "BIGINT",
    "utinyint": "SMALLINT",
    "usmallint": "INT",
    "uinteger": "BIGINT",
    "ubigint": "DECIMAL(20,0)",
    "hugeint": "DECIMAL(38,0)",
}


def ddl(table: Table, bound: Bound | None = None) -> str:
    """A table's rows as `STRUCT<…>`; with a test, only the columns that it can read."""
    columns = [c for c in table if bound is None or bound.star or c.name.lower() in bound.names] or list(table)[:1]
    return f"STRUCT<{', '.join(f'`{column.name}`: {_declared(column.type)}' for column in columns)}>"


def _declared(kind: Type) -> str:
    if isinstance(kind, ListOf):
        return f"ARRAY<{_declared(kind.item)}>"
    if isinstance(kind, Struct):
        return f"STRUCT<{', '.join(f'`{name}`: {_declared(child)}' for name, child in kind.fields)}>"
    return _SCALARS[kind.sql]


def of_duckdb(kind: Any) -> str:
    """A DuckDB type (as its Python client describes it) as Spark's.

    Raises:
        Refused: Spark has none like it.
    """
    if kind.id == "list":
        return f"ARRAY<{of_duckdb(kind.children[0][1])}>"
    if kind.id == "struct":
        return f"STRUCT<{', '.join(f'`{name}`: {of_duckdb(child)}' for name, child in kind.children)}>"
    if kind.id == "decimal":
        return str(kind)
    if str(kind) == '"NULL"':
        return "INT"
    if kind.id not in _DUCKDB:
        raise Refused(f"Spark has no type like {kind}.", "Cast it to a whole number, text or an instant.")
    return _DUCKDB[kind.id]


def _name(text: str) -> str:
    return f"`{text}`"


def _entries(value: str, depth: int, write: Callable[[str], str]) -> str:
    entry = f"e{depth}"
    return f"CAST(size({value}) AS STRING), ':', array_join(transform({value}, {entry} -> {write(entry)}), '')"


WORDS = Words(
    name=_name,
    scalar={
        "VARCHAR": "CONCAT(CAST(octet_length({value}) AS STRING), ':', {value})",
        "BOOLEAN": "IF({value}, 't', 'f')",
        "BIGINT": "CONCAT(CAST({value} AS STRING), ';')",
        "TIMESTAMP": "CONCAT(CAST(unix_micros(CAST({value} AS TIMESTAMP)) AS STRING), ';')",
        "DATE": "CONCAT(CAST(unix_date({value}) AS STRING), ';')",
    },
    list=_entries,
    sha256="sha2({text}, 256)",
    together="array_join(sort_array(collect_list(digest)), '')",
)
"""The session is in UTC, so an instant without a zone is the same number of microseconds with one."""
