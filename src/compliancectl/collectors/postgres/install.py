"""The SQL that a database's owner reviews and runs once, so that rows can be counted without being read.

A role that nobody logs in as owns functions that return counts alone; a policy of its own lets it, and nobody else, see
the rows. The collector may call the functions and nothing more. Nothing here is ever executed by the collector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.application import SchemaMap
from compliancectl.collectors.postgres.purge import qualified, quoted

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database, PurgeColumn
    from compliancectl.collectors.postgres.session import PostgresSession

SCHEMA = "compliance"
OWNER = "compliance_agg"
_CLASSES = "(class text, rows bigint)"
_SCHEMES = {
    "argon2id": r"^\$argon2id\$",
    "bcrypt": r"^\$2[aby]\$",
    "scrypt": r"^\$?scrypt[:$]",
    "pbkdf2": r"^\$?pbkdf2",
}
"""Scheme → how a hash begins that was made by it."""


@dataclass
class Function:
    """One function to be installed."""

    name: str
    arguments: str
    returns: str
    body: str
    reads: Mapping[str, Sequence[str]]
    """`schema.table` → columns."""
    scope: Mapping[str, Any] = field(default_factory=dict)
    """What to declare of it: path in the database's section → value."""
    by_installer: bool = False
    """Whether it goes on running as the role that installs it, because only that role sees what it reads."""

    @property
    def signature(self) -> str:
        """As PostgreSQL writes it."""
        return f"{SCHEMA}.{quoted_plain(self.name)}({self.types.replace(', ', ',')})"

    @property
    def types(self) -> str:
        """Types of the arguments, as PostgreSQL writes them."""
        parts = [part.partition(" ")[2] for part in self.arguments.split(", ") if part]
        return ", ".join("timestamp with time zone" if part == "timestamptz" else part for part in parts)


def quoted_plain(name: str) -> str:
    """An identifier, bare where it needs no quotes."""
    bare = name.replace("_", "a")
    return (
        name if bare.isascii() and bare.isalnum() and bare == bare.lower() and not bare[0].isdigit() else quoted(name)
    )


def functions(database: Database, found: Found) -> list[Function]:
    """Every function that the declarations of a database call for."""
    made = [*_purges(database), *_aggregates(database), *_departed(database, found.tenant_tables)]
    return [*made, CRON_RUNS] if found.pg_cron else made


@dataclass(frozen=True)
class Found:
    """What must be known of a database to write the functions."""

    tenant_tables: Mapping[str, str]
    """`schema.table` → tenant key, of every table with tenants' data."""
    protected: frozenset[str]
    """Tables with row-level security switched on: they need a policy."""
    pg_cron: bool
    """Whether pg_cron is installed."""


CRON_RUNS = Function(
    "cron_runs",
    "since timestamptz, until timestamptz",
    "(job bigint, job_name text, schedule text, active boolean, run bigint, status text, started timestamptz, ended timestamptz)",
    """select j.jobid, j.jobname::text, j.schedule, j.active, d.runid, d.status, d.start_time, d.end_time
from cron.job j left join cron.job_run_details d on d.jobid = j.jobid and d.start_time >= since and d.start_time < until""",
    {},
    {"cron_function": f"{SCHEMA}.cron_runs"},
    by_installer=True,
)
"""pg_cron shows each role its own jobs, so this one goes on running as the role that schedules them."""


def _purges(database: Database) -> Iterator[Function]:
    for declared in database.purge_columns:
        yield _purge(declared)


def _purge(declared: PurgeColumn) -> Function:
    column, flag = quoted(declared.column), quoted(declared.flag) if declared.flag else "true"
    name = f"{declared.table.rpartition('.')[2].strip(chr(34))}_{declared.kind.replace('-', '_')}"
    count = {"kind": declared.kind, "argument": "keep", "limit_hours": declared.limit_hours, "oldest": "oldest"}
    return Function(
        name,
        "keep interval",
        "(total bigint, overdue bigint, oldest timestamptz)",
        f"select count(*), count(*) filter (where {flag} and {column} < now() - keep),\n"
        f"       min({column}) filter (where {flag}) from {qualified(declared.table)}",
        {declared.table: [declared.column, *([declared.flag] if declared.flag else [])]},
        {"purge_functions": {"table": declared.table, "function": f"{SCHEMA}.{name}", "counts": [count]}},
    )


