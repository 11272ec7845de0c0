"""A period judged from the chain of its runs: what was captured, what was missed, what held and what did not."""

from __future__ import annotations

from typing import Any, Literal

from compliancectl.model.base import Instant, Model, Wire
from compliancectl.model.control import Frequency, Severity
from compliancectl.model.evidence import Window
from compliancectl.model.result import ControlOutcome, Counts

Verdict = Literal["verified", "not established", "does not verify", "not read"]
"""`not read`: the bundle is known of, and could not be had."""


class LedgerEntry(Model):
    """One bundle that was found, and what became of it."""

    bundle: str
    """Its path below the folder that was searched."""
    verdict: Verdict
    problem: str | None = None
    """Why it does not verify, or was not read."""
    bundle_sha256: str | None = None
    """Digest of its SHA256SUMS."""
    run_id: str | None = None
    as_of: Instant | None = None
    run_status: Literal["open", "complete", "partial"] | None = None
    outcome: ControlOutcome | None = None
    counted: bool = False
    """True if it is a capture within the period."""
    why_not: str | None = None
    """Why it is not counted."""


class Missed(Model):
    """Slots in a row without a capture."""

    start: Instant
    end: Instant
    slots: int


class Stretch(Model):
    """Captures in a row with one outcome. It lasts until the next capture says otherwise."""

    outcome: ControlOutcome
    start: Instant
    """The first of these captures."""
    end: Instant
    """The next capture with another outcome, or the end of the period."""
    captures: int
    reason: str | None = None
    """Why it is inconclusive, as the first of these captures says."""


class Change(Model):
    """The control was not the same in two captures in a row."""

    at: Instant
    """The first capture with the new one."""
    run_id: str
    kind: Literal["added", "removed", "definition", "parameters"]
    before: Any = None
    after: Any = None


class Deviation(Model):
    """An item that failed, from the first capture that shows it to the first that shows otherwise."""

    resource: str
    sentence: str
    first: Instant
    last: Instant
    """The last capture that shows it."""
    until: Instant | None = None
    """The first later capture without it; None while it is open at the end. For an event always None."""
    captures: int
    hours: int | None = None
    """At most so long: from `first` to `until`, or to the end of the period. None for an event."""


class Coverage(Model):
    """What the windows of one feed and target cover of the period."""

    evidence: str
    start: Instant
    end: Instant
    gaps: tuple[Window, ...] = ()


class PeriodTest(Model):
    """One test over the period."""

    id: str
    kind: Literal["state", "events"]
    """`events` when its evidence speaks about windows of time; their union is the population."""
    population: Counts
    """Every item that any capture holds, once, by its worst outcome in the period."""
    occurrences: int
    """The same items as often as captures hold them."""
    deviations: tuple[Deviation, ...] = ()
    coverage: tuple[Coverage, ...] = ()


class PeriodControl(Model):
    """One control over the period."""

    id: str
    title: str
    severity: Severity
    frequency: Frequency
    outcome: ControlOutcome
    reasons: tuple[str, ...] = ()
    """Why it is inconclusive."""
    expected: int
    """Captures due by its frequency: one in each slot."""
    captured: int
    """Slots with at least one capture."""
    captures: int
    missed: tuple[Missed, ...] = ()
    timeline: tuple[Stretch, ...] = ()
    changes: tuple[Change, ...] = ()
    tests: tuple[PeriodTest, ...] = ()


class Unread(Model):
    """Evidence that was not collected in full, capture after capture."""

    table: str
    start: Instant
    end: Instant
    """The first later capture in which it was, or the end of the period."""
    captures: int
    problem: str
    """As the first of these captures says."""


class Period(Wire):
    """What `period` finds."""

    version: Literal[1] = 1
    organization: str
    system: str
    environment: str
    start: Instant
    end: Instant
    tool_version: str
    outcome: ControlOutcome
    ledger: tuple[LedgerEntry, ...]
    controls: tuple[PeriodControl, ...]
    unread: tuple[Unread, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 no deviations, 1 deviations, 3 inconclusive, 4 when a bundle does not verify; the highest counts."""
        if any(entry.verdict == "does not verify" for entry in self.ledger):
            return 4
        return {"inconclusive": 3, "deviations": 1}.get(self.outcome, 0)
