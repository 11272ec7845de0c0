"""PostgreSQL: catalogues, settings and purge counts, read in read-only snapshots by a role that owns nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compliancectl.collectors.base import Collector, Context
from compliancectl.collectors.postgres.config import PostgresConfig
from compliancectl.collectors.postgres.feeds import FEEDS
from compliancectl.collectors.postgres.permissions import TEXT
from compliancectl.collectors.postgres.session import PostgresSession


class PostgresCollector(Collector[PostgresConfig, PostgresSession]):
    """One or more databases, straight or through the Cloud SQL connector."""

    name = "postgres"
    system = "PostgreSQL"
    config = PostgresConfig
    feeds = FEEDS
    workers = 4

    @contextmanager
    def open(self, config: PostgresConfig, context: Context) -> Iterator[PostgresSession]:
        """Open a session; connections are made by the feeds."""
        session = PostgresSession(config, context)
        try:
            yield session
        finally:
            session.close()

    def permissions(self) -> str:
        """The grants, ready to paste."""
        return TEXT


collector = PostgresCollector()
