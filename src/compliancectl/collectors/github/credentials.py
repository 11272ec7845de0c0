"""Deploy keys, installed apps and webhooks: what acts without being a person."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import credential_tables
from compliancectl.collectors.github.common import (
    audit_phrase,
    counts,
    each,
    object_pages,
    organization_target,
    repositories,
)
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of, time_of


def _fetch_keys(session: GitHubSession, target: Target) -> Fetched:
    """GraphQL counts the keys of all repositories at once; only those that have some are asked for them."""
    tally = Tally("every repository's keys, counted over GraphQL; the keys of those that have any, against that count")
    tally.filters.append("repositories that the scope covers and are not archived")
    nodes, listed = (yield from counts(session, "deployKeys", tally)), 0
    for node in nodes:
        name, total = str(at(node, "name")), at(node, "deployKeys", "totalCount")
        if at(node, "isArchived") is True or not session.config.covers(name) or total == 0:
            continue
        if not isinstance(total, int):
            tally.warn(f"{name}: GitHub did not say how many deploy keys there are")
        else:
            listed += total
        path = f"/repos/{target.name}/{name}/keys"
        yield from session.pages(path, tally, facts={"repository": name})
    tally.counted = listed
    return tally.result()


def _shape_key(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    for entry in data_of(reply) if "repository" in facts else ():
        yield (
            "github.deploy_key",
            {
                "organization": organization,
                "resource": f"{organization}/{facts['repository']}/keys/{at(entry, 'id')}",
                "repository": facts["repository"],
                "id": at(entry, "id"),
                "read_only": at(entry, "read_only"),
                "enabled": at(entry, "enabled"),
                "created": time_of(at(entry, "created_at")),
                "last_used": time_of(at(entry, "last_used")),
                "added_by": at(entry, "added_by"),
            },
        )


def _fetch_installations(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages, against total_count")
    yield from object_pages(session, f"/orgs/{target.name}/installations", "installations", tally)
    return tally.result()


def _shape_installation(reply: Reply) -> Iterator[Row]:
    organization = reply.context["organization"]
    for entry in at(data_of(reply), "installations") or ():
        granted = at(entry, "permissions")
        yield (
            "github.installation",
            {
                "organization": organization,
                "resource": f"{organization}/installations/{at(entry, 'id')}",
                "app": at(entry, "app_slug"),
                "selection": at(entry, "repository_selection"),
                "writes": sorted(f"{name}={level}" for name, level in granted.items() if level != "read")
                if isinstance(granted, dict)
                else None,
                "created": time_of(at(entry, "created_at")),
                "suspended": time_of(at(entry, "suspended_at")),
            },
        )


def _fetch_hooks(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages for the organisation, and for each repository that the scope covers and is not archived")
    yield from session.pages(f"/orgs/{target.name}/hooks", tally, facts={"repository": None})
    items = tally.items
    listed = yield from repositories(session, tally)
    tally.items = items
    names = sorted(
        str(at(entry, "name"))
        for entry in listed
        if at(entry, "archived") is not True and session.config.covers(str(at(entry, "name")))
    )

    def ask(name: str, counted: Tally) -> Generator[Reply, None, None]:
        yield from session.pages(f"/repos/{target.name}/{name}/hooks", counted, facts={"repository": name})

    yield from each(session, names, ask, tally, "webhooks")
    return tally.result()


def _shape_hook(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    owner = f"{organization}/{facts['repository']}" if facts.get("repository") else organization
    for entry in data_of(reply) if "repository" in facts else ():
        lax = at(entry, "config", "insecure_ssl")
        yield (
            "github.hook",
            {
                "organization": organization,
                "resource": f"{owner}/hooks/{at(entry, 'id')}",
                "repository": facts["repository"],
                "id": at(entry, "id"),
                "active": at(entry, "active"),
                "origin": at(entry, "config", "url"),
                "verifies_tls": None if lax is None else str(lax) == "0",
                "signed": at(entry, "config", "secret_is_set"),
            },
        )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "deploy_keys",
        "Keys that open one repository without a person.",
        (credential_tables.DEPLOY_KEY,),
        organization_target,
        _fetch_keys,
        _shape_key,
        corroborate=audit_phrase,
    ),
    Feed(
        "installations",
        "GitHub Apps that are installed, and what they may do.",
        (credential_tables.INSTALLATION,),
        organization_target,
        _fetch_installations,
        _shape_installation,
        corroborate=audit_phrase,
    ),
    Feed(
        "hooks",
        "Webhooks of the organisation and of repositories.",
        (credential_tables.HOOK,),
        organization_target,
        _fetch_hooks,
        _shape_hook,
        corroborate=audit_phrase,
    ),
)
