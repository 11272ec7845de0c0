"""Regions: some APIs list what they hold region by region, so the regions are asked for first."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from compliancectl.collectors.base import Reply
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import text
from compliancectl.collectors.gcp.verdict import Asked


def locations(
    session: GcpSession, service: str, permission: str, project: str, tally: Tally
) -> Generator[Reply, None, list[str]]:
    """Yield the replies that name the regions of a service; return the regions, sorted."""
    listing = Listing(
        Asked(service, permission, f"projects/{project}"),
        f"v1/projects/{project}/locations",
        "locations",
        ("pageSize", 100),
        context={"project": project, "part": "locations"},
        counted=False,
    )
    found = []
    for page in pages(session, listing, tally):
        yield page.reply
        found += [text(place, "locationId") for place in page.items]
    return sorted(found)


def regions(assets: list[Any]) -> list[str]:
    """The regions in the names of assets, sorted: `//run.googleapis.com/projects/P/locations/L/services/S`.

    Raises:
        ValueError: if a name has none.
    """
    found = set()
    for asset in assets:
        _, named, rest = text(asset, "name").partition("/locations/")
        if not named:
            raise ValueError(f"{asset['name']} names no location")
        found.add(rest.partition("/")[0])
    return sorted(found)
