"""The collector interface.

A collector declares **tables** (typed columns, least permissions) and **feeds**. A feed is what is fetched in
one go from one target (a project, a database, a repository) and the one or more tables that its replies are
shaped into. Its two functions keep collection honest:

* `fetch` talks to the source and yields replies, untouched but for declared redactions; it returns how it
  knows that nothing is missing. It raises a `CollectError` when it could not look. It never returns less
  than it was asked for in silence.
* `shape` is pure: one reply in, rows out. Both the reply and the rows are kept, so anybody can derive the
  rows again.

`compliancectl.collect` drives them: in parallel, with progress, resumable. Installed is not enabled: only the
collectors that the scope names are loaded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from compliancectl.model.evidence import Attempt, Completeness, Principal, Window
from compliancectl.model.table import Table
from compliancectl.redaction import People

Row = tuple[str, Mapping[str, Any]]
"""(table name, values by column). A column left out is NULL."""


@dataclass(frozen=True)
class Target:
    """What one collection of one feed is about: a project, a database, an organisation, a folder."""

    name: str
    """Unique within the feed; shown to people: `larkspur-prod`, `larkspur-learning/app`."""
    endpoint: str
    """Where it is asked, e.g. `https://sqladmin.googleapis.com` or `larkspur-prod:europe-west3:app/app`."""


@dataclass(frozen=True)
class Reply:
    """One answer of the source, byte for byte after declared redactions."""

    body: bytes
    operation: str
    """The exact query, e.g. `GET https://…?pageSize=1000`, an SQL text, a GraphQL document, an RPC name."""
    requested_at: datetime
    completed_at: datetime
    status: str = "200"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    media_type: str = "application/json"
    request_id: str | None = None
    etag: str | None = None
    server_date: str | None = None
    attempts: Sequence[Attempt] = ()
    redactions: Mapping[str, int] = field(default_factory=dict)
    """Class of what was removed or replaced → count."""
    context: Mapping[str, str] = field(default_factory=dict)
    """What `shape` needs besides the body; kept beside it."""


@dataclass(frozen=True)
class Context:
    """What a run tells every collector."""

    period: Window
    as_of: datetime
    """Start of the run. Collectors never read the clock to decide what to fetch."""
    environment: str
    folder: Path
    """Where relative paths of the scope file start."""
    deadline_s: float = 120.0
    """How long one request may take in all, retries and pauses included, in seconds."""
    max_calls: int | None = None
    """Most requests that a source which keeps such a budget may be sent in this run; None: no limit."""
    people: People | None = None
    """Gives pseudonyms for personal values; None: a collector removes them."""
    unfinished: Path | None = None
    """Where a collector may keep parts of a long answer until the run is complete; the next try finds them there."""
    write_probes: bool = False
    """Whether somebody allowed to try writes, rolled back, in databases that the scope declares to be clones."""
    progress: Callable[[str], None] = lambda text: None
    """Tells a person what is going on, e.g. `page 3`; thread-safe; may do nothing."""


S = TypeVar("S", bound="Session")
Fetched = Generator[Reply, None, Completeness]
"""Yields replies, returns how completeness is known."""


@dataclass(frozen=True)
class Feed(Generic[S]):
    """What is fetched in one go, and the tables it gives."""

    name: str
    """Within its collector: `sql_backup_runs`. With it: `gcp.sql_backup_runs`."""
    description: str
    tables: tuple[Table, ...]
    targets: Callable[[S], Iterable[Target]]
    """What to collect it from; offline (from the scope section alone)."""
    fetch: Callable[[S, Target], Fetched]
    shape: Callable[[Reply], Iterator[Row]]
    window: Callable[[S], Window | None] = lambda session: None
    """The span of time that the replies speak about, when they are events and not a state."""
    corroborate: Callable[[S, Target], str | None] = lambda session, target: None
    """A query that finds this collection in the source's own audit log."""
    freshness: str = "as it was when the source was asked"
    """How new what it tells is, in words."""


@dataclass(frozen=True)
class Diagnosis:
    """One line of `compliancectl doctor`."""

    subject: str
    """What was tried: `credentials`, `cloudsql.instances.list on larkspur-prod`."""
    outcome: Literal["ok", "missing", "unknown"]
    detail: str
    fix: str | None = None
    """What to run or click to mend it."""


class Session(ABC):
    """An open connection to one source with one scope section. Thread-safe: feeds run in parallel on it."""

    @abstractmethod
    def principal(self) -> Principal:
        """Who asks. Raises `CollectError` if it cannot be told."""

    @abstractmethod
    def doctor(self) -> Iterator[Diagnosis]:
        """Try credentials, reachability and each permission, one by one. Never raises `CollectError`."""

    @abstractmethod
    def close(self) -> None:
        """Release connections."""


C = TypeVar("C", bound=BaseModel)


class Collector(ABC, Generic[C, S]):
    """One source. A module-level instance of a subclass is the entry point.

    Importing the module that holds it must be cheap: vendor libraries are imported inside functions.
    """

    name: str
    """Also the first part of its tables' names, and the key of its section in the scope file."""
    system: str
    """For people: `Google Cloud`, `PostgreSQL`, `GitHub`, `Documents`."""
    config: type[C]
    """Pydantic model of its section in the scope file (extra keys forbidden)."""
    feeds: tuple[Feed[S], ...]
    workers: int = 8
    """How many of its feeds may be fetched at the same time."""

    @abstractmethod
    def open(self, config: C, context: Context) -> AbstractContextManager[S]:
        """Open a session. Does not fail on bad credentials: those show in the first fetch, as a `CollectError`."""

    @abstractmethod
    def permissions(self) -> str:
        """How to grant the least permissions, ready to paste: roles, GRANTs, app settings. Markdown text."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables of all feeds, sorted by name."""
        return tuple(sorted((t for f in self.feeds for t in f.tables), key=lambda t: t.name))

    def feed_of(self, table: str) -> Feed[S]:
        """The feed that gives `table`; KeyError if none does."""
        for feed in self.feeds:
            if any(t.name == table for t in feed.tables):
                return feed
        raise KeyError(table)
