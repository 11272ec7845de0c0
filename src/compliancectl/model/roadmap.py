"""Milestones that were announced for a date, and what is open before each."""

from __future__ import annotations

from datetime import date
from typing import Literal

from compliancectl.model.base import Instant, Model, Wire

MilestoneState = Literal["missed", "hollow", "unknown", "ahead", "reached"]


class Milestone(Model):
    """One announced milestone, on the day it is read."""

    id: str
    title: str
    owner: str | None = None
    due: date
    done: date | None = None
    evidence: str | None = None
    """The document that shows it was reached."""
    state: MilestoneState
    """`hollow`: said to be reached, and nothing shows it; `unknown`: could not be judged."""
    days: int
    """From the day it is read to the day it is due; negative when that has passed."""
    open_before: tuple[str, ...] = ()
    """Ids of the open findings that are to be closed by then and that nobody waived, of a milestone that is ahead."""


class Roadmap(Wire):
    """What `roadmap --format json` prints."""

    version: Literal[1] = 1
    organization: str
    system: str
    environment: str
    run_id: str
    as_of: Instant
    milestones: tuple[Milestone, ...]
    unjudged_tests: tuple[str, ...] = ()
    """`CONTROL.test` that could not be judged: what they would find may be open as well."""
    undecided_items: int = 0
