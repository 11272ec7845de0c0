"""Pull requests that were opened, in any repository: they show that somebody, or a bot, proposes changes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.common import audit_phrase, gone, login_of, organization_target
from compliancectl.collectors.github.documents import PROPOSALS
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.model.evidence import Window

LOOK_BACK = timedelta(days=90)


def _window(session: GitHubSession) -> Window:
    context = session.context
    return Window(start=min(context.period.start, context.as_of - LOOK_BACK), end=context.as_of)


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    start = _window(session).start
    tally = Tally("pull requests of every repository, newest first, until one that was opened before the window")
    tally.filters += [f"createdAt since {clock.text(start)}", "repositories that the scope covers and are not archived"]
    listed = yield from session.pages(f"/orgs/{target.name}/repos", tally, type="all")
    tally.items = 0
    for name in sorted(str(at(entry, "name")) for entry in listed if at(entry, "archived") is not True):
        if session.config.covers(name):
            session.context.progress(name)
            yield from _of_repository(session, name, start, tally)
    return tally.result()


def _of_repository(
    session: GitHubSession, repository: str, start: datetime, tally: Tally
) -> Generator[Reply, None, None]:
    cursor = session.cursor(f"pull requests of {repository}")
    facts = {"repository": repository, "since": clock.text(start)}
    while not cursor.done:
        variables = {"organization": session.organization, "repository": repository, "after": cursor.after}
        got = session.graphql(PROPOSALS, variables, tally, facts=facts)
        if at(got.data, "repository") is None:
            raise gone(session, repository, "repository")
        nodes = cursor.take(at(got.data, "repository", "pullRequests"))
        tally.items += sum(_opened_since(node, start) for node in nodes)
        yield got.reply
        if nodes and not _opened_since(nodes[-1], start):
            return


def _opened_since(node: Any, start: datetime) -> bool:
    """True also when GitHub does not say when: the row then breaks its contract, and is seen."""
    created = time_of(at(node, "createdAt"))
    return not isinstance(created, datetime) or created >= start


def _shape(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "since" not in facts:
        return
    start, repository = clock.parse(facts["since"]), facts["repository"]
    for node in at(data_of(reply), "data", "repository", "pullRequests", "nodes") or ():
        if node is not None and _opened_since(node, start):
            yield (
                "github.proposal",
                {
                    "organization": organization,
                    "resource": f"{organization}/{repository}#{at(node, 'number')}",
                    "repository": repository,
                    "number": at(node, "number"),
                    "author": login_of(at(node, "author")),
                    "created": time_of(at(node, "createdAt")),
                    "state": at(node, "state"),
                },
            )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "proposals",
        "Pull requests opened in any repository, with who opened them.",
        (tables.PROPOSAL,),
        organization_target,
        _fetch,
        _shape,
        window=_window,
        corroborate=audit_phrase,
    ),
)
