"""Self-hosted runners: who may use the groups that they are in, and which public repositories have runners of their own.

Whoever can propose a change to a public repository can have code run on the runners that it may use.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.columns import ADMINISTRATION, METADATA, RUNNERS, column, table
from compliancectl.collectors.github.common import audit_phrase, each, object_pages, organization_target, repositories
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of
from compliancectl.model.table import BOOL, INT, TEXT

_GROUP = "GET /orgs/{org}/actions/runner-groups#runner_groups[]."
_MEMBER = "GET /orgs/{org}/actions/runner-groups/{runner_group_id}/repositories#repositories[]."

RUNNER_GROUP = table(
    "runner_group",
    "One row per group of self-hosted runners of the organisation, those of its enterprise included.",
    (RUNNERS,),
    column("id", INT, "Number that GitHub gave it.", _GROUP + "id", required=True),
    column("name", TEXT, "Name.", _GROUP + "name", required=True),
    column("visibility", TEXT, "Which repositories may use it: all, selected or private.", _GROUP + "visibility"),
    column(
        "allows_public_repositories",
        BOOL,
        "Public repositories are not kept from it.",
        _GROUP + "allows_public_repositories",
    ),
    column("inherited", BOOL, "The enterprise owns it.", _GROUP + "inherited"),
)
GROUP_REPOSITORY = table(
    "runner_group_repository",
    "One row per group that lets selected repositories in, public ones included, and repository that was selected.",
    (RUNNERS, METADATA),
    column("runner_group", INT, "The group's number.", _GROUP + "id", required=True),
    column("repository", TEXT, "Name of the repository.", _MEMBER + "name", required=True),
    column("public", BOOL, "Everybody can see it.", _MEMBER + "private"),
    column("archived", BOOL, "Nothing runs in it; NULL when GitHub does not say.", _MEMBER + "archived"),
)
REPOSITORY_RUNNERS = table(
    "repository_runners",
    "One row per public repository that the scope covers and is not archived: how many runners it has of its own.",
    (METADATA, ADMINISTRATION),
    column("repository", TEXT, "Name of the repository.", "GET /orgs/{org}/repos#[].name", required=True),
    column(
        "runners",
        INT,
        "Self-hosted runners that are registered with the repository itself.",
        "GET /repos/{owner}/{repo}/actions/runners#total_count",
        required=True,
    ),
)


def _fetch_groups(session: GitHubSession, target: Target) -> Fetched:
    """The groups; and of those that let selected repositories in, public ones included, which these are."""
    tally = Tally("all pages of groups, and of the repositories of those that matter, against total_count")
    root = f"/orgs/{target.name}/actions/runner-groups"
    groups = list[object]()
    for reply in object_pages(session, root, "runner_groups", tally, facts={"groups": True}):
        groups += at(data_of(reply), "runner_groups")
        yield reply
    for group in groups:
        if at(group, "visibility") == "selected" and at(group, "allows_public_repositories") is not False:
            number = at(group, "id")
            yield from object_pages(
                session, f"{root}/{number}/repositories", "repositories", tally, facts={"group": number}
            )
    return tally.result()


def _shape_group(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "groups" in facts:
        for entry in at(data_of(reply), "runner_groups") or ():
            yield (
                "github.runner_group",
                {
                    "organization": organization,
                    "resource": f"{organization}/runner-groups/{at(entry, 'id')}",
                    **{
                        name: at(entry, name)
                        for name in ("id", "name", "visibility", "allows_public_repositories", "inherited")
                    },
                },
            )
    if "group" in facts:
        for entry in at(data_of(reply), "repositories") or ():
            private = at(entry, "private")
            yield (
                "github.runner_group_repository",
                {
                    "organization": organization,
                    "resource": f"{organization}/runner-groups/{facts['group']}/{at(entry, 'name')}",
                    "runner_group": facts["group"],
                    "repository": at(entry, "name"),
                    "public": None if private is None else private is False,
                    "archived": at(entry, "archived"),
                },
            )


def _fetch_repositories(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("the runners of every public repository, counted by GitHub")
    tally.filters.append("public repositories that the scope covers and are not archived")
    listed = yield from repositories(session, tally)
    names = sorted(
        str(at(entry, "name"))
        for entry in listed
        if at(entry, "visibility") == "public"
        and at(entry, "archived") is not True
        and session.config.covers(str(at(entry, "name")))
    )

    def ask(name: str, counted: Tally) -> Generator[Reply, None, None]:
        path = f"/repos/{target.name}/{name}/actions/runners"
        yield session.get(path, counted, facts={"repository": name}, per_page=1).reply

    yield from each(session, names, ask, tally, "runners")
    tally.items = len(names)
    return tally.result()


def _shape_repository(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "repository" in facts:
        yield (
            "github.repository_runners",
            {
                "organization": organization,
                "resource": f"{organization}/{facts['repository']}/runners",
                "repository": facts["repository"],
                "runners": at(data_of(reply), "total_count"),
            },
        )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "runner_groups",
        "Groups of self-hosted runners, and which repositories may use them.",
        (RUNNER_GROUP, GROUP_REPOSITORY),
        organization_target,
        _fetch_groups,
        _shape_group,
        corroborate=audit_phrase,
    ),
    Feed(
        "repository_runners",
        "Self-hosted runners of public repositories.",
        (REPOSITORY_RUNNERS,),
        organization_target,
        _fetch_repositories,
        _shape_repository,
        corroborate=audit_phrase,
    ),
)
