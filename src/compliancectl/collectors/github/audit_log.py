"""The audit log of the organisation, over REST: who changed what, as GitHub itself wrote it down.

Only organisations on Enterprise Cloud have it there. GitHub answers 404 to everybody else, and also to a token that may not see
it; which of the two it is, is told from the name of the plan, or from the permissions of the App that asks. If neither tells it,
nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.client import PAGE_SIZE
from compliancectl.collectors.github.columns import AUDIT_LOG, column, table
from compliancectl.collectors.github.common import audit_phrase, organization_target
from compliancectl.collectors.github.session import GitHubSession, Got, Tally, at, check_page, data_of, facts_of
from compliancectl.collectors.shelf import Kept, Shelf, shelf_of
from compliancectl.errors import Denied, Garbage, SourceFailed
from compliancectl.model.evidence import Window
from compliancectl.model.table import BOOL, TEXT, TIME

KEPT = timedelta(days=180)
"""How long GitHub keeps what is not about Git itself; clones, fetches and pushes are kept for seven days, and not asked for."""
WITHOUT = ("free", "team")
"""Plans without an audit log over the API."""
EXPORTS = "Keep exports of the audit log, as documents of the kind github-audit-export."

_EVENT = "GET /orgs/{org}/audit-log#[]."

LOG = table(
    "audit_log",
    "One row per organisation: whether its audit log could be had over the API, and the span that was read to its end.",
    (AUDIT_LOG,),
    column("plan", TEXT, "Plan, asked for only where there is no audit log; else NULL.", "GET /orgs/{org}#plan.name"),
    column("read", BOOL, "It was read; false: the plan has none over the API.", "derived", required=True),
    column("since", TIME, "Start of the span; NULL when it was not read.", "derived"),
    column("until", TIME, "End of the span; NULL when it was not read.", "derived"),
)
EVENT = table(
    "audit_event",
    "One row per event of the audit log, but for those of Git itself. There is none where github.audit_log says that the log was"
    " not read, so read both.",
    (AUDIT_LOG,),
    column("action", TEXT, "What was done, e.g. protected_branch.destroy.", _EVENT + "action", required=True),
    column(
        "operation", TEXT, "create, modify, remove, access …; NULL when GitHub does not say.", _EVENT + "operation_type"
    ),
    column("at", TIME, "When.", _EVENT + "@timestamp", required=True),
    column("actor", TEXT, "Login of who did it; NULL for GitHub itself.", _EVENT + "actor"),
    column("affected", TEXT, "Login of the person whom it was done to, if to a person.", _EVENT + "user"),
    column("repository", TEXT, "Name of the repository, if it is about one.", _EVENT + "repo"),
)


def path_of(session: GitHubSession) -> str:
    """Where it is."""
    return f"/orgs/{session.organization}/audit-log"


def _span(session: GitHubSession) -> tuple[datetime, datetime]:
    """Begins with the period, or with what GitHub still keeps; ends when the run began. In whole seconds."""
    end = session.context.as_of.replace(microsecond=0)
    return max(session.context.period.start.replace(microsecond=0), end - KEPT), end


def _window(session: GitHubSession) -> Window | None:
    start, end = _span(session)
    return Window(start=start, end=end)


@contextmanager
def _without_cache(session: GitHubSession) -> Iterator[GitHubSession]:
    """The question names the moment of the run, so that no later run could use the answers again."""
    if session.cache is None:
        yield session
        return
    other = GitHubSession(session.config.model_copy(update={"cache": None}), session.context)
    try:
        yield other
    finally:
        other.close()


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages, oldest first, until GitHub names no next one; GitHub gives no total")
    start, end = _span(session)
    facts = {"since": clock.text(start), "until": clock.text(end)}
    tally.filters += [f"created from {facts['since']} to {facts['until']}", "include = web: no events of Git itself"]
    if end - start == KEPT:
        tally.filters.append(
            f"of the period, the {KEPT.days} days that GitHub keeps; what came before is in the evidence of earlier runs"
        )
    with _without_cache(session) as asking:
        shelf = shelf_of(session.context, "github", session.client.asker, [path_of(session), facts])
        kept, following = _earlier(asking, facts, shelf, tally)
        if not kept:
            first = _first(asking, facts, tally)
            if first.status == 404:
                shown = without(
                    session, tally
                )  # before anything is yielded: what is refused is denied, and not partial
                tally.method = "GitHub answers 404, and shows that the plan has no audit log over the API"
                yield replace(first.reply, context={**first.reply.context, "facts": "{}"})
                yield shown.reply
                return tally.result()
            following = [_page(asking, first)]
        known = chain(_on_shelf(shelf, kept), following)
        for number, page in enumerate(_pages(asking, known, facts, tally), 1):
            events = data_of(page.reply)
            _check(events, facts, tally)
            tally.items += len(events)
            if shelf is not None and number > kept and (number > 1 or page.token) and not tally.warnings:
                shelf.put(number, page)
            yield page.reply if number == 1 else _following(session, page.reply)
            session.context.progress(f"audit log page {number}, {tally.items:,} events")
    return tally.result()


def _first(session: GitHubSession, facts: Mapping[str, str], tally: Tally) -> Got:
    phrase = f"created:{facts['since']}..{facts['until']}"
    asked = {"phrase": phrase, "include": "web", "order": "asc", "per_page": PAGE_SIZE}
    return session.get(path_of(session), tally, want=list, also_fine=(404,), facts=facts, **asked)


def without(session: GitHubSession, tally: Tally) -> Got:
    """The answer that shows that the plan has no audit log over the API, once GitHub has said 404.

    Raises:
        Denied: if that is not shown.
    """
    got = session.get(f"/orgs/{session.organization}", tally, facts={"none": True})
    plan, granted = at(got.data, "plan", "name"), session.config.app and session.client.installation_permissions()
    if plan in WITHOUT or (plan is None and granted and "organization_administration" in granted):
        return got
    told = f"it names the plan {plan}" if plan else "it does not show this token the plan"
    raise Denied(
        f"GitHub answers 404 for the audit log, as it does where the plan has none and where the token may not see it; {told},"
        " so that the two cannot be told apart",
        hint=f"On Enterprise Cloud use {AUDIT_LOG}. On another plan use an owner's token, to which GitHub shows the plan. {EXPORTS}",
    )


def _pages(session: GitHubSession, known: Iterable[Kept], facts: Mapping[str, str], tally: Tally) -> Iterator[Kept]:
    """The pages that are known, at least one, and those that follow."""
    seen: set[str] = set()
    token = ""
    for page in known:
        yield page
        token = _checked(session, page, seen)
    while token:
        page = _page(session, _next(session, token, facts, tally))
        yield page
        token = _checked(session, page, seen)


def _checked(session: GitHubSession, page: Kept, seen: set[str]) -> str:
    """Where the next page is, if it can lead to an end."""
    if page.token:
        check_page(page.token, seen, session.config.page_limit, f"GET {path_of(session)}")
    return page.token


def _on_shelf(shelf: Shelf | None, count: int) -> Iterator[Kept]:
    """The first pages, one after the other: all of a long log at once would fill the memory."""
    for number in range(1, count + 1):
        page = shelf.page(number) if shelf is not None else None
        if page is None:
            raise Garbage("a page of the audit log that an earlier try had read is gone", hint="Begin a new run.")
        yield page


def _next(session: GitHubSession, token: str, facts: Mapping[str, str], tally: Tally) -> Got:
    return session.get(token, tally, want=list, facts=facts)


def _page(session: GitHubSession, got: Got) -> Kept:
    """The token is the address of the next page on the host that this session asks: nothing kept leads to another."""
    return Kept(got.reply, (got.link or "").removeprefix(session.root))


def _following(session: GitHubSession, reply: Reply) -> Reply:
    """A page after the first: that the log was read is said once."""
    return replace(reply, context={**reply.context, "facts": session.facts({"following": True})})


def _earlier(
    session: GitHubSession, facts: Mapping[str, str], shelf: Shelf | None, tally: Tally
) -> tuple[int, list[Kept]]:
    """How many pages an earlier try of this run had read, and the page after them; none if GitHub does not go on there."""
    count, last = 0, None
    while shelf is not None and (page := shelf.page(count + 1)) is not None:
        count, last = count + 1, page
    if shelf is None or last is None:
        return 0, []
    following = []
    if last.token:
        try:
            following.append(_page(session, _next(session, last.token, facts, tally)))
        except SourceFailed:
            shelf.clear()
            tally.filters.append(f"begun again: GitHub did not go on after page {count} of an earlier try")
            return 0, []
    tally.pages += count
    tally.filters.append(f"{'page 1' if count == 1 else f'pages 1 to {count}'} read by an earlier try of this run")
    return count, following


def _check(events: Any, facts: Mapping[str, Any], tally: Tally) -> None:
    """Look at a page before it is kept.

    Raises:
        Garbage: if it holds something that is no event: what is to be left out of it is not known then.
    """
    start, end = clock.parse(facts["since"]), clock.parse(facts["until"])
    for event in events:
        if not isinstance(event, dict) or "_document_id" not in event or "action" not in event:
            raise Garbage("GET audit-log: an event without _document_id or action")
        moment = _moment(at(event, "@timestamp"))
        if isinstance(moment, datetime) and not start <= moment <= end:
            tally.warn("GitHub gave events from outside the span that it was asked for, so the span may not be whole")


def _moment(value: Any) -> Any:
    """An instant from milliseconds; anything else stays as it is, to break the row's contract."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    except OverflowError:
        return str(value)


