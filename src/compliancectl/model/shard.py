"""A shard: the part of a run that one of several machines collects. The wire format of `shard.json`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from compliancectl.model.base import Model, Wire


class Shard(Model):
    """The `number`-th of `count` parts, counted from 1."""

    number: int = Field(ge=1)
    count: int = Field(ge=1, le=1000)

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.number > self.count:
            raise ValueError(f"there is no part {self.number} of {self.count}")
        return self

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def owns(self, position: int) -> bool:
        """True if the evidence item at this position of the plan is this shard's to collect."""
        return position % self.count == self.number - 1


class ShardRecord(Wire):
    """`shard.json` beside `run.json`: makes a run folder a part that must be merged before it is judged."""

    version: Literal[1] = 1
    shard: Shard
    execution: str | None = None
    """What the parts of one run have in common: the CI run, the execution of a job."""
    plan: tuple[str, ...] | None = None
    """Ids of the evidence items of all shards together, sorted; None until the scope's sources were opened."""
