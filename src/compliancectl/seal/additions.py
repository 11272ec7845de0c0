"""What a seal may hold beside the signature itself: time stamps, countersignatures, and whose a forgotten key was.

    seal/timestamps/01.tsr                     an RFC 3161 response over the bytes of seal/statement.sig
    seal/countersign/<key id>.sig              another person's or machine's signature over seal/statement.pae
    seal/countersign/<key id>.pub.pem          the key it was made with; like the signer's own, it proves nothing by itself
    seal/identities/<key id>.sigstore.json     for a key that was made for one signature: certificate and log entry

A sealed bundle is never written to: an addition makes a new folder, or a new ZIP, with the same files and those.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path

from compliancectl import disk
from compliancectl.errors import OutputError, UsageError
from compliancectl.seal import Problem, archive, container, names, staging

_TIMESTAMP = re.compile(r"seal/timestamps/[0-9]{2}\.tsr")
_COUNTERSIGN = re.compile(r"seal/countersign/[0-9a-f]{64}\.(sig|pub\.pem)")
_IDENTITY = re.compile(r"seal/identities/[0-9a-f]{64}\.sigstore\.json")
_PACKED = "archive"
_PIECE = 1024**2


def is_addition(name: str) -> bool:
    """True for the names that a seal may have besides those that bundling writes."""
    return any(form.fullmatch(name) for form in (_TIMESTAMP, _COUNTERSIGN, _IDENTITY))


def timestamps(members: Iterable[str]) -> list[str]:
    """The time stamps among the members, sorted."""
    return sorted(name for name in members if _TIMESTAMP.fullmatch(name))


def countersigners(members: Iterable[str]) -> list[str]:
    """Key ids under which a countersignature or its key is enclosed, sorted."""
    return sorted({Path(name).name.partition(".")[0] for name in members if _COUNTERSIGN.fullmatch(name)})


def countersign_names(key_id: str) -> tuple[str, str]:
    """Where the signature and the key of a countersigner lie."""
    return f"seal/countersign/{key_id}.sig", f"seal/countersign/{key_id}.pub.pem"


def identities(members: Iterable[str]) -> set[str]:
    """Key ids whose owner is enclosed."""
    return {Path(name).name.partition(".")[0] for name in members if _IDENTITY.fullmatch(name)}


def identity_name(key_id: str) -> str:
    """Where it lies whose key this was."""
    return f"seal/identities/{key_id}.sigstore.json"


def next_timestamp(members: Iterable[str]) -> str:
    """The name of the next time stamp.

    Raises:
        UsageError: if there are 99 of them.
    """
    taken = len(timestamps(members))
    if taken >= 99:
        raise UsageError("the bundle has 99 time stamps", hint="One by each authority that you use is enough.")
    return f"seal/timestamps/{taken + 1:02d}.tsr"


def extend(path: Path, added: Mapping[str, bytes], root: str, *, folder: Path | None, packed: Path | None) -> None:
    """Write the bundle at `path` anew, with the files in `added`.

    Args:
        path: The bundle, folder or ZIP; it is only read.
        added: Member name → bytes; none may be there already.
        root: Name of the one folder inside the ZIP.
        folder: Where the new bundle goes as a folder; must not exist.
        packed: Where it goes as a ZIP; must not exist.

    Raises:
        OutputError: if a place is taken, or there is no room.
        Problem: if the bundle cannot be read, or has one of these files.
    """
    for place in (folder, packed):
        if place is not None:
            disk.refuse_sealed(place)
            if os.path.lexists(place):
                raise OutputError("something is here already", file=place, hint="Choose a name that is free.")
    target = folder or packed
    if target is None:
        raise UsageError("there is nowhere to write to", hint="Give --output, --zip, or both.")
    beside = staging.staged(packed) if packed else nullcontext()
    new = staging.staged(target.with_name(f"{target.name}.new"))
    with new as work, beside as packing, disk.output_errors(target):
        _copy(path, work, added)
        if packed and packing:
            with (packing / _PACKED).open("wb") as stream:
                archive.write(container.Folder(work), root, stream)
                stream.flush()
                os.fsync(stream.fileno())
        disk.sync_tree(work)
        if folder:
            staging.publish(work, folder)
        if packed and packing:
            staging.publish_file(packing / _PACKED, packed)


def _copy(path: Path, work: Path, added: Mapping[str, bytes]) -> None:
    with archive.opened(path) as members:
        for name in members.sizes:
            if name in added or names.problem(name):
                raise Problem("is there already" if name in added else "has an unsafe name", member=name)
            place = work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with members.open(name) as source, place.open("xb") as copy:  # forced to the disk below, all at once
                shutil.copyfileobj(source, copy, _PIECE)
    for name, data in added.items():
        disk.write_whole(work / name, data)
