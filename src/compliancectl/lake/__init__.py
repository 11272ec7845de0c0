"""A lake: the tables of many sealed runs where every engine reads them in place.

    tables/evidence_source=github/evidence_table=review/evidence_run=<run>/part-0001.parquet
    raw/<run>/github/reviews/app/raw-0001.json     the replies, byte for byte
    bundles/<run>-<start of the statement's digest>.zip   the sealed bundle without its tables and replies
    runs/<run>.json                                that all of it is there

Rows keep the evidence item that they came from in the column `evidence_item`. What they say is sealed (`content_sha256` in
`item.json`), so files may be compacted: nothing here needs to be the file that was written. Nothing is overwritten.
"""

from __future__ import annotations

import re

from compliancectl.errors import UsageError

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RUNS = "runs/"


def partition(run: str, table: str) -> str:
    """Where the rows lie that a run gave to a table, with a slash at its end."""
    source, _, name = table.partition(".")
    return f"tables/evidence_source={source}/evidence_table={name}/evidence_run={named(run)}/"


def reply(run: str, path: str) -> str:
    """Where a reply of a run lies; `path` is that below `evidence/`."""
    return f"raw/{named(run)}/{path}"


def record(run: str) -> str:
    """Where it is said that a run is there."""
    return f"{RUNS}{named(run)}.json"


def rest(run: str, statement_sha256: str) -> str:
    """Where the sealed bundle lies without its tables and replies."""
    return f"{rests(run)}{statement_sha256[:12]}.zip"


def rests(run: str) -> str:
    """What the names of all bundles of a run begin with."""
    return f"bundles/{named(run)}-"


def lies_elsewhere(name: str) -> bool:
    """Whether a file of a bundle is one that a lake has in its stead: a table, or a reply."""
    return name.startswith("evidence/") and name.count("/") == 4 and not name.endswith("/item.json")


def named(run: str) -> str:
    """A run's id, if it can be part of a path.

    Raises:
        UsageError: if it cannot.
    """
    if not _RUN.fullmatch(run):
        raise UsageError(f"{run!r} is no run's id", hint="`compliancectl tables list` shows those that are there.")
    return run
