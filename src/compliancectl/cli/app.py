"""Finds the command, runs it, and turns every way it can end into one message and one exit code.

0 no deviations · 1 deviations · 2 usage or a bad file · 3 inconclusive · 4 does not verify · 70 our bug ·
130 interrupted. If several apply the highest counts: *could not look* never looks better than *looked and found*.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.cli.registry import COMMANDS
from compliancectl.disk import AGAIN, FULL
from compliancectl.errors import Error, OutputError

if TYPE_CHECKING:
    import typer
    from typer.models import CommandInfo

BUG = 70
INTERRUPTED = 130
_COMPLETION = ("--install-completion", "--show-completion")


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code."""
    name = arguments[0]
    if name in _COMPLETION or "_COMPLIANCECTL_COMPLETE" in os.environ:
        return _invoke(_everything, arguments)
    if name not in COMMANDS:
        return _unknown(name)
    return _invoke(lambda: _single(name), arguments)


def _single(name: str) -> typer.Typer:
    """An application with the one command that was asked for (and no other module imported)."""
    import typer

    command = COMMANDS[name]
    part: typer.Typer = importlib.import_module(f"compliancectl.cli.{command.module}").app
    app = typer.Typer(name="compliancectl", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(lambda: None)
    own = _commands(part, name)
    if own:
        app.registered_commands = own
    else:
        app.add_typer(part, name=name, help=command.summary)
    return app


def _commands(part: typer.Typer, name: str) -> list[CommandInfo]:
    """The command itself, when the module holds it directly; none when it is a group."""
    return [
        c
        for c in part.registered_commands
        if (c.name or getattr(c.callback, "__name__", None)) == name and not part.registered_callback
    ]


def _everything() -> typer.Typer:
    """The whole application; for shell completion."""
    import typer

    app = typer.Typer(name="compliancectl", pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(lambda: None)
    for command in COMMANDS.values():
        part: typer.Typer = importlib.import_module(f"compliancectl.cli.{command.module}").app
        own = _commands(part, command.name)
        if own:
            app.registered_commands += own
        else:
            app.add_typer(part, name=command.name, help=command.summary)
    return app


def _invoke(make: Callable[[], typer.Typer], arguments: list[str]) -> int:
    import typer

    try:
        result = make()(args=arguments, standalone_mode=False, prog_name="compliancectl")
        if result == INTERRUPTED:  # what typer makes of Ctrl-C inside a command
            return _interrupted(arguments[0])
        return result if isinstance(result, int) else 0
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(arguments[0])
    except Error as error:
        return _say(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader (head, less) went away
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            # Where only our results are written, the stage says so itself; this is a temporary folder, or stdout.
            return _say(OutputError(f"there is no room left to write: {error}", hint=AGAIN))
        return _usage(error) if hasattr(error, "format_message") else _bug(error)


def _usage(error: Exception) -> int:
    """A mistake in the arguments, as the argument parser words it."""
    message = getattr(error, "format_message")()  # noqa: B009 - click's exceptions are vendored; match by behaviour
    context = getattr(error, "ctx", None)
    where = f" Try `{context.command_path} --help`." if context is not None else ""
    sys.stderr.write(f"error: {message}{where}\n")
    return 2


def _unknown(name: str) -> int:
    from compliancectl.load.problems import nearest

    close = nearest(name, COMMANDS)
    hint = f" Did you mean {close!r}?" if close else ""
    sys.stderr.write(f"error: no command is called {name!r}.{hint} `compliancectl --help` lists them.\n")
    return 2


def _say(error: Error) -> int:
    """One message and one hint, readable without colour; returns the exit code."""
    from compliancectl.cli.console import printable

    sys.stderr.write(f"error: {printable(str(error))}\n")
    if error.hint:
        sys.stderr.write(f"\nhint: {printable(error.hint)}\n")
    return error.exit_code


_KEPT = {
    "collect": "whole evidence items are kept; go on with --resume",
    "run": "whole evidence items are kept; go on with --resume",
    "period": "nothing was judged; what was copied from a bucket is kept",
    "notify": "an issue at GitHub may have been written; run it again, and it is brought up to date",
}
"""What an interrupted command leaves behind, when it is not nothing."""


def _interrupted(name: str) -> int:
    sys.stderr.write(f"\ninterrupted; {_KEPT.get(name, 'nothing was written')}\n")
    sys.stderr.flush()
    sys.stdout.flush()
    return INTERRUPTED


def _bug(error: Exception) -> int:
    """An error that nobody foresaw: say so, without pouring a traceback over the user."""
    import traceback

    if os.environ.get("COMPLIANCECTL_DEBUG"):
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(
        f"internal error: {type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})\n"
        "\nhint: This is a bug in compliancectl. Set COMPLIANCECTL_DEBUG=1 for the traceback, and report it.\n"
    )
    return BUG
