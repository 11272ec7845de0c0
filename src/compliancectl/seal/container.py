"""A bundle to read from: a folder, or (in `archive`) a ZIP. Members are plain files, named with `/`."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from compliancectl.seal import Problem

LARGE = 4 * 1024**2
"""Bytes from which a file is worth a thread of its own: hashing lets other threads go on."""
PIECE = 256 * 1024
"""Bytes that are read at a time: they stay in the processor's cache until they are hashed."""
_DEEPEST = 1000
"""Characters of a folder's path at which listing stops; names are held to far less."""


class Container(Protocol):
    """Where members are read from. A context manager; `sizes` is known before anything is read."""

    sizes: Mapping[str, int]
    """Member name → bytes, sorted by name."""

    def open(self, name: str) -> BinaryIO:
        """Open a member; `Problem` if it is not the plain file it was when it was listed."""

    def digests(self, names: Iterable[str]) -> Iterator[tuple[str, str, int]]:
        """Hash members: name, SHA-256 in lower-case hexadecimal, bytes; in any order. `Problem` as for `open`."""

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
        found: dict[str, int] = {}
        _walk(self._start or ".", "", found, only)
        self.sizes: Mapping[str, int] = dict(sorted(found.items()))

    def open(self, name: str) -> BinaryIO:
        """Open a member without following a link in its last part."""
        return os.fdopen(self.handle(name)[0], "rb")

    def digests(self, names: Iterable[str]) -> Iterator[tuple[str, str, int]]:
        """Hash members; large ones on every core. A generator that is closed early leaves the rest unread."""
        wanted = list(names)
        large = [name for name in wanted if self.sizes.get(name, 0) >= LARGE]
        if len(large) < 2:
            yield from ((name, *self._digest(name)) for name in wanted)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(cores()) as pool:
            later = [pool.submit(self._digest, name) for name in large]
            try:
                yield from ((name, *self._digest(name)) for name in wanted if self.sizes.get(name, 0) < LARGE)
                for name, one in zip(large, later, strict=True):
                    yield name, *one.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _digest(self, name: str) -> tuple[str, int]:
        handle, size = self.handle(name)
        try:
            digest, count = hashlib.sha256(), 0
            for piece in pieces(handle, size):
                digest.update(piece)
                count += len(piece)
        except OSError as error:
            raise Problem(f"cannot be read: {error.strerror}", member=name) from error
        finally:
            os.close(handle)
        return digest.hexdigest(), count

    def handle(self, name: str) -> tuple[int, int]:
        """Open a member; its handle and its size. By bare calls: of tens of thousands of small files, they are the cost."""
        try:
            handle = os.open(f"{self._start}{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Problem(f"cannot be read: {error.strerror}", member=name) from error
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            os.close(handle)
            raise Problem("is not a plain file", member=name)
        return handle, found.st_size

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
        data = stream.read(min(limit, container.sizes[name]) + 1)
    if len(data) > limit:
        raise Problem(f"is longer than {limit} bytes", member=name)
    return data


def pieces(handle: int, size: int) -> Iterator[bytes | memoryview]:
    """The bytes behind a handle, to be used before the next is asked for; `size` is how many there should be.

    A small file is read in one call. A large one goes through one buffer, so that memory stays flat.
    """
    if size < PIECE:
        while piece := os.read(handle, size + 1):
            yield piece
        return
    room = memoryview(bytearray(PIECE))
    while count := os.readv(handle, [room]):
        yield room[:count]


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _walk(folder: str, prefix: str, found: dict[str, int], only: Collection[str] | None = None) -> None:
    if len(prefix) > _DEEPEST:
        raise Problem("is nested deeper than any bundle", member=prefix[:80])
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if only is not None and entry.name not in only:
                    continue
                name = prefix + entry.name
                kind = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(kind.st_mode):
                    found[name] = kind.st_size
                elif stat.S_ISDIR(kind.st_mode):
                    _walk(entry.path, name + "/", found)
                else:
                    raise Problem("is neither a plain file nor a folder", member=name)
    except OSError as error:
        raise Problem(f"cannot be listed: {error.strerror}", member=prefix or None) from error
