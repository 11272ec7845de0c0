"""What the sandbox's Google Cloud holds: the company's definition, and switches for refusals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.company import Company
from compliancectl.sandbox.google import errors

_TITLES = {
    "accesscontextmanager.googleapis.com": "Access Context Manager API",
    "artifactregistry.googleapis.com": "Artifact Registry API",
    "bigquery.googleapis.com": "BigQuery API",
    "certificatemanager.googleapis.com": "Certificate Manager API",
    "cloudasset.googleapis.com": "Cloud Asset API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "cloudscheduler.googleapis.com": "Cloud Scheduler API",
    "compute.googleapis.com": "Compute Engine API",
    "iam.googleapis.com": "Identity and Access Management (IAM) API",
    "kmsinventory.googleapis.com": "KMS Inventory API",
    "policyanalyzer.googleapis.com": "Policy Analyzer API",
    "secretmanager.googleapis.com": "Secret Manager API",
    "containeranalysis.googleapis.com": "Container Analysis API",
    "essentialcontacts.googleapis.com": "Essential Contacts API",
    "dns.googleapis.com": "Cloud DNS API",
    "dlp.googleapis.com": "Sensitive Data Protection (DLP)",
    "logging.googleapis.com": "Cloud Logging API",
    "monitoring.googleapis.com": "Cloud Monitoring API",
    "networkmanagement.googleapis.com": "Network Management API",
    "orgpolicy.googleapis.com": "Organization Policy API",
    "redis.googleapis.com": "Google Cloud Memorystore for Redis API",
    "run.googleapis.com": "Cloud Run Admin API",
    "securitycenter.googleapis.com": "Security Command Center API",
    "serviceusage.googleapis.com": "Service Usage API",
    "sqladmin.googleapis.com": "Cloud SQL Admin API",
    "storage.googleapis.com": "Cloud Storage JSON API",
}

_HELD = {
    "artifactregistry.googleapis.com": ("artifact_repositories",),
    "cloudscheduler.googleapis.com": ("scheduler_jobs",),
    "compute.googleapis.com": ("networks",),
    "redis.googleapis.com": ("redis",),
    "run.googleapis.com": ("run_jobs", "run_services"),
    "sqladmin.googleapis.com": ("sql",),
    "storage.googleapis.com": ("buckets",),
}

_IN_RESOURCES = {
    "networkmanagement.googleapis.com": "flow_log_configs",
    "pubsub.googleapis.com": "topics",
    "secretmanager.googleapis.com": "secrets",
}

REGIONS = ("europe-west1", "europe-west3", "europe-west4")
"""Those that the company uses, and what `locations.list` answers with."""


class State:
    """The definition of `company/google.yaml`, and what is refused."""

    def __init__(self, company: Company) -> None:
        self.move(company)

    def move(self, company: Company) -> None:
        """Hold what a company has, and refuse what its definition says."""
        self.data: dict[str, Any] = company.sections["google"]
        self.now: datetime = company.now
        self.denied: set[str] = set(self.data.get("denied_permissions", ()))
        """Permissions that nobody has: `cloudsql.instances.list`, or `cloudsql.instances.list projects/larkspur-prod`."""
        self.disabled: set[str] = set(self.data.get("disabled_services", ()))
        """Services that are switched off: `redis.googleapis.com`, or `redis.googleapis.com projects/larkspur-prod`."""

    @property
    def projects(self) -> dict[str, dict[str, Any]]:
        """Definitions by project id."""
        projects: dict[str, dict[str, Any]] = self.data["projects"]
        return projects

    def project(self, name: str) -> dict[str, Any]:
        """The definition of one project."""
        return self.projects[name]

    def project_id(self, name: str) -> str:
        """The id of a project that is named by its id or number."""
        return next((known for known, it in self.projects.items() if str(it["number"]) == name), name)

    def number(self, where: str) -> str:
        """The number of a project or organisation named as `projects/id`."""
        kind, _, name = where.partition("/")
        return str(self.projects[self.project_id(name)]["number"]) if kind == "projects" else name

    def ancestors(self, where: str) -> tuple[str, ...]:
        """`projects/NUMBER`, the folders around it, and the organisation, from a project or organisation on."""
        root = f"organizations/{self.data['organization']}"
        kind, _, name = where.partition("/")
        if kind == "organizations":
            return (root,)
        found, folder = ([], name) if kind == "folders" else ([f"projects/{self.number(where)}"], self._folder(name))
        while folder:
            found.append(f"folders/{folder}")
            folder = self.data["folders"][folder].get("folder")
        return (*found, root)

    def _folder(self, project: str) -> str | None:
        return self.project(project).get("folder")

    def policy(self, where: str) -> dict[str, Any]:
        """The IAM policy of a project (by id or number), a folder or the organisation."""
        kind, _, name = where.partition("/")
        holder: dict[str, Any] = self.data
        if kind == "projects":
            holder = self.project(self.project_id(name))
        elif kind == "folders":
            holder = self.data["folders"][name]
        return {"version": 3, "etag": "BwYAAAAAAAA=", **holder.get("policy", {})}

    @staticmethod
    def bindings(policy: dict[str, Any]) -> list[dict[str, Any]]:
        """The bindings of a single thing's policy: one as it is written, and `more` of them."""
        return [{"role": policy["role"], "members": policy["members"]}, *policy.get("more", ())]

    def enabled(self, project: str) -> list[str]:
        """APIs that are switched on in a project: those of which it holds something, but for the disabled."""
        held = self.project(project)
        wanted = {host for host, keys in _HELD.items() if any(held.get(key) for key in keys)}
        wanted |= {host for host, key in _IN_RESOURCES.items() if held.get("resources", {}).get(key)}
        return sorted(host for host in wanted if not self.is_disabled(host, f"projects/{project}"))

    def title(self, service: str) -> str:
        """The title of an API."""
        return _TITLES[service]

    def is_disabled(self, service: str, where: str) -> bool:
        """Whether an API is off for a project."""
        return bool({service, f"{service} {where}"} & self.disabled)

    def is_denied(self, permission: str, where: str) -> bool:
        """Whether the caller lacks a permission there."""
        return bool({permission, f"{permission} {where}"} & self.denied)

    def check_place(self, where: str, service: str, email: str) -> None:
        """Refuse a project or organisation that does not exist, as Google does: by denying it."""
        kind, _, name = where.partition("/")
        name = self.project_id(name) if kind == "projects" else name
        known = {
            "projects": self.projects,
            "folders": self.data.get("folders", {}),
            "organizations": (str(self.data["organization"]),),
        }
        if name not in known[kind]:
            raise errors.permission_denied(service, "resourcemanager.projects.get", where, email)

    def at(self, text: str) -> datetime:
        """An instant of the definition."""
        return clock.parse(text)


def stamp(moment: datetime) -> str:
    """An instant as Google writes it: milliseconds and Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
