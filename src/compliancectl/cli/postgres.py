"""`postgres isolation|suggest`: what each session can reach, with SQL for each gap; a section of the scope to begin with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli.options import DEFAULT_SCOPE, Format, OutputFormat, ScopeFile, WriteProbes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compliancectl.collectors.postgres.isolation.summary import Gap, Summary

app = typer.Typer(no_args_is_help=True)

MARKS = {"isolated": "●", "open": "✕", "inconclusive": "○", "no access": "–"}
_COLOURS = {"isolated": "green", "open": "red", "inconclusive": "yellow", "no access": "dim"}
_OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@app.callback()
def postgres() -> None:
    """Look into PostgreSQL databases: tenant isolation, and a scope section to begin with."""


@app.command(epilog="Example: compliancectl postgres isolation --database app --format json")
def isolation(
    scope: ScopeFile = DEFAULT_SCOPE,
    database: Annotated[
        list[str] | None, typer.Option("--database", help="Only this database; may be repeated.", metavar="NAME")
    ] = None,
    write_probes: WriteProbes = False,
    format: OutputFormat = Format.text,
) -> int:
    """Print who can reach what across tenants, and for each gap a sentence, the policy, and SQL that would close it.

    Everything but --write-probes runs in READ ONLY transactions. Exit code 0 when every tenant is isolated, 1 when there is a gap,
    3 when something could not be judged.
    """
    from compliancectl.collectors.postgres.isolation.summary import examine

    with _session(scope) as session:
        chosen = _chosen(session.config.databases, database)
        if write_probes:
            _only_clones(chosen)
        found = [examine(session, one, write=write_probes) for one in chosen]
    if format is Format.json:
        typer.echo(json.dumps([_plain(summary) for summary in found], indent=2, ensure_ascii=False))
    else:
        for summary in found:
            _print(summary)
    return max(summary.exit_code for summary in found)


@app.command(epilog="Example: compliancectl postgres suggest 'host=db dbname=app user=compliance_ro' > section.yaml")
def suggest(
    dsn: Annotated[str, typer.Argument(help="Connection string of libpq, without a password.", metavar="DSN")],
    name: Annotated[str, typer.Option("--name", help="How evidence will call the database.")] = "app",
    format: OutputFormat = Format.text,
) -> int:
    """Read a database's catalogue and propose its section of the scope file, every guess marked. Reads no data."""
    from compliancectl.collectors.postgres import suggest as proposals

    with _open({"databases": [{"name": name, "dsn": dsn, "app_roles": ["?"]}]}) as session:
        found = proposals.guess(proposals.read(session, session.config.databases[0]))
    if format is Format.json:
        typer.echo(json.dumps(proposals.declared(found), indent=2, ensure_ascii=False))
    else:
        typer.echo(proposals.write(name, dsn, found), nl=False)
    return 0


@app.command(
    "install-views", epilog="Example: compliancectl postgres install-views --print --database app > install.sql"
)
def install_views(
    scope: ScopeFile = DEFAULT_SCOPE,
    database: Annotated[
        str | None, typer.Option("--database", help="Which database, if the scope has several.", metavar="NAME")
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option("--reader", help="The role that will count; absent: the one that connects.", metavar="ROLE"),
    ] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Write the SQL to standard output; nothing else is ever done with it.")
    ] = False,
) -> int:
    """Write the SQL that lets the collector count rows without reading any, for the owner to review and run.

    It makes one function for each purge_columns entry, for what schema_map names, and for departed_tenants, owned by a role that
    nobody logs in as. The lines to add to the scope file are comments at its end.
    """
    from compliancectl.collectors.postgres import install
    from compliancectl.errors import UsageError

    if not show:
        raise UsageError(
            "this command changes no database",
            hint="Add --print: it writes the SQL, which the owner of the database reviews and runs.",
        )
    with _session(scope) as session:
        chosen = _chosen(session.config.databases, [database] if database else None)
        if len(chosen) > 1:
            names = ", ".join(one.name for one in chosen)
            raise UsageError("the scope has several databases", hint=f"Choose one with --database: {names}.")
        found = install.look(session, chosen[0])
        made = install.functions(chosen[0], found)
        if not made:
            raise UsageError(
                f"database {chosen[0].name} declares nothing that a function would count",
                hint="Declare purge_columns, schema_map or departed_tenants in the scope file.",
            )
        who = reader or session.principal().subject
        typer.echo(install.write(chosen[0], made, found.protected, who), nl=False)
    return 0


