"""Tables of Cloud Logging: sinks, buckets, restore entries."""

from __future__ import annotations

from compliancectl.collectors.gcp.shaping import columns, describe, project_column, resource_column
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct

_s = describe("logging.v2#LogSink")
_b = describe("logging.v2#LogBucket")
_e = describe("logging.v2#LogEntry")

SINK = Table(
    "gcp.log_sink",
    "One row per log sink of the organisation (when the scope names it) and of each project.",
    columns(
        Column("project", TEXT, "Project that was asked, or organizations/N.", "scope", required=True),
        resource_column("//logging.googleapis.com/PARENT/sinks/S"),
        Column("parent", TEXT, "Where the sink is: organizations/N or projects/P.", "scope", required=True),
        _s("name", TEXT, "name", "Name of the sink within its parent.", required=True),
        _s("destination", TEXT, "destination", "Where entries go, as Cloud Logging writes it.", required=True),
        Column(
            "destination_bucket",
            TEXT,
            "The destination as a full resource name, equal to `resource` of its table.",
            "derived: logging.v2 LogSink destination",
        ),
        _s("filter", TEXT, "filter", "Which entries go there; empty: all."),
        _s("disabled", BOOL, "disabled", "The sink exports nothing."),
        _s("include_children", BOOL, "includeChildren", "Entries of the projects below are included."),
        Column(
            "exclusions",
            ListOf(struct(name=TEXT, filter=TEXT, disabled=BOOL)),
            "Entries that are left out although the filter fits.",
            "logging.v2#LogSink:exclusions[]",
        ),
    ),
    key=("resource",),
    permissions=("logging.sinks.list",),
)

BUCKET = Table(
    "gcp.log_bucket",
    "One row per log bucket, those that Google makes (_Default, _Required) included.",
    columns(
        project_column(),
        resource_column("//logging.googleapis.com/projects/P/locations/L/buckets/B"),
        Column(
            "name", TEXT, "Name of the bucket within its region.", "logging.v2#LogBucket:name, last part", required=True
        ),
        Column("location", TEXT, "Region, or global.", "logging.v2#LogBucket:name", required=True),
        _b("retention_days", INT, "retentionDays", "How long entries are kept, in days."),
        _b("locked", BOOL, "locked", "The retention cannot be shortened, and the bucket not deleted."),
        _b("lifecycle_state", TEXT, "lifecycleState", "ACTIVE or DELETE_REQUESTED."),
        _b("kms_key", TEXT, "cmekSettings.kmsKeyName", "Customer-managed key; absent: Google's own key."),
    ),
    key=("resource",),
    permissions=("logging.buckets.list",),
)

ENTRY = Table(
    "gcp.log_entry",
    "One row per audit log entry of a restore, a clone or a creation of a Cloud SQL instance in the window.",
    columns(
        project_column(),
        resource_column("//logging.googleapis.com/LOG#TIME/INSERT_ID"),
        _e("log_name", TEXT, "logName", "Full name of the log.", required=True),
        _e("timestamp", TIME, "timestamp", "When it happened.", required=True),
        _e("severity", TEXT, "severity", "NOTICE, ERROR …"),
        _e("service", TEXT, "protoPayload.serviceName", "The API that was called."),
        _e("method", TEXT, "protoPayload.methodName", "The method that was called."),
        _e(
            "principal",
            TEXT,
            "protoPayload.authenticationInfo.principalEmail",
            "Who called; addresses outside `staff_domains` are redacted.",
        ),
        _e("target", TEXT, "protoPayload.resourceName", "What it was called on: projects/P/instances/I."),
        Column(
            "status_code",
            INT,
            "Outcome as a google.rpc code; 0 is success.",
            "logging.v2#LogEntry:protoPayload.status.code",
        ),
        _e("operation", TEXT, "operation.id", "Identifier that the first and the last entry of an operation share."),
        Column("operation_last", BOOL, "It is the last entry of its operation.", "logging.v2#LogEntry:operation.last"),
    ),
    key=("resource",),
    permissions=("logging.logEntries.list",),
    drops=(
        "text and JSON payloads; request, response, metadata and caller of audit entries: may hold personal data",
        "principals outside `staff_domains`: personal data",
        "labels and HTTP requests of entries: may hold personal data",
    ),
)
