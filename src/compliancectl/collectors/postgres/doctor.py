"""What `compliancectl doctor` tries at a database: the login, the role, the declarations, each optional grant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from compliancectl.collectors.base import Diagnosis
from compliancectl.collectors.postgres import aggregates, matrix, purge
from compliancectl.collectors.postgres.queries import query
from compliancectl.errors import CollectError

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import PostgresSession, Snapshot


def examine(session: PostgresSession, database: Database) -> Iterator[Diagnosis]:
    """Diagnose one database, one fact a line; after a failed login there is nothing more to try."""
    subject = f"connection to {database.name}"
    try:
        with session.snapshot(database) as snapshot:
            facts = dict(snapshot.facts)
    except CollectError as error:
        yield _failed(subject, error)
        return
    replica = ", a replica" if facts["is_replica"] == "t" else ""
    yield Diagnosis(
        subject, "ok", f"PostgreSQL {facts['server_version']}{replica} as {facts['session_role']}, read-only"
    )
    yield _role(database, facts)
    if database.cloud_sql is None and facts["has_cloud_sql_admin"] != "t":
        yield _try(session, database, "pg_hba_file_rules", lambda snapshot: snapshot.ask(query("hba_rules")))
    yield _settings(session, database)
    for role in database.app_roles if database.contexts else ():
        yield _membership(session, database, role)
    if database.role_matrix is not None:
        asked = matrix.question(database.role_matrix)
        yield _try(session, database, f"roles and permissions in {database.role_matrix.table}", lambda s: s.ask(asked))
    for kind, function in database.aggregates.functions().items():
        counted = aggregates.question(kind, function)
        yield _try(session, database, f"counts of {kind}", lambda s, w=counted: s.ask(w))  # type: ignore[misc]
    if database.departed_tenants is not None and database.departed_tenants.ended:
        left = aggregates.departed(database.departed_tenants.function)
        yield _try(session, database, "counts of departed tenants", lambda s: s.ask(left, ("",)))
    yield _try(session, database, "jobs of pg_cron", _cron)
    for table, wanted, values in purge.questions(database):
        yield _try(session, database, f"purge count of {table}", lambda s, w=wanted, v=values: s.ask(w, v))  # type: ignore[misc]


def _cron(snapshot: Snapshot) -> None:
    """Ask for no span of time, where pg_cron is installed at all."""
    if snapshot.ask(query("cron_present")).records()[0]["installed"] == "t":
        moment = "2000-01-01T00:00:00Z"
        snapshot.ask(purge.cron_runs(snapshot.database), (moment, moment))


def _role(database: Database, facts: dict[str, str | None]) -> Diagnosis:
    subject = f"role {facts['effective_role']} on {database.name}"
    too_much = [
        word
        for word, key in (("superuser", "effective_superuser"), ("BYPASSRLS", "effective_bypasses_rls"))
        if facts[key] == "t"
    ]
    if too_much:
        return Diagnosis(
            subject,
            "unknown",
            f"has more rights than it needs: {', '.join(too_much)}",
            "Use a role that owns nothing; `compliancectl collectors permissions postgres` prints it.",
        )
    return Diagnosis(subject, "ok", "neither superuser nor BYPASSRLS")


def _membership(session: PostgresSession, database: Database, role: str) -> Diagnosis:
    """Whether the collector may take an application role, which the probes of isolation do."""
    subject = f"role {role} for the probes of isolation on {database.name}"
    try:
        with session.snapshot(database) as snapshot:
            (row,) = snapshot.ask(query("may_take"), (role,)).records()
    except CollectError as error:
        return _failed(subject, error)
    if row["may_take"] == "t":
        return Diagnosis(subject, "ok", "may be taken with SET ROLE")
    return Diagnosis(
        subject,
        "missing",
        "may not be taken with SET ROLE",
        f"GRANT {purge.quoted(role)} TO {purge.quoted(str(row['asks']))} WITH INHERIT FALSE, SET TRUE;",
    )


def _settings(session: PostgresSession, database: Database) -> Diagnosis:
    from compliancectl.collectors.postgres.feeds import FAMILIES, SETTINGS

    subject = f"settings of {database.name}"
    try:
        with session.snapshot(database) as snapshot:
            rows = snapshot.ask(query("settings"), (list(SETTINGS), list(FAMILIES))).records()
    except CollectError as error:
        return _failed(subject, error)
    hidden = [str(row["name"]) for row in rows if row["visibility"] == "hidden or absent"]
    if hidden:
        return Diagnosis(
            subject,
            "missing",
            f"not shown to this role: {', '.join(hidden)}",
            "GRANT pg_read_all_settings to the collector's role.",
        )
    return Diagnosis(subject, "ok", "every setting is shown or known to be absent")


def _try(session: PostgresSession, database: Database, subject: str, ask: Callable[[Snapshot], object]) -> Diagnosis:
    try:
        with session.snapshot(database) as snapshot:
            ask(snapshot)
    except CollectError as error:
        return _failed(f"{subject} on {database.name}", error)
    return Diagnosis(f"{subject} on {database.name}", "ok", "readable")


def _failed(subject: str, error: CollectError) -> Diagnosis:
    return Diagnosis(subject, "missing" if error.status == "denied" else "unknown", error.message, error.hint)
