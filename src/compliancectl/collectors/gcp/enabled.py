"""What Service Usage says of an API that answered that it is switched off.

Switched off is neither denied nor empty: what was made before may still be there and cannot be read. So a refusal of that
kind stays a refusal, and carries the word of a second witness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compliancectl.collectors.gcp.services import SERVICES
from compliancectl.collectors.gcp.verdict import FAULT, Asked, body
from compliancectl.errors import ApiDisabled, CollectError, Garbage

if TYPE_CHECKING:
    from compliancectl.collectors.gcp.session import GcpSession

LIST = "serviceusage.services.list"


def confirmed(session: GcpSession, asked: Asked, refusal: ApiDisabled) -> ApiDisabled:
    """The same refusal with what Service Usage says about it."""
    if asked.service == "serviceusage" or not asked.where.startswith("projects/"):
        return refusal
    host = SERVICES[asked.service].host
    known = session.enabled_apis(asked.where)
    if isinstance(known, CollectError):
        said = f"Service Usage could not be asked about it ({known.message})"
    elif host in known:
        said = "Service Usage says that it is enabled by now"
    else:
        said = f"Service Usage confirms it: {host} is not among the {len(known)} APIs that are enabled there"
    return ApiDisabled(f"{refusal.message.rstrip('.')}; {said}", hint=refusal.hint)


def read(session: GcpSession, where: str) -> frozenset[str]:
    """The APIs that are enabled in a project.

    Raises:
        CollectError: if Service Usage does not say.
    """
    from compliancectl.collectors.gcp.session import Request

    asked, token, found = Asked("serviceusage", LIST, where), "", set[str]()
    while True:
        params = (("filter", "state:ENABLED"), ("pageSize", "200"), *((("pageToken", token),) if token else ()))
        data = body(session.ask(Request(asked, f"v1/{where}/services", params)).response)
        services = data.get("services", [])
        if not isinstance(services, list):
            raise Garbage(f"{asked.api.title} answered with services that are not a list", hint=FAULT)
        found |= {str(service.get("name")).rpartition("/")[2] for service in services if isinstance(service, dict)}
        before, token = token, str(data.get("nextPageToken") or "")
        if not token or token == before:
            return frozenset(found)
