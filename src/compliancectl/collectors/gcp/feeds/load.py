"""How busy databases were: processor and disk of Cloud SQL, hour by hour, from the Cloud Monitoring API v3."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.sql import instance_name
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop, parse
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, instant, project_column, resource_column, text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.evidence import Window
from compliancectl.model.table import INT, TEXT, TIME, Column, ListOf, Table

LIST = "monitoring.timeSeries.list"
DAYS = 28
METRICS = {
    "cpu": "cloudsql.googleapis.com/database/cpu/utilization",
    "disk": "cloudsql.googleapis.com/database/disk/utilization",
}
"""What is measured → Google's name for it: a share of one of what the instance has."""
_SERIES = "monitoring.v3#TimeSeries"

LOAD = Table(
    "gcp.sql_load",
    f"One row per Cloud SQL instance, measure and day of the last {DAYS} days of the period, as far as there are measurements.",
    columns(
        project_column(),
        resource_column("//cloudsql.googleapis.com/projects/P/instances/I"),
        Column("measure", TEXT, "`cpu` or `disk`.", f"{_SERIES}:metric.type", required=True),
        Column("until", TIME, "End of the last of its hours.", f"{_SERIES}:points[].interval.endTime", required=True),
        Column(
            "used",
            ListOf(INT),
            "Means of its hours, the newest first, in hundredths of a percent of what the instance has; rounded up.",
            f"{_SERIES}:points[].value.doubleValue, x 10000",
            required=True,
        ),
    ),
    key=("resource", "measure", "until"),
    permissions=(LIST,),
    drops=("metadata of what is measured: labels may name people",),
)


def _window(session: GcpSession) -> Window:
    """The last days of the period in whole hours, as far as it has passed; Google keeps fine measurements for six weeks."""
    period, now = session.context.period, session.context.as_of
    end = min(period.end, now).replace(minute=0, second=0, microsecond=0)
    return Window(start=max(min(period.start, end), end - timedelta(days=DAYS)), end=end)


def _filter(measure: str) -> str:
    return f'metric.type="{METRICS[measure]}" AND resource.type="cloudsql_database"'


def _fetch(session: GcpSession, target: Target) -> Fetched:
    window = _window(session)
    tally = Tally(filters=[_filter(measure) for measure in METRICS])
    for measure in METRICS:
        listing = Listing(
            Asked("monitoring", LIST, f"projects/{target.name}"),
            f"v3/projects/{target.name}/timeSeries",
            "timeSeries",
            ("pageSize", 100_000),
            params=(
                ("filter", _filter(measure)),
                ("interval.startTime", clock.text(window.start)),
                ("interval.endTime", clock.text(window.end)),
                ("aggregation.alignmentPeriod", "3600s"),
                ("aggregation.perSeriesAligner", "ALIGN_MEAN"),
                ("view", "FULL"),
            ),
            drops=(Drop("timeSeries[].metadata", "label"),),
        )
        for page in pages(session, listing, tally):
            found = parse(page.reply.body)
            tally.warnings += [f"not complete: {e.get('message', '')}" for e in found.get("executionErrors", [])]
            yield replace(page.reply, context={"project": target.name, "measure": measure})
    return tally.completeness("measurements of processor and disk, by the hour")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for series in data.get("timeSeries", []):
        project, _, name = text(series["resource"]["labels"], "database_id").rpartition(":")
        about = {"project": context["project"], "resource": instance_name(project, name), "measure": context["measure"]}
        for _, points in groupby(series.get("points", []), key=_day):
            hours = list(points)
            until = instant(hours[0]["interval"]["endTime"])
            yield "gcp.sql_load", {**about, "until": until, "used": [_used(point) for point in hours]}


def _day(point: Mapping[str, Any]) -> str:
    return text(point["interval"], "endTime")[:10]


def _used(point: Mapping[str, Any]) -> int:
    """In hundredths of a percent, rounded up, so that what is above a limit does not become the limit."""
    value = point["value"]["doubleValue"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"doubleValue is {value!r}")
    return math.ceil(round(value * 10_000, 6))


FEEDS = (
    feed(
        "sql_load",
        "How busy databases were.",
        (LOAD,),
        _fetch,
        _shape,
        Audited("monitoring", "google.monitoring.v3.MetricService.ListTimeSeries"),
        everywhere=Everywhere(held=("sqladmin.googleapis.com/Instance",)),
        window=_window,
    ),
)
