"""Scheduled jobs and when they last ran, from the Cloud Scheduler API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.places import locations
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import INT, TEXT, TIME, Column, Table

_c = describe("cloudscheduler.v1#Job")

JOB = Table(
    "gcp.scheduler_job",
    "One row per Cloud Scheduler job.",
    columns(
        project_column(),
        resource_column("//cloudscheduler.googleapis.com/projects/P/locations/L/jobs/J"),
        Column(
            "name", TEXT, "Name of the job within its region.", "cloudscheduler.v1#Job:name, last part", required=True
        ),
        _c("state", TEXT, "state", "ENABLED, PAUSED, DISABLED or UPDATE_FAILED."),
        _c("schedule", TEXT, "schedule", "When it runs, as a cron expression."),
        _c("time_zone", TEXT, "timeZone", "Time zone of the schedule."),
        _c("last_attempt", TIME, "lastAttemptTime", "When it last ran."),
        Column(
            "status_code",
            INT,
            "Outcome of the last attempt: 0 is success; NULL: it has not run.",
            "cloudscheduler.v1#Job:status.code",
        ),
        _c("target_uri", TEXT, "httpTarget.uri", "What it calls, without the query."),
        _c("purpose", TEXT, "description", "What the job is for."),
    ),
    key=("resource",),
    permissions=("cloudscheduler.jobs.list", "cloudscheduler.locations.list"),
    drops=("headers, bodies and message attributes of targets, and the query of their URI: may hold secrets",),
)


def _without_query(uri: Any) -> Any:
    return uri.partition("?")[0] if isinstance(uri, str) else uri


_DROPS = (
    *(Drop(f"jobs[].{kind}.headers", "secret") for kind in ("httpTarget", "appEngineHttpTarget")),
    *(Drop(f"jobs[].{kind}.body", "payload") for kind in ("httpTarget", "appEngineHttpTarget")),
    Drop("jobs[].pubsubTarget.data", "payload"),
    Drop("jobs[].pubsubTarget.attributes", "payload"),
    Drop("jobs[].httpTarget.uri", "secret", _without_query),
)


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    project = target.name
    places = yield from locations(session, "cloudscheduler", "cloudscheduler.locations.list", project, tally)
    for place in places:
        listing = Listing(
            Asked("cloudscheduler", "cloudscheduler.jobs.list", f"projects/{project}"),
            f"v1/projects/{project}/locations/{place}/jobs",
            "jobs",
            ("pageSize", 500),
            drops=_DROPS,
            context={"project": project, "part": "jobs"},
        )
        for page in pages(session, listing, tally):
            yield page.reply
    return tally.completeness("regions, and the jobs of each")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] != "jobs":
        return
    for record in data.get("jobs", []):
        status = record.get("status")
        name = record.get("name")
        yield (
            "gcp.scheduler_job",
            row(
                JOB,
                record,
                {
                    "project": context["project"],
                    "resource": full_name("//cloudscheduler.googleapis.com/", name),
                    "name": str(name).rpartition("/")[2] if name else None,
                    "status_code": status.get("code", 0)
                    if isinstance(status, Mapping) and "lastAttemptTime" in record
                    else None,
                },
            ),
        )


FEEDS = (
    feed(
        "scheduler_jobs",
        "Scheduled jobs.",
        (JOB,),
        _fetch,
        _shape,
        Audited("cloudscheduler", "google.cloud.scheduler.v1.CloudScheduler.ListJobs"),
        everywhere=Everywhere(enabled="cloudscheduler.googleapis.com"),
    ),
)
