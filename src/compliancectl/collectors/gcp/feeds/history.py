"""How assets were configured between captures: their versions of the last five weeks, from Cloud Asset API v1.

A capture shows one instant. Cloud Asset Inventory keeps every version of an asset for 35 days, so a few decisive settings of a
few kinds are followed from one capture to the next. Google gives versions of named assets only: the names are those that
there are now, and those that there were five weeks ago; what came and went in between is not seen. Of kinds with more assets
than the scope allows (`history_assets`) none is followed, and the evidence says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.calls import batches
from compliancectl.collectors.gcp.everywhere import reworded
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.feeds.network_rules import vpc_rule
from compliancectl.collectors.gcp.inventory import LIST, Inventory, asset_pages, assets, by_place
from compliancectl.collectors.gcp.listing import Tally, single
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import columns, dig, instant, text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.evidence import Window
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct

EXPORT = "cloudasset.assets.exportResource"
KEPT = timedelta(days=35) - timedelta(hours=2)
"""How far back versions are asked for: what Google keeps, less the time that a long run may take."""
BATCH = 50
"""Names in one request: Google takes 100, but long names make long addresses."""
_T = "cloudasset.v1#TemporalAsset"

VERSION = Table(
    "gcp.asset_version",
    "One row per version of an asset that is followed, in the last five weeks: what its decisive settings were, and when.",
    columns(
        Column("project", TEXT, "The project; or folders/F, organizations/N.", "cloudasset.v1#Asset:ancestors[]", True),
        Column("resource", TEXT, "The asset, as Cloud Asset Inventory names it.", f"{_T}:asset.name", required=True),
        Column("position", INT, "Number of the version, the oldest first.", "derived: position", required=True),
        Column("kind", TEXT, "Type of the asset.", f"{_T}:asset.assetType", required=True),
        Column("since", TIME, "When it began to be so.", f"{_T}:window.startTime", required=True),
        Column("until", TIME, "When it ended to be so; NULL: it is so still.", f"{_T}:window.endTime"),
        Column("deleted", BOOL, "The asset was not there.", f"{_T}:deleted", required=True),
        Column(
            "settings",
            ListOf(struct(name=TEXT, value=TEXT)),
            "Its decisive settings, sorted by name; a value is NULL when it was not said.",
            f"{_T}:asset.resource.data",
        ),
    ),
    key=("resource", "position"),
    permissions=(EXPORT, LIST),
    drops=("everything of an asset but its decisive settings: not needed",),
)

HISTORY = Table(
    "gcp.asset_history",
    "One row per place and kind of asset: whether the versions of its assets were read, and from when on.",
    columns(
        Column("project", TEXT, "The project, folder or organisation that was asked.", "scope", required=True),
        Column("resource", TEXT, "`PLACE KIND`.", "scope", required=True),
        Column("kind", TEXT, "Type of the assets.", "declared", required=True),
        Column(
            "assets", INT, "How many there are, or were five weeks ago, as far as they were counted.", "count", True
        ),
        Column(
            "read", BOOL, "Versions were read; false: there are more assets than the scope allows.", "derived", True
        ),
        Column("reaches", TIME, "From when on versions were asked for.", "derived", required=True),
        Column(
            "silent",
            ListOf(TEXT),
            "Assets of which no version was given, sorted; `PROJECT NAME`.",
            "derived",
            required=True,
        ),
    ),
    key=("resource",),
    permissions=(EXPORT, LIST),
)


# -- what is followed -------------------------------------------------------------------------------------------------


def _sql(data: Any) -> Any:
    ip = dig(data, "settings.ipConfiguration")
    if not isinstance(ip, Mapping):
        return {}
    kept = {name: ip[name] for name in ("ipv4Enabled", "sslMode", "requireSsl") if name in ip}
    return {
        "settings": {"ipConfiguration": {**kept, "authorizedNetworks": [{} for _ in ip.get("authorizedNetworks", [])]}}
    }


def _bucket(data: Any) -> Any:
    config = dig(data, "iamConfiguration")
    if not isinstance(config, Mapping):
        return {}
    names = ("publicAccessPrevention", "uniformBucketLevelAccess")
    return {"iamConfiguration": {name: config[name] for name in names if name in config}}


def _firewall(data: Any) -> Any:
    names = ("name", "direction", "disabled", "allowed", "sourceRanges", "sourceTags", "sourceServiceAccounts")
    return {name: data[name] for name in names if isinstance(data, Mapping) and name in data}


def _sql_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    ip = dig(data, "settings.ipConfiguration")
    if not isinstance(ip, Mapping):
        return dict.fromkeys(("authorizedNetworks", "ipv4Enabled", "sslMode"))
    mode = ip.get("sslMode")
    unsaid = mode == "SSL_MODE_UNSPECIFIED" and ip.get("requireSsl") is True
    return {
        "authorizedNetworks": len(ip.get("authorizedNetworks", [])),
        "ipv4Enabled": ip.get("ipv4Enabled"),
        "sslMode": f"{mode}+requireSsl" if unsaid else mode,
    }


def _bucket_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "publicAccessPrevention": dig(data, "iamConfiguration.publicAccessPrevention"),
        "uniformBucketLevelAccess": dig(data, "iamConfiguration.uniformBucketLevelAccess.enabled"),
    }


def _firewall_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    rule = vpc_rule(data, "")
    if rule["direction"] is None or rule["disabled"] is None:
        return {"portsOpenToAll": None}
    wide = {"0.0.0.0/0", "::/0"} & set(rule["source_ranges"])
    if rule["disabled"] or rule["direction"] != "INGRESS" or rule["action"] != "allow" or not wide:
        return {"portsOpenToAll": "none"}
    ports = {port for one in rule["allowed"] for port in one["ports"] or ["all"]}
    return {"portsOpenToAll": ",".join(sorted(ports))}


KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "sqladmin.googleapis.com/Instance": (_sql, _sql_settings),
    "storage.googleapis.com/Bucket": (_bucket, _bucket_settings),
    "compute.googleapis.com/Firewall": (_firewall, _firewall_settings),
}
"""Kind of asset → what is kept of it, and its decisive settings."""


def _only_needed(version: Any) -> Any:
    """A version with nothing of the asset but its name, its place and what is followed."""
    asset = version.get("asset") if isinstance(version, Mapping) else None
    if not isinstance(asset, Mapping):
        return version
    kept = {name: asset[name] for name in ("name", "assetType", "updateTime", "ancestors") if name in asset}
    data, kind = dig(asset, "resource.data"), KINDS.get(str(asset.get("assetType")))
    if data is not None and kind is not None:
        kept["resource"] = {"data": kind[0](data)}
    return {**{name: version[name] for name in ("window", "deleted") if name in version}, "asset": kept}


# -- reading ----------------------------------------------------------------------------------------------------------


def _window(session: GcpSession) -> Window:
    end = session.context.as_of
    return Window(start=end - KEPT, end=end)


def _targets(session: GcpSession) -> Iterator[Target]:
    for name in session.config.projects or session.config.roots:
        yield Target(name, session.endpoint("cloudasset"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally = Tally(filters=[f"asset types {', '.join(KINDS)}"])
    inventory = session.inventory(target.name) if target.name in session.config.roots else None
    if inventory is not None and inventory.refused is not None:
        raise inventory.refused
    for kind in KINDS:
        names = yield from _names(session, target, inventory, kind, tally)
        allowed = len(names) <= session.config.history_assets
        given: set[str] = set()
        for parent, some in _parents(session, target, names).items() if allowed else ():
            for batch in batches(sorted(some), BATCH):
                reply, found = _versions(session, parent, batch, tally)
                yield replace(reply, context={"part": "versions", "projects": json.dumps({n: names[n] for n in batch})})
                given |= found
        silent = sorted(f"{names[name]} {name}" for name in names.keys() - given) if allowed else []
        yield _told(session, target, kind, {"assets": len(names), "read": allowed, "silent": silent})
    done = tally.completeness("versions of assets")
    method = f"{done.method}; every version of the assets that there are, and were {KEPT.days} days ago"
    return reworded(done, f"{method}; {inventory.words}" if inventory is not None else method)


def _names(
    session: GcpSession, target: Target, inventory: Inventory | None, kind: str, tally: Tally
) -> Generator[Reply, None, dict[str, str]]:
    """Names of the assets of a kind → project, now and five weeks ago; not many more than the scope allows."""
    found: dict[str, str] = {}
    for at in (None, _window(session).start):
        how: dict[str, Any] = {"content": None, "counted": False, "at": at}
        pages = (
            asset_pages(session, place(target), (kind,), tally, **how)
            if inventory is None
            else assets(session, inventory, (kind,), tally, {}, **how)
        )
        for page in pages:
            yield replace(page.reply, context={"part": "names"})
            known = {"projects": page.reply.context.get("projects", "{}")}
            where = by_place({"assets": page.items}, known) if inventory is not None else {target.name: page.items}
            found |= {text(asset, "name"): name for name, some in where.items() for asset in some}
            if len(found) > session.config.history_assets:
                return found
    return found


def _parents(session: GcpSession, target: Target, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Whom to ask about which assets: the organisation, or each project itself, since folders are not asked."""
    if target.name.startswith("organizations/"):
        return {target.name: list(names)} if names else {}
    found: dict[str, list[str]] = {}
    for name, project in names.items():
        found.setdefault(f"projects/{project}", []).append(name)
    return dict(sorted(found.items()))


