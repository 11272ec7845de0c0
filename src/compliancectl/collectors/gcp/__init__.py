"""Google Cloud: reads configuration, backups, logs and findings with Application Default Credentials."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from compliancectl.collectors.base import Collector, Context
from compliancectl.collectors.gcp import permissions
from compliancectl.collectors.gcp.config import GcpConfig
from compliancectl.collectors.gcp.feed import GcpFeed
from compliancectl.collectors.gcp.feeds import (
    access,
    accounts,
    activity,
    arrival,
    artifacts,
    assets,
    availability,
    balancers,
    certificates,
    contacts,
    dns,
    dns_names,
    flow_logs,
    grants,
    history,
    iam,
    keys,
    load,
    logs,
    monitoring,
    network,
    perimeters,
    pgaudit,
    policy,
    profiles,
    projects,
    redis,
    resource_grants,
    run,
    scheduler,
    secrets,
    security_center,
    sql,
    storage,
    usage,
    vpc,
)
from compliancectl.collectors.gcp.session import GcpSession


class GcpCollector(Collector[GcpConfig, GcpSession]):
    """The collector called `gcp`."""

    name = "gcp"
    system = "Google Cloud"
    config = GcpConfig
    feeds = (
        *access.FEEDS,
        *accounts.FEEDS,
        *activity.FEEDS,
        *arrival.FEEDS,
        *artifacts.FEEDS,
        *assets.FEEDS,
        *availability.FEEDS,
        *balancers.FEEDS,
        *certificates.FEEDS,
        *contacts.FEEDS,
        *dns.FEEDS,
        *dns_names.FEEDS,
        *flow_logs.FEEDS,
        *grants.FEEDS,
        *history.FEEDS,
        *iam.FEEDS,
        *keys.FEEDS,
        *load.FEEDS,
        *logs.FEEDS,
        *monitoring.FEEDS,
        *network.FEEDS,
        *perimeters.FEEDS,
        *pgaudit.FEEDS,
        *policy.FEEDS,
        *profiles.FEEDS,
        *projects.FEEDS,
        *redis.FEEDS,
        *resource_grants.FEEDS,
        *run.FEEDS,
        *scheduler.FEEDS,
        *secrets.FEEDS,
        *security_center.FEEDS,
        *sql.FEEDS,
        *storage.FEEDS,
        *usage.FEEDS,
        *vpc.FEEDS,
    )
    workers = 8

    @contextmanager
    def open(self, config: GcpConfig, context: Context) -> Iterator[GcpSession]:
        """Open a session; credentials are looked for at the first request."""
        # gRPC writes its own lines to stderr beside the error that it reports, unless it is told not to.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        session = GcpSession(config, context)
        try:
            yield session
        finally:
            session.close()

    def permissions(self) -> str:
        """The custom role, and the commands that create and grant it."""
        feeds = [feed for feed in self.feeds if isinstance(feed, GcpFeed)]
        below = {name for feed in feeds for name in feed.below}
        linked = {name for feed in feeds if feed.instead for name in feed.instead.permissions}
        services = {*(feed.service for feed in feeds), "resourcemanager"}
        return permissions.text(self.tables, services, below, linked)


collector = GcpCollector()