def _open(section: dict[str, Any]) -> Any:
    """An open session with a section that no scope file holds."""
    from datetime import timedelta
    from pathlib import Path

    import pydantic

    from compliancectl import clock, plugins
    from compliancectl.collectors.base import Context
    from compliancectl.errors import UsageError
    from compliancectl.model.evidence import Window

    installed = plugins.collector("postgres")
    try:
        config = installed.collector.config.model_validate(section)
    except pydantic.ValidationError as error:
        raise UsageError(error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")) from None
    now = clock.now()
    period = Window(start=now - timedelta(days=1), end=now)
    return installed.collector.open(config, Context(period, now, "production", Path()))


def _session(scope: Any) -> Any:
    """An open session with the scope's section on PostgreSQL; nothing else of the scope is needed."""
    from datetime import timedelta

    from compliancectl import clock, load, plugins
    from compliancectl.cli.console import talk
    from compliancectl.collectors.base import Context
    from compliancectl.errors import FileError, UsageError
    from compliancectl.model.evidence import Window
    from compliancectl.sections import validate_sections

    if not scope.is_file():
        hint = "Write one with `compliancectl init`, or name it with --scope."
        raise FileError("there is no scope file", file=scope, hint=hint)
    read = load.load_scope(scope)
    if "postgres" not in read.sources:
        raise UsageError(
            "the scope has no source called 'postgres'", hint="Declare its databases under sources.postgres."
        )
    installed = plugins.collector("postgres")
    section = validate_sections(read, {"postgres": installed})["postgres"]
    now = clock.now()
    console = talk()
    context = Context(
        period=Window(start=now - timedelta(days=1), end=now),
        as_of=now,
        environment=read.environment,
        folder=read.folder,
        progress=(lambda text: console.print(f"[dim]{text}[/dim]", end="\r"))
        if console.is_terminal
        else (lambda text: None),
    )
    return installed.collector.open(section, context)


def _chosen(databases: Sequence[Any], names: list[str] | None) -> list[Any]:
    from compliancectl.errors import UsageError

    known = [database.name for database in databases]
    for name in names or ():
        if name not in known:
            raise UsageError(f"the scope has no database called {name!r}", hint=f"It has: {', '.join(known)}.")
    return [database for database in databases if not names or database.name in names]


def refuse_unless_clones(project: Any) -> None:
    """Refuse to try writes unless every PostgreSQL database of a project is declared a clone.

    Raises:
        UsageError: naming the database that is not, or that there is none.
    """
    from compliancectl.errors import UsageError
    from compliancectl.sections import validate_sections

    if "postgres" not in project.collectors:
        raise UsageError("the scope has no PostgreSQL database to try writes in", hint="Leave --write-probes out.")
    section: Any = validate_sections(project.scope, {"postgres": project.collectors["postgres"]})["postgres"]
    _only_clones(list(section.databases))


def _only_clones(databases: list[Any]) -> None:
    """Writes are tried in copies alone, even though they are rolled back."""
    from compliancectl.errors import UsageError

    for database in databases:
        if not database.clone:
            raise UsageError(
                f"database {database.name} is not declared a clone, so no write is tried there",
                hint="Write probes lock rows, fire triggers and make the server work. Clone the database, declare it with `clone: true`.",
            )


def _plain(summary: Summary) -> dict[str, Any]:
    from dataclasses import asdict

    said = asdict(summary)
    said["cells"] = [dict(cell) for cell in summary.cells]
    said["errors"] = [{"cause": e.cause, "message": e.message, "hint": e.hint} for e in summary.errors]
    return said


def _print(summary: Summary) -> None:
    from compliancectl.cli.console import out, safe, talk
    from compliancectl.numbers import counted

    console = out()
    counts = (
        f"{counted(len(summary.gaps), 'gap')}, {counted(len(summary.weaknesses), 'weakness', 'weaknesses')}, "
        f"{len(summary.unsettled)} unsettled"
    )
    console.print(f"[bold]{safe(summary.database)}[/bold]  {counts}")
    if summary.cells:
        _matrix(summary)
    for title, gaps in (
        ("Gaps", summary.gaps),
        ("Not settled", summary.unsettled),
        ("Weaknesses", summary.weaknesses),
        ("Server", summary.server),
    ):
        _list(title, gaps)
    for error in summary.errors:
        talk().print(f"[yellow]○ {safe(error.cause)}[/yellow] {safe(error.message)}")
        if error.hint:
            talk().print(f"  {safe(error.hint)}")


def _matrix(summary: Summary) -> None:
    """Tables by operations; in each cell one sign per context."""
    from rich.table import Table as Grid

    from compliancectl.cli.console import out, safe

    legend = "  ".join(f"{place} {safe(name)}" for place, name in enumerate(summary.contexts, 1))
    out().print(f"\ncontexts: {legend}")
    out().print("● isolated  ✕ open  ○ not settled  – no privilege; one sign per context\n")
    verdicts: dict[tuple[str, str, str], str] = {}
    for cell in summary.cells:
        column = cell["operation"] if cell["level"] == "predicate" else cell["level"]
        key = (cell["relation"], column, cell["context"])
        verdicts[key] = _worse(verdicts.get(key), cell["verdict"])
    columns = [*_OPERATIONS, *(level for level in ("rows", "write") if any(c["level"] == level for c in summary.cells))]
    grid = Grid("table", *columns, box=None, pad_edge=False, header_style="dim")
    for relation in dict.fromkeys(sorted(cell["relation"] for cell in summary.cells)):
        signs = [
            "".join(_sign(verdicts.get((relation, column, context))) for context in summary.contexts)
            for column in columns
        ]
        grid.add_row(safe(relation), *signs)
    out().print(grid)


def _worse(one: str | None, other: str) -> str:
    """Of two roles' verdicts the one that matters more."""
    order = ("open", "inconclusive", "isolated", "no access")
    return other if one is None else min(one, other, key=order.index)


def _sign(verdict: str | None) -> str:
    if verdict is None:
        return " "
    return f"[{_COLOURS[verdict]}]{MARKS[verdict]}[/{_COLOURS[verdict]}]"


def _list(title: str, gaps: Sequence[Gap]) -> None:
    from compliancectl.cli.console import out, safe

    console = out()
    if gaps:
        console.print(f"\n[bold]{title}[/bold]")
    for number, gap in enumerate(gaps, 1):
        console.print(f"{number:>3}. {safe(gap.sentence)}  [dim]{safe(gap.rule)}[/dim]")
        if gap.operations:
            where = f" in {', '.join(gap.contexts)}" if gap.contexts else ""
            console.print(f"     {safe(', '.join(gap.operations))}{safe(where)}")
        for policy in gap.policies:
            console.print(f"     policy: {safe(policy)}")
        if gap.repair:
            console.print(f"     close:  {safe(gap.repair)}")
