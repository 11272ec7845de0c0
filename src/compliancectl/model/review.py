"""An access review: who has access to what, who decides about it, and what became of the decisions."""

from __future__ import annotations

from datetime import date
from typing import Literal

from compliancectl.model.base import Instant, Model, Wire

DECISIONS = ("keep", "change", "remove")
"""What a reviewer may decide. Whatever is changed or removed is gone, in its old form, from a later snapshot."""


class Grant(Model):
    """One thing that somebody can do in a system."""

    id: str
    """`AR-` and twelve hexadecimal digits made of system, place, principal and grant, and of nothing else."""
    system: str
    place: str
    principal: str
    grant: str


class Asked(Grant):
    """A grant with the person who decides about it."""

    reviewer: str


class Campaign(Wire):
    """`campaign.json`: what was there, and who was asked."""

    version: Literal[1] = 1
    organization: str
    run_id: str
    collected_at: Instant
    """When the oldest of the evidence was complete."""
    tables: dict[str, str]
    """Table → SHA-256 over the digests of its files, so that the snapshot can be found again."""
    aliases: dict[str, tuple[str, ...]] = {}
    """Reviewer → further names that are the same person."""
    rows: tuple[Asked, ...]


class Decision(Model):
    """What somebody decided about one grant."""

    id: str
    decision: str
    decided_by: str
    decided_on: date


class Fault(Model):
    """One thing that is wrong with a campaign."""

    kind: Literal[
        "undecided", "unclear", "altered", "unknown", "stranger", "own access", "not asked", "not removed", "too late"
    ]
    id: str
    says: str


class Review(Wire):
    """What `reviews check --format json` prints."""

    version: Literal[1] = 1
    organization: str
    run_id: str
    collected_at: Instant
    later_run: str | None = None
    grants: int
    decided: int
    kept: int
    to_go: int
    gone: int
    """Of those that were to go: shown to be gone."""
    unshown: tuple[str, ...] = ()
    """Ids of those that were to go, and of which no later snapshot speaks."""
    faults: tuple[Fault, ...] = ()
