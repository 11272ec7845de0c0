"""Every criterion of every framework, with the controls that serve it; those without a control stand out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from compliancectl.model.framework import Criterion, Framework
from compliancectl.model.result import ControlResult, LeftOut
from compliancectl.report.counts import OUTCOMES, control_bar
from compliancectl.report.figures import Bar, Strip, strip
from compliancectl.report.text import count

NO_CONTROL, LEFT_OUT = "no control", "left out"


@dataclass(frozen=True)
class CriterionView:
    """One criterion and its controls."""

    criterion: Criterion
    anchor: str
    controls: tuple[ControlResult, ...]
    left_out: str | None
    """Why the organisation does not answer for it."""

    @property
    def outcome(self) -> str:
        """The most serious outcome among its controls, `no control`, or `left out`."""
        if self.left_out is not None:
            return LEFT_OUT
        return next((o for o in OUTCOMES if any(c.outcome == o for c in self.controls)), NO_CONTROL)


@dataclass(frozen=True)
class GroupView:
    """Criteria that belong together."""

    name: str
    criteria: tuple[CriterionView, ...]


@dataclass(frozen=True)
class FrameworkView:
    """One framework."""

    id: str
    short: str
    """`SOC 2` of `SOC 2: Trust Services Criteria …`."""
    framework: Framework
    anchor: str
    groups: tuple[GroupView, ...]
    total: int
    covered: int
    """With a control, and not left out."""
    left_out: int
    sentence: str
    controls: int
    bar: Bar
    strip: Strip
    unknown: tuple[tuple[str, str], ...]
    """(control, criterion) pairs that name a criterion which the framework's file does not have."""


def framework_views(
    frameworks: Sequence[Framework], controls: Sequence[ControlResult], left_out: Sequence[LeftOut]
) -> tuple[FrameworkView, ...]:
    """One entry for each framework in the bundle: those of the catalogue's order of importance first."""
    order = ("soc2", "gdpr", "ferpa")
    ranked = sorted(frameworks, key=lambda f: (order.index(f.id) if f.id in order else len(order), f.id))
    reasons = {(entry.framework, id): entry.reason for entry in left_out for id in entry.criteria}
    return tuple(_framework(framework, controls, reasons) for framework in ranked)


def short_name(framework: Framework) -> str:
    """What people call it."""
    return framework.name.partition(":")[0].strip()


def _framework(
    framework: Framework, controls: Sequence[ControlResult], reasons: Mapping[tuple[str, str], str]
) -> FrameworkView:
    serving = [c for c in controls if c.satisfies.get(framework.id)]
    views = [
        CriterionView(
            criterion,
            f"criterion-{framework.id}-{n}",
            tuple(c for c in serving if criterion.id in c.satisfies[framework.id]),
            reasons.get((framework.id, criterion.id)),
        )
        for n, criterion in enumerate(framework.criteria, start=1)
    ]
    covered = sum(view.outcome not in (NO_CONTROL, LEFT_OUT) for view in views)
    known = {criterion.id for criterion in framework.criteria}
    groups = tuple(GroupView(n, tuple(g)) for n, g in groupby(views, key=lambda v: v.criterion.group))
    sentence = f"{covered} of {count(len(views), 'criterion', 'criteria')} {'has' if covered == 1 else 'have'} at least one control"
    return FrameworkView(
        id=framework.id,
        short=short_name(framework),
        framework=framework,
        anchor=f"framework-{framework.id}",
        groups=groups,
        total=len(views),
        covered=covered,
        left_out=sum(view.outcome == LEFT_OUT for view in views),
        sentence=sentence,
        controls=len(serving),
        bar=control_bar([c.outcome for c in serving]),
        strip=strip([[v.outcome for v in g.criteria] for g in groups], _strip_text(framework, views)),
        unknown=tuple((c.id, i) for c in serving for i in c.satisfies[framework.id] if i not in known),
    )


def _strip_text(framework: Framework, views: Sequence[CriterionView]) -> str:
    tally = Counter(view.outcome for view in views)
    parts = [f"{tally[o]} {o}" for o in (*OUTCOMES, NO_CONTROL, *([LEFT_OUT] if tally[LEFT_OUT] else []))]
    return f"{short_name(framework)}, criteria by the most serious outcome of their controls: {', '.join(parts)}"
