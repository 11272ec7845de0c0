"""Public access: a search of all IAM policies for everyone and all signed-in users, from Cloud Asset Inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, project_column, resource_column
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, INT, TEXT, Column, Table

PUBLIC = ("allUsers", "allAuthenticatedUsers")
QUERY = "memberTypes:(allUsers OR allAuthenticatedUsers)"
_RESULT = "cloudasset.v1#IamPolicySearchResult"

BINDING = Table(
    "gcp.public_binding",
    "One row per resource, role and public member: allUsers or allAuthenticatedUsers.",
    columns(
        project_column(),
        resource_column("as Cloud Asset Inventory names the thing that is public"),
        Column("asset_type", TEXT, "Kind of the resource.", f"{_RESULT}:assetType"),
        Column("role", TEXT, "The role that is granted.", f"{_RESULT}:policy.bindings[].role", required=True),
        Column("member", TEXT, "allUsers or allAuthenticatedUsers.", f"{_RESULT}:policy.bindings[].members[]", True),
        Column(
            "condition", TEXT, "Condition of the binding, as an expression.", f"{_RESULT}:policy.bindings[].condition"
        ),
    ),
    key=("resource", "role", "member", "condition"),
    permissions=("cloudasset.assets.searchAllIamPolicies",),
    drops=("members other than allUsers and allAuthenticatedUsers: personal data",),
)

SCOPE = Table(
    "gcp.iam_search_scope",
    "One row per place whose IAM policies were searched for public members, also when none was found.",
    columns(
        project_column(),
        Column("resource", TEXT, "The place: organizations/N or projects/P.", "scope", required=True),
        Column("scope", TEXT, "The same place.", "scope", required=True),
        Column("searched", BOOL, "The search was read to its end.", "derived: the last page had no page token", True),
        Column("results", INT, "How many policies with a public member were found.", "derived: count", required=True),
    ),
    key=("resource",),
    permissions=("cloudasset.assets.searchAllIamPolicies",),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    """The organisation if the scope names it, else each folder or project."""
    organization = session.config.organization
    places = (f"organizations/{organization}",) if organization else session.config.places
    for place in places:
        yield Target(place, session.endpoint("cloudasset"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[QUERY])
    listing = Listing(
        Asked("cloudasset", "cloudasset.assets.searchAllIamPolicies", target.name),
        f"v1/{target.name}:searchAllIamPolicies",
        "results",
        ("pageSize", 500),
        params=(("query", QUERY),),
        drops=(
            Drop("results[].policy.bindings[].members[]", "personal", _member),
            Drop("results[].explanation", "personal"),
        ),
        context={"scope": target.name},
    )
    before = 0
    for page in pages(session, listing, tally):
        yield replace(page.reply, context={"scope": target.name, "before": str(before)})
        before = tally.items
    return tally.completeness("IAM policies with public members")


def _member(value: Any) -> Any:
    if value in PUBLIC:
        return value
    return f"{str(value).partition(':')[0]}:(redacted)"


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    results = data.get("results", [])
    for result in results:
        for binding in result["policy"]["bindings"]:  # without them the search would not have found it
            for member in binding["members"]:
                if member in PUBLIC:
                    yield "gcp.public_binding", _row(result, binding, member, context["scope"])
    if not data.get("nextPageToken"):
        place = context["scope"]
        yield (
            "gcp.iam_search_scope",
            {
                "project": place,
                "resource": place,
                "scope": place,
                "searched": True,
                "results": int(context["before"]) + len(results),
            },
        )


def _row(result: Mapping[str, Any], binding: Mapping[str, Any], member: str, scope: str) -> dict[str, Any]:
    return {
        "project": result.get("project", scope),
        "resource": result.get("resource"),
        "asset_type": result.get("assetType"),
        "role": binding.get("role"),
        "member": member,
        "condition": binding.get("condition", {}).get("expression"),
    }


FEEDS = (
    feed(
        "public_bindings",
        "IAM policies that grant access to everyone.",
        (BINDING, SCOPE),
        _fetch,
        _shape,
        Audited("cloudasset", "google.cloud.asset.v1.AssetService.SearchAllIamPolicies"),
        everywhere=None,
        targets=_targets,
    ),
)
