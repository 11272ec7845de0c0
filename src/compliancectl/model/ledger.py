"""The ledger's entries: what was begun, what was sealed, and who else handled it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from compliancectl.model.base import Instant, Wire
from compliancectl.model.evidence import Window
from compliancectl.model.result import ControlOutcome

EntryKind = Literal["open", "seal", "export", "disclose", "verify", "purge", "note"]
Cadence = Literal["hourly", "daily", "weekly"]
ORIGIN = "0" * 64
"""`previous` of the first entry."""


class Entry(Wire):
    """One line of `entries.jsonl`, in RFC 8785 form. What a kind has no use for is left out."""

    version: Literal[1] = 1
    sequence: int = Field(ge=0)
    previous: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the line before, without its line feed."""
    kind: EntryKind
    at: Instant
    tool_version: str
    scope_sha256: str | None = None
    controls_sha256: str | None = None
    """Of the list of the selected controls' digests and ids, in the format of SHA256SUMS."""
    opens: int | None = None
    """`seal`: sequence of the `open` entry that it closes."""
    run_id: str | None = None
    statement_sha256: str | None = None
    """Of the signed statement: what ties a bundle to its entry."""
    status: Literal["complete", "partial"] | None = None
    outcome: ControlOutcome | None = None
    observation: Window | None = None
    text: str | None = None
    """`export`, `disclose`, `verify`, `purge`, `note`: who, to whom, why; in a person's words."""


class Slot(Wire):
    """One span in which a run was due."""

    start: Instant
    end: Instant
    opened: int
    sealed: int
    """Runs that were opened in this span and sealed by its end."""
    complete: int
    """Those of them that collected everything."""
    late: int
    """Runs that were opened in this span and sealed after it."""

    @property
    def covered(self) -> bool:
        """True if a complete run was sealed in time."""
        return self.complete > 0


class Coverage(Wire):
    """What a ledger shows of a period."""

    version: Literal[1] = 1
    start: Instant
    end: Instant
    cadence: Cadence
    slots: tuple[Slot, ...]
    dropped: tuple[Entry, ...]
    """Runs that were opened and never sealed: abandoned, killed, or not liked."""
    partial: tuple[Entry, ...]
    """Runs that were sealed although something could not be collected."""
    gaps: tuple[Window, ...]
    """Spans of the period that no sealed run's observation covers."""
    changes: tuple[str, ...]
    """Changes of scope, controls or tool from one sealed run to the next, in sentences."""

    @property
    def exit_code(self) -> int:
        """0 if every span is covered and nothing was dropped; 3 otherwise."""
        return 3 if self.dropped or self.gaps or not all(slot.covered for slot in self.slots) else 0
