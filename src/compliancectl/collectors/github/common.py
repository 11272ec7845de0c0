"""What the feeds share: targets, production branches, the audit log phrase, who is a bot."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar, cast

from compliancectl import clock
from compliancectl.collectors.base import Reply, Target
from compliancectl.collectors.github.client import PAGE_SIZE
from compliancectl.collectors.github.documents import COUNTS, DEFAULT_BRANCH
from compliancectl.collectors.github.session import GitHubSession, Tally, at, check_page
from compliancectl.errors import CollectError, Denied, Garbage, Missing


def organization_target(session: GitHubSession) -> Iterable[Target]:
    """The organisation."""
    return (Target(session.organization, session.root),)


def production_targets(session: GitHubSession) -> Iterable[Target]:
    """Every repository that the scope declares production."""
    for repository in sorted(session.config.production):
        yield Target(f"{session.organization}/{repository}", session.root)


def repository_of(target: Target) -> str:
    """`app` of the target `larkspur-learning/app`."""
    return target.name.partition("/")[2]


def audit_phrase(session: GitHubSession, target: Target) -> str | None:
    """A search phrase for the organisation's audit log (API requests are there on Enterprise Cloud only)."""
    try:
        actor = session.principal().subject
    except CollectError:
        return None
    day = clock.text(session.context.as_of)[:10]
    return f"actor:{actor} created:>={day} action:api.request (GET /orgs/{session.organization}/audit-log?include=all)"


def production_branches(session: GitHubSession, repository: str, tally: Tally) -> Generator[Reply, None, list[str]]:
    """Return the production branches of a repository, sorted; where the scope names none, yield the look-up of the default.

    Raises:
        Missing: if the repository does not exist, is hidden, was renamed, or is empty.
    """
    declared = session.config.production[repository]
    if declared:
        return sorted(declared)
    shared = {"organization": session.organization}
    with session.listing:  # several feeds may want it at the same moment
        if repository not in session.defaults:
            session.defaults[repository] = session.ask(
                DEFAULT_BRANCH, repository, shared, tally, others=lambda: _undeclared(session)
            )
        else:
            tally.pages += 1
    name = at(session.defaults[repository].data, "repository", "defaultBranchRef", "name")
    if not isinstance(name, str):
        raise gone(session, repository, "default branch")
    yield session.defaults[repository].reply
    return [name]


def _undeclared(session: GitHubSession) -> list[str]:
    """The production repositories of which the default branch is meant."""
    return [name for name, branches in session.config.production.items() if not branches]


def neighbours(session: GitHubSession, branch: str) -> list[str]:
    """The production repositories of which this branch is production too, as far as that is known."""
    known = {name: at(got.data, "repository", "defaultBranchRef", "name") for name, got in session.defaults.items()}
    for name, part in session.batches.waiting(DEFAULT_BRANCH, {"organization": session.organization}).items():
        known[name] = at(part.body, "data", "repository", "defaultBranchRef", "name")
    return [
        name
        for name, declared in session.config.production.items()
        if branch in declared or (not declared and known.get(name) == branch)
    ]


T = TypeVar("T")


def drain(answers: Generator[Reply, None, T]) -> tuple[list[Reply], T]:
    """All replies, and what came of them."""
    replies: list[Reply] = []
    while True:
        try:
            replies.append(next(answers))
        except StopIteration as done:
            return replies, cast("T", done.value)


def once(
    session: GitHubSession, name: str, ask: Callable[[Tally], Generator[Reply, None, list[Any]]], tally: Tally
) -> Generator[Reply, None, list[Any]]:
    """Yield the answers to a question that several feeds have, and return their entries; GitHub is asked once in a run.

    What it withheld is warned of by whoever uses it: `tally` gets the pages only.
    """
    with session.listing:
        if name not in session.once:
            first = Tally("")
            replies, found = drain(ask(first))
            session.once[name] = replies, found, first
        replies, entries, first = session.once[name]
    tally.pages += first.pages
    yield from replies
    return entries


