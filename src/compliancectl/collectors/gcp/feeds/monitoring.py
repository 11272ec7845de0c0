"""What raises an alarm, and whom it reaches: Cloud Monitoring API v3, and the metrics that Cloud Logging counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed, seconds
from compliancectl.collectors.gcp.listing import Tally
from compliancectl.collectors.gcp.logpages import log_pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, dig, full_name, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table

_a = describe("monitoring.v3#AlertPolicy")
_c = describe("monitoring.v3#NotificationChannel")
_u = describe("monitoring.v3#UptimeCheckConfig")
_m = describe("logging.v2#LogMetric")
_START = "//monitoring.googleapis.com/"
_CONDITIONS = (
    "conditionThreshold.filter",
    "conditionAbsent.filter",
    "conditionMatchedLog.filter",
    "conditionPrometheusQueryLanguage.query",
    "conditionMonitoringQueryLanguage.query",
)

POLICY = Table(
    "gcp.alert_policy",
    "One row per alert policy.",
    columns(
        project_column(),
        resource_column(f"{_START}projects/P/alertPolicies/ID"),
        _a("enabled", BOOL, "enabled", "The policy raises alarms."),
        Column(
            "valid",
            BOOL,
            "Its conditions can be evaluated; true unless Google says what is wrong with it.",
            "derived: monitoring.v3 AlertPolicy validity.code",
        ),
        Column(
            "filters",
            ListOf(TEXT),
            "What each of its conditions looks at: a filter of metrics or of log entries, or a query.",
            "monitoring.v3#AlertPolicy:conditions[].conditionThreshold.filter, conditionMatchedLog.filter …",
        ),
        Column(
            "channels",
            ListOf(TEXT),
            "Full resource names of the channels that it notifies.",
            "monitoring.v3#AlertPolicy:notificationChannels[]",
        ),
    ),
    key=("resource",),
    permissions=("monitoring.alertPolicies.list",),
    drops=("displayName, documentation, creationRecord, mutationRecord, userLabels: free text and names of people",),
)

CHANNEL = Table(
    "gcp.notification_channel",
    "One row per channel that alarms can be sent to.",
    columns(
        project_column(),
        resource_column(f"{_START}projects/P/notificationChannels/ID"),
        _c("type", TEXT, "type", "email, slack, pagerduty, webhook_tokenauth …"),
        _c("enabled", BOOL, "enabled", "Alarms are sent there."),
        _c("verification", TEXT, "verificationStatus", "UNVERIFIED: nothing is sent; VERIFIED, or not asked for."),
    ),
    key=("resource",),
    permissions=("monitoring.notificationChannels.list",),
    drops=("labels, displayName, description, userLabels: addresses, tokens and names of people",),
)

UPTIME = Table(
    "gcp.uptime_check",
    "One row per uptime check.",
    columns(
        project_column(),
        resource_column(f"{_START}projects/P/uptimeCheckConfigs/ID"),
        Column(
            "check", TEXT, "Identifier that metrics carry.", "monitoring.v3#UptimeCheckConfig:name, last part", True
        ),
        _u("host", TEXT, "monitoredResource.labels.host", "Name that is asked; NULL: not a name."),
        Column(
            "disabled", BOOL, "It does not run; false when it is not said.", "derived: monitoring.v3 UptimeCheckConfig"
        ),
        Column(
            "tls",
            BOOL,
            "It asks over TLS and looks at the certificate.",
            "derived: monitoring.v3 UptimeCheckConfig httpCheck.useSsl, validateSsl",
        ),
        Column("period_seconds", INT, "How often it asks.", "monitoring.v3#UptimeCheckConfig:period"),
    ),
    key=("resource",),
    permissions=("monitoring.uptimeCheckConfigs.list",),
    drops=("headers, authentication, body and matched content: may hold secrets",),
)

METRIC = Table(
    "gcp.log_metric",
    "One row per metric that Cloud Logging counts from entries.",
    columns(
        project_column(),
        resource_column("//logging.googleapis.com/projects/P/metrics/M"),
        _m("name", TEXT, "name", "Name, as in the metric type logging.googleapis.com/user/NAME.", required=True),
        _m("filter", TEXT, "filter", "Which entries are counted."),
        Column("disabled", BOOL, "It counts nothing; false when it is not said.", "derived: logging.v2 LogMetric"),
    ),
    key=("resource",),
    permissions=("logging.logMetrics.list",),
    drops=("description: free text of a person",),
)


def _policy(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    found = [dig(condition, path) for condition in record.get("conditions", []) for path in _CONDITIONS]
    given = {
        "project": project,
        "resource": full_name(_START, record.get("name")),
        "valid": not dig(record, "validity.code"),
        "filters": [text for text in found if text],
        "channels": [f"{_START}{name}" for name in record.get("notificationChannels", [])],
    }
    yield "gcp.alert_policy", row(POLICY, record, given)


def _channel(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {"project": project, "resource": full_name(_START, record.get("name"))}
    yield "gcp.notification_channel", row(CHANNEL, record, given)


def _check(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    name = record.get("name")
    given = {
        "project": project,
        "resource": full_name(_START, name),
        "check": name.rpartition("/")[2] if isinstance(name, str) else None,
        "disabled": record.get("disabled") is True,
        "tls": dig(record, "httpCheck.useSsl") is True and dig(record, "httpCheck.validateSsl") is True,
        "period_seconds": seconds(record.get("period")),
    }
    yield "gcp.uptime_check", row(UPTIME, record, given)


def _quiet(*names: str) -> Any:
    def drops(session: GcpSession) -> tuple[Drop, ...]:
        return (Drop("userLabels", "label", session.labels), *(Drop(name, "personal") for name in names))

    return drops


# -- metrics of logs --------------------------------------------------------------------------------------------------


def _fetch_metrics(session: GcpSession, target: Target) -> Fetched:
    tally, parent = Tally(), f"projects/{target.name}"
    for page in log_pages(
        session,
        Asked("logging", "logging.logMetrics.list", parent),
        "metrics",
        "list_log_metrics",
        "ListLogMetricsRequest",
        {"parent": parent, "page_size": 1000},
        "metrics",
        (Drop("metrics[].description", "free text"),),
        {"project": target.name},
        tally,
    ):
        yield page.reply
    return tally.completeness("metrics of logs")


def _shape_metrics(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("metrics", []):
        project = context["project"]
        given = {
            "project": project,
            "resource": full_name(f"//logging.googleapis.com/projects/{project}/metrics/", record.get("name")),
            "disabled": record.get("disabled") is True,
        }
        yield "gcp.log_metric", row(METRIC, record, given)


FEEDS = (
    kinds_feed(
        "alerts",
        "Alert policies, channels and uptime checks.",
        (POLICY, CHANNEL, UPTIME),
        (
            Kind(
                "monitoring.googleapis.com/AlertPolicy",
                "monitoring.alertPolicies.list",
                "v3/projects/{project}/alertPolicies",
                "alertPolicies",
                _policy,
                ("pageSize", 500),
                drops=_quiet("displayName", "documentation", "creationRecord", "mutationRecord"),
            ),
            Kind(
                "monitoring.googleapis.com/NotificationChannel",
                "monitoring.notificationChannels.list",
                "v3/projects/{project}/notificationChannels",
                "notificationChannels",
                _channel,
                ("pageSize", 500),
                drops=_quiet("labels", "displayName", "description", "creationRecord", "mutationRecords"),
            ),
            Kind(
                "monitoring.googleapis.com/UptimeCheckConfig",
                "monitoring.uptimeCheckConfigs.list",
                "v3/projects/{project}/uptimeCheckConfigs",
                "uptimeCheckConfigs",
                _check,
                ("pageSize", 500),
                drops=_quiet(
                    "displayName",
                    "httpCheck.headers",
                    "httpCheck.authInfo",
                    "httpCheck.body",
                    "httpCheck.path",
                    "contentMatchers",
                    "syntheticMonitor",
                ),
            ),
        ),
        Audited("monitoring", "google.monitoring.v3.AlertPolicyService.ListAlertPolicies"),
    ),
    feed(
        "log_metrics",
        "Metrics that Cloud Logging counts from entries.",
        (METRIC,),
        _fetch_metrics,
        _shape_metrics,
        Audited("logging", "google.logging.v2.MetricsServiceV2.ListLogMetrics"),
        everywhere=Everywhere(types=("logging.googleapis.com/LogMetric",), key="metrics"),
    ),
)
