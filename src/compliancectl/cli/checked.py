"""A bundle must verify before anything is made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compliancectl.cli import console
from compliancectl.errors import UsageError

BundlePath = Annotated[Path, typer.Argument(help="Sealed bundle: folder or ZIP.", metavar="BUNDLE")]
SignerKey = Annotated[
    Path | None,
    typer.Option("--key", help="Public key of the signer, obtained from them, not from the bundle.", metavar="FILE"),
]
TrustFile = Annotated[
    Path | None, typer.Option("--trust", help="Trust policy (YAML) instead of one key.", metavar="FILE")
]


def check(bundle: Path, key: Path | None, policy: Path | None) -> None:
    """Verify a bundle or a period package; say on stderr if nobody said whose signature to accept.

    Raises:
        UsageError: there is nothing at `bundle`.
        VerifyError: the first step that fails.
    """
    from compliancectl.period.check import verify_package
    from compliancectl.period.kind import is_package
    from compliancectl.seal import trust
    from compliancectl.verify import verify

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    trusted = trust.load(policy, (key,) if key else ())
    with console.step(f"verifying {bundle}"):
        found = verify_package(bundle, trust=trusted) if is_package(bundle) else verify(bundle, trust=trusted)
    if found.failure is not None:
        raise found.failure.of(bundle)
    if found.signer is None or found.signer.name is None:
        typer.echo("The bundle is unaltered; whose signature it bears was not checked (--key, --trust).", err=True)
    elif found.verdict != "verified":
        left = next((step.message for step in found.steps if step.outcome == "skipped"), "")
        typer.echo(console.printable(f"The bundle is unaltered, but not everything was established. {left}"), err=True)
