"""Items by day: the calendar of a population that has a date for each item, such as backups or merged changes.

Which value is the date is not declared anywhere, so it is found, and the page names it: the one that every item that counts
has, with nearly all of them inside the observation period, on the most days.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from compliancectl.model.evidence import Window
from compliancectl.report.text import MONTHS, count, listed, on_day

FEWEST = 7
"""Days with an item; of fewer a sentence says as much."""
_ORDER = ("fail", "unknown", "waived", "pass", "excluded")
_NUMBERED = 27
"""Weeks up to which a cell has room for a number."""
_PITCH, _SMALL = 46.0, 29.0
"""From one cell to the next, in tenths of a millimetre: with a number, and without."""
_LEFT, _TOP = 70.0, 34.0
_NAMED = 20
"""Days that are named in the text that is read out."""


@dataclass(frozen=True)
class Days:
    """How many items of each outcome a day has."""

    column: str
    """The observed value that is the date."""
    counts: Mapping[date, Mapping[str, int]]
    before: int
    """Items before the observation period or after it, which are not in `counts`."""
    without: int
    """Items that have no such value: excluded ones."""


@dataclass(frozen=True)
class Cell:
    """One day."""

    outcome: str
    """The worst of its items; `none` if it has none."""
    number: int
    """Items with this outcome."""
    x: float
    y: float


@dataclass(frozen=True)
class Calendar:
    """Weeks side by side, Monday above, in tenths of a millimetre."""

    column: str
    width: float
    height: float
    size: float
    """Of a cell."""
    numbered: bool
    cells: tuple[Cell, ...]
    names: tuple[tuple[float, float, str], ...]
    """(x, y, month or weekday)."""
    sentence: str
    tally: tuple[tuple[str, int], ...]
    """(outcome, days), worst first."""
    text: str
    """What is read out instead of the figure."""


class Tally:
    """Takes the items of a population one by one and counts them by day, for each value that may be the date.

    Which values may be is settled by the first item that counts; most populations have none, and cost nothing after it.
    """

    def __init__(self) -> None:
        self._before: list[Mapping[str, Any]] | None = []
        """The values of the items before the first that counts; None from then on."""
        self._days: dict[str, Counter[tuple[date | None, str]]] = {}
        """Column → (day, outcome) → items."""

    def add(self, item: Mapping[str, Any]) -> None:
        """Take one item, as its line of JSON has it."""
        outcome, observed = item["outcome"], item.get("observed", {})
        if self._before is not None:
            if outcome == "excluded":
                self._before.append(observed)
                return
            for name in observed:
                self._days[name] = Counter((_day(values.get(name)), "excluded") for values in self._before)
            self._before = None
        for name in tuple(self._days):
            day = _day(observed.get(name))
            if day is None and outcome != "excluded":
                del self._days[name]
            else:
                self._days[name][day, outcome] += 1

    def days(self, start: date, end: date) -> Days | None:
        """The items so far by day; None when they are not of a kind that has one.

        Args:
            start: the first day of the observation period.
            end: its last.
        """
        found = {name: number for name in self._days if (number := self._days_of(name, start, end)) >= FEWEST}
        if not found:
            return None
        column = max(sorted(found), key=found.__getitem__)
        counts: dict[date, Counter[str]] = defaultdict(Counter)
        outside = without = 0
        for (day, outcome), number in self._days[column].items():
            if day is None:
                without += number
            elif start <= day <= end:
                counts[day][outcome] += number
            else:
                outside += number
        return Days(column, counts, outside, without)

    def _days_of(self, name: str, start: date, end: date) -> int:
        """On how many days this value has items that count; 0 if too many of them are outside the period."""
        judged: Counter[date] = Counter()
        for (day, outcome), number in self._days[name].items():
            if day is not None and outcome != "excluded":
                judged[day] += number
        inside = sum(number for day, number in judged.items() if start <= day <= end)
        return len(judged) if inside * 10 >= judged.total() * 9 else 0


def _day(value: Any) -> date | None:
    if not isinstance(value, str) or len(value) < 10 or (len(value) > 10 and value[10] not in "T "):
        return None
    return _date(value[:10])


@lru_cache(maxsize=4096)
def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def calendar(found: Days, windows: Sequence[Window], start: date, end: date) -> Calendar:
    """Draw the days that the evidence speaks about: its windows inside the period, or else from the first item to the last."""
    spoken = _spoken(windows, start, end)
    first = min([*found.counts, *spoken])
    last = max([*found.counts, *spoken])
    monday = first - timedelta(days=first.weekday())
    weeks = (last - monday).days // 7 + 1
    numbered = weeks <= _NUMBERED
    pitch = _PITCH if numbered else min(_SMALL, (1660 - _LEFT) / weeks)
    cells = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        if windows and day not in spoken and day not in found.counts:
            continue  # no evidence speaks about it, so that an empty cell would say too much
        week, weekday = divmod((day - monday).days, 7)
        outcome, number = _worst(found.counts.get(day, {}))
        cells.append(Cell(outcome, number, round(_LEFT + week * pitch, 1), round(_TOP + weekday * pitch, 1)))
    tally = Counter(cell.outcome for cell in cells)
    said = _sentence(found, len(cells), first, last)
    return Calendar(
        column=found.column,
        width=round(_LEFT + weeks * pitch, 1),
        height=round(_TOP + 7 * pitch, 1),
        size=round(pitch * 0.87, 1),
        numbered=numbered,
        cells=tuple(cells),
        names=tuple(_names(monday, first, weeks, pitch)),
        sentence=said,
        tally=tuple((outcome, tally[outcome]) for outcome in (*_ORDER, "none") if tally[outcome]),
        text=f"{said} {_failing(found)}",
    )


def _spoken(windows: Sequence[Window], start: date, end: date) -> set[date]:
    """The days of the period that lie in a window, if only in part."""
    found: set[date] = set()
    for window in windows:
        at, last = max(start, window.start.date()), min(end, (window.end - timedelta(microseconds=1)).date())
        while at <= last:
            found.add(at)
            at += timedelta(days=1)
    return found


def _worst(counts: Mapping[str, int]) -> tuple[str, int]:
    return next(((outcome, counts[outcome]) for outcome in _ORDER if counts.get(outcome)), ("none", 0))


def _sentence(found: Days, shown: int, first: date, last: date) -> str:
    total = sum(sum(day.values()) for day in found.counts.values())
    said = f"{count(total, 'item')} on {len(found.counts):,} of {count(shown, 'day')}, {on_day(first)} to {on_day(last)}, UTC"
    also = [
        f"{count(found.before, 'item')} outside the period" if found.before else "",
        f"{count(found.without, 'item')} without this date" if found.without else "",
    ]
    also = [part for part in also if part]
    return f"{said}; {listed(also)} not shown." if also else f"{said}."


def _failing(found: Days) -> str:
    days = sorted(day for day, counts in found.counts.items() if _worst(counts)[0] in ("fail", "unknown"))
    if not days:
        return "On no day does an item fail, and none is unknown."
    parts = [f"{day} ({' and '.join(_bad(found.counts[day]))})" for day in days[:_NAMED]]
    more = f" and {count(len(days) - _NAMED, 'more day')}" if len(days) > _NAMED else ""
    return f"Not good: {', '.join(parts)}{more}."


def _bad(counts: Mapping[str, int]) -> list[str]:
    words = {"fail": "failing", "unknown": "unknown"}
    return [f"{counts[outcome]:,} {word}" for outcome, word in words.items() if counts.get(outcome)]


def _names(monday: date, first: date, weeks: int, pitch: float) -> Iterable[tuple[float, float, str]]:
    for weekday, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"), (6, "Sun")):
        yield 0.0, round(_TOP + weekday * pitch + pitch * 0.62, 1), name
    free, shown = -1.0, None
    for week in range(weeks):
        day = max(first, monday + timedelta(days=7 * week))
        x = round(_LEFT + week * pitch, 1)
        begins = day.day <= 7 or (week == 0 and (day + timedelta(days=13)).month == day.month)
        if day.month != shown and x >= free and begins:
            year = f" {day.year}" if shown is None or day.month == 1 else ""
            name = f"{MONTHS[day.month - 1][:3]}{year}"
            yield x, 22.0, name
            free, shown = x + 14.0 * len(name) + 14.0, day.month
