"""Controls: what the organisation does to meet criteria, as one YAML file each."""

from __future__ import annotations

from typing import Any, Literal

from compliancectl.model.base import Model

Severity = Literal["low", "medium", "high", "critical"]
Frequency = Literal["hourly", "daily", "weekly", "monthly", "quarterly", "annual"]

MAX_AGE_HOURS: dict[str, int] = {
    "hourly": 1,
    "daily": 24,
    "weekly": 7 * 24,
    "monthly": 31 * 24,
    "quarterly": 92 * 24,
    "annual": 366 * 24,
}
"""How old a control's evidence may be at `as_of`, in hours, by its frequency."""


class Check(Model):
    """One yes/no statement about an item."""

    name: str
    expect: str
    """A boolean DuckDB expression over the population's columns."""
    finding: str
    """The sentence when it is not true; `{column}` is replaced by the item's value."""
    line: int = 0
    expect_line: int = 0
    """Line on which the expression begins."""


class Example(Model):
    """Given rows and the outcome that each item must then have."""

    name: str | None = None
    given: dict[str, tuple[dict[str, Any], ...]]
    then: dict[str, Any]
    """resource → outcome, or → {check: outcome}."""
    params: dict[str, Any] = {}
    as_of: str | None = None
    period: tuple[str, str] | None = None
    line: int = 0


class Test(Model):
    """One population and the checks that each of its items must meet."""

    id: str
    population: str
    """One SELECT over evidence tables: one row per item, column `resource` unique and not null."""
    checks: tuple[Check, ...]
    may_be_empty: str | None = None
    """Why no item at all is a legitimate answer."""
    optional_fields: tuple[str, ...] = ()
    """`table.column` leaves that may be NULL in an item that passes; the null probe leaves them alone."""
    examples: tuple[Example, ...] = ()
    line: int = 0
    population_line: int = 0
    """Line on which the SELECT begins."""
    implicit: bool = False
    """Made by the engine from the control's `evidence`, not written by the author."""


class DocumentNeed(Model):
    """A document that people must supply."""

    kind: str
    subject: str
    max_age_days: int
    owner: str
    line: int = 0


class Control(Model):
    """One control file."""

    id: str
    title: str
    objective: str
    satisfies: dict[str, tuple[str, ...]]
    owner: str
    severity: Severity
    frequency: Frequency
    params: dict[str, Any] = {}
    remediation: str
    tests: tuple[Test, ...]
    evidence: tuple[DocumentNeed, ...] = ()
    file: str
    """Path as it was given, for messages."""
    topic: str
    """Folder name: `backup`, `access` …"""
    sha256: str
    """Digest of the file's exact bytes."""
    lines: dict[str, int] = {}
    """Path in the file → line, for messages: `tests/0/examples/1/given/gcp.bucket/0/name` → 31."""

    def line(self, *path: str | int) -> int | None:
        """The line of `path`, or of the nearest thing that encloses it."""
        for end in range(len(path), 0, -1):
            line = self.lines.get("/".join(str(part) for part in path[:end]))
            if line is not None:
                return line
        return None
