"""What the scope file says about PostgreSQL: the section `sources.postgres`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from compliancectl.collectors.postgres.application import (
    Aggregates,
    DepartedTenants,
    PersonalColumn,
    Sampling,
    SchemaMap,
)
from compliancectl.model.base import Model

IpType = Literal["PUBLIC", "PRIVATE", "PSC"]


class CloudSql(Model):
    """A database of a Cloud SQL instance, reached through Google's connector: mutual TLS, no password, no open port."""

    instance: str = Field(pattern=r"^[a-z0-9.:-]+:[a-z0-9-]+:[a-z0-9-]+$")
    """`project:region:instance`."""
    database: str
    user: str
    """With IAM: the account without `.gserviceaccount.com`, as the database knows it."""
    iam: bool = True
    """Log in with a short-lived token. Without: with the password that `PGPASSWORD` or the password file holds."""
    ip_type: IpType = "PRIVATE"


class TrustedDefiner(Model):
    """A SECURITY DEFINER function that somebody reviewed."""

    reason: str = Field(min_length=1)
    body_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Pins the review to the body that was reviewed; another body is not trusted."""


class SharedColumn(Model):
    """A column that opens rows to every tenant when it has certain values."""

    reason: str = Field(min_length=1)
    values: tuple[str, ...] = Field(min_length=1)
    """Values with which a row may be seen by everybody, as text: `public`."""


class PurgeCount(Model):
    """One number of overdue rows that an aggregate function returns."""

    kind: Literal["soft-deleted", "temporary"]
    argument: str
    """The function's interval parameter that carries the limit."""
    limit_hours: int = Field(gt=0)
    total: str = "total"
    """Column with the count of all rows: it shows that the function sees the table at all."""
    overdue: str = "overdue"
    oldest: str | None = None


class PurgeFunction(Model):
    """Counts through an aggregate function: the collector needs no right to the table itself."""

    table: str
    function: str = Field(pattern=r"^[^.]+\.[^.]+$")
    """`schema.name`, without parameters."""
    counts: tuple[PurgeCount, ...] = Field(min_length=1)


class PurgeColumn(Model):
    """Counts in the table itself: needs SELECT on the named columns, and fails when row-level security would filter."""

    table: str
    kind: Literal["soft-deleted", "temporary"]
    column: str
    """Timestamp from which the limit runs: `deleted_at`, `created_at`."""
    flag: str | None = None
    """Boolean column that picks the rows meant, e.g. `is_temporary`."""
    limit_hours: int = Field(gt=0)


class RoleMatrix(Model):
    """The application's own table of roles and permissions, and what is published about them."""

    table: str
    """`schema.table`, a list that is the same for all tenants and holds nobody's data."""
    role: str = "role"
    """Column with the role."""
    permission: str = "permission"
    """Column with the permission."""
    published: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Role → its permissions, as the documentation tells the public."""


class ProbeContext(Model):
    """What makes a session somebody: a member of one tenant, or nobody in particular."""

    tenant: str | None = None
    """The tenant's key, as text; None: a session that belongs to no tenant and must see none."""
    role: str | None = None
    """The application role that it takes; None: each of `app_roles`."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Settings as the application makes them for a transaction: `app.organization_id: …`."""


