"""Write probes: refused but for a clone, right about what a write does, and nothing is left behind."""

from __future__ import annotations

import json

import pytest
import yaml

from compliancectl.cli import app
from compliancectl.query.rows import read_rows

TENANT = "nullif(current_setting('app.organization_id', true), '')::uuid"


def attempts(text, table):
    (found,) = json.loads(text)
    return {
        (cell["context"], cell["resource"].rpartition("/")[2]): cell
        for cell in found["cells"]
        if cell["level"] == "write" and cell["relation"] == f"public.{table}"
    }


def test_they_are_refused_in_a_database_that_is_not_a_clone(db, isolation, everything):
    before = everything(db, traces=False)
    code, text, errors = isolation(db, "--write-probes")
    assert code == 2
    assert "not declared a clone" in errors and "clone: true" in errors
    assert text == ""
    assert everything(db, traces=False) == before


def test_a_sound_clone_withstands_every_write_and_is_as_it_was(db, isolation, everything):
    before = everything(db, traces=False)
    code, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    found = attempts(text, "messages")
    assert {cell["verdict"] for cell in found.values()} == {"isolated"}
    assert {name for _, name in found} == {
        "blind update", "keyed update", "take over", "move", "blind delete", "keyed delete", "insert",
        "insert or ignore messages_pkey", "insert or update messages_pkey", "insert or update, read back messages_pkey",
        "refer messages_conversation_id_fkey",
    }  # fmt: skip
    assert found["aldermoor", "move"]["sqlstate"] == found["aldermoor", "insert"]["sqlstate"] == "42501"
    assert all(cell["denominator"] > 0 for cell in found.values())
    assert code == 0, text
    assert everything(db, traces=False) == before


