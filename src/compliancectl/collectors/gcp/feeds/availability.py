"""How available what the public reaches was, and how many instances of Cloud Run there were: Cloud Monitoring, API v3."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.series import DAYS, DROPS, LIST, last_weeks, measured
from compliancectl.collectors.gcp.listing import Tally
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, convert, instant, project_column, resource_column, text
from compliancectl.model.table import INT, TIME, Column, ListOf, Table

_SERIES = "monitoring.v3#TimeSeries"
_UPTIME = 'metric.type="monitoring.googleapis.com/uptime_check/check_passed"'
_INSTANCES = 'metric.type="run.googleapis.com/container/instance_count" AND resource.type="cloud_run_revision"'
MILLION = 1_000_000

RESULT = Table(
    "gcp.uptime_result",
    f"One row per uptime check and day of the last {DAYS} days of the period, as far as it asked.",
    columns(
        project_column(),
        resource_column("//monitoring.googleapis.com/projects/P/uptimeCheckConfigs/ID"),
        Column("until", TIME, "End of the day.", f"{_SERIES}:points[].interval.endTime", required=True),
        Column(
            "passed",
            INT,
            "Of a million times that it asked, from all places, how often the answer was right; rounded down.",
            f"{_SERIES}:points[].value.doubleValue, x 1000000",
            required=True,
        ),
    ),
    key=("resource", "until"),
    permissions=(LIST,),
    drops=DROPS,
)

INSTANCES = Table(
    "gcp.run_load",
    f"One row per service of Cloud Run and day of the last {DAYS} days of the period, as far as instances were measured.",
    columns(
        project_column(),
        resource_column("//run.googleapis.com/projects/P/locations/L/services/S"),
        Column("until", TIME, "End of the last of its hours.", f"{_SERIES}:points[].interval.endTime", required=True),
        Column(
            "instances",
            ListOf(INT),
            "Most instances in each of its hours, the newest first; those of all revisions added up.",
            f"{_SERIES}:points[].value.int64Value",
            required=True,
        ),
    ),
    key=("resource", "until"),
    permissions=(LIST,),
    drops=DROPS,
)


def _fetch_uptime(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[_UPTIME])
    daily = (
        ("alignmentPeriod", "86400s"),
        ("perSeriesAligner", "ALIGN_FRACTION_TRUE"),
        ("crossSeriesReducer", "REDUCE_MEAN"),
        ("groupByFields", "metric.labels.check_id"),
    )
    yield from measured(session, target.name, _UPTIME, last_weeks(session), daily, tally)
    return tally.completeness("results of uptime checks, by the day")


def _fetch_instances(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[_INSTANCES])
    hourly = (
        ("alignmentPeriod", "3600s"),
        ("perSeriesAligner", "ALIGN_MAX"),
        ("crossSeriesReducer", "REDUCE_SUM"),
        ("groupByFields", "resource.labels.service_name"),
        ("groupByFields", "resource.labels.location"),
    )
    yield from measured(session, target.name, _INSTANCES, last_weeks(session), hourly, tally)
    return tally.completeness("measurements of instances, by the hour")


def _shape_uptime(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    project = context["project"]
    for series in data.get("timeSeries", []):
        check = text(series["metric"]["labels"], "check_id")
        for point in series.get("points", []):
            yield (
                "gcp.uptime_result",
                {
                    "project": project,
                    "resource": f"//monitoring.googleapis.com/projects/{project}/uptimeCheckConfigs/{check}",
                    "until": instant(point["interval"]["endTime"]),
                    "passed": _share(point["value"]["doubleValue"]),
                },
            )


def _share(value: Any) -> int:
    """Of a million, rounded down, so that what is below a promise does not become the promise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"doubleValue is {value!r}")
    return math.floor(round(value * MILLION, 6))


def _shape_instances(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    project = context["project"]
    for series in data.get("timeSeries", []):
        labels = series["resource"]["labels"]
        place = f"locations/{text(labels, 'location')}/services/{text(labels, 'service_name')}"
        about = {"project": project, "resource": f"//run.googleapis.com/projects/{project}/{place}"}
        for _, points in groupby(series.get("points", []), key=lambda point: text(point["interval"], "endTime")[:10]):
            hours = list(points)
            counts = [convert(hour["value"]["int64Value"], INT) for hour in hours]
            yield "gcp.run_load", {**about, "until": instant(hours[0]["interval"]["endTime"]), "instances": counts}


_ASKED = Audited("monitoring", "google.monitoring.v3.MetricService.ListTimeSeries")
FEEDS = (
    feed(
        "uptime_results",
        "How available what is watched was.",
        (RESULT,),
        _fetch_uptime,
        _shape_uptime,
        _ASKED,
        everywhere=Everywhere(held=("monitoring.googleapis.com/UptimeCheckConfig",)),
        window=last_weeks,
    ),
    feed(
        "run_load",
        "How many instances of Cloud Run there were.",
        (INSTANCES,),
        _fetch_instances,
        _shape_instances,
        _ASKED,
        everywhere=Everywhere(held=("run.googleapis.com/Service",)),
        window=last_weeks,
    ),
)
