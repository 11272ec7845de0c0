"""The schema map, counts by class, tenants that left, the inventory of personal data, and the SQL for the owner."""

from __future__ import annotations

import json

import pytest

from compliancectl.cli import app
from compliancectl.collectors.postgres import content
from compliancectl.collectors.postgres.config import PostgresConfig
from compliancectl.errors import Denied, Garbage, Missing

MAPPED = {"api_tokens": {"table": "public.m", "owner": "o", "hash": "h", "expires": "e"}}


def column(db, collect, made, role="hash", **more):
    """What the schema map says of the column `h` of a table that is made so."""
    db.sql(f"create type public.mood as enum ('good', 'bad'); create table public.m (o int, e int, {made}, x int)")
    for statement in more.pop("then", ()):
        db.sql(statement)
    (row,) = [r for r in collect(db.section(schema_map=MAPPED), "schema_map").rows if r["role"] == role]
    return row


@pytest.mark.parametrize(
    ("made", "facts"),
    [
        ("h text check (length(h) >= 22)", {"min_length": 22}),
        ("h varchar(64) check (char_length(h) > 40)", {"min_length": 41}),
        ("h bytea check (octet_length(h) = 32)", {"min_length": 32}),
        ("h text check (length(h) >= 22 or h is null)", {"min_length": None}),
        ("h text check (not (length(h) >= 22))", {"min_length": None}),
        ("h text check (length(h) <= 22)", {"min_length": None}),
        ("h text check (length(h) >= 22), check (length(h) >= 30)", {"min_length": 30}),
        ("h bigint check (h >= 0)", {"min_value": 0}),
        ("h numeric check (h > 0)", {"min_value": 1}),
        ("h int check (h >= -5)", {"min_value": None}),  # written '-5'::integer, a literal that is not told
        ("h int check (h >= 0 and h < 100)", {"min_value": 0}),
        ("h int check (h >= 0 or x = 1)", {"min_value": None}),
        ("h int check (h <= 10)", {"min_value": None}),
        ("h text check (h in ('a', 'b c'))", {"allowed_values": ["a", "b c"]}),
        ("h varchar(9) check (h in ('a', 'b'))", {"allowed_values": ["a", "b"]}),
        ("h text check (h in ('a', 'b') or length(h) > 3)", {"allowed_values": None}),
        ("h text check (h in ('a', 'sk-4711'))", {"allowed_values": None}),
        ("h public.mood", {"allowed_values": ["good", "bad"]}),
        ("h text not null default 'x'", {"nullable": False, "default": "'x'::text"}),
        ("h text unique", {"is_unique": True, "nullable": True}),
        ("h text, unique (h, e)", {"is_unique": False}),
        ("h uuid references public.organizations", {"references": "public.organizations"}),
    ],
)
def test_what_constraints_say_of_a_column(made, facts, db, collect):
    row = column(db, collect, made)
    assert {name: row[name] for name in facts} == facts


@pytest.mark.parametrize(
    ("then", "facts"),
    [
        ("create unique index on public.m (h) where x is null", {"is_unique": False}),
        ("create unique index on public.m (lower(h))", {"is_unique": False}),
        ("create unique index on public.m (h)", {"is_unique": True}),
        ("alter table public.m add check (length(h) >= 22) not valid", {"min_length": None, "checks": []}),
    ],
)
def test_what_holds_for_some_rows_alone_is_not_said_of_all(then, facts, db, collect):
    row = column(db, collect, "h text", then=[then])
    assert {name: row[name] for name in facts} == facts


def test_a_domain_binds_its_columns(db, collect):
    db.sql("create domain public.token as text not null check (length(value) >= 22)")
    row = column(db, collect, "h public.token")
    assert (row["min_length"], row["nullable"]) == (22, False)


def test_a_column_that_is_not_there_is_a_row_and_a_table_is_a_mistake_of_the_scope(db, collect):
    row = column(db, collect, "other text")
    assert row["present"] is False and row["type"] is None and row["checks"] is None
    with pytest.raises(Missing, match=r"public\.nowhere"):
        collect(db.section(schema_map={"credits": {"table": "public.nowhere", "balance": "b"}}), "schema_map")


