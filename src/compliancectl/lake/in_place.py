"""Tables in a bucket that an engine reads where they lie: nothing is copied, and nothing is loaded.

    1. the storage says which objects there are, and which making of each (Cloud Storage's generation; S3's tag and time)
    2. the engine itself computes what they say, and that must be what was sealed of each evidence item
    3. the engine answers the controls
    4. the storage is asked again: if it names another object, or another making of one, nothing was answered

An object that is changed back is another making too, so what was held to the seal is what was judged by. What an engine
computes need not be believed: rows that are not those that were sealed have no way to the digest of those that were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compliancectl import clock
from compliancectl.depot import Stated
from compliancectl.engines.base import Engine, EngineFailed
from compliancectl.errors import CollectError, Garbage, SourceFailed
from compliancectl.lake.reading import RunTables
from compliancectl.model.certificate import ObjectRead
from compliancectl.model.lake import Source
from compliancectl.model.table import Table
from compliancectl.query.content import Content

_COPY = "--copy-tables reads a copy instead"


@dataclass
class TablesInPlace(RunTables):
    """One run in a bucket that an engine reads itself."""

    engine: Engine
    declared: Mapping[str, Table]
    _pinned: dict[str, dict[str, Stated]] = field(default_factory=dict)
    """Table → its objects, as the storage described them before they were first read."""

    def contents(self, table: str) -> tuple[Sequence[Source], Mapping[str, Content]]:
        """The addresses of a table's objects, and what the engine finds that they say.

        Raises:
            CollectError: they cannot be listed or read, or the storage does not say which making of an object it has.
        """
        stated = self.stated(table)
        for name, about in stated.items():
            if _making(about) is None:
                raise Garbage(f"the storage does not say which making of {name} it has ({_COPY})")
        self._pinned[table] = stated
        addresses = [self.place.address(name) for name in stated]
        if not addresses:
            return (), {}
        try:
            return addresses, self.engine.contents(self.declared[table], addresses)
        except EngineFailed as failed:
            said = f"{table} could not be read in place ({_COPY}): {str(failed).rstrip('.')}"
            raise SourceFailed(said) from failed

    def changed(self, table: str) -> str | None:
        """Why nothing holds that the engine said about a table; None if it does."""
        try:
            now = self.stated(table)
        except CollectError as error:
            return f"Whether {table} stayed as it was while it was read in place is not known: {error.message}."
        if now == self._pinned.get(table):
            return None
        return f"{table} in {self.title} was changed while it was read in place; judge again."

    def read_in_place(self) -> tuple[ObjectRead, ...]:
        """The objects, by table and name."""
        return tuple(
            ObjectRead(address=self.place.address(name), bytes=about.size, generation=str(_making(about)))
            for _, objects in sorted(self._pinned.items())
            for name, about in objects.items()
        )


def _making(about: Stated) -> str | None:
    """What the storage says of no other object of this name, earlier or later."""
    if about.generation is not None or about.tag is None:
        return about.generation
    return f"{about.tag} {clock.text(about.made)}"
