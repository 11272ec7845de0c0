"""The Google Cloud services that are asked: names, public addresses, and the role that grants reading."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """One Google Cloud API."""

    host: str
    """Also its name where APIs are enabled: `sqladmin.googleapis.com`."""
    title: str
    role: str
    """The narrowest predefined role that grants what is read from it."""
    per_minute: int = 600
    """Requests that are sent in a minute: Google's quota for one consumer project where it is lower than this."""

    @property
    def url(self) -> str:
        """Google's public endpoint."""
        return f"https://{self.host}"


SERVICES: dict[str, Service] = {
    "accesscontextmanager": Service(
        "accesscontextmanager.googleapis.com", "Access Context Manager API", "roles/accesscontextmanager.policyReader"
    ),
    "artifactregistry": Service(
        "artifactregistry.googleapis.com", "Artifact Registry API", "roles/artifactregistry.reader"
    ),
    "bigquery": Service("bigquery.googleapis.com", "BigQuery API", "roles/bigquery.jobUser"),
    "certificatemanager": Service(
        "certificatemanager.googleapis.com", "Certificate Manager API", "roles/certificatemanager.viewer"
    ),
    "cloudasset": Service("cloudasset.googleapis.com", "Cloud Asset API", "roles/cloudasset.viewer", 100),
    "cloudscheduler": Service("cloudscheduler.googleapis.com", "Cloud Scheduler API", "roles/cloudscheduler.viewer"),
    "compute": Service("compute.googleapis.com", "Compute Engine API", "roles/compute.networkViewer"),
    "containeranalysis": Service(
        "containeranalysis.googleapis.com", "Container Analysis API", "roles/containeranalysis.occurrences.viewer"
    ),
    "dlp": Service("dlp.googleapis.com", "Sensitive Data Protection (DLP) API", "roles/dlp.columnDataProfilesReader"),
    "dns": Service("dns.googleapis.com", "Cloud DNS API", "roles/dns.reader"),
    "essentialcontacts": Service(
        "essentialcontacts.googleapis.com", "Essential Contacts API", "roles/essentialcontacts.viewer"
    ),
    "iam": Service("iam.googleapis.com", "Identity and Access Management API", "roles/iam.securityReviewer"),
    "iamcredentials": Service(
        "iamcredentials.googleapis.com", "IAM Service Account Credentials API", "roles/iam.serviceAccountTokenCreator"
    ),
    "kmsinventory": Service("kmsinventory.googleapis.com", "KMS Inventory API", "roles/cloudkms.viewer"),
    "logging": Service("logging.googleapis.com", "Cloud Logging API", "roles/logging.privateLogViewer", 60),
    "monitoring": Service("monitoring.googleapis.com", "Cloud Monitoring API", "roles/monitoring.viewer"),
    "networkmanagement": Service(
        "networkmanagement.googleapis.com", "Network Management API", "roles/networkmanagement.viewer"
    ),
    "orgpolicy": Service("orgpolicy.googleapis.com", "Organization Policy API", "roles/orgpolicy.policyViewer"),
    "policyanalyzer": Service(
        "policyanalyzer.googleapis.com", "Policy Analyzer API", "roles/policyanalyzer.activityAnalysisViewer"
    ),
    "redis": Service("redis.googleapis.com", "Memorystore for Redis API", "roles/redis.viewer"),
    "resourcemanager": Service("cloudresourcemanager.googleapis.com", "Cloud Resource Manager API", "roles/browser"),
    "run": Service("run.googleapis.com", "Cloud Run Admin API", "roles/run.viewer"),
    "secretmanager": Service("secretmanager.googleapis.com", "Secret Manager API", "roles/secretmanager.viewer"),
    "securitycenter": Service(
        "securitycenter.googleapis.com", "Security Command Center API", "roles/securitycenter.adminViewer"
    ),
    "serviceusage": Service(
        "serviceusage.googleapis.com", "Service Usage API", "roles/serviceusage.serviceUsageViewer"
    ),
    "sqladmin": Service("sqladmin.googleapis.com", "Cloud SQL Admin API", "roles/cloudsql.viewer"),
    "storage": Service("storage.googleapis.com", "Cloud Storage JSON API", "roles/storage.bucketViewer"),
}
"""By the name used in the scope file and in COMPLIANCECTL_ENDPOINT_…"""
