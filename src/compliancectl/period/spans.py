"""Slots, gaps and stretches of time. All spans are half-open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from compliancectl.model.control import Frequency
from compliancectl.model.evidence import Window
from compliancectl.model.period import Missed

_FIXED: dict[Frequency, timedelta] = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
}
_MONTHS: dict[Frequency, int] = {"monthly": 1, "quarterly": 3, "annual": 12}


def slots(frequency: Frequency, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The slots of a period, counted from its start; one capture is due in each. The last may be cut short."""
    at, number = start, 0
    while at < end:
        number += 1
        step = _FIXED.get(frequency)
        after = start + number * step if step else _months_later(start, number * _MONTHS[frequency])
        yield at, min(after, end)
        at = after


def _months_later(instant: datetime, months: int) -> datetime:
    """The same day so many months later; the last day of the month if it has no such day."""
    month = instant.month - 1 + months
    year, month = instant.year + month // 12, month % 12 + 1
    for day in range(instant.day, 0, -1):
        try:
            return instant.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    raise AssertionError("every month has a first day")


def missed(frequency: Frequency, start: datetime, end: datetime, captured: Iterable[datetime]) -> tuple[Missed, ...]:
    """Slots without a capture; those in a row are one."""
    instants = sorted(captured)
    found: list[Missed] = []
    at = 0
    for opens, closes in slots(frequency, start, end):
        while at < len(instants) and instants[at] < opens:
            at += 1
        if at < len(instants) and instants[at] < closes:
            continue
        if found and found[-1].end == opens:
            found[-1] = Missed(start=found[-1].start, end=closes, slots=found[-1].slots + 1)
        else:
            found.append(Missed(start=opens, end=closes, slots=1))
    return tuple(found)


def gaps(windows: Iterable[Window], start: datetime, end: datetime) -> tuple[Window, ...]:
    """What of `[start, end)` no window covers."""
    found: list[Window] = []
    covered = start
    for window in sorted(windows, key=lambda w: (w.start, w.end)):
        if window.start > covered and covered < end:
            found.append(Window(start=covered, end=min(window.start, end)))
        covered = max(covered, window.end)
    if covered < end:
        found.append(Window(start=covered, end=end))
    return tuple(found)
