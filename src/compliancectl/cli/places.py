"""Where bundles are, as an argument names it: a folder, or a bucket that is copied into one first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from compliancectl.errors import NotReadyError, UsageError

if TYPE_CHECKING:
    from compliancectl.model.period import LedgerEntry, Verdict

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


def bundles_of(where: str, since: datetime, cache: Path | None) -> Bundles:
    """The bundles of a folder, or of a bucket that are not older than `since`.

    Raises:
        UsageError: there is no such place, or no bundle in it.
        CollectError: the bucket cannot be read.
        NotReadyError: none of its bundles can.
    """
    from compliancectl.depot import gcs

    found = _bucket(where, since, cache) if where.startswith(gcs.SCHEME) else _folder(where, since, cache)
    if not found.paths and not found.refused:
        raise UsageError(f"there is no bundle below {where}", hint="Name the folder that holds the bundles.")
    if not found.paths:
        said = "; ".join(f"{entry.bundle}: {entry.problem}" for entry in found.refused[:3])
        raise NotReadyError(f"no bundle below {where} could be read: {said}", hint="Look at the first of them.")
    return found


def _folder(where: str, since: datetime, cache: Path | None) -> Bundles:
    from compliancectl.depot.local import gone
    from compliancectl.period.capture import bundles

    folder = Path(where)
    if "://" in where:
        raise UsageError(f"{where} cannot be read", hint="Name a folder, or gs://BUCKET/PREFIX.")
    if cache is not None:
        raise UsageError("--cache is for a bucket, and this is a folder", hint="Leave it out.")
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Name the folder that holds the bundles.")
    return Bundles(folder, tuple(bundles(folder)), tuple(_entries(gone(folder, since - MARGIN), "not read")))


def _bucket(where: str, since: datetime, cache: Path | None) -> Bundles:
    from compliancectl import disk
    from compliancectl.cli import console
    from compliancectl.depot import gcs
    from compliancectl.depot.mirror import mirror
    from compliancectl.numbers import counted
    from compliancectl.period.kind import is_packed

    bucket, prefix = gcs.address(where)
    folder = cache or kept("gs") / bucket / prefix
    disk.refuse_sealed(folder)
    place = gcs.GcsPlace(bucket, prefix, lock=False, read_only=True)
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
