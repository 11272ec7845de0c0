"""The company's database: a real PostgreSQL with the application's schema, roles, policies and seeded rows."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.sandbox import company as definition
from compliancectl.sandbox.postgres.server import Server, Version
from compliancectl.sandbox.postgres.server import start as start_server

if TYPE_CHECKING:
    import psycopg

    from compliancectl.sandbox.company import Company
    from compliancectl.sandbox.web import WebServer

DATABASE = "app"
READER = "compliance_ro"
IAM_READER = "compliance-reader@larkspur-prod.iam"
INSTANCE = "larkspur-prod:europe-west3:app-db"

# Cloud SQL checks the IAM token at its proxy, before PostgreSQL; the IAM reader is trusted here for the same reason.
RULES = f"""\
local all postgres               trust
local all "{IAM_READER}"         trust
local all all                    scram-sha-256
"""


@dataclass
class Part:
    """The running database."""

    server: Server
    env: dict[str, str]
    scope: dict[str, Any]
    """Reached directly, with a password from the password file."""
    declarations: dict[str, Any] = field(default_factory=dict)
    managed: bool = True
    """False: the company runs the server itself, so it is not to be reached through Cloud SQL."""
    web: WebServer | None = None

    @property
    def socket(self) -> Path:
        """The socket itself, for the Cloud SQL proxy to lead to."""
        return self.server.folder / ".s.PGSQL.5432"

    def cloud_sql_scope(self, sqladmin: str) -> dict[str, Any]:
        """The scope section that reaches the database through the Cloud SQL connector, as IAM user."""
        where = {"instance": INSTANCE, "database": DATABASE, "user": IAM_READER, "iam": True, "ip_type": "PRIVATE"}
        return {
            "databases": [{**copy.deepcopy(self.declarations), "cloud_sql": where}],
            "endpoints": {"sqladmin": sqladmin},
        }

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self.server.stop()


def start(company: Company, folder: Path, *, version: Version = 16) -> Part:
    """Start PostgreSQL, load the application with the company's faults, and write the reader's password file."""
    facts = company.sections["postgres"]
    self_managed = facts["self_managed"]
    settings = facts["server_settings"] if self_managed else {}
    server = start_server(version, RULES, settings, checksums=facts["data_checksums"])
    try:
        password = secrets.token_hex(16)
        load(
            server,
            DATABASE,
            company.sql,
            self_managed=self_managed,
            password=password,
            cron_jobs=facts["cron_jobs"],
            audit=facts["audit"],
        )
        if self_managed:  # from here on nobody is let in for being the sandbox
            server.rules_file.write_text(facts["connection_rules"], encoding="utf-8")
            server.reload()
    except BaseException:
        server.stop()
        raise
    passwords = folder / "pgpass"
    passwords.write_text(f"*:*:*:{READER}:{password}\n", encoding="utf-8")
    passwords.chmod(0o600)
    declarations = facts["declarations"]
    dsn = f"host={server.folder} dbname={DATABASE} user={READER}"
    return Part(
        server=server,
        env={"PGPASSFILE": str(passwords)},
        declarations=declarations,
        managed=not self_managed,
        scope={"databases": [{**copy.deepcopy(declarations), "dsn": dsn}]},
    )


def load(
    server: Server,
    database: str,
    faults: Iterable[str] = (),
    *,
    self_managed: bool,
    password: str,
    cron_jobs: Mapping[str, Any] | None = None,
    audit: Mapping[str, Any] | None = None,
) -> None:
    """Create the database and everything in it; then what the faults change."""
    from psycopg import sql

    name = sql.Identifier(database)
    with server.connect() as connection:
        connection.execute("create role app_owner nologin")
        connection.execute(sql.SQL("create database {} owner app_owner").format(name))
        if not self_managed:
            connection.execute("create role cloudsqladmin superuser login")
    with server.connect(database) as connection:
        connection.execute((definition.FOLDER / "application.sql").read_bytes())
        connection.execute("set password_encryption = 'scram-sha-256'")  # the reader's own, whatever others get
        connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(READER), password))
        if self_managed:
            connection.execute(f"grant select on pg_hba_file_rules to {READER}".encode())
            connection.execute(f"grant execute on function pg_hba_file_rules() to {READER}".encode())
        if cron_jobs:
            _schedule(connection, cron_jobs)
        if audit:
            _audit(connection, audit)
        for statement in faults:
            connection.execute(statement.encode())
        connection.execute("analyze")


def _schedule(connection: psycopg.Connection[Any], jobs: Mapping[str, Any]) -> None:
    """Put jobs of pg_cron and their successful runs of the last half year into the database."""
    connection.execute((definition.FOLDER / "pg_cron.sql").read_bytes())
    for number, (name, it) in enumerate(sorted(jobs.items()), 1):
        connection.execute(
            "insert into cron.job (jobid, jobname, schedule, command) values (%s, %s, %s, %s)",
            (number, name, it["schedule"], "select 'SEEDED-SECRET-command'"),
        )
        connection.execute(
            "insert into cron.job_run_details (jobid, database, username, command, status, start_time, end_time) "
            "select %s, current_database(), current_user, 'select 1', 'succeeded', at, at + interval '1 minute' "
            "from generate_series(%s::timestamptz, %s::timestamptz - interval '180 days', -make_interval(days => %s)) at",
            (number, it["last"], it["last"], it["every_days"]),
        )


def _audit(connection: psycopg.Connection[Any], audit: Mapping[str, Any]) -> None:
    """Make the server look as one does that pgaudit watches."""
    with connection.transaction():
        connection.execute("set local allow_system_table_mods = on")
        connection.execute((definition.FOLDER / "pgaudit.sql").read_bytes())
        for name, value in {"shared_preload_libraries": audit["libraries"], **audit["settings"]}.items():
            connection.execute("insert into pg_catalog.larkspur_audit values (%s, %s)", (name, value))
        if audit["extension"]:
            connection.execute(
                "insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) "
                "values (15998, 'pgaudit', 10, 'public'::regnamespace, true, '16.0')"
            )
