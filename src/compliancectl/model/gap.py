"""Gaps: open findings with an identity that stays the same from one assessment to the next."""

from __future__ import annotations

from datetime import date
from typing import Literal

from compliancectl.model.base import Instant, Model, Wire
from compliancectl.model.control import Severity

DUE_DAYS: dict[Severity, int] = {"critical": 7, "high": 30, "medium": 90, "low": 180}
"""How long a gap may stay open, in days after it was first seen, by severity of its control."""


class Gap(Model):
    """One check that is not true of one item."""

    id: str
    """`GAP-` and twelve hexadecimal digits made of control, test, check and resource, and of nothing else."""
    control: str
    title: str
    """Title of the control."""
    test: str
    check: str
    resource: str
    sentence: str
    severity: Severity
    owner: str
    criteria: dict[str, tuple[str, ...]]
    """Framework → criteria that the control answers for."""
    claims: tuple[str, ...] = ()
    """Ids of the public statements that it contradicts."""
    remediation: str
    first_seen: Instant
    """The earliest of the assessments given, without a gap between, that has it."""
    due: date
    overdue: bool
    waiver: str | None = None
    """The waiver that accepts it for now."""


class Gaps(Wire):
    """What `gaps --format json` prints."""

    version: Literal[1] = 1
    organization: str
    system: str
    environment: str
    run_id: str
    as_of: Instant
    gaps: tuple[Gap, ...]
    closed: tuple[str, ...] = ()
    """Ids of gaps that the assessment before had, and that are no more."""
    undecided_items: int = 0
    """Items that could not be judged: no gaps, and not shown to be good either."""
    unjudged_tests: tuple[str, ...] = ()
    """`CONTROL.test` that could not be judged at all; a gap of theirs may have gone out of sight only."""
