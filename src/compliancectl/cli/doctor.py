"""`doctor`: try each source, one thing at a time, and say what to do about what is missing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

import typer

from compliancectl.cli.options import DEFAULT_SCOPE, Deadline, Format, OutputFormat, ScopeFile

app = typer.Typer()

_MARKS = {"ok": "[green]●[/green]", "missing": "[red]✕[/red]", "unknown": "[yellow]○[/yellow]"}


@app.command(epilog="Example: compliancectl doctor --source gcp")
def doctor(
    scope: ScopeFile = DEFAULT_SCOPE,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only this source; may be repeated.", metavar="NAME")
    ] = None,
    deadline: Deadline = 30.0,
    format: OutputFormat = Format.text,
) -> int:
    """Try credentials, reachability and each permission of every source in the scope; collects nothing.

    Exit code 0 when everything answers, 3 when something is missing or cannot be told.
    """
    from compliancectl import sections as section_check
    from compliancectl.cli.project import open_project
    from compliancectl.errors import UsageError

    project = open_project(scope)
    unknown = sorted(set(source or ()) - set(project.collectors))
    if unknown:
        raise UsageError(
            f"the scope has no source called {unknown[0]!r}", hint=f"It has: {', '.join(project.collectors)}."
        )
    chosen = {name: c for name, c in project.collectors.items() if not source or name in source}
    sections = section_check.validate_sections(project.scope, chosen)
    found = {name: _diagnose(project.scope, installed, sections[name], deadline) for name, installed in chosen.items()}
    if format is Format.json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found)
    return 0 if all(line["outcome"] == "ok" for lines in found.values() for line in lines) else 3


def _diagnose(scope: Any, installed: Any, section: Any, deadline_s: float) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from compliancectl import clock
    from compliancectl.collectors.base import Context
    from compliancectl.errors import CollectError
    from compliancectl.model.evidence import Window

    now = clock.now()
    context = Context(
        period=Window(start=now - timedelta(days=1), end=now),
        as_of=now,
        environment=scope.environment,
        folder=scope.folder,
        deadline_s=deadline_s,
    )
    try:
        with installed.collector.open(section, context) as session:
            return [asdict(line) for line in session.doctor()]
    except CollectError as error:
        return [{"subject": "connection", "outcome": "missing", "detail": error.message, "fix": error.hint}]


def _print(found: dict[str, list[dict[str, Any]]]) -> None:
    from compliancectl.cli.console import out, safe

    console = out()
    width = max((len(line["subject"]) for lines in found.values() for line in lines), default=0)
    for name, lines in found.items():
        good = sum(line["outcome"] == "ok" for line in lines)
        console.print(f"[bold]{name}[/bold]  {good} of {len(lines)} ok")
        for line in lines:
            detail = safe(line["detail"])
            console.print(
                f"  {_MARKS[line['outcome']]} {line['outcome']:<8} {safe(line['subject']):<{width}} [dim]{detail}[/dim]"
            )
            if line["fix"] and line["outcome"] != "ok":
                for text in line["fix"].splitlines():
                    console.print(f"             {safe(text)}")