def _shape(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "none" in facts or "since" in facts:
        yield (
            "github.audit_log",
            {
                "organization": organization,
                "resource": f"{organization}/audit-log",
                "plan": at(data_of(reply), "plan", "name") if "none" in facts else None,
                "read": "since" in facts,
                "since": clock.parse(facts["since"]) if "since" in facts else None,
                "until": clock.parse(facts["until"]) if "since" in facts else None,
            },
        )
    for event in data_of(reply) if "since" in facts or "following" in facts else ():
        repository = at(event, "repo") or at(event, "repository")
        yield (
            "github.audit_event",
            {
                "organization": organization,
                "resource": f"{organization}/audit-log/{at(event, '_document_id')}",
                "action": at(event, "action"),
                "operation": at(event, "operation_type"),
                "at": _moment(at(event, "@timestamp")),
                "actor": at(event, "actor"),
                "affected": at(event, "user"),
                "repository": repository.rpartition("/")[2] if isinstance(repository, str) else repository,
            },
        )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "audit_log",
        "What GitHub's audit log holds since the start of the period, where the plan has it over the API.",
        (LOG, EVENT),
        organization_target,
        _fetch,
        _shape,
        window=_window,
        corroborate=audit_phrase,
        freshness="as it was when the source was asked; GitHub may add events of the last minutes later",
    ),
)
