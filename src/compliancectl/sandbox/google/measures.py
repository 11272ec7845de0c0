"""Cloud Monitoring's measurements: how busy the company's databases are, hour by hour."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State, stamp

_FILTER = re.compile(
    r'metric\.type="(cloudsql\.googleapis\.com/database/(cpu|disk)/utilization)" AND resource\.type="cloudsql_database"'
)
_CALLS = re.compile(
    r'metric\.type="serviceruntime\.googleapis\.com/api/request_count" AND resource\.type="consumed_api" AND \((.+)\)'
)
_UPTIME = 'metric.type="monitoring.googleapis.com/uptime_check/check_passed"'
_INSTANCES = 'metric.type="run.googleapis.com/container/instance_count" AND resource.type="cloud_run_revision"'
_USUAL = {"cpu": 0.31, "disk": 0.47}
_BUSY_HOUR, _BUSY = 20, 0.93
"""An hour of the day in which homework is done."""


class Measures:
    """Answers of the Cloud Monitoring API about time series."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {"monitoring.projects.timeSeries.list": self.series}

    def series(self, call: Call) -> dict[str, Any]:
        """timeSeries.list, for the two metrics of databases and in hours."""
        text = call.first("filter") or ""
        found, calls = _FILTER.fullmatch(text), _CALLS.fullmatch(text)
        if text in (_UPTIME, _INSTANCES):
            return self.uptime(call) if text == _UPTIME else self.instances(call)
        if calls is not None:
            return self.calls(call, re.findall(r'"([^"]+)"', calls.group(1)))
        if found is None:
            raise errors.invalid("The sandbox knows only the filters for databases, and for calls of APIs.")
        if call.first("aggregation.alignmentPeriod") != "3600s" or not call.first("view"):
            raise errors.invalid("The sandbox measures in hours, and wants a view.")
        start, end = _interval(call)
        project = call.path["project"]
        return {
            "timeSeries": [
                _series(project, name, it, (found.group(1), found.group(2)), (start, end))
                for name, it in sorted(self.state.project(project).get("sql", {}).items())
                if it.get("state", "RUNNABLE") == "RUNNABLE"
            ]
        }

    def uptime(self, call: Call) -> dict[str, Any]:
        """Which part of each check's questions was answered rightly, day by day."""
        if call.first("aggregation.perSeriesAligner") != "ALIGN_FRACTION_TRUE":
            raise errors.invalid("The sandbox gives the fraction of those that passed.")
        start, end = _interval(call)
        it = self.state.project(call.path["project"])
        told = it.get("uptime", {})
        return {
            "timeSeries": [
                {
                    "metric": {"type": _UPTIME.split('"')[1], "labels": {"check_id": check}},
                    "resource": {"type": "uptime_url", "labels": {"project_id": call.path["project"]}},
                    "metricKind": "GAUGE",
                    "valueType": "DOUBLE",
                    "points": _points(start, end, timedelta(days=1), _each(told.get(check, {}), end)),
                }
                for check in sorted(it.get("resources", {}).get("uptime_checks", {}))
            ]
        }

    def instances(self, call: Call) -> dict[str, Any]:
        """How many instances of each service there were, hour by hour."""
        fields = ["resource.labels.service_name", "resource.labels.location"]
        if call.query.get("aggregation.groupByFields") != fields:
            raise errors.invalid("The sandbox adds instances up by service and location.")
        start, end = _interval(call)
        it = self.state.project(call.path["project"])
        return {
            "timeSeries": [
                {
                    "metric": {"type": _INSTANCES.split('"')[1]},
                    "resource": {
                        "type": "cloud_run_revision",
                        "labels": {"service_name": name, "location": service["region"]},
                    },
                    "metricKind": "GAUGE",
                    "valueType": "INT64",
                    "points": _points(
                        start,
                        end,
                        timedelta(hours=1),
                        _always(it.get("run_instances", {}).get(name, 3)),
                    ),
                }
                for name, service in sorted(it.get("run_services", {}).items())
            ]
        }

    def calls(self, call: Call, wanted: list[str]) -> dict[str, Any]:
        """How often APIs were called from a project, one number for each that was."""
        if call.first("aggregation.crossSeriesReducer") != "REDUCE_SUM":
            raise errors.invalid("The sandbox adds calls up.")
        interval = {f"{edge}Time": str(call.first(f"interval.{edge}Time")) for edge in ("start", "end")}
        counted = self.state.project(call.path["project"]).get("api_calls", {})
        return {
            "timeSeries": [
                {
                    "metric": {"type": "serviceruntime.googleapis.com/api/request_count"},
                    "resource": {"type": "consumed_api", "labels": {"service": host}},
                    "metricKind": "DELTA",
                    "valueType": "INT64",
                    "points": [{"interval": interval, "value": {"int64Value": str(counted[host])}}],
                }
                for host in sorted(set(wanted) & set(counted))
            ]
        }


def _series(
    project: str, name: str, it: dict[str, Any], metric: tuple[str, str], window: tuple[datetime, datetime]
) -> dict[str, Any]:
    kind, measure = metric
    usual = it.get("load", {}).get(measure, _USUAL[measure])
    points, at = [], window[1]
    while at - timedelta(hours=1) >= window[0]:
        value = _BUSY if measure == "cpu" and at.hour == _BUSY_HOUR else usual
        interval = {"startTime": stamp(at - timedelta(hours=1)), "endTime": stamp(at)}
        points.append({"interval": interval, "value": {"doubleValue": value}})  # the newest first
        at -= timedelta(hours=1)
    labels = {"project_id": project, "region": it["region"], "database_id": f"{project}:{name}"}
    return {
        "metric": {"type": kind},
        "resource": {"type": "cloudsql_database", "labels": labels},
        "metricKind": "GAUGE",
        "valueType": "DOUBLE",
        "points": points,
    }


def _interval(call: Call) -> tuple[datetime, datetime]:
    start, end = (clock.parse(str(call.first(f"interval.{edge}Time"))) for edge in ("start", "end"))
    if start > end:
        raise errors.invalid("The start time must not be later than the end time.")
    return start, end


def _points(
    start: datetime, end: datetime, step: timedelta, value: Callable[[datetime], dict[str, Any]]
) -> list[dict[str, Any]]:
    """One point for each step, the newest first."""
    points, at = [], end
    while at - step >= start:
        points.append({"interval": {"startTime": stamp(at - step), "endTime": stamp(at)}, "value": value(at)})
        at -= step
    return points


def _each(told: dict[str, float], end: datetime) -> Callable[[datetime], dict[str, Any]]:
    """Nearly all of a day's questions pass, unless the definition says for so many days ago."""
    return lambda at: {"doubleValue": told.get(f"days_ago_{(end - at).days}", 0.9998)}


def _always(count: int) -> Callable[[datetime], dict[str, Any]]:
    return lambda at: {"int64Value": str(count)}
