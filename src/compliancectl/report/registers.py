"""What people keep in registers, as the kinds for data protection and for schools print it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from typing import Any

from compliancectl.report.source import Row
from compliancectl.report.views import Ground

VENDORS = ("document.agreement", "document.vendor", "document.vendor_review")
REQUESTS = "document.request"


@dataclass(frozen=True)
class Vendor:
    """One vendor, with its agreement and its last review, as far as there are any."""

    name: str
    personal_data: bool | None
    ai: bool | None
    agreement: Row | None
    review: Row | None
    evidence: tuple[str, ...]
    """Labels."""

    def term(self, name: str) -> Any:
        """A term of the agreement; None without one, or if it does not say."""
        return self.agreement.values.get(name) if self.agreement is not None else None

    def day(self, name: str) -> date | None:
        """A date of the agreement."""
        value = self.term(name)
        return value.date() if isinstance(value, datetime) else None

    def reviewed(self) -> date | None:
        """When it was last reviewed."""
        value = self.review.values.get("reviewed") if self.review is not None else None
        return value.date() if isinstance(value, datetime) else None


@dataclass(frozen=True)
class Turnaround:
    """How long requests of one kind took."""

    kind: str
    number: int
    answered: int
    open: int
    late: int
    """Answered after the limit, or open beyond it."""
    median_days: float | None
    longest_days: int | None
    """Open ones included, up to the instant of judgement."""


def labels(ground: Ground, rows: Iterable[Row | None]) -> tuple[str, ...]:
    """Labels of the evidence that rows come from, sorted."""
    known = {e.item.id: e.label for e in ground.book.evidence}
    return tuple(sorted({known[row.evidence] for row in rows if row is not None and row.evidence in known}))


def vendors(ground: Ground) -> tuple[Vendor, ...]:
    """Every vendor of the register, and those that only an agreement names, sorted by name."""
    rows = ground.source.rows
    register = {row["vendor"]: row for row in rows["document.vendor"]}
    agreements: dict[str, Row] = {}
    for row in sorted(rows["document.agreement"], key=lambda r: (r["signed"], r["resource"])):
        agreements[row["vendor"]] = row
    reviews = {row["id"]: row for row in rows["document.vendor_review"]}
    return tuple(_vendor(ground, n, register, agreements, reviews) for n in sorted(register.keys() | agreements.keys()))


def _vendor(
    ground: Ground, name: str, register: Mapping[str, Row], agreements: Mapping[str, Row], reviews: Mapping[str, Row]
) -> Vendor:
    listed, agreement, review = register.get(name), agreements.get(name), reviews.get(name)
    said = listed or agreement
    assert said is not None
    used = labels(ground, (listed, agreement, review))
    return Vendor(name, said["personal_data"], said["ai"], agreement, review, used)


def turnarounds(
    rows: Sequence[Row], kinds: Sequence[str] | None, limit_days: int, as_of: datetime
) -> tuple[Turnaround, ...]:
    """Requests by kind, sorted; of all kinds, or of those given."""
    found = sorted({row["kind"] or "kind not stated" for row in rows})
    wanted = [kind for kind in found if kinds is None or kind in kinds]
    return tuple(
        _turnaround(kind, [r for r in rows if (r["kind"] or "kind not stated") == kind], limit_days, as_of)
        for kind in wanted
    )


def _turnaround(kind: str, rows: Sequence[Row], limit_days: int, as_of: datetime) -> Turnaround:
    end = as_of.replace(tzinfo=None)
    # Passing a request on to the customer whose data it is about settles it for a processor.
    settled = [(row, row["answered"] or row["forwarded"]) for row in rows]
    done = [(moment - row["received"]).days for row, moment in settled if moment is not None]
    waiting = [(end - row["received"]).days for row, moment in settled if moment is None]
    return Turnaround(
        kind=kind,
        number=len(rows),
        answered=len(done),
        open=len(waiting),
        late=sum(days > limit_days for days in (*done, *waiting)),
        median_days=median(done) if done else None,
        longest_days=max((*done, *waiting), default=None),
    )


def kept_on(ground: Ground, kind: str) -> date | None:
    """The date of the newest document of a kind: when a register was last looked at. None if there is none."""
    dates = [row["issued"].date() for row in ground.source.rows["document.attestation"] if row["kind"] == kind]
    return max(dates, default=None)
