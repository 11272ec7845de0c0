"""How long data is really kept: ages that tests measured, beside the limit that they were held to.

A test measures retention when its items carry the age of what is oldest (`oldest`, an instant) or how long something
is kept (`kept_seconds`), together with a limit (`limit_hours`, `retention_days`). Which control that is does not matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compliancectl import assessed, clock
from compliancectl.assessed import Assessed
from compliancectl.model.result import ControlResult, TestResult
from compliancectl.report.evidence import EvidenceView
from compliancectl.report.text import count
from compliancectl.report.views import Ground

_DURATION = re.compile(r"(\d+)[\s-]*(hour|day|week|month|year)s?\b", re.IGNORECASE)
_HOURS = {"hour": 1.0, "day": 24.0, "week": 168.0, "month": 730.0, "year": 8760.0}


@dataclass(frozen=True)
class Measure:
    """What one test measured."""

    control: ControlResult
    test: TestResult
    limit_hours: float
    measured_hours: float
    """The longest of its items."""
    items: int
    what: str
    """`the oldest of 3 items` or `kept by 2 items`."""
    evidence: tuple[EvidenceView, ...]

    @property
    def limit(self) -> str:
        """In words."""
        return span(self.limit_hours)

    @property
    def measured(self) -> str:
        """In words."""
        return span(self.measured_hours)


@dataclass(frozen=True)
class Declared:
    """A period that a record declares, and the measures that have the same limit."""

    text: str
    hours: float
    measures: tuple[Measure, ...]

    @property
    def outcome(self) -> str:
        """`no measurement`, or the most serious outcome among the tests that measured it."""
        outcomes = {measure.test.outcome for measure in self.measures}
        order = ("deviations", "inconclusive", "no deviations", "no occurrences")
        return next((o for o in order if o in outcomes), "no measurement")


def span(hours: float) -> str:
    """`365 days`, `60 hours`: days from two days on."""
    return count(round(hours), "hour") if hours < 96 and hours % 24 else count(round(hours / 24), "day")


def declared(text: str, measures: Iterable[Measure]) -> tuple[Declared, ...]:
    """Every period that a text names (`365 days after deletion`), with the measures of the same limit."""
    known = tuple(measures)
    found = []
    for match in _DURATION.finditer(text):
        hours = int(match[1]) * _HOURS[match[2].lower()]
        same = tuple(m for m in known if abs(m.limit_hours - hours) <= 0.02 * hours)
        found.append(Declared(match[0], hours, same))
    return tuple(found)


def measures(ground: Ground) -> tuple[Measure, ...]:
    """Everything that was measured, sorted by control and test.

    Raises:
        FileError: if a file of items is missing or damaged.
    """
    kept = assessed.read(ground.path)
    found = (
        _measure(ground, kept, control, test)
        for control in ground.source.results.controls
        for test in control.tests
        if test.items_path is not None
    )
    return tuple(measure for measure in found if measure is not None)


def _measure(ground: Ground, kept: Assessed, control: ControlResult, test: TestResult) -> Measure | None:
    assert test.items_path is not None
    ages: list[float] = []
    limits: list[float] = []
    oldest = False
    for observed in _observed(kept.files.get(test.items_path, b"")):
        limit = _limit(observed)
        age = _age(observed, ground.source.results.as_of)
        if limit is None or age is None:
            continue
        oldest = oldest or isinstance(observed.get("oldest"), str)
        limits.append(limit)
        ages.append(age)
    if not ages:
        return None
    things = count(len(ages), "item")
    return Measure(
        control=control,
        test=test,
        limit_hours=max(limits),
        measured_hours=max(ages),
        items=len(ages),
        what=f"the oldest of {things}" if oldest else f"the longest of {things}",
        evidence=ground.book.evidence_of(control.id, test.id),
    )


def _observed(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        item = json.loads(line)
        if item["outcome"] != "excluded":
            yield item.get("observed", {})


def _limit(observed: dict[str, Any]) -> float | None:
    hours, days = observed.get("limit_hours"), observed.get("retention_days")
    if isinstance(hours, int | float):
        return float(hours)
    return days * 24.0 if isinstance(days, int | float) else None


def _age(observed: dict[str, Any], as_of: datetime) -> float | None:
    oldest, kept = observed.get("oldest"), observed.get("kept_seconds")
    if isinstance(oldest, str):
        try:
            return (as_of - clock.parse(oldest)).total_seconds() / 3600
        except ValueError:
            return None
    return kept / 3600 if isinstance(kept, int | float) else None