def _versions(session: GcpSession, parent: str, names: list[str], tally: Tally) -> tuple[Reply, set[str]]:
    """The versions of some assets; and the assets of which there is any."""
    window = _window(session)
    request = Request(
        Asked("cloudasset", EXPORT, parent),
        f"v1/{parent}:batchGetAssetsHistory",
        params=(
            *(("assetNames", name) for name in names),
            ("contentType", "RESOURCE"),
            ("readTimeWindow.startTime", clock.text(window.start)),
            ("readTimeWindow.endTime", clock.text(window.end)),
        ),
    )
    reply, data = single(session, request, tally, (Drop("assets[]", "not needed", _only_needed),), {})
    tally.items += len(data.get("assets", []))
    return reply, {text(version["asset"], "name") for version in data.get("assets", [])}


def _told(session: GcpSession, target: Target, kind: str, said: Mapping[str, Any]) -> Reply:
    now = clock.now()
    return Reply(
        body=canonical.to_bytes({**said, "kind": kind, "reaches": clock.text(_window(session).start)}),
        operation=f"what came of the history of {kind}",
        requested_at=now,
        completed_at=now,
        status="told",
        context={"project": target.name, "part": "history"},
    )


# -- rows -------------------------------------------------------------------------------------------------------------


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] == "history":
        name = context["project"]
        about = {"project": name, "resource": f"{name if '/' in name else f'projects/{name}'} {data['kind']}"}
        values = {key: data[key] for key in ("kind", "assets", "read", "silent")}
        yield "gcp.asset_history", {**about, **values, "reaches": instant(data["reaches"])}
    elif context["part"] == "versions":
        yield from _shape_versions(data, json.loads(context["projects"]))


