"""`compliancectl doctor` for Google Cloud: credentials, then each API and each permission in each place.

Every feed is asked for its first answer, which tells whether the API is enabled and answers. A feed may need further
permissions for its later requests, so Google is also asked which of them the principal holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.base import Diagnosis, Feed, Target
from compliancectl.collectors.gcp import identity
from compliancectl.collectors.gcp.feed import GcpFeed, place
from compliancectl.collectors.gcp.services import SERVICES, Service
from compliancectl.errors import ApiDisabled, CollectError, Denied

if TYPE_CHECKING:
    from compliancectl.collectors.gcp.session import GcpSession

Tried = tuple[GcpFeed, CollectError | None]
"""A feed, and why its first answer did not come."""


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
        needs = {name for asked in services.values() for feed, _ in asked for name in _permissions(feed)}
        holds = _held(session, where, tuple(sorted(needs)))
        for name, asked in sorted(services.items()):
            tried = [(feed, _first_answer(session, feed, target)) for feed, target in asked]
            yield from _service(SERVICES[name], where, tried, holds, who.subject)


def _places(session: GcpSession) -> dict[str, dict[str, list[tuple[GcpFeed, Target]]]]:
    """Project or organisation → service → the feeds that ask it there."""
    from compliancectl.collectors.gcp import collector

    found: dict[str, dict[str, list[tuple[GcpFeed, Target]]]] = {}
    for feed in collector.feeds:
        assert isinstance(feed, GcpFeed)
        for target in feed.targets(session):
            found.setdefault(place(target), {}).setdefault(feed.service, []).append((feed, target))
    return found


def _permissions(feed: Feed[Any]) -> set[str]:
    return {name for table in feed.tables for name in table.permissions}


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


def _first_answer(session: GcpSession, feed: GcpFeed, target: Target) -> CollectError | None:
    replies = feed.fetch(session, target)
    try:
        next(replies, None)
    except CollectError as error:
        return error
    finally:
        replies.close()
    return None


def _service(
    api: Service, where: str, tried: list[Tried], holds: set[str] | CollectError, subject: str
) -> Iterator[Diagnosis]:
    """The API itself, then each permission; a disabled API says nothing about permissions."""
    needs = sorted({name for feed, _ in tried for name in _permissions(feed)})
    trouble = next((e for _, e in tried if e is not None and not _names_any(e, needs)), None)
    if trouble is not None:
        outcome = "missing" if isinstance(trouble, Denied | ApiDisabled) else "unknown"
        yield Diagnosis(f"{api.title} on {where}", outcome, trouble.message, trouble.hint)  # type: ignore[arg-type]
    else:
        yield Diagnosis(f"{api.title} on {where}", "ok", f"{api.host} answers")
    if isinstance(trouble, ApiDisabled):
        return
    for name in needs:
        yield _permission(
            name, where, [t for t in tried if name in _permissions(t[0])], holds, grant(api, where, subject)
        )


def _names_any(error: CollectError, permissions: list[str]) -> bool:
    """It is about a permission, and so belongs to the line of that permission."""
    return isinstance(error, Denied) and any(f"refused {name}:" in error.message for name in permissions)


def _permission(name: str, where: str, tried: list[Tried], holds: set[str] | CollectError, fix: str) -> Diagnosis:
    subject, used = f"{name} on {where}", "for " + ", ".join(sorted(feed.name for feed, _ in tried))
    refused = next((e for _, e in tried if e is not None and _names_any(e, [name])), None)
    if refused is not None:
        return Diagnosis(subject, "missing", refused.message, fix)
    if not isinstance(holds, CollectError):
        return (
            Diagnosis(subject, "ok", used) if name in holds else Diagnosis(subject, "missing", f"not held, {used}", fix)
        )
    if any(error is None and _permissions(feed) == {name} for feed, error in tried):
        return Diagnosis(subject, "ok", used)
    return Diagnosis(subject, "unknown", f"Google does not say whether it is held: {holds.message}", holds.hint or fix)


def grant(api: Service, where: str, subject: str) -> str:
    """The command that grants what is read from an API."""
    kind, _, name = where.partition("/")
    member = f"{'serviceAccount' if subject.endswith('.gserviceaccount.com') else 'user'}:{subject}"
    if "@" not in subject:
        member = "MEMBER"
    return f"Run `gcloud {kind} add-iam-policy-binding {name} --member={member} --role={api.role}`."
