"""`compliancectl.yaml`: the systems, sources and period assessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from compliancectl.load.document import Document, read
from compliancectl.load.forms import Form, Text, fill
from compliancectl.load.problems import Problems
from compliancectl.model.scope import LeaveOut, PeriodSpec, Scope, Selection


class SelectionForm(Form):
    """Which controls apply, and with which parameters."""

    only: tuple[Text, ...] = ()
    frameworks: tuple[Text, ...] = ()
    folders: tuple[Text, ...] = ()
    params: dict[str, dict[str, Any]] = Field(default={})
    disabled: dict[str, Text] = Field(default={})


class LeaveOutForm(Form):
    """Criteria that the organisation does not answer for."""

    framework: Text
    groups: tuple[Text, ...] = ()
    roles: tuple[Text, ...] = ()
    reason: Text


class ScopeForm(Form):
    """One scope file."""

    organization: Text
    system: Text
    environment: Text = "production"
    period: PeriodSpec | None = None
    controls: SelectionForm = SelectionForm()
    left_out: tuple[LeaveOutForm, ...] = ()
    waivers: Text | None = None
    claims: Text | None = None
    sources: dict[str, dict[str, Any]] = Field(min_length=1)


def load_scope(path: Path) -> Scope:
    """Read a scope file. Each source's own section is validated later, by its collector.

    Raises:
        FileError: with file and line, if it is missing or mistaken (`FileErrors` if in several places).
    """
    document, problems = read(path), Problems(path)
    form = fill(ScopeForm, document, problems)
    if form is not None:
        _check_period(form.period, document, problems)
    problems.raise_if_any()
    assert form is not None
    return Scope(
        **form.model_dump(exclude={"controls", "period", "left_out"}),
        period=form.period,
        controls=Selection(**form.controls.model_dump()),
        left_out=tuple(LeaveOut(**entry.model_dump()) for entry in form.left_out),
        file=path,
        sha256=document.sha256,
        lines=document.flat_lines(),
    )


def _check_period(period: PeriodSpec | None, document: Document, problems: Problems) -> None:
    if period is not None and period.end <= period.start:
        hint = "The end is the first day that no longer belongs to the period."
        problems.add(
            document.line("period", "end"),
            f"The period ends on {period.end}, not after its start {period.start}.",
            hint,
        )
