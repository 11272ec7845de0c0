"""Laying a sealed run out in a lake. What is there already is looked at and never written again or over.

The record of the run comes last. Until it is there, the next try goes on: a part that is there must say what ours would.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from compliancectl import canonical, lake, store
from compliancectl.depot import Place, Taken, digest
from compliancectl.errors import NotReadyError, OutputError
from compliancectl.lake.reading import content_of
from compliancectl.model.evidence import EvidenceItem, RunRecord, TableRows
from compliancectl.model.lake import LakeRun, LakeTable
from compliancectl.query.parts import write_part
from compliancectl.seal import archive, container

PART_BYTES = 256 * 1024**2
"""Of the files that one part is made of, as far as whole items allow."""
PART_FILES = 5_000
_STATEMENT = "seal/statement.json"
_LIMIT = 64 * 1024**2
_Rows = list[tuple[EvidenceItem, TableRows]]


@dataclass(frozen=True)
class Published:
    """What was laid out."""

    record: LakeRun
    new: bool
    """False: all of it was there already."""


def publish(
    place: Place,
    sealed: container.Container,
    bundle: Path,
    progress: Callable[[str], None] = lambda text: None,
    *,
    part_bytes: int = PART_BYTES,
) -> Published:
    """Lay a sealed run out.

    Args:
        place: the lake.
        sealed: the bundle, with its seal.
        bundle: a folder with every file that is in its SHA256SUMS, each as it is listed there.
        progress: told what is being written.
        part_bytes: how large the files of a part may be together.

    Raises:
        NotReadyError: it was sealed without digests of its content.
        OutputError: something else lies where it would.
        CollectError: the storage refuses, or cannot be reached.
    """
    run, items = store.read_run(bundle), store.read_items(bundle)
    record = _record(bundle, run, items)
    there = _there(place, record)
    if not there:
        for table in record.tables:
            progress(table)
            _table(place, bundle, run.id, table, _rows(items, table), part_bytes)
        progress("replies")
        _replies(place, bundle, run.id, items)
    new = _rest(place, sealed, run.id)
    if not there:
        new = _create(place, lake.record(run.id), _bytes(record)) or new
    return Published(record, new)


def _record(bundle: Path, run: RunRecord, items: Sequence[EvidenceItem]) -> LakeRun:
    assert run.finished_at is not None  # a run that is sealed did finish
    tables: dict[str, LakeTable] = {}
    for item in items:
        for rows in item.tables:
            if rows.content_sha256 is None:
                raise NotReadyError(
                    f"{item.id} was collected without a digest of what its rows say, so nothing elsewhere can be held to it",
                    hint="Keep this bundle as it is; runs of this version can be laid out.",
                )
            was = tables.get(rows.table, LakeTable(rows=0, items=0))
            tables[rows.table] = LakeTable(rows=was.rows + rows.rows, items=was.items + 1)
    return LakeRun(
        run_id=lake.named(run.id),
        run_sha256=canonical.sha256_file(bundle / store.RUN_FILE),
        organization=run.organization,
        system=run.system,
        environment=run.environment,
        finished_at=run.finished_at,
        replies=sum(len(item.replies) for item in items),
        tables=dict(sorted(tables.items())),
    )


def _bytes(record: LakeRun) -> bytes:
    return canonical.to_bytes(record.to_json()) + b"\n"


def _there(place: Place, record: LakeRun) -> bool:
    """Whether this very run is recorded.

    Raises:
        OutputError: another one is, under its name.
    """
    name = lake.record(record.run_id)
    if name not in place.objects(name):
        return False
    if _read(place, name) != _bytes(record):
        raise OutputError(f"another run lies there as {record.run_id}", hint="Lay this one out in another place.")
    return True


def _rows(items: Sequence[EvidenceItem], table: str) -> _Rows:
    """What the items gave to a table, without those that gave no row."""
    return [(item, rows) for item in items for rows in item.tables if rows.table == table and rows.rows]


# -- tables -----------------------------------------------------------------------------------------------------------


def _table(place: Place, bundle: Path, run: str, table: str, rows: _Rows, part_bytes: int) -> None:
    under = lake.partition(run, table)
    parts = {f"{under}part-{n:04d}.parquet": part for n, part in enumerate(_parts(rows, part_bytes), start=1)}
    present = place.objects(under)
    if strangers := sorted(present.keys() - parts.keys()):
        raise _else(strangers[0])
    for name, part in parts.items():
        with tempfile.TemporaryDirectory(prefix="compliancectl-lake-") as scratch:
            file = Path(scratch) / "part.parquet"
            if name in present or not _write(place, bundle, name, part, file):
                _fetch(place, name, file)
                if not _says(file, part):
                    raise _else(name)


def _parts(rows: _Rows, part_bytes: int) -> Iterator[_Rows]:
    part: _Rows = []
    for item, mine in rows:
        if part and (sum(r.bytes for _, r in part) + mine.bytes > part_bytes or len(part) >= PART_FILES):
            yield part
            part = []
        part.append((item, mine))
    if part:
        yield part


def _write(place: Place, bundle: Path, name: str, part: _Rows, file: Path) -> bool:
    """Write a part and make it an object; False if there is one already."""
    evidence = bundle / store.EVIDENCE
    write_part([evidence / item.id / rows.path for item, rows in part], evidence, file)
    if not _says(file, part):
        raise NotReadyError(
            f"the rows in the bundle are not what was sealed of their content, at {name}",
            hint="`compliancectl replay` says which; this bundle is not laid out.",
        )
    with file.open("rb") as stream:
        try:
            place.create(name, stream, file.stat().st_size, None)
        except Taken:
            return False
    return True


def _says(file: Path, part: _Rows) -> bool:
    """Whether a file says of each item what was sealed of it, and nothing else."""
    found = content_of([file])
    return found is not None and {id: content.sha256 for id, content in found.items()} == {
        item.id: rows.content_sha256 for item, rows in part
    }


def _else(name: str) -> OutputError:
    return OutputError(f"something else lies at {name}, and is never overwritten", hint="Have it looked at.")


# -- everything else --------------------------------------------------------------------------------------------------


def _replies(place: Place, bundle: Path, run: str, items: Sequence[EvidenceItem]) -> None:
    present = place.objects(lake.reply(run, ""))
    for item in items:
        for reply in item.replies:
            name = lake.reply(run, f"{item.id}/{reply.path}")
            if name in present:
                if digest(place, name) != reply.sha256:
                    raise _else(name)
                continue
            with (bundle / store.EVIDENCE / item.id / reply.path).open("rb") as stream:
                try:
                    place.create(name, stream, reply.bytes, None)
                except Taken:
                    if digest(place, name) != reply.sha256:
                        raise _else(name) from None


def _rest(place: Place, sealed: container.Container, run: str) -> bool:
    """The sealed bundle without what lies elsewhere; False if it is there already."""
    name = lake.rest(run, canonical.sha256(container.read(sealed, _STATEMENT, limit=_LIMIT)))
    if name in place.objects(name):
        return False  # what was added to the seal since does not change what was sealed
    with io.BytesIO() as stream:
        archive.write(_Rest(sealed), run, stream)
        return _create(place, name, stream.getvalue())


class _Rest:
    """A bundle without its tables and replies."""

    def __init__(self, whole: container.Container) -> None:
        self.sizes: Mapping[str, int] = {
            name: size for name, size in whole.sizes.items() if not lake.lies_elsewhere(name)
        }
        self.open, self.digests = whole.open, whole.digests

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """The whole is not ours to close."""


def _create(place: Place, name: str, data: bytes) -> bool:
    """Make a small object; False if this very one is there already."""
    try:
        place.create(name, io.BytesIO(data), len(data), None)
    except Taken:
        if _read(place, name) != data:
            raise _else(name) from None
        return False
    return True


def _read(place: Place, name: str) -> bytes:
    with place.open(name) as stream:
        return stream.read()


def _fetch(place: Place, name: str, file: Path) -> None:
    import shutil

    with place.open(name) as stream, file.open("wb") as out:
        shutil.copyfileobj(stream, out, 1024**2)
