"""Diff: what changed between two runs, in what was asked, in what was found, and in what was looked at.

A finding that is not there any more is `resolved` only if its check was put to its item again and is true. If the item
left the population, the control was taken out, or the evidence could not be read, it is `gone`: it may still be so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from compliancectl import canonical
from compliancectl.errors import FileError, NotReadyError
from compliancectl.model.base import Wire
from compliancectl.model.diff import Change, ControlChange, Diff, FindingChange, FindingKind, PopulationChange, Side
from compliancectl.model.evidence import EvidenceItem, RunRecord
from compliancectl.model.result import ControlResult, ItemResult, Results, TestResult
from compliancectl.seal import Problem, archive, container, records, sums

_LIMIT = 1024**3
_ANY = "*"
_ABSENT = "-"
W = TypeVar("W", bound=Wire)


@dataclass(frozen=True)
class _Run:
    """One run, opened: records in memory, items of populations read when they are needed."""

    path: Path
    members: container.Container
    run: RunRecord
    results: Results
    statuses: Mapping[str, str]
    selection: Mapping[str, Any]
    sums_sha256: str | None

    def controls(self) -> dict[str, ControlResult]:
        return {control.id: control for control in self.results.controls}

    def tests(self) -> dict[str, TestResult]:
        return {f"{control.id}.{test.id}": test for control in self.results.controls for test in control.tests}

    def items(self, test: TestResult | None) -> dict[str, _Item] | None:
        """Resource → item; None if the test was not judged."""
        if test is None or test.items_path is None:
            return None
        data = _read(self.path, self.members, test.items_path)
        if canonical.sha256(data) != test.items_sha256:
            raise FileError("This is not what results.json says.", file=self.path / test.items_path, hint=_AGAIN)
        found = (ItemResult.model_validate_json(line) for line in data.splitlines())
        return {item.resource: _item(item) for item in found}


@dataclass(frozen=True)
class _Item:
    outcome: str
    checks: Mapping[str, str]
    sentences: Mapping[str, str] = field(repr=False)
    reason: str | None = None


_AGAIN = "Make the bundle again, or evaluate again."


def diff(old: Path, new: Path, progress: Callable[[str], None] = lambda text: None) -> Diff:
    """Compare two bundles (folder or ZIP) or evaluated run folders.

    Args:
        old: The earlier one.
        new: The later one.
        progress: told about each test.

    Raises:
        NotReadyError: if one was not evaluated.
        FileError: if a file in one is damaged, or another version's.
    """
    with ExitStack() as stack:
        one, other = _open(old, stack), _open(new, stack)
        tests = sorted(one.tests().keys() | other.tests().keys())
        populations: list[PopulationChange] = []
        findings: list[FindingChange] = []
        for name in tests:
            progress(name)
            was, now = one.tests().get(name), other.tests().get(name)
            before, after = one.items(was), other.items(now)
            change = _population(name, was, now, before, after)
            populations += [change] if change else []
            findings += _findings(name, before or {}, after or {}, _not_looked(name, now, other))
        return Diff(
            old=_side(one),
            new=_side(other),
            scope=tuple(_scope(one, other)),
            evidence=tuple(_changes(one.statuses, other.statuses)),
            controls=tuple(_controls(one.controls(), other.controls())),
            populations=tuple(populations),
            waivers=tuple(_changes(_waivers(one), _waivers(other))),
            findings=tuple(findings),
        )


def _open(path: Path, stack: ExitStack) -> _Run:
    try:
        members = stack.enter_context(archive.opened(path))
    except Problem as problem:
        raise FileError(problem.message, file=path, hint=problem.hint or _AGAIN) from problem
    for name, hint in ((records.RUN, "collect"), (records.RESULTS, "evaluate")):
        if name not in members.sizes:
            raise NotReadyError(f"{path} holds no {name}", hint=f"Run `compliancectl {hint}` first.")
    items = [n for n in members.sizes if n.startswith("evidence/") and n.endswith("/item.json") and "/." not in n]
    config = json.loads(_read(path, members, "catalog/config.json")) if "catalog/config.json" in members.sizes else {}
    listing = _read(path, members, sums.NAME) if sums.NAME in members.sizes else None
    return _Run(
        path=path,
        members=members,
        run=_parse(RunRecord, path, members, records.RUN),
        results=_parse(Results, path, members, records.RESULTS),
        statuses={item.id: item.status for item in (_parse(EvidenceItem, path, members, name) for name in items)},
        selection=config.get("selection", {}),
        sums_sha256=canonical.sha256(listing) if listing is not None else None,
    )


def _read(path: Path, members: container.Container, name: str) -> bytes:
    try:
        return container.read(members, name, limit=_LIMIT)
    except Problem as problem:
        raise FileError(problem.message, file=f"{path}/{name}", hint=problem.hint or _AGAIN) from problem


def _parse(kind: type[W], path: Path, members: container.Container, name: str) -> W:
    try:
        return kind.model_validate_json(_read(path, members, name))
    except ValueError as error:
        raise FileError(
            "This is not a file that this version can read.",
            file=f"{path}/{name}",
            hint="Use the version that wrote it.",
        ) from error


def _item(item: ItemResult) -> _Item:
    checks: dict[str, str] = dict(item.checks)
    if item.outcome == "unknown" and not checks:
        checks = {_ANY: "unknown"}
    sentences = {finding.check: finding.sentence for finding in item.findings}
    return _Item(item.outcome, checks, sentences, item.reason)


def _side(run: _Run) -> Side:
    return Side(
        path=str(run.path),
        run_id=run.run.id,
        as_of=run.results.as_of,
        outcome=run.results.outcome,
        status="complete" if run.run.status == "complete" else "partial",
        tool_version=run.results.tool_version,
        sums_sha256=run.sums_sha256,
    )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Change(name=name, old=old.get(name), new=new.get(name))


def _scope(one: _Run, other: _Run) -> Iterator[Change]:
    """Changes of what the runs were asked to look at, and with what."""
    yield from _changes(_asked(one), _asked(other))


def _asked(run: _Run) -> dict[str, Any]:
    wire = run.run.to_json()
    asked = {name: wire[name] for name in ("organization", "system", "environment", "scope_file", "scope_sha256")}
    asked |= {f"period.{name}": wire["period"][name] for name in ("start", "end")}
    asked |= {f"feed {name}": "asked for" for name in run.run.feeds}
    asked |= {f"collector {use.name}": f"{use.distribution} {use.version}" for use in run.run.collectors}
    asked |= {f"selection.{name}": list(value) for name, value in run.selection.items() if value}
    return asked | {"tool": run.results.tool_version, "engine": run.results.engine}


def _waivers(run: _Run) -> dict[str, Any]:
    return {w.id: w.model_dump(mode="json", exclude={"id", "applied"}) for w in run.results.waivers}


def _controls(old: Mapping[str, ControlResult], new: Mapping[str, ControlResult]) -> Iterator[ControlChange]:
    for id in sorted(old.keys() | new.keys()):
        was, now = old.get(id), new.get(id)
        params = tuple(_changes(_params(was), _params(now))) if was and now else ()
        file_changed = bool(was and now and was.sha256 != now.sha256)
        if was and now and not params and not file_changed and was.outcome == now.outcome:
            continue
        inconclusive = now.tests if now and now.outcome == "inconclusive" else ()
        yield ControlChange(
            id=id,
            change="changed" if was and now else "removed" if was else "added",
            old_outcome=was.outcome if was else None,
            new_outcome=now.outcome if now else None,
            file_changed=file_changed,
            params=params,
            reasons=tuple(f"{test.id}: {test.reason}" for test in inconclusive if test.reason),
        )


def _params(control: ControlResult | None) -> dict[str, Any]:
    return {use.name: use.value for use in control.params} if control else {}


def _population(
    name: str,
    was: TestResult | None,
    now: TestResult | None,
    before: Mapping[str, _Item] | None,
    after: Mapping[str, _Item] | None,
) -> PopulationChange | None:
    """How a test's population changed; None if it did not, or the test is not in both runs and judged in both."""
    if was is None or now is None or before is None or after is None:
        return None
    excluded = [{r for r, item in items.items() if item.outcome == "excluded"} for items in (before, after)]
    both = before.keys() & after.keys()
    change = PopulationChange(
        test=name,
        old=was.counts,
        new=now.counts,
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        newly_excluded=tuple(sorted((excluded[1] - excluded[0]) & both)),
        no_longer_excluded=tuple(sorted((excluded[0] - excluded[1]) & both)),
    )
    lists = (change.added, change.removed, change.newly_excluded, change.no_longer_excluded)
    return change if any(lists) else None


