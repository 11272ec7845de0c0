"""`roadmap`: what was announced for a date, how it stands today, and what is open before each date."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compliancectl.model.gap import Gap
    from compliancectl.model.roadmap import Milestone, Roadmap

app = typer.Typer()
SHOWN = 5
"""Findings printed for each milestone; `--format json` has all."""


class RoadmapFormat(StrEnum):
    """How the roadmap is told."""

    text = "text"
    json = "json"
    markdown = "markdown"


@app.command(
    epilog="Example: compliancectl roadmap bundles/today.zip --earlier bundles/last-week.zip --format markdown"
)
def roadmap(
    assessed: Annotated[Path, typer.Argument(help="Bundle (folder or ZIP) or evaluated run.", metavar="BUNDLE")],
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--earlier", help="An assessment of before: says since when. May be repeated.", metavar="BUNDLE"),
    ] = None,
    format: Annotated[RoadmapFormat, typer.Option("--format", help="How it is told.")] = RoadmapFormat.text,
) -> int:
    """Show every milestone that was announced, whether it is true today, and which findings are to be closed before it.

    A finding is open before a milestone when its own date (see `gaps`) is not later. Exit code 0 when every milestone is
    true on the day it is read, 1 when one is missed or nothing shows it, 3 when one could not be judged.
    """
    from compliancectl import assessed as reader
    from compliancectl.cli.claims import same_system
    from compliancectl.gaps import find_gaps
    from compliancectl.roadmap import roadmap as read

    today = reader.read(assessed)
    past = [same_system(today, reader.read(path)) for path in earlier or ()]
    gaps = find_gaps(today, today.claims(), past)
    found = read(today, gaps)
    by_id = {gap.id: gap for gap in gaps.gaps}
    match format:
        case RoadmapFormat.json:
            typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        case RoadmapFormat.markdown:
            typer.echo(_markdown(found, by_id), nl=False)
        case RoadmapFormat.text:
            _print(found, by_id)
    states = {milestone.state for milestone in found.milestones}
    return 3 if "unknown" in states else 1 if states & {"missed", "hollow"} else 0


def _when(milestone: Milestone) -> str:
    """`in 120 days`, `60 days ago`, `reached 2026-09-05`."""
    from compliancectl.numbers import counted

    if milestone.state == "reached":
        return f"reached {milestone.done}"
    days = counted(abs(milestone.days), "day")
    return "today" if milestone.days == 0 else f"in {days}" if milestone.days > 0 else f"{days} ago"


_SAYS = {
    "missed": "missed",
    "hollow": "said to be reached, and nothing shows it",
    "unknown": "could not be judged",
    "ahead": "ahead",
    "reached": "reached",
}
_MARKS = {
    "missed": "[red]✕[/red]",
    "hollow": "[red]✕[/red]",
    "unknown": "[yellow]○[/yellow]",
    "ahead": "[dim]–[/dim]",
    "reached": "[green]●[/green]",
}


def _print(found: Roadmap, gaps: dict[str, Gap]) -> None:
    from compliancectl.cli.console import out, safe
    from compliancectl.numbers import counted

    console = out()
    console.print(f"[bold]{safe(found.organization)} · {safe(found.system)} · {safe(found.environment)}[/bold]")
    console.print(f"Milestones as of {found.as_of:%Y-%m-%d %H:%M} UTC.\n")
    width = max((len(m.title) for m in found.milestones), default=0)
    for milestone in found.milestones:
        said = f", {_SAYS[milestone.state]}" if milestone.state in ("missed", "hollow", "unknown") else ""
        console.print(
            f"  {_MARKS[milestone.state]} {milestone.due}  {safe(milestone.title):<{width}}  {_when(milestone)}{said}"
            f"  [dim]{safe(milestone.owner or 'nobody')}[/dim]"
        )
        for id in milestone.open_before[:SHOWN]:
            gap = gaps[id]
            console.print(
                f"      [dim]{gap.due}[/dim]  {gap.control}  {safe(gap.sentence)}  [dim]{safe(gap.owner)}[/dim]"
            )
        if len(milestone.open_before) > SHOWN:
            console.print(f"      [dim]and {len(milestone.open_before) - SHOWN} more[/dim]")
    true = sum(m.state in ("ahead", "reached") for m in found.milestones)
    console.print(f"\n{true} of {counted(len(found.milestones), 'milestone')} are true today.")
    if found.unjudged_tests or found.undecided_items:
        tests, items = counted(len(found.unjudged_tests), "test"), counted(found.undecided_items, "item")
        console.print(f"[yellow]○[/yellow] {tests} and {items} could not be judged; more may be open than is listed.")


def _markdown(found: Roadmap, gaps: dict[str, Gap]) -> str:
    from compliancectl.gap_formats import escape
    from compliancectl.numbers import counted

    lines = [
        f"# Roadmap: {escape(found.organization)}, {escape(found.system)} ({escape(found.environment)})",
        "",
        f"Assessed {found.as_of:%Y-%m-%d %H:%M} UTC.",
    ]
    for milestone in found.milestones:
        lines += ["", f"## {milestone.due}: {escape(milestone.title)}", ""]
        lines += [
            f"{_SAYS[milestone.state].capitalize()} ({_when(milestone)}). Owner: {escape(milestone.owner or 'nobody')}."
        ]
        if milestone.open_before:
            lines += ["", f"To be closed before: {counted(len(milestone.open_before), 'finding')}.", ""]
            lines += [
                f"- {gaps[id].due} {gaps[id].control} {escape(gaps[id].sentence)}" for id in milestone.open_before
            ]
    return "\n".join(lines) + "\n"
