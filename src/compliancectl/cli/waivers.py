"""`waivers list|check|new`: findings that were accepted for a time, by whom, and until when."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli.options import DEFAULT_SCOPE, AsOf, Format, OutputFormat, ScopeFile

if TYPE_CHECKING:
    from compliancectl.model.waiver import Waiver

app = typer.Typer(no_args_is_help=True)

LONGEST_DAYS = 180
"""From approval to expiry; what is accepted for longer is not accepted for a time."""


@app.callback()
def waivers() -> None:
    """List, check and begin waivers: approved, reasoned, dated acceptances of named findings."""


@app.command("list", epilog="Example: compliancectl waivers list --format json")
def list_(scope: ScopeFile = DEFAULT_SCOPE, as_of: AsOf = None, format: OutputFormat = Format.text) -> int:
    """List the waivers of the scope with what becomes of each: in force, expired, or not yet approved."""
    from compliancectl.cli.console import out, safe

    found, today = _waivers(scope, as_of)
    if format is Format.json:
        rows = [{**w.model_dump(mode="json", exclude={"line", "file"}), **_state(w, today)} for w in found]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    for waiver in found:
        state = _state(waiver, today)
        left = f", {state['days_left']} days left" if state["state"] == "in force" else ""
        out().print(
            f"  [magenta]◐[/magenta] {safe(waiver.id)}  {waiver.control}  {', '.join(waiver.checks)}  "
            f"until {waiver.expires} ({state['state']}{left})"
        )
        out().print(f"      {safe(', '.join(waiver.items))}")
        out().print(f"      [dim]{safe(waiver.approver)} on {waiver.approved}: {safe(waiver.reason)}[/dim]")
    out().print(f"{len(found)} {'waiver' if len(found) == 1 else 'waivers'}.")
    return 0


@app.command(epilog="Example: compliancectl waivers check --longest 90")
def check(
    scope: ScopeFile = DEFAULT_SCOPE,
    as_of: AsOf = None,
    longest: Annotated[
        int, typer.Option("--longest", help="Days from approval to expiry that are accepted.", min=1)
    ] = LONGEST_DAYS,
) -> int:
    """Check the waivers of the scope: form, names, dates.

    Exit code 2 when the file is wrong; 1 when a waiver has expired, lasts too long, or accepts every item there will ever
    be (an item pattern of `*` alone).
    """
    from compliancectl.cli.console import printable

    found, today = _waivers(scope, as_of)
    said = [problem for waiver in found for problem in _problems(waiver, today, longest)]
    for problem in said:
        typer.echo(printable(problem), err=True)
    typer.echo(f"{len(found)} waivers, {len(said)} problems")
    return 1 if said else 0


@app.command(
    epilog="Example: compliancectl waivers new bundles/today.zip GAP-72c494e78cc9 --id W-7 --approver ciso "
    "--reason 'Moved in March.' --expires 2027-03-31"
)
def new(
    assessed: Annotated[Path, typer.Argument(help="Bundle (folder or ZIP) or evaluated run.", metavar="BUNDLE")],
    gap: Annotated[str, typer.Argument(help="Id that `compliancectl gaps` gives.", metavar="GAP")],
    id: Annotated[str, typer.Option("--id", help="What the waiver is called.")],
    approver: Annotated[str, typer.Option("--approver", help="Who accepts it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    expires: Annotated[str, typer.Option("--expires", help="Last day on which it holds.", metavar="DAY")],
    as_of: AsOf = None,
) -> int:
    """Print the waiver for one gap, to be put into the waivers file (and reviewed like any other change)."""
    from compliancectl import assessed as reader
    from compliancectl.errors import UsageError
    from compliancectl.gaps import find_gaps
    from compliancectl.load.problems import suggestion

    found = {one.id: one for one in find_gaps(reader.read(assessed)).gaps}
    if gap not in found:
        raise UsageError(
            f"there is no gap {gap!r}", hint=suggestion(gap, found, otherwise="`compliancectl gaps` lists them.")
        )
    today, last = _today(as_of), _day(expires)
    if last < today or not reason.strip() or not approver.strip():
        raise UsageError(
            "a waiver needs a reason, an approver and a day to come", hint="Give --reason, --approver, --expires."
        )
    one = found[gap]
    if re.search(r"[*?\[]", one.resource):
        raise UsageError(f"the name {one.resource!r} would be read as a pattern", hint="Write this waiver by hand.")
    values: dict[str, Any] = {
        "id": id, "control": one.control, "test": one.test, "items": [one.resource], "checks": [one.check],
        "approver": approver, "reason": reason,
    }  # fmt: skip
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    typer.echo("  - " + "\n    ".join([*lines, f"approved: {today}", f"expires: {last}"]))
    typer.echo("Put it under `waivers:` in the waivers file, then `compliancectl waivers check`.", err=True)
    return 0


def _waivers(scope_file: Path, as_of: str | None) -> tuple[tuple[Waiver, ...], date]:
    from compliancectl.cli.project import open_project

    return open_project(scope_file).waivers, _today(as_of)


def _today(as_of: str | None) -> date:
    from compliancectl import clock
    from compliancectl.cli.pipeline import instant

    return (instant(as_of) or clock.now()).date()


def _day(text: str) -> date:
    from compliancectl.errors import UsageError

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires: {text!r} is no day", hint="Write it as 2026-08-01.") from None


def _state(waiver: Waiver, today: date) -> dict[str, Any]:
    left = (waiver.expires - today).days
    state = "expired" if left < 0 else "not yet approved" if waiver.approved > today else "in force"
    return {"state": state, "days_left": max(left, 0)}


def _problems(waiver: Waiver, today: date, longest: int) -> list[str]:
    place = f"{waiver.file}:{waiver.line}: {waiver.id}"
    found = []
    if waiver.expires < today:
        found.append(f"{place} expired on {waiver.expires}. Remove it, or have it approved anew.")
    if waiver.expires - waiver.approved > timedelta(days=longest):
        found.append(
            f"{place} holds for {(waiver.expires - waiver.approved).days} days; at most {longest} are accepted."
        )
    if "*" in waiver.items:
        found.append(f"{place} accepts every item there will ever be. Name those that it is about.")
    return found
