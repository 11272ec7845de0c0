"""`verify` as people read it: the numbered steps, and one sentence about what they establish."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.cli import console, places
from compliancectl.entered import NO_BOOK, Book
from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from compliancectl.model.manifest import StepResult, Verification
    from compliancectl.model.trust import Trust

_MARKS = {"ok": ("●", "green"), "failed": ("✕", "red"), "skipped": ("○", "yellow")}
_SENTENCES = {
    "verified": ("● verified", "green"),
    "not established": ("○ not fully established", "yellow"),
    "does not verify": ("✕ does not verify", "red"),
}


def run_verify(
    path: Path,
    key: Path | None,
    policy: Path | None,
    *,
    subset: bool,
    as_json: bool,
    book: Book = NO_BOOK,
    entry_key: Path | None = None,
    tables: str | None = None,
) -> int:
    """Verify and print; returns the exit code."""
    from compliancectl import clock
    from compliancectl.period.kind import is_package
    from compliancectl.seal import ahead, trust
    from compliancectl.verify import verify

    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    trusted = trust.load(policy, (key,) if key else ())
    if tables is not None and not _is_one(path):
        raise UsageError("--tables is for one bundle", hint="Name the folder or the ZIP file of a bundle.")
    if path.is_dir() and not (path / "SHA256SUMS").exists():
        from compliancectl.cli import folders

        if folders.holds_bundles(path):
            return folders.run_folder(path, trusted, subset=subset, now=clock.now(), as_json=as_json, book=book)
    tell = (lambda step: None) if as_json else StepPrinter().tell
    if is_package(path):
        return _run_package(path, trusted, tell, book, as_json=as_json)
    with places.run_tables(tables) as away:
        verification = verify(
            path,
            trust=trusted,
            subset_ok=subset,
            now=clock.now(),
            book=book,
            away=away,
            ahead=ahead.of(path),
            tell=tell,
        )
    if entry_key is not None and verification.run is not None:
        from compliancectl.cli.events import enter

        enter(book.folder, entry_key, "verify", path, verification.verdict)
    if as_json:
        print(json.dumps(verification.to_json(), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        describe(verification)
    return verification.exit_code


def _is_one(path: Path) -> bool:
    from compliancectl.period.kind import is_package

    return not is_package(path) and (path.is_file() or (path / "SHA256SUMS").exists())


def _run_package(
    path: Path, trusted: Trust | None, tell: Callable[[StepResult], None], book: Book, *, as_json: bool
) -> int:
    """Verify a period package, then the bundle that it encloses; returns the higher exit code."""
    from compliancectl import clock
    from compliancectl.period.check import last_bundle, verify_package
    from compliancectl.verify import verify

    found = [verify_package(path, trust=trusted, now=clock.now(), tell=tell)]
    if found[0].failure is None:
        if not as_json:
            describe(found[0])
            console.say("\nThe last bundle, which it encloses:")
        with last_bundle(path) as file:
            asked = trusted.within_a_period() if trusted is not None else None
            inner = verify(file, trust=asked, book=book, tell=StepPrinter().tell if not as_json else lambda step: None)
        found.append(inner.model_copy(update={"path": f"{path}: {file.name}"}))
    if as_json:
        print(json.dumps([each.to_json() for each in found], indent=2, ensure_ascii=False))  # noqa: T201
    else:
        describe(found[-1])
    return max(each.exit_code for each in found)


def check_first(path: Path, key: Path | None, policy: Path | None) -> int:
    """Verify before a command goes on with a bundle; returns the exit code.

    Raises:
        VerifyError: if it does not verify.
    """
    from compliancectl import clock
    from compliancectl.seal import trust
    from compliancectl.verify import verify

    with console.step("verifying the bundle"):
        verification = verify(path, trust=trust.load(policy, (key,) if key else ()), now=clock.now())
    failure = verification.failure
    if failure is not None:
        raise failure.of(path)
    return verification.exit_code


class StepPrinter:
    """Prints each step when it is known; after one that failed, only that the others were not taken."""

    def __init__(self) -> None:
        self.failed = False

    def tell(self, step: StepResult) -> None:
        """Print one step."""
        if self.failed:
            return
        console.say(f"  {step.number:>2} ", _MARKS[step.outcome], f" {step.title:<34} ", (step.message, "dim"))
        if step.outcome != "ok" and step.hint:
            console.say(f"       {step.hint}")
        if step.outcome == "failed":
            self.failed = True
            console.say("     ", ("The steps after this one were not taken: they would rest on it.", "dim"))


def describe(verification: Verification) -> None:
    """Print the verdict in one sentence."""
    path, failure, signer = verification.path, verification.failure, verification.signer
    verdict = _SENTENCES[verification.verdict]
    if failure is not None:
        console.say("\n", verdict, f": {path}, step {failure.step}: {failure.message}")
        return
    who = f", signed by key {signer.key_id[:16]}…" if signer else ""
    if signer and signer.identity:
        who = f", signed by {signer.identity}"
    if verification.elsewhere:
        who = f", {verification.elsewhere} elsewhere{who}"
    console.say("\n", verdict, f": {path}, {verification.present} of {verification.listed} files present{who}")
