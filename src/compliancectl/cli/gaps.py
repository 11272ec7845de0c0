"""`gaps`: open findings with a name that stays, a date that they are due on, and whom they concern."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compliancectl.model.control import Severity
    from compliancectl.model.gap import Gap, Gaps

app = typer.Typer()


class GapFormat(StrEnum):
    """How gaps are told."""

    text = "text"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    issues = "issues"


@app.command(epilog="Example: compliancectl gaps bundles/today.zip --earlier bundles/last-week.zip --format csv")
def gaps(
    assessed: Annotated[Path, typer.Argument(help="Bundle (folder or ZIP) or evaluated run.", metavar="BUNDLE")],
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--earlier", help="An assessment of before: says since when. May be repeated.", metavar="BUNDLE"),
    ] = None,
    owner: Annotated[list[str] | None, typer.Option("--owner", help="Only this owner's; may be repeated.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their date, and not waived.")] = False,
    within: Annotated[
        list[str] | None,
        typer.Option(
            "--within", help="How long a gap may stay open, as high=14; may be repeated.", metavar="SEVERITY=DAYS"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for --format issues.", metavar="DIR")
    ] = None,
    format: Annotated[
        GapFormat, typer.Option("--format", help="issues writes one Markdown file per gap.")
    ] = GapFormat.text,
) -> int:
    """List the open findings: what, since when, until when, whose, and which criteria and public sentences they hit.

    A gap keeps its id as long as control, test, check and item stay the same. It is due 7, 30, 90 or 180 days after it was
    first seen (critical, high, medium, low). Exit code 0 when there is none, 1 when there are, 3 when something could not
    be judged.
    """
    from compliancectl import assessed as reader
    from compliancectl.cli.claims import same_system
    from compliancectl.gaps import find_gaps

    today = reader.read(assessed)
    past = [same_system(today, reader.read(path)) for path in earlier or ()]
    found = find_gaps(today, today.claims(), past, _due_days(within))
    code = 3 if found.unjudged_tests or found.undecided_items else 1 if found.gaps else 0
    mine = tuple(
        g for g in found.gaps if (not owner or g.owner in owner) and (not overdue or (g.overdue and g.waiver is None))
    )
    _tell(found.model_copy(update={"gaps": mine}), format, output)
    return code


def _due_days(given: list[str] | None) -> dict[Severity, int]:
    from compliancectl.errors import UsageError
    from compliancectl.model.gap import DUE_DAYS

    days: dict[Severity, int] = dict(DUE_DAYS)
    for text in given or ():
        name, _, number = text.partition("=")
        known = next((severity for severity in days if severity == name), None)
        if known is None or not number.isdecimal() or len(number) > 4:
            raise UsageError(f"--within: {text!r} is not SEVERITY=DAYS", hint="Write it as high=14.")
        days[known] = int(number)
    return days


def _tell(found: Gaps, format: GapFormat, output: Path | None) -> None:
    from compliancectl import gap_formats
    from compliancectl.errors import UsageError

    if (format is GapFormat.issues) != (output is not None):
        raise UsageError("--format issues and --output belong together", hint="Give both, or neither.")
    match format:
        case GapFormat.json:
            typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        case GapFormat.csv:
            typer.echo(gap_formats.as_csv(found), nl=False)
        case GapFormat.markdown:
            typer.echo(gap_formats.as_markdown(found), nl=False)
        case GapFormat.issues:
            assert output is not None
            _write_issues(found, output)
        case GapFormat.text:
            _print(found)


def _write_issues(found: Gaps, folder: Path) -> None:
    """One file per gap that nobody waived: its first line is the title, the body follows after an empty line."""
    from compliancectl import disk, gap_formats

    disk.refuse_sealed(folder)
    with disk.output_errors(folder):
        for gap in found.gaps:
            if gap.waiver is None:
                title, body = gap_formats.as_issue(gap)
                disk.write_whole(folder / f"{gap.id}.md", f"{title}\n\n{body}".encode())
    typer.echo(folder)


def _print(found: Gaps) -> None:
    from compliancectl.cli.console import out, safe

    console = out()
    console.print(f"[bold]{safe(found.organization)} · {safe(found.system)} · {safe(found.environment)}[/bold]")
    console.print(f"Open findings of {found.as_of:%Y-%m-%d %H:%M} UTC.")
    severity = None
    for gap in found.gaps:
        heading = "accepted for now" if gap.waiver is not None else gap.severity
        if heading != severity:
            severity = heading
            console.print(f"\n[bold]{heading.upper()}[/bold]")
        _print_gap(gap)
    waived = sum(gap.waiver is not None for gap in found.gaps)
    late = sum(gap.overdue and gap.waiver is None for gap in found.gaps)
    console.print(
        f"\n{len(found.gaps) - waived} open, {late} of them overdue; {waived} waived; {len(found.closed)} closed."
    )
    if found.undecided_items or found.unjudged_tests:
        tests = ", ".join(found.unjudged_tests)
        console.print(
            f"Beside them {found.undecided_items} items are unknown and {len(found.unjudged_tests)} tests were not judged"
            f"{f': {tests}' if tests else ''}. Nobody knows whether there are gaps."
        )


def _print_gap(gap: Gap) -> None:
    from compliancectl.cli.console import out, safe
    from compliancectl.gap_formats import criteria

    sign = "[magenta]◐[/magenta]" if gap.waiver else "[red]✕[/red]"
    until = f"waived by {safe(gap.waiver)}" if gap.waiver else f"due {gap.due}"
    late = "  [red]OVERDUE[/red]" if gap.overdue and not gap.waiver else ""
    out().print(f"  {sign} {gap.id}  {gap.control}.{gap.test}.{gap.check}  {until}{late}")
    out().print(f"      {safe(gap.resource)}: {safe(gap.sentence)}")
    hit = f"  claims: {' '.join(gap.claims)}" if gap.claims else ""
    out().print(f"      [dim]{safe(gap.owner)} · since {gap.first_seen:%Y-%m-%d} · {criteria(gap)}{hit}[/dim]")
