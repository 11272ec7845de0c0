"""What an institution needs to know of a vendor that keeps student records: the view of the kind `ferpa`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from compliancectl.report import registers, retention
from compliancectl.report.matrix import CriterionView
from compliancectl.report.registers import Turnaround, Vendor
from compliancectl.report.retention import Measure
from compliancectl.report.sections import ControlView
from compliancectl.report.source import Row
from compliancectl.report.views import Ground

TABLES = ("document.attestation", "document.disclosure", "document.milestone", registers.REQUESTS, *registers.VENDORS)
INSPECTION_DAYS = 45
"""Records are shown within so many days of the request (34 CFR 99.10(b))."""
CONDITIONS = (
    "99.31(a)(1)(i)(B)",
    "99.31(a)(1)(i)(B)(1)",
    "99.31(a)(1)(i)(B)(2)",
    "99.31(a)(1)(i)(B)(3)",
    "99.31(a)(1)(ii)",
    "99.31(c)",
    "99.33(a)(1)",
    "99.33(a)(2)",
)
"""What makes a contractor a school official, and binds it (34 CFR 99.31(a)(1), 99.33(a))."""
REQUESTS = ("inspection", "amendment", "access", "rectification", "portability")


@dataclass(frozen=True)
class Demand:
    """One criterion, how it is met, and where that is shown."""

    view: CriterionView
    evidence: tuple[str, ...]
    more: int
    last: date | None
    """When the newest of its evidence was collected."""


@dataclass(frozen=True)
class SchoolView:
    """Everything for the institution."""

    conditions: tuple[Demand, ...]
    checklist: tuple[Demand, ...]
    """Guidance on security and on terms of service (ids that begin with PTAC) that has a control."""
    unmet: tuple[CriterionView, ...]
    """Guidance that no control serves."""
    recipients: tuple[Vendor, ...]
    """Vendors that receive personal data."""
    ai: tuple[Vendor, ...]
    """Those of them that run AI models."""
    disclosures: tuple[Row, ...]
    disclosures_kept: date | None
    requests: tuple[Turnaround, ...]
    requests_kept: date | None
    measures: tuple[Measure, ...]
    exceptions: tuple[ControlView, ...]
    """Controls of this framework with deviations, or without a conclusion."""
    planned: tuple[Row, ...]
    """Announced milestones that are not reached."""
    limit_days: int = INSPECTION_DAYS


def view(ground: Ground) -> SchoolView:
    """Put together what the bundle holds for an institution."""
    rows, book = ground.source.rows, ground.book
    framework = next((f for f in book.frameworks if f.id == "ferpa"), None)
    criteria = [c for group in framework.groups for c in group.criteria] if framework is not None else []
    guidance = [c for c in criteria if c.criterion.id.startswith("PTAC")]
    vendors = registers.vendors(ground)
    mine = [c for c in book.controls if c.result.satisfies.get("ferpa")]
    return SchoolView(
        conditions=tuple(_demand(ground, c) for c in criteria if c.criterion.id in CONDITIONS),
        checklist=tuple(_demand(ground, c) for c in guidance if c.controls),
        unmet=tuple(c for c in guidance if not c.controls),
        recipients=tuple(v for v in vendors if v.personal_data),
        ai=tuple(v for v in vendors if v.personal_data and v.ai),
        disclosures=rows["document.disclosure"],
        disclosures_kept=registers.kept_on(ground, "disclosure-register"),
        requests=registers.turnarounds(
            rows[registers.REQUESTS], REQUESTS, INSPECTION_DAYS, ground.source.results.as_of
        ),
        requests_kept=registers.kept_on(ground, "request-register"),
        measures=retention.measures(ground),
        exceptions=tuple(c for c in mine if c.outcome in ("deviations", "inconclusive")),
        planned=tuple(row for row in rows["document.milestone"] if row["done"] is None),
    )


def _demand(ground: Ground, criterion: CriterionView) -> Demand:
    used = {e.item.id: e for control in criterion.controls for e in ground.book.evidence_of(control.id)}
    found = [used[id] for id in sorted(used)]
    last = max((e.collected for e in found), default=None)
    return Demand(criterion, tuple(e.label for e in found[:6]), max(0, len(found) - 6), last.date() if last else None)
