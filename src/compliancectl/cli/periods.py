"""`period`: the observation period, judged from the chain of its runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli.checked import SignerKey, TrustFile
from compliancectl.cli.options import Format, OutputFormat

if TYPE_CHECKING:
    from compliancectl.cli.places import Bundles
    from compliancectl.model.period import LedgerEntry, Period, PeriodControl
    from compliancectl.model.trust import Trust
    from compliancectl.period.capture import Capture

app = typer.Typer()
KEY_VARIABLE = "COMPLIANCECTL_SIGNING_KEY"
WORTH = 16
"""Bundles for which another process is worth its start."""
SHOWN = 10
"""Deviations printed per test; the rest are in the JSON."""


@dataclass(frozen=True)
class _Read:
    """One bundle that was verified: read, or refused."""

    name: str
    verdict: str
    capture: Capture | None
    refused: LedgerEntry | None


@app.command(
    epilog="Example: compliancectl period evidence --from 2026-01-01 --to 2027-01-01 --package 2026 --zip 2026.zip"
)
def period(
    where: Annotated[
        str,
        typer.Argument(
            help="Folder with the bundles, at any depth, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.", metavar="FOLDER"
        ),
    ],
    start: Annotated[str, typer.Option("--from", help="First day of the period (UTC).", metavar="DATE")],
    end: Annotated[str, typer.Option("--to", help="Day after its last (UTC).", metavar="DATE")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the findings as JSON.", metavar="FILE")
    ] = None,
    package: Annotated[
        Path | None,
        typer.Option("--package", help="Also seal it as a period package: a new folder.", metavar="DIR"),
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--zip", help="With --package: also write the same bytes as a ZIP.", metavar="FILE")
    ] = None,
    signing_key: Annotated[
        str | None,
        typer.Option(
            "--sign-with", help="With --package: private key, as `bundle` takes it.", envvar=KEY_VARIABLE, metavar="KEY"
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", help="Where bundles of a bucket are copied to; by default below XDG_CACHE_HOME.", metavar="DIR"
        ),
    ] = None,
    key: SignerKey = None,
    trust: TrustFile = None,
    format: OutputFormat = Format.text,
) -> int:
    """Judge an observation period from the bundles of its runs.

    Every bundle is verified. For each control: captures that were due by its frequency and those that are there, its
    outcomes as a timeline, its populations united without doubles, each deviation with its duration, and whether the
    control or its parameters changed. Evidence about events must cover the period without a gap.

    A period package holds the findings, every population united, the exceptions, the ledger of runs and the last bundle;
    `compliancectl sample` draws from it, `compliancectl report type2` reports on it, `compliancectl verify` checks it.

    Bundles of a bucket are copied once, and held against what the service and the store's records say of them; what broke
    off goes on with the next call. That needs roles/storage.objectViewer.

    Exit code 0: no deviations. 1: deviations. 3: captures are missing or inconclusive, or a bundle could not be read.
    4: a bundle does not verify.
    """
    from compliancectl import canonical, disk
    from compliancectl.cli import pipeline, places
    from compliancectl.errors import UsageError
    from compliancectl.export import new_file
    from compliancectl.period.judge import judge

    opens, closes = instant("--from", start), instant("--to", end)
    if archive is not None and package is None:
        raise UsageError("--zip packs a package, and none is made", hint="Give --package too.")
    signer = pipeline.signing_key(signing_key) if package is not None else None
    found_in = places.bundles_of(where, opens, cache)
    captures, refused, verdicts = _read(found_in, key, trust)
    found = judge(captures, refused, opens, closes, verdicts)
    if output is not None:
        disk.refuse_sealed(output)
        with new_file(output) as stream:
            stream.write(canonical.to_bytes(found.to_json()) + b"\n")
    if package is not None and signer is not None:
        _seal(found, captures, found_in.folder, package, archive, signer)
    if format is Format.json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _show(found)
    return found.exit_code


def _seal(
    found: Period, captures: list[Capture], folder: Path, package: Path, archive: Path | None, signer: Path | str
) -> None:
    from compliancectl.cli import console, pipeline
    from compliancectl.period.package import write

    with console.step("sealing the period"):
        digest = write(found, captures, folder, package, key=signer, operator=pipeline.operator(), archive=archive)
    typer.echo(f"Sealed in {package}; SHA-256 of its SHA256SUMS: {digest}", err=True)


def instant(option: str, text: str) -> datetime:
    """Parse a date or an instant that an option holds.

    Raises:
        UsageError: if it is none.
    """
    from compliancectl import clock
    from compliancectl.errors import UsageError

    try:
        return clock.parse(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no date", hint="Write it as 2026-08-01.") from None


def _read(
    found: Bundles, key: Path | None, policy: Path | None
) -> tuple[list[Capture], list[LedgerEntry], dict[str, str]]:
    """Verify and read every bundle."""
    from compliancectl.cli import console
    from compliancectl.numbers import counted
    from compliancectl.seal import trust
    from compliancectl.spread import spread

    trusted = trust.load(policy, (key,) if key else ())
    step = console.step(f"verifying {counted(len(found.paths), 'bundle')}")
    read = spread(partial(_read_share, found.folder, trusted), found.paths, least=WORTH, meanwhile=step)
    if trusted is None:
        typer.echo("Whose signature the bundles bear was not checked (--key, --trust).", err=True)
    captures = [each.capture for each in read if each.capture is not None]
    refused = [*found.refused, *(each.refused for each in read if each.refused is not None)]
    return captures, refused, {each.name: each.verdict for each in read}


def _read_share(folder: Path, trusted: Trust | None, paths: Sequence[Path]) -> list[_Read]:
    from compliancectl.model.period import LedgerEntry
    from compliancectl.period.capture import Reader
    from compliancectl.verify import verify

    reader, found = Reader(), list[_Read]()
    for path in paths:
        name = path.relative_to(folder).as_posix()
        captures: list[Capture] = []
        said = verify(path, trust=trusted, take=lambda whole: captures.append(reader.read(path, name, whole)))  # noqa: B023
        refused = None
        if said.failure is not None:
            problem = f"step {said.failure.step}: {said.failure.message}"
            refused = LedgerEntry(bundle=name, verdict="does not verify", problem=problem)
        found.append(_Read(name, said.verdict, captures[0] if captures else None, refused))
    return found


def _show(found: Period) -> None:
    from compliancectl import clock
    from compliancectl.cli.console import mark as outcome
    from compliancectl.cli.console import out, safe
    from compliancectl.numbers import counted

    console = out()
    runs = counted(sum(entry.counted for entry in found.ledger), "run")
    console.print(
        f"{safe(found.system)}, {clock.to_the_second(found.start)} to {clock.to_the_second(found.end)}: {runs}\n"
    )
    for entry in found.ledger:
        if entry.verdict == "does not verify":
            console.print(f"  [red]✕[/red] {safe(entry.bundle)} does not verify: {safe(str(entry.problem))}")
        if entry.verdict == "not read":
            console.print(f"  [yellow]○[/yellow] {safe(entry.bundle)} was not read: {safe(str(entry.problem))}")
    for control in found.controls:
        console.print(
            f"  {control.id:<8} {outcome(control.outcome)}  {safe(control.title)}  "
            f"[dim]{control.captured} of {control.expected} {control.frequency} captures[/dim]"
        )
        _show_control(control)
    for part in found.unread:
        console.print(
            f"  [yellow]○[/yellow] {part.table} from {clock.to_the_second(part.start)} to {clock.to_the_second(part.end)}, "
            f"{counted(part.captures, 'capture')}: {safe(part.problem)}"
        )


def _show_control(control: PeriodControl) -> None:
    from compliancectl import clock
    from compliancectl.cli.console import out, safe

    console = out()
    for reason in control.reasons:
        console.print(f"           [yellow]○[/yellow] {safe(reason)}")
    for gap in control.missed:
        console.print(
            f"           – no capture from {clock.to_the_second(gap.start)} to {clock.to_the_second(gap.end)}"
        )
    for change in control.changes:
        console.print(f"           ~ {change.kind} since {clock.to_the_second(change.at)}")
    for test in control.tests:
        for item in test.deviations[:SHOWN]:
            lasted = "" if item.hours is None else f", {item.hours} h" + ("" if item.until else ", still open")
            console.print(
                f"           [red]✕[/red] {safe(item.resource)}: {safe(item.sentence)} "
                f"[dim]{clock.to_the_second(item.first)}{lasted}[/dim]"
            )
        if len(test.deviations) > SHOWN:
            console.print(f"             and {len(test.deviations) - SHOWN} more deviations of {test.id}")
