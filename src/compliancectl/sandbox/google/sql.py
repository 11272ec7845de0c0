"""Cloud SQL Admin: expands the definition into instances, backup runs, users, operations and connection settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State, stamp
from compliancectl.sandbox.google.tls import Authority

_API = "https://sqladmin.googleapis.com/v1"


class CloudSql:
    """Answers of the Cloud SQL Admin API."""

    def __init__(self, state: State, authority: Authority) -> None:
        self.state = state
        self.authority = authority
        self.proxy_address: str | None = None
        """Where the instances are reached; set when the proxy listens."""
        self.answers = {
            "sql.instances.list": self.instances,
            "sql.backupRuns.list": self.backup_runs,
            "sql.users.list": self.users,
            "sql.operations.list": self.operations,
            "sql.connect.get": self.connect_settings,
            "sql.connect.generateEphemeral": self.ephemeral_certificate,
        }

    def _all(self, project: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.state.project(project).get("sql", {})
        return found

    def _one(self, call: Call) -> dict[str, Any]:
        found = self._all(call.path["project"]).get(call.path["instance"])
        if found is None:
            raise errors.error(404, "The Cloud SQL instance does not exist.", "instanceDoesNotExist")
        return found

    def instances(self, call: Call) -> dict[str, Any]:
        """instances.list."""
        project = call.path["project"]
        every = self._all(project)
        return {"kind": "sql#instancesList", "items": [self.instance(project, n, every) for n in sorted(every)]}

    def instance(self, project: str, name: str, every: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """One instance, as `get` and the inventory show it."""
        it = every[name]
        copies = [n for n, other in sorted(every.items()) if other.get("replica_of") == name]
        record: dict[str, Any] = {
            "kind": "sql#instance",
            "name": name,
            "project": project,
            "region": it["region"],
            "gceZone": f"{it['region']}-b",
            "state": it.get("state", "RUNNABLE"),
            "backendType": "SECOND_GEN",
            "databaseVersion": it.get("version", "POSTGRES_17"),
            "databaseInstalledVersion": f"{it.get('version', 'POSTGRES_17')}_5",
            "maintenanceVersion": it.get("maintenance_version", "POSTGRES_17_5.R20260901.00_06"),
            "availableMaintenanceVersions": it.get("available_maintenance", []),
            "instanceType": "CLOUD_SQL_INSTANCE",
            "connectionName": f"{project}:{it['region']}:{name}",
            "createTime": it["created"],
            "selfLink": f"{_API}/projects/{project}/instances/{name}",
            "etag": _hex(name, 64),
            "serviceAccountEmailAddress": f"p{self.state.number('projects/' + project)}-x@gcp-sa-cloud-sql.iam.gserviceaccount.com",
            "ipAddresses": _addresses(it),
            "settings": _settings(it),
            "serverCaCert": self._server_certificate(name, it),
        }
        if it.get("kms_key"):
            record["diskEncryptionConfiguration"] = {
                "kind": "sql#diskEncryptionConfiguration",
                "kmsKeyName": it["kms_key"],
            }
        if it.get("replica_of"):
            record |= {"instanceType": "READ_REPLICA_INSTANCE", "masterInstanceName": f"{project}:{it['replica_of']}"}
        if copies:
            record["replicaNames"] = copies
        if it.get("root_password"):
            record["rootPassword"] = it["root_password"]
        return record

    def _server_certificate(self, name: str, it: dict[str, Any]) -> dict[str, Any]:
        expires = self.state.at(it["server_certificate_expires"])
        return {
            "kind": "sql#sslCert",
            "instance": name,
            "cert": self.authority.certificate_pem.decode(),
            "commonName": "C=US,O=Google\\, Inc,CN=Google Cloud SQL Server CA",
            "certSerialNumber": "0",
            "sha1Fingerprint": _hex(name, 40),
            "createTime": it["created"],
            "expirationTime": stamp(expires),
        }

    # -- backups ------------------------------------------------------------------------------------------------------

    def backup_runs(self, call: Call) -> dict[str, Any]:
        """backupRuns.list, newest first; `-` means all instances."""
        project, wanted = call.path["project"], call.path["instance"]
        if wanted != "-":
            self._one(call)
        runs = [
            run
            for name, it in sorted(self._all(project).items())
            if wanted in ("-", name)
            for run in self._runs(project, name, it)
        ]
        runs.sort(key=lambda run: (run["windowStartTime"], run["id"]), reverse=True)
        return {"kind": "sql#backupRunsList", "items": runs}

    def _runs(self, project: str, name: str, it: dict[str, Any]) -> Iterator[dict[str, Any]]:
        plan = it.get("backups")
        if not plan:
            return
        hour = _latest(self.state.at(plan["at"]), self.state.now)
        for days_ago in range(plan["days"] + 1):
            start = hour - timedelta(days=days_ago)
            age = self.state.now - start
            if age >= timedelta(days=plan["days"]) or days_ago in plan.get("missing_days_ago", ()):
                continue
            yield self._run(project, name, it, start, "AUTOMATED", days_ago in plan.get("failed_days_ago", ()))
        for extra in plan.get("on_demand", ()):
            run = self._run(project, name, it, self.state.at(extra["at"]), "ON_DEMAND", False)
            yield run | {"description": extra["description"]}

    def _run(
        self, project: str, name: str, it: dict[str, Any], start: datetime, kind: str, failed: bool
    ) -> dict[str, Any]:
        plan = it["backups"]
        number = str(int(start.timestamp() * 1000))
        run = {
            "kind": "sql#backupRun",
            "id": number,
            "instance": name,
            "type": kind,
            "backupKind": "SNAPSHOT",
            "status": "FAILED" if failed else "SUCCESSFUL",
            "databaseVersion": it.get("version", "POSTGRES_17"),
            "windowStartTime": stamp(start),
            "enqueuedTime": stamp(start + timedelta(minutes=1)),
            "startTime": stamp(start + timedelta(minutes=1)),
            "endTime": stamp(start + timedelta(minutes=4)),
            "location": plan["location"],
            "selfLink": f"{_API}/projects/{project}/instances/{name}/backupRuns/{number}",
        }
        key = plan.get("kms_key", it.get("kms_key"))
        if key:
            run["diskEncryptionConfiguration"] = {"kind": "sql#diskEncryptionConfiguration", "kmsKeyName": key}
        if failed:
            run["error"] = {"kind": "sql#operationError", "code": "INTERNAL_ERROR", "message": "The backup failed."}
        return run

    # -- users and operations -----------------------------------------------------------------------------------------

    def users(self, call: Call) -> dict[str, Any]:
        """users.list; a replica refuses, as Google's does."""
        it = self._one(call)
        if it.get("replica_of"):
            raise errors.error(400, "The operation is not supported on a read replica.", "invalidOperation")
        users = [
            {
                "kind": "sql#user",
                "name": name,
                "host": "",
                "instance": call.path["instance"],
                "project": call.path["project"],
                "etag": _hex(name, 32),
                **user,
            }
            for name, user in sorted(it.get("users", {}).items())
        ]
        return {"kind": "sql#usersList", "items": users}

    def operations(self, call: Call) -> dict[str, Any]:
        """operations.list, newest first."""
        project = call.path["project"]
        entries = self.state.project(project).get("sql_operations", [])
        items = [self._operation(project, number, entry) for number, entry in enumerate(entries)]
        wanted = call.first("instance")
        kept = [item for item in items if wanted in (None, "-", item["targetId"])]
        kept.sort(key=lambda item: str(item["insertTime"]), reverse=True)
        return {"kind": "sql#operationsList", "items": kept}

    def _operation(self, project: str, number: int, entry: dict[str, Any]) -> dict[str, Any]:
        start = self.state.at(entry["at"])
        name = f"{_hex(f'{project}{number}', 8)}-0000-4000-8000-{number:012d}"
        record = {
            "kind": "sql#operation",
            "name": name,
            "operationType": entry["type"],
            "status": entry.get("status", "DONE"),
            "user": entry["user"],
            "targetId": entry["instance"],
            "targetProject": project,
            "targetLink": f"{_API}/projects/{project}/instances/{entry['instance']}",
            "selfLink": f"{_API}/projects/{project}/operations/{name}",
            "insertTime": stamp(start),
            "startTime": stamp(start),
            "endTime": stamp(start + timedelta(minutes=entry.get("minutes", 5))),
        }
        if entry.get("error"):
            record["error"] = {
                "kind": "sql#operationErrors",
                "errors": [{"kind": "sql#operationError", "code": "INTERNAL_ERROR", "message": entry["error"]}],
            }
        if entry.get("export_uri"):
            record["exportContext"] = {"kind": "sql#exportContext", "uri": entry["export_uri"], "fileType": "SQL"}
        return record

    # -- connecting ---------------------------------------------------------------------------------------------------

    def connect_settings(self, call: Call) -> dict[str, Any]:
        """connectSettings: the address is the sandbox's proxy."""
        it = self._one(call)
        address = self.proxy_address or "10.20.0.3"
        kinds = [entry["type"] for entry in _addresses(it)]
        return {
            "kind": "sql#connectSettings",
            "region": it["region"],
            "backendType": "SECOND_GEN",
            "databaseVersion": it.get("version", "POSTGRES_17"),
            "serverCaMode": "GOOGLE_MANAGED_INTERNAL_CA",
            "ipAddresses": [{"type": kind, "ipAddress": address} for kind in kinds],
            "serverCaCert": self._server_certificate(call.path["instance"], it),
        }

    def ephemeral_certificate(self, call: Call) -> dict[str, Any]:
        """generateEphemeralCert: signs the caller's public key for an hour."""
        self._one(call)
        try:
            certificate = self.authority.sign_client(call.body["public_key"].encode())
        except (KeyError, ValueError):
            raise errors.invalid("Invalid value for field public_key.") from None
        return {
            "ephemeralCert": {
                "kind": "sql#sslCert",
                "cert": certificate.decode(),
                "commonName": call.token.email,
                "instance": call.path["instance"],
            }
        }


