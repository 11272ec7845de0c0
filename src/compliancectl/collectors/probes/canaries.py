"""Canaries: GET requests to the product itself, with accounts and content that were made for nothing else.

They show what no configuration shows: that a student is turned away from an administrator's route, that a link which
was taken back no longer answers. A refusal proves little alone, since what does not exist is refused as well: so beside it
something is asked for that must be let in. Of answers, statuses and a few headers are kept; bodies are looked at and dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import kept, wire
from compliancectl.collectors.probes.config import Canary
from compliancectl.collectors.probes.session import ProbesSession, Record
from compliancectl.collectors.probes.wire import Exchange, Failed
from compliancectl.errors import Denied, Unreachable
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table

_KEPT = (
    "cache-control",
    "content-type",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "retry-after",
    "www-authenticate",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-robots-tag",
)
"""Headers that enter the evidence; `location` does too, without the values of its query."""

CANARY = Table(
    "probes.canary",
    "One row per declared canary: a request to the product with an account and content made for it, and the answer.",
    (
        Column("resource", TEXT, "`canary/NAME`.", "scope: canaries[].name", required=True),
        Column(
            "purpose", TEXT, "What it shows, e.g. `role` or `revoked-link`.", "scope: canaries[].purpose", required=True
        ),
        Column("url", TEXT, "What was asked for.", "scope: canaries[].url", required=True),
        Column("with_credential", BOOL, "A credential was sent.", "scope: canaries[].credential", required=True),
        Column("status", INT, "Status of the last answer; redirects are not followed.", "HTTPS response: status"),
        Column(
            "proof_status", INT, "Status of what must be let in; NULL: nothing was declared.", "HTTPS response: status"
        ),
        Column("location_host", TEXT, "Host that a redirect leads to.", "HTTPS response: Location"),
        Column("location_params", ListOf(TEXT), "Names of the parameters of that address.", "HTTPS response: Location"),
        Column("robots", TEXT, "X-Robots-Tag; empty: not sent.", "HTTPS response: X-Robots-Tag"),
        Column("cache_control", TEXT, "Cache-Control; empty: not sent.", "HTTPS response: Cache-Control"),
        Column(
            "marker_seen", BOOL, "The marker stands in the answer; NULL: none was declared.", "HTTPS response: body"
        ),
        Column(
            "planted", INT, "How many values were planted in the content.", "scope: canaries[].planted", required=True
        ),
        Column("planted_seen", INT, "How many of them stand in the answer.", "HTTPS response: body"),
        Column("requests", INT, "How many requests were sent.", "derived", required=True),
        Column("limited", BOOL, "One of them was answered with 429.", "HTTPS response: status"),
        Column(
            "limit_told",
            BOOL,
            "That answer says when to come back, or what the limit is.",
            "HTTPS: Retry-After, RateLimit",
        ),
    ),
    key=("resource",),
    drops=(
        "credentials that are sent, cookies and all headers but a few: may identify a session",
        "bodies of answers: may hold content",
        "values of the query of a redirect: may be one-time codes",
    ),
)


def targets(session: ProbesSession) -> Iterator[Target]:
    """One per canary."""
    for canary in session.config.canaries:
        yield Target(canary.name, canary.url)


def fetch(session: ProbesSession, target: Target) -> Fetched:
    """Ask for the canary's URL until it is turned away (once, but for `burst`), then for what must be let in."""
    canary = next(c for c in session.config.canaries if c.name == target.name)
    asked, record = clock.now(), Record([])
    answers, sent = [], _headers(canary, canary.credential)
    for _ in range(canary.requests):
        answer = ask(session, canary.url, sent, record)
        answers.append(answer)
        if answer.status == 429:
            break
    last = answers[-1]
    seen: dict[str, Any] = {
        "name": canary.name,
        "purpose": canary.purpose,
        "url": canary.url,
        "credential": canary.credential,
        "statuses": [answer.status for answer in answers],
        **shown(last, canary.url),
        "planted": len(canary.planted),
        "planted_seen": sum(value.encode() in last.body for value in canary.planted),
        "cut": last.cut,
    }
    if canary.marker:
        seen["marker_seen"] = canary.marker.encode() in last.body
    operations = [f"GET {canary.url} as {_who(canary.credential)}, at most {canary.requests} times"]
    if canary.proof:
        whose = canary.proof.credential or canary.credential
        seen["proof"] = {"url": canary.proof.url, "credential": whose}
        seen["proof"]["status"] = ask(session, canary.proof.url, _headers(canary, whose), record).status
        operations.append(f"GET {canary.proof.url} as {_who(whose)}")
    cookies = sum(name.lower() == "set-cookie" for answer in answers for name, _ in answer.headers)
    yield kept.reply(seen, "; ".join(operations), asked, record, cookies)
    return kept.whole("every request that the canary declares, each answered or repeated")


