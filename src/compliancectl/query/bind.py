"""Binding: a test's SQL against declared, empty, typed tables, before any data exists.

The result, `Bound`, is what runs: the exact text with its parameters put in as literals, the population's columns
with their types, and for each check its expression, its sentence and the columns that it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compliancectl.errors import FileError
from compliancectl.load.problems import raise_all, suggestion
from compliancectl.model.control import Check, Control, Test
from compliancectl.model.table import Table
from compliancectl.query import guard
from compliancectl.query.literals import places, refuse_in_check, refuse_in_population
from compliancectl.query.syntax import Refused, bind_parameters, line_of, literal, quote, quote_table

if TYPE_CHECKING:
    import duckdb

RESERVED = ("as_of", "period_start", "period_end")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LINE = re.compile(r"\n\nLINE (\d+):")
_STRUCT_KEY = re.compile(r'Could not find key "([^"]+)" in struct')
_CANDIDATES = re.compile(r'Candidate (?:bindings|Entries):[ :]*"([^"]+)"')
_FLOATING = ("DOUBLE", "FLOAT")


@dataclass(frozen=True)
class BoundCheck:
    """A check that is known to be a boolean over the population's columns."""

    name: str
    sql: str
    finding: str
    expect: str
    columns: tuple[str, ...]
    """The population's columns that it reads, in the population's order."""


@dataclass(frozen=True)
class Bound:
    """A test that is known to run on the declared tables."""

    control: str
    test: Test
    sql: str
    """The population exactly as it runs."""
    tables: tuple[str, ...]
    columns: Mapping[str, Any]
    """Column → DuckDB type, in the population's order."""
    checks: tuple[BoundCheck, ...]
    parameters: tuple[str, ...]
    """Names used anywhere in the test, sorted."""
    names: frozenset[str]
    """Every column and struct field that the population and the checks name, in lower case."""
    star: bool

    @property
    def excludes(self) -> bool:
        """Whether the population can exclude items."""
        return "excluded" in self.columns


class Binder:
    """The declared tables, empty, in a database of its own. Reuse one for many controls.

    A table is made when the first population that reads it comes: of all that are declared, a few controls read few.
    """

    def __init__(self, tables: Mapping[str, Table]) -> None:
        import duckdb

        self.tables = tables
        self.database = duckdb.connect(
            config={
                "threads": 1,
                "enable_external_access": False,
                "python_enable_replacements": False,
            }
        )
        views = self.database.execute(
            "SELECT view_name FROM duckdb_views() UNION SELECT table_name FROM duckdb_tables()"
        )
        self.catalog = frozenset(str(row[0]).lower() for row in views.fetchall())
        self._made: set[str] = set()

    @cached_property
    def leaves(self) -> frozenset[str]:
        """Every column, and every struct field below it, as a dotted path."""
        return frozenset(
            path
            for table in self.tables.values()
            for column in table
            for path, _ in places(f"{table.name}.{column.name}", column.type)
        )

    def close(self) -> None:
        """Release the database."""
        self.database.close()

    def make(self, names: Iterable[str]) -> None:
        """Make the tables of these names that are not there yet."""
        missing = set(names) - self._made
        create_tables(self.database, {name: self.tables[name] for name in missing})
        self._made |= missing

    def describe(self, sql: str) -> list[tuple[str, Any]]:
        """Column names and types of a SELECT, without rows."""
        import duckdb

        try:
            relation = self.database.sql(sql)  # bound, not run
        except duckdb.Error:
            self.database.execute(f"SELECT * FROM ({sql}\n) LIMIT 0")  # the same error, with its line
            raise
        return list(zip(relation.columns, relation.types, strict=True))


def create_tables(database: duckdb.DuckDBPyConnection, tables: Mapping[str, Table]) -> None:
    """Create the declared tables, empty and with exactly the declared types."""
    for schema in sorted({table.source for table in tables.values()}):
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    for name in sorted(tables):
        columns = ", ".join(f"{quote(column.name)} {column.type.sql}" for column in tables[name])
        database.execute(f"CREATE TABLE {quote_table(name)} ({columns})")


def parameter_values(params: Mapping[str, Any], as_of: datetime, period: tuple[datetime, datetime]) -> dict[str, Any]:
    """A control's parameters and the three that the engine provides."""
    return {**params, "as_of": as_of, "period_start": period[0], "period_end": period[1]}


def bind_control(binder: Binder, control: Control, values: Mapping[str, Any]) -> tuple[Bound, ...]:
    """Bind every test of a control.

    Raises:
        FileError: the one mistake; `FileErrors` with all of them.
    """
    bound: list[Bound] = []
    problems: list[FileError] = []
    guard.read_ahead([t.population for t in control.tests], [c.expect for t in control.tests for c in t.checks])
    for test in control.tests:
        found = bind_test(binder, control, test, values)
        if isinstance(found, Bound):
            bound.append(found)
        else:
            problems.extend(found)
    if not problems:
        problems.extend(_unused(control, bound))
    raise_all(problems)
    return tuple(bound)


