"""Organisation policies in effect, constraint by constraint, from the Organization Policy API v2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Tally, single
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import columns, dig, project_column, resource_column
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, TEXT, Column, ListOf, Table

_RULE = "orgpolicy.v2#GoogleCloudOrgpolicyV2Policy:spec.rules[]"

POLICY = Table(
    "gcp.org_policy",
    "One row per project and constraint asked for: the policy in effect there, inheritance included.",
    columns(
        project_column(),
        resource_column("//orgpolicy.googleapis.com/projects/P/policies/CONSTRAINT"),
        Column("constraint", TEXT, "The constraint: constraints/sql.restrictPublicIp …", "scope", required=True),
        Column(
            "enforced",
            BOOL,
            "A rule enforces it, or limits it to listed values or to none, and no rule allows everything.",
            f"derived: {_RULE}.enforce, values, denyAll, allowAll",
        ),
        Column("allowed_values", ListOf(TEXT), "Values that are allowed, sorted.", f"{_RULE}.values.allowedValues[]"),
        Column("denied_values", ListOf(TEXT), "Values that are denied, sorted.", f"{_RULE}.values.deniedValues[]"),
        Column("allow_all", BOOL, "A rule allows every value.", f"{_RULE}.allowAll"),
        Column("deny_all", BOOL, "A rule denies every value.", f"{_RULE}.denyAll"),
    ),
    key=("resource",),
    permissions=("orgpolicy.policy.get",),
)


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    asked = Asked("orgpolicy", "orgpolicy.policy.get", f"projects/{target.name}")
    for constraint in sorted(set(session.config.constraints)):
        short = constraint.removeprefix("constraints/")
        request = Request(asked, f"v2/projects/{target.name}/policies/{short}:getEffectivePolicy")
        reply, _ = single(session, request, tally, (), {"project": target.name, "constraint": f"constraints/{short}"})
        tally.items += 1
        yield reply
    return tally.completeness("one policy in effect for each constraint")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    project, constraint = context["project"], context["constraint"]
    rules = dig(data, "spec.rules") if isinstance(dig(data, "spec"), Mapping) else None
    rules = rules if rules is not None or "spec" not in data else []
    yield (
        "gcp.org_policy",
        {
            "project": project,
            "resource": f"//orgpolicy.googleapis.com/projects/{project}/policies/{constraint.removeprefix('constraints/')}",
            "constraint": constraint,
            **({} if rules is None else _said(rules)),
        },
    )


def _said(rules: list[Mapping[str, Any]]) -> dict[str, Any]:
    allow_all = any(rule.get("allowAll") is True for rule in rules)
    deny_all = any(rule.get("denyAll") is True for rule in rules)
    allowed = sorted({v for rule in rules for v in rule.get("values", {}).get("allowedValues", [])})
    denied = sorted({v for rule in rules for v in rule.get("values", {}).get("deniedValues", [])})
    limits = any(rule.get("enforce") is True for rule in rules) or deny_all or bool(allowed or denied)
    return {
        "enforced": limits and not allow_all,
        "allowed_values": allowed,
        "denied_values": denied,
        "allow_all": allow_all,
        "deny_all": deny_all,
    }


FEEDS = (
    feed(
        "org_policies",
        "Organisation policies in effect for each project.",
        (POLICY,),
        _fetch,
        _shape,
        Audited("orgpolicy", "google.cloud.orgpolicy.v2.OrgPolicy.GetEffectivePolicy"),
    ),
)
