"""Perimeters of VPC Service Controls: information and no verdict, from the Access Context Manager API v1.

A perimeter is a strength that nobody asks for. So what keeps it from being read decides nothing either: it is told in a
row of its own, and the collection counts as made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.everywhere import reworded
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, full_name, text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.errors import ApiDisabled, Denied
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table

POLICIES, PERIMETERS = "accesscontextmanager.policies.list", "accesscontextmanager.servicePerimeters.list"
_P = "accesscontextmanager.v1#ServicePerimeter"
_START = "//accesscontextmanager.googleapis.com/"

PERIMETER = Table(
    "gcp.perimeter",
    "One row per perimeter of VPC Service Controls in the organisation.",
    columns(
        Column("project", TEXT, "The organisation, as organizations/N.", "scope", required=True),
        Column("resource", TEXT, f"Full resource name: `{_START}NAME`.", "derived", required=True),
        Column("name", TEXT, "Name of the perimeter, last part.", f"{_P}:name", required=True),
        Column("kind", TEXT, "PERIMETER_TYPE_REGULAR or PERIMETER_TYPE_BRIDGE.", f"{_P}:perimeterType"),
        Column(
            "projects", INT, "How many projects, folders and networks lie in it.", f"{_P}:status.resources[], count"
        ),
        Column("services", ListOf(TEXT), "Services that it restricts, sorted.", f"{_P}:status.restrictedServices[]"),
        Column("enforced", BOOL, "It restricts something; false: it is only tried out.", f"derived: {_P} status"),
    ),
    key=("resource",),
    permissions=(POLICIES, PERIMETERS),
    drops=("title, description, rules for people: free text and names",),
)

SEARCH = Table(
    "gcp.perimeter_search",
    "One row per place whose perimeters were to be read: whether they were.",
    columns(
        Column("project", TEXT, "The project; or folders/F, organizations/N.", "scope", required=True),
        Column("resource", TEXT, "The place: organizations/N, folders/F or projects/P.", "scope", required=True),
        Column("read", BOOL, "Perimeters were read to the end of the list.", "derived", required=True),
        Column("why", TEXT, "Why not.", "the answer of the API, or the scope"),
    ),
    key=("resource",),
    permissions=(POLICIES, PERIMETERS),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    """The organisation, which alone has perimeters; or whatever is in scope, of which that is then said."""
    organization = session.config.organization
    names = (f"organizations/{organization}",) if organization else session.config.projects or session.config.roots
    for name in names:
        yield Target(name, session.endpoint("accesscontextmanager"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally, where, why = Tally(), place(target), None
    if where.startswith("organizations/"):
        try:
            yield from _perimeters(session, where, tally)
        except (Denied, ApiDisabled) as refusal:
            why = refusal.message
    else:
        why = "the scope names no organization"
    now = clock.now()
    yield Reply(
        body=canonical.to_bytes({"read": why is None, "why": why}),
        operation="what came of it",
        requested_at=now,
        completed_at=now,
        status="told",
        context={"project": target.name, "place": where, "part": "search"},
    )
    done = tally.completeness("perimeters")
    return done if why is None else reworded(done, f"perimeters decide nothing, and could not be read: {why}")


def _perimeters(session: GcpSession, where: str, tally: Tally) -> Iterator[Reply]:
    policies = Listing(
        Asked("accesscontextmanager", POLICIES, where),
        "v1/accessPolicies",
        "accessPolicies",
        ("pageSize", 100),
        params=(("parent", where),),
        drops=(Drop("accessPolicies[].title", "free text"),),
        context={"part": "policies"},
        counted=False,
    )
    names = []
    for page in pages(session, policies, tally):
        yield page.reply
        names += [text(policy, "name") for policy in page.items]
    for name in sorted(names):
        listing = Listing(
            Asked("accesscontextmanager", PERIMETERS, where),
            f"v1/{name}/servicePerimeters",
            "servicePerimeters",
            ("pageSize", 100),
            drops=(
                *(Drop(f"servicePerimeters[].{field}", "free text") for field in ("title", "description", "spec")),
                *(
                    Drop(f"servicePerimeters[].status.{field}", "not needed")
                    for field in ("accessLevels", "ingressPolicies", "egressPolicies")
                ),
            ),
            context={"project": where, "part": "perimeters"},
        )
        for page in pages(session, listing, tally):
            yield page.reply


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] == "search":
        about = {"project": context["project"], "resource": context["place"]}
        yield "gcp.perimeter_search", {**about, "read": data["read"], "why": data["why"]}
    for record in data.get("servicePerimeters", []) if context["part"] == "perimeters" else ():
        services = sorted(dig(record, "status.restrictedServices") or [])
        yield (
            "gcp.perimeter",
            {
                "project": context["project"],
                "resource": full_name(_START, record.get("name")),
                "name": text(record, "name").rpartition("/")[2],
                "kind": record.get("perimeterType", "PERIMETER_TYPE_REGULAR"),
                "projects": len(dig(record, "status.resources") or []),
                "services": services,
                "enforced": bool(services),
            },
        )


FEEDS = (
    feed(
        "perimeters",
        "Perimeters of VPC Service Controls.",
        (PERIMETER, SEARCH),
        _fetch,
        _shape,
        Audited(
            "accesscontextmanager", "google.identity.accesscontextmanager.v1.AccessContextManager.ListServicePerimeters"
        ),
        everywhere=None,
        targets=_targets,
    ),
)
