"""How a feed of this collector is put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.everywhere import (
    ASK_EACH,
    Everywhere,
    Fetch,
    Shape,
    fetch_everywhere,
    is_root,
    shape_assets,
)
from compliancectl.collectors.gcp.identity import subject
from compliancectl.collectors.gcp.inventory import place_named
from compliancectl.collectors.gcp.redact import parse
from compliancectl.collectors.gcp.services import SERVICES
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.verdict import FAULT
from compliancectl.errors import CollectError, Garbage
from compliancectl.model.evidence import Completeness, Window
from compliancectl.model.table import Table


@dataclass(frozen=True)
class Audited:
    """How Google's audit log calls the requests of a feed."""

    service: str
    method: str
    """The method that decides, e.g. `cloudsql.instances.list`."""


@dataclass(frozen=True)
class Instead:
    """Another service that the scope may name in place of the feed's own."""

    chosen: Callable[[GcpSession], bool]
    service: str
    permissions: tuple[str, ...]
    shown_by: int = 1
    """How many answers show that all of these permissions are held; they may be granted below the project."""


@dataclass(frozen=True)
class GcpFeed(Feed[GcpSession]):
    """A feed that knows which API it asks."""

    service: str = ""
    below: tuple[str, ...] = ()
    """Permissions that it needs besides on an organisation or folder whose projects are in scope."""
    instead: Instead | None = None

    def asks(self, session: GcpSession) -> str:
        """The service that is asked, as the scope wants it."""
        return self.instead.service if self.instead and self.instead.chosen(session) else self.service

    def needs(self, session: GcpSession) -> frozenset[str]:
        """The permissions that it needs where it asks, as the scope wants it."""
        if self.instead and self.instead.chosen(session):
            return frozenset(self.instead.permissions)
        return frozenset(name for table in self.tables for name in table.permissions)


def place(target: Target) -> str:
    """The project or organisation of a target: `projects/larkspur-prod`."""
    return place_named(target.name)


def projects(service: str) -> Callable[[GcpSession], Iterable[Target]]:
    """One target for each project in scope; or one for the organisation or folder whose projects are in scope."""

    def targets(session: GcpSession) -> Iterator[Target]:
        for name in session.config.projects or session.config.roots:
            yield Target(name, session.endpoint(service))

    return targets


def feed(
    name: str,
    description: str,
    tables: tuple[Table, ...],
    fetch: Fetch,
    shape: Shape,
    audited: Audited,
    *,
    everywhere: Everywhere | None = ASK_EACH,
    below: tuple[str, ...] = (),
    targets: Callable[[GcpSession], Iterable[Target]] | None = None,
    window: Callable[[GcpSession], Window | None] | None = None,
    instead: Instead | None = None,
) -> GcpFeed:
    """Put a feed together: remembers when it ran, parses replies for `shape`, writes the query that finds it."""

    def fetched(session: GcpSession, target: Target) -> Fetched:
        with session.timed(name, target.name):
            try:
                replies = (
                    fetch_everywhere(session, target.name, fetch, everywhere)
                    if everywhere is not None and target.name in session.config.roots
                    else fetch(session, target)
                )
                completeness: Completeness = yield from replies
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise Garbage(
                    f"{SERVICES[audited.service].title} answered in a form that is not documented "
                    f"({type(error).__name__}: {error})",
                    hint=FAULT,
                ) from error
            return completeness

    def shaped(reply: Reply) -> Iterator[Row]:
        data = parse(reply.body)
        if everywhere is not None and "assets" in reply.context:
            yield from shape_assets(data, reply.context, shape, everywhere)
        else:
            yield from shape(data, reply.context)

    def corroborate(session: GcpSession, target: Target) -> str | None:
        if instead is not None and instead.chosen(session):
            return None  # the evidence names its jobs
        return in_audit_log(session, name, target, audited)

    return GcpFeed(
        name=name,
        description=description,
        tables=tables,
        targets=targets or projects(audited.service),
        fetch=fetched,
        shape=shaped,
        window=window or (lambda session: None),
        corroborate=corroborate,
        freshness=_freshness(everywhere, window is not None),
        service=audited.service,
        instead=instead,
        below=everywhere.permissions if everywhere is not None else below,
    )


def _freshness(everywhere: Everywhere | None, window: bool) -> str:
    """How new what a feed tells is: Google says of its inventory that changes usually show within minutes."""
    if window:
        return "what happened until the run began; the evidence has the window"
    if everywhere is not None and (everywhere.types or everywhere.fetch):
        inventory = "as Cloud Asset Inventory has it for the instant at which the run began, usually minutes behind"
        return f"as it was when the API was asked; below an organisation or folder {inventory}"
    return "as it was when the API was asked"


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
            *_where_and_what(target, audited),
            f'protoPayload.authenticationInfo.principalEmail="{who}"',
            f'timestamp>="{clock.text(start)}"',
            f'timestamp<="{clock.text(end)}"',
        ]
    )


_LIST = Audited("cloudasset", "google.cloud.asset.v1.AssetService.ListAssets")


def _where_and_what(target: Target, audited: Audited) -> list[str]:
    """Of an organisation, the inventory was asked as well, and the entries lie in whichever project was asked."""
    log = "cloudaudit.googleapis.com%2Fdata_access"
    if not is_root(target):
        return [
            f'logName="{place(target)}/logs/{log}"',
            f'protoPayload.serviceName="{SERVICES[audited.service].host}"',
            f'protoPayload.methodName="{audited.method}"',
        ]
    methods = " OR ".join(f'"{method}"' for method in sorted({audited.method, _LIST.method}))
    return ['log_id("cloudaudit.googleapis.com/data_access")', f"protoPayload.methodName=({methods})"]
