"""`export`: a bundle in other people's formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compliancectl.cli import checked, console
from compliancectl.cli.checked import BundlePath, SignerKey, TrustFile
from compliancectl.cli.events import LedgerFolder, LedgerKey, enter
from compliancectl.export import KINDS

app = typer.Typer()


@app.command(epilog="Example: compliancectl export sarif bundles/today.zip -o compliancectl.sarif")
def export(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.", metavar="KIND")],
    bundle: BundlePath,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write; for `csv` a folder, which must be new.", metavar="PATH"),
    ],
    key: SignerKey = None,
    trust: TrustFile = None,
    ledger: LedgerFolder = None,
    ledger_key: LedgerKey = None,
) -> int:
    """Write a bundle as JUnit, CSV, XLSX, SARIF, OSCAL or OCSF, for other tools to read.

    The bundle is verified first; nothing is written from one that does not verify (exit code 4). The same bundle gives
    the same bytes. SARIF, OSCAL and JUnit name what is not true; CSV, XLSX and OCSF hold every item. With --ledger the export is entered.
    """
    from compliancectl.export import export as write
    from compliancectl.export import find

    find(kind)
    checked.check(bundle, key, trust)
    enter(ledger, ledger_key, "export", bundle, f"{kind} to {output.name}")
    with console.step(f"writing {kind}"):
        write(kind, bundle, output)
    typer.echo(output)
    return 0
