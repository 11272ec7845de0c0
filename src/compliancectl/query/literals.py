"""Literals of the column's own type: DuckDB casts `public = 'yes'` and `region = 5` in silence, and other engines differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from compliancectl.model.table import Column, ListOf, Struct, Table, Type
from compliancectl.query.syntax import Node, Refused, nodes, of_check, places_in_check, position

_TIMES = {"TIMESTAMP": "an instant", "DATE": "a date"}
_HINTS = {
    "BOOLEAN": "Write true or false, without quotes.",
    "TIMESTAMP": "Write TIMESTAMP '2026-08-01 00:00:00'.",
    "DATE": "Write DATE '2026-08-01'.",
    "VARCHAR": "Put quotes around the number.",
}


def places(name: str, column_type: Type) -> Iterator[tuple[str, str]]:
    """A column and each struct field below it, as (dotted path, SQL type)."""
    waiting = [(name, column_type)]
    while waiting:
        path, kind = waiting.pop()
        yield path, kind.sql
        inner = kind.item if isinstance(kind, ListOf) else kind
        if isinstance(inner, Struct):
            waiting += [(f"{path}.{field}", child) for field, child in inner.fields]


def refuse_in_population(sql: str, tables: Mapping[str, Table]) -> None:
    """Hold the literals of a population against the columns of the tables that it reads.

    Raises:
        Refused: if one is of another type than the column that it is compared with.
    """
    root = nodes(sql)
    known: dict[str, set[str]] = {}
    for name, table in [("", table) for table in tables.values()] + list(_called(root, tables)):
        for column in table:
            for path, kind in _scalars(column):
                known.setdefault(f"{name}.{path}".lower().lstrip("."), set()).add(kind)
    # An unqualified name that the SQL gives to something of its own may have any type; the binder knows it, we do not.
    own = {str(node["alias"]).lower() for node in root if node.get("alias")}
    _refuse(root, {path: kinds.pop() for path, kinds in known.items() if len(kinds) == 1 and path not in own})


def _called(root: Iterable[Node], tables: Mapping[str, Table]) -> Iterator[tuple[str, Table]]:
    """What the SQL calls each table that it reads."""
    for node in root:
        if node.get("type") == "BASE_TABLE":
            table = tables.get(f"{node['schema_name']}.{node['table_name']}".lower())
            if table is not None:
                yield str(node.get("alias") or node["table_name"]), table


def refuse_in_check(expression: str, columns: Mapping[str, Any]) -> None:
    """Hold the literals of a check against the population's columns.

    Raises:
        Refused: as above, with the place within `expression`.
    """
    with places_in_check():
        _refuse(nodes(of_check(expression)), {name.lower(): str(kind) for name, kind in columns.items()})


def _scalars(column: Column) -> Iterator[tuple[str, str]]:
    if not isinstance(column.type, ListOf):
        yield from places(column.name, column.type)


def _refuse(root: Iterable[Node], types: Mapping[str, str]) -> None:
    for node in root:
        for column, constant in _compared(node):
            names = [str(part).lower() for part in column["column_names"]]
            kind = types.get(".".join(names))
            literal = constant.get("literal") or {}
            if kind is not None and (wrong := _wrong(kind, str(literal.get("kind")))) is not None:
                is_, against = wrong
                shown = f"'{literal.get('text')}'" if against == "the text" else literal.get("text")
                message = f"{names[-1]} is {is_}, but it is compared with {against} {shown}."
                raise Refused(message, _HINTS.get(kind, "Write the number without quotes."), position(constant))


def _wrong(kind: str, literal: str) -> tuple[str, str] | None:
    integer = kind.endswith(("INT", "INTEGER"))
    if literal == "STRING" and (integer or kind in ("BOOLEAN", *_TIMES)):
        return ("a whole number" if integer else _TIMES.get(kind, "true or false")), "the text"
    if literal in ("INTEGER", "NUMERIC") and kind in ("BOOLEAN", "VARCHAR", *_TIMES):
        return {"BOOLEAN": "true or false", "VARCHAR": "text"}.get(kind, _TIMES.get(kind, "")), "the number"
    return None


def _compared(node: Node) -> Iterator[tuple[Node, Node]]:
    """Each column with each constant that it is compared with."""
    match node.get("class"):
        case "COMPARISON":
            sides = [node["left"], node["right"]]
        case "BETWEEN":
            sides = [node["input"], node["lower"], node["upper"]]
        case "OPERATOR" if node.get("type") in ("COMPARE_IN", "COMPARE_NOT_IN"):
            sides = node["children"]
        case _:
            return
    for column in sides:
        for constant in sides:
            if column.get("class") == "COLUMN_REF" and constant.get("class") == "CONSTANT":
                yield column, constant
