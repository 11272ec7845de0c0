"""What a control is, for a reader: criteria, tables and permissions needed, the exact SQL, each check as a sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from compliancectl.model.control import MAX_AGE_HOURS, Check, Control
from compliancectl.model.framework import Framework
from compliancectl.model.table import Table
from compliancectl.query.bind import Binder, Bound, bind_control, parameter_values

_SOME_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands for the instant of judgement where only types matter."""


def tables_read(controls: Iterable[Control], tables: Mapping[str, Table]) -> tuple[str, ...]:
    """Names of all tables that the controls read, sorted.

    Raises:
        FileError: if a control cannot be bound to the declared tables.
    """
    return tuple(sorted({name for bound in _bound(controls, tables) for name in bound.tables}))


def explain(control: Control, tables: Mapping[str, Table], frameworks: Sequence[Framework]) -> str:
    """Say everything about a control that a reader needs, as plain text.

    Raises:
        FileError: if the control cannot be bound to the declared tables.
    """
    bound = _bound([control], tables)
    parts = [
        f"{control.id}  {control.title}",
        _wrapped(control.objective),
        f"severity {control.severity} · {control.frequency}: evidence up to {_age(control)} old · "
        f"owner {control.owner}\n{control.file}",
        "Criteria\n" + _criteria(control, frameworks),
        "Reads\n" + _tables(bound, tables),
    ]
    if control.params:
        parts.append("Parameters\n" + "\n".join(f"  ${name} = {value}" for name, value in control.params.items()))
    parts += [_test(one) for one in bound]
    parts.append("Remediation\n" + _wrapped(control.remediation, "  "))
    return "\n\n".join(parts)


def _bound(controls: Iterable[Control], tables: Mapping[str, Table]) -> list[Bound]:
    binder = Binder(tables)
    try:
        found: list[Bound] = []
        for control in controls:
            values = parameter_values(control.params, _SOME_INSTANT, (_SOME_INSTANT, _SOME_INSTANT))
            found += bind_control(binder, control, values)
        return found
    finally:
        binder.close()


def _criteria(control: Control, frameworks: Sequence[Framework]) -> str:
    lines = []
    for framework in frameworks:
        for id in control.satisfies.get(framework.id, ()):
            criterion = framework.criterion(id)
            lines.append(f"  {framework.id:<6} {id:<22} {criterion.title if criterion else ''}")
    return "\n".join(lines)


def _tables(bound: Iterable[Bound], tables: Mapping[str, Table]) -> str:
    names = sorted({name for one in bound for name in one.tables})
    return "\n".join(f"  {name:<28} needs {', '.join(tables[name].permissions) or 'nothing'}" for name in names)


def _test(bound: Bound) -> str:
    made = " (made from the documents under `evidence`)" if bound.test.implicit else ""
    lines = [f"Test {bound.test.id}{made}", textwrap.indent(bound.sql.strip(), "    ")]
    if bound.test.may_be_empty:
        lines.append(_wrapped(f"May be empty: {bound.test.may_be_empty}", "  "))
    return "\n".join([*lines, *(_check(check) for check in bound.test.checks)])


def _age(control: Control) -> str:
    hours = MAX_AGE_HOURS[control.frequency]
    return f"{hours // 24} days" if hours > 24 else f"{hours} hour{'s' if hours > 1 else ''}"


def _check(check: Check) -> str:
    return f"  {check.name}: an item passes only if {' '.join(check.expect.split())}\n" + _wrapped(
        f"Otherwise: {check.finding}", "      "
    )


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(" ".join(text.split()), 110, initial_indent=indent, subsequent_indent=indent)
