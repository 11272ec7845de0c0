"""What workflows of GitHub Actions may do, as the organisation settles it; a repository may only be stricter."""

from __future__ import annotations

from collections.abc import Iterator

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.common import audit_phrase, organization_target
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("one organisation, asked by name")
    root = f"/orgs/{target.name}/actions/permissions"
    allowed = session.get(root, tally)
    yield allowed.reply
    names = ("enabled_repositories", "allowed_actions", "sha_pinning_required")
    yield session.get(f"{root}/workflow", tally, facts={name: at(allowed.data, name) for name in names}).reply
    tally.items = 1
    return tally.result()


def _shape(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "enabled_repositories" not in facts:
        return
    data = data_of(reply)
    yield (
        "github.actions",
        {
            "organization": organization,
            "resource": f"{organization}/actions",
            **facts,
            "default_workflow_permissions": at(data, "default_workflow_permissions"),
            "can_approve_pull_requests": at(data, "can_approve_pull_request_reviews"),
        },
    )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "actions",
        "What workflows of GitHub Actions may do.",
        (tables.ACTIONS,),
        organization_target,
        _fetch,
        _shape,
        corroborate=audit_phrase,
    ),
)
