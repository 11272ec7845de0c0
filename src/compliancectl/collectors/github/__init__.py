"""GitHub: settings, rules, changes and alerts of one organisation.

PyGithub authenticates and carries REST and GraphQL (`client`); `judge` says what an answer means; each other
module is one group of feeds. `documents` holds everything that is asked over GraphQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compliancectl.collectors.base import Collector, Context
from compliancectl.collectors.github import (
    access,
    access_tokens,
    actions,
    alerts,
    audit_log,
    changes,
    code,
    contents,
    credentials,
    delivery,
    deployments,
    invitations,
    organization,
    permissions,
    proposals,
    pushes,
    repositories,
    rules,
    runners,
)
from compliancectl.collectors.github.config import GitHubConfig
from compliancectl.collectors.github.session import GitHubSession


class GitHubCollector(Collector[GitHubConfig, GitHubSession]):
    """Collects from one GitHub organisation."""

    name = "github"
    system = "GitHub"
    config = GitHubConfig
    feeds = (
        *organization.FEEDS,
        *audit_log.FEEDS,
        *invitations.FEEDS,
        *actions.FEEDS,
        *runners.FEEDS,
        *repositories.FEEDS,
        *rules.FEEDS,
        *changes.FEEDS,
        *pushes.FEEDS,
        *proposals.FEEDS,
        *alerts.FEEDS,
        *credentials.FEEDS,
        *access_tokens.FEEDS,
        *access.FEEDS,
        *delivery.FEEDS,
        *deployments.FEEDS,
        *contents.FEEDS,
        *code.FEEDS,
    )
    workers = 10

    @contextmanager
    def open(self, config: GitHubConfig, context: Context) -> Iterator[GitHubSession]:
        """Open a session; credentials are read at the first request."""
        session = GitHubSession(config, context)
        try:
            yield session
        finally:
            session.close()

    def permissions(self) -> str:
        """Permissions of a GitHub App or a fine-grained token, as Markdown."""
        return permissions.text(self.tables)


collector = GitHubCollector()
