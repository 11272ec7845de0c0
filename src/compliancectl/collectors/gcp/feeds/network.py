"""Firewall rules of all layers: VPC rules, network firewall policies, hierarchical policies. Compute Engine API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.feeds.network_rules import RULE, policy_rules, vpc_rule
from compliancectl.collectors.gcp.listing import Listing, Tally, pages, single
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.errors import Garbage

FIREWALL = "compute.googleapis.com/Firewall"


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    base = f"compute/v1/projects/{target.name}"
    for page in pages(
        session, _listing(target.name, f"{base}/global/firewalls", "compute.firewalls.list", "vpc"), tally
    ):
        yield page.reply
    yield from _network_policies(session, target.name, tally)
    networks = []
    listing = _listing(target.name, f"{base}/global/networks", "compute.networks.list", "networks", counted=False)
    for page in pages(session, listing, tally):
        yield page.reply
        networks += [text(network, "name") for network in page.items]
    asked = Asked("compute", "compute.networks.getEffectiveFirewalls", f"projects/{target.name}")
    for network in sorted(networks):
        request = Request(asked, f"{base}/global/networks/{network}/getEffectiveFirewalls")
        context = {"project": target.name, "part": "effective", "network": network}
        reply, data = single(session, request, tally, (), context)
        tally.items += sum(1 for _ in _hierarchical(data, context))
        yield reply
    return tally.completeness("VPC rules, network firewall policies, and hierarchical policies of each network")


def _network_policies(session: GcpSession, project: str, tally: Tally) -> Iterator[Any]:
    """Network firewall policies, global and of every region, in one aggregated list."""
    asked = Asked("compute", "compute.firewallPolicies.list", f"projects/{project}")
    listing = Listing(
        asked,
        f"compute/v1/projects/{project}/aggregated/firewallPolicies",
        "items",
        ("maxResults", 500),
        context={"project": project, "part": "network policy"},
        scoped="firewallPolicies",
    )
    for page in pages(session, listing, tally):
        yield page.reply


def _listing(project: str, path: str, permission: str, part: str, *, counted: bool = True) -> Listing:
    return Listing(
        Asked("compute", permission, f"projects/{project}"),
        path,
        "items",
        ("maxResults", 500),
        context={"project": project, "part": part},
        counted=counted,
    )


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    part, project = context["part"], context["project"]
    if part == "vpc":
        for record in data.get("items", []):
            yield "gcp.firewall_rule", vpc_rule(record, project)
    elif part == "network policy":
        yield from _network(data, project)
    elif part == "effective":
        yield from _hierarchical(data, context)


def _network(data: Mapping[str, Any], project: str) -> Iterator[Row]:
    for _, scope in sorted(data.get("items", {}).items()):
        for policy in scope.get("firewallPolicies", []):
            targets = sorted(str(a.get("attachmentTarget")) for a in policy.get("associations", []))
            for target in targets or [""]:
                yield from policy_rules(policy, policy.get("rules", []), project, "network policy", target)


def _hierarchical(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for policy in data.get("firewallPolicys", []):
        if not isinstance(policy, Mapping):
            raise Garbage("Compute Engine API answered with a firewall policy that is not an object")
        if policy.get("type") == "HIERARCHY":
            network = f"projects/{context['project']}/global/networks/{context['network']}"
            yield from policy_rules(policy, policy.get("rules", []), context["project"], "hierarchical policy", network)


def _shape_assets(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    """Firewalls and policies of one place. A policy of an organisation or folder applies to what it is attached to."""
    place = context["project"]
    for asset in data["assets"]:
        record = asset["resource"]["data"]
        if asset["assetType"] == FIREWALL:
            yield "gcp.firewall_rule", vpc_rule(record, place)
        else:
            layer = "hierarchical policy" if "/" in place else "network policy"
            for target in sorted(str(a.get("attachmentTarget")) for a in record.get("associations", [])) or [""]:
                yield from policy_rules(record, record.get("rules", []), place, layer, target)


FEEDS = (
    feed(
        "firewall_rules",
        "Firewall rules of all layers.",
        (RULE,),
        _fetch,
        _shape,
        Audited("compute", "v1.compute.firewalls.list"),
        everywhere=Everywhere(
            types=(FIREWALL, "compute.googleapis.com/FirewallPolicy"),
            held=("compute.googleapis.com/Network",),
            shape=_shape_assets,
        ),
    ),
)
