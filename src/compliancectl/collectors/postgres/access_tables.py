"""The tables about access and about data that should be gone: roles, grants, side doors, purge counts."""

from __future__ import annotations

from compliancectl.collectors.postgres.tables import NO_GRANT, identity
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table

ROLE = Table(
    "postgres.role",
    "One row per role, PostgreSQL's own pg_* roles left out.",
    (
        *identity("`database/role`."),
        Column("name", TEXT, "Role.", "pg_roles.rolname", required=True),
        Column("can_login", BOOL, "Whether it can log in.", "pg_roles.rolcanlogin", required=True),
        Column("superuser", BOOL, "Superuser.", "pg_roles.rolsuper", required=True),
        Column("create_role", BOOL, "May create roles.", "pg_roles.rolcreaterole", required=True),
        Column("create_db", BOOL, "May create databases.", "pg_roles.rolcreatedb", required=True),
        Column(
            "replication", BOOL, "May replicate, that is read everything.", "pg_roles.rolreplication", required=True
        ),
        Column("bypass_rls", BOOL, "Policies do not bind it.", "pg_roles.rolbypassrls", required=True),
        Column(
            "member_of",
            ListOf(TEXT),
            "Every role it is a member of, directly or through others, sorted.",
            "pg_auth_members",
            required=True,
        ),
        Column(
            "bypass_through",
            ListOf(TEXT),
            "Those of them that are superusers or bypass policies.",
            "pg_auth_members",
            required=True,
        ),
        Column("valid_until", TIME, "When its password ends; NULL when never.", "pg_roles.rolvaliduntil"),
        Column("declared_app", BOOL, "Whether the scope declares it as the application's.", "scope", required=True),
        Column("break_glass", BOOL, "Whether the scope declares it for emergencies.", "scope", required=True),
        Column(
            "owns_rls_tables",
            INT,
            "Tables with row-level security that it owns, itself or through a role it is in.",
            "pg_class.relowner",
            required=True,
        ),
        Column(
            "unforced_rls_tables_owned",
            INT,
            "Those of them whose policies do not bind their owner.",
            "pg_class.relforcerowsecurity",
            required=True,
        ),
    ),
    ("database", "name"),
    NO_GRANT,
)
PUBLIC_GRANT = Table(
    "postgres.public_grant",
    "One row per privilege that PUBLIC holds on a relation, a column, a schema (CREATE only) or the database.",
    (
        *identity("`database/kind:object/privilege`."),
        Column("kind", TEXT, "`relation`, `column`, `schema` or `database`.", required=True),
        Column("object", TEXT, "What it is held on.", required=True),
        Column("privilege", TEXT, "`SELECT`, `CREATE`, `CONNECT` …", "aclexplode()", required=True),
    ),
    ("database", "kind", "object", "privilege"),
    NO_GRANT,
)
BYPASS_OBJECT = Table(
    "postgres.bypass_object",
    "One row per view, materialized view, foreign table and SECURITY DEFINER function, extensions' own left out.",
    (
        *identity("`database/schema.name`; functions with their parameter types."),
        Column(
            "kind", TEXT, "`view`, `materialized view`, `foreign table` or `security definer function`.", required=True
        ),
        Column("schema", TEXT, "Schema.", "pg_namespace.nspname", required=True),
        Column("name", TEXT, "Object.", required=True),
        Column("owner", TEXT, "Owning role.", required=True),
        Column(
            "options",
            ListOf(TEXT),
            "Options of the view, settings of the function.",
            "pg_class.reloptions, pg_proc.proconfig",
            required=True,
        ),
        Column(
            "reads_tenant_tables",
            BOOL,
            "Whether it reads tables with tenants' data, through other views too; NULL when the "
            "server cannot tell (a function with a body in a string).",
            "pg_depend, pg_rewrite",
        ),
        Column(
            "granted_to_app",
            BOOL,
            "Whether an application role can use it, itself or through a role it is in.",
            "has_*_privilege()",
            required=True,
        ),
        Column(
            "security_invoker",
            BOOL,
            "Whether the view reads with the caller's rights (PostgreSQL 15 or later); NULL for others.",
            "pg_class.reloptions",
        ),
        Column(
            "owner_bound",
            BOOL,
            "Whether policies bind the owner on every table with tenants' data that it reads: then a view without "
            "security_invoker is no way around them. NULL for foreign tables.",
            "pg_roles, pg_class.relforcerowsecurity, pg_policy",
        ),
        Column("search_path", TEXT, "The function's pinned search_path; NULL when it has none.", "pg_proc.proconfig"),
        Column("body_sha256", TEXT, "SHA-256 of the function's body.", "pg_proc.prosrc, prosqlbody"),
        Column(
            "trusted",
            TEXT,
            "Reason why it is trusted; NULL when not declared, or when the body is not the one that was reviewed.",
            "scope",
        ),
    ),
    ("database", "resource"),
    NO_GRANT,
    ("definitions and bodies are never asked for, only a digest",),
)
ROLE_PERMISSION = Table(
    "postgres.role_permission",
    "One row per pair of role and permission of the application that is granted, published, or both.",
    (
        *identity("`database/role/permission`."),
        Column("role", TEXT, "Role of the application, not of the database.", required=True),
        Column("permission", TEXT, "Permission.", required=True),
        Column("granted", BOOL, "Whether the application's table holds the pair.", required=True),
        Column("published", BOOL, "Whether it is published.", "scope", required=True),
    ),
    ("database", "role", "permission"),
    (*NO_GRANT, "USAGE on the schema and SELECT on the two columns that role_matrix names"),
)
PURGE_COUNT = Table(
    "postgres.purge_count",
    "One row per table and kind of data that must disappear in time: how much of it is still there.",
    (
        *identity("`database/schema.table/kind`."),
        Column("table", TEXT, "`schema.table`.", "scope", required=True),
        Column("kind", TEXT, "`soft-deleted` or `temporary`.", "scope", required=True),
        Column(
            "total",
            INT,
            "All rows that the count could see: 0 in a table that is not empty means it saw nothing.",
            required=True,
        ),
        Column("overdue", INT, "Rows older than the limit.", required=True),
        Column("oldest", TIME, "Oldest row of the kind; NULL when there is none, or the function does not say."),
        Column("limit_hours", INT, "How old a row may be, in hours.", "scope", required=True),
        Column(
            "estimated_rows",
            INT,
            "The server's own estimate of all rows; NULL when it was never analysed.",
            "pg_class.reltuples",
        ),
    ),
    ("database", "table", "kind"),
    (*NO_GRANT, "USAGE on the schema of the aggregate function and EXECUTE on it"),
    ("row values are never asked for: counts and one time only",),
)