def repositories(session: GitHubSession, tally: Tally) -> Generator[Reply, None, list[Any]]:
    """Yield the pages of the organisation's repositories and return their entries."""
    path = f"/orgs/{session.organization}/repos"
    entries = yield from once(session, "repositories", lambda first: session.pages(path, first, type="all"), tally)
    for warning in session.once["repositories"][2].warnings:
        tally.warn(warning)
    return entries


def counts(session: GitHubSession, field: str, tally: Tally) -> Generator[Reply, None, list[Any]]:
    """Yield the pages on which GraphQL counts what each repository has, and return their nodes; `field` is what is wanted."""

    def ask(first: Tally) -> Generator[Reply, None, list[Any]]:
        cursor, found = session.cursor("repositories"), list[Any]()
        while not cursor.done:
            got = session.graphql(COUNTS, {"organization": session.organization, "after": cursor.after}, first)
            found += cursor.take(at(got.data, "organization", "repositories"))
            yield got.reply
        return found

    nodes = yield from once(session, "counts", ask, tally)
    others = {"vulnerabilityAlerts", "deployKeys"} - {field}
    for warning in session.once["counts"][2].warnings:
        if not any(f".{other}:" in warning for other in others):  # that is withheld from another item
            tally.warn(warning)
    return nodes


AT_ONCE = 8
"""Repositories that are asked for the same thing at the same time, where GitHub answers about one only."""


def each(
    session: GitHubSession,
    names: list[str],
    ask: Callable[[str, Tally], Generator[Reply, None, T]],
    tally: Tally,
    what: str,
) -> Generator[Reply, None, dict[str, T]]:
    """Ask about several repositories at the same time; yield their replies in order, return what each gave."""

    def drained(name: str) -> tuple[list[Reply], T, Tally]:
        counted = Tally("")
        return *drain(ask(name, counted)), counted

    found: dict[str, T] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        following = iter(names)
        while some := list(islice(following, 4 * AT_ONCE)):  # so many at a time, so that answers do not pile up
            session.context.progress(f"{what} of {some[0]}: repository {len(found) + 1} of {len(names)}")
            for name, (replies, value, counted) in zip(some, pool.map(drained, some), strict=True):
                found[name] = value
                tally.add(counted)
                tally.items += counted.items
                yield from replies
    return found


def object_pages(
    session: GitHubSession, path: str, key: str, tally: Tally, *, facts: Mapping[str, Any] | None = None
) -> Generator[Reply, None, None]:
    """Every page of a REST listing that stands under a key, beside the total."""
    seen: set[str] = set()
    got = session.get(path, tally, facts=facts, per_page=PAGE_SIZE)
    while True:
        entries, total = at(got.data, key), at(got.data, "total_count")
        if not isinstance(entries, list):
            raise Garbage(f"GET {path}: no list {key!r}")
        tally.items += len(entries)
        yield got.reply
        if got.link is None:
            break
        check_page(got.link, seen, session.config.page_limit, f"GET {path}")
        got = session.get(got.link, tally, facts=facts)
    if isinstance(total, int):
        tally.expect(total)


def gone(session: GitHubSession, repository: str, what: str) -> CollectError:
    """The error for a declared thing that GitHub does not show; a repository may just as well be hidden from the token."""
    kind = Denied if what == "repository" else Missing
    return kind(
        f"{session.organization}/{repository}: GitHub shows no {what} (it does not exist, was renamed, or this token may not see it)",
        hint="Correct `production` in the scope file, or grant the token access to the repository.",
    )


def login_of(actor: Any) -> str | None:
    """Login of a GraphQL actor; bots get the `[bot]` that REST gives them."""
    login = at(actor, "login")
    if isinstance(login, str) and at(actor, "__typename") == "Bot" and not login.endswith("[bot]"):
        return f"{login}[bot]"
    return login if isinstance(login, str) else None


def is_bot(actor: Any, machines: Iterable[str]) -> bool | None:
    """True for GitHub Apps and declared machine users; None when the account is gone."""
    login = login_of(actor)
    if login is None:
        return None
    return at(actor, "__typename") == "Bot" or login in machines