def test_without_a_schema_map_nothing_is_said(db, collect):
    with pytest.raises(Missing, match="no schema map"):
        collect(db.section(schema_map={}), "schema_map")


def test_a_trigger_tells_which_mapped_tables_it_names(db, collect):
    db.sql("""create function public.f() returns trigger language plpgsql as
              $$ begin insert into Share_Links default values; update my_documents set x = 1; return new; end $$;
              create trigger t after insert or update on public.documents for each row execute function public.f();
              create trigger off after delete on public.documents for each row execute function public.f();
              alter table public.documents disable trigger off""")
    got = collect(db.section(), "triggers")
    (row,) = got.rows
    assert row["mentions"] == ["public.share_links"]
    assert (row["on_insert"], row["on_update"], row["on_delete"]) == (True, True, False)
    assert got.completeness.complete
    assert b"default values" not in got.replies[0].body


@pytest.mark.parametrize("returned", ["'someone@students.example'", "null", "'$2b$10$abcdefghijkl'", "repeat('a', 50)"])
def test_a_function_that_returns_more_than_classes_is_refused_whole(returned, db, collect):
    db.sql(f"""create or replace function compliance.password_hashes() returns table (class text, rows bigint)
               language sql stable as $$ select 'other', 1::bigint union all select {returned}, 2::bigint $$""")
    with pytest.raises(Garbage, match="no plain word"):
        collect(db.section(), "aggregates")


def test_counts_without_the_grant_are_denied_and_without_a_declaration_missing(db, collect):
    with pytest.raises(Missing, match="no aggregate functions"):
        collect(db.section(aggregates={}), "aggregates")
    db.sql("revoke execute on function compliance.share_links() from compliance_ro")
    with pytest.raises(Denied):
        collect(db.section(), "aggregates")


def test_nobody_left_is_not_the_same_as_nobody_said(db, collect):
    said = db.section()["databases"][0]["departed_tenants"]
    with pytest.raises(Missing, match="which tenants left"):
        collect(db.section(departed_tenants=None), "departed_tenants")
    nobody = collect(db.section(departed_tenants={**said, "ended": {}}), "departed_tenants")
    assert nobody.rows == [] and nobody.completeness.complete
    db.sql("""create or replace function compliance.rows_of_tenant(tenant text) returns table (relation text, rows bigint, total bigint)
              language sql stable as $$ select 'a person', 1::bigint, 1::bigint $$""")
    with pytest.raises(Garbage, match="no table"):
        collect(db.section(), "departed_tenants")


# -- personal data ----------------------------------------------------------------------------------------------------

HELD = {
    "e-mail address": ("write to A.Person+x@mail.students.example today", "see @home or a@b"),
    "telephone number": ("call +49 30 901820", "build 4.930.901820"),
    "payment card": ("paid with 4242 4242 4242 4242", "order 4242 4242 4242 4243"),
    "bank account": ("DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 01"),
    "IP address": ("2001:db8::17", "version 10.4.1.2"),
    "personal number (us)": ("SSN 536-90-4399", "SSN 000-90-4399"),
    "personal number (de)": ("36574261809", "36574261808"),
}


@pytest.mark.parametrize("label", HELD)
def test_a_value_is_told_by_its_form_and_check_digit(label):
    known = content.detectors(["us", "de"])
    for text, holds in zip(HELD[label], (True, False), strict=True):
        tally = content.Tally()
        content.look([text], known, tally)
        assert (label in tally.found()) is holds, text


def test_numbers_that_are_right_by_chance_are_no_finding():
    """Of ten numbers in a row one has a right check digit; that is no column of card numbers."""
    tally = content.Tally()
    content.look([f"42424242424242{n:02d}" for n in range(100)], content.detectors(), tally)
    assert tally.hits["payment card"] == 10 and tally.found() == {}


