"""`reviews new|check`: ask the owners of systems who should keep access, and see what became of the answers."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli.options import AsOf, Format, OutputFormat

if TYPE_CHECKING:
    from compliancectl.model.review import Campaign, Decision, Fault, Review

app = typer.Typer(no_args_is_help=True)
CAMPAIGN = "campaign.json"

Snapshot = Annotated[Path, typer.Argument(help="Run folder, or an unpacked bundle.", metavar="RUN")]


@app.callback()
def reviews() -> None:
    """Review who has access: ask, read the answers back, and see that removals happened."""


@app.command(
    epilog="Example: compliancectl reviews new runs/today -o review-q3 --reviewer github=amara,bruno --reviewer postgres=bruno,amara"
)
def new(
    run: Snapshot,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the sheets.", metavar="DIR")],
    reviewer: Annotated[
        list[str],
        typer.Option(
            "--reviewer",
            help="Who decides about a system: github=FIRST,SECOND. The second decides about the first's own access.",
            metavar="SYSTEM=LOGIN",
        ),
    ],
    same: Annotated[
        list[str] | None,
        typer.Option(
            "--same", help="Another name of a reviewer, as amara=a.okafor; may be repeated.", metavar="LOGIN=NAME"
        ),
    ] = None,
) -> int:
    """Write one CSV for each reviewer, with every member and grant in the snapshot.

    Each row wants a decision (keep, change or remove), who decided, and the day. Members of the GitHub organisation,
    login roles of PostgreSQL, and IAM grants of Google Cloud are reviewed, as far as the snapshot has them.
    """
    from compliancectl import canonical, disk
    from compliancectl.errors import OutputError
    from compliancectl.numbers import counted
    from compliancectl.reviews import assign, sheets

    if output.exists() and any(output.iterdir()):
        raise OutputError("this folder is not empty", file=output, hint="Choose another one.")
    found = _snapshot(run)
    aliases = _pairs(same, "--same", "amara=a.okafor")
    rows = assign(found.rows, _pairs(reviewer, "--reviewer", "github=amara,bruno"), aliases)
    campaign = found.model_copy(update={"rows": rows, "aliases": aliases})
    with disk.output_errors(output):
        disk.write_whole(output / CAMPAIGN, canonical.to_bytes(campaign.to_json()) + b"\n")
        for name, text in sheets(campaign).items():
            disk.write_whole(output / f"{_file(name)}.csv", text.encode())
            asked = sum(row.reviewer == name for row in rows)
            typer.echo(f"{output / f'{_file(name)}.csv'}  {counted(asked, 'grant')}")
    missing = sorted(_systems() - {row.system for row in rows})
    if missing:
        typer.echo(f"Not in this snapshot, and not reviewed: {', '.join(missing)}.", err=True)
    return 0


@app.command(
    epilog="Example: compliancectl reviews check review-q3 --later runs/next-week --register compliance/documents/registers/access.csv"
)
def check(
    folder: Annotated[Path, typer.Argument(help="Folder that `reviews new` wrote, with the answers.", metavar="DIR")],
    later: Annotated[
        Path | None, typer.Option("--later", help="A run of afterwards: is what was to go gone?", metavar="RUN")
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", help="The run it was made from: was all of it asked?", metavar="RUN")
    ] = None,
    within: Annotated[str, typer.Option("--within", help="How soon it must be gone.", metavar="DAYS")] = "14d",
    register: Annotated[
        Path | None, typer.Option("--register", help="Also write the access-review-register here.", metavar="FILE")
    ] = None,
    as_of: AsOf = None,
    format: OutputFormat = Format.text,
) -> int:
    """Check a review: is it complete, did anybody decide about their own access, is what was to go gone?

    Exit code 0 when all is well, 1 when something is wrong, 3 when nothing shows yet that what was to go is gone.
    """
    from compliancectl import clock, disk
    from compliancectl.cli.pipeline import instant
    from compliancectl.reviews import check as judge
    from compliancectl.reviews import missing
    from compliancectl.reviews import register as told

    campaign = _read(folder)
    decisions, faults = _answers(folder, campaign)
    if snapshot is not None:
        faults = [*missing(campaign, _snapshot(snapshot)), *faults]
    after = _snapshot(later) if later else None
    found = judge(campaign, decisions, faults, instant(as_of) or clock.now(), after, timedelta(days=_days(within)))
    if register is not None:
        with disk.output_errors(register.parent):
            disk.write_whole(register, told(campaign, decisions, after).encode())
    if format is Format.json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(found)
    return 1 if found.faults else 3 if found.unshown else 0


def _systems() -> set[str]:
    from compliancectl.reviews import SOURCES

    return {source.system for source in SOURCES}


def _snapshot(run: Path) -> Campaign:
    """Every grant in a run; nobody is asked yet.

    Raises:
        NotReadyError: if a table that says who has access is there, and not whole.
    """
    from compliancectl import canonical, plugins, snapshots
    from compliancectl.errors import NotReadyError, UsageError
    from compliancectl.model.review import Asked, Campaign
    from compliancectl.query.rows import read_rows
    from compliancectl.reviews import SOURCES, grants

    if not run.is_dir():
        raise UsageError(f"{run} is no folder", hint="Name a run folder, or unpack the bundle first.")
    record = snapshots.read_run(run)
    evidence = snapshots.read_snapshots(run, record, plugins.all_tables())
    rows: dict[str, list[dict[str, Any]]] = {}
    digests, moments = {}, []
    for table in [s.table for s in SOURCES if evidence.giving(s.table)]:
        use = evidence.use(table, "annual", record.finished_at or record.started_at)
        if use.problem or use.oldest is None:
            message = f"{table} is not whole, and a review of it would not be either: {use.problem}"
            raise NotReadyError(message, hint="Collect again.", file=run)
        rows[table] = [row for file in evidence.files(table) for row in read_rows(file)]
        digests[table] = canonical.sha256(canonical.to_bytes(sorted(r.sha256 for _, r in evidence.rows(table))))
        moments.append(use.oldest)
    found = grants(rows)
    if not found:
        raise NotReadyError(
            "nothing here says who has access", hint="Collect GitHub, PostgreSQL or Google Cloud.", file=run
        )
    asked = tuple(Asked(**grant.model_dump(), reviewer="") for grant in found)
    return Campaign(
        organization=record.organization, run_id=record.id, collected_at=min(moments), tables=digests, rows=asked
    )


def _pairs(given: list[str] | None, option: str, example: str) -> dict[str, tuple[str, ...]]:
    from compliancectl.errors import UsageError

    found: dict[str, tuple[str, ...]] = {}
    for text in given or ():
        name, sign, rest = text.partition("=")
        names = tuple(part.strip() for part in rest.split(",") if part.strip())
        if not sign or not name or not names:
            raise UsageError(f"{option}: {text!r} is not understood", hint=f"Write it as {example}.")
        if option == "--reviewer" and name not in _systems():
            raise UsageError(
                f"{option}: no system is called {name!r}", hint=f"There are {', '.join(sorted(_systems()))}."
            )
        found[name] = (*found.get(name, ()), *names)
    return found


def _file(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _days(text: str) -> int:
    from compliancectl.errors import UsageError

    match = re.fullmatch(r"(\d{1,4})d?", text)
    if match is None:
        raise UsageError(f"--within: {text!r} is no number of days", hint="Write it as 14d.")
    return int(match.group(1))


def _read(folder: Path) -> Campaign:
    from pydantic import ValidationError

    from compliancectl.errors import FileError
    from compliancectl.model.review import Campaign

    file = folder / CAMPAIGN
    try:
        return Campaign.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        hint = "Name the folder that `compliancectl reviews new` wrote."
        raise FileError("this is no campaign of a review", file=file, hint=hint) from None


def _answers(folder: Path, campaign: Campaign) -> tuple[list[Decision], list[Fault]]:
    from compliancectl.errors import FileError
    from compliancectl.reviews import read_sheet

    decisions: list[Decision] = []
    faults: list[Fault] = []
    for file in sorted(folder.glob("*.csv")):
        try:
            made, wrong = read_sheet(file.read_bytes().decode("utf-8-sig"), campaign)
        except UnicodeDecodeError:
            raise FileError("this sheet is not UTF-8", file=file, hint="Save it as CSV UTF-8.") from None
        decisions, faults = decisions + made, faults + wrong
    return decisions, faults


def _print(found: Review) -> None:
    from compliancectl.cli.console import out, safe
    from compliancectl.numbers import counted

    console = out()
    console.print(f"[bold]{safe(found.organization)}[/bold]  access on {found.collected_at:%Y-%m-%d %H:%M} UTC")
    kinds: dict[str, list[str]] = {}
    for fault in found.faults:
        kinds.setdefault(fault.kind, []).append(fault.says)
    for kind, said in kinds.items():
        console.print(f"\n[red]✕ {kind.upper()}[/red]  {len(said)}")
        for text in said:
            console.print(f"  {safe(text)}")
    if found.unshown:
        console.print(
            f"\n[yellow]○ NOT SHOWN YET[/yellow]  {counted(len(found.unshown), 'grant')} to go; give a run of afterwards with --later"
        )
    console.print(
        f"\n{found.decided} of {counted(found.grants, 'grant')} decided: {found.kept} kept, {found.to_go} to go, "
        f"{found.gone} of them shown to be gone."
    )
