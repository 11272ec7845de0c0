"""`ledger`: the append-only chain of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import console, journal
from compliancectl.cli.events import identity
from compliancectl.cli.options import Format, OutputFormat
from compliancectl.errors import FileError, UsageError, VerifyError

if TYPE_CHECKING:
    from compliancectl.model.ledger import Coverage, Entry

app = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of the ledger.")]
Verifier = Annotated[
    str,
    typer.Option(
        "--key",
        help="The ledger's verifier key, or a file with it; from its owner, not from the ledger.",
        metavar="KEY",
    ),
]


class Every(StrEnum):
    """How often a run is due."""

    hourly = "hourly"
    daily = "daily"
    weekly = "weekly"


class Kind(StrEnum):
    """What can be entered by hand."""

    export = "export"
    disclose = "disclose"
    verify = "verify"
    note = "note"


@app.callback()
def ledger() -> None:
    """Keep an append-only chain of runs, so that none is dropped, added or changed later without a trace.

    `compliancectl run --ledger FOLDER --ledger-key FILE` enters every run before its first call and again when it is
    sealed. Keep the folder in version control on a protected branch, and give checkpoints to others: they show it when
    the whole ledger is written anew.
    """


@app.command(epilog="Example: compliancectl ledger new ledger --origin larkspur.example/evidence --key ledger.pem")
def new(
    folder: Folder,
    origin: Annotated[str, typer.Option(help="Name of the ledger, unique in the world.", metavar="NAME")],
    key: Annotated[
        Path, typer.Option("--key", help="Where the ledger's private key goes; must be new.", metavar="FILE")
    ],
) -> int:
    """Make an empty ledger and its key."""
    from compliancectl import ledger as ledgers

    made = ledgers.create(folder, origin, key)
    typer.echo(made.verifier)
    typer.echo("Keep the private key; give the line above, the verifier key, to whoever checks the ledger.", err=True)
    return 0


@app.command(epilog="Example: compliancectl ledger check ledger --key verifier.txt --against checkpoint-of-july")
def check(
    folder: Folder,
    key: Verifier,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="A checkpoint that you kept; may be repeated.", metavar="FILE"),
    ] = None,
    bundle: Annotated[
        list[Path] | None,
        typer.Option("--bundle", help="A bundle that must have its entry; may be repeated.", metavar="BUNDLE"),
    ] = None,
) -> int:
    """Check that the chain holds, that the checkpoint is signed, and that nothing was written anew.

    Exit code 0: all holds. 4: something does not.
    """
    from compliancectl import ledger as ledgers

    found, checkpoint = ledgers.check(folder, _key(key), against or ())
    for path in bundle or ():
        entry = _entry_of(path, found.entries, f"the ledger {folder}")
        typer.echo(f"● {path}: sealed as run {entry.run_id}, entry {entry.sequence} of {entry.at:%Y-%m-%dT%H:%M:%SZ}")
    later = len(found.entries) - checkpoint.size
    more = f"; {later} later, which no checkpoint covers yet" if later else ""
    typer.echo(f"● {checkpoint.origin}: {checkpoint.size} entries hold{more}")
    return 0


@app.command(epilog="Example: compliancectl ledger show ledger")
def show(folder: Folder, format: OutputFormat = Format.text) -> int:
    """List the entries."""
    from compliancectl import ledger as ledgers

    entries = ledgers.read(folder).entries
    if format is Format.json:
        typer.echo(json.dumps([entry.to_json() for entry in entries], indent=2, ensure_ascii=False))
        return 0
    for entry in entries:
        typer.echo(_line(entry))
    return 0


@app.command(
    epilog="Example: compliancectl ledger add ledger --ledger-key ledger.pem --kind export 'To Fern & Co, by mail'"
)
def add(
    folder: Folder,
    text: Annotated[str, typer.Argument(help="Who, to whom, why.")],
    key: Annotated[
        Path,
        typer.Option(
            "--ledger-key", help="The ledger's private key.", envvar=journal.LEDGER_KEY_VARIABLE, metavar="FILE"
        ),
    ],
    kind: Annotated[Kind, typer.Option(help="What happened.")] = Kind.note,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle that it happened to.", metavar="BUNDLE")
    ] = None,
) -> int:
    """Enter an export, a disclosure, a verification or a note: who handled which bundle, and why."""
    from compliancectl import ledger as ledgers

    fields: dict[str, object] = {"kind": kind.value, "text": text}
    if bundle is not None:
        run_id, digest = identity(bundle)
        fields |= {"run_id": run_id, "statement_sha256": digest}
    typer.echo(_line(ledgers.append(folder, key, lambda found: ledgers.blank(**fields))))
    return 0


@app.command(epilog="Example: compliancectl ledger proof ledger --run 20261101T020000Z-0a1b2c3d -o run.tlog-proof")
def proof(
    folder: Folder,
    run: Annotated[str, typer.Option(help="Id of a sealed run.", metavar="ID")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; must be new.", metavar="FILE")],
) -> int:
    """Write a proof that a run is in the ledger, which can be checked without the ledger."""
    from compliancectl import disk
    from compliancectl import ledger as ledgers

    data = ledgers.prove(ledgers.read(folder), run)
    with disk.output_errors(output), output.open("xb") as stream:
        stream.write(data)
    typer.echo(output)
    return 0


@app.command(
    "check-proof", epilog="Example: compliancectl ledger check-proof run.tlog-proof bundle.zip --key verifier.txt"
)
def check_proof(
    file: Annotated[Path, typer.Argument(help="Proof that `ledger proof` wrote.")],
    bundle: Annotated[Path, typer.Argument(help="The bundle that it must be about: folder or ZIP.")],
    key: Verifier,
) -> int:
    """Check that a bundle is in the ledger, without the ledger. Exit code 4 if it is not shown."""
    from compliancectl import ledger as ledgers

    entry, checkpoint = ledgers.check_proof(file, _key(key))
    _entry_of(bundle, (entry,), f"the proof {file}")
    typer.echo(f"● {bundle}: entry {entry.sequence} of {checkpoint.size} in {checkpoint.origin}, run {entry.run_id}")
    return 0


@app.command(epilog="Example: compliancectl ledger consistency ledger --since kept-checkpoint -o growth.proof")
def consistency(
    folder: Folder,
    since: Annotated[Path, typer.Option(help="A checkpoint that somebody kept.", metavar="FILE")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; must be new.", metavar="FILE")],
) -> int:
    """Write a proof that the ledger was only added to since a checkpoint, which can be checked without the ledger."""
    from compliancectl import disk
    from compliancectl import ledger as ledgers

    try:
        old = since.read_bytes()
    except OSError as error:
        raise FileError(f"it cannot be read: {error.strerror}", file=since, hint="Check the path.") from error
    data = ledgers.prove_growth(ledgers.read(folder), old)
    with disk.output_errors(output), output.open("xb") as stream:
        stream.write(data)
    typer.echo(output)
    return 0


@app.command(
    "check-consistency",
    epilog="Example: compliancectl ledger check-consistency growth.proof --since kept-checkpoint --key verifier.txt",
)
def check_consistency(
    file: Annotated[Path, typer.Argument(help="Proof that `ledger consistency` wrote.")],
    since: Annotated[Path, typer.Option(help="The checkpoint that you kept.", metavar="FILE")],
    key: Verifier,
) -> int:
    """Check that a ledger was only added to since a checkpoint, without the ledger. Exit code 4 if it is not shown."""
    from compliancectl import ledger as ledgers

    before, now = ledgers.check_growth(file, since, _key(key))
    typer.echo(f"● {now.origin}: {before.size} entries then, {now.size} now, and none of the first was changed")
    return 0


@app.command(
    epilog="Example: compliancectl ledger coverage ledger --from 2026-07-01 --to 2026-10-01 --key verifier.txt"
)
def coverage(
    folder: Folder,
    key: Verifier,
    start: Annotated[str, typer.Option("--from", help="First instant of the period.", metavar="INSTANT")],
    end: Annotated[str, typer.Option("--to", help="First instant after it.", metavar="INSTANT")],
    every: Annotated[Every, typer.Option(help="How often a run is due.")] = Every.daily,
    format: OutputFormat = Format.text,
) -> int:
    """Show what was due, opened, sealed, dropped and late in a period, gaps between observations, and changes.

    Exit code 0: a complete run was sealed in time in every span, none was dropped, and no time is unobserved. 3: else.
    """
    from compliancectl import ledger as ledgers
    from compliancectl.coverage import coverage as cover

    begin, until = _instant("--from", start), _instant("--to", end)
    if until <= begin:
        raise UsageError("the period ends before it begins", hint="--from is the earlier one.")
    ledger, _ = ledgers.check(folder, _key(key))
    found = cover(ledger.entries, begin, until, every.value)
    if format is Format.json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _show(found)
    return found.exit_code


def _show(found: Coverage) -> None:
    out = console.out()
    covered = [slot for slot in found.slots if slot.covered]
    opened, sealed, late = (sum(getattr(s, name) for s in found.slots) for name in ("opened", "sealed", "late"))
    out.print(f"{len(covered)} of {len(found.slots)} {found.cadence} spans have a complete run, sealed in time")
    out.print(f"{opened} runs opened, {sealed} sealed in time, {late} late, {len(found.dropped)} dropped")
    for slot in found.slots:
        if not slot.covered:
            counts = f"{slot.opened} opened, {slot.sealed} sealed in time, {slot.late} late"
            said = counts if slot.opened or slot.sealed or slot.late else "no run was opened"
            out.print(f"  [yellow]○[/yellow] {_span(slot.start, slot.end)}: {said}")
    for title, entries in (("dropped: opened, never sealed", found.dropped), ("partial", found.partial)):
        for entry in entries:
            out.print(f"  [yellow]○ {title}[/yellow] {console.safe(_line(entry))}")
    for gap in found.gaps:
        out.print(f"  [yellow]○ not observed by any run[/yellow] {_span(gap.start, gap.end)}")
    for change in found.changes:
        out.print(f"  changed: {console.safe(change)}")
    if found.exit_code == 0:
        out.print("\n[green]● covered[/green]: nothing was due that is not there, and nothing was dropped.")
    else:
        out.print(
            "\n[yellow]○ not covered[/yellow]: ask the owner of the ledger about each line above that begins with ○."
        )


def _span(start: datetime, end: datetime) -> str:
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _line(entry: Entry) -> str:
    wire = entry.to_json()
    said = (wire.get(name) for name in ("run_id", "status", "outcome", "text"))
    closes = f"of entry {entry.opens}" if entry.opens is not None else ""
    return "  ".join(str(part) for part in (f"{entry.sequence:>5}", wire["at"], entry.kind, closes, *said) if part)


def _key(text: str) -> str:
    """A verifier key, from the argument or from the file that it names."""
    if "+" in text:
        return text
    try:
        return Path(text).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError("the verifier key cannot be read", file=text, hint="`ledger new` prints it.") from error


def _instant(option: str, text: str) -> datetime:
    from compliancectl import clock

    try:
        return clock.parse(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is no instant", hint="Write 2026-07-01, or 2026-07-01T00:00:00Z."
        ) from None


def _entry_of(bundle: Path, entries: Sequence[Entry], where: str) -> Entry:
    """The entry that seals this very bundle.

    Raises:
        VerifyError: if there is none.
    """
    run_id, digest = identity(bundle)
    found = next((e for e in entries if e.kind == "seal" and e.statement_sha256 == digest), None)
    if found is None:
        other = any(entry.run_id == run_id for entry in entries if entry.kind == "seal")
        why = f"its run {run_id} was sealed with another statement" if other else f"its run {run_id} has no seal there"
        raise VerifyError(f"the bundle is not in {where}: {why}", step=0, file=bundle)
    return found
