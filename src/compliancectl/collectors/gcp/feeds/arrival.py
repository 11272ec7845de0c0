"""Whether audit logs of data access arrive: the newest entry of each service in 24 hours, and where there is none, its traffic.

What is switched on is configuration (`gcp.audit_config`); an exclusion or a full quota may still keep entries away. Where a
service is silent, Cloud Monitoring says whether anybody called it: only then is silence a fault. Google leaves these entries
out without a word for whoever may not see private logs, so that permission is looked at before silence is believed.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.gcp.everywhere import SERVICE_TYPE, Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.logs import BATCH, entry_fields, entry_pages
from compliancectl.collectors.gcp.feeds.pgaudit import PAYLOADS
from compliancectl.collectors.gcp.feeds.series import DROPS, measured
from compliancectl.collectors.gcp.feeds.series import LIST as SERIES
from compliancectl.collectors.gcp.feeds.silence import PRIVATE, believe
from compliancectl.collectors.gcp.inventory import Inventory, assets, place_of
from compliancectl.collectors.gcp.listing import Tally
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, convert, dig, instant, project_column, text
from compliancectl.model.evidence import Completeness, Window
from compliancectl.model.table import INT, TEXT, TIME, Column, Table

HOURS = 24
SERVICES = {
    "cloudkms.googleapis.com": "cloudkms.googleapis.com",
    "cloudsql.googleapis.com": "sqladmin.googleapis.com",
    "iam.googleapis.com": "iam.googleapis.com",
    "run.googleapis.com": "run.googleapis.com",
    "secretmanager.googleapis.com": "secretmanager.googleapis.com",
    "storage.googleapis.com": "storage.googleapis.com",
}
"""Service as audit logs call it → API that is called."""

ARRIVAL = Table(
    "gcp.audit_arrival",
    f"One row per search for an entry of data access of a service in the last {HOURS} hours, also when it found none.",
    columns(
        Column("project", TEXT, "The project; or the folder or organisation whose projects were asked.", "scope", True),
        Column("resource", TEXT, "`PLACE SERVICE`: the first of the places that were asked.", "scope", required=True),
        Column("service", TEXT, "The service, as audit logs call it.", "scope", required=True),
        Column("newest", TIME, "When the newest entry was made; NULL: there is none.", "logging.v2#LogEntry:timestamp"),
    ),
    key=("resource",),
    permissions=("logging.logEntries.list", PRIVATE),
    drops=("payloads and labels of entries: may hold personal data",),
)

CALLS = Table(
    "gcp.api_calls",
    f"One row per project and service of which no entry arrived: how often its API was called from there in {HOURS} hours.",
    columns(
        project_column(),
        Column("resource", TEXT, "`projects/P SERVICE`.", "scope", required=True),
        Column("service", TEXT, "The service, as audit logs call it.", "scope", required=True),
        Column(
            "calls",
            INT,
            "How many calls Cloud Monitoring counted.",
            "monitoring.v3#TimeSeries:points[].value.int64Value",
        ),
    ),
    key=("resource",),
    permissions=(SERIES,),
    drops=DROPS,
)


def _window(session: GcpSession) -> Window:
    end = session.context.as_of
    return Window(start=end - timedelta(hours=HOURS), end=end)


def _filter(service: str, window: Window) -> str:
    return (
        f'log_id("cloudaudit.googleapis.com/data_access") AND protoPayload.serviceName="{service}"'
        f' AND timestamp>="{clock.text(window.start)}" AND timestamp<"{clock.text(window.end)}"'
    )


def _newest(session: GcpSession, where: str, places: list[str], service: str, tally: Tally) -> tuple[Reply, bool]:
    """The newest entry of a service in some places below one; and whether there is one."""
    fields = {**entry_fields(places, _filter(service, _window(session))), "order_by": "timestamp desc", "page_size": 1}
    drops = tuple(Drop(f"entries[].{name}", "payload") for name in PAYLOADS)
    found = entry_pages(session, fields, {}, tally, drops, kept=False)
    page = next(found)
    found.close()  # type: ignore[attr-defined]
    context = {"project": where, "place": places[0], "service": service, "part": "entries"}
    return replace(page.reply, context=context), bool(page.items)


def _calls(session: GcpSession, project: str, silent: list[str], tally: Tally) -> Iterator[Reply]:
    """How often the APIs of silent services were called from a project."""
    window = _window(session)
    hosts = " OR ".join(f'resource.labels.service="{SERVICES[service]}"' for service in silent)
    wanted = (
        f'metric.type="serviceruntime.googleapis.com/api/request_count" AND resource.type="consumed_api" AND ({hosts})'
    )
    summed = (
        ("alignmentPeriod", f"{HOURS * 3600}s"),
        ("perSeriesAligner", "ALIGN_SUM"),
        ("crossSeriesReducer", "REDUCE_SUM"),
        ("groupByFields", "resource.labels.service"),
    )
    for reply in measured(session, project, wanted, window, summed, tally):
        yield replace(reply, context={"project": project, "part": "calls", "silent": json.dumps(silent)})


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally, where, silent = Tally(), f"projects/{target.name}", list[str]()
    for service in SERVICES:
        reply, there = _newest(session, target.name, [where], service, tally)
        yield reply
        silent += [] if there else [service]
    if silent:
        believe(session, where)
        yield from _calls(session, target.name, silent, tally)
    return _done(tally)


def _fetch_batches(session: GcpSession, inventory: Inventory) -> Fetched:
    """Some entry anywhere in scope is enough; where there is none, projects that have the API enabled are asked for calls."""
    tally, silent = Tally(), list[str]()
    places = [f"projects/{project}" for project in inventory.chosen]
    for service in SERVICES:
        for batch in batches(places, BATCH):
            reply, there = _newest(session, inventory.root, batch, service, tally)
            yield reply
            if there:
                break
        else:
            silent.append(service)
    if silent:
        believe(session, inventory.root)
        for project in (yield from _callers(session, inventory, silent, tally)):
            yield from _calls(session, project, silent, tally)
    done = _done(tally)
    return reworded(done, f"{done.method}; {inventory.words}, up to {BATCH} in one request")


def _callers(
    session: GcpSession, inventory: Inventory, silent: list[str], tally: Tally
) -> Generator[Reply, None, list[str]]:
    """The projects from which a silent service could be called: those that have its API enabled, where that is known."""
    if inventory.refused is not None:
        return inventory.chosen
    names = {project.number: project.id for project in inventory.projects}
    ends = tuple(f"/services/{SERVICES[service]}" for service in silent)
    found: set[str] = set()
    for page in assets(session, inventory, (SERVICE_TYPE,), tally, {"part": "where"}, content=None, counted=False):
        yield page.reply
        found |= {place_of(asset, names) for asset in page.items if str(asset["name"]).endswith(ends)}
    return sorted(found)


def _done(tally: Tally) -> Completeness:
    done = tally.completeness("entries")
    method = f"the newest entry of data access of each of {len(SERVICES)} services in {HOURS} hours"
    return reworded(done, f"{method}; where there was none, calls were counted")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] == "entries":
        place, service = context["place"], context["service"]
        newest = next((instant(entry["timestamp"]) for entry in data.get("entries", [])), None)
        about = {"project": context["project"], "resource": f"{place} {service}", "service": service}
        yield "gcp.audit_arrival", {**about, "newest": newest}
        return
    counted: dict[str, Any] = {}
    for series in data.get("timeSeries", []):
        values = [convert(dig(point, "value.int64Value"), INT) for point in series["points"]]
        counted[text(series["resource"]["labels"], "service")] = sum(values)
    for service in json.loads(context["silent"]):
        about = {
            "project": context["project"],
            "resource": f"projects/{context['project']} {service}",
            "service": service,
        }
        yield "gcp.api_calls", {**about, "calls": counted.get(SERVICES[service], 0)}


FEEDS = (
    feed(
        "audit_arrival",
        "Whether audit logs of data access arrive.",
        (ARRIVAL, CALLS),
        _fetch,
        _shape,
        Audited("logging", "google.logging.v2.LoggingServiceV2.ListLogEntries"),
        everywhere=Everywhere(batches=_fetch_batches),
        window=_window,
    ),
)
