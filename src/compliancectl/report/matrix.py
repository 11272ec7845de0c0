"""Every criterion of every framework, with the controls that serve it; those without a control stand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from compliancectl.model.framework import Criterion, Framework
from compliancectl.model.result import ControlResult
from compliancectl.report.counts import OUTCOMES, control_bar
from compliancectl.report.figures import Bar, Strip, strip
from compliancectl.report.text import count

NO_CONTROL = "no control"


@dataclass(frozen=True)
class CriterionView:
    """One criterion and its controls."""

    criterion: Criterion
    anchor: str
    controls: tuple[ControlResult, ...]

    @property
    def outcome(self) -> str:
        """The most serious outcome among its controls, or `no control`."""
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
    sentence: str
    controls: int
    bar: Bar
    strip: Strip
    unknown: tuple[tuple[str, str], ...]
    """(control, criterion) pairs that name a criterion which the framework's file does not have."""


def framework_views(frameworks: Sequence[Framework], controls: Sequence[ControlResult]) -> tuple[FrameworkView, ...]:
    """One entry for each framework in the bundle: those of the catalogue's order of importance first."""
    order = ("soc2", "gdpr", "ferpa")
    ranked = sorted(frameworks, key=lambda f: (order.index(f.id) if f.id in order else len(order), f.id))
    return tuple(_framework(framework, controls) for framework in ranked)


def short_name(framework: Framework) -> str:
    """What people call it."""
    return framework.name.partition(":")[0].strip()


def _framework(framework: Framework, controls: Sequence[ControlResult]) -> FrameworkView:
    serving = [c for c in controls if c.satisfies.get(framework.id)]
    views = [
        CriterionView(
            criterion,
            f"criterion-{framework.id}-{n}",
            tuple(c for c in serving if criterion.id in c.satisfies[framework.id]),
        )
        for n, criterion in enumerate(framework.criteria, start=1)
    ]
    covered = sum(bool(view.controls) for view in views)
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
        sentence=sentence,
        controls=len(serving),
        bar=control_bar([c.outcome for c in serving]),
        strip=strip([[v.outcome for v in g.criteria] for g in groups], _strip_text(framework, views)),
        unknown=tuple((c.id, i) for c in serving for i in c.satisfies[framework.id] if i not in known),
    )


def _strip_text(framework: Framework, views: Sequence[CriterionView]) -> str:
    parts = [f"{sum(v.outcome == o for v in views)} {o}" for o in (*OUTCOMES, NO_CONTROL)]
    return f"{short_name(framework)}, criteria by the most serious outcome of their controls: {', '.join(parts)}"
