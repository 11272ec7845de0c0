"""Writing so that nothing unfinished looks finished, and saying in one wording what the system refuses.

A file or folder that people rely on is made under a name that begins with a dot, forced to disk, and renamed. After a
crash, `kill -9` or a full disk its own name is absent, or what stood there before still does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compliancectl.errors import OutputError

SEALED_BY = "seal/evidence.intoto.jsonl"
"""The file that makes a folder a sealed bundle; bundling writes it last."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when there is no room left."""
AGAIN = "Free some space and run the same command again; nothing unfinished is left."


@contextmanager
def output_errors(place: Path, *, when_full: str = AGAIN) -> Iterator[None]:
    """Turn the system's refusal to write into an `OutputError` about `place`; `when_full` is its hint on a full disk.

    Only for blocks that do nothing but write: an error of the network is an `OSError` too.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            message = f"there is no room left to write: {error.strerror}"
            raise OutputError(message, file=place, hint=when_full) from error
        raise OutputError(
            f"it cannot be written: {error.strerror or error}",
            file=place,
            hint="Name a place that you may write to.",
        ) from error


def refuse_sealed(place: Path) -> None:
    """Refuse to write to a sealed bundle, or to anywhere inside one: an added file breaks its seal.

    Raises:
        OutputError: naming the bundle.
    """
    whole = place.resolve()
    for folder in (whole, *whole.parents):
        if (folder / SEALED_BY).exists():
            raise OutputError(
                "a sealed bundle is here already, and is never changed",
                file=place if folder == whole else folder,
                hint="Name another place; `compliancectl verify` checks this bundle.",
            )


def refuse_special(place: Path) -> None:
    """Refuse to put a file in the place of a device or a pipe: what is written whole is renamed, and would take its name.

    Raises:
        OutputError: naming it.
    """
    if place.exists() and not place.is_file() and not place.is_dir():
        raise OutputError("this is no file", file=place, hint="Name a file to write to.")


def write_whole(file: Path, data: bytes) -> None:
    """Write a file so that it is absent (or as it was before) or whole, and on the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.new")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(file.parent)


def sync(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Bring everything in a folder and below it to the disk: files and entries.

    One call for the whole file system where the system has one (Linux: syncfs, which reports what could not be written);
    for tens of thousands of small files that takes seconds instead of minutes.
    """
    import ctypes

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        for path, _, files in os.walk(folder):
            for name in files:
                _sync_file(Path(path) / name)
            sync(Path(path))
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)


def _sync_file(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
