"""An open session with GitHub: requests that become replies, pages that must end, totals that must agree."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from compliancectl import clock
from compliancectl.collectors.base import Context, Diagnosis, Reply, Session
from compliancectl.collectors.calls import Answer
from compliancectl.collectors.github.batches import Batches
from compliancectl.collectors.github.cache import Cache
from compliancectl.collectors.github.client import PAGE_SIZE, Client
from compliancectl.collectors.github.config import GitHubConfig
from compliancectl.collectors.github.documents import CHANGES
from compliancectl.collectors.github.judge import graphql_errors
from compliancectl.collectors.github.question import Question
from compliancectl.collectors.github.redact import redact
from compliancectl.collectors.github.reuse import Kept
from compliancectl.errors import Garbage, Truncated
from compliancectl.model.evidence import Completeness, Principal

_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_PARTIAL = "partial-results"


@dataclass
class Tally:
    """Counts while a feed is fetched; becomes its `Completeness`."""

    method: str
    pages: int = 0
    items: int = 0
    reported: int | None = None
    counted: int | None = None
    filters: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def expect(self, total: int) -> None:
        """Add what the source itself says the total of one listing is."""
        self.reported = (self.reported or 0) + total

    def warn(self, text: str) -> None:
        """Note once why something may be missing."""
        if text not in self.warnings:
            self.warnings.append(text)

    def add(self, other: Tally) -> None:
        """Add the pages, filters and warnings of a part that was counted for itself."""
        self.pages += other.pages
        self.filters += [text for text in other.filters if text not in self.filters]
        for warning in other.warnings:
            self.warn(warning)

    def result(self) -> Completeness:
        """The finished statement."""
        return Completeness(
            method=self.method,
            pages=self.pages,
            items=self.items,
            reported_total=self.reported,
            independent_count=self.counted,
            filters=tuple(self.filters),
            warnings=tuple(self.warnings),
        )


@dataclass(frozen=True)
class Got:
    """One answer: the reply to keep, its redacted data, and the status."""

    reply: Reply
    data: Any
    status: int
    link: str | None = None


class GitHubSession(Session):
    """One organisation, one set of credentials."""

    def __init__(self, config: GitHubConfig, context: Context) -> None:
        self.config, self.context = config, context
        self.client = Client(config, context)
        self.cache = Cache(context.folder / config.cache) if config.cache else None
        self.batches = Batches(self.client)
        self.kept = self._kept() if config.cache else None
        """What is kept of the changes of branches; None without a `cache`."""
        self.once: dict[str, tuple[list[Reply], list[Any], Tally]] = {}
        """What was asked once for several items: by name, replies, entries and counts; see `common.once`."""
        self.listing = threading.Lock()
        self.defaults: dict[str, Got] = {}
        """The answers that say what the default branch of a repository is."""
        self._principal: Principal | None = None
        self._lock = threading.Lock()

    def _kept(self) -> Kept:
        oldest = self.context.as_of - timedelta(days=self.config.reuse_days)
        folder = self.context.folder / str(self.config.cache)
        return Kept(folder, self.client.asker, CHANGES, clock.text(oldest))

    @property
    def organization(self) -> str:
        """Login of the organisation."""
        return self.config.organization

    @property
    def root(self) -> str:
        """The REST address, without a slash at the end."""
        return self.config.base_url.rstrip("/")

    def cursor(self, where: str) -> Cursor:
        """Walk the pages of a GraphQL connection, up to the configured limit."""
        return Cursor(where, self.config.page_limit)

    def get(
        self,
        path: str,
        tally: Tally,
        *,
        also_fine: tuple[int, ...] = (),
        want: type = dict,
        facts: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> Got:
        """GET one REST resource, whose body must be a `want` (unless the status is one of `also_fine`, or 204)."""
        texts = {name: _text(value) for name, value in parameters.items()}
        address = f"{path}?{urlencode(sorted(texts.items()))}" if texts else path
        kept = self.cache.find(address, self.client.asker) if self.cache else None
        answer = self.client.get(path, texts, also_fine=also_fine, etag=kept.etag if kept else None)
        response, status = answer.response, answer.response.status_code
        self._warn_sso(answer, tally)
        tally.pages += 1
        operation, context = f"GET {response.request.url}", self._context(path, facts)
        if status == 304 and kept is not None:
            context["confirmed"] = f"304 Not Modified: the body is the one that GitHub gave at {kept.given}"
            data = json.loads(kept.body)
            reply = dataclasses.replace(
                self._reply(answer, None, operation, {}, context),
                body=kept.body.encode("utf-8"),
                redactions=kept.redactions,
                media_type=kept.media_type,
            )
            return Got(reply, data, 200, self._next(kept.link))
        data = _json(answer, want, lenient=status in also_fine or status == 204)
        reply = self._reply(answer, data, operation, {}, context)
        if self.cache is not None:
            self.cache.keep(address, self.client.asker, reply, response.headers.get("Link", ""))
        return Got(reply, data, status, self._next(response.headers.get("Link", "")))

    def _next(self, header: str) -> str | None:
        """The address of the next page. One on another host is refused: the token must not go there."""
        found = _NEXT.search(header)
        if found is None:
            return None
        if urlsplit(found.group(1))[:2] != urlsplit(self.root)[:2]:
            raise Garbage(f"GitHub names a next page on another host: {found.group(1)}", hint="Check `base_url`.")
        return found.group(1)

    def pages(
        self, path: str, tally: Tally, *, facts: Mapping[str, Any] | None = None, **parameters: Any
    ) -> Generator[Reply, None, list[Any]]:
        """Yield every page of a REST listing; return all entries."""
        seen: set[str] = set()
        got = self.get(path, tally, want=list, facts=facts, per_page=PAGE_SIZE, **parameters)
        entries = list(got.data)
        yield got.reply
        while got.link is not None:
            check_page(got.link, seen, self.config.page_limit, f"GET {path}")
            self.context.progress(f"{path} page {len(seen) + 1}")
            got = self.get(got.link, tally, want=list, facts=facts)
            entries += got.data
            yield got.reply
        tally.items += len(entries)
        return entries

    def graphql(
        self, document: str, variables: Mapping[str, Any], tally: Tally, *, facts: Mapping[str, Any] | None = None
    ) -> Got:
        """Run one GraphQL document; fields that GitHub refuses are null and become a warning."""
        answer, body = self.client.graphql(document, variables)
        return self._got(answer, body, document, variables, tally, self._context("graphql", facts))

    def ask(
        self,
        question: Question,
        repository: str,
        shared: Mapping[str, Any],
        tally: Tally,
        *,
        others: Callable[[], Iterable[str]],
        facts: Mapping[str, Any] | None = None,
        subject: Callable[[str], str] = str,
    ) -> Got:
        """The first page of the answer to a question about one repository, asked together with `others` if that works."""
        part = self.batches.part(question, repository, shared, others, subject)
        if part is None:
            return self.graphql(question.one, {**shared, question.subject: subject(repository)}, tally, facts=facts)
        context = {**self._context("graphql", facts), "alias": part.alias, "whole_sha256": part.whole_sha256}
        raw = json.dumps(part.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
        return self._got(part.answer, part.body, part.document, part.variables, tally, context, raw)

    def _got(
        self,
        answer: Answer,
        body: Any,
        document: str,
        variables: Mapping[str, Any],
        tally: Tally,
        context: dict[str, str],
        raw: bytes | None = None,
    ) -> Got:
        """A GraphQL answer, or the part of it that is about one repository; `raw` is what to keep of it, if not all."""
        for error in graphql_errors(body):
            path = ".".join(str(p) for p in error.get("path") or () if not isinstance(p, int))
            tally.warn(f"GitHub withheld {path or 'a field'}: {error.get('message', 'no message')}")
        if not isinstance(body.get("data"), dict):
            raise Garbage("a GraphQL answer whose data is not an object")
        self._warn_sso(answer, tally)
        tally.pages += 1
        reply = self._reply(answer, body, document, dict(variables), context, raw)
        return Got(reply, body["data"], 200)

    def _warn_sso(self, answer: Answer, tally: Tally) -> None:
        if _PARTIAL in answer.response.headers.get("X-GitHub-SSO", ""):
            tally.warn(
                "single sign-on: GitHub left out what the token is not authorised for (X-GitHub-SSO partial-results)"
            )

    def _context(self, path: str, facts: Mapping[str, Any] | None) -> dict[str, str]:
        base = {"organization": self.organization, "kind": path.partition("?")[0]}
        if facts is not None:
            base["facts"] = self.facts(facts)
        return base

    def facts(self, facts: Mapping[str, Any]) -> str:
        """What `fetch` adds to a reply, as its context carries it."""
        return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def _reply(
        self,
        answer: Answer,
        data: Any,
        operation: str,
        parameters: dict[str, Any],
        context: dict[str, str],
        raw: bytes | None = None,
    ) -> Reply:
        response = answer.response
        body, redactions = redact(response.content if raw is None else raw, data, self.context.people)
        return Reply(
            body=body,
            operation=operation,
            parameters=parameters,
            status=str(response.status_code),
            requested_at=answer.requested_at,
            completed_at=answer.completed_at,
            attempts=tuple(answer.attempts),
            request_id=response.headers.get("X-GitHub-Request-Id"),
            etag=response.headers.get("ETag"),
            server_date=response.headers.get("Date"),
            redactions=redactions,
            context=context,
            media_type=response.headers.get("Content-Type", "application/json").partition(";")[0],
        )

    def principal(self) -> Principal:
        """The login behind the token, or the App, and what it could write."""
        with self._lock:
            if self._principal is None:
                from compliancectl.collectors.github.principal import identify

                self._principal = identify(self)
            return self._principal

    def doctor(self) -> Iterator[Diagnosis]:
        """Try the credentials and one harmless read per permission."""
        from compliancectl.collectors.github.doctor import examine

        yield from examine(self)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def facts_of(reply: Reply) -> Any:
    """What `fetch` added to a reply from other replies of the same collection; an empty object if nothing."""
    return json.loads(reply.context.get("facts", "{}"))


def data_of(reply: Reply) -> Any:
    """The parsed body; None when it is empty."""
    return json.loads(reply.body) if reply.body else None


def at(value: Any, *path: str) -> Any:
    """Walk nested objects; None as soon as one is missing or null."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def time_of(value: Any) -> Any:
    """An aware instant from GitHub's text; None stays None, and anything else stays as it is to break the row's contract."""
    if not isinstance(value, str):
        return value
    try:
        return clock.parse(value)
    except ValueError:
        return value