def _unused(control: Control, bound: Iterable[Bound]) -> list[FileError]:
    used = {name for test in bound for name in test.parameters}
    hint = "Use it as ${}, or remove it."
    return [
        FileError(
            f'The parameter "{name}" is never used.',
            hint=hint.format(name),
            file=control.file,
            line=control.line("params", name),
        )
        for name in sorted(control.params)
        if name not in used
    ]


def bind_test(binder: Binder, control: Control, test: Test, values: Mapping[str, Any]) -> Bound | list[FileError]:
    """Bind one test; the mistakes if there are any."""
    literals = {
        name: f"({literal(value)})" if isinstance(value, dict) else literal(value) for name, value in values.items()
    }
    try:
        reads = guard.guard_population(test.population, binder.tables, list(values), binder.catalog)
        if not reads.tables:
            raise Refused("The population reads no evidence table.", "Select from a table such as gcp.sql_instance.")
        binder.make(reads.tables)
        sql = bind_parameters(test.population, literals).rstrip()
        columns = _population_columns(binder, sql)
        refuse_in_population(test.population, {name: binder.tables[name] for name in reads.tables})
    except Refused as refused:
        return [_problem(control, test.population, test.population_line, refused)]
    problems: list[FileError] = []
    checks: list[BoundCheck] = []
    parameters, names = set(reads.parameters), set(reads.names)
    kinds = _check_kinds(binder, test, columns, list(values), literals)
    for check in test.checks:
        try:
            seen = guard.guard_check(check.expect, list(values), list(columns))
            parameters.update(seen.parameters)
            names.update(seen.names)
            kind = kinds.get(check.name) or _check_kind(binder, check, columns, literals)
            checks.append(_bind_check(check, columns, seen, literals, kind))
            refuse_in_check(check.expect, columns)
        except Refused as refused:
            problems.append(_problem(control, check.expect, check.expect_line, refused))
        problems.extend(_finding_faults(control, check, columns))
    problems.extend(_optional_faults(binder, control, test))
    if problems:
        return problems
    return Bound(
        control=control.id,
        test=test,
        sql=sql,
        tables=reads.tables,
        columns=columns,
        checks=tuple(checks),
        parameters=tuple(sorted(parameters)),
        names=frozenset(names),
        star=reads.star,
    )


def _problem(control: Control, sql: str, first: int, refused: Refused) -> FileError:
    line = line_of(sql, refused.at, first)
    return FileError(refused.message, hint=refused.hint, file=control.file, line=line)


def _population_columns(binder: Binder, sql: str) -> dict[str, Any]:
    columns = _describe(binder, sql, sql)
    names = [name for name, _ in columns]
    lowered = [name.lower() for name in names]
    for name in names:
        if lowered.count(name.lower()) > 1:
            raise Refused(f'The population has two columns "{name}".', "Name one of them with AS.")
        if name.startswith("__"):
            raise Refused(f'The column name "{name}" belongs to the engine.', "Do not begin it with two underscores.")
    found = dict(columns)
    if "resource" not in found:
        raise Refused(
            'The population has no column "resource".', "Name the column that identifies an item: … AS resource."
        )
    for name in ("resource", "excluded"):
        if name in found and str(found[name]) != "VARCHAR":
            raise Refused(
                f'The column "{name}" must be text, but it is {found[name]}.', f"Cast it: CAST(… AS VARCHAR) AS {name}."
            )
    for name, kind in found.items():
        _refuse_type(name, str(kind))
    return found


def _refuse_type(name: str, kind: str) -> None:
    if any(word in kind for word in _FLOATING):
        raise Refused(
            f'The column "{name}" is a floating-point number.', "Use whole numbers, or DECIMAL with fixed places."
        )
    if "WITH TIME ZONE" in kind:
        raise Refused(f'The column "{name}" depends on the time zone of the session.', "Hold it as TIMESTAMP in UTC.")
    if "MAP(" in kind or kind in ("JSON", "VARIANT"):
        raise Refused(f'The column "{name}" is {kind}, whose keys nothing checks.', "Use struct fields.")


def _describe(binder: Binder, sql: str, shown: str, *, above: int = 0) -> list[tuple[str, Any]]:
    """Describe `sql`; `shown` is what the author wrote and begins `above` lines below the start of `sql`."""
    import duckdb

    try:
        return binder.describe(sql)
    except duckdb.Error as error:
        raise _binder_error(str(error), shown, above) from error


