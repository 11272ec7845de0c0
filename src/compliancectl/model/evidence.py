"""Evidence: what a source answered, with where, when, by whom and how completely. The wire format of `item.json`."""

from __future__ import annotations

from typing import Any, Literal

from compliancectl.errors import Status
from compliancectl.model.base import Instant, Model, Wire


class Attempt(Model):
    """One try of one request, including those that were repeated."""

    at: Instant
    outcome: str
    """`200`, `429`, `disconnected`, a SQLSTATE …"""
    waited_ms: int = 0
    """Pause before this attempt, in milliseconds."""


class ReplyRecord(Model):
    """One raw reply as it is kept: the file, its digest, and what was asked to obtain it."""

    path: str
    """Relative to the item's folder."""
    sha256: str
    bytes: int
    media_type: str
    operation: str
    """The exact query: `GET https://…`, GraphQL document, SQL text, RPC name."""
    parameters: dict[str, Any] = {}
    """Variables and bound parameters (JSON-ready; never secrets)."""
    status: str
    request_id: str | None = None
    etag: str | None = None
    server_date: str | None = None
    requested_at: Instant
    completed_at: Instant
    attempts: tuple[Attempt, ...] = ()
    context: dict[str, str] = {}
    """What `shape` needs besides the body, e.g. `{"project": "p1"}`."""


class Completeness(Model):
    """How it is known that nothing is missing. A false or missing signal makes the item partial."""

    method: str
    """In words: `nextPageToken empty after 3 pages`, `count(*) in the same snapshot equals rows`."""
    pages: int
    items: int
    reported_total: int | None = None
    """What the source itself says the total is, if it does."""
    independent_count: int | None = None
    """A second count by another route."""
    exhausted: bool = True
    """The last page said that there is no more."""
    filters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True when every signal that is there agrees."""
        totals = [t for t in (self.reported_total, self.independent_count) if t is not None]
        return self.exhausted and not self.warnings and all(t == self.items for t in totals)


class Principal(Model):
    """Who asked."""

    subject: str
    authentication: str
    """`service account key`, `GitHub App installation`, `IAM database authentication` …"""
    read_only: str
    """How it is known that this principal could not write, or that it could."""


class RejectedRow(Model):
    """A record that breaks its table's contract. It becomes an unknown item of every test that reads the table."""

    reply: str
    """Path of the raw reply that holds it."""
    key: str
    """What identifies the record, as far as it can be read."""
    path: str
    """Where in the record, e.g. `$.settings.backup_enabled`."""
    message: str


class TableRows(Model):
    """The rows that one evidence item gave to one table."""

    table: str
    path: str
    """Parquet file, relative to the item's folder."""
    sha256: str
    bytes: int
    rows: int
    content_sha256: str | None = None
    """Digest of what the rows say, however files are cut: it holds for the same rows elsewhere. Absent in older evidence."""
    rejected: tuple[RejectedRow, ...] = ()


class Pseudonym(Model):
    """What stands for one personal value in the replies of an item, and the commitment that proves which."""

    pseudonym: str
    count: int
    """How often it occurs in the replies."""
    kind: str | None = None
    commitment: str | None = None
    """SHA-256 of the disclosure (RFC 9901), in base64url; None if no opening was held when the item was made."""


class Window(Model):
    """Half-open span of time that a reply speaks about."""

    start: Instant
    end: Instant


class EvidenceItem(Wire):
    """One collection of one feed from one target, at one time: `evidence/<source>/<feed>/<target>/item.json`."""

    version: Literal[1] = 1
    id: str
    """`gcp/sql_instances/larkspur-prod`: also the item's folder under `evidence/`."""
    collector: str
    collector_version: str
    feed: str
    target: str
    system: str
    endpoint: str
    environment: str
    status: Status
    cause: str | None = None
    """One word for machines when the status is not `collected`: `permission`, `api-disabled`, `truncated` …"""
    reason: str | None = None
    """One sentence for people when the status is not `collected`."""
    hint: str | None = None
    principal: Principal | None = None
    requested_at: Instant
    completed_at: Instant
    window: Window | None = None
    completeness: Completeness | None = None
    redactions: dict[str, int] = {}
    """Count of values removed or replaced before hashing, per class."""
    pseudonyms: tuple[Pseudonym, ...] = ()
    """Those that stand for personal values in the replies, sorted."""
    replies: tuple[ReplyRecord, ...] = ()
    tables: tuple[TableRows, ...] = ()
    gives: tuple[str, ...] = ()
    """Every table that the feed gives, sorted, also when this collection failed and gave none of them."""
    corroborate: str | None = None
    """A ready-made query that finds this very collection in the source's own audit log."""


class CollectorUse(Model):
    """A collector that took part, and where its code came from."""

    name: str
    distribution: str
    version: str


class RunRecord(Wire):
    """`run.json`: one run of collect."""

    version: Literal[1] = 1
    id: str
    organization: str
    system: str
    environment: str
    scope_file: str
    scope_sha256: str
    period: Window
    started_at: Instant
    finished_at: Instant | None = None
    status: Literal["open", "complete", "partial"]
    """`open` until the last feed is done; `partial` when any item is not `collected`."""
    tool_version: str
    python: str
    platform: str
    collectors: tuple[CollectorUse, ...]
    feeds: tuple[str, ...]
    """Feeds that were asked for, sorted."""
    evidence: dict[str, str] | None = None
    """Evidence item id → SHA-256 of its item.json, written when the run ends. With it, nothing that was collected
    can be exchanged between collect and bundle without being noticed. None only while the run is open."""
