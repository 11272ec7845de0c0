"""`store`: keep bundles for years, on disk or in a bucket: never overwritten, held, and purged with a tombstone."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import console, journal, pipeline
from compliancectl.cli.checked import SignerKey, TrustFile
from compliancectl.cli.events import LedgerFolder, LedgerKey
from compliancectl.cli.options import Format, OutputFormat
from compliancectl.depot.places import open_place
from compliancectl.errors import UsageError
from compliancectl.numbers import counted

if TYPE_CHECKING:
    from compliancectl.depot import Entry, Place
    from compliancectl.model.depot import Hold, Kept

app = typer.Typer(no_args_is_help=True)

SEVEN_YEARS = 2557
Where = Annotated[
    str, typer.Argument(help="The store: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.", metavar="STORE")
]
Name = Annotated[str, typer.Argument(help="Run id, or the start of the name that `store list` shows.", metavar="NAME")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept.", metavar="TEXT")]


@app.callback()
def store() -> None:
    """Keep bundles for years: in a folder, or in a bucket of Cloud Storage (gs://…) or S3 (s3://…).

    Nothing is overwritten. A bundle is kept until its time, and longer while somebody holds it; what is purged leaves a
    tombstone with its digests. In a bucket with object retention, --lock has the service itself refuse earlier deletion.
    """


@app.command(
    epilog="Example: compliancectl store put gs://larkspur-evidence/prod bundle.zip --key signer.pub.pem --lock"
)
def put(
    place: Where,
    bundle: Annotated[Path, typer.Argument(help="Sealed bundle: folder or ZIP.", metavar="BUNDLE")],
    key: SignerKey = None,
    trust: TrustFile = None,
    days: Annotated[
        int, typer.Option("--retain-days", help="Keep it at least so long; seven years.", min=1, metavar="N")
    ] = SEVEN_YEARS,
    lock: Annotated[
        bool, typer.Option("--lock", help="Have the bucket lock it until then; this cannot be undone.")
    ] = False,
) -> int:
    """Verify a bundle, then store it. The same bundle again changes nothing; another one in its name is refused."""
    from compliancectl import depot
    from compliancectl.cli.verification import check_first

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    check_first(bundle, key, trust)
    where = open_place(place, lock=lock)
    with ExitStack() as stack:
        file = bundle if bundle.is_file() else _packed(bundle, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        kept = _record(file, days)
        with console.step("storing the bundle"):
            new = depot.put(where, file, kept)
    typer.echo(f"{kept.run_id}-{kept.statement_sha256[:12]}" + ("" if new else "  (was there already)"))
    return 0


@app.command("list", epilog="Example: compliancectl store list gs://larkspur-evidence/prod")
def list_(place: Where, format: OutputFormat = Format.text) -> int:
    """List what is kept, until when, what is held, and what was purged."""
    from compliancectl import clock, depot

    now = clock.now()
    found = list(depot.entries(open_place(place, filled=True)))
    if format is Format.json:
        typer.echo(json.dumps([_json(entry) for entry in found], indent=2, ensure_ascii=False))
        return 0
    for entry in found:
        why = entry.may_go(now)
        typer.echo(console.printable(f"{entry.folder}  {why or 'may be purged'}"))
    return 0


@app.command(epilog="Example: compliancectl store get gs://larkspur-evidence/prod 20261101T020000Z -o bundle.zip")
def get(
    place: Where,
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="ZIP to write; must be new.", metavar="FILE")],
) -> int:
    """Copy a bundle out of the store, and hold it against its record."""
    from compliancectl import depot, disk
    from compliancectl.errors import OutputError
    from compliancectl.seal import staging

    where = open_place(place, filled=True)
    entry = depot.find(where, name)
    disk.refuse_sealed(output)
    if output.exists():
        raise OutputError("a file is here already, and is never overwritten", file=output, hint="Choose another name.")
    with console.step("reading the bundle"), staging.staged(output) as work:
        with disk.output_errors(output), (work / "archive").open("wb") as stream:
            depot.get(where, entry, stream)
        with disk.output_errors(output):
            staging.publish_file(work / "archive", output)
    typer.echo(output)
    return 0


@app.command(epilog="Example: compliancectl store hold evidence-store 20261101T020000Z --reason 'case 2027-4'")
def hold(place: Where, name: Name, reason: Reason) -> int:
    """Keep a bundle beyond its time: a legal hold."""
    from compliancectl import depot

    where = open_place(place, filled=True)
    entry = depot.find(where, name)
    depot.hold(where, entry, _event(reason))
    typer.echo(f"{entry.folder}  held: {console.printable(reason)}")
    return 0


@app.command(epilog="Example: compliancectl store release evidence-store 20261101T020000Z --reason 'case 2027-4'")
def release(place: Where, name: Name, reason: Reason) -> int:
    """End the hold that was made for a reason."""
    from compliancectl import depot

    where = open_place(place, filled=True)
    entry = depot.find(where, name)
    depot.release(where, entry, _event(reason))
    typer.echo(f"{entry.folder}  released: {console.printable(reason)}")
    return 0


@app.command(
    epilog="Example: compliancectl store purge gs://larkspur-evidence/prod --reason 'retention of 7 years ended'"
)
def purge(
    place: Where,
    reason: Reason,
    name: Annotated[
        list[str] | None, typer.Option("--only", help="Only this bundle; may be repeated.", metavar="NAME")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    ledger: LedgerFolder = None,
    ledger_key: LedgerKey = None,
) -> int:
    """Delete bundles whose time is over and that nobody holds; each leaves a tombstone, and an entry in --ledger.

    Exit code 2 if a bundle that --only names may not go.
    """
    from compliancectl import clock, depot

    where, now = open_place(place, filled=True), clock.now()
    found = [depot.find(where, one) for one in name] if name else list(depot.entries(where))
    gone = 0
    for entry in found:
        if entry.may_go(now) is not None and not name:
            continue
        if not dry_run:
            _purge(where, entry, reason, ledger, ledger_key)
        gone += 1
        typer.echo(f"{entry.folder}  {'would be purged' if dry_run else 'purged'}")
    typer.echo(f"{counted(gone, 'bundle')} {'would be ' if dry_run else ''}purged, {len(found) - gone} left", err=True)
    return 0


def _purge(where: Place, entry: Entry, reason: str, ledger: Path | None, ledger_key: Path | None) -> None:
    from compliancectl import clock, depot
    from compliancectl import ledger as ledgers
    from compliancectl.model.depot import Tombstone

    now, by = clock.now(), pipeline.operator().id
    if why := entry.may_go(now):
        raise UsageError(f"{entry.folder} is not purged: {why}", hint="A hold is ended with `store release`.")
    assert entry.kept is not None
    digests = {"run_id": entry.kept.run_id, "statement_sha256": entry.kept.statement_sha256}
    book = journal.journal(ledger, ledger_key)
    if book is not None:
        fields = {"kind": "purge", "text": reason, **digests}
        ledgers.append(book.folder, book.key, lambda found: ledgers.blank(**fields))
    stone = Tombstone(**digests, archive_sha256=entry.kept.archive_sha256, at=now, by=by, reason=reason)
    depot.purge(where, entry, stone)


def _record(file: Path, days: int) -> Kept:
    from compliancectl import canonical, clock
    from compliancectl.model.depot import Kept
    from compliancectl.seal import archive, container, statement

    member = "seal/statement.json"
    with archive.Archive(file) as members:
        data = container.read(members, member, limit=16 * 1024**2)
    run, now = statement.parse(data, member=member).predicate.run, clock.now()
    return Kept(
        run_id=run.id,
        organization=run.organization,
        system=run.system,
        environment=run.environment,
        statement_sha256=canonical.sha256(data),
        archive_sha256=canonical.sha256_file(file),
        bytes=file.stat().st_size,
        stored_at=now,
        stored_by=pipeline.operator().id,
        retain_until=now + timedelta(days=days),
    )


def _packed(bundle: Path, scratch: Path) -> Path:
    """The folder as the same ZIP that bundling would write."""
    from compliancectl.seal import archive, container, statement

    with container.Folder(bundle) as members, (scratch / "bundle.zip").open("wb") as stream:
        data = container.read(members, "seal/statement.json", limit=16 * 1024**2)
        archive.write(members, statement.parse(data, member="seal/statement.json").predicate.bundle.id, stream)
    return scratch / "bundle.zip"


def _event(reason: str) -> Hold:
    from compliancectl import clock
    from compliancectl.model.depot import Hold

    if not reason.strip():
        raise UsageError("the reason is empty", hint="Say why: it is kept with the bundle.")
    return Hold(at=clock.now(), by=pipeline.operator().id, reason=reason)


def _json(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.folder,
        "record": entry.kept.to_json() if entry.kept else None,
        "holds": [held.to_json() for held in entry.holds],
        "tombstone": entry.tombstone.to_json() if entry.tombstone else None,
    }