class Database(Model):
    """One database, and what must be declared about it because no catalogue can tell."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """How evidence and reports call it."""
    dsn: str | None = None
    """A libpq connection string, URI or `service=…`, without a password."""
    cloud_sql: CloudSql | None = None
    tenant_keys: tuple[str, ...] = ("organization_id", "org_id", "tenant_id")
    """Column names that hold the tenant; the first that a table has counts."""
    tenant_key_of: dict[str, str] = Field(default_factory=dict)
    """`schema.table` → column, for tables whose tenant key has another name."""
    tenant_root: str | None = None
    """`schema.table` whose rows are the tenants; it has no foreign key to itself."""
    shared_tables: dict[str, str] = Field(default_factory=dict)
    """`schema.table` → the reason why it holds nothing of any tenant."""
    app_roles: tuple[str, ...] = Field(min_length=1)
    """What the application logs in as, and any role it may take."""
    break_glass_roles: tuple[str, ...] = ()
    """Roles that may bypass policies, for emergencies; their use is somebody's watch."""
    trusted_definers: dict[str, str | TrustedDefiner] = Field(default_factory=dict)
    """`schema.function(types)` as PostgreSQL writes it → why it is trusted."""
    temporary_tables: tuple[str, ...] = ()
    """`schema.table` that holds temporary content."""
    identity_table: str | None = None
    """`schema.table` with the people who log in."""
    role_matrix: RoleMatrix | None = None
    purge_functions: tuple[PurgeFunction, ...] = ()
    purge_columns: tuple[PurgeColumn, ...] = ()
    cron_function: str | None = Field(default=None, pattern=r"^[^.]+\.[^.]+$")
    """`schema.name` of a function that returns the jobs of pg_cron and their runs between two instants."""
    schema_map: SchemaMap = SchemaMap()
    aggregates: Aggregates = Aggregates()
    departed_tenants: DepartedTenants | None = None
    """Without it nobody has said whether a tenant left."""
    personal_data: dict[str, PersonalColumn] = Field(default_factory=dict)
    """`schema.table.column` → what it holds: the inventory of personal data."""
    sampling: Sampling | None = None
    """Whether values may be looked at to find personal data that nobody declared; without it, names of columns alone."""
    contexts: dict[str, ProbeContext] = Field(default_factory=dict)
    """Name → who a session can be. Two of different tenants make it possible to probe isolation."""
    clone: bool = False
    """Whether this is a copy made for tests, in which `postgres isolation --write-probes` may try writes. They are rolled
    back, but they lock rows and fire triggers."""
    shared_columns: dict[str, str | SharedColumn] = Field(default_factory=dict)
    """`schema.table.column` → why rows where it is set, or has one of `values`, may be seen by every tenant. Never changed."""
    shared_tenants: dict[str, str] = Field(default_factory=dict)
    """Tenant key → why every tenant may see that tenant's rows."""

    @field_validator("dsn")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is not None and holds_password(value):
            raise ValueError(
                "a connection string must not hold a password; use PGPASSFILE, PGPASSWORD or a service file"
            )
        return value

    @field_validator("shared_tables", "shared_columns", "shared_tenants")
    @classmethod
    def _reasons(cls, value: dict[str, str | SharedColumn]) -> dict[str, str | SharedColumn]:
        for name, said in value.items():
            if not (said if isinstance(said, str) else said.reason).strip():
                raise ValueError(f"{name}: say why it is shared")
        return value

    @model_validator(mode="after")
    def _two_tenants(self) -> Database:
        tenants = [context.tenant for context in self.contexts.values() if context.tenant is not None]
        if self.contexts and len(set(tenants)) < 2:
            raise ValueError(f"database {self.name}: contexts need two different tenants to be told apart")
        for name, context in self.contexts.items():
            if context.role is not None and context.role not in self.app_roles:
                raise ValueError(f"database {self.name}: the role of context {name} is not among app_roles")
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Database:
        if (self.dsn is None) == (self.cloud_sql is None):
            raise ValueError(f"database {self.name}: give either dsn or cloud_sql")
        return self

    @property
    def endpoint(self) -> str:
        """Where it is asked, for people: never with a user's secret."""
        if self.cloud_sql is not None:
            return f"{self.cloud_sql.instance}/{self.cloud_sql.database}"
        return self.dsn or ""

    @property
    def declared_tables(self) -> tuple[str, ...]:
        """Every table that must exist for the declarations to mean anything, sorted.

        A shared table that has gone is no danger, so it is not among them.
        """
        named = {*self.tenant_key_of, *self.temporary_tables}
        named |= {self.tenant_root} if self.tenant_root else set()
        named |= {self.identity_table} if self.identity_table else set()
        named |= {self.role_matrix.table} if self.role_matrix else set()
        named |= {p.table for p in self.purge_functions} | {p.table for p in self.purge_columns}
        named |= set(self.schema_map.tables)
        return tuple(sorted(named))


class Timeouts(Model):
    """How long the collector waits at most, in seconds."""

    connect: int = Field(default=10, gt=0)
    statement: int = Field(default=30, gt=0)
    lock: int = Field(default=2, gt=0)


class Endpoints(Model):
    """Where Google's services are, when not at their public addresses."""

    sqladmin: str | None = None
    """Root of the Cloud SQL Admin API that the connector asks for its certificate."""


class PostgresConfig(Model):
    """The section `sources.postgres` of the scope file."""

    databases: tuple[Database, ...] = Field(min_length=1)
    timeouts_s: Timeouts = Timeouts()
    endpoints: Endpoints = Endpoints()

    @model_validator(mode="after")
    def _unique(self) -> PostgresConfig:
        names = [database.name for database in self.databases]
        if len(set(names)) < len(names):
            raise ValueError("two databases have one name")
        return self


_PASSWORD_KEY = re.compile(r"(?:^|[\s?&])(?:password|sslpassword)\s*=", re.IGNORECASE)
_PASSWORD_IN_URI = re.compile(r"^postgres(?:ql)?://[^/@]*:[^/@]+@", re.IGNORECASE)


def holds_password(dsn: str) -> bool:
    """Whether a connection string carries a password, as a keyword or in the URI."""
    return bool(_PASSWORD_KEY.search(dsn) or _PASSWORD_IN_URI.search(dsn))
