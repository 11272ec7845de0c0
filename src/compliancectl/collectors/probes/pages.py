"""Public pages and security.txt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import kept, wire
from compliancectl.collectors.probes.session import ProbesSession, Record
from compliancectl.collectors.probes.wire import Exchange, Failed
from compliancectl.errors import Unreachable
from compliancectl.model.table import BOOL, DATE, INT, TEXT, TIME, Column, ListOf, Table

FOLLOWED = 5
"""Redirects that are followed to a page."""
WELL_KNOWN = "/.well-known/security.txt"
"""RFC 9116, section 3."""

SECURITY_TXT = Table(
    "probes.security_txt",
    "One row per host that is to publish security.txt.",
    (
        Column("resource", TEXT, f"`https://HOST{WELL_KNOWN}`.", "scope", required=True),
        Column("hostname", TEXT, "The host.", "scope: security_txt", required=True),
        Column("status", INT, "Status of the answer, redirects followed.", "HTTPS response: status"),
        Column("secure", BOOL, "Every step went over TLS with a certificate that is trusted.", "TLS handshake"),
        Column("media_type", TEXT, "Media type; `text/plain` is demanded.", "RFC 9116, 3"),
        Column("contacts", ListOf(TEXT), "Where to report, most preferred first.", "RFC 9116, 2.5.3", required=True),
        Column("mail_domains", ListOf(TEXT), "Domains of the contacts that are mailboxes.", "derived", required=True),
        Column("expires", TIME, "Until when it holds; NULL: not said once, or not to be read.", "RFC 9116, 2.5.5"),
        Column("policy", ListOf(TEXT), "Where the disclosure policy stands.", "RFC 9116, 2.5.7", required=True),
        Column("canonical", ListOf(TEXT), "Where the file itself stands.", "RFC 9116, 2.5.2", required=True),
        Column("signed", BOOL, "It carries an OpenPGP signature (which is not checked).", "RFC 9116, 2.3"),
    ),
    key=("resource",),
    drops=kept.DROPPED,
)

PAGE = Table(
    "probes.page",
    "One row per public page.",
    (
        Column("resource", TEXT, "URL of the page.", "scope: pages[].url", required=True),
        Column("purpose", TEXT, "What it is.", "scope: pages[].purpose", required=True),
        Column("status", INT, "Status of the answer, redirects followed.", "HTTP response: status"),
        Column("final_url", TEXT, "Where redirects led.", "HTTP response: Location"),
        Column("secure", BOOL, "Every step went over TLS with a certificate that is trusted.", "TLS handshake"),
        Column("title", TEXT, "Title of the page.", "HTML: title"),
        Column("words", INT, "Words of its text.", "derived from HTML"),
        Column("text", TEXT, "Its text, white space folded; NULL: longer than is read.", "derived from HTML"),
        Column("text_sha256", TEXT, "Digest of its text, white space folded.", "derived from HTML"),
        Column("updated", DATE, "When it says that it was last updated; NULL: not said.", "text of the page"),
        Column(
            "foreign_hosts",
            ListOf(TEXT),
            "Other hosts that its scripts, frames, images and styles come from.",
            "HTML: src, href",
            required=True,
        ),
        Column("cookies", ListOf(TEXT), "Names of cookies set by the answer.", "HTTP: Set-Cookie", required=True),
    ),
    key=("resource",),
    drops=kept.DROPPED,
)


def security_targets(session: ProbesSession) -> Iterator[Target]:
    """One per host."""
    for host in session.config.security_txt:
        yield Target(host, f"https://{host}{WELL_KNOWN}")


def page_targets(session: ProbesSession) -> Iterator[Target]:
    """One per page."""
    for page in session.config.pages:
        yield Target(page.url, page.url)


def fetch_security(session: ProbesSession, target: Target) -> Fetched:
    """Read the file."""
    yield from read(session, target.endpoint, {"hostname": target.name})
    return kept.whole("one request, redirects followed, answered or repeated")


def fetch_page(session: ProbesSession, target: Target) -> Fetched:
    """Read the page."""
    page = next(p for p in session.config.pages if p.url == target.name)
    yield from read(session, page.url, {"purpose": page.purpose})
    return kept.whole("one request, redirects followed, answered or repeated")


def read(session: ProbesSession, url: str, about: Mapping[str, Any]) -> Iterator[Reply]:
    """GET, follow redirects; a certificate that is not trusted is noted, and the page read all the same."""
    asked, record = clock.now(), Record([])
    here, secure, steps = url, True, [url]
    for _ in range(FOLLOWED + 1):
        answer, trusted = _get(session, here, record)
        secure = secure and trusted
        where = answer.header("location")
        if answer.status not in (301, 302, 303, 307, 308) or not where:
            break
        here = urljoin(here, where)
        if urlsplit(here).scheme not in ("http", "https") or len(steps) > FOLLOWED:
            break
        steps.append(here)
    found, cookies = kept.exchange(answer)
    text = answer.body.decode("utf-8", "replace")
    seen = {"url": url, **about, "steps": steps, "secure": secure, **found, "text": text, "cut": answer.cut}
    yield kept.reply(seen, f"GET {url}", asked, record, cookies)


def _get(session: ProbesSession, url: str, record: Record) -> tuple[Exchange, bool]:
    place, path = session.locate(url)
    try:
        if urlsplit(url).scheme != "https":
            return session.persist(lambda: wire.get(place, path, session.timeout_s, None), record), False
        try:
            return session.persist(lambda: wire.get(place, path, session.timeout_s, session.trust()), record), True
        except Failed as failed:
            if failed.outcome != "untrusted":
                raise
        return session.persist(lambda: wire.get(place, path, session.timeout_s, wire.credulous()), record), False
    except Failed as failed:
        raise Unreachable(f"{place.host} did not answer: {failed.outcome}, {failed.detail}", hint=_HINT) from None


_HINT = "Open the page in a browser from this machine; correct its URL in the scope file."


def shape_security(reply: Reply) -> Iterator[Row]:
    """One row."""
    data = kept.seen(reply)
    media = (kept.header(data, "content-type") or "").partition(";")[0].strip().lower()
    fields = fields_of(data["text"]) if data["status"] == 200 and media == "text/plain" else {}
    contacts = fields.get("contact", [])
    expires = fields.get("expires", [])
    yield (
        SECURITY_TXT.name,
        {
            "resource": data["url"],
            "hostname": data["hostname"],
            "status": data["status"],
            "secure": data["secure"],
            "media_type": media or None,
            "contacts": contacts,
            "mail_domains": sorted({c.partition("?")[0].rpartition("@")[2].lower() for c in contacts if _mailbox(c)}),
            "expires": _instant(expires[0]) if len(expires) == 1 else None,
            "policy": fields.get("policy", []),
            "canonical": fields.get("canonical", []),
            "signed": data["text"].startswith("-----BEGIN PGP SIGNED MESSAGE-----"),
        },
    )


def fields_of(text: str) -> dict[str, list[str]]:
    """The fields of security.txt by name in lower case; what stands in the signature is not among them."""
    found: dict[str, list[str]] = {}
    for line in text.partition("-----BEGIN PGP SIGNATURE-----")[0].splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#") and name.strip():
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _mailbox(contact: str) -> bool:
    return contact.lower().startswith("mailto:") and "@" in contact


def _instant(text: str) -> Any:
    try:
        return clock.parse(text.upper()) if "T" in text.upper() else None
    except ValueError:
        return None


def shape_page(reply: Reply) -> Iterator[Row]:
    """One row."""
    data = kept.seen(reply)
    html = _Html(data["steps"][-1])
    html.feed(data["text"])
    html.close()
    text = " ".join(" ".join(html.words).split())
    cookies = {v.partition("=")[0].strip() for k, v in data["headers"] if k.lower() == "set-cookie"}
    yield (
        PAGE.name,
        {
            "resource": data["url"],
            "purpose": data["purpose"],
            "status": data["status"],
            "final_url": data["steps"][-1],
            "secure": data["secure"],
            "title": " ".join(html.title.split()) or None,
            "words": len(text.split()),
            "text": None if data["cut"] else text,
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "updated": updated(text),
            "foreign_hosts": sorted(html.foreign),
            "cookies": sorted(cookies),
        },
    )


_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_UPDATED = re.compile(
    r"(?:last (?:updated|modified|revised|reviewed)|effective(?: date| as of)?|updated on)\W{0,4}(?:on |as of )?\W{0,2}"
    r"(?:(?P<iso>\d{4}-\d{2}-\d{2})|(?P<m1>[a-z]+)\.? (?P<d1>\d{1,2})(?:st|nd|rd|th)?,? (?P<y1>\d{4})"
    r"|(?P<d2>\d{1,2})(?:st|nd|rd|th)?\.? (?P<m2>[a-z]+)\.?,? (?P<y2>\d{4}))"
)


def updated(text: str) -> Any:
    """The day in `Last updated: 3 May 2026` and its like; None if there is none that can be read."""
    from datetime import date

    found = _UPDATED.search(text.lower())
    if not found:
        return None
    try:
        if found["iso"]:
            return date.fromisoformat(found["iso"])
        month, day, year = (
            (found["m1"], found["d1"], found["y1"]) if found["m1"] else (found["m2"], found["d2"], found["y2"])
        )
        number = next((i for i, name in enumerate(_MONTHS, 1) if len(month) >= 3 and name.startswith(month)), 0)
        return date(int(year), number, int(day))
    except ValueError:
        return None


class _Html(HTMLParser):
    """Words, title, and the other hosts that a page loads from."""

    _SILENT = ("script", "style", "template", "noscript")
    _LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
              "embed": "src", "object": "data", "input": "src"}  # fmt: skip
    _LINKS = ("stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "icon")

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.url = url
        self.words: list[str] = []
        self.title = ""
        self.foreign: set[str] = set()
        self._in: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is loaded."""
        given = dict(attrs)
        if tag in (*self._SILENT, "title"):
            self._in.append(tag)
        loads = given.get(self._LOADS.get(tag, ""))
        if tag == "link" and set((given.get("rel") or "").lower().split()) & set(self._LINKS):
            loads = given.get("href")
        host = urlsplit(urljoin(self.url, loads.strip())).hostname if loads else None
        if host and host != urlsplit(self.url).hostname:
            self.foreign.add(host)

    def handle_endtag(self, tag: str) -> None:
        """Leave what is not text."""
        if tag in self._in:
            while self._in.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Text, or the title."""
        if self._in[-1:] == ["title"]:
            self.title += data
        elif not self._in:
            self.words.append(data)


FEEDS = (
    Feed("security_txt", "security.txt of hosts.", (SECURITY_TXT,), security_targets, fetch_security, shape_security),
    Feed("pages", "Public pages.", (PAGE,), page_targets, fetch_page, shape_page),
)
