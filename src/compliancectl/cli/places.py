"""Where bundles are, as an argument names it: a folder, or a bucket that is copied into one first."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from compliancectl.errors import NotReadyError, UsageError

if TYPE_CHECKING:
    from compliancectl.engines.base import Engine
    from compliancectl.lake.reading import RunTables
    from compliancectl.model.period import LedgerEntry, Verdict
    from compliancectl.model.table import Table

    Reader = tuple[Engine, Mapping[str, Table]]

MARGIN = timedelta(days=1)
"""How far the clocks of a bucket and of a run may be apart."""


@dataclass(frozen=True)
class Bundles:
    """Bundles that can be read, and those that are known of and cannot."""

    folder: Path
    paths: tuple[Path, ...]
    """Below the folder, sorted."""
    refused: tuple[LedgerEntry, ...] = ()


def kept(name: str) -> Path:
    """The cache folder of one purpose (XDG_CACHE_HOME)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compliancectl" / name


@contextmanager
def run_tables(where: str | None, reader: Reader | None = None) -> Iterator[Callable[[str], RunTables] | None]:
    """What gives the tables of a run in a lake, by the run's id; None if no lake is named.

    Copies from a bucket stay in the cache. Those that are made of a folder's files go when this ends.

    Args:
        where: the lake.
        reader: an engine that may read a bucket itself, with the tables as they are declared.
    """
    if where is None:
        yield None
        return
    from compliancectl.depot.places import is_bucket, open_place
    from compliancectl.lake.reading import RunTables

    place = open_place(where, read_only=True)
    if not is_bucket(where) and not Path(where).is_dir():
        raise UsageError(f"{where} is not a folder", hint="Name where `compliancectl tables publish` laid them out.")
    in_place = _reads(reader, where) if is_bucket(where) else None
    with tempfile.TemporaryDirectory(prefix="compliancectl-tables-") as folder:
        scheme, _, rest = where.partition("://")
        copies = kept("tables") / scheme / rest.strip("/") if is_bucket(where) else Path(folder)
        if in_place is not None:
            from compliancectl.lake.in_place import TablesInPlace

            yield lambda run: TablesInPlace(place, where, run, copies, Path(folder), *in_place)
        else:
            yield lambda run: RunTables(place, where, run, copies=copies, scratch=Path(folder))


def _reads(reader: Reader | None, where: str) -> Reader | None:
    """The engine, if it reads such a bucket; says which way the tables go."""
    from compliancectl.cli import console

    if reader is None:
        return None
    name, reads = reader[0].name, reader[0].reads(where)
    way = "reads the tables there, and nothing is copied" if reads else "cannot read that itself: the tables are copied"
    typer.echo(console.printable(f"{where}: {name} {way}"), err=True)
    return reader if reads else None


def bundles_of(where: str, since: datetime, cache: Path | None) -> Bundles:
    """The bundles of a folder, or of a bucket that are not older than `since`.

    Raises:
        UsageError: there is no such place, or no bundle in it.
        CollectError: the bucket cannot be read.
        NotReadyError: none of its bundles can.
    """
    from compliancectl.depot.places import is_bucket

    found = _bucket(where, since, cache) if is_bucket(where) else _folder(where, since, cache)
    if not found.paths and not found.refused:
        raise UsageError(f"there is no bundle below {where}", hint="Name the folder that holds the bundles.")
    if not found.paths:
        said = "; ".join(f"{entry.bundle}: {entry.problem}" for entry in found.refused[:3])
        raise NotReadyError(f"no bundle below {where} could be read: {said}", hint="Look at the first of them.")
    return found


def _folder(where: str, since: datetime, cache: Path | None) -> Bundles:
    from compliancectl.depot.local import gone
    from compliancectl.depot.places import FORMS
    from compliancectl.period.capture import bundles

    folder = Path(where)
    if "://" in where:
        raise UsageError(f"{where} cannot be read", hint=f"Name a folder, {FORMS}.")
    if cache is not None:
        raise UsageError("--cache is for a bucket, and this is a folder", hint="Leave it out.")
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Name the folder that holds the bundles.")
    return Bundles(folder, tuple(bundles(folder)), tuple(_entries(gone(folder, since - MARGIN), "not read")))


def _bucket(where: str, since: datetime, cache: Path | None) -> Bundles:
    from compliancectl import disk
    from compliancectl.cli import console
    from compliancectl.depot.mirror import mirror
    from compliancectl.depot.places import address, open_place
    from compliancectl.numbers import counted
    from compliancectl.period.kind import is_packed

    bucket, prefix = address(where)
    folder = cache or kept(where.partition("://")[0]) / bucket / prefix
    disk.refuse_sealed(folder)
    place = open_place(where, read_only=True)
    with console.step(f"copying the bundles of {where}"):
        found = mirror(place, folder, since - MARGIN)
    paths = tuple(folder / name for name in found.names)
    said = f"{counted(found.fetched, 'bundle')} copied to {folder}, {len(paths) - found.fetched} there already"
    earlier = f"; {found.earlier} not read, stored before {since - MARGIN:%Y-%m-%d}" if found.earlier else ""
    typer.echo(console.printable(said + earlier), err=True)
    refused = (*_entries(found.unread, "not read"), *_entries(found.altered, "does not verify"))
    return Bundles(folder, tuple(path for path in paths if not is_packed(path)), refused)


def _entries(problems: dict[str, str], verdict: Verdict) -> list[LedgerEntry]:
    from compliancectl.model.period import LedgerEntry

    return [LedgerEntry(bundle=name, verdict=verdict, problem=why) for name, why in problems.items()]