def test_samples_tell_classes_and_counts_and_no_value(db, collect):
    db.sql("""alter table public.documents add column "the Note" text;
              update public.documents set "the Note" = 'call +49 30 901820 about seeded-person-5@students.example'""")
    got = collect(db.section(sampling={"rows": 4}), "personal_columns")
    rows = got.by("column")
    note = rows["public.documents.the Note"]
    assert note["declared"] is False and note["present"] is True
    assert (note["sampled"], note["found"], note["found_counts"]) == (8, ["e-mail address", "telephone number"], [8, 8])
    assert rows["public.users.email"]["found"] == ["e-mail address"]
    assert rows["public.users.first_name"]["found"] == []
    assert b"901820" not in got.replies[0].body + json.dumps(dict(got.replies[0].context)).encode()
    without = collect(db.section(), "personal_columns").by("column")
    assert "public.documents.the Note" not in without and without["public.users.email"]["sampled"] is None


def test_samples_need_the_applications_role_and_contexts(db, collect):
    with pytest.raises(Missing, match="no contexts"):
        collect(db.section(sampling={}, contexts={}), "personal_columns")
    with pytest.raises(Missing, match="no inventory"):
        collect(db.section(personal_data={}), "personal_columns")
    db.sql("create role other nologin")
    try:
        with pytest.raises(Denied, match="may not take the role other"):
            collect(db.section(sampling={}, app_roles=["app", "other"]), "personal_columns")
    finally:
        db.sql("drop role other")


def test_a_table_that_cannot_be_read_stays_unsampled_and_the_rest_is_done(db, collect):
    db.sql("create function public.boom(uuid) returns boolean language plpgsql as $$ begin raise exception 'x'; end $$;"
           "alter policy tenant on public.messages using (public.boom(organization_id))")  # fmt: skip
    rows = collect(db.section(sampling={"rows": 4}), "personal_columns").by("column")
    assert rows["public.messages.body"]["sampled"] is None
    assert rows["public.users.email"]["sampled"] == 8


def test_a_mask_is_shown_by_a_label_and_a_hash_by_what_fits_it(db, collect):
    db.sql("""insert into pg_seclabel values ('public.users'::regclass, 'pg_class'::regclass,
                (select attnum from pg_attribute where attrelid = 'public.users'::regclass and attname = 'email'), 'anon', 'MASKED')""")
    entry = {"kind": "contact", "purpose": "log in", "retention": "a year"}
    said = {
        "public.users.email": {**entry, "technique": "mask"},
        "public.users.first_name": {**entry, "technique": "mask"},
        "public.api_tokens.token_hash": {**entry, "technique": "hash"},
        "public.users.last_name": {**entry, "technique": "hash"},
        "public.users.gone": entry,
    }
    rows = collect(db.section(personal_data=said), "personal_columns").by("column")
    shown = {name: row["technique_shown"] for name, row in rows.items()}
    assert shown == {
        "public.api_tokens.token_hash": True,
        "public.users.email": True,
        "public.users.first_name": False,
        "public.users.gone": None,
        "public.users.last_name": False,
    }
    assert [name for name, row in rows.items() if not row["present"]] == ["public.users.gone"]


def test_an_inventory_says_how_long_or_why_not(db):
    for entry, ok in (
        ({"kind": "contact", "purpose": "p"}, False),
        ({"kind": "none", "purpose": "an internal number"}, True),
    ):
        section = db.section(personal_data={"public.users.email": entry})
        if ok:
            PostgresConfig.model_validate(section)
        else:
            with pytest.raises(ValueError, match="retention"):
                PostgresConfig.model_validate(section)


# -- the SQL for the owner --------------------------------------------------------------------------------------------

TABLES = [
    {"table": "public.users", "kind": "soft-deleted", "column": "deleted_at", "limit_hours": 8760},
    {"table": "public.temporary_chats", "kind": "temporary", "column": "created_at", "limit_hours": 72},
]


