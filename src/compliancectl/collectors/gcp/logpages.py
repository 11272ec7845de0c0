"""Lists of Cloud Logging, page by page; those that take long are kept, so that a run that was interrupted goes on after them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compliancectl import canonical
from compliancectl.collectors.base import Reply
from compliancectl.collectors.gcp.identity import subject
from compliancectl.collectors.gcp.listing import Page, Tally, check_token
from compliancectl.collectors.gcp.logclient import NotAccepted, rpc
from compliancectl.collectors.gcp.redact import Drop, apply
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.collectors.shelf import Kept, Shelf, shelf_of
from compliancectl.errors import Garbage

if TYPE_CHECKING:
    from compliancectl.collectors.calls import Answer


def log_pages(
    session: GcpSession,
    asked: Asked,
    service: str,
    method: str,
    message: str,
    fields: Mapping[str, Any],
    key: str,
    drops: tuple[Drop, ...],
    context: Mapping[str, str],
    tally: Tally,
    *,
    kept: bool = False,
) -> Iterator[Page]:
    """Read a list over gRPC to its end, page by page.

    With `kept`, pages of a long list are kept until the run is complete, and the next try of the run goes on after them.

    Raises:
        CollectError: if a page cannot be read, tokens repeat, or there are more pages than the limit.
    """
    from google.cloud.logging_v2 import types

    def ask(token: str) -> Kept:
        request = getattr(types, message)(page_token=token, **fields)
        answered, record = rpc(session, asked, service, method, request)
        reply, data = _keep(answered, record, message, {**fields, "page_token": token}, drops, context)
        return Kept(reply, answered.next_page_token, data)

    shelf = _shelf(session, (message, fields, [drop.path for drop in drops], dict(context))) if kept else None
    seen: set[str] = set()
    tally.listings += 1
    for page in _one_after_the_other(ask, shelf, tally):
        data = page.data if page.data is not None else json.loads(page.reply.body)
        found = data.get(key, [])
        tally.pages += 1
        tally.items += len(found)
        session.context.progress(f"page {tally.pages}, {tally.items} items")
        yield Page(page.reply, found)
        if page.token:
            check_token(page.token, seen, session.config.page_limit, asked.api.title)


def _shelf(session: GcpSession, question: Any) -> Shelf | None:
    if session.context.unfinished is None:
        return None
    return shelf_of(session.context, "gcp", subject(session.credentials()), question)


def _one_after_the_other(ask: Callable[[str], Kept], shelf: Shelf | None, tally: Tally) -> Iterator[Kept]:
    """The pages of an earlier try, if the source still goes on after them; then those that follow."""
    number, page = 0, None
    for page in _earlier(ask, shelf, tally):
        number += 1
        yield page
    while page is None or page.token:
        page = ask(page.token if page is not None else "")
        number += 1
        if shelf is not None and (number > 1 or page.token):
            shelf.put(number, page)
        yield page


def _earlier(ask: Callable[[str], Kept], shelf: Shelf | None, tally: Tally) -> list[Kept]:
    """What an earlier try of this run had read, with the page after it; nothing if its token is not taken any more."""
    found = shelf.pages() if shelf is not None else []
    if shelf is None or not found:
        return []
    count = len(found)
    if found[-1].token:
        try:
            found.append(ask(found[-1].token))
        except NotAccepted:
            shelf.clear()
            tally.notes.append(
                f"begun again at the first page: the token after page {count} of an earlier try had expired"
            )
            return []
        shelf.put(count + 1, found[-1])
    tally.notes.append(f"{'page 1' if count == 1 else f'pages 1 to {count}'} read by an earlier try of this run")
    return found


def _keep(
    message: Any,
    answer: Answer,
    request: str,
    fields: Mapping[str, Any],
    drops: tuple[Drop, ...],
    context: Mapping[str, str],
) -> tuple[Reply, Any]:
    """The reply as JSON, in Google's own mapping from protobuf."""
    data = _as_json(message)
    counts = apply(data, drops)
    service = {"ListLogEntriesRequest": "LoggingServiceV2", "ListLogMetricsRequest": "MetricsServiceV2"}.get(
        request, "ConfigServiceV2"
    )
    return Reply(
        body=canonical.to_bytes(data),
        operation=f"RPC google.logging.v2.{service}/{request.removesuffix('Request')}",
        requested_at=answer.requested_at,
        completed_at=answer.completed_at,
        status="OK",
        parameters=dict(fields),
        attempts=tuple(answer.attempts),
        redactions=counts,
        context=dict(context),
    ), data


def _as_json(message: Any) -> Any:
    from google.protobuf.json_format import MessageToDict

    try:
        return MessageToDict(message)
    except TypeError:
        known, unread = _without_unknown_service_data(message)
    try:
        data = MessageToDict(known)
    except TypeError as error:
        raise Garbage(
            f"Cloud Logging API sent a payload of a type that is not known here: {error}",
            hint="Please report the type.",
        ) from None
    for number, kind in unread.items():
        data["entries"][number]["protoPayload"]["serviceData"] = {"@type": kind}
    return data


def _without_unknown_service_data(message: Any) -> tuple[Any, dict[int, str]]:
    """A copy without what services add to audit entries in forms of their own that cannot be read here.

    Returns:
        The copy, and the types that were taken out, by the number of the entry.
    """
    from google.cloud.audit.audit_log_pb2 import AuditLog
    from google.protobuf import descriptor_pool

    known, unread, audit = type(message)(), dict[int, str](), AuditLog()
    known.CopyFrom(message)
    for number, entry in enumerate(getattr(known, "entries", ())):
        if entry.proto_payload.Unpack(audit) and audit.service_data.type_url:
            try:
                descriptor_pool.Default().FindMessageTypeByName(audit.service_data.TypeName())
            except KeyError:
                unread[number] = audit.service_data.type_url
                audit.ClearField("service_data")
                entry.proto_payload.Pack(audit)
    return known, unread
