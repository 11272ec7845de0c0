"""Who was given what, and what was taken away: the changes of IAM policies in the audit log, role by role and member by member.

Google writes with each change of a policy which grants it added and which it removed. Policies of folders and of the
organisation have logs of their own, so those are asked as well: a grant there reaches furthest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.gcp.everywhere import Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.feeds.iam import SERVICE_AGENT, is_service_agent
from compliancectl.collectors.gcp.feeds.logs import BATCH, entry_drops, entry_fields, entry_pages, with_organization
from compliancectl.collectors.gcp.inventory import Inventory
from compliancectl.collectors.gcp.listing import Tally
from compliancectl.collectors.gcp.redact import Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, instant, resource_column
from compliancectl.model.evidence import Window
from compliancectl.model.table import INT, TEXT, TIME, Column, Table

_DELTAS = "protoPayload.serviceData.policyDelta"
_D = f"logging.v2#LogEntry:{_DELTAS}.bindingDeltas[]"
_LOG_OF = re.compile(r"((?:projects|folders|organizations)/[^/]+)/logs/")

CHANGE = Table(
    "gcp.iam_change",
    "One row per role and member that a change of an IAM policy granted or took away since the period began.",
    columns(
        Column("project", TEXT, "The project; or folders/F, organizations/N.", "logging.v2#LogEntry:logName", True),
        resource_column("//logging.googleapis.com/LOG#TIME/INSERT_ID"),
        Column("position", INT, "Number of the grant within the change.", "derived: position", required=True),
        Column("changed", TIME, "When.", "logging.v2#LogEntry:timestamp", required=True),
        Column(
            "target",
            TEXT,
            "Whose policy was changed, as the audit log calls it: projects/P, or something in it.",
            "logging.v2#LogEntry:protoPayload.resourceName",
            required=True,
        ),
        Column("action", TEXT, "ADD: granted; REMOVE: taken away.", f"{_D}.action", required=True),
        Column("role", TEXT, "The role.", f"{_D}.role", required=True),
        Column(
            "member",
            TEXT,
            "To whom, as Google writes it; addresses of people outside `staff_domains` are redacted.",
            f"{_D}.member",
            required=True,
        ),
        SERVICE_AGENT,
        Column("condition", TEXT, "Under which condition, as an expression.", f"{_D}.condition.expression"),
        Column(
            "principal",
            TEXT,
            "Who changed it; `(redacted)` outside `staff_domains`.",
            "logging.v2#LogEntry:protoPayload.authenticationInfo.principalEmail",
        ),
    ),
    key=("resource", "position"),
    permissions=("logging.logEntries.list",),
    drops=(
        "everything of the entries but which grants were changed when, where and by whom",
        "members and principals outside `staff_domains`: personal data",
    ),
)


def _window(session: GcpSession) -> Window:
    """From the beginning of the period until now: what was granted in it may have been taken away after it."""
    now = session.context.as_of
    return Window(start=min(session.context.period.start, now), end=now)


def _filter(window: Window) -> str:
    """Changes of IAM policies, by whatever API; those that failed changed nothing."""
    return (
        'log_id("cloudaudit.googleapis.com/activity") AND protoPayload.methodName:"setIam" AND severity<ERROR'
        f' AND timestamp>="{clock.text(window.start)}" AND timestamp<"{clock.text(window.end)}"'
    )


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    deltas = f"entries[].{_DELTAS}"
    return (
        *(drop for drop in entry_drops(session) if not drop.path.endswith(".serviceData")),
        Drop(f"{deltas}.auditConfigDeltas", "not needed"),
        Drop(f"{deltas}.bindingDeltas[].member", "personal", people_outside(session.config.staff_domains)),
        Drop(f"{deltas}.bindingDeltas[].condition.title", "free text"),
        Drop(f"{deltas}.bindingDeltas[].condition.description", "free text"),
    )


def _changes(session: GcpSession, places: list[str], tally: Tally) -> Iterator[Reply]:
    fields = entry_fields(places, _filter(_window(session)))
    for page in entry_pages(session, fields, {}, tally, _drops(session)):
        yield page.reply


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[_filter(_window(session))])
    yield from _changes(session, [place(target)], tally)
    return tally.completeness("audit log entries of changed IAM policies")


def _fetch_batches(session: GcpSession, inventory: Inventory) -> Fetched:
    """Cloud Logging answers about many places in one request: what lies above the projects comes first."""
    tally = Tally(filters=[_filter(_window(session))])
    places = [*inventory.above, *(f"projects/{project}" for project in inventory.chosen)]
    for batch in batches(places, BATCH):
        yield from _changes(session, batch, tally)
    done = tally.completeness("audit log entries of changed IAM policies")
    above = f"with the {len(inventory.above)} folders and organisations that they lie in"
    return reworded(done, f"{done.method}; {inventory.words}, {above}, up to {BATCH} in one request")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("entries", []):
        name, at, mark = record.get("logName"), record.get("timestamp"), record.get("insertId")
        where = _LOG_OF.match(str(name))
        deltas = dig(record, f"{_DELTAS}.bindingDeltas") or []  # a policy that was written again as it was has none
        for position, delta in enumerate(deltas, 1):
            member = delta.get("member")
            yield (
                "gcp.iam_change",
                {
                    "project": where.group(1).removeprefix("projects/") if where else None,
                    "resource": f"//logging.googleapis.com/{name}#{at}/{mark}",
                    "position": position,
                    "changed": instant(at),
                    "target": dig(record, "protoPayload.resourceName"),
                    "action": delta.get("action"),
                    "role": delta.get("role"),
                    "member": member,
                    "service_agent": is_service_agent(str(member)),
                    "condition": dig(delta, "condition.expression"),
                    "principal": dig(record, "protoPayload.authenticationInfo.principalEmail"),
                },
            )


FEEDS = (
    feed(
        "iam_changes",
        "Grants that were made and taken away.",
        (CHANGE,),
        _fetch,
        _shape,
        Audited("logging", "google.logging.v2.LoggingServiceV2.ListLogEntries"),
        everywhere=Everywhere(batches=_fetch_batches),
        targets=with_organization,
        window=_window,
    ),
)
