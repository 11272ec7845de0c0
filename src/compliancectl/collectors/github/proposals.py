"""Pull requests that were opened, in any repository: they show that somebody, or a bot, proposes changes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.common import audit_phrase, gone, login_of, organization_target
from compliancectl.collectors.github.config import covered
from compliancectl.collectors.github.documents import ALL_PROPOSALS, PROPOSALS
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
    cursor = session.cursor("repositories")
    facts = {"since": clock.text(start), "coverage": session.config.coverage}
    while not cursor.done:
        variables = {"organization": target.name, "after": cursor.after}
        got = session.graphql(ALL_PROPOSALS, variables, tally, facts=facts)
        nodes = cursor.take(at(got.data, "organization", "repositories"))
        yield got.reply
        for node in nodes:
            if _wanted(node, session.config.coverage):
                session.context.progress(str(at(node, "name")))
                yield from _of_repository(session, node, start, tally)
    if cursor.count != cursor.total:
        tally.warn(f"GraphQL counts {cursor.total} repositories, but lists {cursor.count}")
    return tally.result()


def _wanted(node: Any, coverage: Any) -> bool:
    return at(node, "isArchived") is not True and covered(str(at(node, "name")), coverage)


def _of_repository(session: GitHubSession, node: Any, start: datetime, tally: Tally) -> Generator[Reply, None, None]:
    """The pages that follow the one which came with the repository."""
    repository = str(at(node, "name"))
    cursor = session.cursor(f"pull requests of {repository}")
    facts = {"repository": repository, "since": clock.text(start)}
    nodes = cursor.take(at(node, "pullRequests"))
    tally.items += sum(_opened_since(pull, start) for pull in nodes)
    while not cursor.done and not (nodes and not _opened_since(nodes[-1], start)):
        variables = {"organization": session.organization, "repository": repository, "after": cursor.after}
        got = session.graphql(PROPOSALS, variables, tally, facts=facts)
        if at(got.data, "repository") is None:
            raise gone(session, repository, "repository")
        nodes = cursor.take(at(got.data, "repository", "pullRequests"))
        tally.items += sum(_opened_since(pull, start) for pull in nodes)
        yield got.reply


def _opened_since(node: Any, start: datetime) -> bool:
    """True also when GitHub does not say when: the row then breaks its contract, and is seen."""
    created = time_of(at(node, "createdAt"))
    return not isinstance(created, datetime) or created >= start


def _shape(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "since" not in facts:
        return
    start, data = clock.parse(facts["since"]), at(data_of(reply), "data")
    shown = (
        [at(data, "repository")] if "repository" in facts else at(data, "organization", "repositories", "nodes") or ()
    )
    for repository in shown:
        if "repository" in facts or _wanted(repository, facts["coverage"]):
            yield from _rows(repository, organization, start)


def _rows(repository: Any, organization: str, start: datetime) -> Iterator[Row]:
    name = at(repository, "name")
    for node in at(repository, "pullRequests", "nodes") or ():
        if node is not None and _opened_since(node, start):
            yield (
                "github.proposal",
                {
                    "organization": organization,
                    "resource": f"{organization}/{name}#{at(node, 'number')}",
                    "repository": name,
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
