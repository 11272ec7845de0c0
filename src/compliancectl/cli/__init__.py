"""The command line: the only code that prints, reads the time or exits."""

from __future__ import annotations


def main() -> None:
    """Entry point of `compliancectl`."""
    from compliancectl.cli.app import run

    run()
