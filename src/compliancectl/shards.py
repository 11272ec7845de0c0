"""Parts of a run: which one this is, what it collects, and the record that says so beside `run.json`.

The plan, that is every feed and target, follows from the scope and the controls alone, so each machine knows the whole
plan without asking the others. Its evidence items are dealt out in the order of their ids, as cards are. A feed of one
target is never divided: a shard holds whole evidence items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from compliancectl import canonical, disk
from compliancectl.errors import FileError, NotReadyError, UsageError
from compliancectl.model.shard import Shard, ShardRecord

FILE = "shard.json"
_TASKS = (
    ("COMPLIANCECTL_TASK_INDEX", "COMPLIANCECTL_TASK_COUNT"),
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"),
)
"""Variables with a task's number, counted from 0, and how many there are: our own (which the GitHub Action sets from
the matrix), and those of Cloud Run Jobs."""
_EXECUTIONS = ("COMPLIANCECTL_EXECUTION", "CLOUD_RUN_EXECUTION", "GITHUB_RUN_ID")


def parse(text: str) -> Shard:
    """Read `3/10`.

    Raises:
        UsageError: if it is nothing of the kind.
    """
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    try:
        return Shard(number=int(found[1]), count=int(found[2])) if found else _none(text)
    except ValidationError:
        return _none(text)


def _none(text: str) -> Shard:
    raise UsageError(f"{text!r} is no shard", hint="Write the third of ten as 3/10; they are counted from 1.")


def of_environment(variables: Mapping[str, str]) -> Shard | None:
    """The shard that a task of several is, by its environment; None when it is not one of several.

    Raises:
        UsageError: if the variables do not fit together.
    """
    for index, count in _TASKS:
        if variables.get(count, "") not in ("", "1"):
            texts = variables.get(index, ""), variables[count]
            if not all(text.isascii() and text.isdigit() for text in texts):
                raise UsageError(f"{index}={texts[0]} and {count}={texts[1]} name no shard", hint="Give --shard.")
            return parse(f"{int(texts[0]) + 1}/{int(texts[1])}")
    return None


def execution(variables: Mapping[str, str]) -> str | None:
    """What the environment calls the whole that this task is a part of."""
    return next((variables[name] for name in _EXECUTIONS if variables.get(name)), None)


def write(folder: Path, record: ShardRecord) -> None:
    """Write `shard.json`."""
    disk.write_whole(folder / FILE, canonical.to_bytes(record.to_json()) + b"\n")


def read(folder: Path) -> ShardRecord | None:
    """Read `shard.json`; None when the folder holds no shard.

    Raises:
        FileError: if it is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        return ShardRecord.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise FileError(f"this record is damaged: {first}", file=file, hint="Collect this shard again.") from error


def refuse(folder: Path) -> None:
    """Leave a part of a run alone where only a whole one will do.

    Raises:
        NotReadyError: if the folder holds a shard.
    """
    found = read(folder)
    if found is not None:
        raise NotReadyError(
            f"{folder} holds shard {found.shard} of a run, not a run",
            hint="Join all shards with `compliancectl merge`.",
        )


def refuse_other(folder: Path, part: ShardRecord | None) -> None:
    """Leave a folder alone that holds another part than the one asked for.

    Raises:
        UsageError: it does.
    """
    found = read(folder)
    here, asked = found.shard if found else None, part.shard if part else None
    if here != asked:
        what, hint = f"shard {here}" if here else "a whole run", "Choose a new folder with --output."
        raise UsageError(f"{folder} holds {what}, not {f'shard {asked}' if asked else 'a whole run'}", hint=hint)
