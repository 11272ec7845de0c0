"""`frameworks`: every criterion, the controls that cover it, and (with a run) what they showed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli.options import DEFAULT_SCOPE, Format, OutputFormat, ScopeFile

if TYPE_CHECKING:
    from compliancectl.cli.project import Catalogue

app = typer.Typer()


@app.command(epilog="Example: compliancectl frameworks soc2 --run evidence/run")
def frameworks(
    framework: Annotated[str | None, typer.Argument(help="Framework id; absent: an overview of all.")] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Evaluated run or bundle: adds each control's outcome.", metavar="RUN")
    ] = None,
    scope: ScopeFile = DEFAULT_SCOPE,
    uncovered: Annotated[
        bool,
        typer.Option(
            "--uncovered", help="Only criteria that no control covers, or (with --run) none that could be judged."
        ),
    ] = False,
    format: OutputFormat = Format.text,
) -> int:
    """Show which controls cover which criteria. A criterion that no control covers is plainly visible.

    What a scope leaves out is listed as such, with its reason: that of the run, or else of the scope file if there is one.
    """
    from compliancectl.cli.project import catalogue
    from compliancectl.errors import UsageError

    found = catalogue()
    by_id = {f.id: f for f in found.frameworks}
    if framework is not None and framework not in by_id:
        from compliancectl.load.problems import nearest

        close = nearest(framework, by_id)
        hint = f"Did you mean {close!r}?" if close else f"There are: {', '.join(sorted(by_id))}."
        raise UsageError(f"no framework is called {framework!r}", hint=hint)
    outcomes, reasons = _outcomes(run), _reasons(run, scope, found)
    rows: list[dict[str, Any]] = [
        {
            "framework": f.id,
            "criterion": c.id,
            "group": c.group,
            "title": c.title,
            "controls": [
                {"id": control.id, "outcome": outcomes.get(control.id)}
                for control in found.controls
                if c.id in control.satisfies.get(f.id, ())
            ],
        }
        for f in found.frameworks
        if framework in (None, f.id)
        for c in f.criteria
    ]
    for row in rows:
        row["state"] = _state([control["outcome"] for control in row["controls"]], judged=run is not None)
        if (reason := reasons.get((row["framework"], row["criterion"]))) is not None:
            row.update(state="left out", reason=reason)
    rows = [row for row in rows if not uncovered or row["state"] in ("no control", "without evidence")]
    if format is Format.json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif framework is None and not uncovered:
        _overview(rows, {f.id: f.name for f in found.frameworks})
    else:
        _detail(rows)
    return 0


def _outcomes(run: Path | None) -> dict[str, str]:
    if run is None:
        return {}
    from compliancectl import assessed

    return {control.id: control.outcome for control in assessed.read(run).results.controls}


def _reasons(run: Path | None, scope_file: Path, found: Catalogue) -> dict[tuple[str, str], str]:
    """(framework, criterion) → why it is left out."""
    from compliancectl import assessed, load

    if run is not None:
        entries = assessed.read(run).results.left_out
    elif scope_file.is_file():
        entries = load.left_out(load.load_scope(scope_file), found.frameworks)
    else:
        entries = ()
    return {(entry.framework, id): entry.reason for entry in entries for id in entry.criteria}


def _state(outcomes: list[str | None], *, judged: bool) -> str:
    """What a criterion rests on: a control that says something, or nothing that does.

    `without evidence`: it has controls, and every one of them is inconclusive or was not judged.
    """
    if not outcomes:
        return "no control"
    if not judged:
        return "covered"
    said = {outcome for outcome in outcomes if outcome in ("deviations", "no deviations", "no occurrences")}
    if not said:
        return "without evidence"
    if "deviations" in said:
        return "deviations"
    return "in part" if len(said) < len(set(outcomes)) else "evidenced"


def _overview(rows: list[dict[str, Any]], names: dict[str, str]) -> None:
    from compliancectl.cli.console import out

    for id, name in names.items():
        mine = [row for row in rows if row["framework"] == id]
        left = sum(row["state"] == "left out" for row in mine)
        covered = sum(bool(row["controls"]) and row["state"] != "left out" for row in mine)
        blind = sum(row["state"] == "without evidence" for row in mine)
        but = f", [yellow]{blind} of them none that could be judged[/yellow]" if blind else ""
        but += f", {left} more are left out" if left else ""
        out().print(
            f"[bold]{id:<6}[/bold] {covered} of {len(mine) - left} criteria have a control{but}   [dim]{name}[/dim]"
        )
    out().print("\n[dim]compliancectl frameworks soc2 shows each criterion.[/dim]")


def _detail(rows: list[dict[str, Any]]) -> None:
    from compliancectl.cli.console import mark, out

    group = None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            out().print(f"\n[bold]{group}[/bold]")
        listing = "  ".join(f"{c['id']} {mark(c['outcome'])}" if c["outcome"] else c["id"] for c in row["controls"])
        out().print(f"  {row['criterion']:<22} {row['title']:<44} {_wanting(row)}{listing}")


def _wanting(row: dict[str, Any]) -> str:
    """What a reader must not overlook about a criterion."""
    if row["state"] == "left out":
        from compliancectl.cli.console import safe

        return f"[dim]left out: {safe(row['reason'])}[/dim]  "
    return f"[yellow]{row['state']}[/yellow]  " if row["state"] in ("no control", "without evidence") else ""
