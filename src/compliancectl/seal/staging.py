"""Staging: a folder that is built beside its place and appears there whole, or not at all.

The unfinished folder is called `.<name>.partial`. A lock on it (released by the system even after kill -9) tells a
folder that somebody is still building from one that was left behind, which the next attempt clears away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compliancectl.disk import output_errors, sync
from compliancectl.errors import OutputError


@contextmanager
def staged(place: Path) -> Iterator[Path]:
    """Give an empty folder to build in, and remove it at the end if `publish` did not move it away."""
    folder = place.with_name(f".{place.name}.partial")
    with output_errors(place):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(handle, folder, place)
        with output_errors(place):
            _empty(folder)
        try:
            yield folder
        finally:
            if _is_same(handle, folder):
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def publish(folder: Path, place: Path) -> None:
    """Move a finished folder to its place, durably. Fails if something is there."""
    folder.rename(place)
    sync(place.parent)


def publish_file(file: Path, place: Path) -> None:
    """Move a finished file to its place, durably. Fails if something is there."""
    try:
        place.hardlink_to(file)  # unlike rename, never over a file that appeared meanwhile
        file.unlink()
    except FileExistsError:
        file.unlink()
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        file.rename(place)  # a file system without hard links
    sync(place.parent)


def _lock(handle: int, folder: Path, place: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = _is_same(handle, folder)  # another process may have published it in between
    except BlockingIOError:
        held = False
    if not held:
        raise OutputError(
            "another process is making a bundle here", file=place, hint="Wait for it to end, or choose another folder."
        )


def _is_same(handle: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), folder.lstat())
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()
