"""Tables of Cloud SQL: instances, backup runs, users, operations."""

from __future__ import annotations

from compliancectl.collectors.gcp.shaping import columns, describe, project_column, resource_column
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct

_i = describe("sqladmin.v1#DatabaseInstance")
_b = describe("sqladmin.v1#BackupRun")
_u = describe("sqladmin.v1#User")
_o = describe("sqladmin.v1#Operation")
_INSTANCE = "//cloudsql.googleapis.com/projects/P/instances/I"
_FLAG = struct(name=TEXT, value=TEXT)
_POLICY = "settings.passwordValidationPolicy"

INSTANCE = Table(
    "gcp.sql_instance",
    "One row per Cloud SQL instance, replicas and clones included.",
    columns(
        project_column(),
        resource_column(_INSTANCE),
        _i("name", TEXT, "name", "Name of the instance within its project.", required=True),
        _i("instance_type", TEXT, "instanceType", "CLOUD_SQL_INSTANCE, READ_REPLICA_INSTANCE, READ_POOL_INSTANCE …"),
        _i("state", TEXT, "state", "RUNNABLE, SUSPENDED, MAINTENANCE …"),
        _i("database_version", TEXT, "databaseVersion", "For example POSTGRES_17."),
        _i("region", TEXT, "region", "Region where the instance runs."),
        _i("created", TIME, "createTime", "When the instance was created."),
        _i("primary_instance", TEXT, "masterInstanceName", "For a replica: the instance that it copies."),
        _i("tier", TEXT, "settings.tier", "Machine tier."),
        _i("availability_type", TEXT, "settings.availabilityType", "ZONAL or REGIONAL."),
        _i("deletion_protection", BOOL, "settings.deletionProtectionEnabled", "Deleting the instance is refused."),
        _i("ipv4_enabled", BOOL, "settings.ipConfiguration.ipv4Enabled", "The instance has a public IPv4 address."),
        _i("private_network", TEXT, "settings.ipConfiguration.privateNetwork", "VPC network of its private address."),
        _i("psc_enabled", BOOL, "settings.ipConfiguration.pscConfig.pscEnabled", "Private Service Connect is on."),
        _i(
            "authorized_networks",
            ListOf(_FLAG),
            "settings.ipConfiguration.authorizedNetworks[]",
            "Address ranges that may reach the public address.",
        ),
        _i(
            "ip_addresses",
            ListOf(struct(type=TEXT)),
            "ipAddresses[].type",
            "Kinds of address it has: PRIMARY, PRIVATE …",
        ),
        _i("data_api_access", TEXT, "settings.dataApiAccess", "ALLOW_DATA_API lets SQL be run through the Admin API."),
        _i(
            "ssl_mode",
            TEXT,
            "settings.ipConfiguration.sslMode",
            "Which connections are accepted; wins over require_ssl.",
        ),
        _i("require_ssl", BOOL, "settings.ipConfiguration.requireSsl", "Older switch for TLS with client certificate."),
        _i(
            "connector_enforcement",
            TEXT,
            "settings.connectorEnforcement",
            "REQUIRED: only Cloud SQL connectors may connect.",
        ),
        _i("database_flags", ListOf(_FLAG), "settings.databaseFlags[]", "Database flags that are set, as text."),
        Column(
            "iam_authentication",
            BOOL,
            "The flag cloudsql.iam_authentication is on; false when it is not set.",
            "derived: sqladmin.v1 DatabaseInstance settings.databaseFlags",
        ),
        _i("server_ca_expires", TIME, "serverCaCert.expirationTime", "When the server's CA certificate expires."),
        _i("backup_enabled", BOOL, "settings.backupConfiguration.enabled", "Automated backups are on."),
        _i(
            "backup_start_time",
            TEXT,
            "settings.backupConfiguration.startTime",
            "Start of the daily window, HH:MM in UTC.",
        ),
        _i("backup_location", TEXT, "settings.backupConfiguration.location", "Where backups are configured to go."),
        _i(
            "backup_tier",
            TEXT,
            "settings.backupConfiguration.backupTier",
            "STANDARD, ENHANCED …: who manages the backups.",
        ),
        _i(
            "retained_backups",
            INT,
            "settings.backupConfiguration.backupRetentionSettings.retainedBackups",
            "How many automated backups are kept. A count, not days.",
        ),
        _i(
            "retention_unit",
            TEXT,
            "settings.backupConfiguration.backupRetentionSettings.retentionUnit",
            "What retained_backups counts: COUNT.",
        ),
        _i(
            "transaction_log_retention_days",
            INT,
            "settings.backupConfiguration.transactionLogRetentionDays",
            "Days of transaction logs kept for point-in-time recovery.",
        ),
        _i(
            "pitr_enabled",
            BOOL,
            "settings.backupConfiguration.pointInTimeRecoveryEnabled",
            "Point-in-time recovery is on.",
        ),
        _i(
            "final_backup_days",
            INT,
            "settings.finalBackupConfig.retentionDays",
            "Days a final backup outlives the instance.",
        ),
        _i(
            "retain_backups_on_delete",
            BOOL,
            "settings.retainBackupsOnDelete",
            "Backups stay when the instance is deleted.",
        ),
        _i("password_min_length", INT, f"{_POLICY}.minLength", "Shortest password that the policy accepts."),
        _i("password_complexity", TEXT, f"{_POLICY}.complexity", "COMPLEXITY_DEFAULT: four kinds of characters."),
        _i(
            "password_reuse_interval",
            INT,
            f"{_POLICY}.reuseInterval",
            "How many former passwords cannot be used again.",
        ),
        _i("password_no_user_name", BOOL, f"{_POLICY}.disallowUsernameSubstring", "The user's name cannot be in it."),
        Column(
            "password_policy",
            BOOL,
            "A password policy is in force; false when none is set.",
            f"derived: sqladmin.v1 DatabaseInstance {_POLICY}.enablePasswordPolicy",
        ),
        _i("installed_version", TEXT, "databaseInstalledVersion", "For example POSTGRES_17_5."),
        _i(
            "maintenance_version",
            TEXT,
            "maintenanceVersion",
            "Build that runs; its name ends with the day it was made.",
        ),
        Column(
            "available_maintenance",
            ListOf(TEXT),
            "Newer builds that it could be brought to.",
            "sqladmin.v1#DatabaseInstance:availableMaintenanceVersions[]",
        ),
        _i("maintenance_day", INT, "settings.maintenanceWindow.day", "Day for maintenance, 1 (Monday) to 7; 0: any."),
        Column(
            "final_backup",
            BOOL,
            "A last backup is made when the instance is deleted; false when it is not set.",
            "derived: sqladmin.v1 DatabaseInstance settings.finalBackupConfig.enabled",
        ),
        _i("storage_auto_resize", BOOL, "settings.storageAutoResize", "Storage grows when it fills up."),
        _i("storage_limit_gb", INT, "settings.storageAutoResizeLimit", "Up to how much, in GB; 0: no limit."),
        Column(
            "query_insights",
            BOOL,
            "Query Insights is on; false when it is not set.",
            "derived: sqladmin.v1 DatabaseInstance settings.insightsConfig.queryInsightsEnabled",
        ),
        Column(
            "client_address_recorded",
            BOOL,
            "Query Insights keeps the address of the client; false when it is off.",
            "derived: sqladmin.v1 DatabaseInstance settings.insightsConfig.recordClientAddress",
        ),
        _i(
            "kms_key", TEXT, "diskEncryptionConfiguration.kmsKeyName", "Customer-managed key; absent: Google's own key."
        ),
        Column(
            "disk_encryption",
            TEXT,
            "`customer-managed` when a key is named, else `google-managed`.",
            "derived: sqladmin.v1 DatabaseInstance diskEncryptionConfiguration.kmsKeyName",
        ),
    ),
    key=("resource",),
    permissions=("cloudsql.instances.list",),
    drops=(
        "rootPassword, replica and on-premises passwords: secrets",
        "settings.userLabels of names not listed in `label_names`: may name people",
    ),
)