def _shape_versions(data: Mapping[str, Any], projects: Mapping[str, str]) -> Iterator[Row]:
    by_name: dict[str, list[tuple[Any, Mapping[str, Any]]]] = {}
    for version in data.get("assets", []):
        since = instant(dig(version, "window.startTime"))
        if not isinstance(since, datetime):
            raise ValueError(f"a version began at {since!r}")
        by_name.setdefault(text(version["asset"], "name"), []).append((since, version))
    for name, versions in sorted(by_name.items()):
        for position, (since, version) in enumerate(sorted(versions, key=lambda one: one[0]), 1):
            asset, deleted = version["asset"], version.get("deleted") is True
            settings = {} if deleted else KINDS[asset["assetType"]][1](dig(asset, "resource.data") or {})
            yield (
                "gcp.asset_version",
                {
                    "project": projects[name],
                    "resource": name,
                    "position": position,
                    "kind": asset["assetType"],
                    "since": since,
                    "until": instant(dig(version, "window.endTime")),
                    "deleted": deleted,
                    "settings": [{"name": key, "value": _value(value)} for key, value in sorted(settings.items())],
                },
            )


def _value(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


FEEDS = (
    feed(
        "asset_history",
        "How assets were configured between captures.",
        (VERSION, HISTORY),
        _fetch,
        _shape,
        Audited("cloudasset", "google.cloud.asset.v1.AssetService.BatchGetAssetsHistory"),
        everywhere=None,
        targets=_targets,
        window=_window,
    ),
)
