"""What a report says, before how it looks: every sentence, order, count and reference, as plain data.

Templates decide nothing. Counts always come with what they are out of; there is no percentage and no score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from compliancectl.model.control import Severity
from compliancectl.model.evidence import EvidenceItem, RunRecord
from compliancectl.model.result import ControlResult, Counts, Results, WaiverUse
from compliancectl.report import text
from compliancectl.report.calendar import Calendar, calendar
from compliancectl.report.counts import OUTCOMES, add, control_bar, headline, item_parts
from compliancectl.report.evidence import EvidenceView, SourceView, evidence_views, source_views
from compliancectl.report.figures import Bar, Rosette, bar, rosette
from compliancectl.report.matrix import FrameworkView, framework_views
from compliancectl.report.population import Table
from compliancectl.report.sections import ControlView, CriterionLink, control_view
from compliancectl.report.source import Source, days

SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class Topic:
    """The controls of one topic, worst outcome first."""

    name: str
    controls: tuple[ControlView, ...]


@dataclass(frozen=True)
class Override:
    """A parameter that the scope file changed."""

    control: ControlView
    name: str
    value: str
    default: str


@dataclass(frozen=True)
class Book:
    """Everything that a template may print."""

    organization: str
    system: str
    environment: str
    name: str
    """The bundle's file or folder name."""
    sealed: bool
    signer: str | None
    """Id of the key that sealed it."""
    digest: str
    identifier: str
    incomplete: bool
    classification: str
    paper: str
    generated: datetime
    run: RunRecord
    results: Results
    headline: tuple[str, str]
    """Its first words, to be set in bold, and the rest."""
    bar: Bar
    item_bar: Bar
    counts: Counts
    tests: int
    controls: tuple[ControlView, ...]
    attention: tuple[ControlView, ...]
    """Controls with items that fail, most severe first."""
    undetermined: tuple[ControlView, ...]
    """Inconclusive controls, most severe first."""
    topics: tuple[Topic, ...]
    frameworks: tuple[FrameworkView, ...]
    evidence: tuple[EvidenceView, ...]
    gaps: tuple[EvidenceView, ...]
    """Evidence that was not collected whole."""
    rejected: int
    """Records that broke their table's contract."""
    sources: tuple[SourceView, ...]
    redactions: tuple[tuple[str, int], ...]
    """(class, values removed before anything was kept), sorted."""
    overrides: tuple[Override, ...]
    waivers_in_force: tuple[WaiverUse, ...]
    waivers_expired: tuple[WaiverUse, ...]
    tables: tuple[Table, ...]
    """Populations that are enclosed whole."""
    catalog: tuple[tuple[str, str], ...]
    rosette: Rosette
    owners: tuple[str, ...]
    """Who answers for a control, sorted."""

    @property
    def anchors(self) -> dict[str, str]:
        """Control id → where its section begins."""
        return {c.result.id: c.anchor for c in self.controls}

    def short(self, framework: str) -> str:
        """What people call a framework; its id if its file is not in the bundle."""
        return next((f.short for f in self.frameworks if f.id == framework), framework)

    def evidence_of(self, control: str, test: str | None = None) -> tuple[EvidenceView, ...]:
        """The evidence that a control, or one test of it, rests on, in the order of ids."""
        known = {view.item.id: view for view in self.evidence}
        used = {
            id
            for result in self.results.controls
            if result.id == control
            for each in result.tests
            if test in (None, each.id)
            for use in each.tables
            for id in use.items
        }
        return tuple(known[id] for id in sorted(used & known.keys()))


