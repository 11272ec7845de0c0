"""Types and values in GoogleSQL's words: of evidence tables, of a population's columns, and back.

BigQuery cannot store a list that is NULL, nor NULL in a list: both would come back as an empty or a failing one, and
"no entry is public" would pass by it. Lists are therefore stored as their Parquet files hold them, a record `list` of
records `element`, and lists in answers travel as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from compliancectl.engines.digests import Words
from compliancectl.model.table import ListOf, Struct, Table, Type
from compliancectl.query.bind import Bound
from compliancectl.query.syntax import Refused

_DECLARED = {
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOL",
    "TIMESTAMP": "DATETIME",  # instants are held in UTC without a zone; a TIMESTAMP takes no months
    "DATE": "DATE",
    "BIGINT": "INT64",
    "INTEGER": "INT64",
    "DOUBLE": "FLOAT64",
}
_WHOLE = ("tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint")
_PLAIN = {"varchar": "STRING", "boolean": "BOOL", "timestamp": "DATETIME", "date": "DATE"}


def name(text: str) -> str:
    """An identifier in backticks."""
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


def declared(kind: Type) -> str:
    """A declared type."""
    if isinstance(kind, ListOf):
        return f"ARRAY<{declared(kind.item)}>"
    if isinstance(kind, Struct):
        return f"STRUCT<{', '.join(f'{name(n)} {declared(child)}' for n, child in kind.fields)}>"
    return _DECLARED[kind.sql]


def columns(table: Table, bound: Bound | None) -> list[Any]:
    """The columns that a test can read; all of them without a test."""
    found = [c for c in table if bound is None or bound.star or c.name.lower() in bound.names]
    return found or list(table)[:1]


def given(table: Table, rows: Iterable[Mapping[str, Any]], bound: Bound) -> str:
    """Rows as a SELECT without a table."""
    wanted = columns(table, bound)
    row_type = f"STRUCT<{', '.join(f'{name(c.name)} {declared(c.type)}' for c in wanted)}>"
    written = [f"({', '.join(literal(row.get(c.name), c.type) for c in wanted)})" for row in rows]
    if len(wanted) == 1:  # one value in brackets is no row
        written = [f"{row_type}{row}" for row in written]
    return f"SELECT * FROM UNNEST(ARRAY<{row_type}>[{', '.join(written)}])"


def literal(value: Any, kind: Type) -> str:
    """A value of exactly the declared type."""
    if value is None:
        return f"CAST(NULL AS {declared(kind)})"
    if isinstance(kind, ListOf):
        return f"{declared(kind)}[{', '.join(literal(entry, kind.item) for entry in value)}]"
    if isinstance(kind, Struct):
        return f"{declared(kind)}({', '.join(literal(value.get(n), child) for n, child in kind.fields)})"
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime():
            return f"DATETIME '{value.replace(tzinfo=None).isoformat(sep=' ', timespec='microseconds')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case str():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def stored(table: Table, place: str, bound: Bound) -> str:
    """A SELECT that gives a loaded table its declared types back."""
    found = ", ".join(f"{_stored(f'__t.{name(c.name)}', c.type, 0)} AS {name(c.name)}" for c in columns(table, bound))
    return f"SELECT {found} FROM {name(place)} AS __t"


def _stored(value: str, kind: Type, depth: int) -> str:
    if isinstance(kind, ListOf):
        entry, place = f"__e{depth}", f"__o{depth}"
        inner = _stored(f"{entry}.element", kind.item, depth + 1)
        items = f"ARRAY(SELECT {inner} FROM UNNEST({value}.list) AS {entry} WITH OFFSET AS {place} ORDER BY {place})"
        return f"IF({value} IS NULL, NULL, {items})"
    if isinstance(kind, Struct):
        parts = ", ".join(f"{_stored(f'{value}.{name(n)}', child, depth)} AS {name(n)}" for n, child in kind.fields)
        return f"IF({value} IS NULL, NULL, STRUCT({parts}))"
    return f"CAST({value} AS DATETIME)" if kind.sql == "TIMESTAMP" else value


def _entries(value: str, depth: int, write: Callable[[str], str]) -> str:
    entry, place = f"__e{depth}", f"__o{depth}"
    each = f"UNNEST({value}.list) AS {entry} WITH OFFSET AS {place}"
    texts = f"(SELECT STRING_AGG({write(f'{entry}.element')}, '' ORDER BY {place}) FROM {each})"
    return f"FORMAT('%d:', ARRAY_LENGTH({value}.list)), IFNULL({texts}, '')"


WORDS = Words(
    name=name,
    scalar={
        "VARCHAR": "CONCAT(FORMAT('%d:', BYTE_LENGTH({value})), {value})",
        "BOOLEAN": "IF({value}, 't', 'f')",
        "BIGINT": "FORMAT('%d;', {value})",  # which takes nothing but a whole number
        "TIMESTAMP": "FORMAT('%d;', DATETIME_DIFF(CAST({value} AS DATETIME), DATETIME '1970-01-01', MICROSECOND))",
        "DATE": "FORMAT('%d;', UNIX_DATE({value}))",
    },
    list=_entries,
    sha256="TO_HEX(SHA256({text}))",
    together="STRING_AGG(digest, '' ORDER BY digest)",
)
"""Of rows as Parquet files hold them; lists are still a record `list` of records `element`."""


def answered(column: str, kind: Any) -> str:
    """A population's column as it travels: its type is DuckDB's, as its Python client describes it.

    Raises:
        Refused: it cannot travel.
    """
    if kind.id in ("list", "struct"):
        _checked(kind)
        return f"TO_JSON_STRING({name(column)})"
    return f"CAST({name(column)} AS {_scalar(kind)})"


def _checked(kind: Any) -> None:
    if kind.id in ("list", "struct"):
        for _, child in kind.children:
            _checked(child)
    else:
        _scalar(kind)


def _scalar(kind: Any) -> str:
    if kind.id in _WHOLE or str(kind) == '"NULL"':
        return "INT64"
    if kind.id == "decimal":
        return "NUMERIC"
    if kind.id not in _PLAIN:
        raise Refused(f"BigQuery has no type like {kind}.", "Cast it to a whole number, text or an instant.")
    return _PLAIN[kind.id]


def read(value: Any, kind: Any) -> Any:
    """A value of an answer as DuckDB's client gives the same one."""
    if value is not None and kind.id in ("list", "struct"):
        return _parsed(json.loads(value), kind)
    return value


def _parsed(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if kind.id == "list":
        return [_parsed(entry, kind.children[0][1]) for entry in value]
    if kind.id == "struct":
        return {n: _parsed(value.get(n), child) for n, child in kind.children}
    if kind.id == "timestamp":
        return datetime.fromisoformat(value)
    if kind.id == "date":
        return date.fromisoformat(value)
    return int(value) if kind.id in _WHOLE and not isinstance(value, bool) else value