def _not_looked(name: str, now: TestResult | None, run: _Run) -> str | None:
    """Why a test was not put to anything in this run; None if it was."""
    if now is None:
        control = name.partition(".")[0]
        return f"{name} is not part of this run" if control in run.controls() else f"{control} is not part of this run"
    return None if now.items_path is not None else f"the test is inconclusive: {now.reason}"


def _findings(
    test: str, before: Mapping[str, _Item], after: Mapping[str, _Item], not_looked: str | None
) -> Iterator[FindingChange]:
    for resource in sorted(before.keys() | after.keys()):
        was, now = before.get(resource), after.get(resource)
        old, new = (was.checks if was else {}), (now.checks if now else {})
        for check in sorted(old.keys() | new.keys()):
            one, other = old.get(check, _ABSENT), new.get(check, _ABSENT)
            kind, reason = _kind(one, other, now, not_looked)
            if kind is None:
                continue
            item = now if kind in ("new", "changed") else was
            yield FindingChange(
                kind=kind,
                test=test,
                resource=resource,
                check=check,
                old=one,
                new=other,
                sentence=(item.sentences.get(check) or item.reason) if item else None,
                reason=reason,
            )


def _kind(old: str, new: str, now: _Item | None, not_looked: str | None) -> tuple[FindingKind | None, str | None]:
    """The kind of change, if it is one, and why nobody looked any more, if nobody did."""
    good = ("pass", _ABSENT)
    if old == new or (old in good and new in good):
        return None, None
    if old in good:
        return "new", None
    if new == "pass":
        return "resolved", None
    if new != _ABSENT:
        return "changed", None
    if not_looked:
        return "gone", not_looked
    if now is None:
        return "gone", "the item is not in the population any more"
    if now.outcome == "excluded":
        return "gone", f"the item is excluded: {now.reason}"
    if now.outcome == "unknown":
        return "changed", now.reason
    return "gone", "the check is not part of the test any more"
