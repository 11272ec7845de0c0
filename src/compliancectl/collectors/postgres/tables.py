"""The tables about structure: server, relations, policies, columns, foreign keys, extensions, settings, rules, jobs."""

from __future__ import annotations

from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table

NO_GRANT = ("CONNECT on the database",)
LITERALS = "string literals that are not plain words, in expressions: they may be personal data or secrets"


def identity(what: str) -> tuple[Column, Column]:
    """The two columns that every table begins with."""
    return (
        Column("database", TEXT, "The database's name in the scope.", "scope", required=True),
        Column("resource", TEXT, what, required=True),
    )


SERVER = Table(
    "postgres.server",
    "One row per database: the server behind it and the session that asked.",
    (
        *identity("The database's name in the scope."),
        Column("version", TEXT, "Version of the server, in words.", "server_version", required=True),
        Column("version_num", INT, "Version as a number: 160014 is 16.14.", "server_version_num", required=True),
        Column(
            "is_replica",
            BOOL,
            "Whether the server is in recovery, that is a standby.",
            "pg_is_in_recovery()",
            required=True,
        ),
        Column(
            "managed",
            BOOL,
            "Whether a provider runs the server: reached through the Cloud SQL connector, or the role "
            "cloudsqladmin is its superuser.",
            required=True,
        ),
        Column("collected_by", TEXT, "Role that asked.", "session_user", required=True),
        Column(
            "collector_superuser",
            BOOL,
            "Whether that role is a superuser; it needs not be.",
            "pg_roles.rolsuper",
            required=True,
        ),
        Column(
            "system_identifier",
            TEXT,
            "The cluster's own number; NULL when the role may not read it.",
            "pg_control_system()",
        ),
    ),
    ("database",),
    NO_GRANT,
)
RELATION = Table(
    "postgres.relation",
    "One row per ordinary, partitioned or partition table outside the system's schemas.",
    (
        *identity("`database/schema.table`."),
        Column("schema", TEXT, "Schema.", "pg_namespace.nspname", required=True),
        Column("name", TEXT, "Table.", "pg_class.relname", required=True),
        Column("kind", TEXT, "`table` or `partitioned table`.", "pg_class.relkind", required=True),
        Column("owner", TEXT, "Owning role.", "pg_class.relowner", required=True),
        Column("rls_enabled", BOOL, "Whether row-level security is on.", "pg_class.relrowsecurity", required=True),
        Column("rls_forced", BOOL, "Whether it binds the owner too.", "pg_class.relforcerowsecurity", required=True),
        Column(
            "persistence", TEXT, "`permanent`, `unlogged` or `temporary`.", "pg_class.relpersistence", required=True
        ),
        Column(
            "is_partition",
            BOOL,
            "Whether it is a partition of another table.",
            "pg_class.relispartition",
            required=True,
        ),
        Column("tenant_column", TEXT, "Column that holds the tenant; NULL when there is none.", "pg_attribute.attname"),
        Column("tenant_not_null", BOOL, "Whether that column refuses NULL.", "pg_attribute.attnotnull"),
        Column("tenant_leading_index", BOOL, "Whether an index begins with it.", "pg_index.indkey"),
        Column("tenant_fk", BOOL, "Whether a foreign key contains it.", "pg_constraint.conkey"),
        Column(
            "tenant_root",
            BOOL,
            "Whether its rows are the tenants themselves, so that no foreign key is due.",
            "scope",
            required=True,
        ),
        Column("policy_count", INT, "Number of policies.", "pg_policy", required=True),
        Column(
            "estimated_rows", INT, "The server's own estimate; NULL when it was never analysed.", "pg_class.reltuples"
        ),
        Column(
            "extension",
            TEXT,
            "Extension that it belongs to; NULL for the application's own.",
            "pg_depend.deptype = 'e'",
        ),
        Column("declared_shared", TEXT, "Reason why it holds nothing of any tenant; NULL when not declared.", "scope"),
        Column(
            "temporary_content",
            BOOL,
            "Whether the scope declares that it holds temporary content.",
            "scope",
            required=True,
        ),
    ),
    ("database", "schema", "name"),
    NO_GRANT,
)
POLICY = Table(
    "postgres.policy",
    "One row per row-level security policy.",
    (
        *identity("`database/schema.table/policy`."),
        Column("schema", TEXT, "Schema of the table.", "pg_namespace.nspname", required=True),
        Column("table", TEXT, "Table.", "pg_class.relname", required=True),
        Column("name", TEXT, "Policy.", "pg_policy.polname", required=True),
        Column(
            "permissive",
            BOOL,
            "Permissive policies are joined with OR, the others with AND.",
            "pg_policy.polpermissive",
            required=True,
        ),
        Column("command", TEXT, "`ALL`, `SELECT`, `INSERT`, `UPDATE` or `DELETE`.", "pg_policy.polcmd", required=True),
        Column(
            "roles",
            ListOf(TEXT),
            "Roles that it applies to; `PUBLIC` is everybody.",
            "pg_policy.polroles",
            required=True,
        ),
        Column("using_expression", TEXT, "Which rows can be seen or changed.", "pg_policy.polqual"),
        Column("check_expression", TEXT, "Which rows can be written.", "pg_policy.polwithcheck"),
    ),
    ("database", "schema", "table", "name"),
    NO_GRANT,
    (LITERALS,),
)
COLUMN = Table(
    "postgres.column",
    "One row per column of every table, materialized view and foreign table.",
    (
        *identity("`database/schema.table.column`."),
        Column("schema", TEXT, "Schema.", "pg_namespace.nspname", required=True),
        Column("table", TEXT, "Table.", "pg_class.relname", required=True),
        Column("name", TEXT, "Column.", "pg_attribute.attname", required=True),
        Column("type", TEXT, "Type as SQL writes it.", "format_type()", required=True),
        Column("nullable", BOOL, "Whether it may be empty.", "pg_attribute.attnotnull", required=True),
        Column("default", TEXT, "Default expression.", "pg_attrdef.adbin"),
        Column(
            "identity_table",
            BOOL,
            "Whether the scope declares the table as the one with the people who log in.",
            "scope",
            required=True,
        ),
    ),
    ("database", "schema", "table", "name"),
    NO_GRANT,
    (LITERALS,),
)
FOREIGN_KEY = Table(
    "postgres.foreign_key",
    "One row per foreign key.",
    (
        *identity("`database/schema.child/constraint`."),
        Column("name", TEXT, "Constraint.", "pg_constraint.conname", required=True),
        Column("child", TEXT, "`schema.table` that refers.", "pg_constraint.conrelid", required=True),
        Column("parent", TEXT, "`schema.table` that is referred to.", "pg_constraint.confrelid", required=True),
        Column("columns", ListOf(TEXT), "Columns of the child, in order.", "pg_constraint.conkey", required=True),
        Column(
            "on_delete",
            TEXT,
            "What becomes of the child: `CASCADE`, `NO ACTION` …",
            "pg_constraint.confdeltype",
            required=True,
        ),
        Column("validated", BOOL, "Whether old rows were checked too.", "pg_constraint.convalidated", required=True),
    ),
    ("database", "child", "name"),
    NO_GRANT,
)
EXTENSION = Table(
    "postgres.extension",
    "One row per installed extension, and one for pg_cron when it is not installed.",
    (
        *identity("`database/extension`."),
        Column("name", TEXT, "Extension.", "pg_extension.extname", required=True),
        Column("installed", BOOL, "Whether it is installed in this database.", required=True),
        Column("version", TEXT, "Version.", "pg_extension.extversion"),
        Column("schema", TEXT, "Schema of its objects.", "pg_extension.extnamespace"),
    ),
    ("database", "name"),
    NO_GRANT,
)
SETTING = Table(
    "postgres.setting",
    "One row per server setting that controls speak about.",
    (
        *identity("`database/setting`."),
        Column("name", TEXT, "Setting.", "pg_settings.name", required=True),
        Column(
            "setting",
            TEXT,
            "Value; NULL when the role may not see it or the server has no such setting.",
            "pg_settings.setting",
        ),
        Column("unit", TEXT, "Unit of the value.", "pg_settings.unit"),
        Column("source", TEXT, "Where the value comes from.", "pg_settings.source"),
        Column("pending_restart", BOOL, "Whether a new value waits for a restart.", "pg_settings.pending_restart"),
        Column(
            "visibility",
            TEXT,
            "`reported`, `absent`, or `hidden or absent` when only pg_read_all_settings could tell.",
            required=True,
        ),
        Column("managed", BOOL, "Whether a provider runs the server (see postgres.server).", required=True),
    ),
    ("database", "name"),
    (*NO_GRANT, "pg_read_all_settings, for settings that only superusers see"),
)
SETTING_OVERRIDE = Table(
    "postgres.setting_override",
    "One row per setting that is preset for a role or a database.",
    (
        *identity("`database/scope_database/role/setting`."),
        Column(
            "scope_database",
            TEXT,
            "Database that it holds for; `*` is all.",
            "pg_db_role_setting.setdatabase",
            required=True,
        ),
        Column("role", TEXT, "Role that it holds for; `*` is all.", "pg_db_role_setting.setrole", required=True),
        Column("name", TEXT, "Setting.", "pg_db_role_setting.setconfig", required=True),
        Column(
            "value",
            TEXT,
            "Value; removed for settings that the server does not define itself.",
            "pg_db_role_setting.setconfig",
            required=True,
        ),
    ),
    ("database", "scope_database", "role", "name"),
    NO_GRANT,
    ("values of settings that are not PostgreSQL's own: applications keep secrets in them",),
)
HBA_RULE = Table(
    "postgres.hba_rule",
    "One row per connection rule of a self-managed server; a managed server has one row that says so.",
    (
        *identity("`database/hba:file:line`, or `database/hba:managed`."),
        Column(
            "managed",
            BOOL,
            "Whether a provider runs the server, so that the rules are not the customer's.",
            required=True,
        ),
        Column("file", TEXT, "File that holds it (PostgreSQL 16 or later).", "pg_hba_file_rules.file_name"),
        Column("line", INT, "Line in the file.", "pg_hba_file_rules.line_number"),
        Column(
            "type",
            TEXT,
            "`local`, `host`, `hostssl`, `hostnossl`, `hostgssenc`, `hostnogssenc`.",
            "pg_hba_file_rules.type",
        ),
        Column("databases", ListOf(TEXT), "Databases.", "pg_hba_file_rules.database"),
        Column("users", ListOf(TEXT), "Roles.", "pg_hba_file_rules.user_name"),
        Column("address", TEXT, "Client address.", "pg_hba_file_rules.address"),
        Column("netmask", TEXT, "Client netmask.", "pg_hba_file_rules.netmask"),
        Column("method", TEXT, "Authentication method.", "pg_hba_file_rules.auth_method"),
        Column("options", ListOf(TEXT), "Options of the method.", "pg_hba_file_rules.options"),
        Column("error", TEXT, "Why the line does not count.", "pg_hba_file_rules.error"),
    ),
    ("database", "resource"),
    (*NO_GRANT, "self-managed: SELECT on pg_hba_file_rules and EXECUTE on pg_hba_file_rules()"),
    ("options other than map, clientcert, clientname: they may hold bind passwords",),
)
CRON_RUN = Table(
    "postgres.cron_run",
    "One row per run of a pg_cron job in the period; a job without a run has one row without times.",
    (
        *identity("`database/cron:job/run`."),
        Column("job", TEXT, "The job's name, or its number when it has none.", "cron.job.jobname", required=True),
        Column("schedule", TEXT, "Cron expression.", "cron.job.schedule", required=True),
        Column("active", BOOL, "Whether the job is switched on.", "cron.job.active", required=True),
        Column("run", INT, "Number of the run.", "cron.job_run_details.runid"),
        Column("status", TEXT, "`succeeded`, `failed` …", "cron.job_run_details.status"),
        Column("started", TIME, "Start.", "cron.job_run_details.start_time"),
        Column("ended", TIME, "End.", "cron.job_run_details.end_time"),
    ),
    ("database", "resource"),
    (*NO_GRANT, "USAGE on schema cron; SELECT on cron.job and cron.job_run_details, past their row-level security"),
    ("the job's command and its messages are never asked for: they may hold data",),
)
