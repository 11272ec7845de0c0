"""What a scope leaves out: controls that do not apply, and criteria that the organisation does not answer for. With a reason."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from compliancectl.load.problems import Problems, suggestion
from compliancectl.model.control import Control
from compliancectl.model.framework import Criterion, Framework
from compliancectl.model.result import DisabledControl, LeftOut
from compliancectl.model.scope import LeaveOut, Scope


def disabled(scope: Scope, controls: Iterable[Control]) -> tuple[DisabledControl, ...]:
    """The controls that a scope disables, by id.

    Raises:
        FileError: naming file and line, if one does not exist.
    """
    known, problems = {control.id: control for control in controls}, Problems(scope.file)
    for id in scope.controls.disabled:
        if id not in known:
            line = scope.lines.get(f"controls.disabled.{id}")
            problems.add(line, f'The scope disables the control "{id}", which does not exist.', suggestion(id, known))
    problems.raise_if_any()
    return tuple(
        DisabledControl(
            id=id, title=known[id].title, severity=known[id].severity, satisfies=known[id].satisfies, reason=reason
        )
        for id, reason in sorted(scope.controls.disabled.items())
    )


def left_out(scope: Scope, frameworks: Iterable[Framework]) -> tuple[LeftOut, ...]:
    """The criteria that a scope leaves out, entry by entry.

    Raises:
        FileError: naming file and line, if an entry names what does not exist, or leaves nothing out.
    """
    known, problems = {framework.id: framework for framework in frameworks}, Problems(scope.file)
    found = []
    for index, entry in enumerate(scope.left_out):
        framework = known.get(entry.framework)
        line = scope.lines.get(f"left_out.{index}.framework") or scope.lines.get("left_out")
        if framework is None:
            message = f'The scope leaves out criteria of "{entry.framework}", which is no framework.'
            problems.add(line, message, suggestion(entry.framework, known))
            continue
        criteria = tuple(c.id for c in framework.criteria if _meant(entry, c))
        if not criteria:
            groups = ", ".join(sorted({c.group for c in framework.criteria}))
            roles = ", ".join(sorted({c.role for c in framework.criteria if c.role}))
            hint = f"Groups of {framework.id}: {groups}. Roles: {roles}."
            problems.add(line, f"This leaves out no criterion of {framework.id}.", hint)
        found.append(LeftOut(framework=framework.id, criteria=criteria, reason=entry.reason))
    problems.raise_if_any()
    return tuple(found)


def _meant(entry: LeaveOut, criterion: Criterion) -> bool:
    group = not entry.groups or any(fnmatchcase(criterion.group.lower(), g.lower()) for g in entry.groups)
    return group and (not entry.roles or criterion.role in entry.roles)
