"""Judges an observation period by the chain of its runs.

Nothing is judged anew: every statement rests on what a sealed run said. What is added is what one run cannot see:
whether there were enough of them, how long something was so, what was never captured, and whether a control was the
same throughout.

A capture is a run that is judged as of an instant within the period. Windows of runs outside it count for the
populations of events, because the events of the last day are collected on the day after.

A control shows no deviations over the period only if none of its captures did, every capture that was due is there
(or its evidence is about events and its windows leave no gap), every one of them could be determined, and no bundle
that is known of was left unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any

import compliancectl
from compliancectl import clock
from compliancectl.errors import NotReadyError, UsageError
from compliancectl.model.evidence import Window
from compliancectl.model.period import (
    Change,
    LedgerEntry,
    Period,
    PeriodControl,
    PeriodTest,
    Stretch,
    Unread,
)
from compliancectl.model.result import ControlOutcome
from compliancectl.period.capture import Capture, CapturedControl
from compliancectl.period.items import judge_test
from compliancectl.period.spans import missed, slots

Seen = tuple[Capture, CapturedControl]
_RANK: tuple[ControlOutcome, ...] = ("inconclusive", "deviations", "no deviations", "no occurrences")


@dataclass(frozen=True)
class Chain:
    """The captures of a period in the order of time, and runs outside it for their windows."""

    start: datetime
    end: datetime
    inside: tuple[Capture, ...]
    outside: tuple[Capture, ...]


def judge(
    captures: Iterable[Capture],
    refused: Iterable[LedgerEntry],
    start: datetime,
    end: datetime,
    verdicts: dict[str, Any],
) -> Period:
    """Judge a period.

    Args:
        captures: every bundle that verifies.
        refused: the ledger's entries of those that do not, and of those that could not be read.
        start: the period's first instant.
        end: the instant after its last.
        verdicts: bundle → what verification said of it.

    Raises:
        UsageError: the period is empty, or bundles of several systems lie together.
        NotReadyError: there is no capture within the period.
    """
    if start >= end:
        raise UsageError("the period ends before it begins", hint="Give --from and --to in this order.")
    chain, doubles = chained(captures, start, end)
    ordered = sorted([*chain.inside, *chain.outside], key=_time)
    organization, system, environment = ordered[0].subject
    ids = sorted({id for capture in chain.inside for id in capture.controls})
    refused = sorted(refused, key=lambda entry: entry.bundle)
    unread = sum(entry.verdict == "not read" for entry in refused)
    controls = tuple(_control(chain, id, unread) for id in ids)
    return Period(
        organization=organization,
        system=system,
        environment=environment,
        start=start,
        end=end,
        tool_version=compliancectl.__version__,
        outcome=worst(control.outcome for control in controls),
        ledger=(
            *(_entry(capture, chain, verdicts, None) for capture in ordered),
            *(_entry(capture, chain, verdicts, "the same bundle lies here twice") for capture in doubles),
            *refused,
        ),
        controls=controls,
        unread=_unread(chain),
    )


def chained(captures: Iterable[Capture], start: datetime, end: datetime) -> tuple[Chain, list[Capture]]:
    """The chain of a period; and the bundles that are there again.

    Raises:
        UsageError: bundles of several systems lie together.
        NotReadyError: there is no capture within the period.
    """
    ordered, doubles = _distinct(captures)
    subjects = sorted({capture.subject for capture in ordered})
    if len(subjects) > 1:
        names = "; ".join(", ".join(subject) for subject in subjects)
        raise UsageError(f"bundles of several systems lie together: {names}", hint="Give each a folder of its own.")
    inside = tuple(c for c in ordered if start <= c.as_of < end)
    if not inside:
        raise NotReadyError("no run within the period verifies", hint="Look at --from and --to, and at the folder.")
    return Chain(start, end, inside, tuple(c for c in ordered if not start <= c.as_of < end)), doubles


def worst(outcomes: Iterable[ControlOutcome]) -> ControlOutcome:
    """Inconclusive before deviations before no deviations; none at all is inconclusive."""
    found = set(outcomes)
    return next((outcome for outcome in _RANK if outcome in found), "inconclusive")


def _distinct(captures: Iterable[Capture]) -> tuple[list[Capture], list[Capture]]:
    """Each bundle once, in the order of time; and those that are there again (a folder beside its ZIP)."""
    seen: dict[str, Capture] = {}
    doubles: list[Capture] = []
    for capture in sorted(captures, key=_time):
        if seen.setdefault(capture.bundle_sha256, capture) is not capture:
            doubles.append(capture)
    return list(seen.values()), doubles


def _time(capture: Capture) -> tuple[datetime, str, str]:
    return capture.as_of, capture.run_id, capture.bundle


def _entry(capture: Capture, chain: Chain, verdicts: dict[str, Any], why_not: str | None) -> LedgerEntry:
    inside = chain.start <= capture.as_of < chain.end
    return LedgerEntry.model_validate(
        {
            "bundle": capture.bundle,
            "verdict": verdicts[capture.bundle],
            "bundle_sha256": capture.bundle_sha256,
            "run_id": capture.run_id,
            "as_of": capture.as_of,
            "run_status": capture.run_status,
            "outcome": capture.outcome,
            "counted": inside and why_not is None,
            "why_not": why_not or (None if inside else "it is judged as of an instant outside the period"),
        }
    )


def _control(chain: Chain, id: str, unread: int) -> PeriodControl:
    seen: list[Seen] = [(c, c.controls[id]) for c in chain.inside if id in c.controls]
    latest = seen[-1][1]
    due = list(slots(latest.frequency, chain.start, chain.end))
    gone = missed(latest.frequency, chain.start, chain.end, (capture.as_of for capture, _ in seen))
    timeline = _timeline(seen, chain.end)
    tests = tuple(judge_test(chain.start, chain.end, id, test, seen, chain.outside) for test in _tests(seen))
    reasons = (*_reasons(gone, timeline, tests), *_uncovered(tests), *_unreadable(unread))
    outcomes = {control.outcome for _, control in seen}
    return PeriodControl(
        id=id,
        title=latest.title,
        severity=latest.severity,
        frequency=latest.frequency,
        outcome="inconclusive" if reasons else worst(outcomes - {"inconclusive"}),
        reasons=reasons,
        expected=len(due),
        captured=len(due) - sum(part.slots for part in gone),
        captures=len(seen),
        missed=gone,
        timeline=timeline,
        changes=_changes(chain, id),
        tests=tests,
    )


def _tests(seen: Sequence[Seen]) -> list[str]:
    return sorted({test.id for _, control in seen for test in control.tests})


def _timeline(seen: Sequence[Seen], end: datetime) -> tuple[Stretch, ...]:
    runs = [list(group) for _, group in groupby(seen, key=lambda pair: pair[1].outcome)]
    ends = [run[0][0].as_of for run in runs[1:]] + [end]
    return tuple(
        Stretch(
            outcome=run[0][1].outcome,
            start=run[0][0].as_of,
            end=until,
            captures=len(run),
            reason=next((t.reason for t in run[0][1].tests if t.outcome == "inconclusive"), None),
        )
        for run, until in zip(runs, ends, strict=True)
    )


def _reasons(gone: Sequence[Any], timeline: Sequence[Stretch], tests: Sequence[PeriodTest]) -> tuple[str, ...]:
    """Why the control cannot be determined over the whole period."""
    said = []
    # Events are found by a later run as well: what counts for them is that the windows leave no gap.
    if gone and not all(test.kind == "events" for test in tests):
        count = sum(part.slots for part in gone)
        said.append(
            f"{count} captures that were due are missing." if count > 1 else "1 capture that was due is missing."
        )
    unsure = [part for part in timeline if part.outcome == "inconclusive"]
    if unsure:
        count = sum(part.captures for part in unsure)
        said.append(f"{count} captures are inconclusive." if count > 1 else "1 capture is inconclusive.")
    return tuple(said)


def _uncovered(tests: Sequence[PeriodTest]) -> Iterator[str]:
    """What of the period no window of some evidence covers; items of one feed that lack the same are said together."""
    lacking: dict[tuple[str, Window], list[str]] = {}
    for part in sorted({part.evidence: part for test in tests for part in test.coverage}.values(), key=_evidence):
        for gap in part.gaps:
            lacking.setdefault((part.evidence.rpartition("/")[0], gap), []).append(part.evidence)
    for (feed, gap), (first, *more) in lacking.items():
        who = f"{first} and {len(more)} more of {feed} leave" if more else f"{first} leaves"
        yield f"{who} a gap from {clock.to_the_second(gap.start)} to {clock.to_the_second(gap.end, up=True)}."


def _unreadable(unread: int) -> list[str]:
    """What a bundle that could not be read says of a control is not known, whatever the others say."""
    return [f"{unread} {'bundle' if unread == 1 else 'bundles'} of the store could not be read."] if unread else []


def _evidence(part: Any) -> str:
    return str(part.evidence)


def _changes(chain: Chain, id: str) -> tuple[Change, ...]:
    found: list[Change] = []
    for before, after in pairwise(chain.inside):
        old, new = before.controls.get(id), after.controls.get(id)
        told = {"at": after.as_of, "run_id": after.run_id}
        if old is None and new is not None:
            found.append(Change(kind="added", after=new.sha256, **told))
        elif old is not None and new is None:
            found.append(Change(kind="removed", before=old.sha256, **told))
        elif old is not None and new is not None:
            if old.sha256 != new.sha256:
                found.append(Change(kind="definition", before=old.sha256, after=new.sha256, **told))
            if old.params != new.params:
                found.append(Change(kind="parameters", before=dict(old.params), after=dict(new.params), **told))
    return tuple(found)


def _unread(chain: Chain) -> tuple[Unread, ...]:
    """Tables that could not be relied on, as stretches of captures."""
    found: list[Unread] = []
    tables = sorted({t for c in chain.inside for k in c.controls.values() for x in k.tests for t in x.problems})
    for table in tables:
        states = [(c.as_of, problem) for c in chain.inside for read, problem in [_state(c, table)] if read]
        runs = [list(group) for _, group in groupby(states, key=lambda state: state[1] is not None)]
        ends = [run[0][0] for run in runs[1:]] + [chain.end]
        for run, until in zip(runs, ends, strict=True):
            if (problem := run[0][1]) is not None:
                found.append(Unread(table=table, start=run[0][0], end=until, captures=len(run), problem=problem))
    return tuple(found)


def _state(capture: Capture, table: str) -> tuple[bool, str | None]:
    """Whether any test of a capture reads a table, and what was wrong with it."""
    tests = [test for control in capture.controls.values() for test in control.tests if table in test.tables]
    return bool(tests), next((test.problems[table] for test in tests if table in test.problems), None)
