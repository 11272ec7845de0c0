"""From a reply to rows: each column says where its value stands, and the value is taken from there unjudged.

Values are converted only where Google writes a type as text (64-bit integers, instants). Whatever does not convert
is passed on as it is, so that the table's contract refuses it instead of a guess being made here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compliancectl import clock
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Struct, Table, Type

_FRACTION = re.compile(r"(\.\d{6})\d+")


def project_column() -> Column:
    """The column that every table begins with."""
    return Column("project", TEXT, "Project that was asked.", "scope", required=True)


def resource_column(form: str) -> Column:
    """The full resource name."""
    return Column("resource", TEXT, f"Full resource name: `{form}`.", "derived", required=True)


def text(record: Mapping[str, Any], key: str) -> str:
    """A name that further requests are made with.

    Raises:
        ValueError: if the source did not say it; asking for nothing would find nothing.
    """
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is {value!r}")
    return value


def full_name(start: str, name: Any) -> str | None:
    """`start` and a name; None, which no table accepts as a resource, when the source did not say the name."""
    return f"{start}{name}" if isinstance(name, str) and name else None


def dig(data: Any, path: str) -> Any:
    """The value at a dotted path, or None when any part of it is absent."""
    for part in path.split("."):
        if not isinstance(data, Mapping):
            return None
        data = data.get(part)
    return data


def convert(value: Any, kind: Type) -> Any:
    """Turn Google's text forms into the column's type; anything else is passed on as it is."""
    if kind is TIME:
        return instant(value)
    if kind is INT and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if isinstance(kind, ListOf) and isinstance(value, list):
        return [convert(item, kind.item) for item in value]
    if isinstance(kind, Struct) and isinstance(value, Mapping):
        return {name: convert(value.get(name), inner) for name, inner in kind.fields}
    return value


def instant(value: Any) -> Any:
    """An aware instant of an RFC 3339 text (nanoseconds cut to microseconds); other values unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return clock.parse(_FRACTION.sub(r"\1", value))
    except ValueError:
        return value


def row(table: Table, record: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """One row: `given` values by column, the rest from the record where the column's source says."""
    values: dict[str, Any] = {}
    for column in table:
        if column.name in given:
            values[column.name] = given[column.name]
        elif "#" in column.source and "[]" not in column.source:
            values[column.name] = convert(dig(record, column.source.partition(":")[2]), column.type)
    return values


def repeated(data: Any, parent: str, name: str) -> list[Any] | None:
    """A repeated field: an absent one is an empty list, as long as the message that holds it is there."""
    holder = dig(data, parent) if parent else data
    if not isinstance(holder, Mapping):
        return None
    return holder.get(name, [])  # type: ignore[no-any-return]


def pairs(labels: Any) -> list[dict[str, Any]]:
    """Labels as a list of name and value, sorted by name."""
    return [{"name": k, "value": v} for k, v in sorted((labels or {}).items())]


def describe(service_type: str) -> Callable[..., Column]:
    """A short way to declare columns of one API type: `column(name, TYPE, field, description)`."""

    def column(name: str, kind: Type, field: str, text: str, *, required: bool = False) -> Column:
        return Column(name, kind, text, f"{service_type}:{field}", required)

    return column


def columns(*parts: Column | Sequence[Column]) -> tuple[Column, ...]:
    """Flatten."""
    flat: list[Column] = []
    for part in parts:
        flat.extend([part] if isinstance(part, Column) else part)
    return tuple(flat)


__all__ = ["BOOL", "INT", "TEXT", "TIME"]
