"""`history` and `trend`: controls over many runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli.options import Format, OutputFormat

if TYPE_CHECKING:
    from compliancectl.query.history import Overview

app = typer.Typer()
WIDTH = 60
Folder = Annotated[Path, typer.Argument(help="Folder with the bundles, at any depth.", metavar="FOLDER")]
Since = Annotated[str | None, typer.Option("--since", help="Leave earlier runs out (UTC).", metavar="DATE")]
Control = Annotated[list[str] | None, typer.Option("--control", help="Only this one; may be repeated.", metavar="ID")]


@app.command(epilog="Example: compliancectl history evidence --control BCP-01 --since 2026-01-01")
def history(folder: Folder, control: Control = None, since: Since = None, format: OutputFormat = Format.text) -> int:
    """Show how each control came out, run by run: ● no deviations, ✕ deviations, ○ inconclusive, – no occurrences.

    With more runs than fit on a line, each sign stands for several runs and is the worst of them. Results are read as
    they are and not verified; `compliancectl period` verifies. What was read is kept in the cache folder
    (XDG_CACHE_HOME), so that only new runs are read the next time.
    """
    from compliancectl.cli.console import SYMBOLS, out, safe
    from compliancectl.history import glance, read

    asked = _asked(control, since, folder)
    if format is Format.json:
        found = read(folder, **asked)
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return 0
    console, seen = out(), glance(folder, WIDTH, **asked)
    _head(seen)
    for each in seen.lines:
        signs = "".join(_sign(*SYMBOLS[outcome]) for outcome, _ in each.points)
        turns = f"turned {each.turns} times" if each.turns != 1 else "turned once"
        console.print(f"  {each.control:<8} {signs}  {safe(each.title)}  [dim]{turns}[/dim]")
    return 0


def _sign(shape: str, colour: str) -> str:
    return f"[{colour}]{shape}[/{colour}]"


@app.command(epilog="Example: compliancectl trend evidence --since 2026-01-01 --format json")
def trend(folder: Folder, control: Control = None, since: Since = None, format: OutputFormat = Format.text) -> int:
    """Show how many items of each control do not pass, run by run, and where that is going.

    An item that fails and one that is unknown both count. Results are read as they are and not verified.
    """
    from compliancectl import clock
    from compliancectl.cli.console import out, safe
    from compliancectl.history import glance, read, sparkline

    asked = _asked(control, since, folder)
    if format is Format.json:
        found = read(folder, **asked)
        data = [
            {
                "control": each.id,
                "points": [
                    {"run_id": p.run_id, "as_of": clock.text(p.as_of), "open": p.items.failed + p.items.unknown}
                    for p in each.points
                ],
            }
            for each in found.controls
        ]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    console, seen = out(), glance(folder, WIDTH, **asked)
    _head(seen)
    for each in seen.lines:
        went = f"{each.first:,} → {each.last:,}, at most {each.most:,}"
        bars = sparkline([items for _, items in each.points])
        console.print(f"  {each.control:<8} {bars}│  {safe(each.title)}  [dim]{went}[/dim]")
    return 0


def _head(found: Overview) -> None:
    from compliancectl import clock
    from compliancectl.cli.console import out, safe

    count = f"{found.runs} runs" if found.runs != 1 else "1 run"
    system = safe(found.subjects[0][1])
    out().print(f"{system}: {count}, {clock.text(found.start)} to {clock.text(found.end)}\n")


def _asked(control: list[str] | None, since: str | None, folder: Path) -> dict[str, Any]:
    """What both commands ask of a history."""
    from compliancectl.canonical import sha256
    from compliancectl.cli.periods import instant
    from compliancectl.cli.places import kept

    index = kept("history") / f"{sha256(str(folder.resolve()).encode())[:16]}.parquet"
    return {"since": instant("--since", since) if since else None, "only": control or (), "index": index}
