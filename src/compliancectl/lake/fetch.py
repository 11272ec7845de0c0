"""What a lake has of a run besides tables and replies, as folders to verify and to judge from."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from compliancectl import lake, store
from compliancectl.depot import Place
from compliancectl.errors import UsageError, VerifyError
from compliancectl.lake.reading import record
from compliancectl.model.lake import LakeRun
from compliancectl.seal import Problem, archive, names


def runs(place: Place) -> Iterator[LakeRun]:
    """The runs that are in a lake whole, by name.

    Raises:
        VerifyError: a record is not what a lake has.
        CollectError: the storage cannot be read.
    """
    for name in sorted(place.objects(lake.RUNS)):
        if name.endswith(".json"):
            yield record(place, name)


def fetch(place: Place, wanted: str, folder: Path) -> None:
    """Unpack a run's sealed bundle, without tables and replies, and beside it the run folder to judge from.

    Args:
        place: the lake.
        wanted: the run's id; or the start of a bundle's name, where a run was sealed several times.
        folder: an empty folder, in which `bundle` and `run` are made.

    Raises:
        UsageError: there is none, or several.
        VerifyError: it is not such a bundle.
        CollectError: the storage cannot be read.
    """
    name = _named(place, wanted)
    with tempfile.TemporaryDirectory(prefix="compliancectl-lake-") as scratch:
        packed = Path(scratch) / "bundle.zip"
        with place.open(name) as stream, packed.open("wb") as out:
            shutil.copyfileobj(stream, out, 1024**2)
        try:
            with archive.Archive(packed) as members:
                for member in members.sizes:
                    if reason := names.problem(member):
                        raise Problem(f"has a name that {reason}", member=member)
                    with members.open(member) as source:
                        data = source.read()
                    _write(folder / "bundle" / member, data)
                    if member == store.RUN_FILE or member.endswith(f"/{store.ITEM_FILE}"):
                        _write(folder / "run" / member, data)
        except Problem as problem:
            said = f"{name}: {problem.member or ''} {problem.message}"
            raise VerifyError(said, step=0, hint=problem.hint or "Have it looked at.") from problem


def _named(place: Place, wanted: str) -> str:
    start = f"bundles/{lake.named(wanted)}"
    whole = f"{lake.rests(wanted)}"
    found = sorted(name for name in place.objects(start) if name.endswith(".zip"))
    found = [name for name in found if name.startswith(whole) and "-" not in name[len(whole) :]] or found
    if len(found) != 1:
        several = ", ".join(name.removeprefix("bundles/").removesuffix(".zip") for name in found[:5])
        said = f"{len(found)} bundles begin with {wanted!r}: {several}" if found else f"there is no run {wanted!r}"
        raise UsageError(said, hint="`compliancectl tables list` shows the runs.")
    return found[0]


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
