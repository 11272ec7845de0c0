"""`evidence`: what a bundle rests on, item by item, and how each is found in its source's own log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import checked
from compliancectl.cli.checked import BundlePath, SignerKey, TrustFile
from compliancectl.cli.options import Format, OutputFormat
from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from compliancectl.model.evidence import EvidenceItem

app = typer.Typer()


@app.command(epilog="Example: compliancectl evidence bundle.zip --item 'gcp/sql_instances/*' --key signer.pub.pem")
def evidence(
    bundle: BundlePath,
    item: Annotated[
        list[str] | None,
        typer.Option("--item", help="Show these in full: an id, or a pattern; may be repeated.", metavar="ID"),
    ] = None,
    key: SignerKey = None,
    trust: TrustFile = None,
    format: OutputFormat = Format.text,
) -> int:
    """List a bundle's evidence items; with --item, who asked, when, how complete it is, and the query for the source's log.

    That query finds this very collection in the log that the source itself keeps: a filter for Cloud Logging, or a phrase
    for GitHub's audit log, which holds requests of the API on Enterprise Cloud only. Ask it with your own credentials: the
    signer cannot answer for that log. Sources without such a log have none, and it says so.

    Exit code 0: the items are listed. 4: the bundle does not verify.
    """
    from compliancectl.export.source import opened

    checked.check(bundle, key, trust)
    with opened(bundle) as source:
        found = source.evidence()
    chosen = [each for each in found if not item or any(fnmatchcase(each.id, pattern) for pattern in item)]
    if item and not chosen:
        raise UsageError(
            f"no evidence item is called {', '.join(item)}", hint="Without --item, all are listed by their ids."
        )
    if format is Format.json:
        typer.echo(json.dumps([_told(each) for each in chosen], indent=2, ensure_ascii=False))
    elif item:
        _show(chosen)
    else:
        _list(chosen)
    return 0


def _told(item: EvidenceItem) -> dict[str, object]:
    """The item as its record has it, but for the digests of its files; a query that there is none of is null."""
    left_out = {"version", "replies", "tables", "pseudonyms"}
    return {**{k: v for k, v in item.to_json().items() if k not in left_out}, "corroborate": item.corroborate}


def _list(items: Sequence[EvidenceItem]) -> None:
    from compliancectl import clock
    from compliancectl.cli.console import out, safe
    from compliancectl.numbers import counted

    console, width = out(), max((len(each.id) for each in items), default=0)
    for each in items:
        log = "" if each.corroborate else "  [dim]no query for a log of the source[/dim]"
        console.print(f"  {_status(each)}  {safe(each.id):<{width}}  {clock.to_the_second(each.completed_at)}{log}")
    can = sum(each.corroborate is not None for each in items)
    console.print(
        f"\n{counted(len(items), 'evidence item')}; {can} can be looked up in the source's own log: "
        "--item ID prints the query."
    )


def _status(item: EvidenceItem) -> str:
    shape, colour = ("●", "green") if item.status == "collected" else ("○", "yellow")
    return f"[{colour}]{shape} {item.status:<9}[/{colour}]"


def _show(items: Sequence[EvidenceItem]) -> None:
    from compliancectl import clock
    from compliancectl.cli.console import out, safe
    from compliancectl.numbers import counted
    from compliancectl.report.evidence import completeness

    console = out()
    for each in items:
        console.print(f"{safe(each.id)}  {_status(each)}")
        if each.reason:
            console.print(f"  why       {safe(each.reason)}")
        who = each.principal.subject if each.principal else "nobody: no identity was established"
        console.print(f"  asked     {safe(each.system)}, as {safe(who)}")
        console.print(
            f"  when      {clock.to_the_second(each.requested_at)} to {clock.to_the_second(each.completed_at, up=True)}"
        )
        if each.window:
            start, end = clock.to_the_second(each.window.start), clock.to_the_second(each.window.end, up=True)
            console.print(f"  speaks of {start} to {end}")
        console.print(f"  complete  {safe(completeness(each.completeness))}")
        rows = ", ".join(f"{table.table} ({counted(table.rows, 'row')})" for table in each.tables)
        console.print(f"  tables    {safe(rows) or 'none'}")
        console.print(
            f"  its log   {safe(each.corroborate) if each.corroborate else 'the source has no query for it'}\n"
        )
