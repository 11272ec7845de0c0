"""Walks the folder: every file, its size and digest, and what its sidecar says. Nothing outside the folder is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from compliancectl import canonical
from compliancectl.collectors.documents import kinds, registers, sidecar
from compliancectl.errors import Denied, FileError, Garbage, Missing, SourceFailed, Truncated
from compliancectl.load.problems import FileErrors

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


MAX_ENCLOSED = 100_000_000
"""Bytes of a document that is enclosed: a bundle is copied and handed on."""
_LET = "Let the collector's account read it."


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
    _check_there(folder)
    names = _names(folder)
    sidecars, problems = _pair(names)
    aside = {*sidecars.values(), *(problem.name for problem in problems)}
    said = [f"{problem.name}: {problem.what}" for problem in problems]
    documents = []
    for name in names:
        if name in aside:
            continue
        document = _measure(folder, name)
        document["sidecar"] = _said(folder, sidecars.get(name), as_of, said)
        if document["sidecar"] is not None and document["bytes"] == 0:
            said.append(f"{name}: is empty, so {sidecars[name]} describes nothing")
        elif document["sidecar"] is not None:
            _add_rows(folder, document, said)
        documents.append(document)
    if said:
        raise Garbage("; ".join(said), hint="Mend these files; until then none of the documents counts.")
    again = _names(folder)
    return Listing(documents, len(again) - len(_pair(again)[0]))


def of_kinds(listing: Listing, kinds: Collection[str]) -> list[dict[str, Any]]:
    """The documents whose sidecar says one of these kinds."""
    return [d for d in listing.documents if d["sidecar"] is not None and d["sidecar"]["said"]["kind"] in kinds]


def check_sizes(documents: Iterable[Mapping[str, Any]]) -> None:
    """Refuse with `SourceFailed` what is too large to be enclosed."""
    for document in documents:
        if document["bytes"] > MAX_ENCLOSED:
            raise SourceFailed(
                f"{document['path']} has {document['bytes']:,} bytes; no more than {MAX_ENCLOSED:,} are enclosed",
                hint="Leave its kind out of sources.documents.enclose; its digest is evidence without it.",
            )


def contents(folder: Path, document: Mapping[str, Any]) -> bytes:
    """The bytes that were measured.

    Raises:
        Denied: the document can no longer be read.
        Truncated: it is not what it was.
    """
    name = str(document["path"])
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise Denied(f"cannot read {name}: {error.strerror}", hint=_LET) from None
    if canonical.sha256(data) != document["sha256"]:
        raise Truncated(f"{name} changed while it was read", hint="Collect again.")
    return data


def _check_there(folder: Path) -> None:
    try:
        there = folder.is_dir()
    except OSError as error:
        raise Denied(f"cannot read {folder}: {error.strerror}", hint=_LET) from None
    if not there:
        raise Missing(f"no folder {folder}", hint="Correct sources.documents.folder, or make the folder.")


def _names(folder: Path) -> list[str]:
    """Paths of all files below the folder, relative to it, sorted; names that begin with a dot are left out."""
    found: list[str] = []

    def refuse(error: OSError) -> None:
        raise Denied(f"cannot read {error.filename}: {error.strerror}", hint=_LET)

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(folders) + sorted(files):
            path = Path(parent) / name
            if name.startswith("."):
                continue
            _check_name(name)
            _check_link(folder, path)
            if name in files:
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def _check_name(name: str) -> None:
    """Refuse a name whose bytes are no text: no record could name the file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Garbage(f"the name {name!a} is not UTF-8", hint="Rename the file.") from None


def _check_link(folder: Path, path: Path) -> None:
    if not path.is_symlink():
        return
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        raise Denied(f"{path.relative_to(folder).as_posix()} is a link in a circle", hint="Remove it.") from None
    if not inside or path.is_dir():
        what = "leads out of the folder" if not inside else "is a link to a folder"
        raise Denied(
            f"{path.relative_to(folder).as_posix()} {what}; it is not followed", hint="Put the file itself there."
        )


@dataclass(frozen=True)
class _Problem:
    """A sidecar that describes no document."""

    name: str
    what: str


def _pair(names: list[str]) -> tuple[dict[str, str], list[_Problem]]:
    """Document → sidecar, and sidecars that describe no document. `register.yaml` alone is a document."""
    there = set(names)
    sidecars: dict[str, str] = {}
    problems: list[_Problem] = []
    for name in sorted(names, key=len):
        described = name.removesuffix(".yaml")
        if described == name:
            continue
        if described in sidecars.values():
            problems.append(_Problem(name, f"describes {described}, which is itself a sidecar"))
        elif described in there:
            sidecars[described] = name
        elif Path(described).suffix:
            problems.append(_Problem(name, f"describes {described}, which is not there"))
    return sidecars, sorted(problems, key=lambda problem: problem.name)


def _measure(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise SourceFailed(f"{name} is not an ordinary file", hint="Remove it from the folder.")
        digest = canonical.sha256_file(path)
        after = path.stat()
    except OSError as error:
        raise Denied(f"cannot read {name}: {error.strerror}", hint=_LET) from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Truncated(f"{name} changed while it was read", hint="Collect again.")
    media = MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    return {"path": name, "bytes": after.st_size, "sha256": digest, "media_type": media}


def _add_rows(folder: Path, document: dict[str, Any], problems: list[str]) -> None:
    """Read the rows of a register; the bytes are those that were measured."""
    kind, name = document["sidecar"]["said"]["kind"], document["path"]
    if kind not in kinds.REGISTERS:
        return
    if not name.endswith(".csv"):
        problems.append(f"{name}: a {kind} is kept as CSV")
        return
    document["rows"] = registers.read(kind, name, contents(folder, document), problems)


def _said(folder: Path, name: str | None, as_of: datetime, problems: list[str]) -> dict[str, Any] | None:
    if name is None:
        return None
    try:
        said, digest = sidecar.read(folder / name, as_of)
    except FileError as error:
        if isinstance(error.__cause__, OSError):
            raise Denied(f"cannot read {name}: {error.__cause__.strerror}", hint=_LET) from None
        for one in error.problems if isinstance(error, FileErrors) else (error,):
            place = f"{name}:{one.line}" if one.line else name
            problems.append(f"{place}: {one.message}" + (f" {one.hint}" if one.hint else ""))
        return None
    return {"path": name, "sha256": digest, "said": said}
