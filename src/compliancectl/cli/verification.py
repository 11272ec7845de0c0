"""`verify` as people read it: the numbered steps, and one sentence about what they establish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.cli import console
from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from compliancectl.model.manifest import Verification

_MARKS = {"ok": "[green]●[/green]", "failed": "[red]✕[/red]", "skipped": "[yellow]○[/yellow]"}
_SENTENCES = {
    "verified": "[green]● verified[/green]",
    "not established": "[yellow]○ not fully established[/yellow]",
    "does not verify": "[red]✕ does not verify[/red]",
}


def run_verify(path: Path, key: Path | None, policy: Path | None, *, subset: bool, as_json: bool) -> int:
    """Verify and print; returns the exit code."""
    from compliancectl.seal import trust
    from compliancectl.verify import verify

    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    trusted = trust.load(policy, (key,) if key else ())
    verification = verify(path, trust=trusted, subset_ok=subset)
    if as_json:
        print(json.dumps(verification.to_json(), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        steps(verification)
        describe(verification)
    return verification.exit_code


def steps(verification: Verification) -> None:
    """Print every step that was taken; those after a failure were not."""
    out = console.out()
    for step in verification.steps:
        message = console.safe(step.message)
        out.print(f"  {step.number:>2} {_MARKS[step.outcome]} {step.title:<34} [dim]{message}[/dim]")
        if step.outcome != "ok" and step.hint:
            out.print(f"       {console.safe(step.hint)}")
        if step.outcome == "failed":
            rest = len(verification.steps) - step.number
            if rest:
                out.print(f"     [dim]{rest} further steps were not taken: they would rest on this one.[/dim]")
            return


def describe(verification: Verification) -> None:
    """Print the verdict in one sentence."""
    out = console.out()
    path, failure, signer = console.safe(verification.path), verification.failure, verification.signer
    if failure is not None:
        out.print(f"\n{_SENTENCES[verification.verdict]}: {path}, step {failure.step}: {console.safe(failure.message)}")
        return
    who = f", signed by key {signer.key_id[:16]}…" if signer else ""
    count = f"{verification.present} of {verification.listed} files"
    out.print(f"\n{_SENTENCES[verification.verdict]}: {path}, {count}{who}")
