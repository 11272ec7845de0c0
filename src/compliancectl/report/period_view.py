"""What a report on a period says beyond an assessment: timelines, exceptions, populations, samples, the run ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pydantic

from compliancectl import clock
from compliancectl.errors import FileError, UsageError
from compliancectl.model.period import Coverage, Deviation, LedgerEntry, Period, PeriodControl, PeriodTest
from compliancectl.model.sample import Sample
from compliancectl.period import reading
from compliancectl.period.kind import PERIOD
from compliancectl.period.populations import file_name
from compliancectl.report import text
from compliancectl.report.book import SEVERITIES
from compliancectl.report.pdf import Enclosure
from compliancectl.report.views import Ground

TABLES: tuple[str, ...] = ()
SHOWN = 40
"""Exceptions printed per test; exceptions.csv, which is enclosed, has all."""
WIDTH = 1000.0
_LETTER = 8.0
"""How wide a letter of the scale is, as a part of `WIDTH`."""
_DAYS_NAMED, _MONTHS_NAMED = timedelta(days=93), timedelta(days=550)
"""The longest periods whose scale has days, and months."""
_LEAST = 2.0
"""Width of the shortest stretch, so that one bad day in a year can be seen."""


@dataclass(frozen=True)
class Mark:
    """A part of a timeline."""

    outcome: str
    x: float
    width: float


@dataclass(frozen=True)
class Timeline:
    """A control over the period."""

    marks: tuple[Mark, ...]
    gaps: tuple[Mark, ...]
    """Slots without a capture, over the marks."""
    text: str


@dataclass(frozen=True)
class TestOver:
    """One test over the period."""

    result: PeriodTest
    exceptions: tuple[tuple[Deviation, str], ...]
    """(deviation, how long it lasted in words), the first of them."""
    more: int
    extent: str
    """`2 of 412 items`."""
    file: str
    sha256: str
    covered: tuple[tuple[Coverage, tuple[str, ...]], ...]
    """What windows cover, each with every evidence item that it is so of."""


@dataclass(frozen=True)
class ControlOver:
    """One control over the period."""

    result: PeriodControl
    timeline: Timeline
    continuity: tuple[str, ...]
    """One sentence for each stretch and gap, in the order of time."""
    state: bool
    """True if it is about how something is, false if about events."""
    tests: tuple[TestOver, ...]

    @property
    def exceptions(self) -> int:
        return sum(len(test.result.deviations) for test in self.tests)


@dataclass(frozen=True)
class SampleView:
    """A sample with a letter for each attribute."""

    sample: Sample
    letters: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PeriodView:
    """The period as templates print it."""

    period: Period
    controls: tuple[ControlOver, ...]
    """In the order of their ids."""
    by_id: Mapping[str, ControlOver]
    failing: tuple[ControlOver, ...]
    """Those with exceptions, the most severe first."""
    ticks: tuple[tuple[float, str], ...]
    """(position, name or nothing) on every timeline."""
    span: tuple[str, str]
    """First and last, as `--from` and `--to` take them."""
    captures: int
    refused: tuple[LedgerEntry, ...]
    unread: tuple[LedgerEntry, ...]
    """Bundles that are known of and could not be had."""
    not_counted: tuple[LedgerEntry, ...]
    longest_gap: str | None
    samples: tuple[SampleView, ...]
    enclosures: tuple[Enclosure, ...]


def view(ground: Ground) -> PeriodView:
    """Make the view of a package.

    Raises:
        UsageError: a sample was not drawn from this package.
        FileError: a sample cannot be read.
    """
    package = reading.read(ground.path)
    period, digests = package.period, package.digests
    counted = [entry for entry in period.ledger if entry.counted]
    files = (
        (PERIOD, "What was found in the chain of runs"),
        ("ledger.csv", "Every bundle that was found"),
        ("exceptions.csv", "Every deviation of the period"),
        ("populations.csv", "Sizes and digests of the populations"),
    )
    controls = tuple(_control(control, period, digests) for control in period.controls)
    return PeriodView(
        period=period,
        controls=controls,
        by_id={control.result.id: control for control in controls},
        failing=tuple(sorted((control for control in controls if control.exceptions), key=_severity)),
        ticks=tuple(_ticks(period.start, period.end)),
        span=(_argument(period.start), _argument(period.end)),
        captures=len(counted),
        refused=tuple(entry for entry in period.ledger if entry.verdict == "does not verify"),
        unread=tuple(entry for entry in period.ledger if entry.verdict == "not read"),
        not_counted=tuple(e for e in period.ledger if not e.counted and e.problem is None),
        longest_gap=_longest([entry.as_of for entry in counted if entry.as_of]),
        samples=tuple(_sample(path, package.sums_sha256) for path in ground.samples),
        enclosures=tuple(Enclosure(name, said, "Data", reading.member(ground.path, name)) for name, said in files),
    )


def _severity(control: ControlOver) -> tuple[int, str]:
    return SEVERITIES.index(control.result.severity), control.result.id


def _control(control: PeriodControl, period: Period, digests: dict[str, str]) -> ControlOver:
    return ControlOver(
        result=control,
        timeline=_timeline(control, period),
        continuity=tuple(_sentences(control, period.end)),
        state=any(test.kind == "state" for test in control.tests),
        tests=tuple(_test(control.id, test, digests) for test in control.tests),
    )


def _test(control: str, test: PeriodTest, digests: dict[str, str]) -> TestOver:
    name = file_name(control, test.id)
    failed = len({item.resource for item in test.deviations})
    return TestOver(
        result=test,
        exceptions=tuple((item, _lasted(item)) for item in test.deviations[:SHOWN]),
        more=max(0, len(test.deviations) - SHOWN),
        extent=f"{failed:,} of {text.count(test.population.total, 'item')}",
        file=name,
        sha256=digests[name],
        covered=tuple(_alike(test.coverage)),
    )


def _alike(coverage: Sequence[Coverage]) -> Iterator[tuple[Coverage, tuple[str, ...]]]:
    """One entry for all evidence items that cover the same."""
    found: dict[tuple[object, ...], list[Coverage]] = {}
    for part in coverage:
        found.setdefault((part.start, part.end, part.gaps), []).append(part)
    for parts in found.values():
        yield parts[0], tuple(part.evidence for part in parts)


def _lasted(item: Deviation) -> str:
    if item.hours is None:
        return "an event"
    span = days(timedelta(hours=item.hours))
    return (
        f"{span}, open at the end of the period"
        if item.until is None
        else span
        if item.hours == 0
        else f"at most {span}"
    )


def days(span: timedelta) -> str:
    """`9 days`, `9 days 4 hours`, `7 hours`, `less than an hour`."""
    hours = int(span.total_seconds() // 3600)
    if not hours:
        return "less than an hour"
    parts = [text.count(hours // 24, "day")] if hours >= 24 else []
    parts += [text.count(hours % 24, "hour")] if hours % 24 else []
    return " ".join(parts)


def _timeline(control: PeriodControl, period: Period) -> Timeline:
    def mark(outcome: str, start: datetime, end: datetime) -> Mark:
        whole = (period.end - period.start).total_seconds()
        x = WIDTH * (start - period.start).total_seconds() / whole
        wide = max(_LEAST, WIDTH * (end - start).total_seconds() / whole)
        return Mark(outcome, round(min(x, WIDTH - wide), 2), round(wide, 2))

    order = ("no occurrences", "no deviations", "inconclusive", "deviations")
    marks = [mark(part.outcome, part.start, part.end) for part in control.timeline]
    return Timeline(
        marks=tuple(sorted(marks, key=lambda m: (order.index(m.outcome), m.x))),
        gaps=tuple(mark("gap", gap.start, gap.end) for gap in control.missed),
        text=" ".join(_sentences(control, period.end)),
    )


def _sentences(control: PeriodControl, end: datetime) -> Iterator[str]:
    """How it was over time, in words."""
    told: list[tuple[datetime, str]] = []
    for part in control.timeline:
        span = f"{part.start:%Y-%m-%d} to {part.end:%Y-%m-%d}"
        said = f"{text.sentence(part.outcome)[:-1]} in {text.count(part.captures, 'capture')}, {span}."
        told.append((part.start, f"{said} {text.sentence(part.reason)}" if part.reason else said))
    for gap in control.missed:
        again = f"; captured again from {gap.end:%Y-%m-%d}" if gap.end < end else ""
        span = f"{gap.start:%Y-%m-%d} to {gap.end:%Y-%m-%d}"
        told.append((gap.start, f"No capture from {span}: {text.count(gap.slots, 'capture')} missing{again}."))
    for change in control.changes:
        what = {"added": "The control was added", "removed": "The control was removed"}.get(
            change.kind, f"Its {change.kind} changed"
        )
        told.append((change.at, f"{what} with the run of {change.at:%Y-%m-%d}."))
    for _, sentence in sorted(told, key=lambda pair: pair[0]):
        yield sentence


def _ticks(start: datetime, end: datetime) -> Iterator[tuple[float, str]]:
    """Where days, months or quarters begin, with a name where there is room for one."""
    whole, free = (end - start).total_seconds(), 0.0
    year = None
    for at in _beginnings(start, end):
        name = (
            f"{at.day} {text.MONTHS[at.month - 1][:3]}" if end - start <= _DAYS_NAMED else text.MONTHS[at.month - 1][:3]
        )
        name = name if at.year == year else f"{name} {at.year}"
        x = round(WIDTH * (at - start).total_seconds() / whole, 2)
        wide = _LETTER * len(name)
        if x < free or x + wide > WIDTH:
            yield x, ""
            continue
        free, year = x + wide + _LETTER, at.year
        yield x, name


def _beginnings(start: datetime, end: datetime) -> Iterator[datetime]:
    """The start, and then each week of a short period, month of a year, quarter of a long one."""
    at = start
    while at < end:
        yield at
        if end - start <= _DAYS_NAMED:
            at += timedelta(days=7 if end - start > timedelta(days=14) else 1)
            continue
        step = 1 if end - start <= _MONTHS_NAMED else 3
        month = at.year * 12 + (at.month - 1) // step * step + step
        at = at.replace(year=month // 12, month=month % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _argument(at: datetime) -> str:
    whole = clock.text(at)
    return whole.removesuffix("T00:00:00Z")


def _longest(instants: Sequence[datetime]) -> str | None:
    gaps = [after - before for before, after in pairwise(instants)]
    return days(max(gaps)) if gaps else None


def _sample(path: Path, package: str) -> SampleView:
    try:
        sample = Sample.model_validate_json(path.read_bytes())
    except OSError as error:
        raise FileError(f"it cannot be read: {error.strerror}", file=path, hint="Name a sample (JSON).") from None
    except pydantic.ValidationError as error:
        said = str(error).splitlines()[0]
        hint = "Write it with `compliancectl sample … -o sample.json`."
        raise FileError(f"this is no sample: {said}", file=path, hint=hint) from None
    if sample.bundle_sha256 != package:
        raise UsageError(f"{path} was not drawn from this package", hint="Draw it from the package itself.")
    letters = tuple((chr(97 + n % 26), check) for n, check in enumerate(sample.checks))
    return SampleView(sample, letters)
