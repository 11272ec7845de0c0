"""Begins a control file: everything that can be known from the tables it reads, and TODO where only its author can say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from compliancectl.errors import UsageError
from compliancectl.load.problems import nearest
from compliancectl.model.table import Column, ListOf, Scalar, Table

_ID = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*-[0-9]+")
_SAMPLES = {
    "VARCHAR": "x",
    "BOOLEAN": "true",
    "BIGINT": "1",
    "TIMESTAMP": '"2026-01-01T00:00:00Z"',
    "DATE": '"2026-01-01"',
}


def scaffold(id: str, reads: Sequence[str], tables: Mapping[str, Table]) -> tuple[str, str]:
    """Write the beginning of a control.

    Args:
        id: such as `ACME-01`.
        reads: tables that it reads; the first gives the population.
        tables: the declared tables by name.

    Returns:
        The file's name and its text.

    Raises:
        UsageError: if the id is no id, or a table does not exist.
    """
    if not _ID.fullmatch(id):
        raise UsageError(f"{id!r} is not a control id", hint="Write capital letters, a dash and a number: ACME-01.")
    for name in reads:
        if name not in tables:
            close = nearest(name, tables)
            hint = f"Did you mean {close!r}?" if close else "`compliancectl collectors list` shows all tables."
            raise UsageError(f"no table is called {name!r}", hint=hint)
    found = [tables[name] for name in reads]
    return f"{id}-todo.yaml", "\n".join([*_head(id), *_columns(found), *_test(found)]) + "\n"


def _head(id: str) -> list[str]:
    return [
        f"id: {id}                  # equal to the start of the file name",
        'title: "TODO: one sentence, what is so when the control works"',
        'objective: "TODO: why it exists, for the reader of a report"',
        "satisfies: {soc2: [TODO]}    # criteria: `compliancectl frameworks soc2`; also gdpr, ferpa",
        'owner: "TODO: who answers for it"',
        "severity: medium             # low | medium | high | critical",
        "frequency: daily             # how often evidence is due; also how old it may be",
        "# params: {days: 30}         # used in SQL as $days; overridable in the scope file",
        'remediation: "TODO: what to do about a finding"',
        "",
    ]


def _columns(tables: Sequence[Table]) -> list[str]:
    lines = []
    for table in tables:
        lines.append(f"# {table.name}: {table.description}")
        lines += [f"#   {column.name:<24} {column.type.sql:<12} {column.description}" for column in table]
    return [*lines, ""]


def _test(tables: Sequence[Table]) -> list[str]:
    first = tables[0]
    resource = "t.resource" if any(c.name == "resource" for c in first) else f"t.{first.key[0]}"
    others = [c.name for c in first if c.name != "resource"]
    listed = ", ".join(f"t.{name}" for name in others[:6])
    return [
        "tests:",
        "  - id: main",
        "    # One row per item. Filter as little as you can: an item that does not count gets a reason in a column `excluded`.",
        "    population: |",
        f"      SELECT {resource} AS resource" + (f", {listed}" if listed else ""),
        f"      FROM {first.name} AS t",
        *[f"      -- also: {table.name}" for table in tables[1:]],
        "    checks:",
        "      # A boolean expression over the population's columns. Only TRUE passes; NULL is unknown.",
        "      todo:",
        "        expect: TODO",
        '        finding: "TODO: the sentence when it is not true of {resource}."',
        "    examples:",
        "      # Every check must be seen passing and failing.",
        "      - name: TODO",
        "        given:",
        f"          {first.name}:",
        f"            - {_row(first, 'good')}",
        f"            - {_row(first, 'bad')}",
        "        then: {good: pass, bad: fail}",
    ]


def _row(table: Table, name: str) -> str:
    values = {column.name: _sample(column) for column in table if column.required or column.name in table.key}
    values["resource" if "resource" in {c.name for c in table} else table.key[0]] = name
    return "{" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}"


def _sample(column: Column) -> str:
    if isinstance(column.type, Scalar):
        return _SAMPLES[column.type.sql]
    return "[]" if isinstance(column.type, ListOf) else "{}"
