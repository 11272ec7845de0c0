"""`init`: write a commented scope file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(epilog="Example: compliancectl init && $EDITOR compliancectl.yaml && compliancectl doctor")
def init(
    file: Annotated[Path, typer.Argument(help="File to write; an existing one is left alone.")] = Path(
        "compliancectl.yaml"
    ),
) -> int:
    """Write a commented scope file to begin with."""
    from compliancectl import disk
    from compliancectl.errors import OutputError

    if file.exists():
        raise OutputError("there is a scope file already", file=file, hint="Name another file, or edit this one.")
    template = resources.files("compliancectl.cli").joinpath("scope_template.yaml").read_bytes()
    with disk.output_errors(file):
        disk.write_whole(file, template)
    typer.echo(file)
    typer.echo("Next: fill it in, then `compliancectl doctor`.", err=True)
    return 0
