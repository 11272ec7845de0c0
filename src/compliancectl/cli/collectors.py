"""`collectors list|show|permissions`: what can be read, and what it takes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from compliancectl.cli.options import Format, OutputFormat

app = typer.Typer(no_args_is_help=True)


@app.callback()
def collectors() -> None:
    """List collectors, tables and the permissions they need."""


@app.command("list", epilog="Example: compliancectl collectors list --format json | jq '.[].tables'")
def list_(format: OutputFormat = Format.text) -> int:
    """List the installed collectors and their tables."""
    from compliancectl import plugins
    from compliancectl.cli.console import out

    found = [plugins.collector(name) for name in plugins.collector_names()]
    if format is Format.json:
        data = [{**i.use.model_dump(), "tables": [t.name for t in i.collector.tables]} for i in found]
        typer.echo(json.dumps(data, indent=2))
        return 0
    for installed in found:
        out().print(
            f"[bold]{installed.use.name}[/bold]  {installed.collector.system}  [dim]{installed.use.distribution} {installed.use.version}[/dim]"
        )
        for table in installed.collector.tables:
            out().print(f"  {table.name:<28} {table.description}")
    return 0


@app.command(epilog="Example: compliancectl collectors show gcp.sql_instance")
def show(table: Annotated[str, typer.Argument(help="Table, such as gcp.sql_instance.")]) -> int:
    """Show a table: columns, meaning, source field, permissions, freshness."""
    import difflib

    from rich.table import Table as Grid

    from compliancectl import plugins
    from compliancectl.cli.console import out
    from compliancectl.errors import UsageError

    tables = plugins.all_tables()
    if table not in tables:
        close = difflib.get_close_matches(table, tables, n=3)
        hint = f"Did you mean {', '.join(close)}?" if close else "`compliancectl collectors list` shows them all."
        raise UsageError(f"no table is called {table!r}", hint=hint)
    found = tables[table]
    console = out()
    console.print(f"[bold]{found.name}[/bold]  {found.description}\n")
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for name in ("column", "type", "meaning", "source"):
        grid.add_column(name, overflow="fold")  # a field that is cut short cannot be looked up
    for column in found:
        star = " *" if column.name in found.key else ""
        grid.add_row(column.name + star, column.type.sql, column.description, column.source)
    console.print(grid)
    console.print("\n* identifies the row")
    console.print(f"freshness: {plugins.collector(found.source).collector.feed_of(table).freshness}")
    if found.permissions:
        console.print("permissions: " + ", ".join(found.permissions))
    for drop in found.drops:
        console.print(f"removed before anything is kept: {drop}")
    return 0


@app.command(epilog="Example: compliancectl collectors permissions postgres")
def permissions(collector: Annotated[str, typer.Argument(help="Collector, such as gcp.")]) -> int:
    """Print the least permissions that a collector needs, ready to grant."""
    from compliancectl import plugins

    typer.echo(plugins.collector(collector).collector.permissions())
    return 0