def connection(value: Any, where: str) -> tuple[list[Any], int, str | None]:
    """Nodes, total and next cursor (None at the end) of a GraphQL connection.

    Raises:
        Garbage: if it is not a connection.
    """
    nodes, info, total = at(value, "nodes"), at(value, "pageInfo"), at(value, "totalCount")
    if not isinstance(nodes, list) or not isinstance(info, dict) or not isinstance(total, int):
        raise Garbage(f"{where} is not a connection with nodes, pageInfo and totalCount")
    more, cursor = info.get("hasNextPage"), info.get("endCursor")
    if more and not cursor:
        raise Garbage(f"{where} says that there are more pages, but gives no cursor")
    return [n for n in nodes if n is not None], total, cursor if more else None


def check_page(following: str, seen: set[str], limit: int, where: str) -> None:
    """Refuse a next page that cannot lead to an end; remember it otherwise.

    Raises:
        Garbage: if it was named before.
        Truncated: if the limit of pages is reached.
    """
    if following in seen:
        raise Garbage(f"{where}: GitHub named the same next page twice: the list would never end")
    seen.add(following)
    if len(seen) >= limit:
        raise Truncated(
            f"{where}: GitHub still had more after {limit} pages",
            hint="Raise `page_limit` in the scope file if the list really is that long.",
        )


