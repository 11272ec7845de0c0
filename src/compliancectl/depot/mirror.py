"""The bundles of a bucket, copied into a folder: each once, and held against what the service and the depot say of it.

What was copied whole stays, so that a copy that broke off goes on where it was, and the next period costs only what is
new. A bundle that could not be had is named with the reason, and is never just missing.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from compliancectl import canonical, disk
from compliancectl.depot import BUNDLE, RECORD, TOMBSTONE, Place, Stated, why_gone
from compliancectl.errors import CollectError, Denied, Garbage, Missing, Truncated, VerifyError
from compliancectl.model.depot import Kept, Tombstone

_PART = re.compile(r"[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]{0,199}")
_PIECE = 1024**2
M = TypeVar("M", Kept, Tombstone)


@dataclass
class Mirror:
    """What of a bucket is in a folder now."""

    names: list[str] = field(default_factory=list)
    """Bundles that are there whole, below the folder as below the bucket's prefix, sorted."""
    unread: dict[str, str] = field(default_factory=dict)
    """Bundle that could not be had → why."""
    altered: dict[str, str] = field(default_factory=dict)
    """Bundle that is not what the depot's record says → what differs."""
    earlier: int = 0
    """Bundles that were stored before the time that was asked for, and were not looked at."""
    fetched: int = 0
    """Bundles that were copied this time."""


def mirror(place: Place, folder: Path, since: datetime) -> Mirror:
    """Copy every bundle of a bucket that was stored at `since` or later.

    A bundle is any object that is named `….zip`. One that lies as a depot keeps it is held against its record, too; one
    that a record names and that is gone is `unread`, with what its tombstone says.

    Args:
        place: the bucket and the prefix.
        folder: where to; it may hold what was copied before, and nothing else.
        since: what was stored earlier holds nothing later.

    Raises:
        CollectError: the bucket cannot be listed, or a copy broke off.
        VerifyError: a record is not what a depot writes.
        OutputError: there is no room.
    """
    found = Mirror()
    objects = place.objects()
    records = {name: _record(place, folder, name, objects, since) for name in _named(objects, RECORD)}
    for name, record in records.items():
        gone = f"{_folder(name)}{BUNDLE}"
        if record is not None and gone not in objects:
            found.unread[gone] = _why_gone(place, folder, name, objects)
    for name in _loose(objects):
        found.unread[name] = "it lies there unpacked, and a bucket is read bundle by bundle; store it as a ZIP"
    for name in sorted(name for name in objects if name.endswith(".zip")):
        if objects[name].made < since:
            found.earlier += 1
        elif not all(_PART.fullmatch(part) for part in name.split("/")):
            found.unread[name] = "its name cannot be the name of a file"
        else:
            kept = records.get(f"{_folder(name)}{RECORD}") if name.endswith(f"/{BUNDLE}") else None
            _take(place, folder, name, objects[name], kept, found)
    return found


def _folder(name: str) -> str:
    """With the slash at its end; empty for what lies at the top."""
    return name[: name.rfind("/") + 1]


def _named(objects: Mapping[str, Stated], file: str) -> list[str]:
    return sorted(name for name in objects if name.endswith(f"/{file}"))


def _loose(objects: Mapping[str, Stated]) -> Iterator[str]:
    """Folders that hold a bundle's files one by one; an unpacked period package is none."""
    for name in sorted(objects):
        if name.rpartition("/")[2] == "SHA256SUMS" and f"{_folder(name)}period.json" not in objects:
            yield _folder(name) or "."


def _record(place: Place, folder: Path, name: str, objects: Mapping[str, Stated], since: datetime) -> Kept | None:
    """The record of a bundle; None if it is of one that was stored too early to matter."""
    return _parsed(place, folder, name, objects, Kept) if objects[name].made >= since else None


