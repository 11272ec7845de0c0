"""The populations of a period: every item once, and how long it deviated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from compliancectl.model.evidence import Window
from compliancectl.model.period import Coverage, Deviation, PeriodTest
from compliancectl.model.result import Counts, ItemOutcome
from compliancectl.period.capture import Capture, CapturedControl, CapturedTest
from compliancectl.period.spans import gaps

Judged = tuple[Capture, CapturedTest]
_RANK: dict[ItemOutcome, int] = {"fail": 0, "unknown": 1, "waived": 2, "pass": 3, "excluded": 4}
_COUNTS = {"pass": "passed", "fail": "failed"}


@dataclass
class _Open:
    """A deviation that goes on."""

    sentence: str
    first: datetime
    last: datetime
    captures: int = 1


@dataclass
class _United:
    """What all captures together say of the items."""

    outcomes: dict[str, ItemOutcome] = field(default_factory=dict)
    occurrences: int = 0
    open: dict[str, _Open] = field(default_factory=dict)
    closed: list[Deviation] = field(default_factory=list)


def judge_test(
    start: datetime,
    end: datetime,
    control: str,
    test: str,
    seen: Sequence[tuple[Capture, CapturedControl]],
    outside: Iterable[Capture],
) -> PeriodTest:
    """Unite the populations of one test over the captures of a period.

    Args:
        start: the period's first instant.
        end: the instant after its last.
        control: the control's id.
        test: the test's id.
        seen: the captures within the period that have the control, in the order of time.
        outside: runs outside the period; they count when the evidence is about events of the period.
    """
    captures, events = judged(start, end, control, test, seen, outside)
    united = _unite(captures, events=events)
    for resource, deviation in united.open.items():
        united.closed.append(_deviation(resource, deviation, None, end, events=events))
    tally = Counter(_COUNTS.get(outcome, outcome) for outcome in united.outcomes.values())
    return PeriodTest(
        id=test,
        kind="events" if events else "state",
        population=Counts(**tally),
        occurrences=united.occurrences,
        deviations=tuple(sorted(united.closed, key=lambda d: (d.first, d.resource))),
        coverage=_coverage((found for _, found in captures), start, end),
    )


def judged(
    start: datetime,
    end: datetime,
    control: str,
    test: str,
    seen: Sequence[tuple[Capture, CapturedControl]],
    outside: Iterable[Capture],
) -> tuple[list[Judged], bool]:
    """The captures whose items make up the population of a test, in the order of time; and whether these are events."""
    inside = [(capture, found) for capture, held in seen for found in held.tests if found.id == test]
    events = any(found.windows for _, found in inside)
    beyond = _beyond(outside, control, test, start, end) if events else []
    return sorted([*inside, *beyond], key=lambda pair: (pair[0].as_of, pair[0].run_id)), events


def _beyond(outside: Iterable[Capture], control: str, test: str, start: datetime, end: datetime) -> list[Judged]:
    return [
        (capture, found)
        for capture in outside
        if control in capture.controls
        for found in capture.controls[control].tests
        if found.id == test and any(w.start < end and start < w.end for _, w in found.windows)
    ]


def _unite(captures: Sequence[Judged], *, events: bool) -> _United:
    united = _United()
    for capture, found in captures:
        at = capture.as_of
        population = found.population
        if population is None:
            continue  # what could not be judged neither ends a deviation nor begins one
        united.occurrences += len(population.outcomes)
        for resource, outcome in population.outcomes.items():
            if worse(outcome, united.outcomes.get(resource)):
                united.outcomes[resource] = outcome
        if not events:
            _close(united, population.outcomes, at)
        for resource, sentence in population.failures.items():
            known = united.open.setdefault(resource, _Open(sentence, at, at, 0))
            known.last, known.captures = at, known.captures + 1
    return united


def worse(outcome: ItemOutcome, before: ItemOutcome | None) -> bool:
    """True if this outcome of an item counts instead of the one before."""
    return before is None or _RANK[outcome] < _RANK[before]


def _close(united: _United, outcomes: dict[str, ItemOutcome], at: datetime) -> None:
    """End the deviations that this capture no longer shows. Not knowing ends none."""
    for resource in [r for r in united.open if outcomes.get(r) not in ("fail", "unknown")]:
        united.closed.append(_deviation(resource, united.open.pop(resource), at, at, events=False))


def _deviation(resource: str, found: _Open, until: datetime | None, end: datetime, *, events: bool) -> Deviation:
    return Deviation(
        resource=resource,
        sentence=found.sentence,
        first=found.first,
        last=found.last,
        until=until,
        captures=found.captures,
        hours=None if events else int((end - found.first).total_seconds() // 3600),
    )


def _coverage(captures: Iterable[CapturedTest], start: datetime, end: datetime) -> tuple[Coverage, ...]:
    windows: dict[str, list[Window]] = {}
    for found in captures:
        # A window says what was asked for; without rows that could be relied on, nothing was answered.
        for id, window in found.windows if found.population is not None else ():
            windows.setdefault(id, []).append(window)
    return tuple(
        Coverage(
            evidence=id,
            start=min(window.start for window in spans),
            end=max(window.end for window in spans),
            gaps=gaps(spans, start, end),
        )
        for id, spans in sorted(windows.items())
    )
