"""What the code itself says: how it tells the database whose rows to show, and which models it lets a router reach.

GitHub's search finds the files that name a text, in all repositories with one request; their texts are then asked for fifty
at a time. Of a text only what matters here is kept (`code_text`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.client import PAGE_SIZE
from compliancectl.collectors.github.code_text import COMPUTED
from compliancectl.collectors.github.columns import CONTENTS, METADATA, column, table
from compliancectl.collectors.github.common import audit_phrase, organization_target
from compliancectl.collectors.github.content_documents import TEXTS_AT_ONCE, code_texts
from compliancectl.collectors.github.session import GitHubSession, Tally, at, check_page, data_of, facts_of
from compliancectl.errors import Garbage
from compliancectl.model.table import BOOL, TEXT, ListOf

SEARCHABLE = 1000
"""GitHub's search gives so many hits and no more."""
_TEXT = "GET /search/code, gql#Blob.text"

CONTEXT_SETTING = table(
    "context_setting",
    "One row per file of a default branch that names the variable which says whose rows a session sees, and way of using it.",
    (METADATA, CONTENTS),
    column("repository", TEXT, "Name of the repository.", "GET /search/code#items[].repository.name", required=True),
    column("path", TEXT, "Path of the file.", "GET /search/code#items[].path", required=True),
    column("variable", TEXT, "The variable.", "scope", required=True),
    column(
        "use",
        TEXT,
        "transaction (SET LOCAL, set_config(…, true)), session (SET, set_config(…, false)) or read; NULL when it cannot be told.",
        _TEXT,
    ),
)

MODEL_ROUTE = table(
    "model_route",
    "One row per file of a default branch that names the router of AI models.",
    (METADATA, CONTENTS),
    column("repository", TEXT, "Name of the repository.", "GET /search/code#items[].repository.name", required=True),
    column("path", TEXT, "Path of the file.", "GET /search/code#items[].path", required=True),
    column("only_hosts", ListOf(TEXT), "Hosts to which `only` confines it; NULL when the code works them out.", _TEXT),
    column("order_hosts", ListOf(TEXT), "Hosts that `order` names; NULL when the code works them out.", _TEXT),
    column("fallbacks", BOOL, "Other hosts than those may take over; so it is unless the code says no.", _TEXT),
    column("models", ListOf(TEXT), "Models that it names, as the router calls them.", _TEXT),
)


def _context_targets(session: GitHubSession) -> Iterable[Target]:
    return organization_target(session) if session.config.context_variable else ()


def _router_targets(session: GitHubSession) -> Iterable[Target]:
    return organization_target(session) if session.config.model_router else ()


def _fetch_settings(session: GitHubSession, target: Target) -> Fetched:
    return (yield from _fetch(session, target, str(session.config.context_variable), "settings"))


def _fetch_routes(session: GitHubSession, target: Target) -> Fetched:
    return (yield from _fetch(session, target, str(session.config.model_router), "routing"))


def _fetch(session: GitHubSession, target: Target, wanted: str, kept: str) -> Fetched:
    tally = Tally("all pages of a search of code, against total_count; then the text of each file", reported=0)
    tally.filters += [
        f"files that name {wanted}",
        "default branches; files below 384 KB; no forks (GitHub searches nothing else)",
        "repositories that the scope covers",
    ]
    hits = yield from _search(session, target, wanted, tally)
    files = sorted({hit for hit in hits if session.config.covers(hit[0])})
    for start in range(0, len(files), TEXTS_AT_ONCE):
        some = files[start : start + TEXTS_AT_ONCE]
        session.context.progress(f"files that name {wanted}: {start:,} of {len(files):,}")
        variables = {"organization": target.name}
        for place, (repository, path) in enumerate(some):
            variables |= {f"n{place}": repository, f"e{place}": f"HEAD:{path}"}
        facts: dict[str, Any] = {"files": [list(file) for file in some], "wanted": wanted}
        yield session.graphql(code_texts(len(some), kept), variables, tally, facts=facts).reply
    return tally.result()


def _search(
    session: GitHubSession, target: Target, wanted: str, tally: Tally
) -> Generator[Reply, None, list[tuple[str, str]]]:
    """Repository and path of every file that names a text."""
    query, seen, found = f'"{wanted}" org:{target.name}', set[str](), list[tuple[str, str]]()
    got = session.get("/search/code", tally, q=query, per_page=PAGE_SIZE)
    while True:
        entries, total = at(got.data, "items"), at(got.data, "total_count")
        if not isinstance(entries, list) or not isinstance(total, int):
            raise Garbage("GitHub's search of code gave no items or no total_count")
        found += [(str(at(entry, "repository", "name")), str(at(entry, "path"))) for entry in entries]
        if at(got.data, "incomplete_results") is not False:
            tally.warn(f"GitHub could not finish its search of code for {wanted}")
        yield got.reply
        if got.link is None:
            break
        check_page(got.link, seen, session.config.page_limit, "GET /search/code")
        got = session.get(got.link, tally)
    tally.items += len(found)
    tally.expect(total)
    if total > SEARCHABLE:
        tally.warn(f"search finds {total} files that name {wanted}, and shows {SEARCHABLE}")
    return found


def _files(reply: Reply, kept: str) -> Iterator[tuple[dict[str, Any], list[str] | None, str]]:
    """For each file that was asked for: the first columns, the lines that were kept (None: no text), and what was looked for."""
    facts, organization = facts_of(reply), reply.context["organization"]
    data = at(data_of(reply), "data")
    for place, (repository, path) in enumerate(facts.get("files", ())):
        text = at(data, f"f{place}", "object", kept)
        base = {
            "organization": organization,
            "resource": f"{organization}/{repository}/{path}",
            "repository": repository,
            "path": path,
        }
        yield base, text.split("\n") if isinstance(text, str) else None, facts["wanted"]


def _shape_settings(reply: Reply) -> Iterator[Row]:
    for base, lines, variable in _files(reply, "settings"):
        uses = {line.partition(" ")[0] for line in lines or () if line.partition(" ")[2] == variable}
        for use in sorted(uses - {"unclear"}):
            row = {**base, "resource": f"{base['resource']}#{use}", "variable": variable, "use": use}
            yield "github.context_setting", row
        if not uses or "unclear" in uses:
            yield "github.context_setting", {**base, "variable": variable}


def _shape_routes(reply: Reply) -> Iterator[Row]:
    for base, lines, _ in _files(reply, "routing"):
        yield "github.model_route", {**base, **(_routed(lines) if lines is not None else {})}


def _routed(lines: list[str]) -> dict[str, Any]:
    named: dict[str, list[str]] = {"only": [], "order": [], "model": [], "allow_fallbacks": []}
    for line in filter(None, lines):
        key, _, value = line.partition(" ")
        named[key].append(value)
    only, order = (None if COMPUTED in named[key] else named[key] for key in ("only", "order"))
    return {
        "only_hosts": only,
        "order_hosts": order,
        "fallbacks": named["allow_fallbacks"] != ["false"],
        "models": named["model"],
    }


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "context_settings",
        "How code sets the variable that tells the database whose rows to show.",
        (CONTEXT_SETTING,),
        _context_targets,
        _fetch_settings,
        _shape_settings,
        corroborate=audit_phrase,
    ),
    Feed(
        "model_routes",
        "Which hosts and models code lets a router of AI models reach.",
        (MODEL_ROUTE,),
        _router_targets,
        _fetch_routes,
        _shape_routes,
        corroborate=audit_phrase,
    ),
)
