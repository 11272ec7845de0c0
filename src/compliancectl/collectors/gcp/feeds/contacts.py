"""Essential contacts: whom Google tells of security and technical incidents, from the Essential Contacts API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table

LIST = "essentialcontacts.contacts.list"
_c = describe("essentialcontacts.v1#GoogleCloudEssentialcontactsV1Contact")

CONTACT = Table(
    "gcp.essential_contact",
    "One row per contact that an organisation, folder or project has registered.",
    columns(
        project_column(),
        resource_column("//essentialcontacts.googleapis.com/organizations/N/contacts/C"),
        Column("place", TEXT, "organizations/N, folders/F or projects/P.", "scope", required=True),
        _c(
            "email",
            TEXT,
            "email",
            "Address that is written to; `(redacted)` outside the staff's domains.",
            required=True,
        ),
        Column(
            "categories",
            ListOf(TEXT),
            "What it is told of, sorted: ALL, SECURITY, TECHNICAL …",
            "essentialcontacts.v1#GoogleCloudEssentialcontactsV1Contact:notificationCategorySubscriptions[]",
        ),
        _c("validation", TEXT, "validationState", "VALID, or INVALID when messages came back."),
    ),
    key=("resource",),
    permissions=(LIST,),
    drops=("email of other domains than `staff_domains`: personal data",),
)

PLACE = Table(
    "gcp.contact_place",
    "One row per place whose contacts were listed, also when it has none.",
    columns(
        project_column(),
        Column("resource", TEXT, "The place: organizations/N, folders/F or projects/P.", "scope", required=True),
        Column("listed", BOOL, "The list was read to its end.", "derived: the last page had no page token", True),
        Column("contacts", INT, "How many contacts it has.", "derived: count", required=True),
    ),
    key=("resource",),
    permissions=(LIST,),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    """The organisation if the scope names it, else each folder or project."""
    organization = session.config.organization
    for place in (f"organizations/{organization}",) if organization else session.config.places:
        yield Target(place, session.endpoint("essentialcontacts"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally, before = Tally(), 0
    listing = Listing(
        Asked("essentialcontacts", LIST, target.name),
        f"v1/{target.name}/contacts",
        "contacts",
        ("pageSize", 100),
        drops=(Drop("contacts[].email", "personal", people_outside(session.config.staff_domains)),),
    )
    for page in pages(session, listing, tally):
        yield replace(page.reply, context={"place": target.name, "before": str(before)})
        before = tally.items
    return tally.completeness("contacts")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    place, found = context["place"], data.get("contacts", [])
    for record in found:
        yield (
            "gcp.essential_contact",
            row(
                CONTACT,
                record,
                {
                    "project": place.removeprefix("projects/"),
                    "resource": full_name("//essentialcontacts.googleapis.com/", record.get("name")),
                    "place": place,
                    "categories": sorted(str(name) for name in record.get("notificationCategorySubscriptions", [])),
                },
            ),
        )
    if not data.get("nextPageToken"):
        count = int(context["before"]) + len(found)
        about = {"project": place.removeprefix("projects/"), "resource": place, "listed": True, "contacts": count}
        yield "gcp.contact_place", about


FEEDS = (
    feed(
        "essential_contacts",
        "Whom Google tells of incidents.",
        (CONTACT, PLACE),
        _fetch,
        _shape,
        Audited("essentialcontacts", "google.cloud.essentialcontacts.v1.EssentialContactsService.ListContacts"),
        everywhere=None,
        targets=_targets,
    ),
)
