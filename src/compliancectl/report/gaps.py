"""What is open, since when and until when: the view of the kind `gaps`, for whoever has to close them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from compliancectl import assessed
from compliancectl.assessed import Assessed
from compliancectl.gaps import find_gaps
from compliancectl.model.control import Severity
from compliancectl.model.gap import Gap
from compliancectl.report.book import SEVERITIES, Book
from compliancectl.report.figures import Ages, ages
from compliancectl.report.source import Row
from compliancectl.report.views import Ground

TABLES = ("document.agreement", "document.attestation", "document.milestone")
SOON = 30
"""Days within which something that ends is announced."""


@dataclass(frozen=True)
class GapView:
    """One check of one control that is not true, with all the items that it is not true of."""

    gap: Gap
    """The first of them."""
    anchor: str
    gaps: tuple[Gap, ...]
    change: str
    """`new`, `regressed`, `` (open before too), or `` when there is nothing to compare with."""
    changed: int
    """Of how many of its items that is so."""
    days: int
    """Open for so many days, the longest of them."""
    left: int
    """Days until the first of them is due; negative when overdue."""
    total: int
    """Items of the test's population that count."""
    evidence: tuple[str, ...]
    """Labels of the evidence that the test read."""

    @property
    def status(self) -> str:
        """`overdue`, `soon` (within 30 days), or `later`."""
        return "overdue" if self.left < 0 else "soon" if self.left <= SOON else "later"


@dataclass(frozen=True)
class Ending:
    """Something that ends soon, or has ended."""

    what: str
    kind: str
    owner: str
    on: date
    days: int
    """From the instant of judgement; negative when it has ended."""
    evidence: str | None


@dataclass(frozen=True)
class Milestone:
    """An announced date, and what has to be closed before it."""

    title: str
    owner: str
    due: date
    done: date | None
    days: int
    before: int
    """Open findings that are due before it."""
    evidence: str | None


@dataclass(frozen=True)
class Load:
    """What one owner has to close."""

    owner: str
    counts: tuple[int, ...]
    """In the order of severities."""
    total: int
    overdue: int


@dataclass(frozen=True)
class GapsView:
    """Everything that is open."""

    open: tuple[GapView, ...]
    """The most severe first, of those the longest open."""
    waived: tuple[GapView, ...]
    number: int
    """Findings that are open: one for each item and check."""
    overdue: int
    compared: datetime | None
    """Instant of the assessment before; None if none was given."""
    new: tuple[GapView, ...]
    """With those items alone that are new; the anchors are those of `open`."""
    regressed: tuple[GapView, ...]
    """Likewise."""
    fixed: tuple[Gap, ...]
    """Open in the assessment before, and judged good or gone now."""
    out_of_sight: tuple[Gap, ...]
    """Open in the assessment before, and their test could not be judged now."""
    severities: tuple[tuple[Severity, int], ...]
    ages: tuple[Ages, ...]
    """One figure for each severity that has open findings."""
    endings: tuple[Ending, ...]
    milestones: tuple[Milestone, ...]
    loads: tuple[Load, ...]
    undecided: int
    unjudged: tuple[str, ...]
    causes: tuple[tuple[str, int], ...]
    """(why evidence is missing, evidence items), most first."""


def view(ground: Ground) -> GapsView:
    """List what is open, held against the assessments of before."""
    source, book = ground.source, ground.book
    today = Assessed(ground.path, source.results, assessed.read(ground.path).files)
    past = sorted((assessed.read(p) for p in ground.earlier), key=lambda a: a.results.as_of)
    past = [a for a in past if a.results.as_of < source.results.as_of]
    found = find_gaps(today, source.claims, past)
    before = [{g.id: g for g in find_gaps(a, source.claims).gaps} for a in past]
    changes = _changes([g.id for g in found.gaps], before)
    live = [g for g in found.gaps if g.waiver is None]
    views = _grouped(live, changes, book)
    gone = [gap for id, gap in (before[-1].items() if before else ()) if id not in {g.id for g in found.gaps}]
    unseen = set(found.unjudged_tests)
    return GapsView(
        open=views,
        waived=_grouped([g for g in found.gaps if g.waiver is not None], changes, book),
        number=len(live),
        overdue=sum(g.overdue for g in live),
        compared=past[-1].results.as_of if past else None,
        new=_changed("new", views, changes, book),
        regressed=_changed("regressed", views, changes, book),
        fixed=tuple(g for g in gone if f"{g.control}.{g.test}" not in unseen and _judged(g, today)),
        out_of_sight=tuple(g for g in gone if f"{g.control}.{g.test}" in unseen or not _judged(g, today)),
        severities=tuple((s, sum(g.severity == s for g in live)) for s in SEVERITIES),
        ages=tuple(_ages(s, live, source.results.as_of) for s in SEVERITIES if any(g.severity == s for g in live)),
        endings=_endings(ground),
        milestones=_milestones(ground, live),
        loads=_loads(live),
        undecided=found.undecided_items,
        unjudged=found.unjudged_tests,
        causes=_causes(book),
    )


def _changes(ids: Sequence[str], before: Sequence[dict[str, Gap]]) -> dict[str, str]:
    """Id → `new`, `regressed` (it was there, then not, and is again) or ``."""
    if not before:
        return {}
    older = {id for each in before[:-1] for id in each}
    return {id: "" if id in before[-1] else "regressed" if id in older else "new" for id in ids}


