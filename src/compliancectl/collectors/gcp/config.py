"""The `gcp` section of the scope file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator, model_validator

from compliancectl.collectors.gcp.services import SERVICES
from compliancectl.model.base import Model

ProjectId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.:-]{4,61}[a-z0-9]$")]
FolderId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
OrganizationId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
Location = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
ServiceAccount = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$")]

CONSTRAINTS = (
    "constraints/compute.disableSerialPortAccess",
    "constraints/compute.requireOsLogin",
    "constraints/compute.skipDefaultNetworkCreation",
    "constraints/compute.vmExternalIpAccess",
    "constraints/gcp.resourceLocations",
    "constraints/iam.allowedPolicyMemberDomains",
    "constraints/iam.automaticIamGrantsForDefaultServiceAccounts",
    "constraints/iam.disableServiceAccountKeyCreation",
    "constraints/iam.managed.disableServiceAccountKeyCreation",
    "constraints/run.allowedIngress",
    "constraints/run.allowedVPCEgress",
    "constraints/sql.restrictAuthorizedNetworks",
    "constraints/sql.restrictPublicIp",
    "constraints/storage.publicAccessPrevention",
    "constraints/storage.uniformBucketLevelAccess",
)
"""Constraints that the shipped controls ask for."""


DatasetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.:-]{4,61}[a-z0-9]\.[A-Za-z0-9_]{1,1024}$")]


class LinkedLogs(Model):
    """A BigQuery dataset that Log Analytics links: restores are asked of it, and no entry is downloaded."""

    dataset: DatasetName
    """`PROJECT.DATASET`. The project also pays for the queries."""
    view: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,300}$")] = "_AllLogs"
    """The log view in it."""
    max_bytes: int = Field(default=100 * 2**30, ge=1)
    """Most bytes that may be read in one run; a dry run says how many it would be, and if they are more, none is read."""

    @property
    def project(self) -> str:
        """The project that holds the dataset."""
        return self.dataset.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The dataset without its project."""
        return self.dataset.rpartition(".")[2]


class GcpConfig(Model):
    """Which projects are in scope, and how they are asked."""

    projects: tuple[ProjectId, ...] = ()
    """Project ids; absent: every project of the folders, or else of the organisation."""
    organization: OrganizationId | None = None
    """Number of the organisation; with it, public bindings and log sinks are looked for in the whole organisation."""
    folders: tuple[FolderId, ...] = ()
    """Numbers of folders whose projects are in scope, those of folders below them included."""
    include: tuple[str, ...] = ("*",)
    """Patterns of project ids (`*`, `?`, `[…]`): of the projects that are found, only those that match one are in scope."""
    exclude: tuple[str, ...] = ()
    """Patterns of project ids that are out of scope, whatever `include` says."""
    quota_project: ProjectId | None = None
    """Project that pays for quota; absent: what the credentials say."""
    impersonate: ServiceAccount | None = None
    """Service account to act as; the ambient credentials must be allowed to (roles/iam.serviceAccountTokenCreator)."""
    constraints: tuple[str, ...] = CONSTRAINTS
    """Organisation policy constraints to read, e.g. `constraints/sql.restrictPublicIp`."""
    staff_domains: tuple[str, ...] = ()
    """Domains of the organisation's own people. E-mail addresses of other people never enter evidence."""
    label_names: tuple[str, ...] = ("data-class", "environment", "purpose")
    """Labels whose values are evidence; the values of other labels are redacted."""
    log_days: int = Field(default=366, ge=1, le=400)
    """How far back restore operations are looked for in the audit log, in days (Google keeps 400)."""
    log_max_entries: int = Field(default=500_000, ge=1000)
    """Most audit log entries that are read to be counted, over one period; if more are expected, none is read."""
    logs: LinkedLogs | None = None
    """Where the audit logs lie in BigQuery; absent: Cloud Logging is asked."""
    security_command_center: bool = True
    """False: Security Command Center is not activated here; nothing is asked of it, and the evidence says it was declared."""
    data_profiles: tuple[Location, ...] | None = None
    """Regions in which Sensitive Data Protection keeps data profiles; empty: there are none, and none is asked for."""
    history_assets: int = Field(default=2000, ge=1)
    """Most assets of one kind whose versions are read; of kinds that have more, none is."""
    endpoints: dict[str, str] = {}
    """Service → base URL, instead of Google's public one; for private endpoints and other universes."""
    max_calls: int | None = Field(default=None, ge=1)
    """Most requests in one run, repetitions included; what is not read by then is not judged. `--max-calls` wins."""
    page_limit: int = Field(default=10_000, ge=1)
    """Pages of one listing after which collection stops and says so."""
    retry_pause_s: float = Field(default=0.5, ge=0)
    """First pause before a request is repeated, in seconds; doubled each time. A pause that Google asks for is kept."""

    @field_validator("endpoints")
    @classmethod
    def _known_services(cls, value: dict[str, str]) -> dict[str, str]:
        for name, url in value.items():
            if name not in SERVICES:
                raise ValueError(f"{name!r} is not a service; known are {', '.join(sorted(SERVICES))}")
            if not url.startswith(("https://", "http://")):
                raise ValueError(f"endpoint of {name!r} must be a URL, not {url!r}")
        return value

    @model_validator(mode="after")
    def _names_something(self) -> GcpConfig:
        if not (self.projects or self.folders or self.organization):
            raise ValueError("name projects, folders or an organization")
        if self.projects and self.folders:
            raise ValueError("name projects or folders, not both")
        if self.projects and (self.include != ("*",) or self.exclude):
            raise ValueError("include and exclude choose among projects that are found; they cannot narrow projects")
        return self

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders, or the organisation, below which the projects are found; none when the projects are named."""
        if self.projects:
            return ()
        if self.folders:
            return tuple(f"folders/{number}" for number in self.folders)
        return (f"organizations/{self.organization}",)

    @property
    def places(self) -> tuple[str, ...]:
        """What is in scope: `projects/P` for each project, or the roots."""
        return self.roots or tuple(f"projects/{project}" for project in self.projects)

    def endpoint(self, service: str, environment: Mapping[str, str]) -> str:
        """The base URL of a service: the environment's COMPLIANCECTL_ENDPOINT_…, this file's, or Google's."""
        variable = f"COMPLIANCECTL_ENDPOINT_{service.upper()}"
        chosen = environment.get(variable) or self.endpoints.get(service) or SERVICES[service].url
        return chosen.rstrip("/")
