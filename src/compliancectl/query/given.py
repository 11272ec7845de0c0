"""The rows that an example gives: checked by the declared types, without coercion, and their leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from compliancectl import clock
from compliancectl.errors import FileError
from compliancectl.load.forms import kind as described
from compliancectl.load.problems import suggestion
from compliancectl.model.control import Control, Example
from compliancectl.model.table import Column, ListOf, Struct, Table, Type
from compliancectl.query.bind import Bound

Row = dict[str, Any]
Rows = dict[str, list[Row]]


@dataclass(frozen=True)
class Leaf:
    """One value of one given row that a test reads."""

    table: str
    row: int
    column: str
    inside: tuple[str | int, ...]
    """Struct fields and list indexes from the column down to the value."""
    kind: Type

    @property
    def name(self) -> str:
        """`gcp.sql_instance.networks.value`: without row and index."""
        return ".".join([self.table, self.column, *(part for part in self.inside if isinstance(part, str))])


def given_rows(
    control: Control, bound: Bound, example: Example, place: tuple[int, int], tables: dict[str, Table]
) -> Rows | list[FileError]:
    """An example's rows as typed values; or every mistake in them."""
    problems: list[FileError] = []
    found: Rows = {}
    for name, rows in example.given.items():
        where = ("tests", place[0], "examples", place[1], "given", name)
        if name not in tables:
            message = f'The example gives the table "{name}", which does not exist.'
            problems.append(_problem(control, where, message, suggestion(name, tables)))
        elif name not in bound.tables:
            message = f'The example gives the table "{name}", which this test does not read.'
            problems.append(_problem(control, where, message, f"It reads: {', '.join(bound.tables)}."))
        else:
            found[name] = [_row(control, bound, tables[name], row, (*where, n), problems) for n, row in enumerate(rows)]
    return problems or found


def _problem(control: Control, where: tuple[str | int, ...], message: str, hint: str | None = None) -> FileError:
    return FileError(message, hint=hint, file=control.file, line=control.line(*where))


def _row(
    control: Control, bound: Bound, table: Table, given: Row, where: tuple[str | int, ...], problems: list[FileError]
) -> Row:
    row: Row = {}
    for name in given:
        if name not in {column.name for column in table}:
            message = f'The table {table.name} has no column "{name}".'
            problems.append(_problem(control, (*where, name), message, suggestion(name, [c.name for c in table])))
    for column in table:
        value = given.get(column.name)
        if value is None:
            if column.required and _reads(bound, column):
                message = f'The row lacks "{column.name}", which {table.name} always has and this test reads.'
                problems.append(_problem(control, where, message, f'Add "{column.name}".'))
            continue
        try:
            row[column.name] = typed(value, column.type, column.name)
        except ValueError as error:
            problems.append(_problem(control, (*where, column.name), str(error)))
    return row


def _reads(bound: Bound, column: Column) -> bool:
    return column.name.lower() in bound.names


def typed(value: Any, kind: Type, path: str) -> Any:
    """A YAML value as a value of the declared type; nothing is coerced.

    Raises:
        ValueError: if it is of another kind, with its path.
    """
    if value is None:
        return None
    if isinstance(kind, ListOf):
        if not isinstance(value, list | tuple):
            raise ValueError(f"{path} must be a list, but it is {described(value)}.")
        return [typed(entry, kind.item, f"{path}[{n + 1}]") for n, entry in enumerate(value)]
    if isinstance(kind, Struct):
        return _struct(value, kind, path)
    return _scalar(value, kind.sql, path)


def _struct(value: Any, kind: Struct, path: str) -> Row:
    if not isinstance(value, dict):
        raise ValueError(f"{path} must be keys and values, but it is {described(value)}.")
    fields = dict(kind.fields)
    for name in value:
        if name not in fields:
            hint = suggestion(name, fields) or ""
            raise ValueError(f'{path} has no field "{name}". {hint}'.strip())
    return {name: typed(value.get(name), child, f"{path}.{name}") for name, child in kind.fields}