def compose(source: Source, *, generated: datetime, paper: str, classification: str) -> Book:
    """Decide everything that the report says about `source`."""
    results = source.results
    evidence = evidence_views(source.items, source.item_digests)
    frameworks = framework_views(source.frameworks, results.controls, results.left_out)
    controls = _controls(source, evidence, frameworks)
    counts = add(control.counts for control in controls)
    return Book(
        organization=results.organization,
        system=results.system,
        environment=results.environment,
        name=source.name,
        sealed=source.sealed,
        signer=source.signer,
        digest=source.digest,
        identifier=source.digest[:32],
        incomplete=source.incomplete,
        classification=classification,
        paper=paper,
        generated=generated,
        run=source.run,
        results=results,
        headline=headline([control.outcome for control in controls]),
        bar=control_bar([control.outcome for control in controls]),
        item_bar=bar(item_parts(counts)),
        counts=counts,
        tests=sum(len(control.tests) for control in controls),
        controls=controls,
        attention=_by_severity(c for c in controls if c.counts.failed),
        undetermined=_by_severity(c for c in controls if c.outcome == "inconclusive"),
        topics=_topics(controls),
        frameworks=frameworks,
        evidence=tuple(evidence.values()),
        gaps=tuple(e for e in evidence.values() if e.item.status != "collected"),
        rejected=sum(e.rejected for e in evidence.values()),
        sources=source_views(source.items, source.run),
        redactions=_redactions(source.items),
        overrides=_overrides(controls),
        waivers_in_force=tuple(w for w in results.waivers if not w.expired),
        waivers_expired=tuple(w for w in results.waivers if w.expired),
        tables=tuple(t.table for c in controls for t in c.tests if t.table is not None),
        catalog=source.catalog,
        rosette=rosette(source.digest),
        owners=tuple(sorted({control.owner for control in results.controls})),
    )


def _controls(
    source: Source, evidence: Mapping[str, EvidenceView], frameworks: tuple[FrameworkView, ...]
) -> tuple[ControlView, ...]:
    return tuple(
        control_view(
            control,
            criteria=_criteria(control, frameworks),
            evidence=evidence,
            populations=source.populations,
            calendars=_calendars(control.id, source),
            waivers=source.results.waivers,
        )
        for control in source.results.controls
    )


def _calendars(control: str, source: Source) -> dict[str, Calendar]:
    start, end = days(source.results)
    return {
        test: calendar(population.days, source.windows.get((id, test), ()), start, end)
        for (id, test), population in source.populations.items()
        if id == control and population.days is not None
    }


def _criteria(
    control: ControlResult, frameworks: tuple[FrameworkView, ...]
) -> tuple[tuple[str, tuple[CriterionLink, ...]], ...]:
    found = []
    for view in frameworks:
        known = {c.criterion.id: c for group in view.groups for c in group.criteria}
        links = tuple(
            CriterionLink(id, known[id].criterion.title, known[id].anchor)
            if id in known
            else CriterionLink(id, "", None)
            for id in control.satisfies.get(view.id, ())
        )
        if links:
            found.append((view.short, links))
    named = {view.id for view in frameworks}
    for id in sorted(set(control.satisfies) - named):
        found.append((id, tuple(CriterionLink(criterion, "", None) for criterion in control.satisfies[id])))
    return tuple(found)


def _by_severity(controls: Iterable[ControlView]) -> tuple[ControlView, ...]:
    return tuple(sorted(controls, key=lambda c: (SEVERITIES.index(c.result.severity), c.result.id)))


def _topics(controls: tuple[ControlView, ...]) -> tuple[Topic, ...]:
    names = sorted({control.result.topic for control in controls})
    return tuple(
        Topic(name, tuple(sorted((c for c in controls if c.result.topic == name), key=_worst_first))) for name in names
    )


def _worst_first(control: ControlView) -> tuple[int, str]:
    return OUTCOMES.index(control.outcome), control.result.id


def _redactions(items: tuple[EvidenceItem, ...]) -> tuple[tuple[str, int], ...]:
    total: Counter[str] = Counter()
    for item in items:
        total.update(item.redactions)
    return tuple(sorted(total.items()))


def _overrides(controls: tuple[ControlView, ...]) -> tuple[Override, ...]:
    return tuple(
        Override(control, param.name, text.compact(param.value), text.compact(param.default))
        for control in controls
        for param in control.result.params
        if param.overridden
    )
