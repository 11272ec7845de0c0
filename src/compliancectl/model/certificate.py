"""An engine's certificate: for which controls it answered as DuckDB does."""

from __future__ import annotations

from typing import Literal

from compliancectl.model.base import Model, Wire

_JUDGED = ", judged on "


class Difference(Model):
    """One answer that was another."""

    where: str
    """Control, test, example, and the value that was missing, if one was."""
    what: str


class CertifiedControl(Model):
    """One control, exactly as it was when the engine was tried."""

    id: str
    sha256: str
    """Of the control's file."""
    tables_sha256: str
    """Of the declared types of the tables that it reads."""
    worlds: int
    """Examples and null probes that were answered."""
    differing: int
    """How many of them were answered differently; the engine may judge only if this is 0."""
    differences: tuple[Difference, ...] = ()
    """The first few."""
    unexampled: tuple[str, ...] = ()
    """Tests without an example: nothing shows how the engine answers them, so it may not judge by this control."""

    @property
    def granted(self) -> bool:
        """Whether the engine may judge by this control."""
        return bool(self.worlds) and not self.differing and not self.unexampled


class Certificate(Wire):
    """What one engine, with one translator, was certified for."""

    version: Literal[1] = 1
    engine: str
    translator: str
    reference: str
    """The engine that it was compared with."""
    tool_version: str
    controls: tuple[CertifiedControl, ...]

    @property
    def certified(self) -> tuple[str, ...]:
        """Ids of the controls by which the engine may judge."""
        return tuple(control.id for control in self.controls if control.granted)

    def names(self, engine: str) -> bool:
        """Whether it is about the engine, and the translator, that results name as the one that answered."""
        return answered(engine) is not None and engine.startswith(answered_by(self.engine, self.translator, ""))


def answered_by(engine: str, translator: str, judge: str) -> str:
    """How results name two engines, of which one answered and the other judged by its answers."""
    return f"{engine} through {translator}{_JUDGED}{judge}"


def answered(engine: str) -> str | None:
    """Of the engine that results name: the part that answered without judging; None if there is one engine only."""
    first, judged, _ = engine.rpartition(_JUDGED)
    return first if judged else None


class EngineJob(Model):
    """One job of the engine that gave one test's answer; whoever has the rights finds it there by its name."""

    control: str
    test: str
    job: str
    """As the engine's own console names it, such as `project:EU.compliancectl_…`."""
    bytes_processed: int
    bytes_billed: int
    rows: int
    """Items in the answer."""
    sql_sha256: str
    """Of the query that ran."""


class DigestJob(Model):
    """One job that held a table, read where it lies, to what was sealed."""

    table: str
    job: str
    bytes_processed: int
    bytes_billed: int
    sql_sha256: str


class ObjectRead(Model):
    """One object that an engine read where it lies. It was the same before the first question about it and after the last."""

    address: str
    bytes: int
    generation: str
    """What the storage says of no other object, of this name or later: Cloud Storage's number; S3's tag and time."""


class EngineJobs(Wire):
    """Every job of one judgement, by control and test; and what was read in place."""

    version: Literal[1] = 1
    jobs: tuple[EngineJob, ...] = ()
    digests: tuple[DigestJob, ...] = ()
    in_place: tuple[ObjectRead, ...] = ()
