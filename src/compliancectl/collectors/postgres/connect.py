"""Connections: straight through libpq, or through the Cloud SQL connector; always read-only, never filtered in silence.

`row_security = off` turns a read that policies would filter into an error (42501) instead of fewer rows, so a
count can never be low because the collector was not allowed to see.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from compliancectl.collectors import calls
from compliancectl.errors import CollectError, Denied, Garbage, Missing, SourceFailed, Truncated, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from google.cloud.sql.connector import Connector

    from compliancectl.collectors.postgres.config import CloudSql, Database, PostgresConfig


def preamble(config: PostgresConfig) -> dict[str, str]:
    """The settings of every session, by name."""
    wait = config.timeouts_s
    return {
        "application_name": "compliancectl",
        "default_transaction_read_only": "on",
        "default_transaction_isolation": "repeatable read",
        "row_security": "off",
        "search_path": "pg_catalog",
        "statement_timeout": f"{wait.statement}s",
        "lock_timeout": f"{wait.lock}s",
        "idle_in_transaction_session_timeout": "60s",
        "client_encoding": "UTF8",
        "DateStyle": "ISO",
        "TimeZone": "UTC",
    }


class Door:
    """Opens connections to the databases of one scope section. Thread-safe; one Cloud SQL connector for all."""

    def __init__(self, config: PostgresConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._connectors: dict[bool, Connector] = {}

    @contextmanager
    def connect(self, database: Database, *, writable: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection with the preamble set; what goes wrong inside becomes a `CollectError`.

        Args:
            database: where to.
            writable: transactions may write, for probes that are rolled back; only where the scope says `clone: true`.
        """
        import psycopg

        try:
            connection = self._open(database)
        except psycopg.Error as error:
            raise at_connect(error, database) from None
        try:
            if writable and not database.clone:
                raise AssertionError("only a clone is ever opened for writing")
            for name, value in preamble(self._config).items():
                connection.execute("select pg_catalog.set_config(%s, %s, false)", (name, value))
            connection.commit()
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = not writable
            yield connection
        except psycopg.Error as error:
            raise in_session(error, database) from None
        finally:
            connection.close()

    def close(self) -> None:
        """Let go of the Cloud SQL connector's threads."""
        with self._lock:
            for connector in self._connectors.values():
                connector.close()
            self._connectors.clear()

    def _open(self, database: Database) -> psycopg.Connection[Any]:
        import psycopg

        if database.cloud_sql is not None:
            return self._open_cloud_sql(database, database.cloud_sql)
        return psycopg.connect(
            database.dsn or "", connect_timeout=self._config.timeouts_s.connect, application_name="compliancectl"
        )

    def _open_cloud_sql(self, database: Database, where: CloudSql) -> psycopg.Connection[Any]:
        import psycopg

        try:
            connector = self._connector(where.iam)
            return connector.connect(  # type: ignore[no-any-return]
                where.instance,
                "psycopg",
                user=where.user,
                db=where.database,
                ip_type=where.ip_type,
                enable_iam_auth=where.iam,
            )
        except psycopg.Error:
            raise
        except Exception as error:  # the connector lets through what google-auth, aiohttp and ssl raise
            raise at_connector(error, database, where) from None

    def _connector(self, iam: bool) -> Connector:
        with self._lock:
            if iam not in self._connectors:
                self._connectors[iam] = self._new_connector(iam)
            return self._connectors[iam]

    def _new_connector(self, iam: bool) -> Connector:
        import google.auth
        from google.cloud.sql.connector import Connector

        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        return Connector(
            credentials=credentials,
            refresh_strategy="LAZY",
            enable_iam_auth=iam,
            timeout=self._config.timeouts_s.connect,
            sqladmin_api_endpoint=self._config.endpoints.sqladmin,
            user_agent="compliancectl",
        )


def at_connect(error: psycopg.Error, database: Database) -> CollectError:
    """What a failed login means. libpq gives no SQLSTATE here, so its own English messages are read."""
    # Which socket or address it was is the endpoint's to say; the Cloud SQL connector makes another socket each time.
    text = _WHERE.sub("", clean(str(error)))
    subject = f"database {database.name} ({database.endpoint})"
    if re.search(
        r"password authentication failed|no pg_hba.conf entry|pg_hba.conf rejects|role \".*\" does not exist|no password supplied"
        r"|authentication failed|not permitted to log in|permission denied for database",
        text,
    ):
        return Denied(
            f"{subject}: login refused: {text}",
            hint="Check the role, its password file or its IAM login, and that it has CONNECT on the database.",
        )
    if re.search(r"database \".*\" does not exist", text):
        return Missing(f"{subject}: {text}", hint="Correct the database in the scope file.")
    if re.search(r"definition of service .* not found|service file .* not found", text):
        return Missing(f"{subject}: {text}", hint="Name a service that PGSERVICEFILE defines.")
    if re.search(
        r"expected authentication request from server|received invalid response|invalid length of message"
        r"|lost synchronization",
        text,
    ):
        return Garbage(f"{subject}: what answers is not PostgreSQL: {text}", hint="Check the host and the port.")
    return Unreachable(f"{subject}: no connection: {text}", hint="Check host, port, network path and TLS settings.")


