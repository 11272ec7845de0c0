"""Scope: the systems, sources and period assessed. The form of `compliancectl.yaml`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field

from compliancectl.model.base import Model


class PeriodSpec(Model):
    """Observation period: half-open, whole days in UTC."""

    start: date
    end: date


class Selection(Model):
    """Which controls apply, and with which parameters."""

    only: tuple[str, ...] = ()
    """Ids or patterns such as `BCP-*`; empty means all."""
    frameworks: tuple[str, ...] = ()
    """Only controls that serve one of these; empty means all."""
    folders: tuple[str, ...] = ()
    """Folders with the organisation's own control files, relative to the scope file."""
    params: dict[str, dict[str, Any]] = {}
    """Overrides by control id; each is printed in the report."""
    disabled: dict[str, str] = {}
    """Control id → why it does not apply; each is printed."""


class LeaveOut(Model):
    """Criteria of a framework that the organisation does not answer for, and why."""

    framework: str
    groups: tuple[str, ...] = ()
    """Groups, or patterns such as `Privacy*`; empty means all."""
    roles: tuple[str, ...] = ()
    """Only criteria that bind one of these alone (`controller`, `institution` …); empty means all."""
    reason: str


class Scope(Model):
    """One scope file. Each source's section is validated by its collector's own config model."""

    organization: str = Field(min_length=1)
    system: str = Field(min_length=1)
    environment: str = "production"
    period: PeriodSpec | None = None
    """Absent: the 90 days before the run."""
    controls: Selection = Selection()
    left_out: tuple[LeaveOut, ...] = ()
    """What of the frameworks is left out; each is printed with its reason."""
    waivers: str | None = None
    """Path of the waivers file, relative to the scope file."""
    claims: str | None = None
    """Path of the register of public statements, relative to the scope file; absent: the one that ships."""
    sources: dict[str, dict[str, Any]]
    """Collector name → its section, unvalidated here."""
    file: Path = Field(exclude=True)
    sha256: str = Field(exclude=True)
    lines: dict[str, int] = Field(default={}, exclude=True)
    """Dotted path in the file → line, for messages: `sources.gcp.projects` → 12."""

    @property
    def folder(self) -> Path:
        """Where relative paths in the scope start."""
        return self.file.parent
