"""Who asks Google Cloud, and whether they could have changed what they look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compliancectl.collectors.calls import TryAgain
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.verdict import FAULT, Asked, body
from compliancectl.errors import CollectError, Garbage
from compliancectl.model.evidence import Principal

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

WRITING = (
    "cloudscheduler.jobs.update",
    "cloudsql.backupRuns.delete",
    "cloudsql.instances.delete",
    "cloudsql.instances.update",
    "cloudsql.users.update",
    "compute.firewalls.update",
    "logging.buckets.update",
    "logging.sinks.update",
    "redis.instances.update",
    "resourcemanager.projects.setIamPolicy",
    "run.services.update",
    "storage.buckets.delete",
    "storage.buckets.update",
)
"""Permissions that would let a principal change what is collected; Google is asked whether it holds any."""

_KINDS = {
    "google.oauth2.service_account": "service account key",
    "google.oauth2.credentials": "user credentials",
    "google.auth.compute_engine.credentials": "attached service account",
    "google.auth.identity_pool": "workload identity federation",
    "google.auth.impersonated_credentials": "service account impersonation",
}


def identify(session: GcpSession) -> Principal:
    """Tell the principal from the credentials, and ask Google what it may change.

    Raises:
        CollectError: if the credentials are missing or refused.
    """
    try:
        session.token()
    except TryAgain as again:
        raise again.error from None
    credentials = session.credentials()
    kind = _KINDS.get(type(credentials).__module__, type(credentials).__module__)
    return Principal(subject=subject(credentials), authentication=kind, read_only=_read_only(session))


def subject(credentials: Credentials) -> str:
    """The e-mail address in the credentials, or that they do not state one."""
    held: Any = credentials
    for name in ("service_account_email", "signer_email", "account"):
        value = getattr(held, name, None)
        if isinstance(value, str) and "@" in value:
            return value
    return "not stated by the credentials"


def held(session: GcpSession, place: str, permissions: tuple[str, ...]) -> list[str]:
    """Which of `permissions` the principal holds on a project or an organisation, e.g. `projects/larkspur-prod`.

    Raises:
        CollectError: if Google does not say.
    """
    asked = Asked("resourcemanager", "resourcemanager.projects.get", place)
    answer = session.ask(Request(asked, f"v3/{place}:testIamPermissions", json={"permissions": list(permissions)}))
    names = body(answer.response).get("permissions", [])
    if not isinstance(names, list):
        raise Garbage(f"{asked.api.title} answered with permissions that are not a list", hint=FAULT)
    return sorted(str(name) for name in names)


def _read_only(session: GcpSession) -> str:
    could: list[str] = []
    for where in session.config.places:
        try:
            could += [f"{name} on {where.removeprefix('projects/')}" for name in held(session, where, WRITING)]
        except CollectError as error:
            return f"not established: {error.message}"
    if could:
        return f"no: the principal holds {', '.join(could)}"
    places = "project in scope" if session.config.projects else "organization or folder in scope"
    return f"yes: testIamPermissions granted none of {len(WRITING)} writing permissions on any {places}"
