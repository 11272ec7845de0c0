"""A bundle to read from: a folder, or (in `archive`) a ZIP. Members are plain files, named with `/`."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self, cast

from compliancectl.seal import Problem

if TYPE_CHECKING:
    from io import BufferedIOBase

_DEEPEST = 1000
"""Characters of a folder's path at which listing stops; names are held to far less."""


class Container(Protocol):
    """Where members are read from. A context manager; `sizes` is known before anything is read."""

    sizes: Mapping[str, int]
    """Member name → bytes, sorted by name."""

    def open(self, name: str) -> BinaryIO:
        """Open a member; `Problem` if it is not the plain file it was when it was listed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Folder:
    """A folder of plain files. Links, devices and the like are refused, and never followed."""

    def __init__(self, root: Path, *, only: Collection[str] | None = None) -> None:
        """List the files below `root`, or below the entries of it that `only` names.

        Raises:
            Problem: if anything but plain files and folders is there, or something cannot be read.
        """
        self.root = root
        self._start = os.path.join(root, "")  # noqa: PTH118  # text: names are many, and Path takes each apart
        self.sizes: Mapping[str, int] = dict(sorted(_walk(root, "", only)))

    def open(self, name: str) -> BinaryIO:
        """Open a member without following a link in its last part."""
        try:
            handle = os.open(f"{self._start}{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Problem(f"cannot be read: {error.strerror}", member=name) from error
        stream = os.fdopen(handle, "rb")
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            stream.close()
            raise Problem("is not a plain file", member=name)
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def read(container: Container, name: str, *, limit: int) -> bytes:
    """Read a small member whole.

    Raises:
        Problem: if it is not there, or is longer than `limit` bytes.
    """
    if name not in container.sizes:
        raise Problem("is missing", member=name)
    with container.open(name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise Problem(f"is longer than {limit} bytes", member=name)
    return data


def digest(container: Container, name: str, piece: memoryview) -> tuple[str, int]:
    """SHA-256 and size of a member, read through a buffer of the caller's."""
    found, size = hashlib.sha256(), 0
    with container.open(name) as stream:
        while count := cast("BufferedIOBase", stream).readinto(piece):
            found.update(piece[:count])
            size += count
    return found.hexdigest(), size


def _walk(folder: Path | str, prefix: str, only: Collection[str] | None = None) -> Iterator[tuple[str, int]]:
    if len(prefix) > _DEEPEST:
        raise Problem("is nested deeper than any bundle", member=prefix[:80])
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise Problem(f"cannot be listed: {error.strerror}", member=prefix or None) from error
    for entry in entries:
        if only is not None and entry.name not in only:
            continue
        name = prefix + entry.name
        kind = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(kind.st_mode):
            yield from _walk(entry.path, name + "/")
        elif stat.S_ISREG(kind.st_mode):
            yield name, kind.st_size
        else:
            raise Problem("is neither a plain file nor a folder", member=name)
