"""Names: zones with DNSSEC, and policies that log queries. Cloud DNS API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.feed import Audited
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed, link
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.model.table import BOOL, TEXT, Column, ListOf, Table

_z = describe("dns.v1#ManagedZone")
_p = describe("dns.v1#Policy")
_START = "//dns.googleapis.com/projects/"

ZONE = Table(
    "gcp.dns_zone",
    "One row per zone of Cloud DNS.",
    columns(
        project_column(),
        resource_column(f"{_START}P/managedZones/Z"),
        _z("name", TEXT, "name", "Name of the zone.", required=True),
        _z("dns_name", TEXT, "dnsName", "Domain that it answers for."),
        _z("visibility", TEXT, "visibility", "public or private."),
        _z("dnssec", TEXT, "dnssecConfig.state", "on, off or transfer."),
    ),
    key=("resource",),
    permissions=("dns.managedZones.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)

POLICY = Table(
    "gcp.dns_policy",
    "One row per DNS policy of VPC networks.",
    columns(
        project_column(),
        resource_column(f"{_START}P/policies/NAME"),
        _p("name", TEXT, "name", "Name of the policy.", required=True),
        Column(
            "logging", BOOL, "Queries are recorded; false when nothing is set.", "derived: dns.v1 Policy enableLogging"
        ),
        Column("networks", ListOf(TEXT), "Full resource names of its networks.", "dns.v1#Policy:networks[].networkUrl"),
    ),
    key=("resource",),
    permissions=("dns.policies.list",),
)


def _zone(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {"project": project, "resource": full_name(f"{_START}{project}/managedZones/", record.get("name"))}
    yield "gcp.dns_zone", row(ZONE, record, given)


def _policy(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {
        "project": project,
        "resource": full_name(f"{_START}{project}/policies/", record.get("name")),
        "logging": record.get("enableLogging") is True,
        "networks": [link(network.get("networkUrl")) for network in record.get("networks", [])],
    }
    yield "gcp.dns_policy", row(POLICY, record, given)


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("labels", "label", session.labels), Drop("description", "free text"))


FEEDS = (
    kinds_feed(
        "dns",
        "DNS zones and policies.",
        (ZONE, POLICY),
        (
            Kind(
                "dns.googleapis.com/ManagedZone",
                "dns.managedZones.list",
                "dns/v1/projects/{project}/managedZones",
                "managedZones",
                _zone,
                drops=_drops,
            ),
            Kind(
                "dns.googleapis.com/Policy",
                "dns.policies.list",
                "dns/v1/projects/{project}/policies",
                "policies",
                _policy,
                drops=_drops,
            ),
        ),
        Audited("dns", "dns.managedZones.list"),
    ),
)
