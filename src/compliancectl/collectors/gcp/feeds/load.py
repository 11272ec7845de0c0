"""How busy databases were: processor and disk of Cloud SQL, hour by hour, from the Cloud Monitoring API v3."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.series import DAYS, DROPS, LIST, last_weeks, measured
from compliancectl.collectors.gcp.feeds.sql import instance_name
from compliancectl.collectors.gcp.listing import Tally
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, instant, project_column, resource_column, text
from compliancectl.model.table import INT, TEXT, TIME, Column, ListOf, Table

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
    drops=DROPS,
)


def _filter(measure: str) -> str:
    return f'metric.type="{METRICS[measure]}" AND resource.type="cloudsql_database"'


def _fetch(session: GcpSession, target: Target) -> Fetched:
    window = last_weeks(session)
    tally = Tally(filters=[_filter(measure) for measure in METRICS])
    hourly = (("alignmentPeriod", "3600s"), ("perSeriesAligner", "ALIGN_MEAN"))
    for measure in METRICS:
        for reply in measured(session, target.name, _filter(measure), window, hourly, tally):
            yield replace(reply, context={"project": target.name, "measure": measure})
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
        window=last_weeks,
    ),
)
