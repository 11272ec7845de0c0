"""The run folder: how evidence lies on disk.

    run.json
    evidence/<source>/<feed>/<target>/item.json       one evidence item: status, provenance, completeness
                                      raw-0001.json   reply bytes after declared redactions
                                      <table>.parquet shaped rows

An item appears under its name only when it is whole: it is written to a folder whose name starts with a dot, and renamed.
`kill -9` therefore leaves whole items and dot folders, and the next run removes the dot folders, but for `.unfinished`, in which
collectors keep what they have of a long answer: the next try goes on from there, and it goes when the run is complete. All items
are forced to the disk before `run.json` says that the run is over; if the machine itself goes down before, the run that continues
this one finds by its digests which items did not reach the disk. A full disk is an `OutputError`, never a short file that looks
finished.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from compliancectl import canonical, disk
from compliancectl.errors import FileError, NotReadyError, OutputError
from compliancectl.model.evidence import EvidenceItem, RunRecord

RUN_FILE = "run.json"
EVIDENCE = "evidence"
ITEM_FILE = "item.json"
UNFINISHED = ".unfinished"
"""What collectors keep of long answers until the run is complete."""
_LOCK = ".lock"
BEFORE_RUN = frozenset({_LOCK, f".{RUN_FILE}.new"})
"""All that a run can have left in its folder before it wrote `run.json`."""
_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def slug(name: str) -> str:
    """A folder name for a target that is safe on every file system; altered names get a digest, so two never meet."""
    if _SAFE.fullmatch(name) and not _DEVICE.fullmatch(name) and not name.endswith("."):
        return name
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:60] or "target"
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def writing(folder: Path) -> AbstractContextManager[None]:
    """Around whatever writes to a run folder: what the system refuses becomes an `OutputError` with the way on."""
    return disk.output_errors(
        folder, when_full="Free some space, then go on with --resume; whole evidence items are kept."
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for one process.

    Raises:
        OutputError: if another process holds it.
    """
    with writing(folder):
        lock = (folder / _LOCK).open("w")
    with lock as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"another run is writing to {folder}", hint="Wait for it, or choose another --output."
            ) from None
        yield


def write_run(folder: Path, record: RunRecord) -> None:
    """Write `run.json`."""
    disk.write_whole(folder / RUN_FILE, canonical.to_bytes(record.to_json()) + b"\n")


def read_run(folder: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        NotReadyError: if the folder holds no run.
        FileError: if the record is damaged.
    """
    file = folder / RUN_FILE
    if not file.is_file():
        raise NotReadyError(
            f"{folder} holds no run (there is no {RUN_FILE})", hint="Run `compliancectl collect` first."
        )
    return _read(RunRecord, file)


def item_id(source: str, feed: str, target: str) -> str:
    """Id of the item of a feed and target."""
    return f"{source}/{slug(feed)}/{slug(target)}"


def item_folder(run: Path, source: str, feed: str, target: str) -> Path:
    """Where the item of a feed and target lies."""
    return run / EVIDENCE / item_id(source, feed, target)


def read_items(run: Path) -> tuple[EvidenceItem, ...]:
    """All whole evidence items of a run, sorted by id.

    Raises:
        FileError: if one is damaged.
    """
    return tuple(sorted((read_item(file) for file in item_files(run)), key=lambda item: item.id))


def item_files(run: Path) -> Iterator[Path]:
    """The records of all whole evidence items of a run, in any order. Each has the digests of every other file of its item."""
    return (run / EVIDENCE).glob(f"[!.]*/[!.]*/[!.]*/{ITEM_FILE}")


def read_item(file: Path) -> EvidenceItem:
    """One evidence item.

    Raises:
        FileError: if it is damaged.
    """
    return _read(EvidenceItem, file)


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


M = TypeVar("M", RunRecord, EvidenceItem)


def _read(model: type[M], file: Path) -> M:
    from pydantic import ValidationError

    try:
        return model.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FileError(
            f"this record is damaged: {where}: {first['msg']}", file=file, hint="Collect again, into a new folder."
        ) from error
    except OSError as error:
        raise FileError(
            f"this record cannot be read: {error.strerror}", file=file, hint="Check its permissions."
        ) from error
