"""A sample: items drawn from one sealed population so that anyone can draw the same ones again."""

from __future__ import annotations

from typing import Any, Literal

from compliancectl.model.base import Instant, Model, Wire
from compliancectl.model.control import Frequency
from compliancectl.model.evidence import Window
from compliancectl.model.result import ItemOutcome


class Stratum(Model):
    """The items that share one value of the column that the frame was divided by."""

    value: str | None
    """None when the item has no such value."""
    items: int
    drawn: int


class DrawnItem(Model):
    """One item of the sample."""

    number: int
    """Its place in the order of drawing, counted from 1."""
    resource: str
    md5: str
    """Of the seed followed by the resource, in UTF-8; items are drawn in its order."""
    stratum: str | None = None
    outcome: ItemOutcome
    """As the control judged it."""
    reason: str | None = None
    findings: tuple[str, ...] = ()
    observed: dict[str, Any] = {}


class Sample(Wire):
    """What was drawn, from what, and how to draw it again."""

    version: Literal[1] = 1
    organization: str
    system: str
    run_id: str
    bundle_sha256: str
    """Digest of the bundle's SHA256SUMS."""
    period: Window
    as_of: Instant
    control: str
    title: str
    test: str
    frequency: Frequency
    checks: tuple[str, ...]
    items_path: str
    """The population in the bundle."""
    items_sha256: str
    population: int
    excluded: int
    """Items that do not count, each with its reason; they are not in the frame."""
    frame: int
    """Items that could be drawn."""
    seed: str
    size: int
    """How many were drawn: never more than there are."""
    rule: str
    """Where the size comes from, in a sentence."""
    strata_column: str | None = None
    strata: tuple[Stratum, ...] = ()
    sql: str
    """Draws the same items with DuckDB from the unpacked bundle."""
    items: tuple[DrawnItem, ...]
