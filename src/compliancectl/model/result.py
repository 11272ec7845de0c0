"""Results: what the checks said. The wire format of `results/results.json` and `results/items/*.jsonl`."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from compliancectl.errors import Status
from compliancectl.model.base import Instant, Model, Wire
from compliancectl.model.control import Frequency, Severity
from compliancectl.model.evidence import Window

ItemOutcome = Literal["pass", "fail", "waived", "excluded", "unknown"]
ControlOutcome = Literal["no deviations", "deviations", "inconclusive", "no occurrences"]


class Counts(Model):
    """Items by outcome."""

    passed: int = 0
    failed: int = 0
    waived: int = 0
    excluded: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.waived + self.excluded + self.unknown


class Finding(Model):
    """One check that is not true of one item."""

    check: str
    outcome: Literal["fail", "waived", "unknown"]
    sentence: str
    waiver: str | None = None


class ItemResult(Model):
    """One item of a population: a line of `results/items/<control>.<test>.jsonl`, sorted by resource."""

    resource: str
    outcome: ItemOutcome
    checks: dict[str, Literal["pass", "fail", "waived", "unknown"]] = {}
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    """Why it is excluded or unknown."""
    observed: dict[str, Any] = {}
    """The population's columns for this item."""


class CheckResult(Model):
    """One check over the whole population."""

    name: str
    expect: str
    finding: str
    passed: int = 0
    failed: int = 0
    waived: int = 0
    unknown: int = 0


class TableUse(Model):
    """A table that a test read, and the evidence it came from."""

    table: str
    status: Status
    rows: int
    rejected: int = 0
    oldest: Instant | None = None
    """When the oldest of its evidence items was completed."""
    items: tuple[str, ...]
    """Evidence item ids."""
    problem: str | None = None
    """Why the table cannot be relied on: denied, partial, stale …, in a sentence."""


class TestResult(Model):
    """One test."""

    id: str
    outcome: ControlOutcome
    reason: str | None = None
    """Why it is inconclusive, or why no occurrence is a legitimate answer."""
    population_sql: str
    tables: tuple[TableUse, ...]
    counts: Counts
    checks: tuple[CheckResult, ...]
    items_path: str | None = None
    """JSON Lines with every item, relative to the run's folder; None when the SQL did not run."""
    items_sha256: str | None = None
    deviations: tuple[ItemResult, ...] = ()
    """The first items that did not pass: fail, then unknown, waived, excluded; at most 200 of them."""


class ParamUse(Model):
    """A parameter's value, and the default it overrides."""

    name: str
    value: Any
    default: Any = None
    overridden: bool = False


class ControlResult(Model):
    """One control."""

    id: str
    title: str
    objective: str
    topic: str
    owner: str
    severity: Severity
    frequency: Frequency
    satisfies: dict[str, tuple[str, ...]]
    remediation: str
    params: tuple[ParamUse, ...] = ()
    file: str
    sha256: str
    outcome: ControlOutcome
    tests: tuple[TestResult, ...]


class WaiverUse(Model):
    """A waiver and what became of it."""

    id: str
    control: str
    items: tuple[str, ...]
    checks: tuple[str, ...]
    approver: str
    reason: str
    approved: date
    expires: date
    expired: bool
    applied: int
    """Findings that it turned into `waived`."""


class DisabledControl(Model):
    """A control that the scope says does not apply."""

    id: str
    title: str
    severity: Severity
    satisfies: dict[str, tuple[str, ...]]
    reason: str


class LeftOut(Model):
    """Criteria that the scope leaves out."""

    framework: str
    criteria: tuple[str, ...]
    reason: str


class Results(Wire):
    """`results/results.json`."""

    version: Literal[1] = 1
    run_id: str
    run_sha256: str | None = None
    """Digest of the run.json that was judged; a bundle without it is not sealed and does not verify."""
    organization: str
    system: str
    environment: str
    as_of: Instant
    period: Window
    tool_version: str
    engine: str
    """`duckdb 2.0.0`."""
    outcome: ControlOutcome
    controls: tuple[ControlResult, ...]
    waivers: tuple[WaiverUse, ...] = ()
    disabled: tuple[DisabledControl, ...] = ()
    """Controls that were not judged because the scope says, with a reason, that they do not apply; by id."""
    left_out: tuple[LeftOut, ...] = ()
    """Criteria that the organisation does not answer for, with the reason, in the order of the scope."""

    @property
    def exit_code(self) -> int:
        """0 no deviations, 1 deviations, 3 inconclusive; the highest counts."""
        worst = {c.outcome for c in self.controls}
        if not worst or "inconclusive" in worst:
            return 3
        return 1 if "deviations" in worst else 0
