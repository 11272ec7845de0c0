"""The run folder: how evidence lies on disk.

    run.json
    evidence/<source>/<feed>/<target>/item.json       one evidence item: status, provenance, completeness
                                      raw-0001.json   reply bytes after declared redactions
                                      <table>.parquet shaped rows

An item appears under its name only when it is whole: it is written to a folder whose name starts with a dot, forced
to disk, and renamed. A crash or `kill -9` therefore leaves whole items and dot folders, and the next run removes the
dot folders. A full disk is an `OutputError`, never a short file that looks finished.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compliancectl import canonical
from compliancectl.errors import NotReadyError, OutputError
from compliancectl.model.evidence import EvidenceItem, RunRecord

RUN_FILE = "run.json"
EVIDENCE = "evidence"
ITEM_FILE = "item.json"
_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def slug(name: str) -> str:
    """A folder name for a target that is safe on every file system; altered names get a digest, so two never meet."""
    if _SAFE.fullmatch(name) and not _DEVICE.fullmatch(name) and not name.endswith("."):
        return name
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:60] or "target"
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what an operating system says about writing into an `OutputError` with a hint."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            hint = "Free some space and run the same command again; whole evidence items are kept."
            raise OutputError(f"no space left to write to {folder}", hint=hint) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise OutputError(
                f"cannot write to {folder}: {error.strerror}", hint="Choose another folder with --output."
            ) from None
        raise


def write_whole(file: Path, data: bytes) -> None:
    """Write a file so that it is either absent (or as before) or whole: temporary name, fsync, rename."""
    temporary = file.with_name(f".{file.name}.new")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for one process.

    Raises:
        OutputError: if another process holds it.
    """
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"another run is writing to {folder}", hint="Wait for it, or choose another --output."
            ) from None
        yield


def write_run(folder: Path, record: RunRecord) -> None:
    """Write `run.json`."""
    write_whole(folder / RUN_FILE, canonical.to_bytes(record.to_json()) + b"\n")


def read_run(folder: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        NotReadyError: if the folder holds no run.
    """
    file = folder / RUN_FILE
    if not file.is_file():
        raise NotReadyError(
            f"{folder} holds no run (there is no {RUN_FILE})", hint="Run `compliancectl collect` first."
        )
    return RunRecord.model_validate_json(file.read_bytes())


def item_folder(run: Path, source: str, feed: str, target: str) -> Path:
    """Where the item of a feed and target lies."""
    return run / EVIDENCE / source / slug(feed) / slug(target)


def read_items(run: Path) -> tuple[EvidenceItem, ...]:
    """All whole evidence items of a run, sorted by id."""
    files = sorted((run / EVIDENCE).glob(f"[!.]*/[!.]*/[!.]*/{ITEM_FILE}"))
    return tuple(sorted((EvidenceItem.model_validate_json(f.read_bytes()) for f in files), key=lambda i: i.id))


def is_intact(run: Path, item: EvidenceItem) -> bool:
    """True if every file of the item is there and has the digest that the item records."""
    folder = run / EVIDENCE / item.id
    files = [*((r.path, r.sha256) for r in item.replies), *((t.path, t.sha256) for t in item.tables)]
    return all((folder / path).is_file() and canonical.sha256_file(folder / path) == digest for path, digest in files)


def remove_unfinished(run: Path) -> int:
    """Delete what an interrupted run left half-written; returns how many folders that were."""
    folders = [f for f in (run / EVIDENCE).glob("*/*/.*") if f.is_dir()]
    for folder in folders:
        shutil.rmtree(folder)
    return len(folders)
