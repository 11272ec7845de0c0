"""What a ledger shows of a period: runs that were due, opened, sealed, late or dropped, gaps, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from compliancectl import clock
from compliancectl.model.evidence import Window
from compliancectl.model.ledger import Cadence, Coverage, Entry, Slot

_SPANS: dict[Cadence, timedelta] = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
}

_MADE_WITH = {
    "scope_sha256": "another scope file",
    "controls_sha256": "other controls",
    "tool_version": "another version of the tool",
}


def coverage(entries: Sequence[Entry], start: datetime, end: datetime, cadence: Cadence) -> Coverage:
    """Derive the coverage of `[start, end)` from the entries alone.

    Args:
        entries: All entries of a ledger that holds, in order.
        start: First instant of the period.
        end: First instant after it.
        cadence: How often a run is due.
    """
    seals = {entry.opens: entry for entry in entries if entry.kind == "seal"}
    opens = [entry for entry in entries if entry.kind == "open" and start <= entry.at < end]
    sealed = [entry for entry in entries if entry.kind == "seal"]
    return Coverage(
        start=start,
        end=end,
        cadence=cadence,
        slots=tuple(_slots(opens, seals, start, end, _SPANS[cadence])),
        dropped=tuple(entry for entry in opens if entry.sequence not in seals),
        partial=tuple(
            seals[e.sequence] for e in opens if e.sequence in seals and seals[e.sequence].status == "partial"
        ),
        gaps=tuple(_gaps(sealed, start, end)),
        changes=tuple(_changes(entries, start, end)),
    )


def _slots(
    opens: Sequence[Entry], seals: dict[int | None, Entry], start: datetime, end: datetime, span: timedelta
) -> Iterator[Slot]:
    while start < end:
        until = min(start + span, end)
        mine = [entry for entry in opens if start <= entry.at < until]
        done = [seals[entry.sequence] for entry in mine if entry.sequence in seals]
        timely = [entry for entry in done if entry.at < until]
        yield Slot(
            start=start,
            end=until,
            opened=len(mine),
            sealed=len(timely),
            complete=sum(1 for entry in timely if entry.status == "complete"),
            late=len(done) - len(timely),
        )
        start = until


def _gaps(sealed: Sequence[Entry], start: datetime, end: datetime) -> Iterator[Window]:
    """The spans of the period that no complete run's observation covers.

    A run that was made while its scope's period lasted says that period; what came after it was sealed it has not seen.
    """
    windows = sorted(
        (entry.observation.start, min(entry.observation.end, entry.at))
        for entry in sealed
        if entry.observation is not None and entry.status == "complete"
    )
    reached = start
    for begin, until in windows:
        if begin > reached and reached < end:
            yield Window(start=reached, end=min(begin, end))
        reached = max(reached, until)
    if reached < end:
        yield Window(start=reached, end=end)


def _changes(entries: Sequence[Entry], start: datetime, end: datetime) -> Iterator[str]:
    """Sentences on what the runs were made with, where it is not what the run before was made with."""
    last: Entry | None = None
    for entry in entries:
        if entry.kind != "open":
            continue
        if last is not None and start <= entry.at < end:
            for field, what in _MADE_WITH.items():
                if getattr(entry, field) != getattr(last, field):
                    yield f"{clock.text(entry.at)}, entry {entry.sequence}: {what} than in entry {last.sequence}"
        last = entry