BACKUP_RUN = Table(
    "gcp.sql_backup_run",
    "One row per backup run that Cloud SQL still lists. Expired runs are not listed any more.",
    columns(
        project_column(),
        resource_column(f"{_INSTANCE}/backupRuns/ID"),
        Column("instance", TEXT, f"Full resource name of the instance: `{_INSTANCE}`.", "derived", required=True),
        _b("id", TEXT, "id", "Identifier of the run, unique within its instance.", required=True),
        _b("type", TEXT, "type", "AUTOMATED, ON_DEMAND or FINAL."),
        _b("status", TEXT, "status", "SUCCESSFUL, FAILED, RUNNING …", required=True),
        _b("window_start", TIME, "windowStartTime", "Start of the backup window that the run belongs to."),
        _b("started", TIME, "startTime", "When the run began."),
        _b("ended", TIME, "endTime", "When the run ended."),
        _b("error", TEXT, "error.message", "Why a failed run failed."),
        _b("location", TEXT, "location", "Region or multi-region where the backup is."),
        _b(
            "kms_key",
            TEXT,
            "diskEncryptionConfiguration.kmsKeyName",
            "Customer-managed key of the backup; absent: Google's.",
        ),
    ),
    key=("resource",),
    permissions=("cloudsql.backupRuns.list",),
    drops=("description: free text of a person",),
)

