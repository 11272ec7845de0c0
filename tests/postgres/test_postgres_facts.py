"""What the collector says about a real server with the company's application, whole and with each of its faults."""

from __future__ import annotations

import json

import pytest

from compliancectl.collectors.postgres import collector
from compliancectl.sandbox import company

FEEDS = [feed.name for feed in collector.feeds]
FAULTS = {name: fault for name, fault in company.faults().items() if fault.section == "postgres"}


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("version", [16, 18])
def test_every_feed_is_complete_and_keeps_its_contract(feed, version, request, collect, whole):
    where = request.getfixturevalue("box" if version == 16 else "box18")
    got = collect(whole(where).section(), feed)
    assert got.completeness.complete
    assert got.replies
    for reply in got.replies:
        document = json.loads(reply.body)
        assert document["server"]["transaction_read_only"] == "on"
        assert document["server"]["row_security"] == "off"
        if "catalogue" in document:
            parts = document["catalogue"].values()
            assert all(part["independent_count"] == len(part["rows"]) for part in parts)
            continue
        assert document["row_count"] == document["independent_count"] == len(document["rows"])
        assert document["statement"] == reply.operation


def test_healthy_tables_are_bound_and_classified(db, collect):
    rows = collect(db.section(), "relations").rows
    assert len(rows) == 16
    for row in rows:
        if row["declared_shared"] is None:
            assert row["rls_enabled"] and row["rls_forced"] and row["policy_count"] >= 1
            assert row["tenant_not_null"] and (row["tenant_fk"] or row["tenant_root"])
    assert {row["name"] for row in rows if row["declared_shared"]} == {
        "role_permissions",
        "subject_areas",
        "schema_migrations",
    }


def test_settings_are_the_servers_and_not_the_sessions(db, collect):
    got = collect(db.section(), "settings").by("name")
    assert got["row_security"]["setting"] == "on"
    assert got["statement_timeout"]["setting"] == "0"
    assert got["password_encryption"]["setting"] == "scram-sha-256"
    assert got["ssl"]["setting"] == "off"
    assert got["ssl_min_protocol_version"]["visibility"] == "reported"


def test_settings_that_the_role_may_not_see_say_so(db, collect, box):
    db.sql("revoke pg_read_all_settings from compliance_ro")
    try:
        got = collect(db.section(), "settings").by("name")["ssl_min_protocol_version"]
    finally:
        db.sql("grant pg_read_all_settings to compliance_ro")
    assert got["setting"] is None
    assert got["visibility"] == "hidden or absent"


def test_secrets_in_presets_defaults_and_rules_are_removed_and_counted(db, collect):
    presets = collect(db.section(), "setting_overrides")
    assert [row["value"] for row in presets.rows if row["name"] == "app.signing_key"] == ["…"]
    assert presets.replies[0].redactions == {"setting value": 1}
    columns = collect(db.section(), "columns")
    assert columns.by("resource")["app/public.agents.instructions"]["default"] == "'…'::text"
    assert columns.by("resource")["app/public.messages.id"]["default"] == "gen_random_uuid()"
    assert columns.replies[0].redactions == {"literal": 1}
    rules = collect(db.section(), "hba_rules")
    radius = next(row for row in rules.rows if row["method"] == "radius")
    assert radius["options"] == ["radiusservers=…", "radiussecrets=…"]
    assert not radius["managed"]


def test_a_managed_server_has_one_rule_that_says_so(db, collect):
    db.sql("create role cloudsqladmin superuser")
    try:
        rows = collect(db.section(), "hba_rules").rows
        managed = collect(db.section(), "server").rows[0]["managed"]
    finally:
        db.sql("drop role cloudsqladmin")
    assert rows == [{"database": "app", "resource": "app/hba:managed", "managed": True}]
    assert managed


def test_without_pg_cron_there_are_no_runs_and_the_reply_says_why(db, collect):
    got = collect(db.section(), "cron_runs")
    assert got.rows == []
    assert got.replies[0].context["pg_cron"] == "not installed"
    assert "not installed" in got.completeness.method
    assert collect(db.section(), "extensions").by("name")["pg_cron"]["installed"] is False


