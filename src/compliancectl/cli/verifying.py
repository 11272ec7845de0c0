"""`verify`: a module of its own, so that nothing is loaded that only the other stages need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compliancectl.cli.options import Format, OutputFormat

app = typer.Typer()


@app.command(epilog="Example: compliancectl verify bundle.zip --key signer.pub.pem")
def verify(
    bundle: Annotated[Path, typer.Argument(help="Bundle: folder or ZIP; or a folder that holds many.")],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", help="Public key of the signer, obtained from them, not from the bundle.", metavar="FILE"
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust", help="Trust policy (YAML): whose keys count, and what a bundle must be.", metavar="FILE"
        ),
    ] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="Accept that files are missing: a sample of a bundle.")
    ] = False,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", help="The ledger that the trust policy names, to find the bundle in.", metavar="DIR"),
    ] = None,
    proof: Annotated[
        Path | None, typer.Option("--proof", help="A proof from that ledger, instead of it.", metavar="FILE")
    ] = None,
    enter: Annotated[
        Path | None,
        typer.Option("--enter", help="Enter in --ledger, with this private key of it, what came out.", metavar="FILE"),
    ] = None,
    format: OutputFormat = Format.text,
) -> int:
    """Check a bundle step by step, offline, with no configuration.

    A trust policy is your own file; nothing inside a bundle is believed about whom to trust. For example:

    \b
    version: 1
    keys: [{key_file: larkspur-ci.pub.pem, name: Larkspur CI, valid_until: "2027-01-01T00:00:00Z"}]
    identities: [{name: Nightly, issuer: "https://…", identity: "https://…", trusted_root_file: trusted_root.json}]
    ledger: {key_file: larkspur-ledger.txt, latest: true}
    require: {organization: "Larkspur Learning, Inc.", complete: true, max_age_days: 35}

    A folder that holds many bundles, such as a period's, is verified bundle by bundle; with the ledger in its folder
    `ledger`, or given by --ledger, the runs that are missing are named too.

    Exit code 0: everything holds and the signer is one you trust. 4: something does not verify. 3: what is there holds,
    but files are missing, you named nobody to trust, or an identity cannot be checked here.
    """  # noqa: D301 - the \\b keeps click from filling the example's lines
    from compliancectl.cli.verification import run_verify
    from compliancectl.entered import Book
    from compliancectl.errors import UsageError

    if enter is not None and ledger is None:
        raise UsageError("there is no ledger to enter it in", hint="Give --ledger.")
    return run_verify(
        bundle, key, trust, subset=subset, as_json=format is Format.json, book=Book(ledger, proof), entry_key=enter
    )
