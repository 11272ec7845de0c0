"""Is a bundle in the ledger that a verifier's trust policy names, and is it the last one there?

A seal cannot show the bundles that one was not given. The ledger can: it is the verifier's own copy, or a proof from it,
and its key and the checkpoints that were kept come from the verifier's policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl import clock
from compliancectl.errors import UsageError, VerifyError
from compliancectl.model.manifest import RunInfo
from compliancectl.model.trust import Trust, TrustedLedger
from compliancectl.seal import Problem, Skipped

if TYPE_CHECKING:
    from compliancectl.model.ledger import Entry

_NONE = "You name no ledger: runs that you were not given do not show."


@dataclass(frozen=True)
class Book:
    """The ledger, or a proof from it, as the verifier was handed it."""

    folder: Path | None = None
    proof: Path | None = None


NO_BOOK = Book()
"""Nothing was handed over."""


def check_arguments(trust: Trust | None, book: Book) -> None:
    """Refuse a ledger or proof that nothing can be held against.

    Raises:
        UsageError: if the policy names no ledger, or both are given.
    """
    if book.folder is not None and book.proof is not None:
        raise UsageError("a ledger and a proof are given", hint="Give --ledger or --proof; the ledger shows more.")
    if (book.folder or book.proof) and (trust is None or trust.ledger is None):
        hint = "Write into it: ledger: {key_file: verifier.txt}."
        raise UsageError("the trust policy does not name the key of the ledger", hint=hint)


def entered(trust: Trust | None, book: Book, statement_sha256: str, run: RunInfo) -> str:
    """Find the bundle's entry; returns a sentence.

    Raises:
        Problem: if the ledger does not hold, has no such entry, or says something else about the run.
        Skipped: if the policy names a ledger and none was given.
    """
    known = trust.ledger if trust is not None else None
    if known is None:
        return _NONE
    if book.folder is None and book.proof is None:
        hint = "Give it with --ledger, or a proof from it with --proof."
        raise Skipped("Your trust policy names a ledger; none was given to look the bundle up in.", hint)
    try:
        entries, size = _read(known, book)
    except VerifyError as error:
        raise Problem(f"The ledger does not hold: {error.message}", hint=error.hint) from error
    entry = next((e for e in entries if e.kind == "seal" and e.statement_sha256 == statement_sha256), None)
    if entry is None:
        raise Problem(
            f"The ledger has no entry for this bundle{_other(entries, run)}",
            hint="Ask why: it was sealed outside the ledger, or in place of another.",
        )
    _check_entry(entry, run)
    said = f"Entry {entry.sequence} of {size}, sealed {clock.text(entry.at)}."
    if book.folder is None:
        if known.latest:
            raise Skipped(f"{said} A proof cannot show that it is the last one.", "Give the ledger with --ledger.")
        return said
    return f"{said} {_among(known, entry, entries)}"


def _read(known: TrustedLedger, book: Book) -> tuple[Sequence[Entry], int]:
    from compliancectl import ledger

    if book.proof is not None:
        entry, checkpoint = ledger.check_proof(book.proof, known.key)
        return (entry,), checkpoint.size
    assert book.folder is not None
    found, _ = ledger.check(book.folder, known.key)
    for number, text in enumerate(known.checkpoints, 1):
        ledger.hold_against(found, known.key, f"checkpoint {number} of your trust policy", text.encode())
    return found.entries, len(found.entries)


def _other(entries: Sequence[Entry], run: RunInfo) -> str:
    """What it has about the same run instead."""
    if any(entry.kind == "seal" and entry.run_id == run.id for entry in entries):
        return f": it has run {run.id} sealed with another statement"
    return ""


def _check_entry(entry: Entry, run: RunInfo) -> None:
    if (entry.run_id, entry.status, entry.scope_sha256) != (run.id, run.status, run.scope_sha256):
        raise Problem(f"Entry {entry.sequence} of the ledger says something else about the run than the bundle")
    if entry.at < run.finished_at:
        raise Problem(f"The run says it finished {clock.text(run.finished_at)}, after it was entered as sealed")


def _among(known: TrustedLedger, entry: Entry, entries: Sequence[Entry]) -> str:
    """Whether it is the last, and what is there that one was not shown."""
    later = [e for e in entries if e.kind == "seal" and e.sequence > entry.sequence]
    if later and known.latest:
        raise Problem(
            f"It is not the latest: {len(later)} sealed later, the last {clock.text(later[-1].at)}",
            hint="Ask for that bundle: this one may be handed over in place of one that shows something else.",
        )
    sealed = {e.opens for e in entries if e.kind == "seal"}
    dropped = sum(1 for e in entries if e.kind == "open" and e.sequence not in sealed)
    place = f"{len(later)} sealed later" if later else "The latest one"
    return f"{place}; {dropped} opened and never sealed." if dropped else f"{place}."
