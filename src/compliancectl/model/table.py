"""Tables: evidence shaped into typed rows. What a control may read is declared here, before any data exists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scalar:
    """A single value. `sql` is the DuckDB type; timestamps are held in UTC without a zone."""

    sql: str


@dataclass(frozen=True)
class ListOf:
    """A list; NULL (the source did not say) is not the empty list (the source said: none)."""

    item: Type

    @property
    def sql(self) -> str:
        return f"{self.item.sql}[]"


@dataclass(frozen=True)
class Struct:
    """Named fields; each may be NULL. Written in SQL as `column.field`."""

    fields: tuple[tuple[str, Type], ...]

    @property
    def sql(self) -> str:
        inner = ", ".join(f'"{name}" {kind.sql}' for name, kind in self.fields)
        return f"STRUCT({inner})"


Type = Scalar | ListOf | Struct

TEXT = Scalar("VARCHAR")
BOOL = Scalar("BOOLEAN")
INT = Scalar("BIGINT")
TIME = Scalar("TIMESTAMP")
DATE = Scalar("DATE")


def struct(**fields: Type) -> Struct:
    """Write a struct type as `struct(name=TEXT, value=TEXT)`."""
    return Struct(tuple(fields.items()))


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Row values are `str`, `bool`, `int`, aware `datetime` (TIME), `date` (DATE), `list`, `dict`, or None. Nothing is
    coerced: a value of another type breaks the contract, and its record becomes an unknown item.
    """

    name: str
    type: Type
    description: str
    source: str = ""
    """The API field, catalogue column or rule it comes from, e.g. `sqladmin.v1#DatabaseInstance:settings.tier`."""
    required: bool = False
    """NULL breaks the contract. Set it for what identifies the row, and for what the source always sends."""


@dataclass(frozen=True)
class Table:
    """Typed rows of one kind, e.g. `gcp.sql_instance`: one row per Cloud SQL instance."""

    name: str
    description: str
    """What one row is, e.g. `One row per Cloud SQL instance, replicas included.`"""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Columns that together identify a row; two rows with one key break the contract."""
    permissions: tuple[str, ...] = ()
    """Least permissions in the source's own terms, e.g. `cloudsql.instances.list`."""
    drops: tuple[str, ...] = field(default=())
    """What `fetch` removes from replies before they are kept, in words, e.g. `settings.userLabels: may name people`."""

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def column(self, name: str) -> Column:
        """Return the column called `name`; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def source(self) -> str:
        """`gcp` of `gcp.sql_instance`."""
        return self.name.partition(".")[0]
