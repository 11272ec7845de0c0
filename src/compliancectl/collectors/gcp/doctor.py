"""`compliancectl doctor` for Google Cloud: credentials, then each API and each permission in each place.

Every feed is asked for its first answer, which tells whether the API is enabled and answers. A feed may need further
permissions for its later requests, so Google is also asked which of them the principal holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from compliancectl.collectors.base import Diagnosis, Target
from compliancectl.collectors.gcp import identity
from compliancectl.collectors.gcp.everywhere import is_root
from compliancectl.collectors.gcp.feed import GcpFeed, place
from compliancectl.collectors.gcp.services import SERVICES, Service
from compliancectl.errors import ApiDisabled, CollectError, Denied

if TYPE_CHECKING:
    from compliancectl.collectors.gcp.session import GcpSession

FEW = 20
"""Replies that are looked at until the API itself answers; of an organisation, its inventory answers first."""


@dataclass(frozen=True)
class Tried:
    """A feed that was tried in one place."""

    feed: GcpFeed
    error: CollectError | None
    """Why its first answer did not come."""
    answered: bool
    """The API itself was asked; False: nothing is there to ask it about."""
    needs: frozenset[str]
    """The permissions it needs there."""
    shown: bool = False
    """Its answers show that it has all of them."""


def examine(session: GcpSession) -> Iterator[Diagnosis]:
    """One line for the credentials, and one for each API and each permission in each place; keeps nothing."""
    try:
        who = session.principal()
    except CollectError as error:
        yield Diagnosis("credentials", "missing", error.message, error.hint)
        return
    yield Diagnosis("credentials", "ok", f"{who.subject} ({who.authentication})")
    yield _may_change(who.read_only)
    for where, services in sorted(_places(session).items()):
        needs = {
            name for asked in services.values() for feed, _ in asked for name in _permissions(session, feed, where)
        }
        holds = _held(session, where, tuple(sorted(needs)))
        said: set[str] = set()
        for name, asked in sorted(services.items()):
            tried = [_try(session, feed, target) for feed, target in asked]
            for line in _service(SERVICES[name], where, tried, holds, who.subject):
                if line.subject not in said:  # several APIs may need the same permission
                    yield line
                said.add(line.subject)


def _places(session: GcpSession) -> dict[str, dict[str, list[tuple[GcpFeed, Target]]]]:
    """Project or organisation → service → the feeds that ask it there."""
    from compliancectl.collectors.gcp import collector

    found: dict[str, dict[str, list[tuple[GcpFeed, Target]]]] = {}
    for feed in collector.feeds:
        assert isinstance(feed, GcpFeed)
        for target in feed.targets(session):
            found.setdefault(place(target), {}).setdefault(feed.asks(session), []).append((feed, target))
    return found


def _permissions(session: GcpSession, feed: GcpFeed, where: str) -> frozenset[str]:
    below = feed.below if where in session.config.roots else ()
    return feed.needs(session) | set(below)


def _may_change(read_only: str) -> Diagnosis:
    if read_only.startswith("yes"):
        return Diagnosis("no right to change anything", "ok", read_only)
    fix = "Use a principal that holds nothing else; `compliancectl collectors permissions gcp` prints the role."
    return Diagnosis("no right to change anything", "unknown", read_only, fix)


def _held(session: GcpSession, where: str, permissions: tuple[str, ...]) -> set[str] | CollectError:
    try:
        return set(identity.held(session, where, permissions))
    except CollectError as error:
        return error


def _try(session: GcpSession, feed: GcpFeed, target: Target) -> Tried:
    needs, own = _permissions(session, feed, place(target)), session.endpoint(feed.asks(session))
    replies = feed.fetch(session, target)
    wanted = feed.instead.shown_by if feed.instead and feed.instead.chosen(session) else 1
    answered, error, number = False, None, 0
    try:
        for number, reply in enumerate(islice(replies, FEW), 1):
            answered = not is_root(target) or own in reply.operation or reply.operation.startswith("RPC")
            if answered and number >= wanted:
                break
    except CollectError as found:
        error = found
    finally:
        replies.close()
    return Tried(feed, error, answered, needs, shown=wanted > 1 and number >= wanted and error is None)


def _service(
    api: Service, where: str, tried: list[Tried], holds: set[str] | CollectError, subject: str
) -> Iterator[Diagnosis]:
    """The API itself, then each permission; a disabled API says nothing about permissions."""
    needs = sorted({name for one in tried for name in one.needs})
    trouble = next((one.error for one in tried if one.error is not None and not _names_any(one.error, needs)), None)
    if trouble is not None:
        outcome = "missing" if isinstance(trouble, Denied | ApiDisabled) else "unknown"
        yield Diagnosis(f"{api.title} on {where}", outcome, trouble.message, trouble.hint)  # type: ignore[arg-type]
    else:
        said = f"{api.host} answers" if any(one.answered for one in tried) else "Cloud Asset Inventory answers for it"
        yield Diagnosis(f"{api.title} on {where}", "ok", said)
    if isinstance(trouble, ApiDisabled):
        return
    for name in needs:
        yield _permission(name, where, [one for one in tried if name in one.needs], holds, grant(api, where, subject))


def _api_of(permission: str, api: Service) -> Service:
    """Whose role grants a permission: that of the API in its name, where it is one of ours."""
    return SERVICES.get(permission.partition(".")[0], api)


def _names_any(error: CollectError, permissions: list[str]) -> bool:
    """It is about a permission, and so belongs to the line of that permission."""
    return isinstance(error, Denied) and any(f"refused {name}:" in error.message for name in permissions)


def _permission(name: str, where: str, tried: list[Tried], holds: set[str] | CollectError, fix: str) -> Diagnosis:
    subject, used = f"{name} on {where}", "for " + ", ".join(sorted(one.feed.name for one in tried))
    refused = next((one.error for one in tried if one.error is not None and _names_any(one.error, [name])), None)
    if refused is not None:
        return Diagnosis(subject, "missing", refused.message, fix)
    if any(one.shown for one in tried):
        return Diagnosis(subject, "ok", used)
    if not isinstance(holds, CollectError):
        return (
            Diagnosis(subject, "ok", used) if name in holds else Diagnosis(subject, "missing", f"not held, {used}", fix)
        )
    if any(one.error is None and one.needs == {name} for one in tried):
        return Diagnosis(subject, "ok", used)
    return Diagnosis(subject, "unknown", f"Google does not say whether it is held: {holds.message}", holds.hint or fix)


def grant(api: Service, where: str, subject: str) -> str:
    """The command that grants what is read from an API."""
    kind, _, name = where.partition("/")
    kind = f"resource-manager {kind}" if kind == "folders" else kind
    member = f"{'serviceAccount' if subject.endswith('.gserviceaccount.com') else 'user'}:{subject}"
    if "@" not in subject:
        member = "MEMBER"
    return f"Run `gcloud {kind} add-iam-policy-binding {name} --member={member} --role={api.role}`."
