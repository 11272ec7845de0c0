"""Public statements and what stands behind each: the view of the kinds `claims`, `trust` and `gaps`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from compliancectl import assessed
from compliancectl.claims import judge_claims
from compliancectl.model.claim import Bearing, ClaimRegister, ClaimResult, ClaimStatus, Ground, Reference
from compliancectl.report.book import Book
from compliancectl.report.evidence import EvidenceView
from compliancectl.report.figures import Bar, bar
from compliancectl.report.text import count, listed
from compliancectl.report.views import Ground as Basis

TABLES: tuple[str, ...] = ()
ORDER: tuple[ClaimStatus, ...] = ("contradicted", "unproven", "evidenced", "inherited", "planned", "not testable")
"""As a reader who answers for the statements wants them."""
PRINTED = 6
"""Evidence items named beside a statement; the control's section and the index have all."""
MARKS: dict[Bearing, str] = {
    "contradicts": "contradicted",
    "silent": "unproven",
    "supports": "evidenced",
    "absent": "no control",
}
"""What a control says about a statement, as a word that has a mark."""
ROOM, LINE, HEADING, BETWEEN = 670.0, 3.9, 6.2, 0.9
"""Millimetres of column on the two pages for everybody, beside what closes them, and what each thing takes of it."""
ACROSS = 48
"""Characters of such a line."""
DATED = len(" since 30 September 2026")


@dataclass(frozen=True)
class GroundView:
    """What one control says about a statement."""

    ground: Ground
    control: str
    mark: str
    """One of `MARKS`. A deviation that a waiver accepts contradicts a statement all the same."""


@dataclass(frozen=True)
class ClaimView:
    """One statement."""

    result: ClaimResult
    anchor: str
    page: str
    owner: str
    """Who answers for the first control that it rests on; empty if none was judged."""
    severity: str
    frameworks: tuple[str, ...]
    grounds: tuple[GroundView, ...]
    evidence: tuple[EvidenceView, ...]
    more: int
    """Evidence items beyond those named."""
    since: date | None
    """Day since when it has its status, if that is before the day of the assessment."""


@dataclass(frozen=True)
class Section:
    """Statements that stand together on the page."""

    name: str
    claims: tuple[ClaimView, ...]


@dataclass(frozen=True)
class ClaimsView:
    """All statements of the register."""

    there: bool
    """False if the bundle holds no register."""
    file: str
    sha256: str
    total: int
    bar: Bar
    headline: tuple[str, str]
    by_status: tuple[tuple[ClaimStatus, tuple[ClaimView, ...]], ...]
    """In the order of importance; statuses that no statement has are left out."""
    uncontrolled: tuple[tuple[str, int], ...]
    """(control that does not exist or was not judged, statements that wait for it), most first."""
    at_risk: tuple[ClaimView, ...]
    """Contradicted, or unproven although its controls exist: what is said and is not shown."""
    public: tuple[Section, ...]
    """Evidenced and inherited statements by section of their page, for everybody."""
    left_out: int
    """Evidenced statements beyond those."""
    planned: tuple[ClaimView, ...]
    evidence: tuple[EvidenceView, ...]
    """All evidence that any statement rests on."""

    def number(self, status: str) -> int:
        """How many statements have a status."""
        return sum(len(claims) for name, claims in self.by_status if name == status)


def view(ground: Basis) -> ClaimsView:
    """Judge the register that was kept in the bundle by the bundle's own results."""
    register = ground.source.claims or ClaimRegister(pages=(), claims=())
    earlier = [assessed.read(path).results for path in ground.earlier]
    judged = judge_claims(register, ground.source.results, earlier)
    claims = [_claim(result, register, ground.book) for result in judged.claims]
    held = [c for c in claims if c.result.status in ("evidenced", "inherited")]
    fit = _fitting(held)
    used = {e.item.id: e for c in claims for e in ground.book.evidence if e.item.id in _ids(c, ground.book)}
    return ClaimsView(
        there=ground.source.claims is not None,
        file="catalog/claims.yaml",
        sha256=register.sha256,
        total=len(claims),
        bar=bar([(s, n, f"{n} {s}") for s in ORDER if (n := sum(c.result.status == s for c in claims))]),
        headline=_headline(claims),
        by_status=tuple((s, found) for s in ORDER if (found := tuple(c for c in claims if c.result.status == s))),
        uncontrolled=_uncontrolled(claims),
        at_risk=tuple(c for c in claims if _at_risk(c)),
        public=_sections(held[:fit]),
        left_out=len(held) - fit,
        planned=tuple(c for c in claims if c.result.status == "planned"),
        evidence=tuple(used[id] for id in sorted(used)),
    )


