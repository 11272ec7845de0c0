"""`compliancectl postgres isolation` as people and scripts meet it; and what it leaves behind: nothing."""

from __future__ import annotations

import json

import pytest

TENANT = "nullif(current_setting('app.organization_id', true), '')::uuid"


def test_a_sound_database_is_isolated_and_the_matrix_says_so(box, whole, isolation):
    code, text, _ = isolation(whole(box))
    assert code == 0
    assert "0 gaps" in text
    assert "1 aldermoor  2 birchwood  3 empty  4 unknown  5 unset" in text
    row = next(line.split() for line in text.splitlines() if line.startswith("public.organizations"))
    assert row[1:] == ["●●●●●", "–––––", "●●●●●", "–––––", "●●●●●"]


def test_a_gap_is_one_sentence_its_policy_and_sql_that_closes_it(db, isolation):
    db.sql("create policy support on public.messages for select using (true)")
    code, text, _ = isolation(db)
    assert code == 1
    assert "1 gap," in text
    assert "policy support is always true and is joined with the others by OR." in text
    assert 'policy: CREATE POLICY "support" ON public.messages AS PERMISSIVE FOR SELECT TO PUBLIC USING (true)' in text
    repair = next(line.split("close:")[1].strip() for line in text.splitlines() if "close:" in line)
    assert repair == 'DROP POLICY "support" ON public.messages;'
    db.sql(repair)
    assert isolation(db)[0] == 0


REPAIRED = {
    "switched off": "alter table public.messages disable row level security; drop policy tenant on public.messages",
    "true": "alter policy tenant on public.messages using (true) with check (true)",
    "write": "alter policy tenant on public.messages with check (true)",
    "fail open": f"alter policy tenant on public.messages using ({TENANT} is null or organization_id = {TENANT})",
    "not forced": "alter table public.messages owner to app; alter table public.messages no force row level security; alter table public.messages owner to app_owner; grant app_owner to app",
    "truncate": "grant truncate on public.messages to app",
    "view": "create view public.everything as select * from public.messages; grant select on public.everything to app",
    "definer": "create function public.seek() returns bigint language sql security definer set search_path = pg_catalog, pg_temp as 'select count(*) from public.messages'",
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(REPAIRED))
def test_the_sql_that_it_proposes_really_closes_the_gap(fault, db, isolation):
    db.sql(REPAIRED[fault])
    try:
        code, text, _ = isolation(db, "--format", "json")
        assert code == 1
        for gap in json.loads(text)[0]["gaps"]:
            db.sql(gap["repair"])
        code, text, _ = isolation(db)
        assert code == 0, text
    finally:
        db.sql("revoke app_owner from app")


def test_a_switch_is_told_beside_another_gap_of_the_same_table(db, isolation):
    db.sql("create policy old on public.messages for select using (role = 'draft')")
    db.sql("create policy job on public.messages using (current_setting('app.job', true) = 'on')")
    _, text, _ = isolation(db, "--format", "json")
    rules = {gap["rule"] for gap in json.loads(text)[0]["gaps"] if gap["object"] == "public.messages"}
    assert rules == {"policy.open_rows", "policy.bypass_switch"}


def test_scripts_get_every_cell_with_its_evidence(box, whole, isolation):
    code, text, _ = isolation(whole(box), "--format", "json")
    (found,) = json.loads(text)
    assert code == 0
    cells = {(c["level"], c["relation"], c["operation"], c["context"]): c for c in found["cells"]}
    cell = cells["rows", "public.users", "SELECT", "aldermoor"]
    assert (cell["own_rows"], cell["foreign_rows"], cell["denominator"], cell["verdict"]) == (20, 0, 20, "isolated")
    assert "count" in cell["statement"]
    cell = cells["predicate", "public.users", "UPDATE", "birchwood"]
    assert cell["verdict"] == "isolated"
    assert cell["denominator"] >= 3
    assert "jsonb_populate_record(null::public.users" in cell["statement"]


def test_without_membership_it_is_not_settled_and_says_what_to_grant(db, isolation):
    db.sql("revoke app from compliance_ro")
    try:
        code, _, errors = isolation(db)
    finally:
        db.sql("grant app to compliance_ro with inherit false, set true")
    assert code == 3
    assert "may not take the role app (42501)" in errors
    assert "GRANT app TO the collector's role WITH INHERIT FALSE, SET TRUE" in errors


def test_without_contexts_it_is_not_settled(db, isolation):
    code, text, errors = isolation(db, contexts={})
    assert code == 3
    assert "no contexts are declared" in errors
    assert "●" not in text


