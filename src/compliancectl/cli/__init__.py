"""The command line: the only code that prints, reads the time to judge, or exits."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext


def main() -> None:
    """Entry point of `compliancectl`. The overview and the version answer without importing any library."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without these characters must not end the run
    arguments = sys.argv[1:]
    if arguments in ([], ["--help"], ["-h"], ["help"]):
        from compliancectl.cli.registry import overview

        sys.stdout.write(overview())
        return
    if arguments == ["--version"]:
        from compliancectl import __version__

        sys.stdout.write(f"compliancectl {__version__}\n")
        return
    import gc
    import os

    # Plugins of pydantic would have a say in what our files mean; and to look for them, everything that is installed is read.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with _hashing(arguments):
        from compliancectl.cli.app import run

        # Nearly all that a command makes stays until its end; looking for garbage after every 700 objects costs a tenth of the time.
        gc.set_threshold(50_000, 20, 20)
        code = run(arguments)
        # At its end Python looks for garbage among all that is left, several times over, although the memory goes anyway.
        # Where DuckDB was at work it has to: its bindings complain of every object that nobody took away.
        if "duckdb" not in sys.modules:
            gc.freeze()
        sys.exit(code)


def _hashing(arguments: list[str]) -> AbstractContextManager[None]:
    """For `verify`, a second process that hashes the bundle while this one still loads libraries."""
    if arguments[0] != "verify":
        return nullcontext()
    from compliancectl.seal import ahead

    return ahead.begun(arguments[1:])