def test_purge_counts_are_numbers_only(db, collect):
    got = collect(db.section(), "purge_counts").by("table")
    assert set(got) == {"public.users", "public.agents", "public.conversations", "public.temporary_chats"}
    assert got["public.users"]["total"] == got["public.users"]["estimated_rows"] == 40
    assert all(row["overdue"] == 0 for row in got.values())
    assert got["public.temporary_chats"]["kind"] == "temporary"
    assert got["public.temporary_chats"]["limit_hours"] == 72


def test_purge_counts_in_the_table_itself_with_column_rights(db, collect):
    db.sql("""create table public.exports (made_at timestamptz, is_temporary bool, body text);
              insert into public.exports select now() - h * interval '1 hour', h > 50, 'SEEDED-SECRET' from generate_series(1, 100) h;
              analyze public.exports; grant usage on schema public to compliance_ro;
              grant select (made_at, is_temporary) on public.exports to compliance_ro""")
    direct = [
        {"table": "public.exports", "kind": "temporary", "column": "made_at", "flag": "is_temporary", "limit_hours": 72}
    ]
    (row,) = collect(db.section(purge_functions=[], purge_columns=direct), "purge_counts").rows
    assert (row["total"], row["overdue"], row["estimated_rows"]) == (100, 29, 100)


def _relation(name, column):
    return "relations", lambda got: got.by("name")[name][column]


def _role(name, column):
    return "roles", lambda got: got.by("name")[name][column]


def _door(name, column):
    return "bypass_objects", lambda got: got.by("name")[name][column]


def _cell(relation, operation, context, level="predicate"):
    """The rule that a session breaks through."""
    name = f"app/{level}:app/{context}/public.{relation}/{operation}"
    return "isolation_probes", lambda got: got.by("resource")[name]["rule"]


def _mapped(resource, column):
    return "schema_map", lambda got: got.by("resource")[f"app/{resource}"][column]


def _counted(resource):
    return "aggregates", lambda got: got.by("resource")[f"app/{resource}"]["count"]


