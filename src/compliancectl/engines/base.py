"""What an engine must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from compliancectl.model.certificate import EngineJobs
from compliancectl.model.lake import Source
from compliancectl.model.table import Table
from compliancectl.query.bind import Bound
from compliancectl.query.content import Content


class EngineFailed(Exception):
    """The engine could not answer: the sentence says why. Nothing is known about the items then."""


@dataclass(frozen=True)
class Settings:
    """How an engine is reached."""

    master: str = "local[*]"
    """Of Spark: `local[N]`, or the address of a cluster's master."""
    brief: bool = False
    """Whether many small questions will be asked, so that starting fast counts for more than running fast."""
    dataset: str = ""
    """Of BigQuery: `PROJECT.DATASET`, where evidence may be loaded."""
    location: str | None = None
    """Where that dataset must be; absent: wherever it is."""
    endpoint: str | None = None
    """Base URL of BigQuery's API, instead of Google's public one."""
    max_bytes: int = 10 * 2**30
    """Most bytes that one query may be billed for."""
    timeout_s: float = 600.0
    """Longest time for one query or one load, in seconds."""
    retry_s: float = 60.0
    """How long a request that BigQuery could not take for the moment is repeated, in seconds."""


@dataclass(frozen=True)
class World:
    """Rows for every table that a test reads: an example, or an example with one value missing."""

    name: str
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    """Table → rows as typed Python values."""


Answer = list[tuple[Any, ...]]
"""Rows of the population's columns followed by one boolean (or None) per check, in no order."""


class Engine(Protocol):
    """Answers SQL of the portable subset over evidence tables."""

    name: str

    def version(self) -> str:
        """The engine and its version, for example `spark 4.3.0`."""

    def translator(self) -> str:
        """What translates a control's SQL, with its version."""

    def translate(self, sql: str) -> str:
        """A control's SQL as this engine runs it.

        Raises:
            Refused: it leaves what can be translated.
        """

    def reads(self, place: str) -> bool:
        """Whether it can read for itself what lies below an address, such as `gs://bucket/prefix`."""

    def contents(self, table: Table, addresses: Sequence[str]) -> Mapping[str, Content]:
        """What the rows of objects say, by the evidence item that each row names; read where they lie.

        Raises:
            EngineFailed: it did not finish, or rows do not say of which item they are.
        """

    def declare(self, tables: Mapping[str, Table], files: Mapping[str, Sequence[Source]]) -> None:
        """Make the evidence tables known; a table without files is empty. Objects are read where they lie."""

    def prepare(self, bound: Bound) -> None:
        """Hold a test's SQL against the declared tables without running it.

        Raises:
            Refused: the engine does not accept it.
        """

    def answer(self, bound: Bound, out: Path) -> None:
        """Run a test on the declared tables and write its answer as Parquet files into the new folder `out`.

        Raises:
            EngineFailed: it did not finish.
        """

    def worlds(self, bound: Bound, tables: Mapping[str, Table], worlds: Sequence[World]) -> list[Answer | EngineFailed]:
        """Answer a test once for each world."""

    def jobs(self) -> EngineJobs:
        """What the engine ran, if it keeps count of it; kept beside the certificate."""

    def close(self) -> None:
        """Release what the engine holds."""
