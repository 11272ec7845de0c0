"""What was deployed to production, and whether the commit that runs there holds the description of its API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.columns import CONTENTS, DEPLOYMENTS, METADATA, column, table
from compliancectl.collectors.github.common import audit_phrase, gone, login_of, repository_of
from compliancectl.collectors.github.content_documents import LAST_DEPLOYMENTS
from compliancectl.collectors.github.judge import graphql_errors
from compliancectl.collectors.github.session import GitHubSession, Tally, at, connection, data_of, facts_of, time_of
from compliancectl.model.table import BOOL, TEXT, TIME

_DEPLOYMENT = "gql#Deployment."

DEPLOYMENT = table(
    "deployment",
    "One row per deployment to production of a repository with an API, the ten youngest of each.",
    (METADATA, CONTENTS, DEPLOYMENTS),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("environment", TEXT, "Environment that it was deployed to.", "scope", required=True),
    column("sha", TEXT, "Commit that was deployed.", _DEPLOYMENT + "commitOid"),
    column("created", TIME, "Asked for.", _DEPLOYMENT + "createdAt", required=True),
    column("creator", TEXT, "Login of who asked for it. Bots end in `[bot]`.", _DEPLOYMENT + "creator.login"),
    column("state", TEXT, "active, inactive, failure …, in lower case.", _DEPLOYMENT + "state"),
    column("api", TEXT, "Path of the file that describes the API.", "scope", required=True),
    column(
        "described",
        BOOL,
        "That commit holds this file; NULL when the commit is not there any more.",
        _DEPLOYMENT + "commit.file",
    ),
    column("api_sha", TEXT, "Object id of the file.", "gql#TreeEntry.oid"),
)


def _targets(session: GitHubSession) -> Iterable[Target]:
    for repository in sorted(session.config.apis):
        yield Target(f"{session.organization}/{repository}", session.root)


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    """Those of which the description has the same path are asked together."""
    config, repository = session.config, repository_of(target)
    tally = Tally("the first page, youngest first")
    tally.filters.append(f"the ten youngest; environment {config.deployed_to}")
    path = config.apis[repository]
    shared = {"organization": session.organization, "environment": config.deployed_to, "path": path}
    facts = {"repository": repository, "environment": config.deployed_to, "api": path}

    def others() -> list[str]:
        return [name for name, other in config.apis.items() if other == path]

    got = session.ask(LAST_DEPLOYMENTS, repository, shared, tally, others=others, facts=facts)
    if at(got.data, "repository") is None:
        raise gone(session, repository, "repository")
    nodes, _, _ = connection(at(got.data, "repository", "deployments"), f"deployments of {repository}")
    tally.items = len(nodes)
    yield got.reply
    return tally.result()


def _shape(reply: Reply) -> Iterator[Row]:
    facts, organization, body = facts_of(reply), reply.context["organization"], data_of(reply)
    hidden = {place for error in graphql_errors(body) for place in error.get("path") or () if isinstance(place, int)}
    for place, node in enumerate(at(body, "data", "repository", "deployments", "nodes") or ()):
        state, commit = at(node, "state"), at(node, "commit")
        yield (
            "github.deployment",
            {
                "organization": organization,
                "resource": f"{organization}/{facts['repository']}/deployments/{at(node, 'databaseId')}",
                **facts,
                "sha": at(node, "commitOid"),
                "created": time_of(at(node, "createdAt")),
                "creator": login_of(at(node, "creator")),
                "state": state.lower() if isinstance(state, str) else state,
                # null says that there is no such file, unless GitHub refused to say
                "described": at(commit, "file", "type") == "blob"
                if isinstance(commit, dict) and "file" in commit and place not in hidden
                else None,
                "api_sha": at(commit, "file", "oid"),
            },
        )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "deployments",
        "What was deployed to production, and whether that commit describes its API.",
        (DEPLOYMENT,),
        _targets,
        _fetch,
        _shape,
        corroborate=audit_phrase,
    ),
)