OPEN = {
    "delete": (
        "drop policy tenant on public.messages; create policy r on public.messages for select using (organization_id = {t});"
        "create policy d on public.messages for delete using (true)",
        {"blind delete"},
    ),
    "update": (
        "drop policy tenant on public.messages; create policy r on public.messages for select using (organization_id = {t});"
        "create policy u on public.messages for update using (true)",
        {"blind update", "take over", "move"},
    ),
    "insert": (
        "create policy i on public.messages for insert with check (true)",
        {"insert"},
    ),
    "check": ("alter policy tenant on public.messages with check (true)", {"move", "insert"}),
    "everything": (
        "alter policy tenant on public.messages using (true) with check (true)",
        {"blind update", "keyed update", "take over", "move", "blind delete", "keyed delete", "insert", "insert or update messages_pkey", "insert or update, read back messages_pkey"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(OPEN))
def test_a_write_that_comes_through_is_seen_by_its_effect_and_taken_back(fault, db, isolation, everything):
    sql, expected = OPEN[fault]
    db.sql(sql.replace("{t}", TENANT))
    before = everything(db, traces=False)
    code, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    came_through = {name for (_, name), cell in attempts(text, "messages").items() if cell["verdict"] == "open"}
    assert came_through == expected
    assert code in (1, 3)
    assert everything(db, traces=False) == before


def test_a_table_without_rows_proves_nothing(db, isolation):
    db.sql("truncate public.audit_events")
    _, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    found = attempts(text, "audit_events")
    assert found["aldermoor", "blind delete"]["verdict"] == "inconclusive"
    assert (found["aldermoor", "insert"]["verdict"], found["aldermoor", "insert"]["sqlstate"]) == ("isolated", "42501")


def test_a_row_that_is_held_is_not_waited_for_for_ever(db, isolation, everything):
    held = db.box.server.connect(db.name)
    held.autocommit = False
    try:
        held.execute("select from public.messages for update")
        _, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True, timeouts_s={"lock": 1})
    finally:
        held.close()
    found = attempts(text, "messages")
    assert (found["aldermoor", "blind delete"]["verdict"], found["aldermoor", "blind delete"]["sqlstate"]) == (
        "inconclusive",
        "55P03",
    )
    assert found["aldermoor", "insert"]["verdict"] == "isolated"


CALLED = """
create function public.mine_alone() returns setof public.messages language sql security definer set search_path = pg_catalog, pg_temp
  as $f$ select * from public.messages $f$; alter function public.mine_alone() owner to app_owner;
create function public.seek(t uuid) returns setof public.messages language sql security definer set search_path = pg_catalog, pg_temp
  as $f$ select * from public.messages m where m.organization_id = t $f$;
create function public.many(t uuid) returns bigint language sql security definer set search_path = pg_catalog, pg_temp
  as $f$ select count(*) from public.messages m where m.organization_id = t $f$;
create function public.wipe(t uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $f$ begin update public.messages set role = 'x' where organization_id = t; end $f$;
create procedure public.purge(t uuid) language sql security definer set search_path = pg_catalog, pg_temp
  as $f$ delete from public.messages where organization_id = t $f$;
create function public."we(ird""; drop table public.users; --"(t uuid) returns setof public.messages language sql security definer
  set search_path = pg_catalog, pg_temp as $f$ select * from public.messages m where m.organization_id = t $f$;
create type public.level as enum ('a');
create function public.ranked(l public.level) returns bigint language sql security definer set search_path = pg_catalog, pg_temp
  as $f$ select count(*) from public.messages $f$;
create function public.kept(t uuid, l public.level default 'a') returns setof public.messages language sql security definer
  set search_path = pg_catalog, pg_temp as $f$ select * from public.messages m where m.organization_id = t and l = 'a' $f$;
create sequence public.numbers;
create function public.numbered(t uuid) returns bigint language sql security definer set search_path = pg_catalog, pg_temp
  as $f$ select nextval('public.numbers') from public.messages limit 1 $f$;
create function public.made(t text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $f$ begin execute 'delete from public.messages where organization_id = ' || t; end $f$;
"""


def test_definer_functions_are_called_with_the_other_tenants_keys(db, isolation, everything):
    db.sql(CALLED)
    before = everything(db, traces=False)
    code, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    (found,) = json.loads(text)
    cells = {
        cell["relation"].removeprefix("public.").partition("(")[0]: cell
        for cell in found["cells"]
        if cell["operation"] == "EXECUTE" and cell["context"] == "aldermoor"
    }
    assert {name: cell["verdict"] for name, cell in cells.items() if f"public.{name}(" in CALLED} == {
        "mine_alone": "isolated",
        "seek": "open",
        "many": "inconclusive",
        "wipe": "open",
        "purge": "open",
        "numbered": "inconclusive",
        "made": "inconclusive",
        "ranked": "inconclusive",
        "kept": "open",
        '"we': "open",
    }
    assert cells["ranked"]["observed"] == "not called: it wants public.level, and nothing is known that would fit"
    assert cells["many"]["observed"] == "it answers keys of birchwood differently from keys that nobody has"
    assert cells["numbered"]["observed"].startswith(
        "not called: public.numbered(uuid) would draw a number from a sequence"
    )
    assert "made while it runs" in cells["made"]["observed"]
    assert cells["wipe"]["sentence"] == "app as aldermoor called public.wipe(uuid), and rows of birchwood changed."
    assert cells["mine_alone"]["denominator"] > 0
    assert code == 1
    assert everything(db, traces=False) == before


DOORS = """
create table public.badges (id uuid primary key default gen_random_uuid(), organization_id uuid not null, code text not null unique);
create table public.wears (id uuid primary key default gen_random_uuid(), organization_id uuid not null,
  badge_id uuid references public.badges (id) deferrable initially deferred);
create table public.history (id bigserial primary key, organization_id uuid not null);
create table public.inbox (id uuid primary key default gen_random_uuid(), organization_id uuid not null, body text);
{protected}
grant select on public.badges, public.wears, public.history to app;
insert into public.badges (organization_id, code) select id, 'code ' || id from public.organizations;
insert into public.wears (organization_id, badge_id) select organization_id, id from public.badges;
insert into public.inbox (organization_id) select id from public.organizations;
create function public.remember() returns trigger language plpgsql as
  $f$ begin insert into public.history (organization_id) values (new.organization_id); return new; end $f$;
create trigger remember after update on public.wears for each row execute function public.remember();
"""


PROTECT = (
    "alter table public.{0} enable row level security; alter table public.{0} force row level security;"
    f"create policy tenant on public.{{0}} using (organization_id = {TENANT}); grant insert, update, delete on public.{{0}} to app;"
)
DOORS = DOORS.replace("{protected}", "".join(PROTECT.format(name) for name in ("badges", "wears", "history", "inbox")))


def test_conflicts_and_references_are_tried_and_what_would_leave_a_mark_is_not(db, isolation, everything):
    db.sql(DOORS)
    before = everything(db, traces=False)
    _, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    badges = {name: cell for (who, name), cell in attempts(text, "badges").items() if who == "aldermoor"}
    assert badges["insert or ignore badges_code_key"]["verdict"] == "isolated"
    assert badges["insert or ignore badges_code_key"]["observed"].endswith(
        "are as before; but badges_code_key tells that birchwood has such a row"
    )
    assert badges["insert or update badges_code_key"]["sqlstate"] == "42501"
    assert badges["insert or update, read back badges_code_key"]["verdict"] == "isolated"
    wears = {name: cell for (who, name), cell in attempts(text, "wears").items() if who == "aldermoor"}
    assert wears["blind update"]["verdict"] == wears["refer wears_badge_id_fkey"]["verdict"] == "inconclusive"
    assert wears["blind update"]["observed"].startswith("not tried: by trigger remember a number of a sequence")
    assert wears["blind delete"]["verdict"] == wears["insert"]["verdict"] == "isolated"
    inbox = {name: cell for (who, name), cell in attempts(text, "inbox").items() if who == "aldermoor"}
    assert inbox["insert"]["sqlstate"] == "42501" and inbox["blind delete"]["sqlstate"] is None
    assert {cell["verdict"] for cell in inbox.values() if cell["sqlstate"] is None} == {"inconclusive"}
    (found,) = json.loads(text)
    assert "public.wears/wears_badge_id_fkey" in {gap["object"] for gap in found["weaknesses"]}
    assert everything(db, traces=False) == before


def test_a_reference_to_another_tenants_row_that_is_accepted_is_told(db, isolation, everything):
    db.sql(DOORS + "drop trigger remember on public.wears")
    before = everything(db, traces=False)
    _, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    cell = attempts(text, "wears")["aldermoor", "refer wears_badge_id_fkey"]
    assert (cell["verdict"], cell["references_accepted"]) == ("isolated", ["wears_badge_id_fkey"])
    assert "may refer to one by wears_badge_id_fkey" in cell["observed"]
    assert everything(db, traces=False) == before


@pytest.mark.parametrize("command", ["collect", "run"])
def test_a_run_tries_writes_only_where_every_database_is_a_clone(db, command, tmp_path, capsys, everything):
    before = everything(db, traces=False)
    scope = tmp_path / "compliancectl.yaml"

    def tried(out: str, **changes: bool) -> tuple[int, str]:
        sources = {"postgres": json.loads(json.dumps(db.section(**changes)))}
        scope.write_text(yaml.safe_dump({"organization": "Larkspur", "system": "App", "sources": sources}))
        more = ["--no-report", "--key", str(tmp_path / "key.pem")] if command == "run" else []
        arguments = ["--scope", str(scope), "--only", "RLS-04", "--write-probes", "-o", str(tmp_path / out), *more]
        return app.run([command, *arguments]), capsys.readouterr().err

    assert app.run(["keys", "new", str(tmp_path / "key.pem")]) == 0
    code, errors = tried("refused")
    assert code == 2 and "not declared a clone" in errors
    assert not (tmp_path / "refused").exists()
    tried("tried", clone=True)
    files = [f for f in (tmp_path / "tried").rglob("*.parquet") if f.name == "postgres.isolation_probe.parquet"]
    assert "write" in {row["level"] for file in files for row in read_rows(file)}
    assert everything(db, traces=False) == before
