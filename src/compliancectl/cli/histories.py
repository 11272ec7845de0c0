"""`history` and `trend`: controls over many runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliancectl.cli.options import Format, OutputFormat

if TYPE_CHECKING:
    from compliancectl.cli.places import Bundles
    from compliancectl.query.history import Overview

app = typer.Typer()
WIDTH = 60
SIGNS = ("no deviations", "deviations", "inconclusive", "no occurrences")
EVER = datetime(1970, 1, 1, tzinfo=UTC)
Where = Annotated[
    str,
    typer.Argument(
        help="Folder with the bundles, at any depth, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.", metavar="FOLDER"
    ),
]
Since = Annotated[str | None, typer.Option("--since", help="Leave earlier runs out (UTC).", metavar="DATE")]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", help="Where bundles of a bucket are copied to; by default below XDG_CACHE_HOME.", metavar="DIR"
    ),
]
Control = Annotated[list[str] | None, typer.Option("--control", help="Only this one; may be repeated.", metavar="ID")]


@app.command(epilog="Example: compliancectl history evidence --control BCP-01 --since 2026-01-01")
def history(
    where: Where, control: Control = None, since: Since = None, cache: Cache = None, format: OutputFormat = Format.text
) -> int:
    """Show how each control came out, run by run: ● no deviations, ✕ deviations, ○ inconclusive, – no occurrences.

    A · stands where no run has the control. With more runs than fit on a line, each sign stands for several runs and is
    the worst of them. Results are read as they are and not verified; `compliancectl period` verifies. What was read is
    kept in the cache folder (XDG_CACHE_HOME), so that only new runs are read the next time. Bundles of a bucket are
    copied once.

    Exit code 0; 3: a bundle of the bucket could not be read, or is not what was stored.
    """
    from compliancectl.cli.console import SYMBOLS, out, safe
    from compliancectl.history import glance, read

    folder, asked, code = _asked(where, control, since, cache)
    if format is Format.json:
        found = read(folder, **asked)
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return code
    console, seen = out(), glance(folder, WIDTH, **asked)
    _head(seen)
    for each in seen.lines:
        signs = "".join(_sign(*SYMBOLS[point[0]]) if point else "·" for point in each.points)
        turns = f"turned {each.turns} times" if each.turns != 1 else "turned once"
        console.print(f"  {each.control:<8} {signs}  {safe(each.title)}  [dim]{turns}[/dim]")
    legend = [f"{_sign(*SYMBOLS[name])} {name}" for name in SIGNS]
    missing = ["· not in the run"] if any(None in each.points for each in seen.lines) else []
    console.print(f"\n  {'   '.join([*legend, *missing])}")
    return code


def _sign(shape: str, colour: str) -> str:
    return f"[{colour}]{shape}[/{colour}]"


@app.command(epilog="Example: compliancectl trend evidence --since 2026-01-01 --format json")
def trend(
    where: Where, control: Control = None, since: Since = None, cache: Cache = None, format: OutputFormat = Format.text
) -> int:
    """Show how many items of each control do not pass, run by run, and where that is going.

    An item that fails and one that is unknown both count. A ? stands where a control was inconclusive without an item to
    count, a · where no run has it. Results are read as they are and not verified.

    Exit code 0; 3: a bundle of the bucket could not be read, or is not what was stored.
    """
    from compliancectl import clock
    from compliancectl.cli.console import out, safe
    from compliancectl.history import bars, glance, read
    from compliancectl.numbers import counted

    folder, asked, code = _asked(where, control, since, cache)
    if format is Format.json:
        found = read(folder, **asked)
        data = [
            {
                "control": each.id,
                "points": [
                    {
                        "run_id": p.run_id,
                        "as_of": clock.text(p.as_of),
                        "outcome": p.outcome,
                        "open": p.items.failed + p.items.unknown,
                    }
                    for p in each.points
                ],
            }
            for each in found.controls
        ]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return code
    console, seen = out(), glance(folder, WIDTH, **asked)
    _head(seen)
    for each in seen.lines:
        went = f"{counted(each.first, 'item')} → {each.last:,}, at most {each.most:,}"
        console.print(f"  {each.control:<8} {bars(each.points)}│  {safe(each.title)}  [dim]{went}[/dim]")
    console.print(
        "\n  Items that fail or are unknown, of the first run → of the last; the highest bar is the most of each control."
    )
    return code


def _head(found: Overview) -> None:
    from compliancectl import clock
    from compliancectl.cli.console import out, safe
    from compliancectl.numbers import counted

    count = counted(found.runs, "run")
    system = safe(found.subjects[0][1])
    # Thinned as `query.history` does it: shares of the runs that differ by one at most.
    least, most = found.runs // WIDTH, -(-found.runs // WIDTH)
    each = f"; each sign is the worst of {least if least == most else f'{least} or {most}'} runs" if most > 1 else ""
    out().print(f"{system}: {count}, {clock.to_the_second(found.start)} to {clock.to_the_second(found.end)}{each}\n")


def _asked(
    where: str, control: list[str] | None, since: str | None, cache: Path | None
) -> tuple[Path, dict[str, Any], int]:
    """Where the bundles are, what both commands ask of them, and the exit code: 3 if some could not be had."""
    from compliancectl.canonical import sha256
    from compliancectl.cli.periods import instant
    from compliancectl.cli.places import bundles_of, kept
    from compliancectl.depot.places import is_bucket
    from compliancectl.errors import UsageError

    start = instant("--since", since) if since else None
    asked: dict[str, Any] = {"since": start, "only": control or ()}
    folder, code = Path(where), 0
    if is_bucket(where):
        found = bundles_of(where, start or EVER, cache)
        folder, code = found.folder, 3 if found.refused else 0
        asked["paths"] = found.paths
        _say_refused(found)
    elif cache is not None:
        raise UsageError("--cache is for a bucket, and this is a folder", hint="Leave it out.")
    index = kept("history") / f"{sha256(str(folder.resolve()).encode())[:16]}.parquet"
    return folder, {**asked, "index": index}, code


def _say_refused(found: Bundles) -> None:
    from compliancectl.cli.console import printable

    for entry in found.refused:
        typer.echo(printable(f"{entry.bundle} is not in it: {entry.problem}"), err=True)
