"""Public pages sentence by sentence, held against a register of claims: what is promised, and what nobody registered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import kept, pages
from compliancectl.collectors.probes.session import ProbesSession
from compliancectl.errors import FileError, Garbage, Missing, Truncated
from compliancectl.model.table import BOOL, TEXT, Column, Table

if TYPE_CHECKING:
    from compliancectl.model.claim import ClaimRegister

STATEMENT = Table(
    "probes.statement",
    "One row per registered statement of a public page, and per sentence of that page which no statement quotes.",
    (
        Column("resource", TEXT, "`URL#ID of the claim`, or `URL#digest` of a sentence.", "derived", required=True),
        Column("page", TEXT, "URL of the page.", "scope: statements[].url", required=True),
        Column("claim", TEXT, "Id of the claim; NULL: no claim quotes the sentence.", "register of claims"),
        Column("text", TEXT, "Its words.", "register of claims, or text of the page", required=True),
        Column("on_page", BOOL, "It stands on the page.", "text of the page", required=True),
    ),
    key=("resource",),
    drops=kept.DROPPED,
)


def targets(session: ProbesSession) -> Iterator[Target]:
    """One per page."""
    for page in session.config.statements:
        yield Target(page.url, page.url)


def fetch(session: ProbesSession, target: Target) -> Fetched:
    """Read the page, and what the register says of it. A page that is not there, or too long to read, proves nothing."""
    page = next(p for p in session.config.statements if p.url == target.name)
    register = _register(session, page.register_file)
    if register.page(page.page) is None:
        known = ", ".join(p.id for p in register.pages)
        raise Missing(f'{page.register_file} has no page "{page.page}"', hint=f"Its pages are {known}.")
    claims = [[claim.id, claim.text] for claim in register.claims if claim.page == page.page]
    about = {"register": register.sha256, "claims": claims}
    for reply in pages.read(session, page.url, about):
        yield reply
        seen = kept.seen(reply)
        if seen["status"] != 200:
            raise Missing(
                f"{page.url} answered {seen['status']}", hint="Open the page; correct its URL in the scope file."
            )
        if seen["cut"]:
            raise Truncated(
                f"{page.url} is longer than is read", hint="Let the statements stand on a page of their own."
            )
    return kept.whole("one request, redirects followed, answered or repeated")


def _register(session: ProbesSession, name: str) -> ClaimRegister:
    from compliancectl import load

    path = session.context.folder / name
    if not path.is_file():
        raise Missing(f"there is no register of claims {name}", hint="Correct its name in the scope file.")
    try:
        return load.load_claims(path)
    except FileError as error:
        raise Garbage(f"{name}: {error.message}", hint=error.hint) from None


def shape(reply: Reply) -> Iterator[Row]:
    """One row per statement, and per sentence without one."""
    from compliancectl import webpage
    from compliancectl.model.claim import Claim

    data = kept.seen(reply)
    claims = [Claim(id=id, text=text, page="", testable="statement") for id, text in data["claims"]]
    found = webpage.compare(webpage.pieces(data["text"]), claims)
    for claim, there in [*((c, True) for c in found.found), *((gone.claim, False) for gone in found.gone)]:
        yield _row(data["url"], claim.id, claim.text, there, claim.id)
    for sentence in dict.fromkeys(found.unregistered):
        yield _row(data["url"], hashlib.sha256(sentence.encode()).hexdigest()[:12], sentence, True, None)


def _row(url: str, name: str, text: str, there: bool, claim: str | None) -> Row:
    return STATEMENT.name, {"resource": f"{url}#{name}", "page": url, "claim": claim, "text": text, "on_page": there}


FEEDS = (Feed("statements", "Public pages against a register of claims.", (STATEMENT,), targets, fetch, shape),)
