"""Who may do what in each repository, and what gives it: the organisation, a team, or the repository itself."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.columns import METADATA, OWNER, column, table
from compliancectl.collectors.github.common import audit_phrase, gone, organization_target
from compliancectl.collectors.github.config import covered
from compliancectl.collectors.github.content_documents import COLLABORATORS, MORE_COLLABORATORS
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.errors import Denied
from compliancectl.model.table import BOOL, TEXT, TIME, ListOf

_EDGE = "gql#RepositoryCollaboratorEdge."

COLLABORATOR = table(
    "collaborator",
    "One row per repository that the scope covers and person who can open it; whoever may read a public one is not one of them.",
    (METADATA, OWNER),
    column("repository", TEXT, "Name of the repository.", "gql#Repository.name", required=True),
    column("repository_created", TIME, "When the repository was made.", "gql#Repository.createdAt"),
    column("login", TEXT, "Login.", _EDGE + "node.login", required=True),
    column(
        "permission",
        TEXT,
        "The most that the person may do: read, triage, write, maintain or admin.",
        _EDGE + "permission",
        required=True,
    ),
    column(
        "given_by",
        ListOf(TEXT),
        "What gives it: `organization`, `repository` or `team SLUG`, each with what it gives, e.g. `team platform: write`.",
        _EDGE + "permissionSources",
    ),
    column(
        "beyond_membership",
        BOOL,
        "Something else than the organisation gives it, too.",
        _EDGE + "permissionSources",
    ),
)


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("every repository, and its people to hasNextPage = false, against totalCount", reported=0)
    tally.filters.append("repositories that the scope covers, archived ones included; affiliation = ALL")
    cursor = session.cursor("repositories")
    facts: dict[str, Any] = {"coverage": session.config.coverage}
    while not cursor.done:
        variables = {"organization": target.name, "after": cursor.after}
        got = session.graphql(COLLABORATORS, variables, tally, facts=facts)
        nodes = cursor.take(at(got.data, "organization", "repositories"))
        yield got.reply
        for node in nodes:
            if session.config.covers(str(at(node, "name"))):
                yield from _people(session, node, tally)
    if cursor.count != cursor.total:
        tally.warn(f"GraphQL counts {cursor.total} repositories, but lists {cursor.count}")
    return tally.result()


def _people(session: GitHubSession, node: Any, tally: Tally) -> Generator[Reply, None, None]:
    """The pages that follow the one which came with the repository."""
    repository = str(at(node, "name"))
    if at(node, "collaborators") is None:
        raise Denied(f"GitHub does not show this token who can open {repository}", hint=f"Use {OWNER}.")
    people = session.cursor(f"people of {repository}")
    people.take(at(node, "collaborators"))
    while not people.done:
        variables = {"organization": session.organization, "repository": repository, "after": people.after}
        got = session.graphql(MORE_COLLABORATORS, variables, tally, facts={"repository": repository})
        if at(got.data, "repository") is None:
            raise gone(session, repository, "repository")
        people.take(at(got.data, "repository", "collaborators"))
        yield got.reply
    tally.items += people.count
    tally.expect(people.total)


def _shape(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    data = at(data_of(reply), "data")
    if "repository" in facts:
        yield from _rows(at(data, "repository"), organization)
    elif "coverage" in facts:
        for node in at(data, "organization", "repositories", "nodes") or ():
            if node is not None and covered(str(at(node, "name")), facts["coverage"]):
                yield from _rows(node, organization)


def _rows(repository: Any, organization: str) -> Iterator[Row]:
    name = at(repository, "name")
    for edge in at(repository, "collaborators", "nodes") or ():
        login, permission, sources = at(edge, "node", "login"), at(edge, "permission"), at(edge, "permissionSources")
        yield (
            "github.collaborator",
            {
                "organization": organization,
                "resource": f"{organization}/{name}/{login}",
                "repository": name,
                "repository_created": time_of(at(repository, "createdAt")),
                "login": login,
                "permission": permission.lower() if isinstance(permission, str) else permission,
                "given_by": sorted(_given(source) for source in sources) if isinstance(sources, list) else None,
                "beyond_membership": any(_granter(source) != "organization" for source in sources)
                if isinstance(sources, list)
                else None,
            },
        )


def _granter(source: Any) -> str:
    kind = str(at(source, "source", "__typename")).lower()
    return f"team {at(source, 'source', 'slug')}" if kind == "team" else kind


def _given(source: Any) -> str:
    """By its own name if it is a role that the organisation made."""
    return f"{_granter(source)}: {str(at(source, 'roleName') or at(source, 'permission')).lower()}"


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "collaborators",
        "Who can open each repository, what they may do there, and what gives it to them.",
        (COLLABORATOR,),
        organization_target,
        _fetch,
        _shape,
        corroborate=audit_phrase,
    ),
)
