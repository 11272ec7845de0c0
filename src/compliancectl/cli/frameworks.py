"""`frameworks`: every criterion, the controls that cover it, and (with a run) what they showed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from compliancectl.cli.options import Format, OutputFormat

app = typer.Typer()


@app.command(epilog="Example: compliancectl frameworks soc2 --run evidence/run")
def frameworks(
    framework: Annotated[str | None, typer.Argument(help="Framework id; absent: an overview of all.")] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Evaluated run folder: adds each control's outcome.", metavar="RUN")
    ] = None,
    uncovered: Annotated[bool, typer.Option("--uncovered", help="Only criteria that no control covers.")] = False,
    format: OutputFormat = Format.text,
) -> int:
    """Show which controls cover which criteria. A criterion that no control covers is plainly visible."""
    from compliancectl.cli.project import catalogue
    from compliancectl.errors import UsageError

    found = catalogue()
    by_id = {f.id: f for f in found.frameworks}
    if framework is not None and framework not in by_id:
        from compliancectl.load.problems import nearest

        close = nearest(framework, by_id)
        hint = f"Did you mean {close!r}?" if close else f"There are: {', '.join(sorted(by_id))}."
        raise UsageError(f"no framework is called {framework!r}", hint=hint)
    outcomes = _outcomes(run)
    rows = [
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
    rows = [row for row in rows if not (uncovered and row["controls"])]
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
    from pydantic import ValidationError

    from compliancectl.errors import FileError, NotReadyError
    from compliancectl.model.result import Results

    file = run / "results" / "results.json"
    if not file.is_file():
        raise NotReadyError(f"{run} is not evaluated", hint="Run `compliancectl evaluate` first.")
    try:
        results = Results.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise FileError(
            "these are not results that this version can read",
            file=file,
            hint="Run `compliancectl evaluate` again.",
        ) from error
    return {control.id: control.outcome for control in results.controls}


def _overview(rows: list[dict[str, Any]], names: dict[str, str]) -> None:
    from compliancectl.cli.console import out

    for id, name in names.items():
        mine = [row for row in rows if row["framework"] == id]
        covered = sum(bool(row["controls"]) for row in mine)
        out().print(f"[bold]{id:<6}[/bold] {covered} of {len(mine)} criteria have a control   [dim]{name}[/dim]")
    out().print("\n[dim]compliancectl frameworks soc2 shows each criterion.[/dim]")


def _detail(rows: list[dict[str, Any]]) -> None:
    from compliancectl.cli.console import mark, out

    group = None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            out().print(f"\n[bold]{group}[/bold]")
        listing = "  ".join(f"{c['id']} {mark(c['outcome'])}" if c["outcome"] else c["id"] for c in row["controls"])
        out().print(f"  {row['criterion']:<22} {row['title']:<44} {listing or '[yellow]no control[/yellow]'}")
