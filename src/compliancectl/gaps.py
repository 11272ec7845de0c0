"""Assessments → gaps: what is open, since when, until when, and whom it concerns. Pure but for reading the items kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from compliancectl.assessed import Assessed
from compliancectl.model.claim import ClaimRegister
from compliancectl.model.control import Severity
from compliancectl.model.gap import DUE_DAYS, Gap, Gaps
from compliancectl.model.result import ControlResult, Finding, ItemResult, TestResult

_RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3}


def identity(control: str, test: str, check: str, resource: str) -> str:
    """The name of a gap: the same in every assessment, whatever its sentence says."""
    text = "\0".join((control, test, check, resource))
    return f"GAP-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def find_gaps(
    today: Assessed,
    register: ClaimRegister | None = None,
    earlier: Sequence[Assessed] = (),
    due_days: Mapping[Severity, int] = DUE_DAYS,
) -> Gaps:
    """List the gaps of an assessment: the most severe first, and of those the longest open.

    Args:
        today: the assessment.
        register: the claims that gaps are held against.
        earlier: assessments of before, in any order; they say since when a gap is open.
        due_days: severity → days that a gap may stay open.

    Raises:
        FileError: if kept items are missing or damaged.
    """
    past = sorted((a for a in earlier if a.results.as_of < today.results.as_of), key=lambda a: a.results.as_of)
    history = [(a.results.as_of, _ids(a)) for a in reversed(past)]
    results = today.results
    gaps = [
        _gap(today, control, test, item, finding, _first_seen(results.as_of, id, history), register, due_days)
        for control, test, item, finding, id in _found(today)
    ]
    here = {gap.id for gap in gaps}
    return Gaps(
        organization=results.organization,
        system=results.system,
        environment=results.environment,
        run_id=results.run_id,
        as_of=results.as_of,
        gaps=tuple(
            sorted(gaps, key=lambda g: (g.waiver is not None, _RANK[g.severity], g.first_seen, g.control, g.id))
        ),
        closed=tuple(sorted(history[0][1] - here)) if history else (),
        undecided_items=sum(t.counts.unknown for c in results.controls for t in c.tests),
        unjudged_tests=tuple(f"{c.id}.{t.id}" for c in results.controls for t in c.tests if t.items_path is None),
    )


def _found(assessed: Assessed) -> list[tuple[ControlResult, TestResult, ItemResult, Finding, str]]:
    return [
        (control, test, item, finding, identity(control.id, test.id, finding.check, item.resource))
        for control in assessed.results.controls
        for test in control.tests
        if test.items_path is not None and test.counts.failed + test.counts.waived
        for item in assessed.items(test.items_path, test.items_sha256)
        for finding in item.findings
        if finding.outcome != "unknown"
    ]


def _ids(assessed: Assessed) -> set[str]:
    return {id for *_, id in _found(assessed)}


def _first_seen(as_of: datetime, id: str, history: Sequence[tuple[datetime, set[str]]]) -> datetime:
    for moment, ids in history:
        if id not in ids:
            break
        as_of = moment
    return as_of


def _gap(
    today: Assessed,
    control: ControlResult,
    test: TestResult,
    item: ItemResult,
    finding: Finding,
    first_seen: datetime,
    register: ClaimRegister | None,
    due_days: Mapping[Severity, int],
) -> Gap:
    due = (first_seen + timedelta(days=due_days[control.severity])).date()
    return Gap(
        id=identity(control.id, test.id, finding.check, item.resource),
        control=control.id,
        title=control.title,
        test=test.id,
        check=finding.check,
        resource=item.resource,
        sentence=finding.sentence,
        severity=control.severity,
        owner=control.owner,
        criteria=control.satisfies,
        claims=_claims(register, control.id, test.id, finding.check),
        remediation=control.remediation,
        first_seen=first_seen,
        due=due,
        overdue=today.results.as_of.date() > due,
        waiver=finding.waiver,
    )


def _claims(register: ClaimRegister | None, control: str, test: str, check: str) -> tuple[str, ...]:
    """The statements that name what failed, and that can be false at all."""
    return tuple(
        claim.id
        for claim in (register.claims if register is not None else ())
        if claim.testable != "statement"
        and any(r.control == control and r.test in (None, test) and r.check in (None, check) for r in claim.controls)
    )
