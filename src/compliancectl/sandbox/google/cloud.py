"""Everything but Cloud SQL and networks: expands the definition into buckets, policies, jobs, services, findings."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import REGIONS, State, stamp

PUBLIC_QUERY = "memberTypes:(allUsers OR allAuthenticatedUsers)"


class Cloud:
    """Answers of the APIs besides Cloud SQL, Compute Engine and Logging."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            "storage.buckets.list": self.buckets,
            "cloudasset.searchAllIamPolicies": self.search_policies,
            "orgpolicy.projects.policies.getEffectivePolicy": self.effective_policy,
            "cloudresourcemanager.projects.getIamPolicy": self.iam_policy,
            "cloudresourcemanager.organizations.getIamPolicy": self.iam_policy,
            "policyanalyzer.projects.locations.activityTypes.activities.query": self.activities,
            "policyanalyzer.organizations.locations.activityTypes.activities.query": self.activities,
            "serviceusage.services.list": self.enabled_services,
            "cloudscheduler.projects.locations.list": self.locations,
            "cloudscheduler.projects.locations.jobs.list": self.scheduler_jobs,
            "run.projects.locations.list": self.locations,
            "run.projects.locations.services.list": self.services,
            "run.projects.locations.services.revisions.get": self.revision,
            "run.projects.locations.jobs.executions.list": self.executions,
            "redis.projects.locations.instances.list": self.redis,
            "cloudresourcemanager.projects.testIamPermissions": self.test_permissions,
            "cloudresourcemanager.folders.testIamPermissions": self.test_permissions,
            "cloudresourcemanager.organizations.testIamPermissions": self.test_permissions,
        }

    def _of(self, call: Call, key: str, default: Any = None) -> Any:
        return self.state.project(call.path["project"]).get(key, {} if default is None else default)

    # -- storage, assets, policies, permissions -----------------------------------------------------------------------

    def buckets(self, call: Call) -> dict[str, Any]:
        """storage.buckets.list."""
        project = call.first("project")
        if project is None:
            raise errors.error(400, "Required parameter: project", "required")
        entries = self.state.project(project).get("buckets", {})
        return {"kind": "storage#buckets", "items": [self.bucket(project, n, entries[n]) for n in sorted(entries)]}

    def bucket(self, project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
        """One bucket."""
        uniform = {"enabled": it.get("uniform_access", True)}
        record: dict[str, Any] = {
            "kind": "storage#bucket",
            "id": name,
            "name": name,
            "metageneration": "3",
            "storageClass": "STANDARD",
            "projectNumber": self.state.number(f"projects/{project}"),
            "location": it["location"].upper(),
            "locationType": "region",
            "timeCreated": it["created"],
            "updated": it["created"],
            "labels": it.get("labels", {}),
            "iamConfiguration": {
                "uniformBucketLevelAccess": uniform,
                "bucketPolicyOnly": uniform,
                "publicAccessPrevention": it.get("public_access_prevention", "enforced"),
            },
            "softDeletePolicy": {"retentionDurationSeconds": str(it.get("soft_delete_days", 0) * 86400)},
        }
        if it.get("versioning"):
            record["versioning"] = {"enabled": True}
        if "delete_after_days" in it:
            record["lifecycle"] = {
                "rule": [{"action": {"type": "Delete"}, "condition": {"age": it["delete_after_days"]}}]
            }
        if "retention_days" in it:
            record["retentionPolicy"] = {"retentionPeriod": str(it["retention_days"] * 86400), "isLocked": it["locked"]}
        return record

    def search_policies(self, call: Call) -> dict[str, Any]:
        """cloudasset.searchAllIamPolicies: all policies, or those that the one query which the company needs finds."""
        if call.first("query") not in (None, PUBLIC_QUERY):
            raise errors.invalid("The sandbox knows only the query for public members.")
        place = call.path["name"]
        root = f"{call.path['kind']}/{place}"
        names = [
            n for n in sorted(self.state.projects) if root in (f"projects/{n}", *self.state.ancestors(f"projects/{n}"))
        ]
        if call.first("query"):
            return {"results": [self._policy(n, p) for n in names for p in self._public_policies(n)]}
        return {"results": [one for name in names for one in self._policies(name)]}

    def _policies(self, project: str) -> Iterator[dict[str, Any]]:
        """The project's own policy, and those of what lies in it."""
        bindings = self.state.project(project).get("policy", {}).get("bindings", [])
        if bindings:
            own = {"resource": f"//cloudresourcemanager.googleapis.com/projects/{project}", "role": "", "members": []}
            result = self._policy(project, {**own, "type": "cloudresourcemanager.googleapis.com/Project"})
            yield {**result, "policy": {"bindings": bindings}}
        for policy in self.state.project(project).get("iam", ()):
            yield self._policy(project, policy)

    def _public_policies(self, project: str) -> Iterator[dict[str, Any]]:
        for policy in self.state.project(project).get("iam", ()):
            if {"allUsers", "allAuthenticatedUsers"} & set(policy["members"]):
                yield policy

    def _policy(self, project: str, it: dict[str, Any]) -> dict[str, Any]:
        return {
            "resource": it["resource"],
            "assetType": it["type"],
            "project": f"projects/{self.state.number('projects/' + project)}",
            "organization": f"organizations/{self.state.data['organization']}",
            "policy": {"bindings": self.state.bindings(it)},
        }

    def effective_policy(self, call: Call) -> dict[str, Any]:
        """Orgpolicy getEffectivePolicy; a constraint that nobody set has an empty rule."""
        constraint = call.path["policy"]
        rule = self.state.data["org_policies"].get(constraint)
        if rule is None:
            raise errors.error(404, f"Constraint constraints/{constraint} does not exist.", "notFound")
        number = self.state.number(f"projects/{call.path['project']}")
        spec = {"rules": [{"values": {"allowedValues": rule["allowed"]}}] if "allowed" in rule else [rule]}
        return {"name": f"projects/{number}/policies/{constraint}", "spec": spec}

    def iam_policy(self, call: Call) -> dict[str, Any]:
        """GetIamPolicy of a project or the organisation."""
        (kind, name), *_ = call.path.items()
        return self.state.policy(f"{kind}s/{name}")

    def activities(self, call: Call) -> dict[str, Any]:
        """When service accounts last authenticated; those that never did are not told of."""
        (kind, wanted), *_ = call.path.items()
        names = [wanted] if kind == "project" else sorted(self.state.projects)
        end = self.state.now - timedelta(days=2)
        return {
            "activities": [
                {
                    "fullResourceName": f"//iam.googleapis.com/projects/{project}/serviceAccounts/{email}",
                    "activityType": call.path["type"],
                    "observationPeriod": {"startTime": stamp(end - timedelta(days=400)), "endTime": stamp(end)},
                    "activity": {"lastAuthenticatedTime": at, "serviceAccount": {"serviceAccountId": email}},
                }
                for project in names
                for email, at in sorted(self.state.project(project).get("last_authentications", {}).items())
            ]
        }

    def enabled_services(self, call: Call) -> dict[str, Any]:
        """Serviceusage services.list, with the one filter that is needed."""
        if call.first("filter") != "state:ENABLED":
            raise errors.invalid("The sandbox knows only the filter for services that are enabled.")
        number = self.state.number(f"projects/{call.path['name']}")
        parent = f"projects/{number}"
        enabled = self.state.enabled(call.path["name"])
        return {"services": [{"name": f"{parent}/services/{n}", "parent": parent, "state": "ENABLED"} for n in enabled]}

    def test_permissions(self, call: Call) -> dict[str, Any]:
        """Which of the asked permissions the reader holds: those of the definition, unless denied."""
        granted = set(self.state.data["granted_permissions"])
        (kind, name), *_ = call.path.items()
        where = f"{kind}s/{name}"
        names = [n for n in call.body["permissions"] if n in granted and not self.state.is_denied(n, where)]
        return {"permissions": names} if names else {}

    # -- jobs, services, caches, findings -----------------------------------------------------------------------------

    def locations(self, call: Call) -> dict[str, Any]:
        """locations.list."""
        base = f"projects/{call.path['project']}/locations"
        return {"locations": [{"name": f"{base}/{r}", "locationId": r, "displayName": r} for r in REGIONS]}

    def _here(self, call: Call, key: str) -> list[tuple[str, dict[str, Any]]]:
        place = call.path["location"]
        if place not in (*REGIONS, "-"):
            raise errors.error(403, f"Location {place} is not found or access is unauthorized.", "forbidden")
        return [(n, it) for n, it in sorted(self._of(call, key).items()) if place in ("-", it["region"])]

    def scheduler_jobs(self, call: Call) -> dict[str, Any]:
        """Cloudscheduler jobs.list."""
        return {"jobs": [self._job(call.path["project"], name, it) for name, it in self._here(call, "scheduler_jobs")]}

    def _job(self, project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
        record = {
            "name": f"projects/{project}/locations/{it['region']}/jobs/{name}",
            "description": it["description"],
            "schedule": it["schedule"],
            "timeZone": "Etc/UTC",
            "state": it.get("state", "ENABLED"),
            "userUpdateTime": it["changed"],
            "attemptDeadline": "180s",
            "status": {},
            "httpTarget": {
                "uri": it["uri"],
                "httpMethod": "POST",
                "headers": it.get("headers", {}),
                "body": base64.b64encode(it.get("body", "").encode()).decode(),
            },
        }
        if it.get("last_attempt"):
            record |= {"lastAttemptTime": it["last_attempt"], "status": {"code": it["code"]} if it.get("code") else {}}
        return record

    def services(self, call: Call) -> dict[str, Any]:
        """Run services.list."""
        return {"services": [self._service(call.path["project"], n, it) for n, it in self._here(call, "run_services")]}

    def _service(self, project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
        full = f"projects/{project}/locations/{it['region']}/services/{name}"
        revision = f"{full}/revisions/{it['revision']}"
        return {
            "name": full,
            "uid": _uuid(full),
            "generation": "7",
            "createTime": it["created"],
            "updateTime": it["created"],
            "creator": it["creator"],
            "lastModifier": it["deployer"],
            "ingress": it["ingress"],
            "sshEnabled": it.get("ssh", False),
            "binaryAuthorization": {"useDefault": True} if it.get("admission", True) else {},
            "defaultUriDisabled": it.get("default_uri_disabled", False),
            "invokerIamDisabled": it.get("invoker_iam_disabled", False),
            "labels": it.get("labels", {}),
            "template": {"serviceAccount": it["identity"], "containers": [_container(it)]},
            "latestReadyRevision": revision,
            "latestCreatedRevision": revision,
            "uri": f"https://{name}-x.a.run.app",
            "trafficStatuses": [
                {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100, "revision": it["revision"]}
            ],
        }

    def revision(self, call: Call) -> dict[str, Any]:
        """Run revisions.get."""
        it = dict(self._here(call, "run_services")).get(call.path["service"])
        if it is None or it["revision"] != call.path["revision"]:
            raise errors.not_found(f"Resource '{call.path['revision']}' of kind 'REVISION' does not exist.")
        service = f"projects/{call.path['project']}/locations/{it['region']}/services/{call.path['service']}"
        return {
            "name": f"{service}/revisions/{it['revision']}",
            "uid": _uuid(it["revision"]),
            "generation": "1",
            "createTime": it["created"],
            "creator": it["creator"],
            "service": call.path["service"],
            "serviceAccount": it["identity"],
            "vpcAccess": it.get("vpc", {}),
            "scaling": it.get("scaling", {}),
            "containers": [_container(it)],
            "containerStatuses": [{"name": "app", "imageDigest": f"{it['image'].partition(':')[0]}@{it['digest']}"}],
        }

    def executions(self, call: Call) -> dict[str, Any]:
        """Run executions.list; `-` means all jobs."""
        found = [
            record
            for name, it in self._here(call, "run_jobs")
            if call.path["job"] in ("-", name)
            for record in self._executions(call.path["project"], name, it)
        ]
        return {"executions": sorted(found, key=lambda record: str(record["createTime"]), reverse=True)}

    def _executions(self, project: str, name: str, it: dict[str, Any]) -> Iterator[dict[str, Any]]:
        last = self.state.at(it["last"])
        for number in range(it["executions"]):
            days = number * it["every_days"]
            if days in it.get("missing_days_ago", ()):
                continue
            start = last - timedelta(days=days)
            mark = f"{name}-{_uuid(f'{name}{number}')[:5]}"
            failed = days in it.get("failed_days_ago", ())
            yield {
                "name": f"projects/{project}/locations/{it['region']}/jobs/{name}/executions/{mark}",
                "job": name,
                "uid": _uuid(mark),
                "creator": it["creator"],
                "createTime": stamp(start),
                "startTime": stamp(start),
                "completionTime": stamp(start + timedelta(minutes=3)),
                "taskCount": 1,
                **({"failedCount": 1} if failed else {"succeededCount": 1}),
                "template": {"serviceAccount": it["identity"], "containers": [_container(it)]},
            }

    def redis(self, call: Call) -> dict[str, Any]:
        """Redis instances.list."""
        project = call.path["project"]
        return {"instances": [redis_instance(project, name, it) for name, it in self._here(call, "redis")]}


def redis_instance(project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
    """One cache."""
    return {
        "name": f"projects/{project}/locations/{it['region']}/instances/{name}",
        "tier": "STANDARD_HA",
        "state": "READY",
        "redisVersion": "REDIS_7_2",
        "memorySizeGb": 5,
        "host": "10.20.0.9",
        "port": 6379,
        "createTime": it["created"],
        "authEnabled": it.get("auth", True),
        "transitEncryptionMode": it.get("transit", "SERVER_AUTHENTICATION"),
        "labels": it.get("labels", {}),
        "persistenceConfig": {"persistenceMode": it.get("persistence", "DISABLED")},
    }


def _container(it: dict[str, Any]) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in sorted(it.get("env", {}).items())]
    env += [
        {"name": name, "valueSource": {"secretKeyRef": {"secret": secret, "version": "latest"}}}
        for name, secret in sorted(it.get("secrets", {}).items())
    ]
    return {"name": "app", "image": it["image"], "env": env}


def _uuid(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
