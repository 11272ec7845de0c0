"""What is installed: collectors and control folders, found through entry points.

Our own collectors and controls come through the same door as anyone else's. Installed is not enabled: a collector
is imported only when the scope names it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

from compliancectl.collectors.base import Collector
from compliancectl.errors import UsageError
from compliancectl.load.problems import nearest
from compliancectl.model.evidence import CollectorUse
from compliancectl.model.table import Table

COLLECTORS = "compliancectl.collectors"
CONTROLS = "compliancectl.controls"


def _entries(group: str) -> EntryPoints:
    """What is installed of a group, on the path as it is now."""
    return _entries_on(tuple(sys.path), group)


@cache
def _entries_on(path: tuple[str, ...], group: str) -> EntryPoints:
    """Asking means reading the metadata of every distribution, so it is done once for each path."""
    return entry_points(group=group)


@dataclass(frozen=True)
class Installed:
    """A collector and the distribution it came from."""

    collector: Collector[Any, Any]
    use: CollectorUse


def collector_names() -> tuple[str, ...]:
    """Names of all installed collectors, sorted; imports none of them."""
    return tuple(sorted({entry.name for entry in _entries(COLLECTORS)}))


def collector(name: str) -> Installed:
    """Import one collector.

    Raises:
        UsageError: if none of that name is installed, or it cannot be imported.
    """
    entry = next((e for e in _entries(COLLECTORS) if e.name == name), None)
    if entry is None:
        raise UsageError(f"no collector is called {name!r}", hint=_suggest(name, collector_names()))
    try:
        loaded = entry.load()
    except ImportError as error:
        raise UsageError(
            f"the collector {name!r} cannot be imported: {error}",
            hint=f"Reinstall {_distribution(entry)[0]}, or take {name!r} out of the scope file.",
        ) from None
    distribution, version = _distribution(entry)
    return Installed(loaded, CollectorUse(name=name, distribution=distribution, version=version))


def all_tables() -> dict[str, Table]:
    """Every table that the installed collectors declare, by name: what a control may read."""
    tables = [table for name in collector_names() for table in collector(name).collector.tables]
    return {table.name: table for table in sorted(tables, key=lambda t: t.name)}


def control_folders() -> tuple[Path, ...]:
    """Folders of control files that installed distributions ship, sorted by distribution name."""
    entries = sorted(_entries(CONTROLS), key=lambda e: e.name)
    return tuple(entry.load()() for entry in entries)


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")


def _suggest(name: str, known: tuple[str, ...]) -> str:
    close = nearest(name, known)
    listing = ", ".join(known)
    return f"Did you mean {close!r}? Installed: {listing}." if close else f"Installed: {listing}."
