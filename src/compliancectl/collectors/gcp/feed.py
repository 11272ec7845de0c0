"""How a feed of this collector is put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.identity import subject
from compliancectl.collectors.gcp.redact import parse
from compliancectl.collectors.gcp.services import SERVICES
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.verdict import FAULT
from compliancectl.errors import CollectError, Garbage
from compliancectl.model.evidence import Completeness, Window
from compliancectl.model.table import Table

Shape = Callable[[Mapping[str, Any], Mapping[str, str]], Iterable[Row]]
"""Parsed reply and its context → rows."""


@dataclass(frozen=True)
class Audited:
    """How Google's audit log calls the requests of a feed."""

    service: str
    method: str
    """The method that decides, e.g. `cloudsql.instances.list`."""


@dataclass(frozen=True)
class GcpFeed(Feed[GcpSession]):
    """A feed that knows which API it asks."""

    service: str = ""


def place(target: Target) -> str:
    """The project or organisation of a target: `projects/larkspur-prod`."""
    return target.name if "/" in target.name else f"projects/{target.name}"


def projects(service: str) -> Callable[[GcpSession], Iterable[Target]]:
    """One target for each project in scope."""

    def targets(session: GcpSession) -> Iterator[Target]:
        for project in session.config.projects:
            yield Target(project, session.endpoint(service))

    return targets


def feed(
    name: str,
    description: str,
    tables: tuple[Table, ...],
    fetch: Callable[[GcpSession, Target], Fetched],
    shape: Shape,
    audited: Audited,
    *,
    targets: Callable[[GcpSession], Iterable[Target]] | None = None,
    window: Callable[[GcpSession], Window | None] = lambda session: None,
) -> GcpFeed:
    """Put a feed together: remembers when it ran, parses replies for `shape`, writes the query that finds it."""

    def fetched(session: GcpSession, target: Target) -> Fetched:
        with session.timed(name, target.name):
            try:
                completeness: Completeness = yield from fetch(session, target)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise Garbage(
                    f"{SERVICES[audited.service].title} answered in a form that is not documented "
                    f"({type(error).__name__}: {error})",
                    hint=FAULT,
                ) from error
            return completeness

    def shaped(reply: Reply) -> Iterator[Row]:
        yield from shape(parse(reply.body), reply.context)

    def corroborate(session: GcpSession, target: Target) -> str | None:
        return in_audit_log(session, name, target, audited)

    return GcpFeed(
        name=name,
        description=description,
        tables=tables,
        targets=targets or projects(audited.service),
        fetch=fetched,
        shape=shaped,
        window=window,
        corroborate=corroborate,
        service=audited.service,
    )


def in_audit_log(session: GcpSession, name: str, target: Target, audited: Audited) -> str | None:
    """A Cloud Logging filter that finds this collection among the data access logs; None if it never ran."""
    times = session.times(name, target.name)
    if times is None:
        return None
    try:
        who = subject(session.credentials())
    except CollectError:
        return None
    start, end = times[0] - timedelta(seconds=2), times[1] + timedelta(seconds=2)
    return " AND ".join(
        [
            f'logName="{place(target)}/logs/cloudaudit.googleapis.com%2Fdata_access"',
            f'protoPayload.serviceName="{SERVICES[audited.service].host}"',
            f'protoPayload.methodName="{audited.method}"',
            f'protoPayload.authenticationInfo.principalEmail="{who}"',
            f'timestamp>="{clock.text(start)}"',
            f'timestamp<="{clock.text(end)}"',
        ]
    )
