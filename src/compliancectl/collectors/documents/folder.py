"""Walks the folder: every file, its size and digest, and what its sidecar says. Nothing outside the folder is read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from compliancectl import canonical
from compliancectl.collectors.documents import sidecar
from compliancectl.errors import Denied, FileError, Garbage, Missing, SourceFailed, Truncated

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Listing:
    """What the folder held."""

    documents: list[dict[str, Any]]
    """Sorted by path."""
    counted: int
    """Documents found by a second walk, after all were read."""


def walk(folder: Path, as_of: datetime) -> Listing:
    """Read the whole folder.

    Raises:
        Missing: there is no such folder.
        Denied: something in it cannot be read, or leads out of it.
        Garbage: sidecars that cannot be used, or that describe nothing; all are named.
        Truncated: the folder changed while it was read.
    """
    if not folder.is_dir():
        raise Missing(f"no folder {folder}", hint="Correct sources.documents.folder, or make the folder.")
    names = _names(folder)
    sidecars, orphans = _pair(names)
    problems = [f"{name}: describes {name.removesuffix('.yaml')}, which is not there" for name in orphans]
    documents = []
    for name in names:
        if name in sidecars.values() or name in orphans:
            continue
        document = _measure(folder, name)
        document["sidecar"] = _said(folder, sidecars.get(name), as_of, problems)
        documents.append(document)
    if problems:
        raise Garbage("; ".join(problems), hint="Mend these files; until then none of the documents counts.")
    again = _names(folder)
    return Listing(documents, len(again) - len(_pair(again)[0]) - len(_pair(again)[1]))


def _names(folder: Path) -> list[str]:
    """Paths of all files below the folder, relative to it, sorted; names that begin with a dot are left out."""
    found: list[str] = []

    def refuse(error: OSError) -> None:
        raise Denied(f"cannot read {error.filename}: {error.strerror}", hint="Let the collector's account read it.")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(folders) + sorted(files):
            path = Path(parent) / name
            if name.startswith("."):
                continue
            _check_link(folder, path)
            if name in files:
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def _check_link(folder: Path, path: Path) -> None:
    if not path.is_symlink():
        return
    inside = path.resolve().is_relative_to(folder.resolve())
    if not inside or path.is_dir():
        what = "leads out of the folder" if not inside else "is a link to a folder"
        raise Denied(
            f"{path.relative_to(folder).as_posix()} {what}; it is not followed", hint="Put the file itself there."
        )


def _pair(names: list[str]) -> tuple[dict[str, str], list[str]]:
    """Document → sidecar, and sidecars without a document. `register.yaml` alone is a document."""
    there = set(names)
    sidecars, orphans = {}, []
    for name in names:
        described = name.removesuffix(".yaml")
        if described == name:
            continue
        if described in there:
            sidecars[described] = name
        elif Path(described).suffix:
            orphans.append(name)
    return sidecars, orphans


def _measure(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise SourceFailed(f"{name} is not an ordinary file", hint="Remove it from the folder.")
        digest = canonical.sha256_file(path)
        after = path.stat()
    except OSError as error:
        raise Denied(f"cannot read {name}: {error.strerror}", hint="Let the collector's account read it.") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Truncated(f"{name} changed while it was read", hint="Collect again.")
    media = MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return {"path": name, "bytes": after.st_size, "sha256": digest, "media_type": media}


def _said(folder: Path, name: str | None, as_of: datetime, problems: list[str]) -> dict[str, Any] | None:
    if name is None:
        return None
    try:
        said, digest = sidecar.read(folder / name, as_of)
    except FileError as error:
        problems.append(f"{name}:{error.line}: {error.message}" if error.line else f"{name}: {error.message}")
        return None
    return {"path": name, "sha256": digest, "said": said}