_WHERE = re.compile(r'connection to server (?:on socket "[^"]*"|at "[^"]*"(?: \([^)]*\))?, port \d+) failed: ')


def at_connector(error: Exception, database: Database, where: CloudSql) -> CollectError:
    """What a failure of the Cloud SQL connector means, before any PostgreSQL spoke."""
    from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

    subject = f"database {database.name} ({where.instance})"
    text = clean(str(error)) or type(error).__name__
    status = getattr(error, "status", None)
    if isinstance(error, (DefaultCredentialsError, RefreshError)):
        return Denied(
            f"{subject}: no usable Google credentials: {text}", hint="Run `gcloud auth application-default login`."
        )
    if isinstance(error, TransportError):
        return Unreachable(
            f"{subject}: no token{calls.where(error)}: {calls.why(error)}",
            hint="Check the network, and the token_uri of the credentials.",
        )
    if status in (401, 403):
        return Denied(
            f"{subject}: the Cloud SQL Admin API refused: {text}",
            hint="Grant roles/cloudsql.client and roles/cloudsql.instanceUser.",
        )
    if status == 404:
        return Missing(f"{subject}: no such instance: {text}", hint="Correct cloud_sql.instance in the scope file.")
    if status is not None:
        return SourceFailed(f"{subject}: the Cloud SQL Admin API answered {status}: {text}")
    if type(error).__name__ == "CloudSQLIPTypeError":
        return Missing(
            f"{subject}: the instance has no {where.ip_type} address: {text}",
            hint="Set cloud_sql.ip_type to a type that the instance has.",
        )
    if isinstance(error, ValueError) and "region was mismatched" in text:
        return Missing(
            f"{subject}: the instance is in another region: {text}",
            hint="Correct the region in cloud_sql.instance in the scope file.",
        )
    if isinstance(error, (OSError, TimeoutError)):
        return Unreachable(f"{subject}: no connection: {text}", hint="Check the network path to the instance.")
    return SourceFailed(f"{subject}: the Cloud SQL connector failed: {type(error).__name__}: {text}")


def in_session(error: psycopg.Error, database: Database) -> CollectError:
    """What an error after login means, by SQLSTATE."""
    import psycopg

    state = error.sqlstate or ""
    text = clean(error.diag.message_primary or str(error))
    subject = f"database {database.name}"
    if state == "42501":
        return _refused(text, subject)
    if state in ("28000", "28P01"):
        return Denied(f"{subject}: login refused: {text}")
    if state == "57014":
        return SourceFailed(
            f"{subject}: a query took longer than statement_timeout allows (57014)",
            hint="Raise timeouts_s.statement, or look for what holds the database up.",
        )
    if state == "55P03":
        return SourceFailed(
            f"{subject}: a table stayed locked for longer than lock_timeout allows (55P03)",
            hint="Collect again when the migration or maintenance that holds the lock has ended.",
        )
    if state == "40001" and "recovery" in text:
        return SourceFailed(
            f"{subject}: the replica cancelled a query to go on with what its primary sent (40001)",
            hint="Collect again, or set hot_standby_feedback or max_standby_streaming_delay on the replica.",
        )
    if state == "0A000" and "during recovery" in text:
        return SourceFailed(
            f"{subject}: a replica has no rows of unlogged tables: {text} (0A000)",
            hint="Collect this from the primary.",
        )
    if state in ("42P01", "42883", "3F000", "42703"):
        return Missing(f"{subject}: {text} ({state})", hint="Correct the scope file, or create what it names.")
    if state.startswith(("08", "57P")) or not state or isinstance(error, psycopg.OperationalError):
        return Truncated(f"{subject}: the connection broke in the middle: {text}", hint="Collect again.")
    return SourceFailed(f"{subject}: {text} ({state})")


def _refused(text: str, subject: str) -> Denied:
    if "row-level security" in text:
        return Denied(
            f"{subject}: policies would hide rows from the collector, so nothing was counted: {text} (42501)",
            hint="Install the aggregate function that `compliancectl collectors permissions postgres` prints, "
            "and name it under purge_functions.",
        )
    match = re.search(r"permission denied for (\w+(?: \w+)?) (\S+)$", text)
    if match is None:
        return Denied(f"{subject}: {text} (42501)", hint="See `compliancectl collectors permissions postgres`.")
    kind, name = match.groups()
    privilege = {"function": "EXECUTE ON FUNCTION", "schema": "USAGE ON SCHEMA"}.get(kind, "SELECT ON")
    return Denied(f"{subject}: {text} (42501)", hint=f"GRANT {privilege} {name} to the collector's role.")


_SECRET = re.compile(r"(password|token|secret)\s*=\s*\S+", re.IGNORECASE)


def clean(text: str) -> str:
    """One line, without anything that looks like a secret."""
    return _SECRET.sub(r"\1=…", " ".join(text.split()))
