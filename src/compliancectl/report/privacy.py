"""Records of processing, measures, vendors, requests and breaches: the view of the kinds `gdpr` and `measures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from compliancectl.report import registers, retention
from compliancectl.report.registers import Turnaround, Vendor
from compliancectl.report.retention import Declared, Measure
from compliancectl.report.sections import ControlView
from compliancectl.report.source import Row
from compliancectl.report.views import Ground

TABLES = ("document.attestation", "document.breach", "document.processing", registers.REQUESTS, *registers.VENDORS)
ANSWER_DAYS = 30
"""Requests are answered within a month (GDPR 12(3))."""
AUTHORITY_HOURS = 72
"""The authority is told within so many hours (GDPR 33(1))."""
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Pseudonymisation and encryption", ("32(1)(a)",)),
    ("Restoring after an incident", ("32(1)(c)",)),
    ("Regular testing", ("32(1)(d)",)),
    ("Confidentiality, integrity, availability and resilience", ("32(1)(b)", "32(2)", "5(1)(f)")),
    ("People who act on instruction", ("32(4)", "29", "28(3)(b)")),
    ("Erasure and limits of storage", ("5(1)(e)", "17", "28(3)(g)")),
    ("Data protection by design, minimisation", ("5(1)(c)", "25")),
    ("Vendors", ("28",)),
    ("Breaches", ("33", "34")),
    ("Rights of people", ("12", "13", "14", "15", "16", "18", "20", "21")),
)
"""Where a measure stands, by the first criterion that fits; anything else is accountability."""
OTHER = "Accountability"


@dataclass(frozen=True)
class Processing:
    """One record of processing (GDPR 30)."""

    row: Row
    anchor: str
    recipients: tuple[str, ...]
    unknown: tuple[str, ...]
    """Recipients that the vendor register does not have."""
    retention: tuple[Declared, ...]
    reviewed: date | None
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class MeasureGroup:
    """Measures that belong together."""

    name: str
    controls: tuple[ControlView, ...]
    shown: tuple[ControlView, ...]
    """Those without deviations and not inconclusive: what may be said to everybody."""


@dataclass(frozen=True)
class Breach:
    """One breach of personal data, with how long telling took."""

    row: Row
    customers_hours: int | None
    authority_hours: int | None


@dataclass(frozen=True)
class Shortfall:
    """A control with deviations or without a conclusion, and whom its criteria bind."""

    control: ControlView
    criteria: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True)
class PrivacyView:
    """Everything about data protection."""

    processor: tuple[Processing, ...]
    controller: tuple[Processing, ...]
    undecided: tuple[Processing, ...]
    """Records that do not say in which role the organisation acts."""
    records_kept: date | None
    measures: tuple[Measure, ...]
    groups: tuple[MeasureGroup, ...]
    withheld: int
    """Measures that are not shown to everybody."""
    vendors: tuple[Vendor, ...]
    subprocessors: tuple[Vendor, ...]
    """Vendors that process personal data."""
    requests: tuple[Turnaround, ...]
    requests_kept: date | None
    breaches: tuple[Breach, ...]
    breaches_kept: date | None
    shortfalls: tuple[Shortfall, ...]
    answer_days: int = ANSWER_DAYS
    authority_hours: int = AUTHORITY_HOURS


def view(ground: Ground) -> PrivacyView:
    """Put together what the bundle holds about data protection."""
    rows, as_of = ground.source.rows, ground.source.results.as_of
    measured, vendors = retention.measures(ground), registers.vendors(ground)
    known = {vendor.name for vendor in vendors}
    records = [_processing(ground, row, n, measured, known) for n, row in enumerate(rows["document.processing"], 1)]
    groups = _groups(ground)
    return PrivacyView(
        processor=tuple(r for r in records if r.row["role"] == "processor"),
        controller=tuple(r for r in records if r.row["role"] == "controller"),
        undecided=tuple(r for r in records if r.row["role"] not in ("processor", "controller")),
        records_kept=registers.kept_on(ground, "processing-register"),
        measures=measured,
        groups=groups,
        withheld=sum(len(group.controls) - len(group.shown) for group in groups),
        vendors=vendors,
        subprocessors=tuple(vendor for vendor in vendors if vendor.personal_data),
        requests=registers.turnarounds(rows[registers.REQUESTS], None, ANSWER_DAYS, as_of),
        requests_kept=registers.kept_on(ground, "request-register"),
        breaches=tuple(_breach(row) for row in rows["document.breach"]),
        breaches_kept=registers.kept_on(ground, "breach-register"),
        shortfalls=_shortfalls(ground),
    )


def _processing(ground: Ground, row: Row, number: int, measured: Sequence[Measure], known: set[str]) -> Processing:
    named = tuple(part for each in (row["recipients"] or "").split(";") if (part := each.strip()))
    recipients = tuple(name for name in named if name.lower() != "none")
    return Processing(
        row=row,
        anchor=f"processing-{number}",
        recipients=recipients,
        unknown=tuple(name for name in recipients if name not in known),
        retention=retention.declared(row["retention"] or "", [m for m in measured if _erases(m)]),
        reviewed=row["reviewed"].date() if row["reviewed"] is not None else None,
        evidence=registers.labels(ground, (row,)),
    )


def _erases(measure: Measure) -> bool:
    """Whether a control is about erasing personal data: a log that must be kept for a year says nothing about that."""
    return any(id == "5(1)(e)" or id.startswith("17") for id in measure.control.satisfies.get("gdpr", ()))


def _groups(ground: Ground) -> tuple[MeasureGroup, ...]:
    homes: dict[str, list[ControlView]] = {name: [] for name, _ in (*GROUPS, (OTHER, ()))}
    for control in ground.book.controls:
        criteria = control.result.satisfies.get("gdpr", ())
        if criteria:
            homes[_home(criteria)].append(control)
    return tuple(
        MeasureGroup(name, tuple(found), tuple(c for c in found if c.outcome in ("no deviations", "no occurrences")))
        for name, found in homes.items()
        if found
    )


def _home(criteria: Sequence[str]) -> str:
    for name, wanted in GROUPS:
        if any(id == start or id.startswith(f"{start}(") for id in criteria for start in wanted):
            return name
    return OTHER


def _breach(row: Row) -> Breach:
    def hours(name: str) -> int | None:
        told: datetime | None = row[name]
        return round((told - row["aware"]).total_seconds() / 3600) if told is not None else None

    return Breach(row, hours("customers_told"), hours("authority_told"))


def _shortfalls(ground: Ground) -> tuple[Shortfall, ...]:
    framework = next((f for f in ground.source.frameworks if f.id == "gdpr"), None)
    found = []
    for control in (*ground.book.attention, *(c for c in ground.book.undetermined if c not in ground.book.attention)):
        criteria = control.result.satisfies.get("gdpr", ())
        known = [c for id in criteria if framework is not None and (c := framework.criterion(id)) is not None]
        if criteria:
            roles = {role for c in known for role in (("controller", "processor") if c.role == "both" else (c.role,))}
            found.append(Shortfall(control, criteria, tuple(sorted(role for role in roles if role))))
    return tuple(found)
