"""The SQL that the collector sends, one file each in `sql/`: a sentence, the parameters' names, the statement.

A file may hold a second statement after the line `-- independent count`: it counts the same rows by another
route, in the same snapshot. Where there is none, the statement itself is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"
_COUNT = "\n-- independent count\n"
_PARAMETERS = "-- parameters: "


@dataclass(frozen=True)
class Query:
    """One statement, ready to send."""

    name: str
    statement: str
    parameters: tuple[str, ...]
    """Names of `$1`, `$2` … in order."""
    count: str
    """Statement that counts the rows."""
    counted_by: str
    """In words, how `count` knows."""


@cache
def query(name: str) -> Query:
    """Return the query of `sql/<name>.sql`."""
    text = (FOLDER / f"{name}.sql").read_text("utf-8")
    statement, _, count = text.partition(_COUNT)
    return of(name, statement, count)


def of(name: str, text: str, count: str = "") -> Query:
    """Make a query of its text: comment lines first, then the statement."""
    lines = text.splitlines()
    head = [line for line in lines if line.startswith("--")]
    statement = "\n".join(line for line in lines if not line.startswith("--")).strip()
    named = next((line.removeprefix(_PARAMETERS) for line in head if line.startswith(_PARAMETERS)), "")
    parameters = tuple(part.strip() for part in named.split(",") if part.strip())
    if count.strip():
        return Query(
            name, statement, parameters, count.strip(), "a second count by another route, in the same snapshot"
        )
    return Query(
        name,
        statement,
        parameters,
        f"select count(*) from (\n{statement}\n) counted",
        "count(*) over the same statement, in the same snapshot",
    )
