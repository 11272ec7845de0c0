"""What came of fetching a sample of a bundle's evidence once more, with other credentials."""

from __future__ import annotations

from typing import Literal

from compliancectl.model.base import Instant, Model, Wire


class RowChange(Model):
    """One row that is not the same now."""

    key: str
    kind: Literal["changed", "only then", "only now"]
    columns: tuple[str, ...] = ()
    """`changed`: the columns with another value."""


class TableAgain(Model):
    """One table of one evidence item, then and now."""

    table: str
    rows_then: int
    rows_now: int
    same: int
    changes: tuple[RowChange, ...] = ()


class ItemAgain(Model):
    """One evidence item of the sample."""

    number: int
    id: str
    md5: str
    """Of the seed followed by the id: what the items are drawn by."""
    status_then: str
    status_now: str
    reason: str | None = None
    """Why it could not be fetched in full now."""
    tables: tuple[TableAgain, ...] = ()

    @property
    def outcome(self) -> Literal["same", "differs", "not fetched"]:
        """`not fetched` when it was collected then and could not be now; that says nothing about what is true."""
        if self.status_then == "collected" != self.status_now:
            return "not fetched"
        if self.status_then != self.status_now or any(table.changes for table in self.tables):
            return "differs"
        return "same"


class Reperformance(Wire):
    """The outcome of `reperform`."""

    version: Literal[1] = 1
    run_id: str
    statement_sha256: str
    """Of the signed statement of the bundle."""
    collected_at: Instant
    reperformed_at: Instant
    seed: str
    frame: int
    """Evidence items to draw from: those that were collected from something."""
    items: tuple[ItemAgain, ...]

    @property
    def exit_code(self) -> int:
        """0 all the same, 1 something differs, 3 something could not be fetched."""
        outcomes = {item.outcome for item in self.items}
        return 3 if "not fetched" in outcomes or not self.items else (1 if "differs" in outcomes else 0)
