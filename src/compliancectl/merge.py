"""Shards → one run, as if one machine had collected it.

    shards read ──▶ same scope, tool, feeds, plan? ──▶ each number once? ──▶ each item once, by its owner? ──▶ linked

What results is a run folder like any other; the shards' own records are kept under `shards/`. Judging it gives the
results that an unsharded run of the same evidence gives, byte for byte.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from compliancectl import canonical, disk, shards, store
from compliancectl.errors import FileError, NotReadyError, OutputError, UsageError
from compliancectl.model.evidence import RunRecord, Window
from compliancectl.model.shard import ShardRecord

FOLDER = "shards"
"""Where the merged run keeps the records of its shards."""
LONGEST = timedelta(hours=24)
"""Shards of one run begin within a day: what was collected last week is no part of today."""


@dataclass(frozen=True)
class Part:
    """One shard, read."""

    folder: Path
    record: ShardRecord
    run: RunRecord

    @property
    def number(self) -> int:
        return self.record.shard.number


def join(folders: Sequence[Path], out: Path) -> RunRecord:
    """Join the shards of one run into the run folder `out`, which must be new or empty.

    Raises:
        UsageError: a folder holds no shard; a shard is missing, is there twice, or is of another run.
        NotReadyError: the collection of a shard did not finish.
        FileError: a record or an item is damaged.
        OutputError: `out` cannot be used.
    """
    parts = sorted((_read(folder) for folder in folders), key=lambda part: part.number)
    _check_numbers(parts)
    _check_same(parts)
    items = dict(_items(parts))
    _check_room(out)
    record = _record(parts, {id: digest for id, (_, digest) in items.items()})
    with disk.output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for id, (part, _) in sorted(items.items()):
            _link(part.folder / store.EVIDENCE / id, out / store.EVIDENCE / id)
        (out / store.EVIDENCE).mkdir(exist_ok=True)
        for part in parts:
            kept = out / FOLDER / f"{part.number:04}"
            kept.mkdir(parents=True)
            for name in (store.RUN_FILE, shards.FILE):
                shutil.copyfile(part.folder / name, kept / name)
        store.write_run(out, record)
    return record


def _read(folder: Path) -> Part:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Name the run folders that `collect --shard` wrote.")
    record = shards.read(folder)
    if record is None:
        raise UsageError(
            f"{folder} holds no shard of a run", hint="Name the folders that `collect --shard` wrote, and no other."
        )
    run = store.read_run(folder)
    if run.status == "open" or run.evidence is None or record.plan is None:
        raise NotReadyError(
            f"the collection of shard {record.shard} in {folder} did not finish",
            hint=f"Go on with it: compliancectl collect --shard {record.shard} --resume --output {folder}",
        )
    return Part(folder, record, run)


def _check_numbers(parts: Sequence[Part]) -> None:
    """Every number from 1 to the count, each once."""
    counts = sorted({part.record.shard.count for part in parts})
    if len(counts) != 1:
        said = ", ".join(f"{part.folder} is {part.record.shard}" for part in parts)
        raise UsageError(f"these are shards of different divisions: {said}", hint="Merge the shards of one run.")
    tally = Counter(part.number for part in parts)
    if doubled := [number for number, times in sorted(tally.items()) if times > 1]:
        where = ", ".join(str(part.folder) for part in parts if part.number == doubled[0])
        raise UsageError(f"shard {doubled[0]}/{counts[0]} is here more than once: {where}", hint="Name each once.")
    if missing := [number for number in range(1, counts[0] + 1) if number not in tally]:
        names = ", ".join(f"{number}/{counts[0]}" for number in missing)
        raise UsageError(f"missing: shard {names}", hint="Collect what is missing, and name every shard.")


def _check_same(parts: Sequence[Part]) -> None:
    """All shards are of one run: what can be told apart must be equal."""
    first = parts[0]
    for other in parts[1:]:
        for (what, mine), (_, theirs) in zip(_identity(first), _identity(other), strict=True):
            if mine != theirs:
                raise UsageError(
                    f"shards {first.record.shard} and {other.record.shard} differ in {what}",
                    hint="Collect all shards with one scope file, one version and one selection of controls.",
                )
    starts = [part.run.started_at for part in parts]
    if max(starts) - min(starts) > LONGEST:
        raise UsageError(
            "the shards were begun more than a day apart", hint="Collect all shards of a run on the same day."
        )


def _identity(part: Part) -> Iterator[tuple[str, Any]]:
    run = part.run
    yield "the run that they are part of", part.record.execution
    yield "organization, system or environment", (run.organization, run.system, run.environment)
    yield "the scope file", run.scope_sha256
    yield "the version of the tool", run.tool_version
    yield "the collectors", run.collectors
    yield "the feeds, that is the selected controls", run.feeds
    yield "the plan of what there is to collect", part.record.plan


def _items(parts: Sequence[Part]) -> Iterator[tuple[str, tuple[Part, str]]]:
    """Every item of the plan with the one shard that it is from, and the digest of its record."""
    plan = parts[0].record.plan or ()
    owners = {id: parts[position % len(parts)] for position, id in enumerate(plan)}
    for part in parts:
        evidence = part.run.evidence or {}
        for id, digest in sorted(evidence.items()):
            if owners.get(id) is not part:
                raise UsageError(f"shard {part.record.shard} holds {id}, which is not its own", hint=_AGAIN)
            file = part.folder / store.EVIDENCE / id / store.ITEM_FILE
            if not file.is_file() or canonical.sha256_file(file) != digest:
                raise FileError(f"{id} is not what shard {part.record.shard} collected", file=file, hint=_AGAIN)
            yield id, (part, digest)
    if absent := [id for id in plan if id not in (owners[id].run.evidence or {})]:
        shard = owners[absent[0]].record.shard
        raise UsageError(f"shard {shard} did not collect {absent[0]}, which is its own", hint=_AGAIN)


_AGAIN = "Collect this shard again, into a new folder."


def _check_room(out: Path) -> None:
    disk.refuse_sealed(out)
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError("something else is here already", file=out, hint="Choose a folder that does not exist yet.")


def _record(parts: Sequence[Part], evidence: dict[str, str]) -> RunRecord:
    """The record of the whole: begun with the first shard, finished with the last, about what all of them speak about."""
    runs = [part.run for part in parts]
    begun = min(runs, key=lambda run: (run.started_at, run.id))
    return begun.model_copy(
        update={
            "finished_at": max(run.finished_at for run in runs if run.finished_at is not None),
            "status": "complete" if all(run.status == "complete" for run in runs) else "partial",
            "period": Window(start=max(run.period.start for run in runs), end=min(run.period.end for run in runs)),
            "evidence": dict(sorted(evidence.items())),
        }
    )


def _link(source: Path, target: Path) -> None:
    """Give an item's files a second name; copy them where the file system knows no links."""
    target.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        try:
            (target / file.name).hardlink_to(file)
        except OSError:
            shutil.copyfile(file, target / file.name)
