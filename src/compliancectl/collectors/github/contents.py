"""What repositories hold: files that are watched, with who changed them last and who agreed; changes that bring a feature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.github.columns import CONTENTS, METADATA, PULL_REQUESTS, column, table
from compliancectl.collectors.github.common import audit_phrase, gone, login_of, organization_target, repository_of
from compliancectl.collectors.github.config import covered
from compliancectl.collectors.github.content_documents import FEATURES, FILES_AT_ONCE, file_histories, watched_paths
from compliancectl.collectors.github.session import GitHubSession, Tally, at, check_page, data_of, facts_of, time_of
from compliancectl.errors import Garbage
from compliancectl.model.evidence import Window
from compliancectl.model.table import BOOL, INT, TEXT, TIME, ListOf

SEARCHABLE = 1000
"""GitHub's search gives so many hits and no more."""

FILE = table(
    "file",
    "One row per file that the scope watches, those in watched folders included; also one for a path at which there is none.",
    (METADATA, CONTENTS, PULL_REQUESTS),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("path", TEXT, "Path on the default branch.", "gql#TreeEntry.path", required=True),
    column("present", BOOL, "There is such a file.", "gql#Repository.object", required=True),
    column("changed", TIME, "Date of the last commit that touched it.", "gql#Commit.committedDate"),
    column(
        "pull_request",
        INT,
        "The merged pull request that brought it; NULL when none did.",
        "gql#Commit.associatedPullRequests",
    ),
    column("author", TEXT, "Login of who proposed it.", "gql#PullRequest.author.login"),
    column(
        "approvers",
        ListOf(TEXT),
        "Logins of who approved it before it was merged, its author left out.",
        "gql#PullRequest.reviews",
    ),
)

FEATURE = table(
    "feature",
    "One row per pull request with the label of a new feature that was merged in the period, in any repository.",
    (METADATA, PULL_REQUESTS),
    column("repository", TEXT, "Name of the repository.", "gql#PullRequest.repository.name", required=True),
    column("number", INT, "Number.", "gql#PullRequest.number", required=True),
    column("author", TEXT, "Login; NULL when the account was deleted.", "gql#PullRequest.author.login"),
    column("merged", TIME, "Merged.", "gql#PullRequest.mergedAt", required=True),
    column("labels", ListOf(TEXT), "Its labels.", "gql#PullRequest.labels"),
    column("references", ListOf(TEXT), "Paths that its description names.", "gql#PullRequest.body"),
)


def _watched_targets(session: GitHubSession) -> Iterable[Target]:
    for repository in sorted(session.config.watched):
        yield Target(f"{session.organization}/{repository}", session.root)