CHANGES = {
    "rls-disabled": (*_relation("messages", "rls_enabled"), False),
    "rls-not-forced": (*_relation("documents", "rls_forced"), False),
    "rls-no-policy": (*_relation("bookmarks", "policy_count"), 0),
    "table-unclassified": (*_relation("essay_drafts", "tenant_column"), None),
    "tenant-key-nullable": (*_relation("documents", "tenant_not_null"), False),
    "tenant-key-unreferenced": (*_relation("knowledge_collections", "tenant_fk"), False),
    "role-bypasses-rls": (*_role("reporting", "bypass_rls"), True),
    "app-owns-table": (*_role("app", "owns_rls_tables"), 1),
    "policy-fails-open": (*_cell("agents", "SELECT", "unset"), "policy.fail_open"),
    "policy-second-permissive": (*_cell("messages", "SELECT", "birchwood"), "policy.second_permissive"),
    "policy-write-gap": (*_cell("documents", "INSERT", "aldermoor"), "policy.write_gap"),
    "policy-bypass-switch": (*_cell("share_links", "DELETE", "app.maintenance = on"), "policy.bypass_switch"),
    "tenant-preset": ("isolation_rules", lambda got: got.by("object")["app.organization_id"]["broken"], True),
    "truncate-granted": (
        "isolation_rules",
        lambda got: got.by("resource")["app/rls.truncate_granted:public.audit_events for app"]["broken"],
        True,
    ),
    "role-grew": (
        "role_permissions",
        lambda got: got.by("resource")["app/teacher/users.manage"]["published"],
        False,
    ),
    "role-shrank": ("role_permissions", lambda got: got.by("resource")["app/student/notes.read"]["granted"], False),
    "view-runs-as-superuser": (*_door("all_conversations", "owner_bound"), False),
    "definer-not-reviewed": (*_door("find_user", "trusted"), None),
    "materialized-view-granted": (*_door("conversation_counts", "granted_to_app"), True),
    "row-security-preset": ("setting_overrides", lambda got: got.by("name")["row_security"]["value"], "off"),
    "app-creates-databases": (*_role("app", "create_db"), True),
    "app-is-cloudsqlsuperuser": (*_role("app", "member_of"), ["cloudsqlsuperuser"]),
    "public-reads-table": (
        "public_grants",
        lambda got: [(r["object"], r["privilege"]) for r in got.rows],
        [("public.conversations", "SELECT")],
    ),
    "birth-date-collected": ("columns", lambda got: "app/public.users.date_of_birth" in got.by("resource"), True),
    "picture-mandatory": ("columns", lambda got: got.by("resource")["app/public.users.avatar_url"]["nullable"], False),
    "conversation-overdue": ("purge_counts", lambda got: got.by("table")["public.conversations"]["overdue"], 1),
    "purge-count-blind": (
        "purge_counts",
        lambda got: (got.by("table")["public.users"]["total"], got.by("table")["public.users"]["estimated_rows"]),
        (0, 40),
    ),
    "temporary-chat-overdue": ("purge_counts", lambda got: got.by("table")["public.temporary_chats"]["overdue"], 1),
    "temporary-count-blind": ("purge_counts", lambda got: got.by("table")["public.temporary_chats"]["total"], 0),
    "pgaudit-off-for-the-app": (
        "setting_overrides",
        lambda got: [row["value"] for row in got.rows if row["name"] == "pgaudit.log"],
        ["none"],
    ),
    "tokens-kept-in-clear": (*_mapped("api_tokens/owner", "nullable"), True),
    "tokens-and-credits-unforced": (*_relation("org_credits", "rls_forced"), False),
    "credit-overdrawn": (*_mapped("credits/balance", "min_value"), None),
    "provider-undeclared": (*_counted("identity_providers/github"), 1),
    "password-unsalted": (*_counted("password_hashes/other"), 10),
    "share-links-careless": (
        *_mapped("share_links/visibility", "allowed_values"),
        ["external", "organization", "public"],
    ),
    "share-links-by-trigger": ("triggers", lambda got: got.by("name")["share_it"]["mentions"], ["public.share_links"]),
    "share-links-show-all": (*_counted("share_links/external unredacted"), 10),
    "sharing-undecided": (*_mapped("tenants/external_sharing", "nullable"), True),
    "collection-only-marked": (
        "foreign_keys",
        lambda got: got.by("name")["documents_collection_id_fkey"]["on_delete"],
        "NO ACTION",
    ),
    "inventory-stale": (
        "personal_columns",
        lambda got: got.by("column")["public.users.avatar_url"]["present"],
        False,
    ),
    "school-left-behind": (
        "departed_tenants",
        lambda got: got.by("relation")["public.org_credits"]["rows"],
        1,
    ),
    "card-numbers-kept": (
        "columns",
        lambda got: "app/public.organizations.card_number" in got.by("resource"),
        True,
    ),
    "reference-dangling": (
        "foreign_keys",
        lambda got: "messages_conversation_id_fkey" in got.by("name"),
        False,
    ),
}
UNDO = {
    "pgaudit-off-for-the-app": "alter role app reset pgaudit.log",
    "role-bypasses-rls": "drop role reporting",
    "app-creates-databases": "alter role app nocreatedb",
    "app-is-cloudsqlsuperuser": "revoke cloudsqlsuperuser from app",
    "row-security-preset": "alter role app reset row_security",
    "tenant-preset": "alter role app reset app.organization_id",
}


def test_every_fault_of_the_database_is_tried():
    # A fault that only refuses the login or a grant changes no fact; test_postgres_failures has those.
    refusals = {name for name, fault in FAULTS.items() if all(checks == ["*"] for checks in fault.turns.values())}
    assert set(CHANGES) == {name for name, fault in FAULTS.items() if fault.sql} - refusals


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_fault_changes_the_fact_it_speaks_of(name, db, collect):
    feed, read, wrong = CHANGES[name]
    try:
        healthy = read(collect(db.section(), feed))
    except KeyError:
        healthy = "not there"
    db.sql(FAULTS[name].sql)
    try:
        assert healthy != wrong
        assert read(collect(db.section(), feed)) == wrong
    finally:
        db.sql(UNDO.get(name, "select 1"))
