"""What an application role is and can become: one server, one database, one role for each case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import isolation_suite as suite
import pytest

from compliancectl.sandbox.postgres.server import start

DEBIAN = Path("/usr/lib/postgresql/15")
# role: (what makes it so, the rule that it breaks on PostgreSQL 16 and later, the same before 16)
CASES = {
    "plain": ("select 1", None, None),
    "bypasses": ("alter role bypasses bypassrls", "role.bypassrls", "role.bypassrls"),
    "almighty": ("alter role almighty superuser", "role.bypassrls", "role.bypassrls"),
    "joins_super": ("grant almighty to joins_super", "role.superuser_reachable", "role.superuser_reachable"),
    "joins_bypass_far": (
        "grant bypasses to middle; grant middle to joins_bypass_far",
        "role.superuser_reachable",
        "role.superuser_reachable",
    ),
    "creates_roles": ("alter role creates_roles createrole", None, "role.create_role"),
    "replicates": ("alter role replicates replication", "role.replication", "role.replication"),
    "reads_files": ("grant pg_read_server_files to reads_files", "role.server_access", "role.server_access"),
    "runs_programs": ("grant pg_execute_server_program to runs_programs", "role.server_access", "role.server_access"),
    "reads_all_data": ("grant pg_read_all_data to reads_all_data", None, None),
    "makes_databases": ("alter role makes_databases createdb", None, None),
}
FROM_16 = {
    "inherits_super_only": (
        "grant almighty to inherits_super_only with inherit true, set false",
        "role.superuser_reachable",
    ),
    "administers_bypass": (
        "grant bypasses to administers_bypass with admin true, inherit false, set false",
        "role.superuser_reachable",
    ),
    "powerless_member": ("grant bypasses to powerless_member with inherit false, set false", None),
}


@pytest.fixture(
    scope="module",
    params=[
        16,
        pytest.param(
            15, marks=pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's PostgreSQL 15 is not installed")
        ),
    ],
)
def found(request: pytest.FixtureRequest) -> Iterator[tuple[int, dict[str, set[str]]]]:
    cases = {name: (sql, new if request.param >= 16 else old) for name, (sql, new, old) in CASES.items()}
    if request.param >= 16:
        cases |= FROM_16
    server = start(request.param, binaries=DEBIAN if request.param == 15 else None)
    try:
        with server.connect() as connection:
            connection.execute(
                b"create role schema_owner nologin; create role middle nologin; create role auditor login"
            )
            for name in cases:
                connection.execute(f"create role {name} login".encode())
            for name, (sql, _) in cases.items():
                connection.execute(sql.encode())
                connection.execute(f"grant {name} to auditor".encode())
            connection.execute(b"create database roles")
        with server.connect("roles") as connection:
            base = suite.fill((suite.FOLDER / "base.sql").read_text("utf-8"), "v").replace(
                " to app", f" to {', '.join(cases)}"
            )
            connection.execute(base.encode())
        said = {**suite.declared([]), "app_roles": sorted(cases)}
        section = {"databases": [{"name": "r", "dsn": f"host={server.folder} dbname=roles user=auditor", **said}]}
        rules, _ = suite.read(section, "isolation_rules")
        broken = {name: {r["rule"] for r in rules if r["broken"] and r["object"] == name} for name in cases}
        yield {name: expected for name, (_, expected) in cases.items()}, broken
    finally:
        server.stop()


def test_each_power_is_found_and_each_harmless_one_is_not(found) -> None:
    expected, broken = found
    assert broken == {name: {rule} if rule else set() for name, rule in expected.items()}
