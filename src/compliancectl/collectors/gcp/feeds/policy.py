"""Organisation policies in effect, constraint by constraint, from the Organization Policy API v2."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.inventory import LIST, Inventory, Outside
from compliancectl.collectors.gcp.listing import Listing, Tally, pages, single
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import columns, dig, project_column, resource_column, text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, TEXT, Column, ListOf, Table

ANALYZE = "cloudasset.assets.analyzeOrgPolicy"
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


def _constraints(session: GcpSession) -> list[str]:
    return sorted({constraint.removeprefix("constraints/") for constraint in session.config.constraints})


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    for constraint in _constraints(session):
        yield _effective(session, target.name, constraint, tally)
    return tally.completeness("one policy in effect for each constraint")


def _effective(session: GcpSession, project: str, constraint: str, tally: Tally) -> Reply:
    """The policy in effect in one project."""
    asked = Asked("orgpolicy", "orgpolicy.policy.get", f"projects/{project}")
    request = Request(asked, f"v2/projects/{project}/policies/{constraint}:getEffectivePolicy")
    reply, _ = single(session, request, tally, (), {"project": project, "constraint": f"constraints/{constraint}"})
    tally.items += 1
    return reply


def _fetch_all(session: GcpSession, inventory: Inventory) -> Fetched:
    """One list per constraint: the consolidated policy of every project. Projects that it leaves out are asked."""
    tally, root = Tally(), f"organizations/{session.config.organization}"
    known = inventory.by_number
    for constraint in _constraints(session):
        listing = Listing(
            Asked("cloudasset", ANALYZE, root),
            f"v1/{root}:analyzeOrgPolicyGovernedContainers",
            "governedContainers",
            ("pageSize", 200),
            params=(("constraint", f"constraints/{constraint}"),),
            drops=(Outside(inventory, tally, "governedContainers", _place),),
            counted=False,
        )
        told: set[str] = set()
        for page in pages(session, listing, tally):
            numbers = {_place(item).removeprefix("projects/") for item in page.items} & set(known)
            told |= numbers
            names = {number: known[number].id for number in sorted(numbers)}
            context = {"part": "consolidated", "constraint": f"constraints/{constraint}", "projects": json.dumps(names)}
            yield replace(page.reply, context=context)
        silent = sorted(p.id for p in inventory.projects if p.left_out is None and p.number not in told)
        tally.items += len(told)
        for project in silent:
            yield _effective(session, project, constraint, tally)
    done = tally.completeness("consolidated policies, and the policy in effect for projects without one")
    return reworded(done, f"{done.method}; {inventory.words}")


def _place(container: Mapping[str, Any]) -> str:
    """`projects/NUMBER`, or the folder or organisation that a container is."""
    return str(container.get("project") or text(container, "fullResourceName").split("/", 3)[-1])


def _shape_all(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    names = json.loads(context["projects"])
    for container in data.get("governedContainers", []):
        project = names.get(_place(container).removeprefix("projects/"))
        if project is not None:
            rules = {"spec": {"rules": container["consolidatedPolicy"].get("rules", [])}}
            yield from _shape(rules, {"project": project, "constraint": context["constraint"]})


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context.get("part") == "consolidated":
        yield from _shape_all(data, context)
        return
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
        everywhere=Everywhere(fetch=_fetch_all, permissions=(LIST, ANALYZE)),
    ),
)
