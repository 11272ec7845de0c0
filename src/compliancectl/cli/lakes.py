"""`tables`: lay the tables of sealed runs out on object storage, where every engine reads them in place."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from compliancectl.cli import console
from compliancectl.cli.checked import SignerKey, TrustFile
from compliancectl.cli.options import Format, OutputFormat
from compliancectl.depot.places import open_place
from compliancectl.errors import UsageError
from compliancectl.numbers import counted

app = typer.Typer(no_args_is_help=True)

Where = Annotated[
    str, typer.Argument(help="Where tables lie: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.", metavar="PLACE")
]


@app.callback()
def tables() -> None:
    """Lay the tables of sealed runs out on object storage: Parquet by source, table and run, the replies beside them.

    What the rows say is sealed, not how they are cut into files: who likes may compact them. `evaluate --tables PLACE`
    judges from there, and `verify --tables PLACE` holds them to what was sealed.
    """


@app.command(epilog="Example: compliancectl tables publish bundle.zip gs://larkspur-lake/prod --key signer.pub.pem")
def publish(
    bundle: Annotated[Path, typer.Argument(help="Sealed bundle: folder or ZIP.", metavar="BUNDLE")],
    place: Where,
    key: SignerKey = None,
    trust: TrustFile = None,
) -> int:
    """Verify a bundle, then lay its tables, its replies and the rest of it out.

    Nothing is overwritten. What broke off goes on with the same command; a run that is there already is left as it is, also if
    its files were compacted since.
    """
    from compliancectl.cli.verification import check_first
    from compliancectl.lake.publish import publish as lay_out
    from compliancectl.replay import unpack
    from compliancectl.seal import archive

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    check_first(bundle, key, trust)
    where = open_place(place)
    with tempfile.TemporaryDirectory(prefix="compliancectl-publish-") as folder:
        with console.step("reading the bundle"):
            unpack(bundle, Path(folder))
        with console.step("laying the tables out"), archive.opened(bundle) as sealed:
            found = lay_out(where, sealed, Path(folder))
    rows = sum(table.rows for table in found.record.tables.values())
    said = f"{found.record.run_id}  {counted(len(found.record.tables), 'table')}, {rows:,} rows"
    typer.echo(console.printable(said + ("" if found.new else "  (was there already)")))
    return 0


@app.command("list", epilog="Example: compliancectl tables list gs://larkspur-lake/prod")
def list_(place: Where, format: OutputFormat = Format.text) -> int:
    """List the runs whose tables are there whole."""
    from compliancectl import clock
    from compliancectl.lake.fetch import runs

    found = list(runs(open_place(place, read_only=True, filled=True)))
    if format is Format.json:
        typer.echo(json.dumps([run.to_json() for run in found], indent=2, ensure_ascii=False))
        return 0
    for run in found:
        rows = sum(table.rows for table in run.tables.values())
        about = f"{clock.text(run.finished_at)}  {counted(len(run.tables), 'table')}, {rows:,} rows"
        typer.echo(console.printable(f"{run.run_id}  {about}"))
    return 0


@app.command(epilog="Example: compliancectl tables get gs://larkspur-lake/prod larkspur-20261101T020000Z -o again")
def get(
    place: Where,
    name: Annotated[str, typer.Argument(help="Run id; with the start of its seal, if it has several.", metavar="RUN")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; must be new.", metavar="DIR")],
) -> int:
    """Get a run without its tables and replies: `bundle`, to verify, and `run`, to judge by other controls.

    Both need --tables PLACE then: `verify DIR/bundle --tables PLACE`, `evaluate DIR/run --tables PLACE`.
    """
    from compliancectl import disk
    from compliancectl.errors import OutputError
    from compliancectl.lake.fetch import fetch
    from compliancectl.seal import staging

    where = open_place(place, read_only=True, filled=True)
    disk.refuse_sealed(output)
    if output.exists():
        raise OutputError(
            "something else is here already", file=output, hint="Choose a folder that does not exist yet."
        )
    with console.step("reading the run"), staging.staged(output) as work:
        fetch(where, name, work)
        with disk.output_errors(output):
            staging.publish(work, output)
    typer.echo(output)
    return 0