def _fetch_files(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("every path that the scope watches; of a folder, every file that is directly in it")
    repository = repository_of(target)
    variables = {"organization": session.organization, "repository": repository}
    found: set[str] = set()
    for some in batches(session.config.watched[repository], FILES_AT_ONCE):
        expressions = {f"e{place}": f"HEAD:{path.rstrip('/')}" for place, path in enumerate(some)}
        facts = {"repository": repository, "watched": some}
        got = session.graphql(watched_paths(len(some)), {**variables, **expressions}, tally, facts=facts)
        if at(got.data, "repository") is None:
            raise gone(session, repository, "repository")
        yield got.reply
        for place, path in enumerate(some):
            found.update(_files_at(at(got.data, "repository", f"w{place}"), path))
    paths = sorted(found)
    for some in batches(paths, FILES_AT_ONCE):
        names = {f"p{place}": path for place, path in enumerate(some)}
        shown: dict[str, Any] = {"repository": repository, "paths": some}
        yield session.graphql(file_histories(len(some)), {**variables, **names}, tally, facts=shown).reply
    tally.items = len(paths)
    return tally.result()


def _files_at(found: Any, path: str) -> list[str]:
    """The files that a watched path means, as far as they are there."""
    if at(found, "__typename") == "Tree":
        return [str(at(e, "path")) for e in at(found, "entries") or () if at(e, "type") == "blob"]
    return [path] if found is not None else []


def _shape_file(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    data = at(data_of(reply), "data", "repository")

    def row(path: str, **more: Any) -> Row:
        base = {"organization": organization, "repository": facts["repository"], "path": path}
        return "github.file", {**base, "resource": f"{organization}/{facts['repository']}/{path}", **more}

    for place, path in enumerate(facts.get("watched", ())):
        if at(data, f"w{place}") is None:
            yield row(path, present=False)
    for place, path in enumerate(facts.get("paths", ())):
        nodes = at(data, "defaultBranchRef", "target", f"f{place}", "nodes")
        yield row(path, present=True, **_last_change(nodes[0] if nodes else None))


def _last_change(commit: Any) -> dict[str, Any]:
    """Who changed a file last, and who agreed before it was merged."""
    merged = [pull for pull in at(commit, "associatedPullRequests", "nodes") or () if at(pull, "mergedAt")]
    pull = min(merged, key=lambda pull: str(pull["mergedAt"]), default=None)
    reviews = [
        login_of(at(review, "author"))
        for review in at(pull, "reviews", "nodes") or ()
        if str(at(review, "submittedAt")) <= str(at(pull, "mergedAt"))
    ]
    author = login_of(at(pull, "author"))
    return {
        "changed": time_of(at(commit, "committedDate")),
        "pull_request": at(pull, "number"),
        "author": author,
        "approvers": sorted({login for login in reviews if login is not None and login != author}),
    }


def _fetch_features(session: GitHubSession, target: Target) -> Fetched:
    period, as_of = session.context.period, session.context.as_of
    end = min(period.end, as_of)
    label = session.config.feature_label
    tally = Tally("all pages of a search by label, against issueCount; the index may lag behind by minutes", reported=0)
    tally.filters += [f"label {label}", f"mergedAt in [{clock.text(period.start)}, {clock.text(end)}]"]
    span = f"{clock.text(period.start)}..{clock.text(end)}"
    query = f'org:{target.name} is:pr is:merged merged:{span} label:"{label}"'
    after, seen, total = None, set[str](), 0
    while True:
        facts = {"coverage": session.config.coverage, "features": True}
        got = session.graphql(FEATURES, {"query": query, "after": after}, tally, facts=facts)
        nodes, total = at(got.data, "search", "nodes"), at(got.data, "search", "issueCount")
        if not isinstance(nodes, list) or not isinstance(total, int):
            raise Garbage("GitHub's search gave no nodes or no issueCount")
        yield got.reply
        tally.items += len(nodes)
        after = at(got.data, "search", "pageInfo", "endCursor")
        if at(got.data, "search", "pageInfo", "hasNextPage") is not True:
            break
        check_page(str(after), seen, session.config.page_limit, "features")
    tally.expect(total)
    if total > SEARCHABLE:
        tally.warn(
            f"search finds {total} pull requests with the label, and shows {SEARCHABLE}: collect shorter periods"
        )
    return tally.result()


def _shape_feature(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    for node in at(data_of(reply), "data", "search", "nodes") or () if "features" in facts else ():
        repository, number = at(node, "repository", "name"), at(node, "number")
        if node and covered(str(repository), facts["coverage"]):
            labels, text = at(node, "labels", "nodes"), at(node, "references")
            yield (
                "github.feature",
                {
                    "organization": organization,
                    "resource": f"{organization}/{repository}#{number}",
                    "repository": repository,
                    "number": number,
                    "author": login_of(at(node, "author")),
                    "merged": time_of(at(node, "mergedAt")),
                    "labels": sorted(str(at(label, "name")) for label in labels) if isinstance(labels, list) else None,
                    "references": sorted({*text.split("\n")} - {""}) if isinstance(text, str) else None,
                },
            )


def _window(session: GitHubSession) -> Window | None:
    return Window(start=session.context.period.start, end=session.context.as_of)


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "files",
        "Files that the scope watches: whether they are there, who changed them last, and who agreed.",
        (FILE,),
        _watched_targets,
        _fetch_files,
        _shape_file,
        corroborate=audit_phrase,
    ),
    Feed(
        "features",
        "Merged pull requests that bring a new feature.",
        (FEATURE,),
        organization_target,
        _fetch_features,
        _shape_feature,
        window=_window,
        corroborate=audit_phrase,
    ),
)
