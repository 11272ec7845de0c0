"""Who was let in to single resources: a search of all IAM policies for what lies below projects, from Cloud Asset Inventory.

The policies of projects, folders and the organisation are read by themselves (`gcp.iam_binding`); a bucket, a secret or a
service account may have a policy of its own, and whoever reviews access has to see that too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import reworded
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.feeds.iam import SERVICE_AGENT, is_service_agent
from compliancectl.collectors.gcp.inventory import Inventory, Outside
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, project_column
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import INT, TEXT, Column, Table

SEARCH = "cloudasset.assets.searchAllIamPolicies"
_PLACES = "cloudresourcemanager.googleapis.com/"
_RESULT = "cloudasset.v1#IamPolicySearchResult"

GRANT = Table(
    "gcp.resource_grant",
    "One row per role and member in the IAM policy of a resource below a project: a bucket, a secret, a service account …",
    columns(
        project_column(),
        Column(
            "resource",
            TEXT,
            "The thing that has the policy, as Cloud Asset Inventory names it.",
            f"{_RESULT}:resource",
            required=True,
        ),
        Column("position", INT, "Number of the grant within its policy.", "derived: position", required=True),
        Column("asset_type", TEXT, "Kind of the resource.", f"{_RESULT}:assetType"),
        Column("role", TEXT, "The role that is granted.", f"{_RESULT}:policy.bindings[].role", required=True),
        Column(
            "member",
            TEXT,
            "To whom, as Google writes it; addresses of people outside `staff_domains` are redacted.",
            f"{_RESULT}:policy.bindings[].members[]",
            required=True,
        ),
        SERVICE_AGENT,
        Column(
            "condition",
            TEXT,
            "Under which condition, as an expression.",
            f"{_RESULT}:policy.bindings[].condition.expression",
        ),
    ),
    key=("resource", "position"),
    permissions=(SEARCH,),
    drops=("members outside `staff_domains`: personal data",),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    """The organisation or folders whose projects are in scope, or each project that is named."""
    for name in session.config.projects or session.config.roots:
        yield Target(name, session.endpoint("cloudasset"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    inventory = session.inventory(target.name) if target.name in session.config.roots else None
    where = place(target)
    listing = Listing(
        Asked("cloudasset", SEARCH, where),
        f"v1/{where}:searchAllIamPolicies",
        "results",
        ("pageSize", 500),
        drops=(*_outside(inventory, tally), *_drops(session)),
    )
    for page in pages(session, listing, tally):
        names = {"": target.name} if inventory is None else _names(inventory, page.items)
        yield replace(page.reply, context={"projects": json.dumps(names)})
    done = tally.completeness("IAM policies")
    return done if inventory is None else reworded(done, f"{done.method}; {inventory.words}")


def _outside(inventory: Inventory | None, tally: Tally) -> tuple[Drop, ...]:
    """A search answers about the whole organisation; what is out of scope does not become evidence."""
    return () if inventory is None else (Outside(inventory, tally, "results", lambda one: str(one.get("project", ""))),)


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    policy = "results[].policy"
    outside = people_outside(session.config.staff_domains)
    return (
        Drop(f"{policy}.bindings[].members[]", "personal", outside),
        Drop(f"{policy}.bindings[].condition.title", "free text"),
        Drop(f"{policy}.bindings[].condition.description", "free text"),
        Drop(f"{policy}.auditConfigs", "not needed"),
        Drop("results[].explanation", "not needed"),
    )


def _names(inventory: Inventory, results: list[Any]) -> dict[str, str]:
    """Number → id of the projects of a page."""
    known = inventory.by_number
    numbers = {str(one.get("project", "")).removeprefix("projects/") for one in results}
    return {number: known[number].id for number in sorted(numbers) if number in known}


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    names = json.loads(context["projects"])
    for result in data.get("results", []):
        if str(result["assetType"]).startswith(_PLACES):
            continue  # read by itself
        number = str(result.get("project", "")).removeprefix("projects/")
        grants = [(b, member) for b in dig(result, "policy.bindings") or [] for member in b["members"]]
        for position, (binding, member) in enumerate(grants, 1):
            yield (
                "gcp.resource_grant",
                {
                    "project": names.get(number, names.get("")),
                    "resource": result.get("resource"),
                    "position": position,
                    "asset_type": result["assetType"],
                    "role": binding.get("role"),
                    "member": member,
                    "service_agent": is_service_agent(str(member)),
                    "condition": dig(binding, "condition.expression"),
                },
            )


FEEDS = (
    feed(
        "resource_grants",
        "IAM policies of single resources.",
        (GRANT,),
        _fetch,
        _shape,
        Audited("cloudasset", "google.cloud.asset.v1.AssetService.SearchAllIamPolicies"),
        everywhere=None,
        targets=_targets,
    ),
)