def _why_gone(place: Place, folder: Path, record: str, objects: Mapping[str, Stated]) -> str:
    name = f"{_folder(record)}{TOMBSTONE}"
    return why_gone(_parsed(place, folder, name, objects, Tombstone) if name in objects else None)


def _parsed(place: Place, folder: Path, name: str, objects: Mapping[str, Stated], model: type[M]) -> M:
    if not _is(folder / name, objects[name]):
        _fetch(place, folder, name, objects[name])
    try:
        return model.model_validate_json((folder / name).read_bytes())
    except ValueError as error:
        raise VerifyError(f"{name} is not what the depot writes", step=0, hint="Have it looked at.") from error


def _take(
    place: Place,
    folder: Path,
    name: str,
    stated: Stated,
    kept: Kept | None,
    found: Mirror,
) -> None:
    if not _is(folder / name, stated):
        try:
            _fetch(place, folder, name, stated)
        except (Denied, Missing) as error:
            found.unread[name] = error.message
            return
        found.fetched += 1
    if kept is not None and canonical.sha256_file(folder / name) != kept.archive_sha256:
        found.altered[name] = f"it is not what was stored: its record says SHA-256 {kept.archive_sha256}"
        return
    found.names.append(name)


def copy(place: Place, folder: Path, name: str, stated: Stated) -> Path:
    """One object as a file below `folder`, copied unless it is there already; returns the file.

    Raises:
        CollectError: it is refused or gone, or the copy broke off.
        OutputError: there is no room.
    """
    if not all(_PART.fullmatch(part) for part in name.split("/")):
        raise Garbage(f"{name!r} cannot be the name of a file", hint="Have the object looked at.")
    if not _is(folder / name, stated):
        _fetch(place, folder, name, stated)
    return folder / name


def _is(file: Path, stated: Stated) -> bool:
    """Whether a copy is what the service holds. Of some objects it states no digest; those are copied again."""
    if not file.is_file() or file.is_symlink() or file.stat().st_size != stated.size:
        return False
    if stated.md5 is None:
        note = _note(file)
        return stated.tag is not None and note.is_file() and note.read_text() == _noted(file, stated.tag)
    with file.open("rb") as stream:
        return _base64(hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))) == stated.md5


def _fetch(place: Place, folder: Path, name: str, stated: Stated) -> None:
    """Copy one object whole, or not at all."""
    target = folder / name
    with disk.output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, new = tempfile.mkstemp(prefix=".new-", dir=target.parent)
        try:
            digest, size = hashlib.md5(usedforsecurity=False), 0
            with os.fdopen(handle, "wb") as stream:
                for piece in _pieces(place, name):
                    digest.update(piece)
                    size += len(piece)
                    stream.write(piece)
            if size != stated.size or stated.md5 not in (None, _base64(digest)):
                raise _broken(name, f"{size:,} bytes came of {stated.size:,}, or others than it holds")
            Path(new).replace(target)
            if stated.tag is not None:
                disk.write_whole(_note(target), _noted(target, stated.tag).encode())
        finally:
            Path(new).unlink(missing_ok=True)


def _note(file: Path) -> Path:
    """Beside a copy: which state of the object it is, where the service states nothing that a copy can be held to."""
    return file.with_name(f".{file.name}.tag")


def _noted(file: Path, tag: str) -> str:
    return f"{tag} {canonical.sha256_file(file)}\n"


def _pieces(place: Place, name: str) -> Iterator[bytes]:
    """The object's bytes.

    Raises:
        CollectError: it is refused or gone, or the connection broke.
    """
    try:
        with place.open(name) as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except (Denied, Missing):
        raise
    except CollectError as error:
        raise type(error)(error.message, hint=_AGAIN) from None


_AGAIN = "Run it again: what was copied is kept."


def _broken(name: str, why: str) -> Truncated:
    return Truncated(f"the copy of {name} broke off: {why}", hint=_AGAIN)


def _base64(digest: hashlib._Hash) -> str:
    return base64.b64encode(digest.digest()).decode()
