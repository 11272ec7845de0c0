"""Evidence as the report shows it: numbered, with who asked, when, and how it is known that nothing is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from compliancectl.errors import Status
from compliancectl.model.evidence import Completeness, EvidenceItem, RunRecord
from compliancectl.report.text import count

STATUSES: tuple[Status, ...] = ("collected", "partial", "denied", "failed", "skipped")


@dataclass(frozen=True)
class EvidenceView:
    """One evidence item."""

    item: EvidenceItem
    label: str
    """`E-07`: its place in the order of ids; short enough to stand beside every test."""
    anchor: str
    digest: str
    """SHA-256 of its item.json."""
    completeness: str
    brief: str
    """How much was read, in a few words."""
    rows: int
    rejected: int
    bytes: int

    @property
    def collected(self) -> datetime:
        return self.item.completed_at


@dataclass(frozen=True)
class SourceView:
    """One collector of the run."""

    name: str
    systems: tuple[str, ...]
    distribution: str
    principals: tuple[tuple[str, str, str], ...]
    """(subject, authentication, how it is known what it may do)."""
    targets: tuple[str, ...]
    counts: tuple[tuple[Status, int], ...]
    total: int
    first: datetime | None
    last: datetime | None


def evidence_views(items: tuple[EvidenceItem, ...], digests: dict[str, str]) -> dict[str, EvidenceView]:
    """Every evidence item by id, numbered in the order of ids."""
    digits = max(2, len(str(len(items))))
    return {
        item.id: EvidenceView(
            item=item,
            label=f"E-{number:0{digits}d}",
            anchor=f"evidence-{number}",
            digest=digests[item.id],
            completeness=completeness(item.completeness),
            brief=_brief(item),
            rows=sum(table.rows for table in item.tables),
            rejected=sum(len(table.rejected) for table in item.tables),
            bytes=sum(reply.bytes for reply in item.replies),
        )
        for number, item in enumerate(items, start=1)
    }


def completeness(signal: Completeness | None) -> str:
    """How it is known that nothing is missing, in one line."""
    if signal is None:
        return "No statement of completeness."
    parts = [signal.method.rstrip(". "), count(signal.items, "record") + " in " + count(signal.pages, "page")]
    if signal.reported_total is not None:
        parts.append(f"the source says {signal.reported_total:,}")
    if signal.independent_count is not None:
        parts.append(f"a second count says {signal.independent_count:,}")
    if not signal.exhausted:
        parts.append("the source had more")
    parts += [f"filter {name}" for name in signal.filters]
    parts += [f"warning {warning}" for warning in signal.warnings]
    return "; ".join(parts) + "."


def _brief(item: EvidenceItem) -> str:
    signal = item.completeness
    if signal is None:
        return item.status
    return f"{count(signal.items, 'record')} in {count(signal.pages, 'page')}"


def source_views(items: tuple[EvidenceItem, ...], run: RunRecord) -> tuple[SourceView, ...]:
    """One entry for each collector of the run, sorted by name."""
    used = {use.name: f"{use.distribution} {use.version}" for use in run.collectors}
    names = sorted({*used, *(item.collector for item in items)})
    return tuple(_source(n, used.get(n, "not in run.json"), [i for i in items if i.collector == n]) for n in names)


def _source(name: str, distribution: str, items: list[EvidenceItem]) -> SourceView:
    tally = Counter(item.status for item in items)
    who = {(i.principal.subject, i.principal.authentication, i.principal.read_only) for i in items if i.principal}
    return SourceView(
        name=name,
        systems=tuple(sorted({item.system for item in items})),
        distribution=distribution,
        principals=tuple(sorted(who)),
        targets=tuple(sorted({item.target for item in items})),
        counts=tuple((status, tally[status]) for status in STATUSES if tally[status]),
        total=len(items),
        first=min((item.requested_at for item in items), default=None),
        last=max((item.completed_at for item in items), default=None),
    )
