"""`keys new`: make the key that seals bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def keys() -> None:
    """Make a signing key."""


@app.command(epilog="Example: compliancectl keys new ~/.config/compliancectl/sealing")
def new(
    name: Annotated[Path, typer.Argument(help="Path without ending: writes NAME.pem and NAME.pub.pem.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing key.")] = False,
) -> int:
    """Make an ECDSA P-256 key pair. Set COMPLIANCECTL_KEY_PASSPHRASE to encrypt the private half."""
    from compliancectl.seal.keys import new_key

    made = new_key(name, force=force)
    typer.echo(f"private key  {made.private}  (keep it; {'encrypted' if made.encrypted else 'not encrypted'})")
    typer.echo(f"public key   {made.public}  (give it to whoever verifies, by another way than the bundle)")
    typer.echo(f"key id       {made.key_id}")
    return 0