@pytest.fixture
def printed(tmp_path, capsys):
    """Run `postgres install-views`; returns exit code and output."""
    from ruamel.yaml import YAML

    def run(section, *arguments):
        scope = tmp_path / "compliancectl.yaml"
        with scope.open("w", encoding="utf-8") as stream:
            sources = {"postgres": json.loads(json.dumps(section))}
            YAML(typ="safe", pure=True).dump({"organization": "Larkspur", "system": "App", "sources": sources}, stream)
        code = app.run(["postgres", "install-views", "--scope", str(scope), *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_what_is_printed_installs_and_counts_the_same(db, collect, printed):
    db.sql("alter table public.knowledge_collections add column deleted_at timestamptz")
    mapped = db.section()["databases"][0]["schema_map"]
    mapped = {**mapped, "collections": {"table": "public.knowledge_collections", "deleted": "deleted_at"}}
    before = {feed: collect(db.section(), feed).rows for feed in ("purge_counts", "departed_tenants")}
    db.sql("drop schema compliance cascade")
    section = db.section(purge_functions=[], purge_columns=TABLES, schema_map=mapped)
    code, text, _ = printed(section, "--print")
    assert code == 0 and "compliance_ro" in text
    db.sql(text)
    db.sql(text)  # may be run again
    from ruamel.yaml import YAML

    lines = [line.removeprefix("--   ") for line in text[text.index("-- Then declare") :].splitlines()[1:]]
    declared = YAML(typ="safe", pure=True).load("\n".join(lines))
    assert set(declared) == {"purge_functions", "aggregates", "departed_tenants", "trusted_definers"}
    ended = db.section()["databases"][0]["departed_tenants"]["ended"]
    after = db.section(**{**declared, "departed_tenants": {**declared["departed_tenants"], "ended": ended}})
    purged = {(r["table"], r["total"], r["overdue"]) for r in collect(after, "purge_counts").rows}
    assert purged == {
        (r["table"], r["total"], r["overdue"]) for r in before["purge_counts"] if r["table"] in str(TABLES)
    }
    assert collect(after, "departed_tenants").rows == before["departed_tenants"]
    counts = {(r["kind"], r["class"]): r["count"] for r in collect(after, "aggregates").rows}
    assert counts["password_hashes", "argon2id"] == 40 and counts["password_hashes", "other"] == 0
    assert counts["collections", "kept"] == 2 and counts["collections", "overdue"] == 0
    assert counts["share_links", "external redacted"] > 0
    untrusted = [r for r in collect(after, "bypass_objects").rows if r["schema"] == "compliance" and not r["trusted"]]
    assert untrusted == []


def test_pg_cron_is_read_through_a_function_of_the_role_that_schedules(db, collect, printed):
    from compliancectl.sandbox import company

    db.sql((company.FOLDER / "pg_cron.sql").read_text("utf-8"))
    db.sql("""revoke cron_reader from compliance_ro; grant usage on schema cron to compliance_ro;
              grant select on cron.job, cron.job_run_details to compliance_ro;
              insert into cron.job (jobname, schedule, command) values ('purge', '0 3 * * *', 'select ''SEEDED-SECRET''');
              insert into cron.job_run_details (jobid, command, status, start_time, end_time)
                values (1, 'SEEDED-SECRET', 'succeeded', now() - interval '1 day', now() - interval '1 day')""")
    try:
        with pytest.raises(Denied, match="policies would hide rows"):  # grants alone are not enough
            collect(db.section(), "cron_runs")
        code, text, _ = printed(db.section(), "--print")
        assert code == 0 and 'cron_function: "compliance.cron_runs"' in text
        db.sql(text)
        (row,) = collect(db.section(cron_function="compliance.cron_runs"), "cron_runs").rows
        assert (row["job"], row["status"], row["active"]) == ("purge", "succeeded", True)
    finally:
        db.sql("drop schema cron cascade; delete from pg_extension where extname = 'pg_cron'; drop role cron_reader")


def test_nothing_is_printed_without_print_or_without_anything_to_count(db, printed):
    code, out, error = printed(db.section())
    assert (code, out) == (2, "") and "--print" in error
    section = db.section(purge_columns=[], schema_map={}, departed_tenants=None)
    code, out, error = printed(section, "--print")
    assert (code, out) == (2, "") and "nothing that a function would count" in error


def test_malicious_names_stay_names_in_what_is_printed(db, collect, printed):
    bad = '"x""); drop table public.users; --"'
    db.sql(f"create table public.{bad} (organization_id uuid, {bad} timestamptz)")
    columns = [{"table": f"public.{bad}", "kind": "temporary", "column": bad, "limit_hours": 1}]
    code, text, _ = printed(db.section(purge_functions=[], purge_columns=columns, schema_map={}), "--print")
    assert code == 0
    db.sql(text)
    assert db.sql("select count(*) from public.users") == [(40,)]
