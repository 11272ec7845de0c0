"""Cloud Asset Inventory's history: each asset as it is now, but for the days on which the definition says it was otherwise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.inventory import OLDEST, Entry, Inventory
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State

MOST_NAMES = 100
_FOLLOWED = {
    "cloudsql.googleapis.com": "sqladmin.googleapis.com/Instance",
    "compute.googleapis.com": "compute.googleapis.com/Firewall",
    "storage.googleapis.com": "storage.googleapis.com/Bucket",
}
"""Host in the name of an asset → its type, as far as histories are asked for."""


class History:
    """Answers of cloudasset.batchGetAssetsHistory."""

    def __init__(self, state: State, inventory: Inventory) -> None:
        self.state, self.inventory = state, inventory
        self.answers: dict[str, Callable[[Call], Any]] = {"cloudasset.batchGetAssetsHistory": self.versions}

    def versions(self, call: Call) -> dict[str, Any]:
        """All versions of the named assets in a window."""
        names = call.query.get("assetNames", [])
        start, end = (clock.parse(str(call.first(f"readTimeWindow.{edge}Time"))) for edge in ("start", "end"))
        if not 0 < len(names) <= MOST_NAMES or call.path["kind"] == "folders" or clock.now() - start > OLDEST:
            raise errors.invalid("The sandbox wants names, an organization or project, and a start within 35 days.")
        kinds = sorted({_FOLLOWED[name.split("/")[2]] for name in names})
        known = {entry.name: entry for kind in kinds for entry in self.inventory.of(kind)}
        found = [known[name] for name in names if name in known]
        return {"assets": [one for entry in found for one in self._past(entry, start, end)]}

    def _past(self, entry: Entry, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        told = [one for one in self.state.data.get("asset_history", ()) if one["asset"] == entry.name]
        at = start
        for other in sorted(told, key=lambda one: str(one["since"])):
            since, until = self.state.at(other["since"]), self.state.at(other["until"])
            yield self._version(entry, at, since, {})
            yield self._version(entry, since, until, other["set"])
            at = until
        yield self._version(entry, at, end, {})

    def _version(self, entry: Entry, since: datetime, until: datetime, changes: dict[str, Any]) -> dict[str, Any]:
        asset = copy.deepcopy(self.inventory.asset("RESOURCE", entry))
        for path, value in changes.items():
            *parents, last = path.split(".")
            holder = asset["resource"]["data"]
            for part in parents:
                holder = holder[part]
            holder[last] = value
        return {"window": {"startTime": clock.text(since), "endTime": clock.text(until)}, "asset": asset}