def _aggregates(database: Database) -> Iterator[Function]:
    mapped = database.schema_map
    if mapped.passwords is not None:
        table, column = mapped.passwords.table, mapped.passwords.hash
        yield _classes("password_hashes", _password_classes(quoted(column)), table, [column])
    if mapped.identities is not None:
        table, column = mapped.identities.table, mapped.identities.provider
        body = f"select {quoted(column)}::text, count(*) from {qualified(table)} group by 1"
        yield Function("identity_providers", "", _CLASSES, body, {table: [column]}, _scope("identity_providers"))
    if mapped.share_links is not None:
        yield _share_links(database, mapped)
    if mapped.collections is not None and mapped.collections.deleted is not None:
        table, column, lag = mapped.collections.table, mapped.collections.deleted, mapped.collections.lag_minutes
        mark = quoted(column)
        classes = {
            "kept": f"{mark} is null",
            "marked": f"{mark} is not null",
            "overdue": f"{mark} < now() - interval '{lag} minutes'",
        }
        yield _classes("collections", classes, table, [column])


def _password_classes(column: str) -> dict[str, str]:
    classes = {name: f"{column} ~ '{pattern}'" for name, pattern in _SCHEMES.items()}
    classes["none"] = f"coalesce({column}, '') = ''"
    known = " or ".join(f"({condition})" for condition in classes.values())
    return {**classes, "other": f"({known}) is not true"}


def _classes(name: str, classes: Mapping[str, str], table: str, columns: Sequence[str]) -> Function:
    """One row per class whatever its number, so that a class with none is seen to have none."""
    body = "\nunion all ".join(
        f"select '{label}', count(*) filter (where {condition}) from {qualified(table)}"
        for label, condition in classes.items()
    )
    return Function(name, "", _CLASSES, body, {table: list(columns)}, _scope(name))


def _share_links(database: Database, mapped: SchemaMap) -> Function:
    links = mapped.share_links
    assert links is not None
    external = f"l.{quoted(links.visibility)}::text = '{links.external.replace(chr(39), chr(39) * 2)}'"
    alive = f" and (l.{quoted(links.expires)} > now()) is not false" if links.expires else ""
    redacted = f"l.{quoted(links.redaction)}"
    classes = {
        "internal": f"({external}) is not true{alive}",
        "external redacted": f"{external} and {redacted}{alive}",
        "external unredacted": f"{external} and {redacted} is not true{alive}",
    }
    source, columns = f"{qualified(links.table)} l", [links.visibility, links.redaction]
    columns += [links.expires] if links.expires else []
    reads: dict[str, list[str]] = {links.table: columns}
    tenants = mapped.tenants
    if tenants is not None:
        key, own = _key(database, links.table), database.tenant_key_of.get(tenants.table, "id")
        source += f" join {qualified(tenants.table)} t on t.{quoted(own)} = l.{quoted(key)}"
        classes["external forbidden"] = f"{external}{alive} and t.{quoted(tenants.external_sharing)} is not true"
        columns.append(key)
        reads[tenants.table] = [own, tenants.external_sharing]
    body = "\nunion all ".join(
        f"select '{label}', count(*) filter (where {condition}) from {source}" for label, condition in classes.items()
    )
    return Function("share_links", "", _CLASSES, body, reads, _scope("share_links"))


def _key(database: Database, table: str) -> str:
    return database.tenant_key_of.get(table, database.tenant_keys[0])


def _scope(kind: str) -> dict[str, Any]:
    return {f"aggregates.{kind}": f"{SCHEMA}.{kind}"}


def _departed(database: Database, tenant_tables: Mapping[str, str]) -> Iterator[Function]:
    if database.departed_tenants is None or not tenant_tables:
        return
    body = "\nunion all ".join(
        f"select '{table.replace(chr(39), chr(39) * 2)}', count(*) filter (where {quoted(key)}::text = tenant), count(*) "
        f"from {qualified(table)}"
        for table, key in sorted(tenant_tables.items())
    )
    yield Function(
        "rows_of_tenant",
        "tenant text",
        "(relation text, rows bigint, total bigint)",
        body,
        {table: [key] for table, key in tenant_tables.items()},
        {"departed_tenants.function": f"{SCHEMA}.rows_of_tenant"},
    )


