"""Which names of the internet are asked for from production: Cloud DNS query logs of a day, counted by domain and not kept.

Only answers that found something count, because what does not exist cannot be reached. Names inside the VPC and of Google's
own APIs are left out by the filter: there are many, and they lead to nobody else. Full names do not become evidence, since
what stands before the domain may carry data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.counting import Counting, Entry
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, project_column
from compliancectl.model.evidence import Window
from compliancectl.model.table import INT, TEXT, TIME, Column, Table

LOG = "dns.googleapis.com/dns_queries"
HOURS = 24
_ENTRY = "logging.v2#LogEntry"
_SHARED = {"ac", "co", "com", "edu", "gov", "gob", "net", "ne", "or", "org"}
"""Second parts of a country's names below which anybody has a name of their own: `co.uk`, `com.au`."""
_NOT_NEEDED = ("protoPayload", "textPayload", "httpRequest", "labels", "resource.labels", "sourceLocation", "trace")

NAMES = Table(
    "gcp.dns_name",
    f"One row per project and domain that was asked for and found in the last {HOURS} hours, as far as queries are logged.",
    columns(
        project_column(),
        Column("resource", TEXT, "`projects/P DOMAIN`.", "derived", required=True),
        Column(
            "domain",
            TEXT,
            "The last two parts of the name, three below shared endings such as co.uk; names inside the VPC and "
            "googleapis.com are not asked for.",
            f"{_ENTRY}:jsonPayload.queryName",
            required=True,
        ),
        Column("queries", INT, "How often.", "derived: count", required=True),
        Column("last", TIME, "When last.", f"{_ENTRY}:timestamp", required=True),
    ),
    key=("resource",),
    permissions=("logging.logEntries.list",),
    drops=("everything of the queries but the domain, how often and when: names may carry data",),
)


def _window(session: GcpSession) -> Window:
    end = session.context.as_of
    return Window(start=end - timedelta(hours=HOURS), end=end)


def _filter(window: Window) -> str:
    return (
        f'log_id("{LOG}") AND jsonPayload.responseCode="NOERROR"'
        r' AND NOT jsonPayload.queryName=~"(^|\.)(internal|googleapis\.com)\.?$"'
        f' AND timestamp>="{clock.text(window.start)}" AND timestamp<"{clock.text(window.end)}"'
    )


def domain(name: str) -> str:
    """The domain of a name: the last two parts, or three where the ending is shared by many."""
    parts = name.lower().rstrip(".").split(".")
    shared = len(parts) > 2 and len(parts[-1]) == 2 and parts[-2] in _SHARED
    return ".".join(parts[-3:] if shared else parts[-2:])


def _whose(payload: Any) -> Any:
    """A query with the domain for the name, and nothing else."""
    name = dig(payload, "queryName")
    return {"queryName": domain(name)} if isinstance(name, str) else {}


def _key(entry: Entry) -> tuple[str, ...]:
    return str(entry["logName"]).split("/")[1], str(dig(entry, "jsonPayload.queryName") or "(not said)")


_HOW = Counting(
    _window,
    _filter,
    "queries of names in a day, counted",
    ("project", "domain"),
    _key,
    drops=(
        Drop("entries[].jsonPayload", "name", _whose),
        *(Drop(f"entries[].{name}", "payload") for name in _NOT_NEEDED),
    ),
)


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for count in data["counts"]:
        yield (
            "gcp.dns_name",
            {
                "project": count["project"],
                "resource": f"projects/{count['project']} {count['domain']}",
                "domain": count["domain"],
                "queries": count["entries"],
                "last": clock.parse(count["last"][:19] + "Z"),
            },
        )


FEEDS = (
    feed(
        "dns_names",
        "Domains that are asked for.",
        (NAMES,),
        _HOW.fetch,
        _shape,
        Audited("logging", "google.logging.v2.LoggingServiceV2.ListLogEntries"),
        everywhere=Everywhere(batches=_HOW.fetch_batches),
        window=_window,
    ),
)
