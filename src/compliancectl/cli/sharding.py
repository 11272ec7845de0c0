"""Which part of a run this process collects: as it was told, or as its environment says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from compliancectl.model.shard import ShardRecord


def part(named: str | None) -> ShardRecord | None:
    """The part that `--shard` or the environment names; says on stderr when it was the environment.

    Raises:
        UsageError: if it names none.
    """
    from compliancectl import shards
    from compliancectl.model.shard import ShardRecord

    shard = shards.parse(named) if named else shards.of_environment(os.environ)
    if shard is None:
        return None
    if not named:
        typer.echo(f"Collecting shard {shard}, as this task's environment says.", err=True)
    return ShardRecord(shard=shard, execution=shards.execution(os.environ))


def refuse_task() -> None:
    """Refuse to do the whole in one task of several: each would collect everything.

    Raises:
        UsageError: if the environment says that this is a task of several.
    """
    from compliancectl import shards
    from compliancectl.errors import UsageError

    if (shard := shards.of_environment(os.environ)) is not None:
        hint = "Use `compliancectl collect` in the tasks, then `compliancectl merge`; or give the job one task."
        raise UsageError(f"this is task {shard}, and `run` does the whole", hint=hint)
