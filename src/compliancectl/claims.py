"""What the evidence makes of public statements: a register and results → a status for each claim. Pure.

A claim is universal: "our databases are not exposed" is false as soon as one database is. So one item that fails
contradicts it, whatever else is unknown, and a waiver changes nothing: it accepts a risk, it does not make a sentence
true. It is evidenced only when everything that it names was judged and holds, and at least one item showed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compliancectl.model.claim import (
    Basis,
    Bearing,
    Claim,
    ClaimRegister,
    ClaimResult,
    ClaimsResult,
    ClaimStatus,
    Ground,
    Reference,
)
from compliancectl.model.result import CheckResult, ControlResult, Results, TestResult

ORDER: tuple[ClaimStatus, ...] = ("contradicted", "evidenced", "inherited", "planned", "unproven", "not testable")
"""As people should read them."""

_HELD: dict[Basis, ClaimStatus] = {"own": "evidenced", "vendor": "inherited", "plan": "planned"}
"""What a claim is when all that it names holds."""


def judge_claims(register: ClaimRegister, results: Results, earlier: Iterable[Results] = ()) -> ClaimsResult:
    """Work out the status of every claim, in the order of the register.

    Args:
        register: the claims.
        results: today's assessment.
        earlier: assessments of before, in any order; they say since when a status holds.
    """
    past = sorted((r for r in earlier if r.as_of < results.as_of), key=lambda r: r.as_of, reverse=True)
    return ClaimsResult(
        organization=results.organization,
        system=results.system,
        environment=results.environment,
        run_id=results.run_id,
        as_of=results.as_of,
        register_sha256=register.sha256,
        claims=tuple(_claim(claim, results, past) for claim in register.claims),
    )


def _claim(claim: Claim, results: Results, past: Sequence[Results]) -> ClaimResult:
    grounds = _grounds(claim, results)
    status = _status(claim, grounds)
    since = results.as_of if past else None
    for before in past:
        if _status(claim, _grounds(claim, before)) != status:
            break
        since = before.as_of
    return ClaimResult(
        **claim.model_dump(include={"id", "text", "page", "section", "testable", "basis", "note"}),
        status=status,
        since=since,
        grounds=grounds,
    )


def _status(claim: Claim, grounds: Sequence[Ground]) -> ClaimStatus:
    if claim.testable == "statement":
        return "not testable"
    bearings = {ground.bearing for ground in grounds}
    if "contradicts" in bearings:
        return "contradicted"
    if not bearings or bearings != {"supports"}:
        return "unproven"
    return _HELD[claim.basis]


def _grounds(claim: Claim, results: Results) -> tuple[Ground, ...]:
    """What each reference says; a part in which nothing occurred is silent only if no other part shows anything."""
    controls = {control.id: control for control in results.controls}
    found = [ground(reference, controls.get(reference.control)) for reference in claim.controls]
    if any(one.bearing == "supports" for one in found):
        quiet = [r for r, one in zip(claim.controls, found, strict=True) if _nothing_occurred(r, controls)]
        names = {str(reference) for reference in quiet}
        found = [one.model_copy(update={"bearing": "supports"}) if one.reference in names else one for one in found]
    return tuple(found)


def _nothing_occurred(reference: Reference, controls: dict[str, ControlResult]) -> bool:
    control = controls.get(reference.control)
    tests = _tests(reference, control) if control is not None else []
    return bool(tests) and all(test.outcome == "no occurrences" for test in tests)


def ground(reference: Reference, control: ControlResult | None) -> Ground:
    """What a control, or the part of it that is named, says about a claim."""
    if control is None:
        return Ground(
            reference=str(reference), bearing="absent", sentence=f"No control {reference.control} was judged."
        )
    tests = _tests(reference, control)
    if not tests:
        return Ground(reference=str(reference), bearing="absent", sentence=f"{reference} was not judged.")
    bearing, sentence = _bearing(reference, tests)
    return Ground(reference=str(reference), bearing=bearing, sentence=sentence)


def _tests(reference: Reference, control: ControlResult) -> list[TestResult]:
    tests = [test for test in control.tests if reference.test in (None, test.id)]
    if reference.check is None:
        return tests
    return [test for test in tests if any(check.name == reference.check for check in test.checks)]


def _bearing(reference: Reference, tests: Sequence[TestResult]) -> tuple[Bearing, str]:
    false = sum(_false(test, reference.check) for test in tests)
    if false:
        return "contradicts", _counter_example(reference, tests, false)
    unjudged = next((t for t in tests if t.outcome == "inconclusive" and _undecided(t, reference.check)), None)
    if unjudged is not None:
        return "silent", f"{unjudged.id} is inconclusive: {unjudged.reason or 'items are unknown.'}"
    shown = sum(_shown(test, reference.check) for test in tests)
    if not shown:
        reasons = dict.fromkeys(test.reason for test in tests if test.reason)
        return "silent", " ".join(reasons) or "Nothing occurred that could show it."
    return "supports", f"{shown} of {shown} items pass."


def _check(test: TestResult, name: str) -> CheckResult:
    return next(check for check in test.checks if check.name == name)


def _false(test: TestResult, name: str | None) -> int:
    """Items for which it is not so, accepted by a waiver or not."""
    counted = _check(test, name) if name is not None else test.counts
    return counted.failed + counted.waived


def _undecided(test: TestResult, name: str | None) -> bool:
    """Whether what is inconclusive about a test concerns the check: another one of its checks may be the reason."""
    if name is None:
        return True
    check, counted = _check(test, name), test.counts.total - test.counts.excluded
    # A record that broke its table's contract is an unknown item without checks: it is missing from this sum.
    return counted == 0 or check.passed + check.failed + check.waived != counted


def _shown(test: TestResult, name: str | None) -> int:
    return _check(test, name).passed if name is not None else test.counts.passed


def _counter_example(reference: Reference, tests: Sequence[TestResult], false: int) -> str:
    """`1 of 4 items: …` with the first finding that there is."""
    total = sum(test.counts.total - test.counts.excluded for test in tests)
    for test in tests:
        for item in test.deviations:
            for finding in item.findings:
                if finding.outcome != "unknown" and reference.check in (None, finding.check):
                    waived = f" Waiver {finding.waiver} accepts it." if finding.waiver else ""
                    return f"{false} of {total} items: {finding.sentence}{waived}"
    return f"{false} of {total} items fail."
