"""Lists that come in pages: every page is a reply, and how they ended is how completeness is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.base import Reply
from compliancectl.collectors.gcp.redact import Drop, redact
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.verdict import FAULT, Asked, body
from compliancectl.errors import Garbage, Truncated
from compliancectl.model.evidence import Completeness

if TYPE_CHECKING:
    from compliancectl.collectors.calls import Answer

_BENIGN = {"MAX_RESULTS_EXCEEDS_LIMIT", "NO_RESULTS_ON_PAGE"}
_REQUEST_IDS = ("x-goog-request-id", "x-request-id", "x-guploader-uploadid")


@dataclass
class Tally:
    """What was received, over all listings of one fetch."""

    pages: int = 0
    items: int = 0
    listings: int = 0
    warnings: list[str] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What else there is to say about how it was read."""

    def completeness(self, noun: str) -> Completeness:
        """How it is known that nothing is missing."""
        lists = "1 listing" if self.listings == 1 else f"{self.listings} listings"
        pages = "1 page" if self.pages == 1 else f"{self.pages} pages"
        return Completeness(
            method="; ".join(
                (f"{lists} of {noun} read to the end: the last of {pages} carried no page token", *self.notes)
            ),
            pages=self.pages,
            items=self.items,
            exhausted=True,
            filters=tuple(self.filters),
            warnings=tuple(self.warnings),
        )


@dataclass(frozen=True)
class Listing:
    """One paged list."""

    asked: Asked
    path: str
    items: str
    """Key of the list in the reply."""
    size: tuple[str, int] | None = None
    """Name and value of the page size parameter; None: the API has no pages here."""
    params: Sequence[tuple[str, str]] = ()
    drops: tuple[Drop, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    counted: bool = True
    """False when it only enumerates where to look further."""
    scoped: str = ""
    """For aggregated lists, an object by place: the key of the list in each place."""


@dataclass(frozen=True)
class Page:
    """One page: the reply to keep, and the items in it (after redaction)."""

    reply: Reply
    items: list[Any]


def pages(session: GcpSession, listing: Listing, tally: Tally) -> Iterator[Page]:
    """Read a list to its end, page by page.

    Raises:
        CollectError: if a page cannot be read, tokens repeat, or there are more pages than the limit.
    """
    seen: set[str] = set()
    token: str | None = None
    tally.listings += 1
    while True:
        answer = session.ask(Request(listing.asked, listing.path, _params(listing, token)))
        data = body(answer.response)
        reply = keep(answer, data, listing.drops, listing.context)
        found = _items(data, listing)
        tally.pages += 1
        tally.items += len(found) if listing.counted else 0
        tally.warnings.extend(_warnings(data))
        session.context.progress(f"page {tally.pages}, {tally.items} items")
        yield Page(reply, found)
        token = data.get("nextPageToken") or None
        if token is None:
            return
        check_token(token, seen, session.config.page_limit, listing.asked.api.title)


def check_token(token: Any, seen: set[str], limit: int, title: str) -> None:
    """Refuse a page token that cannot lead to an end; remember it otherwise.

    Raises:
        Garbage: if the token is not text, or was given before.
        Truncated: if the limit of pages is reached.
    """
    if not isinstance(token, str):
        raise Garbage(f"{title} gave a page token that is not text", hint=FAULT)
    if token in seen:
        raise Garbage(f"{title} gave the same page token twice: the list would never end", hint=FAULT)
    seen.add(token)
    if len(seen) >= limit:
        raise Truncated(
            f"{title} still had more after {limit} pages",
            hint="Raise `page_limit` in the scope file if the list really is that long.",
        )


def keep(answer: Answer, data: Any, drops: tuple[Drop, ...], context: Mapping[str, str]) -> Reply:
    """The reply to keep of an answer: redacted as declared, otherwise byte for byte."""
    response = answer.response
    kept, counts = redact(response.content, data, drops)
    headers = response.headers
    return Reply(
        body=kept,
        operation=f"{response.request.method} {response.url}",
        requested_at=answer.requested_at,
        completed_at=answer.completed_at,
        status=str(response.status_code),
        media_type="application/json",
        request_id=next((headers[name] for name in _REQUEST_IDS if name in headers), None),
        etag=headers.get("ETag"),
        server_date=headers.get("Date"),
        attempts=tuple(answer.attempts),
        redactions=counts,
        context=dict(context),
    )


def _params(listing: Listing, token: str | None) -> list[tuple[str, str]]:
    size = [(listing.size[0], str(listing.size[1]))] if listing.size else []
    return [*listing.params, *size, *([("pageToken", token)] if token else [])]


def _items(data: Any, listing: Listing) -> list[Any]:
    found = data.get(listing.items, [])
    if listing.scoped and isinstance(found, dict):
        found = [item for place in found.values() for item in place.get(listing.scoped, [])]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Garbage(
            f"{listing.asked.api.title} answered with {listing.items!r} that is not a list of objects", hint=FAULT
        )
    return found


def _warnings(data: Any) -> Iterator[str]:
    """What the source itself says is missing from its answer."""
    for place in [*(data.get("unreachable") or ()), *(data.get("unreachables") or ())]:
        yield f"unreachable: {place}"
    places = data["items"].values() if isinstance(data.get("items"), dict) else ()
    singles = [holder["warning"] for holder in (data, *places) if isinstance(holder, dict) and holder.get("warning")]
    for warning in [*(data.get("warnings") or ()), *singles]:
        if warning.get("code") not in _BENIGN:
            region = f" ({warning['region']})" if warning.get("region") else ""
            yield f"{warning.get('code', 'warning')}{region}: {warning.get('message', '')}"


def single(
    session: GcpSession, request: Request, tally: Tally, drops: tuple[Drop, ...], context: Mapping[str, str]
) -> tuple[Reply, Any]:
    """Read one object that is not a list; gives the reply to keep and its data after redaction.

    Raises:
        CollectError: if it cannot be read.
    """
    answer = session.ask(request)
    data = body(answer.response)
    tally.listings += 1
    tally.pages += 1
    tally.warnings.extend(_warnings(data))
    return keep(answer, data, drops, context), data