def _scalar(value: Any, sql: str, path: str) -> Any:
    match sql:
        case "VARCHAR":
            wanted, fits = "text", isinstance(value, str)
        case "BOOLEAN":
            wanted, fits = "true or false", isinstance(value, bool)
        case "TIMESTAMP" | "DATE":
            return _instant(value, sql, path)
        case _:
            wanted, fits = "a whole number", isinstance(value, int) and not isinstance(value, bool)
    if not fits:
        raise ValueError(f"{path} must be {wanted}, but it is {described(value)}.")
    return value


def _instant(value: Any, sql: str, path: str) -> datetime | date:
    try:
        if not isinstance(value, str):
            raise ValueError
        return date.fromisoformat(value) if sql == "DATE" else clock.parse(value)
    except ValueError:
        wanted = "a date such as 2026-08-01" if sql == "DATE" else "an instant such as 2026-08-01T00:00:00Z"
        raise ValueError(f"{path} must be {wanted}, but it is {described(value)}.") from None


def leaves(rows: Rows, bound: Bound, tables: dict[str, Table]) -> Iterator[Leaf]:
    """Every value that the test reads, is not NULL, may be NULL, and is not declared optional."""
    for table in sorted(rows):
        for number, row in enumerate(rows[table]):
            for column in tables[table]:
                if column.required or not _reads(bound, column):
                    continue
                for inside, kind in _inside(row.get(column.name), column.type, bound):
                    leaf = Leaf(table, number, column.name, inside, kind)
                    if not _optional(leaf.name, bound):
                        yield leaf


def _inside(value: Any, kind: Type, bound: Bound) -> Iterator[tuple[tuple[str | int, ...], Type]]:
    if value is None:
        return
    yield (), kind
    if isinstance(kind, ListOf) and isinstance(kind.item, Struct):
        for index, entry in enumerate(value):
            for inside, child in _inside(entry, kind.item, bound):
                if inside:
                    yield (index, *inside), child
    if isinstance(kind, Struct):
        for name, child in kind.fields:
            if name.lower() in bound.names:
                for inside, deeper in _inside(value.get(name), child, bound):
                    yield (name, *inside), deeper


def _optional(name: str, bound: Bound) -> bool:
    return any(name == field or name.startswith(f"{field}.") for field in bound.test.optional_fields)


def value_at(row: Row, leaf: Leaf) -> Any:
    """The value of a leaf in its row."""
    value: Any = row.get(leaf.column)
    for part in leaf.inside:
        value = value[part]
    return value


def replaced(rows: Rows, leaf: Leaf, value: Any) -> list[Row]:
    """The rows of the leaf's table with one value replaced."""
    changed = list(rows[leaf.table])
    row = dict(changed[leaf.row])
    row[leaf.column] = _put(row[leaf.column], leaf.inside, value)
    changed[leaf.row] = row
    return changed


def _put(inside: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy: Any = dict(inside) if isinstance(inside, dict) else list(inside)
    copy[path[0]] = _put(copy[path[0]], path[1:], value)
    return copy


_EARLY, _LATE = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
_EXTREMES: dict[str, list[Any]] = {
    "BOOLEAN": [True, False],
    "VARCHAR": ["null-probe"],
    "TIMESTAMP": [_EARLY, _LATE],
    "DATE": [_EARLY.date(), _LATE.date()],
}


def candidates(kind: Type, present: Any, elsewhere: list[Any]) -> list[Any]:
    """Other values that the leaf might have had: extremes of its type, and what other examples give."""
    own: list[Any]
    if isinstance(kind, ListOf):
        own = [[]]
    elif isinstance(kind, Struct):
        own = []
    else:
        own = _EXTREMES.get(kind.sql, [0, -1, 10**9])
    found: list[Any] = []
    for value in [*own, *elsewhere]:
        if value is not None and value != present and value not in found:
            found.append(value)
    return found[:6]
