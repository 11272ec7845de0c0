"""The least rights that the collector needs, ready to paste."""

from __future__ import annotations

TEXT = """\
# PostgreSQL

The collector reads system catalogues, which every role may read, and counts. It needs no right to any table.

```sql
-- A role that owns nothing. Put its password into a password file (PGPASSFILE), never into the scope file.
CREATE ROLE compliance_ro LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS CONNECTION LIMIT 8;
ALTER ROLE compliance_ro SET default_transaction_read_only = on;
GRANT CONNECT ON DATABASE app TO compliance_ro;
```

On Cloud SQL use IAM instead of a password: create the user with type CLOUD_IAM_SERVICE_ACCOUNT, give the service
account roles/cloudsql.client and roles/cloudsql.instanceUser, and `GRANT CONNECT ON DATABASE app` to it. Users that
the console or gcloud make with a password become members of cloudsqlsuperuser; do not use one of those.

Optional, table by table:

```sql
-- postgres.setting: settings that only superusers see: ssl_min_protocol_version, shared_preload_libraries
GRANT pg_read_all_settings TO compliance_ro;

-- postgres.hba_rule, on a self-managed server (a managed one does not allow it, and the collector does not ask)
GRANT SELECT ON pg_catalog.pg_hba_file_rules TO compliance_ro;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO compliance_ro;

-- postgres.isolation_probe: to take the application's role for the length of a READ ONLY transaction
GRANT app TO compliance_ro WITH INHERIT FALSE, SET TRUE;   -- PostgreSQL 16 or later
-- before 16: ALTER ROLE compliance_ro NOINHERIT; GRANT app TO compliance_ro;
-- and for each schema that only policies name (a schema of helpers): GRANT USAGE ON SCHEMA private TO compliance_ro;

-- postgres.role_permission: the application's list of roles and permissions, which holds nobody's data
GRANT USAGE ON SCHEMA public TO compliance_ro;
GRANT SELECT (role, permission) ON public.role_permissions TO compliance_ro;

-- postgres.cron_run, where pg_cron is installed: see below
```

Every role under `app_roles` needs the grant of its own name. The probes evaluate the policies' expressions and count
rows as that role; they write nothing, and no row's value is kept. Without the grant the probes are reported as denied;
postgres.isolation_rule, which needs CONNECT alone, still says what the catalogue tells.

pg_cron's tables carry row-level security that shows each role its own jobs, and the collector does not accept a filtered
answer: plain grants on them are not enough. A function that runs as the role which schedules the jobs is:
`compliancectl postgres install-views --print` writes it where pg_cron is installed; that role runs the SQL. It returns
jobs and runs without commands and messages. Declare it under `cron_function`.

postgres.aggregate, postgres.departed_tenant_row: functions that return classes and numbers alone, written by the same
command for what `schema_map` and `departed_tenants` declare. postgres.schema_map and postgres.trigger need nothing.
postgres.personal_column needs the application's role, as the probes do, and only where the scope declares `sampling`.

postgres.purge_count: how to count rows under row-level security without BYPASSRLS. The table's owner installs, once,
a role that nobody logs in as, a named policy for SELECT, and a function that returns counts alone. For what the scope
declares under `purge_columns` the same command writes the SQL; by hand it is:

```sql
CREATE ROLE compliance_agg NOLOGIN;
CREATE SCHEMA compliance;
GRANT USAGE ON SCHEMA compliance TO compliance_ro, compliance_agg;
GRANT USAGE ON SCHEMA public TO compliance_agg;
GRANT SELECT (deleted_at, created_at, is_temporary) ON public.conversations TO compliance_agg;
CREATE POLICY compliance_aggregate ON public.conversations FOR SELECT TO compliance_agg USING (true);
CREATE FUNCTION compliance.conversation_purge(purge interval, temp_purge interval)
  RETURNS TABLE (total bigint, soft_deleted bigint, overdue bigint, oldest_deleted_at timestamptz,
                 temporary_rows bigint, temporary_overdue bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
    SELECT count(*), count(*) FILTER (WHERE deleted_at IS NOT NULL),
           count(*) FILTER (WHERE deleted_at < now() - purge), min(deleted_at),
           count(*) FILTER (WHERE is_temporary),
           count(*) FILTER (WHERE is_temporary AND created_at < now() - temp_purge)
    FROM public.conversations $$;
REVOKE ALL ON FUNCTION compliance.conversation_purge FROM PUBLIC;
GRANT EXECUTE ON FUNCTION compliance.conversation_purge TO compliance_ro;
GRANT compliance_agg TO CURRENT_USER;   -- to hand the function over; revoke it afterwards
GRANT CREATE ON SCHEMA compliance TO compliance_agg;
ALTER FUNCTION compliance.conversation_purge OWNER TO compliance_agg;
REVOKE CREATE ON SCHEMA compliance FROM compliance_agg;
REVOKE compliance_agg FROM CURRENT_USER;
```

Declare it in the scope under `purge_functions`, and under `trusted_definers` with the reason and, from
postgres.bypass_object, the digest of its body.
"""