def look(session: PostgresSession, database: Database) -> Found:
    """Read what must be known, in one snapshot."""
    from compliancectl.collectors.postgres.feeds import relation_values
    from compliancectl.collectors.postgres.queries import query

    with session.snapshot(database) as snapshot:
        rows = snapshot.ask(query("relations"), relation_values(database)).records()
        cron = snapshot.ask(query("cron_present")).records()[0]["installed"] == "t"
    keyed = {
        str(row["qualified"]): str(row["tenant_column"])
        for row in rows
        if row["tenant_column"] and row["is_partition"] == "f" and row["qualified"] not in database.shared_tables
    }
    return Found(keyed, frozenset(str(row["qualified"]) for row in rows if row["rls_enabled"] == "t"), cron)


def write(database: Database, made: Sequence[Function], protected: frozenset[str], reader: str) -> str:
    """The whole file: SQL, and as comments what to declare in the scope.

    Args:
        database: for its name.
        made: what is to be installed.
        protected: tables with row-level security, which need a policy.
        reader: the collector's role.
    """
    reads: dict[str, set[str]] = {}
    for function in made:
        for table, columns in function.reads.items():
            reads.setdefault(table, set()).update(columns)
    lines = [_HEAD.format(database=" ".join(database.name.split()), reader=quoted(reader))]
    for table, named in sorted(reads.items()):
        listed = ", ".join(quoted(column) for column in sorted(named))
        lines.append(f"grant select ({listed}) on {qualified(table)} to {OWNER};")
        if table in protected:
            lines.append(f"drop policy if exists compliance_aggregate on {qualified(table)};")
            lines.append(
                f"create policy compliance_aggregate on {qualified(table)} for select to {OWNER} using (true);"
            )
    schemas = sorted({qualified(table).rpartition('."')[0] for table in reads})
    lines += [f"grant usage on schema {schema} to {OWNER};" for schema in schemas]
    lines += ["", f"grant {OWNER} to current_user;", f"grant create on schema {SCHEMA} to {OWNER};"]
    for function in made:
        lines += _created(function, reader)
    lines += [f"revoke create on schema {SCHEMA} from {OWNER};", f"revoke {OWNER} from current_user;", "commit;", ""]
    return "\n".join([*lines, *_declared(made)]) + "\n"


_HEAD = """\
-- For the owner of the database {database}: review it, then run it once, with psql, as a role that may create roles.
-- It lets {reader} count rows without reading one. compliancectl itself never runs it.
begin;
do $do$ begin
  if not exists (select from pg_roles where rolname = 'compliance_agg') then create role compliance_agg nologin; end if;
end $do$;
create schema if not exists compliance;
grant usage on schema compliance to {reader}, compliance_agg;
"""


def _created(function: Function, reader: str) -> list[str]:
    head = f"{SCHEMA}.{quoted(function.name)}"
    kind = function.types
    owned = [] if function.by_installer else [f"alter function {head}({kind}) owner to {OWNER};"]
    return [
        "",
        f"create or replace function {head}({function.arguments}) returns table {function.returns}",
        f"  language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = on as $body${function.body}$body$;",
        f"revoke all on function {head}({kind}) from public;",
        f"grant execute on function {head}({kind}) to {quoted(reader)};",
        *owned,
    ]


def _declared(made: Sequence[Function]) -> list[str]:
    """The lines of the scope, as comments; JSON's strings are YAML's too."""
    import json

    lines = ["-- Then declare in the scope file, in the section of this database:"]
    purges = [function.scope["purge_functions"] for function in made if "purge_functions" in function.scope]
    if purges:
        lines += ["--   purge_functions:   # in place of purge_columns", *(f"--     - {json.dumps(p)}" for p in purges)]
    plain = [(path, value) for f in made for path, value in f.scope.items() if path != "purge_functions"]
    groups: dict[str, list[tuple[str, Any]]] = {}
    for path, value in plain:
        group, _, key = path.partition(".")
        groups.setdefault(group, []).append((key, value))
    for group, entries in groups.items():
        if entries[0][0] == "":
            lines.append(f"--   {group}: {json.dumps(entries[0][1])}")
            continue
        lines += [f"--   {group}:", *(f"--     {key}: {json.dumps(value)}" for key, value in entries)]
    lines.append("--   trusted_definers:")
    for function in made:
        digest = hashlib.sha256(function.body.encode()).hexdigest()
        entry = json.dumps({"reason": "Returns counts alone; reviewed by …", "body_sha256": digest}, ensure_ascii=False)
        lines.append(f"--     {json.dumps(function.signature)}: {entry}")
    return lines