USER = Table(
    "gcp.sql_user",
    "One row per database user that the Admin API knows, of instances that are not replicas.",
    columns(
        project_column(),
        resource_column(f"{_INSTANCE}/users/NAME@HOST"),
        Column("instance", TEXT, f"Full resource name of the instance: `{_INSTANCE}`.", "derived", required=True),
        _u(
            "name",
            TEXT,
            "name",
            "Name of the user; e-mail addresses outside `staff_domains` are redacted.",
            required=True,
        ),
        _u("host", TEXT, "host", "Host it may come from; not used by PostgreSQL."),
        Column(
            "type",
            TEXT,
            "BUILT_IN, CLOUD_IAM_USER, CLOUD_IAM_SERVICE_ACCOUNT …; BUILT_IN when the API leaves it out.",
            "sqladmin.v1#User:type",
        ),
        _u("database_roles", ListOf(TEXT), "databaseRoles", "Database roles it was given through the Admin API."),
    ),
    key=("resource",),
    permissions=("cloudsql.instances.list", "cloudsql.users.list"),
    drops=(
        "password, iamEmail: secrets and personal data",
        "name of people outside `staff_domains`: personal data",
    ),
)

OPERATION = Table(
    "gcp.sql_operation",
    "One row per administrative operation on a Cloud SQL instance that Cloud SQL still lists.",
    columns(
        project_column(),
        resource_column("//cloudsql.googleapis.com/projects/P/operations/ID"),
        Column("instance", TEXT, f"Full resource name of the instance operated on: `{_INSTANCE}`.", "derived"),
        _o("type", TEXT, "operationType", "RESTORE_VOLUME, CLONE, BACKUP_VOLUME, UPDATE …"),
        _o("status", TEXT, "status", "DONE, RUNNING, PENDING."),
        _o("started", TIME, "startTime", "When it began."),
        _o("ended", TIME, "endTime", "When it ended."),
        _o("user", TEXT, "user", "Who started it; addresses outside `staff_domains` are redacted."),
        _o("target", TEXT, "targetId", "Name of the instance operated on."),
        Column(
            "failed",
            BOOL,
            "The operation ended with errors.",
            "derived: sqladmin.v1 Operation error.errors",
        ),
        Column("export_bucket", TEXT, "Of an export, the bucket that it went to.", "derived: exportContext.uri"),
    ),
    key=("resource",),
    permissions=("cloudsql.instances.get",),
    drops=(
        "user outside `staff_domains`: personal data",
        "importContext, and of exportContext all but the bucket: may hold object names with personal data",
    ),
)
