"""`waivers.yaml`: approved, reasoned, dated acceptance of named findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from compliancectl.load.document import Document, read
from compliancectl.load.forms import Form, Text, fill
from compliancectl.load.problems import Problems, suggestion
from compliancectl.model.control import Control
from compliancectl.model.waiver import Waiver


class WaiverForm(Form):
    """One waiver."""

    id: Text
    control: Text
    test: Text | None = None
    items: Annotated[tuple[Text, ...], Field(min_length=1)]
    checks: Annotated[tuple[Text, ...], Field(min_length=1)]
    approver: Text
    reason: Text
    approved: date
    expires: date


class WaiversForm(Form):
    """The whole file."""

    waivers: tuple[WaiverForm, ...]


def load_waivers(path: Path, controls: Iterable[Control], *, selection: bool = False) -> tuple[Waiver, ...]:
    """Read a waivers file, sorted by id.

    Args:
        path: the file.
        controls: all that exist, not only those selected.
        selection: `controls` are only a selection, as in a bundle; waivers of others are taken as they are.

    Raises:
        FileError: with file and line: a missing approver, reason or expiry; an unknown control, test or check.
    """
    document, problems = read(path), Problems(path)
    form = fill(WaiversForm, document, problems)
    known = {control.id: control for control in controls}
    seen: dict[str, int] = {}
    for index, waiver in enumerate(form.waivers if form is not None else ()):
        line = document.line("waivers", index, "id")
        if waiver.id in seen:
            problems.add(line, f'Two waivers are called "{waiver.id}"; the first is on line {seen[waiver.id]}.')
        seen.setdefault(waiver.id, line)
        _check_dates(waiver, index, document, problems)
        if waiver.control in known or not selection:
            _check_targets(waiver, index, known, document, problems)
    problems.raise_if_any()
    assert form is not None
    found = [
        Waiver(**waiver.model_dump(), line=document.line("waivers", index), file=str(path))
        for index, waiver in enumerate(form.waivers)
    ]
    return tuple(sorted(found, key=lambda waiver: waiver.id))


def _check_dates(waiver: WaiverForm, index: int, document: Document, problems: Problems) -> None:
    if waiver.expires < waiver.approved:
        message = f"The waiver expires on {waiver.expires}, before it was approved on {waiver.approved}."
        problems.add(document.line("waivers", index, "expires"), message, "Correct one of the two dates.")


def _check_targets(
    waiver: WaiverForm, index: int, known: Mapping[str, Control], document: Document, problems: Problems
) -> None:
    control = known.get(waiver.control)
    if control is None:
        message = f'The waiver names the control "{waiver.control}", which does not exist.'
        problems.add(document.line("waivers", index, "control"), message, suggestion(waiver.control, known))
        return
    tests = {test.id: test for test in control.tests}
    if waiver.test is not None and waiver.test not in tests:
        message = f'{control.id} has no test "{waiver.test}".'
        problems.add(document.line("waivers", index, "test"), message, suggestion(waiver.test, tests))
        return
    checks = {check.name for test in tests.values() if waiver.test in (None, test.id) for check in test.checks}
    for number, name in enumerate(waiver.checks):
        if name not in checks:
            message = f'{control.id} has no check "{name}".'
            problems.add(document.line("waivers", index, "checks", number), message, suggestion(name, checks))
