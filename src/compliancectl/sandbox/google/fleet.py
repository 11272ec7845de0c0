"""A company of another size: more projects, instances and assets of the kinds that the definition already has."""

from __future__ import annotations

import copy
from typing import Any


def grow(google: dict[str, Any], projects: int, *, instances: int = 0, assets: int = 0) -> int:
    """Add projects to the definition until there are so many; returns how many assets its inventory then holds.

    Args:
        google: the section `google` of a loaded company; changed in place.
        projects: how many there are afterwards, 1 to 500; one keeps its own audit logs.
        instances: how many Cloud SQL instances the added projects hold, in pairs of a primary and its replica.
        assets: about how many assets there are afterwards, most of them buckets and firewall rules.
    """
    if not 1 <= projects <= 500:
        raise ValueError(f"the company can have 1 to 500 projects, not {projects}")
    if projects == 1:
        _keep_own_logs(google)
    model = google["projects"]["larkspur-prod"]
    added = projects - len(google["projects"])
    share = max(0, -(-assets // max(1, added)) - 6)  # six more are the project, its network, sinks and log buckets
    for number in range(added):
        name = f"larkspur-team-{number:03d}"
        project = _project(name, number, model, share)
        if number < instances // 2:
            project["sql"] = _pair(name, model)
        google["projects"][name] = project
    return sum(_count(project) for project in google["projects"].values())


def _keep_own_logs(google: dict[str, Any]) -> None:
    """Move the bucket of audit logs into the one project that stays."""
    logs = google["projects"].pop("larkspur-logs")
    google["projects"]["larkspur-prod"]["log_buckets"]["audit"] = logs["log_buckets"]["audit"]
    sink = google["log_sinks"]["audit-trail"]
    sink["destination"] = sink["destination"].replace("larkspur-logs", "larkspur-prod")


def _project(name: str, number: int, model: dict[str, Any], share: int) -> dict[str, Any]:
    bucket = model["buckets"]["larkspur-uploads"]
    rule = model["firewalls"]["allow-internal"]
    default = copy.deepcopy(model["log_sinks"])
    for sink in default.values():
        sink["destination"] = sink["destination"].replace("larkspur-prod", name)
    return {
        "number": str(500_000_000_000 + number),
        "networks": ["prod"],
        "buckets": {f"{name}-{i:04d}": bucket for i in range(share // 2)},
        "firewalls": {f"allow-{i:04d}": rule for i in range(share - share // 2)},
        "log_sinks": default,
        "log_buckets": model["log_buckets"],
    }


def _pair(name: str, model: dict[str, Any]) -> dict[str, Any]:
    pair = copy.deepcopy(model["sql"])
    for one in pair.values():
        one["private_network"] = f"projects/{name}/global/networks/prod"
    return pair  # type: ignore[no-any-return]


def _count(project: dict[str, Any]) -> int:
    """Assets of a project: itself, what it holds, and the APIs that are enabled in it."""
    held = ("sql", "buckets", "firewalls", "networks", "log_sinks", "log_buckets", "redis", "run_services", "run_jobs")
    return 1 + sum(len(project.get(key, ())) for key in held)
