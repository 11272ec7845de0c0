"""Who changed what, in numbers: the administrators' audit log of the period, counted and not kept.

Every entry of the period is read in an explicit window, but only counts per principal, method and day become evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.counting import Counting, Entry
from compliancectl.collectors.gcp.redact import REDACTED
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, project_column
from compliancectl.model.evidence import Window
from compliancectl.model.table import DATE, INT, TEXT, TIME, Column, Table

LOG = "cloudaudit.googleapis.com/activity"
_ENTRY = "logging.v2#LogEntry"
_AUDIT = f"{_ENTRY}:protoPayload"
NOBODY = "(not said)"

COUNT = Table(
    "gcp.activity_count",
    "One row per project, principal, method and day: how often a method that changes something was called in the period.",
    columns(
        project_column(),
        Column("resource", TEXT, "`projects/P DAY METHOD PRINCIPAL`.", "derived", required=True),
        Column("day", DATE, "The day, in UTC.", f"{_ENTRY}:timestamp", required=True),
        Column("service", TEXT, "The API that was called.", f"{_AUDIT}.serviceName"),
        Column("method", TEXT, "The method that was called.", f"{_AUDIT}.methodName", required=True),
        Column(
            "principal",
            TEXT,
            "Who called; `(redacted)` outside `staff_domains`, NULL when the entry does not say.",
            f"{_AUDIT}.authenticationInfo.principalEmail",
        ),
        Column(
            "kind",
            TEXT,
            "`person`, `service account`, or `Google` for its own service agents; NULL when nobody is named.",
            "derived from the address",
        ),
        Column("entries", INT, "How many calls.", "derived: count", required=True),
        Column("failed", INT, "How many of them failed.", f"derived: count of {_AUDIT}.status.code other than 0", True),
        Column("first", TIME, "The first of them.", f"{_ENTRY}:timestamp", required=True),
        Column("last", TIME, "The last of them.", f"{_ENTRY}:timestamp", required=True),
    ),
    key=("resource",),
    permissions=("logging.logEntries.list",),
    drops=(
        "everything of the entries but who called which method when, and whether it failed",
        "principals outside `staff_domains`: personal data",
    ),
)


def _window(session: GcpSession) -> Window:
    """The observation period, as far as it has passed."""
    period, now = session.context.period, session.context.as_of
    return Window(start=min(period.start, now), end=min(period.end, now))


def _filter(window: Window) -> str:
    return (
        f'log_id("{LOG}") AND timestamp>="{clock.text(window.start)}" AND timestamp<"{clock.text(window.end)}"'
        " AND protoPayload.methodName:*"
    )


def _key(entry: Entry) -> tuple[str, ...]:
    who = dig(entry, "protoPayload.authenticationInfo.principalEmail") or NOBODY
    return (
        str(entry["logName"]).split("/")[1],
        str(entry["timestamp"])[:10],
        str(dig(entry, "protoPayload.serviceName") or ""),
        str(dig(entry, "protoPayload.methodName")),
        str(who),
    )


_HOW = Counting(
    _window,
    _filter,
    "audit log entries in the period, counted",
    ("project", "day", "service", "method", "principal"),
    _key,
    lambda entry: bool(dig(entry, "protoPayload.status.code")),
)


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    from datetime import date

    for count in data["counts"]:
        who = count["principal"] if count["principal"] != NOBODY else None
        yield (
            "gcp.activity_count",
            {
                "project": count["project"],
                "resource": f"projects/{count['project']} {count['day']} {count['method']} {count['principal']}",
                "day": date.fromisoformat(count["day"]),
                "service": count["service"] or None,
                "method": count["method"],
                "principal": who,
                "kind": kind_of(who),
                "entries": count["entries"],
                "failed": count["failed"],
                "first": clock.parse(count["first"][:19] + "Z"),
                "last": clock.parse(count["last"][:19] + "Z"),
            },
        )


def kind_of(principal: str | None) -> str | None:
    """What an address stands for. Google's own agents act on behalf of a service and not of anybody."""
    if principal is None:
        return None
    if principal == REDACTED:
        return "person"
    name, _, domain = principal.rpartition("@")
    if domain in ("system.gserviceaccount.com", "cloudservices.gserviceaccount.com") or (
        name.startswith("service-") and domain.startswith(("gcp-sa-", "compute-system", "containerregistry"))
    ):
        return "Google"
    return "service account" if domain.endswith(".gserviceaccount.com") else "person"


FEEDS = (
    feed(
        "activity_counts",
        "How often who called which method that changes something.",
        (COUNT,),
        _HOW.fetch,
        _shape,
        Audited("logging", "google.logging.v2.LoggingServiceV2.ListLogEntries"),
        everywhere=Everywhere(batches=_HOW.fetch_batches),
        window=_window,
    ),
)