def ask(session: ProbesSession, url: str, sent: dict[str, str], record: Record) -> Exchange:
    """One GET over TLS to a server whose certificate is trusted: a credential goes to nobody else.

    Raises:
        Unreachable: if there was no answer.
    """
    place, path = session.locate(url)
    try:
        return session.persist(lambda: wire.get(place, path, session.timeout_s, session.trust(), sent), record)
    except Failed as failed:
        raise Unreachable(
            f"{place.host} did not answer: {failed.outcome}, {failed.detail}",
            hint="Ask for the URL from this machine; correct it in the scope file.",
        ) from None


def shown(answer: Exchange, url: str) -> dict[str, Any]:
    """What is kept of an answer, apart from its status."""
    headers = [[name, value] for name, value in answer.headers if name.lower() in _KEPT]
    where = answer.header("location")
    if where is None:
        return {"headers": headers}
    parts = urlsplit(urljoin(url, where))
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    return {"headers": headers, "location": {"host": parts.hostname, "path": parts.path, "params": names}}


def missing(canary: Canary) -> list[str]:
    """Environment variables that the canary needs and that are not set."""
    names = [canary.credential, canary.proof.credential if canary.proof else None]
    return [name for name in names if name and not os.environ.get(name)]


def _headers(canary: Canary, variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    value = os.environ.get(variable, "")
    if not value:
        raise Denied(
            f"the canary {canary.name} has no credential: the variable {variable} is not set",
            hint=f"Set {variable} to the value of the header {canary.header} of an account made for this.",
        )
    if not (value.isascii() and value.isprintable()):
        raise Denied(
            f"the credential in {variable} cannot be sent in a header", hint="Write it on one line, in plain ASCII."
        )
    return {canary.header: value}


def _who(variable: str | None) -> str:
    return f"the holder of {variable}" if variable else "nobody in particular"


def shape(reply: Reply) -> Iterator[Row]:
    """One row."""
    data = kept.seen(reply)
    where = data.get("location", {})
    last = data["statuses"][-1]
    told = any(name.lower() == "retry-after" or "ratelimit" in name.lower() for name, _ in data["headers"])
    cut = data["cut"] and data["planted_seen"] < data["planted"]
    yield (
        CANARY.name,
        {
            "resource": f"canary/{data['name']}",
            "purpose": data["purpose"],
            "url": data["url"],
            "with_credential": data["credential"] is not None,
            "status": last,
            "proof_status": data.get("proof", {}).get("status"),
            "location_host": where.get("host"),
            "location_params": where.get("params"),
            "robots": kept.header(data, "x-robots-tag") or "",
            "cache_control": kept.header(data, "cache-control") or "",
            "marker_seen": data.get("marker_seen"),
            "planted": data["planted"],
            # What lies beyond the part that was read may hold the others.
            "planted_seen": None if cut and not data["planted_seen"] else data["planted_seen"],
            "requests": len(data["statuses"]),
            "limited": last == 429,
            "limit_told": told if last == 429 else None,
        },
    )


FEEDS = (Feed("canaries", "Requests of declared canaries to the product.", (CANARY,), targets, fetch, shape),)
