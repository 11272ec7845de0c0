"""The depot: where bundles are kept for years. Nothing in it is overwritten, and nothing goes without a trace.

    <run id>-<start of the statement's digest>/bundle.zip       the bundle
                                              record.json       what it is, and until when it is kept
                                              hold-0001.json    a legal hold, and release-0002.json its end
                                              tombstone.json    that it was purged, when and why; the bundle is gone

`local` keeps it in a folder, `gcs` in a bucket of Google Cloud Storage, `mirror` copies a bucket's bundles to read them. Every object is made only if nothing has its name.
A record or event is small JSON; what holds is derived from those that are there, never from a state that is edited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from compliancectl import canonical, clock
from compliancectl.errors import NotReadyError, OutputError, UsageError, VerifyError
from compliancectl.model.depot import Hold, Kept, Tombstone

BUNDLE, RECORD, TOMBSTONE = "bundle.zip", "record.json", "tombstone.json"
_EVENT = re.compile(r"(hold|release)-([0-9]{4})\.json")


class Taken(Exception):
    """Something has this name already."""


@dataclass(frozen=True)
class Stated:
    """What the storage says of an object."""

    size: int
    """In bytes."""
    md5: str | None
    """In base64; None if the storage states none."""
    made: datetime
    tag: str | None = None
    """Changes whenever the object does, where that is all that the storage states."""
    generation: str | None = None
    """A number that the storage gives to each object of a name once and never again, where it counts them."""


class Place(Protocol):
    """Where objects lie. Names are `/`-separated and plain."""

    def names(self) -> list[str]:
        """All names, sorted."""

    def objects(self, under: str = "") -> dict[str, Stated]:
        """What is stated of each object whose name begins with `under`, by its whole name."""

    def create(self, name: str, data: BinaryIO, size: int, retain_until: datetime | None) -> None:
        """Make an object, whole or not at all; `Taken` if there is one of this name."""

    def open(self, name: str) -> BinaryIO:
        """Read an object."""

    def address(self, name: str) -> str:
        """Where an object lies, as other programs name it: `gs://…`, `s3://…` or a path."""

    def protect(self, name: str, held: bool) -> None:
        """Have the storage itself refuse to delete an object, or no longer, if it can."""

    def delete(self, name: str) -> None:
        """Delete an object."""


@dataclass(frozen=True)
class Entry:
    """One bundle in a depot."""

    folder: str
    kept: Kept | None
    """None: storing it was interrupted."""
    holds: tuple[Hold, ...]
    """Those that are not released."""
    events: int
    tombstone: Tombstone | None
    present: bool
    """Whether the bundle itself is there. With a tombstone too, its deletion was interrupted or refused."""

    def may_go(self, now: datetime) -> str | None:
        """None if it may be purged; otherwise why not."""
        if self.tombstone is not None and not self.present:
            return "it was purged before"
        if self.kept is None:
            return "storing it was interrupted; store it again"
        if self.holds:
            return f"it is held: {'; '.join(hold.reason for hold in self.holds)}"
        if self.kept.retain_until > now:
            return f"it is kept until {clock.text(self.kept.retain_until)}"
        return None


def why_gone(stone: Tombstone | None) -> str:
    """Why a bundle that has a record is not there."""
    if stone is None:
        return "its record is there, and the bundle is not"
    return f"it was purged {clock.text(stone.at)} by {stone.by}: {stone.reason}"


def entries(place: Place) -> Iterator[Entry]:
    """All bundles of a depot, by name.

    Raises:
        VerifyError: if a record cannot be read.
    """
    folders: dict[str, list[str]] = {}
    for name in place.names():
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, []).append(file)
    for folder, files in sorted(folders.items()):
        yield entry_of(place, folder, sorted(files))


def entry_of(place: Place, folder: str, files: Iterable[str]) -> Entry:
    """One bundle of a depot, from the names of its objects.

    Raises:
        VerifyError: if a record cannot be read.
    """
    names, held, count = set(files), dict[str, Hold](), 0
    for name in sorted(names, key=lambda name: name.rpartition("-")[2]):
        match = _EVENT.fullmatch(name)
        if match is None:
            continue
        count = max(count, int(match[2]))
        event = _read(place, Hold, f"{folder}/{name}")
        if match[1] == "hold":
            held[event.reason] = event
        else:
            held.pop(event.reason, None)
    return Entry(
        folder=folder,
        kept=_read(place, Kept, f"{folder}/{RECORD}") if RECORD in names else None,
        holds=tuple(held.values()),
        events=count,
        tombstone=_read(place, Tombstone, f"{folder}/{TOMBSTONE}") if TOMBSTONE in names else None,
        present=BUNDLE in names,
    )


def find(place: Place, wanted: str) -> Entry:
    """The one bundle whose run id, or the start of whose name, is `wanted`.

    Raises:
        UsageError: if there is none, or several.
    """
    found = [e for e in entries(place) if e.folder.startswith(wanted) or (e.kept and e.kept.run_id == wanted)]
    if len(found) != 1:
        many = f"{len(found)} bundles are" if found else "no bundle is"
        raise UsageError(f"{many} called {wanted!r}", hint="`compliancectl store list` shows their names.")
    return found[0]


def put(place: Place, file: Path, kept: Kept) -> bool:
    """Store the ZIP of a bundle; returns False if this very bundle is there already.

    Raises:
        OutputError: if another is there in its name, or it was purged.
    """
    folder = f"{kept.run_id}-{kept.statement_sha256[:12]}"
    there = next((e for e in entries(place) if e.folder == folder), None)
    if there is not None and there.tombstone is not None:
        raise OutputError(f"{folder} was purged, and does not come back", hint="Its tombstone says when and why.")
    if there is not None and there.kept is not None:
        if there.kept.archive_sha256 != kept.archive_sha256:
            raise OutputError(
                f"another archive of {folder} is kept, and is never overwritten", hint="`compliancectl store get` it."
            )
        return False
    try:
        with file.open("rb") as stream:
            place.create(f"{folder}/{BUNDLE}", stream, kept.bytes, kept.retain_until)
    except Taken:  # storing it was interrupted before its record was made
        if digest(place, f"{folder}/{BUNDLE}") != kept.archive_sha256:
            raise OutputError(f"something else lies at {folder}/{BUNDLE}", hint="Have it looked at.") from None
    _write(place, f"{folder}/{RECORD}", kept, kept.retain_until)
    return True


def get(place: Place, entry: Entry, out: BinaryIO) -> None:
    """Copy a bundle out, and hold it against its record.

    Raises:
        NotReadyError: if it was purged, or is not whole.
        VerifyError: if it is not what was stored.
    """
    if entry.tombstone is not None:
        raise NotReadyError(f"{entry.folder} is not there: {why_gone(entry.tombstone)}", hint=None)
    if entry.kept is None or not entry.present:
        raise NotReadyError(f"{entry.folder} is not whole", hint="Storing it was interrupted; store it again.")
    if digest(place, f"{entry.folder}/{BUNDLE}", out) != entry.kept.archive_sha256:
        raise VerifyError(f"{entry.folder}/{BUNDLE} is not what was stored", step=0, hint="Use another copy.")


def hold(place: Place, entry: Entry, event: Hold) -> None:
    """Keep a bundle whatever its retention says, until the hold of this reason is released.

    Raises:
        UsageError: if it is gone, or is held for this reason already.
    """
    if entry.kept is None or entry.tombstone is not None:
        raise UsageError(f"{entry.folder} is not there to be held", hint="`compliancectl store list` shows what is.")
    if any(held.reason == event.reason for held in entry.holds):
        raise UsageError(f"{entry.folder} is held for this already", hint="Another reason makes another hold.")
    _event(place, entry, "hold", event)
    place.protect(f"{entry.folder}/{BUNDLE}", True)


def release(place: Place, entry: Entry, event: Hold) -> None:
    """End the hold of one reason.

    Raises:
        UsageError: if there is none.
    """
    left = [held for held in entry.holds if held.reason != event.reason]
    if len(left) == len(entry.holds):
        raise UsageError(f"{entry.folder} is not held for {event.reason!r}", hint="`store list` shows the reasons.")
    _event(place, entry, "release", event)
    if not left:
        place.protect(f"{entry.folder}/{BUNDLE}", False)


def purge(place: Place, entry: Entry, tombstone: Tombstone) -> None:
    """Delete a bundle and leave a tombstone; the tombstone comes first.

    Raises:
        UsageError: if it may not go.
    """
    if why := entry.may_go(tombstone.at):
        raise UsageError(f"{entry.folder} is not purged: {why}", hint="A hold is ended with `store release`.")
    if entry.tombstone is None:
        _write(place, f"{entry.folder}/{TOMBSTONE}", tombstone)
    place.delete(f"{entry.folder}/{BUNDLE}")


# -- objects ----------------------------------------------------------------------------------------------------------

M = TypeVar("M", Kept, Hold, Tombstone)


def _event(place: Place, entry: Entry, kind: str, event: Hold) -> None:
    try:
        _write(place, f"{entry.folder}/{kind}-{entry.events + 1:04d}.json", event)
    except Taken:
        raise OutputError("somebody else changed the holds at the same time", hint="Look again, then repeat.") from None


def _write(place: Place, name: str, value: Kept | Hold | Tombstone, retain_until: datetime | None = None) -> None:
    import io

    data = canonical.to_bytes(value.to_json()) + b"\n"
    place.create(name, io.BytesIO(data), len(data), retain_until)


def _read(place: Place, model: type[M], name: str) -> M:
    with place.open(name) as stream:
        data = stream.read(1024**2)
    try:
        return model.model_validate_json(data)
    except ValueError as error:
        raise VerifyError(f"{name} is not what the depot writes", step=0, hint="Have it looked at.") from error


def digest(place: Place, name: str, out: BinaryIO | None = None) -> str:
    """The SHA-256 of an object, copied to `out` meanwhile if there is one.

    Raises:
        CollectError: it cannot be read, or is not there.
    """
    import hashlib

    found = hashlib.sha256()
    with place.open(name) as stream:
        while piece := stream.read(1024**2):
            found.update(piece)
            if out is not None:
                out.write(piece)
    return found.hexdigest()
