"""The table of firewall rules, and how each layer's rules are written into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.shaping import columns, project_column, resource_column
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table, struct

_F, _P = "compute.v1#Firewall", "compute.v1#FirewallPolicyRule"
_EVERYWHERE = ["0.0.0.0/0", "::/0"]
_VPC_SOURCES = ("sourceServiceAccounts", "sourceTags")
_POLICY_SOURCES = (
    "srcAddressGroups",
    "srcFqdns",
    "srcNetworkContext",
    "srcNetworkType",
    "srcNetworks",
    "srcRegionCodes",
    "srcSecureTags",
    "srcThreatIntelligences",
)

RULE = Table(
    "gcp.firewall_rule",
    "One row per firewall rule and network, of all layers, the rules that Google itself adds included.",
    columns(
        project_column(),
        resource_column("//compute.googleapis.com/…, with priority and network for rules of policies"),
        Column("name", TEXT, "Name of the rule; for rules of policies: policy and priority.", f"{_F}:name", True),
        Column("layer", TEXT, "vpc, network policy or hierarchical policy.", "derived", required=True),
        Column("policy", TEXT, "The policy that holds the rule.", "compute.v1#FirewallPolicy:name"),
        Column(
            "network", TEXT, "The VPC network it applies to; NULL: the policy is attached to none.", f"{_F}:network"
        ),
        Column("direction", TEXT, "INGRESS or EGRESS.", f"{_F}:direction; {_P}:direction"),
        Column("action", TEXT, "allow, deny, goto_next or apply_security_profile_group.", f"{_F}:allowed; {_P}:action"),
        Column("disabled", BOOL, "The rule is not in force.", f"{_F}:disabled; {_P}:disabled"),
        Column("priority", INT, "Lower numbers win.", f"{_F}:priority; {_P}:priority"),
        Column(
            "source_ranges",
            ListOf(TEXT),
            "Address ranges that traffic may come from; both whole ranges when an ingress rule names no source at all.",
            f"{_F}:sourceRanges; {_P}:match.srcIpRanges",
        ),
        Column(
            "other_sources",
            ListOf(TEXT),
            "Other ways in which the source is named: tags, service accounts, places …",
            f"{_F}:sourceTags …; {_P}:match.src…",
        ),
        Column(
            "allowed",
            ListOf(struct(protocol=TEXT, ports=ListOf(TEXT))),
            "Protocols and ports that the rule speaks about (allowed or denied); no ports: every port.",
            f"{_F}:allowed[]; {_P}:match.layer4Configs[]",
        ),
        Column("logging", BOOL, "Connections that match are logged.", f"{_F}:logConfig.enable; {_P}:enableLogging"),
        Column("description", TEXT, "Why the rule exists.", f"{_F}:description; {_P}:description"),
    ),
    key=("resource",),
    permissions=(
        "compute.firewallPolicies.list",
        "compute.firewalls.list",
        "compute.networks.getEffectiveFirewalls",
        "compute.networks.list",
    ),
)


def vpc_rule(record: Mapping[str, Any], project: str) -> dict[str, Any]:
    """A rule of a VPC network."""
    name = record.get("name")
    speaks = record.get("allowed") or record.get("denied") or []
    return {
        "project": project,
        "resource": f"//compute.googleapis.com/projects/{project}/global/firewalls/{name}",
        "name": name,
        "layer": "vpc",
        "network": _short(record.get("network")),
        "direction": record.get("direction"),
        "action": "allow" if record.get("allowed") else "deny",
        "disabled": record.get("disabled"),
        "priority": record.get("priority"),
        "allowed": _ports(speaks, "IPProtocol"),
        "logging": record.get("logConfig", {}).get("enable"),
        "description": record.get("description"),
        **_sources(record, "sourceRanges", _VPC_SOURCES, record.get("direction")),
    }


def policy_rules(policy: Mapping[str, Any], rules: list[Any], project: str, layer: str, target: str) -> Iterator[Row]:
    """The rules of a policy, as they apply to one network (empty: to none)."""
    name = policy.get("shortName") or policy.get("name")
    place = _short(policy.get("selfLink")) or f"locations/global/firewallPolicies/{policy.get('name')}"
    network = _short(target)
    for rule in rules:
        match = rule.get("match", {})
        suffix = f"#{network}" if network else ""
        yield (
            "gcp.firewall_rule",
            {
                "project": project,
                "resource": f"//compute.googleapis.com/{place}/rules/{rule.get('priority')}{suffix}",
                "name": f"{name}/{rule.get('priority')}",
                "layer": layer,
                "policy": name,
                "network": network,
                "direction": rule.get("direction"),
                "action": rule.get("action"),
                "disabled": rule.get("disabled", False),
                "priority": rule.get("priority"),
                "allowed": _ports(match.get("layer4Configs", []), "ipProtocol"),
                "logging": rule.get("enableLogging", False),
                "description": rule.get("description"),
                **_sources(match, "srcIpRanges", _POLICY_SOURCES, rule.get("direction")),
            },
        )


def _ports(entries: list[Any], protocol: str) -> list[dict[str, Any]]:
    return [{"protocol": entry.get(protocol), "ports": entry.get("ports", [])} for entry in entries]


def _sources(
    holder: Mapping[str, Any], ranges: str, others: tuple[str, ...], direction: str | None
) -> dict[str, list[str]]:
    other = sorted(name for name in others if holder.get(name))
    named = list(holder.get(ranges) or [])
    if direction == "INGRESS" and not named and not other:
        named = list(_EVERYWHERE)
    return {"source_ranges": named, "other_sources": other}


def _short(link: Any) -> str | None:
    """`projects/…` of a self link."""
    if not isinstance(link, str) or not link:
        return None
    _, found, rest = link.partition("/compute/v1/")
    return rest if found else link