def test_without_rows_to_tell_apart_the_count_is_no_proof(db, isolation):
    db.sql("truncate public.audit_events")
    code, text, _ = isolation(db, "--format", "json")
    cells = [c for c in json.loads(text)[0]["cells"] if c["relation"] == "public.audit_events"]
    assert {c["verdict"] for c in cells if c["level"] == "rows"} == {"inconclusive"}
    assert {c["verdict"] for c in cells if c["level"] == "predicate"} == {"isolated"}
    assert code == 0


def test_a_locked_table_is_not_settled(db, isolation):
    held = db.box.server.connect(db.name)
    held.autocommit = False
    try:
        held.execute("lock table public.users in access exclusive mode")
        code, text, errors = isolation(db)
    finally:
        held.close()
    assert code == 3
    assert "a table stayed locked for longer than lock_timeout allows (55P03)" in errors
    assert "●" not in text


def test_a_policy_that_stalls_is_not_settled_and_holds_nothing_else_up(db, isolation):
    db.sql("alter policy tenant on public.users using ((select pg_sleep(60)) is not null)")
    code, text, _ = isolation(db, "--format", "json", timeouts_s={"statement": 1})
    cells = [c for c in json.loads(text)[0]["cells"] if c["verdict"] != "no access"]
    stalled = [c for c in cells if c["relation"] == "public.users"]
    assert {(c["verdict"], c["sqlstate"]) for c in stalled} == {("inconclusive", "57014")}
    assert {c["verdict"] for c in cells if c["relation"] != "public.users"} == {"isolated"}
    assert code == 3


def test_large_objects_of_the_application_are_a_gap_for_no_policy_covers_them(db, isolation):
    db.sql("set role app_owner; select lo_create(0)")
    assert isolation(db)[0] == 0
    db.sql("set role app; select lo_create(0)")
    code, text, _ = isolation(db, "--format", "json")
    (gap,) = json.loads(text)[0]["gaps"]
    assert (code, gap["rule"], gap["object"]) == (1, "large_object.unbound", "large objects for app")
    assert "(1 of them)" in gap["sentence"]


def test_a_function_that_proves_its_gap_is_told_once(db, isolation):
    db.sql(
        "create policy maintenance on public.messages to app_owner using (true);"
        "create function public.all_messages() returns setof public.messages language sql stable security definer "
        "set search_path = pg_catalog, pg_temp as 'select * from public.messages'; alter function public.all_messages() owner to app_owner"
    )
    code, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    (gap,) = json.loads(text)[0]["gaps"]
    assert (code, gap["rule"], gap["object"]) == (1, "function.definer_reads", "public.all_messages()")
    assert gap["policies"] == [
        'CREATE POLICY "maintenance" ON public.messages AS PERMISSIVE FOR ALL TO app_owner USING (true)'
    ]
    db.sql(gap["repair"])
    assert isolation(db)[0] == 0


HOSTILE = [
    '"; drop table public.users; --',
    "<script>alert(1)</script>",
    "it's",
    "ü" * 31,
    "\u202egnp.exe",
    "%s $1 {x}",
    "[bold]",
]


def test_hostile_names_are_neither_run_nor_printed_as_they_are(db, isolation):
    import psycopg.sql as s

    with db.box.server.connect(db.name) as connection:
        for name in HOSTILE:
            connection.execute(
                s.SQL(
                    "create table public.{0} (organization_id uuid not null, {0} text); alter table public.{0} enable row level security;"
                    "create policy {0} on public.{0} using (true); grant select, insert on public.{0} to app"
                ).format(s.Identifier(name))
            )
    code, text, _ = isolation(db)
    assert code == 1
    assert f"{len(HOSTILE)} gaps" in text
    assert "\u202e" not in text and "\\u{202e}gnp.exe" in text
    assert "[bold]" in text
    assert db.sql("select count(*) from public.users") == [(40,)]


def test_it_writes_nothing_at_all(db, isolation, everything):
    db.sql("create policy support on public.messages using (true) with check (true)")
    before = everything(db)
    assert isolation(db)[0] == 1
    assert everything(db) == before
    assert db.sql("select count(*) from pg_stat_activity where usename = 'compliance_ro'") == [(0,)]


def test_an_unknown_database_is_a_mistake_in_the_arguments(box, whole, isolation):
    code, _, errors = isolation(whole(box), "--database", "ap")
    assert code == 2
    assert "It has: app." in errors
