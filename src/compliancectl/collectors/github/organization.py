"""The organisation, its settings, its members and its outside collaborators."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.client import PAGE_SIZE
from compliancectl.collectors.github.common import audit_phrase, organization_target
from compliancectl.collectors.github.documents import MEMBER_COUNT, ORGANIZATION
from compliancectl.collectors.github.session import (
    GitHubSession,
    Tally,
    at,
    check_page,
    data_of,
    facts_of,
)
from compliancectl.errors import Missing

_SETTINGS = (
    "default_repository_permission",
    "members_can_create_public_repositories",
    "members_can_delete_repositories",
    "members_can_change_repo_visibility",
    "members_can_invite_outside_collaborators",
    "members_can_fork_private_repositories",
)


def _fetch_organization(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("one organisation, asked by name over REST and GraphQL")
    got = session.get(f"/orgs/{target.name}", tally)
    yield got.reply
    settings: dict[str, Any] = {name: at(got.data, name) for name in _SETTINGS}
    settings["two_factor_required"] = at(got.data, "two_factor_requirement_enabled")
    settings["plan"] = at(got.data, "plan", "name")
    again = session.graphql(ORGANIZATION, {"organization": target.name}, tally, facts=settings)
    _check(target.name, settings, at(again.data, "organization"), tally)
    yield again.reply
    tally.items = 1
    return tally.result()


def _check(name: str, settings: dict[str, Any], organization: Any, tally: Tally) -> None:
    """Refuse an organisation that is hidden; warn when REST and GraphQL contradict each other."""
    if organization is None:
        raise Missing(
            f"GitHub shows no organisation {name} (it does not exist, was renamed, or this token may not see it)",
            hint="Correct `organization` in the scope file, or use a token that may see it.",
        )
    rest, graphql = settings["two_factor_required"], at(organization, "requiresTwoFactorAuthentication")
    if None not in (rest, graphql) and rest != graphql:
        tally.warn(f"two-factor requirement: REST says {rest}, GraphQL says {graphql}")


def _shape_organization(reply: Reply) -> Iterator[Row]:
    if reply.context["kind"] != "graphql":
        return
    data = data_of(reply)
    organization = at(data, "data", "organization")
    withheld = {str((e.get("path") or [""])[-1]) for e in data.get("errors") or ()}
    owner = at(organization, "viewerCanAdminister") is True and "samlIdentityProvider" not in withheld
    yield (
        "github.organization",
        {
            "organization": reply.context["organization"],
            "resource": reply.context["organization"],
            "saml_enabled": at(organization, "samlIdentityProvider") is not None if owner else None,
            "ip_allow_list": at(organization, "ipAllowListEnabledSetting"),
            **facts_of(reply),
        },
    )


def _fetch_members(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages of members by role and of outside collaborators; members counted again over GraphQL")
    counted = session.graphql(MEMBER_COUNT, {"organization": target.name}, tally)
    yield counted.reply
    facts: dict[str, Any] = {}
    for people in ("members", "outside_collaborators"):
        for name in ("2fa_disabled", "2fa_insecure"):
            facts[f"{people}.{name}"] = yield from _flagged(session, target, people, name, tally)
    tally.items = 0
    for role in ("admin", "member"):
        yield from session.pages(f"/orgs/{target.name}/members", tally, facts={**facts, "role": role}, role=role)
    members = tally.items
    path = f"/orgs/{target.name}/outside_collaborators"
    outside = yield from session.pages(path, tally, facts={**facts, "role": "outside_collaborator"})
    if session.config.app is None and at(counted.data, "organization", "viewerIsAMember") is not True:
        tally.warn("the token's owner is no member of the organisation, and so sees its public members only")
    total = at(counted.data, "organization", "membersWithRole", "totalCount")
    if not isinstance(total, int):
        tally.warn("GitHub did not say how many members there are")
    else:
        tally.counted = total + len(outside)
        if total != members:
            tally.warn(f"GitHub counts {total} members, but lists {members}")
    return tally.result()


def _flagged(
    session: GitHubSession, target: Target, people: str, name: str, tally: Tally
) -> Generator[Reply, None, list[str] | None]:
    """Logins that a two-factor filter lists; None when only an owner may ask."""
    path = f"/orgs/{target.name}/{people}"
    first = session.get(path, tally, also_fine=(403, 422), want=list, per_page=PAGE_SIZE, filter=name)
    yield first.reply
    if first.status != 200:
        return None
    entries, following, seen = list(first.data), first.link, set[str]()
    while following is not None:
        check_page(following, seen, session.config.page_limit, f"GET {path}")
        got = session.get(following, tally, want=list)
        yield got.reply
        entries, following = entries + list(got.data), got.link
    return sorted(str(at(entry, "login")) for entry in entries)


def _shape_member(reply: Reply) -> Iterator[Row]:
    facts = facts_of(reply)
    role = facts.get("role")
    if role is None:
        return
    people = "outside_collaborators" if role == "outside_collaborator" else "members"
    disabled, insecure = facts[f"{people}.2fa_disabled"], facts[f"{people}.2fa_insecure"]
    for entry in data_of(reply):
        login = at(entry, "login")
        yield (
            "github.member",
            {
                "organization": reply.context["organization"],
                "resource": f"{reply.context['organization']}/{login}",
                "login": login,
                "role": role,
                "two_factor_disabled": None if disabled is None else login in disabled,
                "two_factor_insecure": None if insecure is None else login in insecure,
            },
        )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "organization",
        "The organisation's settings.",
        (tables.ORGANIZATION,),
        organization_target,
        _fetch_organization,
        _shape_organization,
        corroborate=audit_phrase,
    ),
    Feed(
        "members",
        "Members, owners, outside collaborators and their second factors.",
        (tables.MEMBER,),
        organization_target,
        _fetch_members,
        _shape_member,
        corroborate=audit_phrase,
    ),
)
