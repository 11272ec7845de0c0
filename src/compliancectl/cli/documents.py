"""`documents new|list|expiring|request`: what people supply, and what they still must."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli.options import DEFAULT_SCOPE, AsOf, Format, OutputFormat, ScopeFile

if TYPE_CHECKING:
    from datetime import datetime

    from compliancectl.asked import Paper, Request
    from compliancectl.cli.project import Project

app = typer.Typer(no_args_is_help=True)

SIDECAR = """\
kind: {kind}
subject: {subject}
title: TODO
owner: {owner}
# When it took effect, not when it was put here.
issued: TODO
# expires: 2027-08-01
# status: adopted
"""
_FACTS = {
    "agreement": "agreement: {vendor: TODO, kind: dpa, signed: TODO, version: TODO, breach_notice_hours: TODO,\n"
    "  audit_right: TODO, deletion_term: TODO, no_training: TODO}\n",
    "restore-test": "restore_test: {performed: TODO, rto_minutes: TODO, rpo_minutes: TODO, checks_passed: TODO, signed_by: TODO}\n",
    "vendor-register": "vendors:\n  - {vendor: TODO, personal_data: TODO, ai: TODO}\n",
}


class ListFormat(StrEnum):
    """How the request list is told."""

    text = "text"
    json = "json"
    csv = "csv"
    markdown = "markdown"


Within = Annotated[str, typer.Option("--within", help="How soon, in days: 30d.", metavar="DAYS")]


@app.callback()
def documents() -> None:
    """Begin, list and ask for the documents that people supply."""


@app.command(epilog="Example: compliancectl documents new restore-test compliance/documents/restore-2026.pdf")
def new(
    kind: Annotated[
        str, typer.Argument(help="Kind of document, such as restore-test or risk-register.", metavar="KIND")
    ],
    file: Annotated[Path, typer.Argument(help="The document; a register is begun if it is not there.", metavar="FILE")],
) -> int:
    """Write the small file that says what a document is; a register (CSV) is begun with its header.

    What only its author knows is marked TODO, and the document does not count before that is filled in.
    """
    from compliancectl import disk
    from compliancectl.cli.project import catalogue
    from compliancectl.collectors.documents.kinds import REGISTERS
    from compliancectl.errors import OutputError, UsageError

    if not re.fullmatch(r"[a-z][a-z0-9-]*", kind):
        raise UsageError(
            f"{kind!r} is no kind of document", hint="A kind is lower case with dashes, like restore-test."
        )
    sidecar = file.with_name(f"{file.name}.yaml")
    register = REGISTERS.get(kind)
    if register is not None and file.suffix != ".csv":
        raise UsageError(f"a {kind} is kept as CSV", hint=f"Name it {file.with_suffix('.csv').name}.")
    if sidecar.exists():
        raise OutputError("this document is described already", file=sidecar, hint="Change it by hand.")
    shipped = catalogue().controls
    need = next((n for c in shipped for n in c.evidence if n.kind == kind), None)
    text = SIDECAR.format(
        kind=kind, subject=_plain(need.subject) if need else "TODO", owner=need.owner if need else "TODO"
    ) + _FACTS.get(kind, "")
    disk.refuse_sealed(file.parent)
    with disk.output_errors(file.parent):
        disk.write_whole(sidecar, text.encode())
        if register is not None and not file.exists():
            disk.write_whole(file, f"{register.header}\n".encode())
    typer.echo(sidecar)
    read = register is not None or kind in _FACTS or any(f"'{kind}'" in t.population for c in shipped for t in c.tests)
    if need is None and not read:
        typer.echo(f"No control that ships asks for a document of the kind {kind}: one of your own has to.", err=True)
    if not file.exists():
        typer.echo(f"{file} is not there yet; until it is, nothing counts.", err=True)
    if register is not None:
        typer.echo(f"A row looks like this: {register.example}", err=True)
    return 0


@app.command("list", epilog="Example: compliancectl documents list --format json")
def list_(scope: ScopeFile = DEFAULT_SCOPE, as_of: AsOf = None, format: OutputFormat = Format.text) -> int:
    """List the documents that are there, with the day until which each is of use."""
    _, found, _ = _shelf(scope, as_of)
    _tell_papers(found, format)
    return 0


@app.command(epilog="Example: compliancectl documents expiring --within 30d")
def expiring(
    within: Within = "30d", scope: ScopeFile = DEFAULT_SCOPE, as_of: AsOf = None, format: OutputFormat = Format.text
) -> int:
    """List the documents that have expired or soon will: by their own end, or by the age that a control allows.

    Exit code 1 when there are any.
    """
    from compliancectl.asked import state

    _, found, now = _shelf(scope, as_of)
    ending = [paper for paper in found if state(paper, now, _days(within)) in ("expired", "expiring")]
    ending.sort(key=lambda paper: (paper.valid_until or now, paper.path))
    _tell_papers(ending, format)
    return 1 if ending else 0


@app.command(epilog="Example: compliancectl documents request --format markdown > request.md")
def request(
    within: Within = "30d",
    scope: ScopeFile = DEFAULT_SCOPE,
    as_of: AsOf = None,
    format: Annotated[ListFormat, typer.Option("--format", help="How it is told.")] = ListFormat.text,
) -> int:
    """List what an assessor will ask people for, by owner, with what is there and until when it is of use.

    Exit code 1 when something is missing or expired.
    """
    from compliancectl.asked import FACTS, requests
    from compliancectl.collectors.documents.kinds import REGISTERS
    from compliancectl.query.explain import tables_read

    project, found, now = _shelf(scope, as_of)
    reads = {c.id: tables_read([c], project.catalogue.tables) for c in project.selected}
    kinds = {**FACTS, **{register.table.name: kind for kind, register in REGISTERS.items()}}
    asked = requests(project.selected, reads, kinds, found, now, _days(within))
    _tell_requests(asked, format)
    return 1 if any(one.state in ("missing", "expired") for one in asked) else 0


def _plain(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z][\w ]*", text) else json.dumps(text, ensure_ascii=False)


def _days(text: str) -> timedelta:
    from compliancectl.errors import UsageError

    match = re.fullmatch(r"(\d{1,4})d?", text)
    if match is None:
        raise UsageError(f"--within: {text!r} is no number of days", hint="Write it as 30d.")
    return timedelta(days=int(match.group(1)))


def _shelf(scope_file: Path, as_of: str | None) -> tuple[Project, list[Paper], datetime]:
    """The project, its documents, and today."""
    from compliancectl import clock
    from compliancectl.asked import papers
    from compliancectl.cli.pipeline import instant
    from compliancectl.cli.project import open_project
    from compliancectl.collectors.documents import folder
    from compliancectl.errors import FileError

    project = open_project(scope_file)
    section = project.scope.sources.get("documents")
    if section is None:
        hint = "Add `documents: {folder: compliance/documents}` under sources."
        raise FileError("the scope has no folder of documents", file=scope_file, hint=hint)
    now = instant(as_of) or clock.now()
    listing = folder.walk(project.scope.folder / section["folder"], max(now, clock.now()))
    return project, list(papers(listing.documents, project.selected)), now


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment is not None else ""


def _paper(paper: Paper) -> dict[str, Any]:
    return {
        "path": paper.path, "kind": paper.kind, "subject": paper.subject, "title": paper.title, "owner": paper.owner,
        "issued": _day(paper.issued), "expires": _day(paper.expires), "valid_until": _day(paper.valid_until),
        "status": paper.status or "",
    }  # fmt: skip


def _tell_papers(found: list[Paper], format: Format) -> None:
    from compliancectl.cli.console import out, safe

    if format is Format.json:
        typer.echo(json.dumps([_paper(paper) for paper in found], indent=2, ensure_ascii=False))
        return
    width = max((len(paper.kind) for paper in found), default=0)
    for paper in found:
        until = f"until {_day(paper.valid_until)}" if paper.valid_until else "without end"
        out().print(
            f"  {_day(paper.issued)}  {until:<16}  {paper.kind:<{width}}  {safe(paper.title)}  "
            f"[dim]{safe(paper.owner)} · {safe(paper.path)}[/dim]"
        )
    documents = "1 document" if len(found) == 1 else f"{len(found)} documents"
    out().print(f"{documents}.")


_COLUMNS = ("owner", "state", "kind", "subject", "controls", "max_age_days", "document", "issued", "due")


def _row(asked: Request) -> dict[str, Any]:
    paper = asked.paper
    return {
        "owner": asked.owner, "state": asked.state, "kind": asked.kind, "subject": asked.subject or "any",
        "controls": " ".join(asked.controls), "max_age_days": asked.max_age_days, "document": paper.path if paper else None,
        "issued": _day(paper.issued) if paper else None, "due": _day(asked.due) or None,
    }  # fmt: skip


def _tell_requests(asked: tuple[Request, ...], format: ListFormat) -> None:
    rows = [_row(one) for one in asked]
    match format:
        case ListFormat.json:
            typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        case ListFormat.csv:
            typer.echo(_csv(rows), nl=False)
        case ListFormat.markdown:
            from compliancectl.gap_formats import escape

            typer.echo(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
            for row in rows:
                typer.echo(f"| {' | '.join(escape('' if v is None else str(v)) for v in row.values())} |")
        case ListFormat.text:
            _print_requests(rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    import csv
    import io

    from compliancectl.seal.index import cell

    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    writer.writerows([cell(value) for value in row.values()] for row in rows)
    return stream.getvalue()


_MARKS = {
    "missing": "[red]✕[/red]",
    "expired": "[red]✕[/red]",
    "expiring": "[yellow]○[/yellow]",
    "supplied": "[green]●[/green]",
}


def _print_requests(rows: list[dict[str, Any]]) -> None:
    from compliancectl.cli.console import out, safe

    owner = None
    for row in rows:
        if row["owner"] != owner:
            owner = row["owner"]
            out().print(f"\n[bold]{safe(owner)}[/bold]")
        what = f"{row['kind']}: {row['subject']}"
        until = f"until {row['due']}" if row["due"] else ""
        there = f"{row['document']} of {row['issued']}" if row["document"] else "nothing is there"
        out().print(
            f"  {_MARKS[row['state']]} {row['state']:<8}  {safe(what)}  {until}  [dim]{safe(there)} · {row['controls']}[/dim]"
        )
    good = sum(row["state"] in ("supplied", "expiring") for row in rows)
    out().print(f"\n{good} of {len(rows)} documents are there and of use.")
