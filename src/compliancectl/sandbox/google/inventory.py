"""Cloud Asset Inventory and Resource Manager: what lies where below the organisation, as the other APIs hold it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, overload

from compliancectl import clock
from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.cloud import Cloud, redis_instance
from compliancectl.sandbox.google.network import firewall, hierarchical_policy, network, network_policy
from compliancectl.sandbox.google.resources import SPECS, Resources
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.sql import CloudSql
from compliancectl.sandbox.google.state import State
from compliancectl.sandbox.google.supply import repository

OLDEST = timedelta(days=35)
_POLICY_ONLY = ("Folder", "Organization")
_SCHEMAS = {
    "artifactregistry.googleapis.com/Repository": ("artifactregistry", "v1", "Repository"),
    "cloudresourcemanager.googleapis.com/Folder": ("cloudresourcemanager", "v3", "Folder"),
    "cloudresourcemanager.googleapis.com/Organization": ("cloudresourcemanager", "v3", "Organization"),
    "cloudresourcemanager.googleapis.com/Project": ("cloudresourcemanager", "v3", "Project"),
    "compute.googleapis.com/Firewall": ("compute", "v1", "Firewall"),
    "compute.googleapis.com/FirewallPolicy": ("compute", "v1", "FirewallPolicy"),
    "compute.googleapis.com/Network": ("compute", "v1", "Network"),
    "logging.googleapis.com/LogBucket": ("logging", "v2", "LogBucket"),
    "logging.googleapis.com/LogSink": ("logging", "v2", "LogSink"),
    "logging.googleapis.com/LogMetric": ("logging", "v2", "LogMetric"),
    "redis.googleapis.com/Instance": ("redis", "v1", "Instance"),
    "run.googleapis.com/Job": ("run", "v1", "Job"),
    "run.googleapis.com/Service": ("run", "v1", "Service"),
    "serviceusage.googleapis.com/Service": ("serviceusage", "v1", "GoogleApiServiceusageV1Service"),
    "sqladmin.googleapis.com/Instance": ("sqladmin", "v1", "DatabaseInstance"),
    "storage.googleapis.com/Bucket": ("storage", "v1", "Bucket"),
}
"""Asset type → API, version and message of its content."""
_SCHEMAS |= {spec.asset: spec.schema for spec in SPECS if spec.asset}


@dataclass(frozen=True)
class Entry:
    """One asset: its type and name, what it lies in, and how its content is made."""

    kind: str
    name: str
    ancestors: tuple[str, ...]
    data: Callable[[], dict[str, Any]]


class Pages(Sequence[dict[str, Any]]):
    """A list whose elements are made when they are asked for: one page of many."""

    def __init__(self, entries: list[Entry], make: Callable[[Entry], dict[str, Any]]) -> None:
        self._entries, self._make = entries, make

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self._make(entry) for entry in self._entries[index]]
        return self._make(self._entries[index])


class Inventory:
    """Answers about the whole organisation."""

    def __init__(self, state: State, sql: CloudSql, cloud: Cloud, resources: Resources) -> None:
        self.state, self.sql, self.cloud, self.resources = state, sql, cloud, resources
        self.answers: dict[str, Callable[[Call], Any]] = {
            "cloudasset.assets.list": self.assets,
            "cloudasset.searchAllResources": self.search,
            "cloudasset.analyzeOrgPolicyGovernedContainers": self.containers,
            "cloudresourcemanager.projects.get": self.project,
            "cloudresourcemanager.projects.list": self.projects,
            "cloudresourcemanager.folders.list": self.folders,
        }

    # -- Resource Manager ---------------------------------------------------------------------------------------------

    def project(self, call: Call) -> dict[str, Any]:
        """projects.get."""
        return self._project(call.path["project"])

    def _project(self, name: str) -> dict[str, Any]:
        it = self.state.project(name)
        return {
            "name": f"projects/{it['number']}",
            "projectId": name,
            "displayName": name[:30],
            "parent": self.state.ancestors(f"projects/{name}")[1],
            "state": it.get("state", "ACTIVE"),
            "createTime": it.get("created", "2024-02-01T09:00:00Z"),
            "labels": it.get("labels", {}),
        }

    def projects(self, call: Call) -> dict[str, Any]:
        """projects.list: the direct children of a folder or organisation that are not being deleted."""
        every = [self._project(name) for name in sorted(self.state.projects)]
        return {"projects": [p for p in every if p["parent"] == call.first("parent") and p["state"] == "ACTIVE"]}

    def folders(self, call: Call) -> dict[str, Any]:
        """folders.list: the direct children of a folder or organisation."""
        return {
            "folders": [
                {"name": f"folders/{number}", "parent": self._parent(it), "displayName": it["name"], "state": "ACTIVE"}
                for number, it in sorted(self.state.data.get("folders", {}).items())
                if self._parent(it) == call.first("parent")
            ]
        }

    def _parent(self, it: dict[str, Any]) -> str:
        folder = it.get("folder")
        return f"folders/{folder}" if folder else f"organizations/{self.state.data['organization']}"

    # -- organisation policies ----------------------------------------------------------------------------------------

    def containers(self, call: Call) -> dict[str, Any]:
        """analyzeOrgPolicyGovernedContainers: the organisation, folders and projects with the consolidated policy."""
        root = f"organizations/{call.path['name']}"
        constraint = str(call.first("constraint")).removeprefix("constraints/")
        rule = self.state.data["org_policies"].get(constraint)
        if rule is None:
            raise errors.error(404, f"Constraint constraints/{constraint} does not exist.", "notFound")
        rules = [{"values": {"allowedValues": rule["allowed"]}} if "allowed" in rule else rule]
        found = []
        for name, it in sorted(self.state.projects.items()):
            if it.get("without_consolidated_policy"):
                continue
            place = f"//cloudresourcemanager.googleapis.com/projects/{it['number']}"
            found.append(
                {
                    "fullResourceName": place,
                    "parent": f"//cloudresourcemanager.googleapis.com/{self.state.ancestors(f'projects/{name}')[1]}",
                    "project": f"projects/{it['number']}",
                    "organization": root,
                    "consolidatedPolicy": {"appliedResource": place, "rules": rules},
                }
            )
        return {"governedContainers": found}

    # -- assets -------------------------------------------------------------------------------------------------------

    def assets(self, call: Call) -> dict[str, Any]:
        """assets.list, by full type names, as of a time of the last 35 days."""
        read = self._read_time(call)
        root = f"{call.path['kind']}/{call.path['name']}"
        kinds = {kind for pattern in call.query.get("assetTypes", [".*"]) for kind in _types(pattern)}
        content = call.first("contentType")
        if content == "IAM_POLICY" and self.state.is_denied("cloudasset.assets.listIamPolicy", root):
            raise errors.permission_denied(
                "cloudasset.googleapis.com", "cloudasset.assets.listIamPolicy", root, call.token.email
            )
        entries = [
            entry
            for kind in sorted(kinds)
            for entry in self.of(kind)
            if self.state.ancestors(root)[0] in entry.ancestors
        ]
        return {"readTime": read, "assets": Pages(entries, partial(self.asset, content))}

    def search(self, call: Call) -> dict[str, Any]:
        """searchAllResources, by full type names; a type of which the company has none finds nothing."""
        root = f"{call.path['kind']}/{call.path['name']}"
        above = self.state.ancestors(root)[0]
        kinds = sorted(set(call.query.get("assetTypes", [])) & set(_SCHEMAS))
        found = [entry for kind in kinds for entry in self.of(kind) if above in entry.ancestors]
        found += self._elsewhere(above, set(call.query.get("assetTypes", [])))
        return {"results": Pages(found, self._result)}

    def _elsewhere(self, above: str, kinds: set[str]) -> list[Entry]:
        """What only a search finds: kinds of which nothing but name and place is ever asked."""
        found = []
        for project, it in sorted(self.state.projects.items()):
            ancestors = self.state.ancestors(f"projects/{project}")
            for name, one in sorted(it.get("data_assets", {}).items()):
                full = f"//{one['type'].partition('/')[0]}/projects/{project}/{name}"
                if above in ancestors and one["type"] in kinds:
                    found.append(Entry(one["type"], full, ancestors, partial(dict, location=one["location"])))
        return found

    def _result(self, entry: Entry) -> dict[str, Any]:
        data = entry.data()
        placed = re.search(r"/locations/([^/]+)/", entry.name)
        record = {
            "name": entry.name,
            "assetType": entry.kind,
            "project": entry.ancestors[0],
            "displayName": entry.name.rpartition("/")[2],
            "location": str(data.get("location", data.get("region", placed.group(1) if placed else "global"))).lower(),
            "createTime": "2024-02-01T09:00:00Z",
            "labels": data.get("labels", data.get("settings", {}).get("userLabels", {})),
        }
        key = data.get("diskEncryptionConfiguration", {}).get("kmsKeyName") or data.get("encryption", {}).get(
            "defaultKmsKeyName"
        )
        return record | ({"kmsKeys": [key]} if key else {})

    def asset(self, content: str | None, entry: Entry) -> dict[str, Any]:
        """An asset as the inventory gives it, with that content."""
        asset: dict[str, Any] = {
            "name": entry.name,
            "assetType": entry.kind,
            "ancestors": list(entry.ancestors),
            "updateTime": "2026-01-12T08:30:00Z",
        }
        if content == "RESOURCE":
            api, version, noun = _SCHEMAS[entry.kind]
            asset["resource"] = {
                "version": version,
                "discoveryDocumentUri": f"https://{api}.googleapis.com/$discovery/rest?version={version}",
                "discoveryName": noun,
                "parent": f"//cloudresourcemanager.googleapis.com/{entry.ancestors[0]}",
                "data": entry.data(),
            }
        elif content == "IAM_POLICY":
            asset["iamPolicy"] = self.state.policy(entry.ancestors[0])
        return asset

    def _read_time(self, call: Call) -> str:
        text = call.first("readTime") or clock.text(clock.now())
        try:
            moment = clock.parse(text)
        except ValueError:
            raise errors.invalid(f"Invalid value at 'read_time' (TYPE_TIMESTAMP), \"{text}\"") from None
        if not timedelta(0) <= clock.now() - moment <= OLDEST:
            raise errors.invalid("read_time must be within the last 35 days.")
        return text

    def of(self, kind: str) -> Iterator[Entry]:
        """The assets of a type, wherever they lie."""
        service, _, noun = kind.partition("/")
        if service == "cloudresourcemanager.googleapis.com" and noun in _POLICY_ONLY:
            yield from self._places(kind, noun)
            return
        if kind == "logging.googleapis.com/LogSink":
            yield from self._sinks(f"organizations/{self.state.data['organization']}", self.state.data)
        if kind == "compute.googleapis.com/FirewallPolicy":
            yield from self._hierarchical()
        for project, it in sorted(self.state.projects.items()):
            place = f"projects/{project}"
            if kind == "logging.googleapis.com/LogSink":
                yield from self._sinks(place, it)
                continue
            above = self.state.ancestors(place)
            for name, data in self._in_project(noun, service, project, it):
                yield Entry(kind, f"//{_HOSTS.get(service, service)}/{name}", above, data)

    def _places(self, kind: str, noun: str) -> Iterator[Entry]:
        """The organisation, or the folders."""
        root = f"organizations/{self.state.data['organization']}"
        places = [root] if noun == "Organization" else [f"folders/{n}" for n in sorted(self.state.data["folders"])]
        for place in places:
            yield Entry(kind, f"//cloudresourcemanager.googleapis.com/{place}", self.state.ancestors(place), _nothing)

    def _in_project(
        self, noun: str, service: str, project: str, it: dict[str, Any]
    ) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        """Names, and what makes the content, of one type in one project."""
        base, number = f"projects/{project}", it["number"]
        for spec in (spec for spec in SPECS if spec.asset == f"{service}/{noun}"):
            for _, name, data in self.resources.of(spec, project):
                yield name, data
            return
        match service.partition(".")[0], noun:
            case "cloudresourcemanager", _:
                yield f"projects/{number}", partial(self._project, project)
            case "sqladmin", _:
                every = it.get("sql", {})
                for name in sorted(every):
                    yield f"{base}/instances/{name}", partial(self._instance, project, name, every)
            case "storage", _:
                for name, bucket in sorted(it.get("buckets", {}).items()):
                    yield name, partial(self.cloud.bucket, project, name, bucket)
            case "redis", _:
                for name, one in sorted(it.get("redis", {}).items()):
                    place = f"{base}/locations/{one['region']}/instances/{name}"
                    yield place, partial(redis_instance, project, name, one)
            case "compute", "Firewall":
                for name, rule in sorted(it.get("firewalls", {}).items()):
                    yield f"{base}/global/firewalls/{name}", partial(firewall, project, name, rule)
            case "compute", "FirewallPolicy":
                for name, policy in sorted(it.get("network_policies", {}).items()):
                    yield f"{base}/global/firewallPolicies/{name}", partial(network_policy, project, name, policy)
            case "compute", _:
                for name in sorted(it.get("networks", [])):
                    yield f"{base}/global/networks/{name}", partial(network, project, name, it)
            case "logging", "LogMetric":
                for name, metric in sorted(it.get("log_metrics", {}).items()):
                    yield f"{base}/metrics/{name}", partial(_metric, name, metric)
            case "logging", _:
                for name, bucket in sorted(it.get("log_buckets", {}).items()):
                    place = f"{base}/locations/{bucket['location']}/buckets/{name}"
                    yield place, partial(self._log_bucket, place, bucket)
            case "run", _:
                plural = "services" if noun == "Service" else "jobs"
                for name, one in sorted(it.get(f"run_{plural}", {}).items()):
                    yield f"{base}/locations/{one['region']}/{plural}/{name}", _nothing
            case "artifactregistry", _:
                for name, one in sorted(it.get("artifact_repositories", {}).items()):
                    yield (
                        f"{base}/locations/{one['location']}/repositories/{name}",
                        partial(repository, project, name, one),
                    )
            case "serviceusage", _:
                for name in self.state.enabled(project):
                    full = f"projects/{number}/services/{name}"
                    yield full, partial(dict, name=full, parent=f"projects/{number}", state="ENABLED")

    def _instance(self, project: str, name: str, every: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return self.sql.instance(project, name, every)

    def _log_bucket(self, name: str, it: dict[str, Any]) -> dict[str, Any]:
        record: dict[str, Any] = {"name": name, "retentionDays": it["retention_days"], "lifecycleState": "ACTIVE"}
        return record | ({"locked": True} if it.get("locked") else {})

    def _sinks(self, place: str, holder: dict[str, Any]) -> Iterator[Entry]:
        for name, it in sorted(holder.get("log_sinks", {}).items()):
            full = f"//logging.googleapis.com/{place}/sinks/{name}"
            yield Entry("logging.googleapis.com/LogSink", full, self.state.ancestors(place), partial(_sink, name, it))

    def _hierarchical(self) -> Iterator[Entry]:
        root = f"organizations/{self.state.data['organization']}"
        for name, it in sorted(self.state.data.get("firewall_policies", {}).items()):
            full = f"//compute.googleapis.com/locations/global/firewallPolicies/{name}"
            make = partial(hierarchical_policy, root, name, it)
            yield Entry("compute.googleapis.com/FirewallPolicy", full, (root,), make)


_HOSTS = {"sqladmin.googleapis.com": "cloudsql.googleapis.com"}


def _types(pattern: str) -> list[str]:
    """The asset types that a name or pattern means; one that means none is refused, as Google does."""
    found = [kind for kind in _SCHEMAS if re.fullmatch(pattern, kind)]
    if not found:
        raise errors.invalid(f"The sandbox does not know the asset type {pattern}.")
    return found


def _sink(name: str, it: dict[str, Any]) -> dict[str, Any]:
    record = {"name": name, "destination": it["destination"], "filter": it.get("filter", "")}
    if it.get("disabled"):
        record["disabled"] = True
    if it.get("include_children"):
        record["includeChildren"] = True
    if it.get("exclusions"):
        record["exclusions"] = [{"name": n, "filter": f} for n, f in sorted(it["exclusions"].items())]
    return record


def _metric(name: str, it: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "filter": it["filter"], **({"disabled": True} if it.get("disabled") else {})}


def _nothing() -> dict[str, Any]:
    return {}
