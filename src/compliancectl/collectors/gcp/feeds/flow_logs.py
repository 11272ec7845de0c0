"""VPC Flow Logs that are set for whole networks or subnetworks, from the Network Management API v1.

A subnetwork may be recorded by its own setting (`gcp.subnetwork.flow_logs`) or by such a configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.kinds import last, link, percent
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, full_name, project_column, resource_column, row
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.errors import ApiDisabled
from compliancectl.model.table import INT, TEXT, Column, Table

_f = describe("networkmanagement.v1#VpcFlowLogsConfig")

CONFIG = Table(
    "gcp.flow_log_config",
    "One row per configuration of VPC Flow Logs for a network, a subnetwork, a tunnel or an attachment.",
    columns(
        project_column(),
        resource_column("//networkmanagement.googleapis.com/projects/P/locations/global/vpcFlowLogsConfigs/C"),
        Column("name", TEXT, "Name.", "networkmanagement.v1#VpcFlowLogsConfig:name, last part", required=True),
        _f("state", TEXT, "state", "ENABLED or DISABLED."),
        Column("network", TEXT, "Full resource name of the network.", "networkmanagement.v1#VpcFlowLogsConfig:network"),
        Column(
            "subnetwork", TEXT, "Full resource name of the subnetwork.", "networkmanagement.v1#VpcFlowLogsConfig:subnet"
        ),
        Column("sampling", INT, "Share of the traffic that is recorded, in percent.", "flowSampling, x 100"),
    ),
    key=("resource",),
    permissions=("networkmanagement.vpcflowlogsconfigs.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)


def _fetch(session: GcpSession, target: Target) -> Fetched:
    """Where the API is switched off, no configuration can be shown: a subnetwork then needs a setting of its own."""
    tally = Tally()
    listing = Listing(
        Asked("networkmanagement", "networkmanagement.vpcflowlogsconfigs.list", f"projects/{target.name}"),
        f"v1/projects/{target.name}/locations/global/vpcFlowLogsConfigs",
        "vpcFlowLogsConfigs",
        ("pageSize", 500),
        drops=(
            Drop("vpcFlowLogsConfigs[].labels", "label", session.labels),
            Drop("vpcFlowLogsConfigs[].description", "free text"),
        ),
        context={"project": target.name},
    )
    try:
        for page in pages(session, listing, tally):
            yield page.reply
    except ApiDisabled as off:
        if tally.pages:
            raise
        tally.filters.append(f"none can be shown: {off.message}")
        return tally.completeness("configurations of VPC Flow Logs, of which the API is switched off")
    return tally.completeness("configurations of VPC Flow Logs")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("vpcFlowLogsConfigs", []):
        name = record.get("name")
        given = {
            "project": context["project"],
            "resource": full_name("//networkmanagement.googleapis.com/", name),
            "name": last(name),
            "network": link(record.get("network")),
            "subnetwork": link(record.get("subnet")),
            "sampling": percent(record.get("flowSampling")),
        }
        yield "gcp.flow_log_config", row(CONFIG, record, given)


FEEDS = (
    feed(
        "flow_log_configs",
        "VPC Flow Logs that are set for whole networks or subnetworks.",
        (CONFIG,),
        _fetch,
        _shape,
        Audited("networkmanagement", "google.cloud.networkmanagement.v1.VpcFlowLogsService.ListVpcFlowLogsConfigs"),
        everywhere=Everywhere(enabled="networkmanagement.googleapis.com"),
    ),
)
