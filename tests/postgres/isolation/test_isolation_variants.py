"""Every documented fault of isolation is found with its reason, and no schema that only looks faulty is flagged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import isolation_suite as suite
import pytest

from compliancectl.sandbox.postgres.server import Server, start

DEBIAN = Path("/usr/lib/postgresql/15")
OTHERS = {
    int(version): Path(folder)
    for version, _, folder in (part.partition("=") for part in os.environ.get("POSTGRES_BINARIES", "").split())
}
"""Installations of versions that are not carried along; `make postgres-versions` fetches and names them."""
FAMILIES = sorted(suite.DECLARED)
VARIANTS = {family: suite.load(family) for family in FAMILIES}


def _grants(version: int) -> str:
    options = (" with inherit false, set true", " with inherit false") if version >= 16 else ("", "")
    return (
        f"grant app, authenticated, anon, tenant_a, tenant_b to auditor{options[0]};"
        f"grant inherited_owner to app; grant settable_owner, settable_reader to app{options[1]}"
    )


@pytest.fixture(
    scope="module",
    params=[
        16,
        18,
        pytest.param(
            15, marks=pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's PostgreSQL 15 is not installed")
        ),
        *sorted(OTHERS),
    ],
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = start(request.param, binaries={15: DEBIAN, **OTHERS}.get(request.param))
    try:
        with running.connect() as connection:
            connection.execute(suite.ROLES.encode())
            connection.execute(_grants(request.param).encode())
        yield running
    finally:
        running.stop()


def judged(server: Server, family: str) -> suite.Score:
    variants = [v for v in VARIANTS[family] if v.since <= server.version]
    name = f"variants{family}"
    with server.connect() as connection:
        connection.execute(f"create database {name}".encode())
    with server.connect(name) as connection:
        suite.build(connection, variants, family)
    dsn = f"host={server.folder} dbname={name} user=auditor"
    section: dict[str, Any] = {"databases": [{"name": name, "dsn": dsn, **suite.declared(variants, family)}]}
    return suite.score(section, variants)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_fault_is_found_and_no_safe_schema_is_flagged(
    family: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = judged(server, family)
    with capsys.disabled():
        print(f"\nPostgreSQL {server.version}{family}: {scored}")
    assert scored.missed == {}
    assert scored.false_alarms == {}


def test_the_suite_covers_what_it_promises() -> None:
    variants = [v for family in VARIANTS.values() for v in family]
    faulty = [v for v in variants if v.finds]
    assert len(variants) == len({v.id for v in variants}) >= 150
    assert len(faulty) >= 100
    assert {rule for v in faulty for rule in v.finds} >= {
        "rls.disabled", "rls.not_forced", "rls.owner_can_disable", "rls.partition_child", "rls.truncate_granted",
        "rls.can_reference", "rls.can_trigger", "policy.always_true", "policy.no_scope", "policy.hard_coded",
        "policy.second_permissive", "policy.command_gap", "policy.write_gap", "policy.fail_open", "policy.bypass_switch",
        "policy.role_identity", "policy.pattern_match", "policy.null_tenant", "policy.not_for_role", "policy.recursion",
        "policy.trusts_writable_table", "policy.immutable_context", "policy.tenant_key_uncovered", "policy.tenant_key_nullable",
        "view.bypass", "view.materialized", "function.definer_reads", "function.definer_search_path", "function.leakproof",
        "trigger.definer", "rule.action", "fk.cross_tenant_reference", "fk.existence_oracle", "unique.existence_oracle",
        "sequence.volume_leak", "grant.default_privileges", "publication.rls_bypass", "notify.leak",
    }  # fmt: skip
