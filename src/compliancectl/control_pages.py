"""A page of documentation for each control, made from its file: Markdown, the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compliancectl.gap_formats import escape
from compliancectl.model.claim import Claim
from compliancectl.model.control import MAX_AGE_HOURS, Control, Test
from compliancectl.model.framework import Framework


def page(control: Control, tables: Sequence[str], frameworks: Iterable[Framework], claims: Iterable[Claim] = ()) -> str:
    """Everything that a reader may ask about a control.

    Args:
        control: the control.
        tables: names of the tables that it reads.
        frameworks: give the criteria their titles.
        claims: statements that are held against controls; those that name this one are listed.
    """
    lines = [
        f"# {control.id}: {escape(control.title)}",
        "",
        escape(control.objective),
        "",
        "| | |",
        "|---|---|",
        f"| Owner | {escape(control.owner)} |",
        f"| Severity | {control.severity} |",
        f"| Evidence is due | {control.frequency}; it may be {_age(control)} old |",
        f"| Reads | {', '.join(f'`{name}`' for name in tables)} |",
        f"| File | SHA-256 `{control.sha256}` |",
        "",
        "## Criteria",
        "",
        *_criteria(control, frameworks),
        *_claims(control, claims),
        *_params(control),
    ]
    for test in control.tests:
        lines += _test(test)
    lines += ["## What to do about a finding", "", escape(control.remediation), ""]
    return "\n".join(lines)


def index(controls: Sequence[Control]) -> str:
    """The first page: every control by topic."""
    lines = ["# Controls", "", f"{len(controls)} controls."]
    for topic in sorted({control.topic for control in controls}):
        lines += ["", f"## {escape(topic.capitalize())}", ""]
        mine = (control for control in controls if control.topic == topic)
        lines += [f"- [{c.id}]({c.id}.md) {escape(c.title)} ({c.severity})" for c in sorted(mine, key=lambda c: c.id)]
    return "\n".join(lines) + "\n"


def _age(control: Control) -> str:
    hours = MAX_AGE_HOURS[control.frequency]
    return f"{hours // 24} days" if hours > 24 else f"{hours} hours" if hours > 1 else "1 hour"


def _criteria(control: Control, frameworks: Iterable[Framework]) -> list[str]:
    known: Mapping[str, Framework] = {framework.id: framework for framework in frameworks}
    lines = []
    for id, criteria in sorted(control.satisfies.items()):
        for name in criteria:
            criterion = known[id].criterion(name) if id in known else None
            lines.append(f"- {id} {escape(name)}" + (f": {escape(criterion.title)}" if criterion else ""))
    return [*(lines or ["None."]), ""]


def _claims(control: Control, claims: Iterable[Claim]) -> list[str]:
    mine = [claim for claim in claims if any(ref.control == control.id for ref in claim.controls)]
    return ["## Public statements", "", *[f"- {c.id}: {escape(c.text)}" for c in mine], ""] if mine else []


def _params(control: Control) -> list[str]:
    if not control.params:
        return []
    rows = [f"| `{name}` | {escape(_value(value))} |" for name, value in sorted(control.params.items())]
    return ["## Parameters", "", "| name | default |", "|---|---|", *rows, ""]


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _test(test: Test) -> list[str]:
    lines = [f"## Test {test.id}", ""]
    if test.implicit:
        lines += ["Made from the documents that the control asks for.", ""]
    if test.may_be_empty:
        lines += [f"It may find no item: {escape(test.may_be_empty)}", ""]
    rows = [f"| `{c.name}` | `{_code(c.expect)}` | {escape(c.finding)} |" for c in test.checks]
    lines += ["| check | must be true | if it is not |", "|---|---|---|", *rows, ""]
    return [*lines, "One row of this is one item:", "", "```sql", test.population.rstrip(), "```", ""]


def _code(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
