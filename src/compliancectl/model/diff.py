"""What changed between two runs: the wire format of `diff --format json`."""

from __future__ import annotations

from typing import Any, Literal

from compliancectl.model.base import Instant, Model, Wire
from compliancectl.model.result import ControlOutcome, Counts

FindingKind = Literal["new", "resolved", "gone", "changed"]


class Side(Model):
    """One of the two runs."""

    path: str
    run_id: str
    as_of: Instant
    outcome: ControlOutcome
    status: Literal["complete", "partial"]
    tool_version: str
    sums_sha256: str | None = None
    """Digest of SHA256SUMS, which stands for the whole bundle; None if the run is not sealed."""


class Change(Model):
    """Something that has another value: a field of the scope, a parameter, the status of an evidence item."""

    name: str
    old: Any = None
    """None when it was not there."""
    new: Any = None
    """None when it is not there any more."""


class ControlChange(Model):
    """One control that is new, gone, or not the same."""

    id: str
    change: Literal["added", "removed", "changed"]
    old_outcome: ControlOutcome | None = None
    new_outcome: ControlOutcome | None = None
    file_changed: bool = False
    """The bytes of the control's file differ, in whatever."""
    params: tuple[Change, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why tests of it are inconclusive now."""


class PopulationChange(Model):
    """One test whose population is not the same.

    A change of the question itself shows in its control: the file, or a parameter.
    """

    test: str
    """`BCP-02.reach-back`."""
    old: Counts
    new: Counts
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    newly_excluded: tuple[str, ...] = ()
    no_longer_excluded: tuple[str, ...] = ()


class FindingChange(Model):
    """One check of one item that is not true in at least one of the two runs, and not the same in both."""

    kind: FindingKind
    """`resolved`: the check is true now. `gone`: nobody looked any more, for the reason that is given; it may still be
    so. `changed`: it is not true in either, but, say, waived now."""
    test: str
    resource: str
    check: str
    """`*` for an item that could not be judged at all."""
    old: str
    """`pass`, `fail`, `waived`, `unknown`, or `-` when it was not looked at."""
    new: str
    sentence: str | None = None
    reason: str | None = None
    """Why nobody looked any more."""


class Diff(Wire):
    """Everything that changed; what is not listed is the same."""

    version: Literal[1] = 1
    old: Side
    new: Side
    scope: tuple[Change, ...] = ()
    evidence: tuple[Change, ...] = ()
    """Status of evidence items by id."""
    controls: tuple[ControlChange, ...] = ()
    populations: tuple[PopulationChange, ...] = ()
    waivers: tuple[Change, ...] = ()
    findings: tuple[FindingChange, ...] = ()

    def count(self, kind: str) -> int:
        """How many findings are of this kind."""
        return sum(1 for finding in self.findings if finding.kind == kind)

    @property
    def exit_code(self) -> int:
        """0 nothing got worse, 1 new findings, 3 something is looked at less than before."""
        less = (
            any(f.kind == "gone" or (f.kind != "resolved" and f.new == "unknown") for f in self.findings)
            or any(c.change == "removed" for c in self.controls)
            or any(c.new_outcome == "inconclusive" != c.old_outcome for c in self.controls)
            or any(c.old == "collected" for c in self.evidence)
        )
        worse = any(f.new == "fail" and f.kind in ("new", "changed") for f in self.findings)
        return 3 if less else 1 if worse else 0
