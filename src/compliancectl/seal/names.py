"""Member names: what a file in a bundle may be called.

The rules keep one meaning everywhere: no escaping in SHA256SUMS, no surprise on NTFS or on a file system that
ignores case, nothing that a shell or a spreadsheet could read as an option.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

RUN = "run.json"
RESULTS = "results/results.json"
CERTIFICATE = "catalog/engine.json"
"""Of the engine that answered, if that was not the one that judged."""
ENGINE_JOBS = "catalog/engine-jobs.json"
"""The jobs that such an engine ran."""
ITEM = "/item.json"
"""How the name of an evidence item's record ends."""
SEAL = (
    "seal/evidence.intoto.jsonl",
    "seal/signer.pub.pem",
    "seal/statement.json",
    "seal/statement.pae",
    "seal/statement.sig",
)
"""What every seal has."""
MAX_LENGTH = 180
"""Characters of a whole member name, folders included (Windows stops at 260 with the folder it is unpacked to)."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_GOOD = re.compile(
    r"(?:(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|\Z))[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?(?:/(?=.)|\Z))+",
    re.ASCII | re.IGNORECASE,
)
"""Names that are as they should be, in one look; why another is not, the parts say one by one."""
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def is_record(name: str) -> bool:
    """True for the members that are judged, and not only hashed: run, results, certificate and the records of evidence items."""
    return name in (RUN, RESULTS, CERTIFICATE) or (name.startswith("evidence/") and name.endswith(ITEM))


@lru_cache(maxsize=16_384)  # a bundle asks it of each name several times, and the bundles of a year have the same names
def problem(name: str) -> str | None:
    """Say in a sentence why `name` is not a member name, or return None if it is one."""
    if len(name) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if _GOOD.fullmatch(name):
        return None
    for part in name.split("/"):
        reason = _part_problem(part)
        if reason:
            return reason
    return None


def _part_problem(part: str) -> str | None:
    if part in ("", ".", ".."):
        return "is absolute, or has an empty part, `.` or `..` in it"
    if not _PART.fullmatch(part):
        return (
            "has a character other than A-Z a-z 0-9 . _ - in it, or a part that does not start with a letter or digit"
        )
    if part.endswith("."):
        return "has a part that ends with a full stop, which Windows drops"
    if _DEVICE.fullmatch(part):
        return "has a part that names a device on Windows"
    return None


def clash(names: Collection[str]) -> tuple[str, str] | None:
    """Find two names, or folders of them, that differ only in case, or a file that is also a folder.

    Returns:
        The two spellings, or None.
    """
    if _apart(names):
        return None
    seen: dict[str, str] = {}
    files: set[str] = set()
    last = ""
    for name in sorted(names):
        parts, folder = name.split("/"), name.rpartition("/")[0]
        # The folders of two names in a row that lie in one folder are the same, and were looked at.
        first, last = len(parts) if folder == last else 1, folder
        for depth in range(first, len(parts) + 1):
            path = "/".join(parts[:depth])
            other = seen.setdefault(path.lower(), path)
            if other != path or (path in files and path != name):
                return other, name
        if name in files:
            return name, name
        files.add(name)
    return None


def _apart(names: Collection[str]) -> bool:
    """True if no two of them clash, in one look at all; which do, `clash` finds one by one."""
    folders: set[str] = set()
    for folder in {name.rpartition("/")[0] for name in names}:
        at = folder
        while at and at not in folders:
            folders.add(at)
            at = at.rpartition("/")[0]
    return len({path.lower() for path in (*names, *folders)}) == len(names) + len(folders)