def _latest(first: datetime, now: datetime) -> datetime:
    """The last of the daily moments that began with `first`."""
    return first + max(now - first, timedelta(0)) // timedelta(days=1) * timedelta(days=1)


def _addresses(it: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    if it.get("ipv4"):
        found.append({"type": "PRIMARY", "ipAddress": "203.0.113.10"})
    if it.get("private_network"):
        found.append({"type": "PRIVATE", "ipAddress": it.get("private_address", "10.20.0.3")})
    return found


def _settings(it: dict[str, Any]) -> dict[str, Any]:
    settings = {
        "kind": "sql#settings",
        "tier": it.get("tier", "db-custom-4-16384"),
        "edition": "ENTERPRISE",
        "availabilityType": it.get("availability", "REGIONAL"),
        "settingsVersion": "41",
        "userLabels": it.get("labels", {}),
        "ipConfiguration": _ip_configuration(it),
        "databaseFlags": [{"name": n, "value": v} for n, v in sorted(it.get("flags", {}).items())],
        "deletionProtectionEnabled": it.get("deletion_protection", True),
        "maintenanceWindow": {"kind": "sql#maintenanceWindow", "day": it.get("maintenance_day", 7), "hour": 3},
        "insightsConfig": it.get("insights", {}),
        "storageAutoResize": it.get("storage_auto_resize", True),
        "storageAutoResizeLimit": "500",
        "dataApiAccess": it.get("data_api", "DISALLOW_DATA_API"),
        "connectorEnforcement": it.get("connector_enforcement", "NOT_REQUIRED"),
        "backupConfiguration": _backup_configuration(it),
    }
    if it.get("password_policy"):
        settings["passwordValidationPolicy"] = {"enablePasswordPolicy": True, **it["password_policy"]}
    if "final_backup_days" in it:
        settings["finalBackupConfig"] = {"enabled": True, "retentionDays": it["final_backup_days"]}
    if "retain_backups_on_delete" in it:
        settings["retainBackupsOnDelete"] = it["retain_backups_on_delete"]
    return settings


def _ip_configuration(it: dict[str, Any]) -> dict[str, Any]:
    networks = [{"kind": "sql#aclEntry", "name": n, "value": v} for n, v in it.get("authorized_networks", {}).items()]
    found = {
        "ipv4Enabled": it.get("ipv4", False),
        "authorizedNetworks": networks,
        "requireSsl": it.get("require_ssl", False),
        "sslMode": it["ssl_mode"],
        "pscConfig": {"pscEnabled": it.get("psc", False)},
        "serverCaMode": "GOOGLE_MANAGED_INTERNAL_CA",
    }
    if it.get("private_network"):
        found["privateNetwork"] = it["private_network"]
    return found


def _backup_configuration(it: dict[str, Any]) -> dict[str, Any]:
    plan = it.get("backups", {})
    found = {
        "kind": "sql#backupConfiguration",
        "enabled": plan.get("enabled", False),
        "startTime": plan["at"][11:16] if plan else "02:00",
        "backupTier": "STANDARD",
        "pointInTimeRecoveryEnabled": plan.get("point_in_time", False),
        "transactionLogRetentionDays": plan.get("log_days", 7),
        "backupRetentionSettings": {"retainedBackups": plan.get("retained", 7), "retentionUnit": "COUNT"},
    }
    if plan.get("location"):
        found["location"] = plan["location"]
    return found


def _hex(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
