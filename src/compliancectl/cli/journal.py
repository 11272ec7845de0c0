"""The ledger that runs and events are entered in, as commands name it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from compliancectl.cli.project import Project
    from compliancectl.model.evidence import RunRecord
    from compliancectl.model.result import Results

LEDGER_VARIABLE = "COMPLIANCECTL_LEDGER"
LEDGER_KEY_VARIABLE = "COMPLIANCECTL_LEDGER_KEY"


@dataclass(frozen=True)
class Journal:
    """Where runs are entered."""

    folder: Path
    key: Path

    def open(self, project: Project) -> int:
        """Enter a run before its first call; returns the number of the entry."""
        from compliancectl import ledger
        from compliancectl.canonical import sha256
        from compliancectl.seal import sums

        controls = sha256(sums.write({control.id: control.sha256 for control in project.selected}))
        entry = ledger.append(
            self.folder,
            self.key,
            lambda found: ledger.blank(kind="open", scope_sha256=project.scope.sha256, controls_sha256=controls),
        )
        return entry.sequence

    def seal(self, opened: int, run: RunRecord, results: Results, bundle: Path) -> None:
        """Enter that a run was sealed."""
        from compliancectl import ledger
        from compliancectl.canonical import sha256_file

        digest = sha256_file(bundle / "seal/statement.json")
        ledger.append(
            self.folder,
            self.key,
            lambda found: ledger.blank(
                kind="seal",
                opens=opened,
                scope_sha256=run.scope_sha256,
                controls_sha256=found.entries[opened].controls_sha256,
                run_id=run.id,
                statement_sha256=digest,
                status=run.status,
                outcome=results.outcome,
                observation=run.period,
            ),
        )


def journal(folder: Path | None, key: Path | None) -> Journal | None:
    """The ledger to enter a run in, if one is named.

    Raises:
        UsageError: if only one of ledger and key is named.
    """
    if folder is None and key is None:
        return None
    if folder is None or key is None:
        hint = f"Give both --ledger ({LEDGER_VARIABLE}) and --ledger-key ({LEDGER_KEY_VARIABLE})."
        raise UsageError("a ledger needs its folder and its key", hint=hint)
    return Journal(folder, key)
