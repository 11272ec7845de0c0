"""Cloud Logging: sinks, buckets, and the audit entries of restores, over gRPC with google-cloud-logging."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.gcp.everywhere import Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, Instead, feed, place, projects
from compliancectl.collectors.gcp.feeds import linked_logs
from compliancectl.collectors.gcp.feeds import log_tables as tables
from compliancectl.collectors.gcp.inventory import Inventory
from compliancectl.collectors.gcp.listing import Page, Tally
from compliancectl.collectors.gcp.logpages import log_pages
from compliancectl.collectors.gcp.redact import Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import dig, full_name, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.evidence import Window

PAGE = 1000
BATCH = 100
"""Projects in one request for log entries; Google allows no more."""
_LOG_OF = re.compile(r"projects/([^/]+)/logs/")
METHODS = ("cloudsql.instances.restoreBackup", "cloudsql.instances.clone", "cloudsql.instances.create")
RESTORES = "protoPayload.methodName=({})".format(" OR ".join(f'"{method}"' for method in METHODS))
_AUDIT = "type.googleapis.com/google.cloud.audit.AuditLog"


# -- sinks ------------------------------------------------------------------------------------------------------------


def with_organization(session: GcpSession) -> Iterator[Target]:
    """The organisation if the scope names it, and the projects or roots."""
    organization, places = session.config.organization, session.config.projects or session.config.roots
    above = (f"organizations/{organization}",) if organization else ()
    for name in dict.fromkeys((*above, *places)):
        yield Target(name, session.endpoint("logging"))


def _fetch_sinks(session: GcpSession, target: Target) -> Fetched:
    tally, parent = Tally(), place(target)
    context = {"project": target.name, "parent": parent}
    for page in log_pages(
        session,
        Asked("logging", "logging.sinks.list", parent),
        "config",
        "list_sinks",
        "ListSinksRequest",
        {"parent": parent, "page_size": PAGE},
        "sinks",
        (),
        context,
        tally,
    ):
        yield page.reply
    return tally.completeness("sinks")


def _shape_sinks(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("sinks", []):
        yield (
            "gcp.log_sink",
            row(
                tables.SINK,
                record,
                {
                    "project": context["project"],
                    "parent": context["parent"],
                    "resource": full_name(f"//logging.googleapis.com/{context['parent']}/sinks/", record.get("name")),
                    "destination_bucket": _full(record.get("destination")),
                    "filter": record.get("filter", ""),
                    "disabled": record.get("disabled", False),
                    "include_children": record.get("includeChildren", False),
                    "exclusions": [
                        {"name": e.get("name"), "filter": e.get("filter"), "disabled": e.get("disabled", False)}
                        for e in record.get("exclusions", [])
                    ],
                },
            ),
        )


def _full(destination: Any) -> str | None:
    return f"//{destination}" if destination else None


# -- buckets ----------------------------------------------------------------------------------------------------------


def _fetch_buckets(session: GcpSession, target: Target) -> Fetched:
    tally, parent = Tally(), f"projects/{target.name}/locations/-"
    for page in log_pages(
        session,
        Asked("logging", "logging.buckets.list", f"projects/{target.name}"),
        "config",
        "list_buckets",
        "ListBucketsRequest",
        {"parent": parent, "page_size": PAGE},
        "buckets",
        (),
        {"project": target.name},
        tally,
    ):
        yield page.reply
    return tally.completeness("log buckets of all regions")


def _shape_buckets(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("buckets", []):
        name = str(record.get("name", ""))
        parts = name.split("/")
        yield (
            "gcp.log_bucket",
            row(
                tables.BUCKET,
                record,
                {
                    "project": context["project"],
                    "resource": f"//logging.googleapis.com/{name}",
                    "name": parts[-1] or None,
                    "location": parts[3] if len(parts) == 6 else None,
                    "locked": record.get("locked", False),
                },
            ),
        )


# -- entries ----------------------------------------------------------------------------------------------------------


def _window(session: GcpSession) -> Window:
    end = session.context.as_of
    return Window(start=end - timedelta(days=session.config.log_days), end=end)


def entry_filter(window: Window) -> str:
    """What is asked: restores in an explicit window (without one, some clients silently ask for a single day)."""
    return " AND ".join(
        [
            'log_id("cloudaudit.googleapis.com/activity")',
            RESTORES,
            f'timestamp>="{clock.text(window.start)}"',
            f'timestamp<"{clock.text(window.end)}"',
        ]
    )


def entry_drops(session: GcpSession) -> tuple[Drop, ...]:
    """What leaves entries before anything is made of them."""
    payload = "entries[].protoPayload"
    outside = people_outside(session.config.staff_domains, session.context.people)
    return (
        Drop("entries[].textPayload", "payload"),
        Drop("entries[].jsonPayload", "payload"),
        Drop("entries[].httpRequest", "personal"),
        Drop("entries[].labels", "label"),
        *(
            Drop(f"{payload}.{name}", "payload")
            for name in ("request", "response", "metadata", "serviceData", "resourceOriginalState")
        ),
        Drop(f"{payload}.requestMetadata", "personal"),
        Drop(f"{payload}.authenticationInfo.principalEmail", "personal", outside),
        Drop(f"{payload}.authenticationInfo.principalSubject", "personal"),
        Drop(f"{payload}.authenticationInfo.authoritySelector", "personal"),
        Drop(f"{payload}.authenticationInfo.thirdPartyPrincipal", "personal"),
        Drop(f"{payload}.authenticationInfo.serviceAccountDelegationInfo", "personal"),
        Drop(f"{payload}.status.message", "free text"),
        Drop(f"{payload}.status.details", "free text"),
    )


def _where_entries_are(session: GcpSession) -> Iterator[Target]:
    """The places in scope; or the project that holds the dataset which the scope names instead."""
    if session.config.logs is not None:
        yield linked_logs.target(session, session.config.logs)
    else:
        yield from projects("logging")(session)


def _fetch_entries(session: GcpSession, target: Target) -> Fetched:
    if session.config.logs is not None:
        return (yield from linked_logs.fetch(session, _window(session), METHODS))
    tally = Tally(filters=[entry_filter(_window(session))])
    yield from _entries(session, [place(target)], {"project": target.name}, tally)
    return tally.completeness("audit log entries in the window")


def _fetch_batches(session: GcpSession, inventory: Inventory) -> Fetched:
    """Cloud Logging answers about many projects in one request."""
    tally = Tally(filters=[entry_filter(_window(session))])
    for batch in batches([f"projects/{project}" for project in inventory.chosen], BATCH):
        yield from _entries(session, batch, {}, tally)
    done = tally.completeness("audit log entries in the window")
    return reworded(done, f"{done.method}; {inventory.words}, up to {BATCH} of them in one request")


def entry_fields(places: list[str], wanted: str) -> dict[str, Any]:
    """What is asked of Cloud Logging for the entries of some places (`projects/P` …) that a filter takes, the oldest first."""
    return {"resource_names": places, "filter": wanted, "order_by": "timestamp asc", "page_size": PAGE}


def entry_pages(
    session: GcpSession,
    fields: dict[str, Any],
    context: Mapping[str, str],
    tally: Tally,
    drops: tuple[Drop, ...] | None = None,
    *,
    kept: bool = True,
) -> Iterator[Page]:
    """Pages of log entries, without what is dropped from them: what every feed drops, unless it says otherwise.

    They are kept until the run is complete, unless whoever asks wants the first page alone.
    """
    return log_pages(
        session,
        Asked("logging", "logging.logEntries.list", fields["resource_names"][0]),
        "logging",
        "list_log_entries",
        "ListLogEntriesRequest",
        fields,
        "entries",
        entry_drops(session) if drops is None else drops,
        context,
        tally,
        kept=kept,
    )


def _entries(session: GcpSession, places: list[str], context: Mapping[str, str], tally: Tally) -> Iterator[Reply]:
    fields = entry_fields(places, entry_filter(_window(session)))
    for page in entry_pages(session, fields, context, tally):
        yield page.reply


def _shape_entries(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if "part" in context:  # of BigQuery
        found = linked_logs.records(data) if context["part"] == "entries" else []
        data, context = {"entries": [linked_logs.as_entry(record) for record in found]}, {}
    for record in data.get("entries", []):
        name, at, mark = record.get("logName"), record.get("timestamp"), record.get("insertId")
        audit = dig(record, "protoPayload.@type") == _AUDIT
        project = context.get("project") or _LOG_OF.match(str(name))
        yield (
            "gcp.log_entry",
            row(
                tables.ENTRY,
                record,
                {
                    "project": project.group(1) if isinstance(project, re.Match) else project,
                    "resource": f"//logging.googleapis.com/{name}#{at}/{mark}",
                    "severity": record.get("severity", "DEFAULT"),
                    "status_code": dig(record, "protoPayload.status.code") or 0 if audit else None,
                    "operation_last": dig(record, "operation.last") is True if "operation" in record else None,
                },
            ),
        )


FEEDS = (
    feed(
        "log_sinks",
        "Where logs are routed.",
        (tables.SINK,),
        _fetch_sinks,
        _shape_sinks,
        Audited("logging", "google.logging.v2.ConfigServiceV2.ListSinks"),
        everywhere=Everywhere(types=("logging.googleapis.com/LogSink",), key="sinks", root_too=True),
        targets=with_organization,
    ),
    feed(
        "log_buckets",
        "Where logs are kept, and how long.",
        (tables.BUCKET,),
        _fetch_buckets,
        _shape_buckets,
        Audited("logging", "google.logging.v2.ConfigServiceV2.ListBuckets"),
        everywhere=Everywhere(types=("logging.googleapis.com/LogBucket",), key="buckets"),
    ),
    feed(
        "log_entries",
        "Restores in the audit log.",
        (tables.ENTRY,),
        _fetch_entries,
        _shape_entries,
        Audited("logging", "google.logging.v2.LoggingServiceV2.ListLogEntries"),
        everywhere=Everywhere(batches=_fetch_batches),
        targets=_where_entries_are,
        window=_window,
        instead=Instead(lambda session: session.config.logs is not None, "bigquery", linked_logs.PERMISSIONS, 3),
    ),
)
