"""`verify` of a folder that holds many bundles, with or without the ledger of their runs; no period package is meant."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.cli import console
from compliancectl.cli.events import identity
from compliancectl.entered import NO_BOOK, Book
from compliancectl.errors import Error, NotReadyError

if TYPE_CHECKING:
    from compliancectl.model.manifest import Verification
    from compliancectl.model.trust import Trust

ENCLOSED = "ledger"
"""Folder beside the bundles that holds the ledger. Its key is never taken from there."""
_MARKS = {"verified": "[green]●[/green]", "not established": "[yellow]○[/yellow]", "does not verify": "[red]✕[/red]"}


def holds_bundles(path: Path) -> bool:
    """True for a folder that is no bundle and holds some."""
    from compliancectl.period.capture import bundles

    return path.is_dir() and not (path / "SHA256SUMS").exists() and any(True for _ in bundles(path))


def run_folder(path: Path, trust: Trust | None, *, subset: bool, now: datetime, as_json: bool, book: Book) -> int:
    """Verify every bundle of a folder, and hold them against the ledger; prints, and returns the exit code."""
    from compliancectl.period.capture import bundles
    from compliancectl.verify import verify

    names_ledger = trust is not None and trust.ledger is not None
    if book == NO_BOOK and names_ledger and (path / ENCLOSED).is_dir():
        book = Book(path / ENCLOSED)
    asked = trust.within_a_period() if trust is not None else None
    found: list[Verification] = []
    for bundle in bundles(path):
        found.append(verify(bundle, trust=asked, subset_ok=subset, now=now, book=book))
        if not as_json:
            _line(path, bundle, found[-1])
    if not found:
        raise NotReadyError("there is no bundle", hint="Name the folder that holds the bundles.")
    held = _statements(path)
    missing = _missing(book.folder, held) if names_ledger and book.folder is not None else ()
    code = max(max(one.exit_code for one in found), 3 if missing else 0)
    if as_json:
        data = {"bundles": [one.to_json() for one in found], "missing": list(missing), "exit_code": code}
        print(json.dumps(data, indent=2, ensure_ascii=False))  # noqa: T201
        return code
    _summary(path, found, missing, len(held), ledger=names_ledger and book.folder is not None)
    return code


def _statements(path: Path) -> set[str]:
    """Digests of the statements of the bundles; the same bundle may be there as a folder and as a ZIP."""
    from compliancectl.period.capture import bundles

    found = set()
    for bundle in bundles(path):
        with suppress(Error):  # what is wrong with it, its verification has said
            found.add(identity(bundle)[1])
    return found


def _missing(folder: Path, held: set[str]) -> tuple[str, ...]:
    """Runs that the ledger has as sealed and of which the folder holds no bundle."""
    from compliancectl import ledger

    try:
        entries = ledger.read(folder).entries
    except Error:
        return ()  # a ledger that does not hold fails every bundle at its step
    return tuple(str(e.run_id) for e in entries if e.kind == "seal" and e.statement_sha256 not in held)


def _line(path: Path, bundle: Path, found: Verification) -> None:
    name = console.safe(bundle.relative_to(path).as_posix())
    skipped = next((step for step in found.steps if step.outcome == "skipped"), None)
    failure = found.failure
    said = f"step {failure.step}: {failure.message}" if failure else (skipped.message if skipped else "")
    count = f"{found.present} of {found.listed} files"
    console.out().print(f"  {_MARKS[found.verdict]} {name}  {count}  [dim]{console.safe(said)}[/dim]")


def _summary(path: Path, found: list[Verification], missing: tuple[str, ...], held: int, *, ledger: bool) -> None:
    out = console.out()
    good = sum(1 for one in found if one.verdict == "verified")
    for run in missing:
        out.print(f"  [yellow]○ sealed, and not in the folder[/yellow]  {console.safe(run)}")
    runs = (
        f"{held} of {held + len(missing)} sealed runs present"
        if ledger
        else "which runs are missing, only a ledger shows"
    )
    out.print(f"\n{good} of {len(found)} bundles verified: {console.safe(str(path))}; {runs}")