def _binder_error(text: str, shown: str, above: int) -> Refused:
    place = _LINE.search(text)
    body = text[: place.start()] if place else text
    body = body.partition(" Error: ")[2] or body
    sentence, _, more = body.partition("\n")
    hint = " ".join(more.replace("\t", " ").split()) or None
    at = None
    if place:
        line = max(1, int(place.group(1)) - above)
        at = len("\n".join(shown.split("\n")[: line - 1]).encode()) + (1 if line > 1 else 0)
    elif (key := _STRUCT_KEY.search(sentence)) is not None:  # DuckDB does not say where
        found = re.search(rf"\.\s*\"?{re.escape(key.group(1))}\b", shown)
        at = len(shown[: found.end()].encode()) if found else None
    return Refused(sentence.rstrip(".!") + ".", _candidates(hint), at)


def _candidates(hint: str | None) -> str | None:
    """`Did you mean "x"?` from DuckDB's list of candidates, of which the first is the nearest."""
    found = _CANDIDATES.match(hint or "")
    return f'Did you mean "{found.group(1)}"?' if found else hint


def _check_kinds(
    binder: Binder, test: Test, columns: Mapping[str, Any], names: list[str], literals: Mapping[str, str]
) -> dict[str, str]:
    """Check → its type, asked for in one go; nothing if one of them is mistaken, so that each is asked by itself."""
    import duckdb

    try:
        for check in test.checks:
            guard.guard_check(
                check.expect, names, list(columns)
            )  # its brackets close, so it cannot reach its neighbour
        each = ", ".join(f"(\n{bind_parameters(check.expect, dict(literals))}\n)" for check in test.checks)
        described = binder.describe(f"SELECT {each} FROM ({_empty(columns)})")
    except (Refused, duckdb.Error):
        return {}
    return {check.name: str(kind) for check, (_, kind) in zip(test.checks, described, strict=True)}


def _check_kind(binder: Binder, check: Check, columns: Mapping[str, Any], literals: Mapping[str, str]) -> str:
    sql = bind_parameters(check.expect, dict(literals))
    described = _describe(binder, f"SELECT (\n{sql}\n) FROM ({_empty(columns)})", check.expect, above=1)
    return str(described[0][1])


def _empty(columns: Mapping[str, Any]) -> str:
    """A row of the population's columns, all NULL."""
    return "SELECT " + ", ".join(f"CAST(NULL AS {type_sql(kind)}) AS {quote(name)}" for name, kind in columns.items())


def _bind_check(
    check: Check, columns: Mapping[str, Any], seen: guard.Reads, literals: Mapping[str, str], kind: str
) -> BoundCheck:
    sql = bind_parameters(check.expect, dict(literals))
    if kind != "BOOLEAN":
        shown = "always NULL" if "NULL" in kind else kind
        raise Refused(f"The check {check.name} must be true or false, but it is {shown}.", "Write a comparison.", 0)
    read = tuple(name for name in columns if name.lower() in seen.names)
    if not read:
        raise Refused(f"The check {check.name} reads no column of the population.", "Compare a column.", 0)
    return BoundCheck(check.name, sql, check.finding, check.expect, read)


def type_sql(kind: Any) -> str:
    """A column's type as SQL; a column that is always NULL has one of its own choosing."""
    return "INTEGER" if str(kind) == '"NULL"' else str(kind)


def _finding_faults(control: Control, check: Check, columns: Mapping[str, Any]) -> list[FileError]:
    faults: list[FileError] = []
    for name in _PLACEHOLDER.findall(check.finding):
        if name not in columns:
            message = f'The finding of {check.name} names "{{{name}}}", which is no column of the population.'
            faults.append(FileError(message, hint=suggestion(name, columns), file=control.file, line=check.line))
    if re.search(r"[{}]", _PLACEHOLDER.sub("", check.finding)):
        message = f"The finding of {check.name} has a curly bracket without its partner."
        faults.append(FileError(message, hint="Write {column}.", file=control.file, line=check.line))
    return faults


def _optional_faults(binder: Binder, control: Control, test: Test) -> list[FileError]:
    faults: list[FileError] = []
    for leaf in test.optional_fields:
        if leaf not in binder.leaves:
            message = f'optional_fields names "{leaf}", which is no column of a declared table.'
            hint = suggestion(leaf, binder.leaves, otherwise="Write it as source.table.column.")
            faults.append(FileError(message, hint=hint, file=control.file, line=test.line))
    return faults


def finding_parts(finding: str) -> list[tuple[str, bool]]:
    """A finding's sentence in pieces: (text, False) and (column, True)."""
    parts: list[tuple[str, bool]] = []
    for index, piece in enumerate(_PLACEHOLDER.split(finding)):
        if piece:
            parts.append((piece, index % 2 == 1))
    return parts