def _changed(change: str, views: Sequence[GapView], changes: dict[str, str], book: Book) -> tuple[GapView, ...]:
    """What changed in this way, without the items beside it that were open before."""
    home = {gap.id: view.anchor for view in views for gap in view.gaps}
    mine = [gap for view in views for gap in view.gaps if changes.get(gap.id) == change]
    return tuple(replace(view, anchor=home[view.gap.id]) for view in _grouped(mine, changes, book))


def _judged(gap: Gap, today: Assessed) -> bool:
    """Whether its test was judged today and left no item undecided that could be this one."""
    for control in today.results.controls:
        for test in control.tests:
            if (control.id, test.id) == (gap.control, gap.test):
                undecided = {
                    item.resource
                    for item in (today.items(test.items_path, test.items_sha256) if test.items_path else ())
                    if item.outcome == "unknown"
                }
                return test.items_path is not None and gap.resource not in undecided
    return False


def _grouped(gaps: Sequence[Gap], changes: dict[str, str], book: Book) -> tuple[GapView, ...]:
    """One entry for each control, test, check and waiver, in the order of the first of its items."""
    groups: dict[tuple[str, str, str, str | None], list[Gap]] = {}
    for gap in gaps:
        groups.setdefault((gap.control, gap.test, gap.check, gap.waiver), []).append(gap)
    made = [_group(found, changes, book) for found in groups.values()]
    return tuple(sorted(made, key=lambda v: (SEVERITIES.index(v.gap.severity), v.left, v.gap.control, v.gap.id)))


def _group(found: Sequence[Gap], changes: dict[str, str], book: Book) -> GapView:
    first, as_of = found[0], book.results.as_of
    became = [changes.get(gap.id, "") for gap in found]
    change = max(became, key=("", "new", "regressed").index)
    return GapView(
        gap=first,
        anchor=f"gap-{first.id[4:]}",
        gaps=tuple(found),
        change=change,
        changed=became.count(change),
        days=max((as_of - g.first_seen).days for g in found),
        left=min((g.due - as_of.date()).days for g in found),
        total=_population(book, first.control, first.test),
        evidence=tuple(e.label for e in book.evidence_of(first.control, first.test)),
    )


def _population(book: Book, control: str, test: str) -> int:
    counts = next(t.counts for c in book.results.controls if c.id == control for t in c.tests if t.id == test)
    return counts.total - counts.excluded


def _ages(severity: Severity, gaps: Sequence[Gap], as_of: datetime) -> Ages:
    mine = [g for g in gaps if g.severity == severity]
    allowed = (mine[0].due - mine[0].first_seen.date()).days
    return ages(severity, [(as_of - g.first_seen).days for g in mine], allowed)


def _endings(ground: Ground) -> tuple[Ending, ...]:
    as_of = ground.source.results.as_of
    today, labels = as_of.date(), {e.item.id: e.label for e in ground.book.evidence}
    found = []
    seen: set[str] = set()
    for table, what in (("document.agreement", "agreement"), ("document.attestation", "document")):
        for row in ground.source.rows[table]:
            if row["expires"] is None or row["resource"] in seen:
                continue
            seen.add(row["resource"])
            title = f"Agreement with {row['vendor']}" if what == "agreement" else row["title"]
            owner = "" if what == "agreement" else row["owner"]
            on = row["expires"].date()
            found.append(Ending(title, what, owner, on, (on - today).days, labels.get(row.evidence)))
    for waiver in ground.source.results.waivers:
        title = f"Waiver {waiver.id} of {waiver.control}"
        found.append(Ending(title, "waiver", waiver.approver, waiver.expires, (waiver.expires - today).days, None))
    return tuple(sorted((e for e in found if e.days <= SOON), key=lambda e: (e.on, e.what)))


def _milestones(ground: Ground, gaps: Sequence[Gap]) -> tuple[Milestone, ...]:
    today, labels = ground.source.results.as_of.date(), {e.item.id: e.label for e in ground.book.evidence}

    def made(row: Row) -> Milestone:
        due: date = row["due"].date()
        done = row["done"].date() if row["done"] is not None else None
        before = sum(g.due <= due for g in gaps)
        return Milestone(
            row["title"], row["owner"] or "", due, done, (due - today).days, before, labels.get(row.evidence)
        )

    return tuple(
        sorted((made(row) for row in ground.source.rows["document.milestone"]), key=lambda m: (m.due, m.title))
    )


def _loads(gaps: Sequence[Gap]) -> tuple[Load, ...]:
    owners = sorted({g.owner for g in gaps})
    loads = []
    for owner in owners:
        mine = [g for g in gaps if g.owner == owner]
        counts = tuple(sum(g.severity == s for g in mine) for s in SEVERITIES)
        loads.append(Load(owner, counts, len(mine), sum(g.overdue for g in mine)))
    return tuple(sorted(loads, key=lambda load: (*(-n for n in load.counts), load.owner)))


def _causes(book: Book) -> tuple[tuple[str, int], ...]:
    tally = Counter((e.item.cause or e.item.status) for e in book.gaps)
    return tuple(sorted(tally.items(), key=lambda pair: (-pair[1], pair[0])))
