"""Where a whole text goes: to standard output, or into a file that is asked for."""

from __future__ import annotations

from pathlib import Path

import typer


def give(text: str, output: Path | None) -> int:
    """Print a text, or write it to a file and print its path; returns the exit code, 0.

    Raises:
        OutputError: if the file cannot be written, or would break a seal.
    """
    from compliancectl import disk
    from compliancectl.export import new_file

    if output is None:
        typer.echo(text, nl=False)
        return 0
    disk.refuse_sealed(output)
    with new_file(output) as stream:
        stream.write(text.encode())
    typer.echo(output)
    return 0
