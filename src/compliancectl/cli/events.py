"""Entering in the ledger what happens to a bundle after it was sealed: exports, disclosures, verifications."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import journal
from compliancectl.errors import FileError, UsageError

if TYPE_CHECKING:
    from compliancectl.model.ledger import EntryKind

LedgerFolder = Annotated[
    Path | None,
    typer.Option("--ledger", help="Ledger to enter this in.", envvar=journal.LEDGER_VARIABLE, metavar="DIR"),
]
LedgerKey = Annotated[
    Path | None,
    typer.Option("--ledger-key", help="Its private key.", envvar=journal.LEDGER_KEY_VARIABLE, metavar="FILE"),
]


def enter(folder: Path | None, key: Path | None, kind: EntryKind, bundle: Path, text: str) -> None:
    """Enter an event, if a ledger is named. Called before anything leaves: what cannot be entered does not happen.

    Raises:
        UsageError: if only one of ledger and key is named.
        VerifyError: if the ledger does not hold.
    """
    from compliancectl import ledger

    book = journal.journal(folder, key)
    if book is None:
        return
    run_id, digest = identity(bundle)
    fields = {"kind": kind, "text": text, "run_id": run_id, "statement_sha256": digest}
    ledger.append(book.folder, book.key, lambda found: ledger.blank(**fields))


def identity(bundle: Path) -> tuple[str, str]:
    """Run id and digest of the statement of a sealed bundle.

    Raises:
        UsageError: if there is nothing at `bundle`.
        FileError: if it is no sealed bundle.
    """
    from compliancectl import canonical
    from compliancectl.seal import Problem, archive, container, statement

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    member = "seal/statement.json"
    try:
        with archive.opened(bundle) as members:
            data = container.read(members, member, limit=16 * 1024**2)
        return statement.parse(data, member=member).predicate.run.id, canonical.sha256(data)
    except Problem as problem:
        raise FileError(problem.message, file=f"{bundle}/{problem.member or ''}", hint=problem.hint) from problem
