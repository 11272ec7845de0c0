"""Whether entries of pgAudit reach Cloud Logging: the newest of each database, without what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.gcp.everywhere import Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.logs import BATCH, PAGE
from compliancectl.collectors.gcp.feeds.silence import PRIVATE, believe
from compliancectl.collectors.gcp.feeds.sql import instance_name
from compliancectl.collectors.gcp.inventory import Inventory
from compliancectl.collectors.gcp.listing import Tally
from compliancectl.collectors.gcp.logpages import log_pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, instant, project_column, resource_column
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.evidence import Window
from compliancectl.model.table import BOOL, TEXT, TIME, Column, Table

HOURS = 24
_ENTRY = "type.googleapis.com/google.cloud.sql.audit.v1.PgAuditEntry"
PAYLOADS = ("protoPayload", "textPayload", "jsonPayload", "labels", "httpRequest")

LOOKED = Table(
    "gcp.pgaudit_search",
    "One row per project in whose logs entries of pgAudit of the last 24 hours were looked for, also when there was none.",
    columns(
        project_column(),
        Column("resource", TEXT, "The project: projects/P.", "scope", required=True),
        Column(
            "complete",
            BOOL,
            "All entries were seen; false: only the newest thousand, so that a quiet database may be missing.",
            "derived: the page had no token",
            required=True,
        ),
    ),
    key=("resource",),
    permissions=("logging.logEntries.list", PRIVATE),
)

ARRIVED = Table(
    "gcp.pgaudit_entry",
    "One row per Cloud SQL instance of which an entry of pgAudit of the last 24 hours was seen: the newest.",
    columns(
        project_column(),
        resource_column("//cloudsql.googleapis.com/projects/P/instances/I"),
        Column("newest", TIME, "When the newest entry was made.", "logging.v2#LogEntry:timestamp"),
    ),
    key=("resource",),
    permissions=("logging.logEntries.list", PRIVATE),
    drops=("payloads and labels of entries: hold statements and personal data",),
)


def _window(session: GcpSession) -> Window:
    end = session.context.as_of
    return Window(start=end - timedelta(hours=HOURS), end=end)


def _filter(window: Window) -> str:
    return " AND ".join(
        [
            'log_id("cloudaudit.googleapis.com/data_access")',
            'resource.type="cloudsql_database"',
            f'protoPayload.request.@type="{_ENTRY}"',
            f'timestamp>="{clock.text(window.start)}"',
            f'timestamp<"{clock.text(window.end)}"',
        ]
    )


def _newest(session: GcpSession, projects: list[str], tally: Tally) -> tuple[Reply, bool]:
    """The first page of entries, newest first; and whether there were more."""
    found = log_pages(
        session,
        Asked("logging", "logging.logEntries.list", f"projects/{projects[0]}"),
        "logging",
        "list_log_entries",
        "ListLogEntriesRequest",
        {
            "resource_names": [f"projects/{project}" for project in projects],
            "filter": _filter(_window(session)),
            "order_by": "timestamp desc",
            "page_size": PAGE,
        },
        "entries",
        tuple(Drop(f"entries[].{name}", "payload") for name in PAYLOADS),
        {},
        tally,
    )
    page = next(found)
    found.close()  # type: ignore[attr-defined]
    more = bool(json.loads(page.reply.body).get("nextPageToken"))
    superseded = more and len(projects) > 1
    context = {"projects": json.dumps([] if superseded else projects), "complete": str(not more)}
    return replace(page.reply, context=context), more


def _heard(reply: Reply) -> set[str]:
    """The projects of which there is an entry."""
    entries = json.loads(reply.body).get("entries", [])
    return {str(dig(entry, "resource.labels.database_id")).rpartition(":")[0] for entry in entries}


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[_filter(_window(session))])
    reply, _ = _newest(session, [target.name], tally)
    yield reply
    if not _heard(reply):
        believe(session, f"projects/{target.name}")
    done = tally.completeness("entries of pgAudit")
    return reworded(done, f"the newest {PAGE} entries of pgAudit of the last {HOURS} hours")


def _fetch_batches(session: GcpSession, inventory: Inventory) -> Fetched:
    """Many projects in one request; where they have more entries than a page, each is asked alone."""
    tally, heard = Tally(filters=[_filter(_window(session))]), set[str]()
    for batch in batches(inventory.chosen, BATCH):
        reply, more = _newest(session, batch, tally)
        yield reply
        heard |= _heard(reply)
        for project in batch if more and len(batch) > 1 else ():
            reply, _ = _newest(session, [project], tally)
            yield reply
            heard |= _heard(reply)
    if set(inventory.chosen) - heard:  # whoever may see such entries here may see them in every project below
        believe(session, inventory.root)
    done = tally.completeness("entries of pgAudit")
    return reworded(done, f"the newest {PAGE} entries of pgAudit of the last {HOURS} hours; {inventory.words}")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    projects = json.loads(context["projects"])
    for project in projects:
        where = f"projects/{project}"
        yield "gcp.pgaudit_search", {"project": project, "resource": where, "complete": context["complete"] == "True"}
    seen: set[str] = set()
    for record in data.get("entries", []) if projects else ():
        project, _, instance = str(dig(record, "resource.labels.database_id")).rpartition(":")
        name = instance_name(project, instance)
        if name not in seen:  # newest first
            seen.add(name)
            newest = instant(record.get("timestamp"))
            yield "gcp.pgaudit_entry", {"project": project or None, "resource": name, "newest": newest}


FEEDS = (
    feed(
        "pgaudit_entries",
        "Whether entries of pgAudit reach Cloud Logging.",
        (LOOKED, ARRIVED),
        _fetch,
        _shape,
        Audited("logging", "google.logging.v2.LoggingServiceV2.ListLogEntries"),
        everywhere=Everywhere(batches=_fetch_batches),
        window=_window,
    ),
)
