"""Hashing ahead: another process hashes a folder while this one still loads what verification needs.

Hashing needs nothing but Python itself, and verification a dozen libraries; on two processors both take their time at
once. Nothing rests on it: what did not come is read by whoever asks, who then says what is wrong with it.
"""

from __future__ import annotations

import marshal
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from compliancectl.canonical import sha256
from compliancectl.seal import Problem, container, names
from compliancectl.seal.container import Folder, cores

_MOST_RECORDS = 64 * 1024**2
"""Bytes of records that are handed over; whoever asks reads the rest."""
_PIECE = 1024**2


@dataclass
class Read:
    """What was read of a folder: all of it that could be, or nothing."""

    digests: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Member name → SHA-256 in lower-case hexadecimal, and bytes."""
    records: dict[str, bytes] = field(default_factory=dict)
    """Member name → the bytes that were hashed, of records."""


class Ahead:
    """A process that reads and hashes the files of a folder."""

    def __init__(self, root: str) -> None:
        """Begin. To be called while this process has one thread and nothing half-written."""
        self.root = str(Path(root))
        self._data = b""
        reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(reading)
            _work(Path(root), writing)
        os.close(writing)
        self._reader = threading.Thread(target=self._receive, args=(reading,), daemon=True)
        self._reader.start()

    def wait(self) -> Read:
        """Wait for its end, and take what it read."""
        self._reader.join()
        try:
            return Read(*marshal.loads(self._data))  # noqa: S302  # our own process wrote it
        except (EOFError, ValueError, TypeError):  # it was ended, or found something that whoever reads it will find
            return Read()

    def stop(self) -> None:
        """End it, if it has not ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)

    def _receive(self, reading: int) -> None:
        taken = []
        while piece := os.read(reading, _PIECE):
            taken.append(piece)
        os.close(reading)
        self._data = b"".join(taken)


_begun: list[Ahead] = []


@contextmanager
def begun(arguments: Sequence[str]) -> Iterator[None]:
    """Begin with the first argument that is the folder of a bundle, if there is one and a processor is free for it."""
    for text in arguments:
        # Unlike Path's, this question has an answer for every text.
        if cores() > 1 and os.path.isfile(os.path.join(text, "SHA256SUMS")):  # noqa: PTH113, PTH118
            _begun.append(Ahead(text))
            break
    try:
        yield
    finally:
        while _begun:
            _begun.pop().stop()


def of(folder: Path) -> Ahead | None:
    """The process that was begun for this folder, if there is one."""
    return next((one for one in _begun if one.root == str(folder)), None)


def _work(root: Path, writing: int) -> NoReturn:
    """What the other process does: read, tell, and end without anything that this one would do at its end."""
    parent = os.getppid()
    try:
        with os.fdopen(writing, "wb") as stream:
            marshal.dump(_read(Folder(root), lambda: os.getppid() == parent), stream)
    except (Problem, OSError, KeyboardInterrupt):
        pass  # whoever asks for these files will find out
    finally:
        os._exit(0)


def _read(folder: Folder, wanted: Callable[[], bool]) -> tuple[dict[str, tuple[str, int]], dict[str, bytes]]:
    """Read the records and hash everything, as long as that is wanted; returns the parts of a `Read`."""
    digests: dict[str, tuple[str, int]] = {}
    records: dict[str, bytes] = {}
    room = _MOST_RECORDS
    for name, size in folder.sizes.items():
        if names.is_record(name) and size <= room:
            records[name] = container.read(folder, name, limit=size)
            digests[name] = sha256(records[name]), size
            room -= size
    for name, digest, size in folder.digests(name for name in folder.sizes if name not in records):
        if not wanted():
            return {}, {}
        digests[name] = digest, size
    return digests, records
