"""History: outcomes of controls over many runs."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from compliancectl.model.base import Instant, Model, Wire
from compliancectl.model.control import Severity
from compliancectl.model.result import ControlOutcome, Counts


class RunPoint(Model):
    """One run."""

    run_id: str
    as_of: Instant
    controls: dict[ControlOutcome, int]
    """Controls by outcome."""


class ControlPoint(Model):
    """One control in one run."""

    run_id: str
    as_of: Instant
    outcome: ControlOutcome
    items: Counts


class ControlHistory(Model):
    """One control over all runs that have it, in the order of time."""

    id: str
    title: str
    severity: Severity
    points: tuple[ControlPoint, ...]

    @property
    def turns(self) -> int:
        """How often the outcome was another than in the run before."""
        outcomes = [point.outcome for point in self.points]
        return sum(before != after for before, after in pairwise(outcomes))


class History(Wire):
    """What `history` and `trend` find."""

    version: Literal[1] = 1
    organization: str
    system: str
    environment: str
    runs: tuple[RunPoint, ...]
    controls: tuple[ControlHistory, ...]