def _claim(result: ClaimResult, register: ClaimRegister, book: Book) -> ClaimView:
    controls = {control.id: control for control in book.results.controls}
    parts = [Reference.parse(ground.reference) for ground in result.grounds]
    judged = [controls[part.control] for part in parts if part.control in controls]
    page = register.page(result.page)
    evidence = list({e.item.id: e for p in parts for e in book.evidence_of(p.control, p.test)}.values())
    return ClaimView(
        result=result,
        anchor=f"claim-{result.id}",
        page=page.title if page is not None else result.page,
        owner=judged[0].owner if judged else "",
        severity=judged[0].severity if judged else "",
        frameworks=tuple(sorted({name for control in judged for name in control.satisfies})),
        grounds=tuple(GroundView(g, p.control, MARKS[g.bearing]) for g, p in zip(result.grounds, parts, strict=True)),
        evidence=tuple(evidence[:PRINTED]),
        more=max(0, len(evidence) - PRINTED),
        since=since.date() if (since := result.since) and since.date() < book.results.as_of.date() else None,
    )


def _ids(claim: ClaimView, book: Book) -> set[str]:
    parts = [Reference.parse(g.ground.reference) for g in claim.grounds]
    return {e.item.id for p in parts for e in book.evidence_of(p.control, p.test)}


def _at_risk(claim: ClaimView) -> bool:
    """Whether a control that exists, rather than one that is missing, keeps a statement from being shown."""
    if claim.result.status == "contradicted":
        return True
    return claim.result.status == "unproven" and all(g.ground.bearing != "absent" for g in claim.grounds)


def _uncontrolled(claims: Sequence[ClaimView]) -> tuple[tuple[str, int], ...]:
    waiting: Counter[str] = Counter()
    for claim in claims:
        if claim.result.status == "unproven":
            waiting.update({g.control for g in claim.grounds if g.ground.bearing == "absent"})
    return tuple(sorted(waiting.items(), key=lambda pair: (-pair[1], pair[0])))


def _fitting(claims: Sequence[ClaimView]) -> int:
    """How many of the statements, from the first, have room on the two pages."""
    left, section = ROOM, ""
    for number, claim in enumerate(claims):
        if (name := _section(claim)) != section:
            left, section = left - HEADING, name
        length = len(claim.result.text) + (DATED if claim.since else 0)
        left -= -(-length // ACROSS) * LINE + BETWEEN
        if left < 0:
            return number
    return len(claims)


def _section(claim: ClaimView) -> str:
    return claim.result.section or claim.page


def _sections(claims: Sequence[ClaimView]) -> tuple[Section, ...]:
    grouped = groupby(claims, key=_section)
    return tuple(Section(name, tuple(found)) for name, found in grouped)


def _headline(claims: Sequence[ClaimView]) -> tuple[str, str]:
    tally = Counter(claim.result.status for claim in claims)
    if not claims:
        return "No statement", "is in the register of this bundle."
    shown = tally["evidenced"] + tally["inherited"]
    first = f"{shown} of {count(len(claims), 'statement')}"
    rest = [f"{'is' if shown == 1 else 'are'} supported by this evidence."]
    words: tuple[tuple[ClaimStatus, str], ...] = (
        ("contradicted", "contradicted"),
        ("unproven", "not shown"),
        ("planned", "announced for later"),
        ("not testable", "beyond what evidence can decide"),
    )
    said = [
        f"{tally[status]} {'is' if tally[status] == 1 else 'are'} {word}" for status, word in words if tally[status]
    ]
    return first, " ".join([*rest, f"{listed(said)}."] if said else rest)
