"""Who changed what, in numbers: the administrators' audit log of the period, counted and not kept.

Every entry of the period is read in an explicit window, but only counts per principal, method and day become evidence, and
the digest of each page, so that whoever reads the log again can compare. How many entries there will be is worked out from the
first page: more than the scope allows are not begun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.gcp.everywhere import Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.logs import BATCH, PAGE, entry_fields, entry_pages
from compliancectl.collectors.gcp.inventory import Inventory
from compliancectl.collectors.gcp.listing import Page, Tally
from compliancectl.collectors.gcp.redact import REDACTED
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, project_column
from compliancectl.errors import Truncated
from compliancectl.model.evidence import Attempt, Window
from compliancectl.model.table import DATE, INT, TEXT, TIME, Column, Table

LOG = "cloudaudit.googleapis.com/activity"
_ENTRY = "logging.v2#LogEntry"
_AUDIT = f"{_ENTRY}:protoPayload"
NOBODY = "(not said)"

COUNT = Table(
    "gcp.activity_count",
    "One row per project, principal, method and day: how often a method that changes something was called in the period.",
    columns(
        project_column(),
        Column("resource", TEXT, "`projects/P DAY METHOD PRINCIPAL`.", "derived", required=True),
        Column("day", DATE, "The day, in UTC.", f"{_ENTRY}:timestamp", required=True),
        Column("service", TEXT, "The API that was called.", f"{_AUDIT}.serviceName"),
        Column("method", TEXT, "The method that was called.", f"{_AUDIT}.methodName", required=True),
        Column(
            "principal",
            TEXT,
            "Who called; `(redacted)` outside `staff_domains`, NULL when the entry does not say.",
            f"{_AUDIT}.authenticationInfo.principalEmail",
        ),
        Column(
            "kind",
            TEXT,
            "`person`, `service account`, or `Google` for its own service agents; NULL when nobody is named.",
            "derived from the address",
        ),
        Column("entries", INT, "How many calls.", "derived: count", required=True),
        Column("failed", INT, "How many of them failed.", f"derived: count of {_AUDIT}.status.code other than 0", True),
        Column("first", TIME, "The first of them.", f"{_ENTRY}:timestamp", required=True),
        Column("last", TIME, "The last of them.", f"{_ENTRY}:timestamp", required=True),
    ),
    key=("resource",),
    permissions=("logging.logEntries.list",),
    drops=(
        "everything of the entries but who called which method when, and whether it failed",
        "principals outside `staff_domains`: personal data",
    ),
)


def _window(session: GcpSession) -> Window:
    """The observation period, as far as it has passed."""
    period, now = session.context.period, session.context.as_of
    return Window(start=min(period.start, now), end=min(period.end, now))


def _filter(window: Window) -> str:
    return (
        f'log_id("{LOG}") AND timestamp>="{clock.text(window.start)}" AND timestamp<"{clock.text(window.end)}"'
        " AND protoPayload.methodName:*"
    )


@dataclass
class _Counts:
    """What becomes of the entries of one target."""

    by: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    pages: list[dict[str, Any]] = field(default_factory=list)
    redactions: dict[str, int] = field(default_factory=dict)

    def add(self, page: Page) -> None:
        """Count a page and let it go."""
        for entry in page.items:
            self._one(entry)
        self.pages.append({"entries": len(page.items), "sha256": hashlib.sha256(page.reply.body).hexdigest()})
        for kind, count in page.reply.redactions.items():
            self.redactions[kind] = self.redactions.get(kind, 0) + count

    def _one(self, entry: Mapping[str, Any]) -> None:
        at = str(entry["timestamp"])
        who = dig(entry, "protoPayload.authenticationInfo.principalEmail") or NOBODY
        key = (
            str(entry["logName"]).split("/")[1],
            at[:10],
            str(dig(entry, "protoPayload.serviceName") or ""),
            str(dig(entry, "protoPayload.methodName")),
            str(who),
        )
        failed = bool(dig(entry, "protoPayload.status.code"))
        known = self.by.setdefault(key, {"entries": 0, "failed": 0, "first": at, "last": at})
        known["entries"] += 1
        known["failed"] += failed
        known["first"], known["last"] = min(known["first"], at), max(known["last"], at)

    def body(self, window: Window) -> bytes:
        """The counts in a fixed order."""
        names = ("project", "day", "service", "method", "principal")
        counts = [{**dict(zip(names, key, strict=True)), **value} for key, value in sorted(self.by.items())]
        about = {"window": {"start": clock.text(window.start), "end": clock.text(window.end)}, "pages": self.pages}
        return canonical.to_bytes({**about, "counts": counts})


def projected(entries: list[Any], window: Window) -> int:
    """How many entries a window holds, judged by how much time its first page covers."""
    first, last = (clock.parse(str(entries[i]["timestamp"])[:19] + "Z") for i in (0, -1))
    covered = max((last - first).total_seconds(), 1.0)
    return round(len(entries) * max((window.end - first).total_seconds() / covered, 1.0))


def _count(session: GcpSession, projects: list[str], tally: Tally) -> Fetched:
    """Read the entries of some projects, and yield one reply: their counts."""
    window, counts, attempts = _window(session), _Counts(), list[Attempt]()
    fields = entry_fields([f"projects/{project}" for project in projects], _filter(window))
    last: Reply | None = None
    started = clock.now()
    for page in entry_pages(session, fields, {}, tally):
        if not counts.pages and len(page.items) == PAGE:
            _affordable(session, projected(page.items, window))
        counts.add(page)
        attempts += page.reply.attempts
        last = page.reply
    assert last is not None  # a list has one page at least
    yield replace(
        last,
        body=counts.body(window),
        operation=f"{last.operation}, every page counted and let go",
        requested_at=started,
        parameters=fields,
        attempts=tuple(attempts),
        redactions=counts.redactions,
        context={},
    )
    return tally.completeness("audit log entries in the period, counted")


def _affordable(session: GcpSession, expected: int) -> None:
    limit = session.config.log_max_entries
    session.context.progress(f"about {expected} entries are expected")
    if expected > limit:
        raise Truncated(
            f"about {expected} audit log entries are expected in the period, and {limit} may be read",
            hint="Raise `log_max_entries` in the scope file, or shorten the period; Google gives 1,000 a second at most.",
        )


def _fetch(session: GcpSession, target: Target) -> Fetched:
    return (yield from _count(session, [target.name], Tally(filters=[_filter(_window(session))])))


def _fetch_batches(session: GcpSession, inventory: Inventory) -> Fetched:
    """Cloud Logging answers about many projects in one request."""
    tally = Tally(filters=[_filter(_window(session))])
    for batch in batches(inventory.chosen, BATCH):
        yield from _count(session, batch, tally)
    done = tally.completeness("audit log entries in the period, counted")
    return reworded(done, f"{done.method}; {inventory.words}, up to {BATCH} of them in one request")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    from datetime import date

    for count in data["counts"]:
        who = count["principal"] if count["principal"] != NOBODY else None
        yield (
            "gcp.activity_count",
            {
                "project": count["project"],
                "resource": f"projects/{count['project']} {count['day']} {count['method']} {count['principal']}",
                "day": date.fromisoformat(count["day"]),
                "service": count["service"] or None,
                "method": count["method"],
                "principal": who,
                "kind": kind_of(who),
                "entries": count["entries"],
                "failed": count["failed"],
                "first": clock.parse(count["first"][:19] + "Z"),
                "last": clock.parse(count["last"][:19] + "Z"),
            },
        )


def kind_of(principal: str | None) -> str | None:
    """What an address stands for. Google's own agents act on behalf of a service and not of anybody."""
    if principal is None:
        return None
    if principal == REDACTED:
        return "person"
    name, _, domain = principal.rpartition("@")
    if domain in ("system.gserviceaccount.com", "cloudservices.gserviceaccount.com") or (
        name.startswith("service-") and domain.startswith(("gcp-sa-", "compute-system", "containerregistry"))
    ):
        return "Google"
    return "service account" if domain.endswith(".gserviceaccount.com") else "person"


FEEDS = (
    feed(
        "activity_counts",
        "How often who called which method that changes something.",
        (COUNT,),
        _fetch,
        _shape,
        Audited("logging", "google.logging.v2.LoggingServiceV2.ListLogEntries"),
        everywhere=Everywhere(batches=_fetch_batches),
        window=_window,
    ),
)
