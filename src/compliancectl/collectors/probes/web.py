"""What a public hostname answers over plain HTTP and over HTTPS: redirects, HSTS and other headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import kept, wire
from compliancectl.collectors.probes.session import ProbesSession, Record
from compliancectl.collectors.probes.tls import targets
from compliancectl.collectors.probes.wire import Failed
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table


def _header(name: str, header: str, text: str) -> Column:
    return Column(name, TEXT, f"{text}; NULL: not sent.", f"HTTPS response: {header}")


SITE = Table(
    "probes.site",
    "One row per public hostname: the answers to GET / over plain HTTP and over HTTPS, redirects not followed.",
    (
        Column("resource", TEXT, "`https://HOST`.", "scope", required=True),
        Column("hostname", TEXT, "The hostname.", "scope: hostnames", required=True),
        Column("plain_outcome", TEXT, "Port 80: `answered`, `refused`, `closed`, `silent` or `garbage`.", "TCP"),
        Column("plain_status", INT, "Status over plain HTTP.", "HTTP response: status"),
        Column("plain_location", TEXT, "Where that leads.", "HTTP response: Location"),
        Column("status", INT, "Status over HTTPS.", "HTTPS response: status"),
        Column("location", TEXT, "Where that leads.", "HTTPS response: Location"),
        Column("hsts", TEXT, "Strict-Transport-Security as sent; NULL: not sent.", "RFC 6797"),
        Column(
            "hsts_max_age", INT, "Its max-age in seconds; 0 when not sent, NULL when not to be read.", "RFC 6797, 6.1.1"
        ),
        Column("hsts_subdomains", BOOL, "It covers subdomains.", "RFC 6797, 6.1.2"),
        Column("hsts_preload", BOOL, "It asks to be preloaded.", "convention of browsers: preload"),
        _header("content_security_policy", "Content-Security-Policy", "Where content may come from"),
        _header("content_type_options", "X-Content-Type-Options", "`nosniff` keeps types as declared"),
        _header("frame_options", "X-Frame-Options", "Who may frame the page"),
        _header("referrer_policy", "Referrer-Policy", "What other sites learn of the address"),
        _header("permissions_policy", "Permissions-Policy", "Which features of the browser pages may use"),
        _header("server", "Server", "Who answers"),
        Column("cookies", ListOf(TEXT), "Cookies that are set, with attributes, without values.", "HTTPS: Set-Cookie"),
    ),
    key=("resource",),
    drops=kept.DROPPED,
)


def fetch(session: ProbesSession, target: Target) -> Fetched:
    """One GET over plain HTTP, one over HTTPS. Raises when HTTPS gives no answer: nothing can then be said of headers."""
    host, asked, record = target.name, clock.now(), Record([])
    plain: dict[str, Any]
    place = session.place(host, 80)
    try:
        answer = session.persist(lambda: wire.get(place, "/", session.timeout_s, None), record)
        found, dropped = kept.exchange(answer)
        plain = {"outcome": "answered", **found}
    except Failed as failed:
        plain, dropped = {"outcome": failed.outcome}, 0
    secure = session.place(host, 443)
    try:
        answer = session.persist(lambda: wire.get(secure, "/", session.timeout_s, wire.credulous()), record)
        encrypted, more = kept.exchange(answer)
    except Failed as failed:
        encrypted, more = {"outcome": failed.outcome, "detail": failed.detail}, 0
    yield kept.reply(
        {"hostname": host, "plain": plain, "secure": encrypted},
        f"GET http://{host}/, GET https://{host}/",
        asked,
        record,
        dropped + more,
    )
    return kept.whole("one request over HTTP and one over HTTPS, each answered or repeated")


def shape(reply: Reply) -> Iterator[Row]:
    """One row."""
    data = kept.seen(reply)
    plain, secure = data["plain"], data["secure"]
    row: dict[str, Any] = {
        "resource": f"https://{data['hostname']}",
        "hostname": data["hostname"],
        "plain_outcome": plain["outcome"],
        "plain_status": plain.get("status"),
        "plain_location": kept.header(plain, "location"),
    }
    if "status" in secure:
        row |= {"status": secure["status"], "location": kept.header(secure, "location"), **hsts(secure)}
        row["cookies"] = sorted(value for name, value in secure["headers"] if name.lower() == "set-cookie")
        row |= {
            column.name: kept.header(secure, column.source.partition(": ")[2].lower())
            for column in SITE
            if column.source.startswith("HTTPS response: ") and column.name not in row
        }
    yield SITE.name, row


def hsts(response: dict[str, Any]) -> dict[str, Any]:
    """Strict-Transport-Security as a client reads it: the first header counts (RFC 6797, section 8.1)."""
    first = next((v for k, v in response["headers"] if k.lower() == "strict-transport-security"), None)
    if first is None:
        return {"hsts": None, "hsts_max_age": 0, "hsts_subdomains": False, "hsts_preload": False}
    said: dict[str, str] = {}
    for directive in first.split(";"):
        name, _, value = directive.strip().partition("=")
        said.setdefault(name.strip().lower(), value.strip().strip('"'))
    age = said.get("max-age", "")
    return {
        "hsts": first,
        "hsts_max_age": int(age) if age.isdecimal() and age.isascii() and len(age) < 18 else None,
        "hsts_subdomains": "includesubdomains" in said,
        "hsts_preload": "preload" in said,
    }


FEEDS = (
    Feed(
        name="sites",
        description="Redirects, HSTS and other headers of public hostnames.",
        tables=(SITE,),
        targets=targets,
        fetch=fetch,
        shape=shape,
    ),
)
