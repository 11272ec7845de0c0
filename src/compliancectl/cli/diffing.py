"""`diff`: what changed between two runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli import console
from compliancectl.cli.options import Format, OutputFormat
from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from compliancectl.model.diff import Change, ControlChange, Diff, PopulationChange

app = typer.Typer()

_KINDS = {
    "new": "[red]✕ new[/red]",
    "changed": "[yellow]○ changed[/yellow]",
    "gone": "[yellow]○ gone[/yellow]",
    "resolved": "[green]● resolved[/green]",
}
_LISTED = 20


@app.command(epilog="Example: compliancectl diff july/bundle.zip august/bundle.zip")
def diff(
    old: Annotated[Path, typer.Argument(help="The earlier bundle (folder or ZIP) or evaluated run folder.")],
    new: Annotated[Path, typer.Argument(help="The later one.")],
    key: Annotated[Path | None, typer.Option("--key", help="Public key of the signer of both.", metavar="FILE")] = None,
    trust: Annotated[Path | None, typer.Option("--trust", help="Trust policy for both.", metavar="FILE")] = None,
    format: OutputFormat = Format.text,
) -> int:
    """Show what changed between two runs: scope, controls, parameters, evidence, populations, waivers, findings.

    A finding is resolved only if its check was put to its item again and is true; one that nobody looked for any more
    is gone, with the reason. Bundles are verified first; with --key or --trust also that you trust their signer.

    Exit code 0: nothing got worse. 1: there are new findings. 3: less is looked at than before. 4: a bundle does not
    verify.
    """
    from compliancectl import diff as diffing
    from compliancectl.cli.verification import check_first

    sealed = 0
    for path in (old, new):
        if not path.exists():
            raise UsageError(f"{path} does not exist", hint="Name a bundle: the folder, or its ZIP.")
        if path.is_file() or (path / "SHA256SUMS").exists():
            sealed = max(sealed, check_first(path, key, trust))
        elif key or trust:
            raise UsageError(f"{path} is not sealed", hint="Leave out --key and --trust, or name its bundle.")
    with console.step("comparing"):
        found = diffing.diff(old, new)
    if format is Format.json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _show(found)
    return max(found.exit_code, sealed if key or trust else 0)


def _show(found: Diff) -> None:
    out = console.out()
    for name, side in (("old", found.old), ("new", found.new)):
        seal = f"SHA256SUMS {side.sums_sha256[:16]}…" if side.sums_sha256 else "not sealed"
        out.print(
            f"{name}  {console.safe(side.run_id)}  {console.mark(side.outcome)}  {side.status}  [dim]{seal}[/dim]"
        )
    _section("Scope", [_change(change) for change in found.scope])
    _section("Evidence", [_change(change) for change in found.evidence])
    _section("Controls", [line for control in found.controls for line in _control(control)])
    _section("Waivers", [_change(change) for change in found.waivers])
    _section("Populations", [_population(change) for change in found.populations])
    findings = [
        f"{_KINDS[f.kind]} {console.safe(f'{f.test} {f.resource} {f.check}')}: {f.old} → {f.new}"
        + (f"  [dim]{console.safe(f.reason or f.sentence or '')}[/dim]" if f.reason or f.sentence else "")
        for f in sorted(found.findings, key=lambda f: list(_KINDS).index(f.kind))
    ]
    _section("Findings", findings)
    counts = ", ".join(f"{found.count(kind)} {kind}" for kind in _KINDS)
    out.print(f"\nfindings: {counts}")


def _section(title: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    if not lines:
        return
    out = console.out()
    out.print(f"\n[bold]{title}[/bold]")
    for line in lines[:_LISTED]:
        out.print(f"  {line}")
    if len(lines) > _LISTED:
        out.print(f"  [dim]and {len(lines) - _LISTED} more; --format json has all[/dim]")


def _change(change: Change) -> str:
    return f"{console.safe(change.name)}: {_value(change.old)} → {_value(change.new)}"


def _value(value: Any) -> str:
    if value is None:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return console.safe(text if len(text) <= 60 else text[:57] + "…")


def _control(control: ControlChange) -> list[str]:
    what = control.change if control.change != "changed" else ""
    outcome = f"{_outcome(control.old_outcome)} → {_outcome(control.new_outcome)}"
    if control.old_outcome == control.new_outcome:
        outcome = _outcome(control.new_outcome)
    file = "its file changed" if control.file_changed else ""
    head = "  ".join(part for part in (console.safe(control.id), what, outcome, file) if part)
    params = [f"  {control.id} parameter {_change(change)}" for change in control.params]
    return [head, *params, *(f"  [dim]{console.safe(reason)}[/dim]" for reason in control.reasons)]


def _outcome(outcome: str | None) -> str:
    return console.mark(outcome) if outcome else "absent"


def _population(change: PopulationChange) -> str:
    parts = [f"{change.old.total} → {change.new.total} items"]
    for sign, names in (
        ("added", change.added),
        ("removed", change.removed),
        ("newly excluded", change.newly_excluded),
        ("no longer excluded", change.no_longer_excluded),
    ):
        if names:
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            parts.append(f"{len(names)} {sign} ({shown})")
    return console.safe(f"{change.test}: {'; '.join(parts)}")