class Cursor:
    """Walks the pages of a GraphQL connection and refuses to walk in circles."""

    def __init__(self, where: str, limit: int) -> None:
        self.where, self.limit = where, limit
        self.after: str | None = None
        self.done, self.count, self.total = False, 0, 0
        self._seen: set[str] = set()

    def take(self, value: Any) -> list[Any]:
        """Accept one page and return its nodes.

        Raises:
            Garbage: if the page is not one, or the pages do not end.
            Truncated: if there are more pages than the limit.
        """
        nodes, self.total, following = connection(value, self.where)
        self.count += len(nodes)
        if following is None:
            self.done = True
        elif self.count > self.total + PAGE_SIZE:
            raise Garbage(f"{self.where}: {self.count} entries came, though GitHub counts {self.total}")
        else:
            check_page(following, self._seen, self.limit, self.where)
        self.after = following
        return nodes


def _json(answer: Answer, want: type, lenient: bool = False) -> Any:
    response = answer.response
    try:
        data = json.loads(response.content) if response.content else None
    except ValueError:
        data = None
        if not lenient:
            raise Garbage(
                f"{response.request.method} {response.request.path_url.partition('?')[0]}: not JSON",
                hint="Check the base URL and any proxy in between.",
            ) from None
    if not lenient and not isinstance(data, want):
        raise Garbage(
            f"{response.request.path_url.partition('?')[0]}: JSON, but not {'a list' if want is list else 'an object'}"
        )
    return data


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
