"""Every documented fault of isolation is found with its reason, and no schema that only looks faulty is flagged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import isolation_suite as suite
import pytest

from compliancectl.sandbox.postgres.server import Server, start

VARIANTS = suite.load()


def _grants(version: int) -> str:
    if version >= 16:
        return (
            "grant inherited_owner to app; grant settable_owner to app with inherit false;"
            "grant app to auditor with inherit false, set true"
        )
    return "grant inherited_owner to app; grant settable_owner to app; grant app to auditor"


def _section(server: Server, database: str, variants: list[suite.Variant]) -> dict[str, Any]:
    dsn = f"host={server.folder} dbname={database} user=auditor"
    return {"databases": [{"name": database, "dsn": dsn, **suite.declared(variants)}]}


@pytest.fixture(scope="module", params=[16, 18])
def scored(request: pytest.FixtureRequest) -> Iterator[suite.Score]:
    server = start(request.param)
    try:
        with server.connect() as connection:
            connection.execute(suite.ROLES.encode())
            connection.execute(_grants(request.param).encode())
            connection.execute(b"create database variants")
        with server.connect("variants") as connection:
            suite.build(connection, VARIANTS)
        yield suite.score(_section(server, "variants", VARIANTS), VARIANTS)
    finally:
        server.stop()


def test_every_fault_is_found_and_no_safe_schema_is_flagged(
    scored: suite.Score, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{scored}")
    assert scored.missed == {}
    assert scored.false_alarms == {}


def test_the_suite_covers_what_it_promises() -> None:
    faulty = [v for v in VARIANTS if v.finds]
    assert len(VARIANTS) == len({v.id for v in VARIANTS}) >= 150
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
