"""What cannot be read is an error with its reason; nothing is written; odd names and hostile neighbours change nothing."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest

from compliancectl.collectors.postgres import collector
from compliancectl.collectors.postgres.queries import query
from compliancectl.errors import Denied, Garbage, Missing, SourceFailed, Truncated, Unreachable


def at(db, dsn):
    return db.section(dsn=dsn)


def test_a_wrong_password_is_denied(db, collect, tmp_path):
    passwords = tmp_path / "pgpass"
    passwords.write_text("*:*:*:compliance_ro:wrong\n")
    passwords.chmod(0o600)
    with pytest.raises(Denied, match="password authentication failed") as raised:
        collect(
            at(db, f"host={db.box.server.folder} dbname={db.name} user=compliance_ro passfile={passwords}"), "server"
        )
    assert raised.value.hint


def test_an_unknown_role_is_denied(db, collect):
    with pytest.raises(Denied):
        collect(at(db, f"host={db.box.server.folder} dbname={db.name} user=nobody_known"), "server")


def test_without_connect_it_is_denied(db, collect):
    db.sql(f"revoke connect on database {db.name} from compliance_ro")
    with pytest.raises(Denied, match="permission denied for database"):
        collect(db.section(), "server")


def test_a_wrong_database_is_missing(db, collect):
    with pytest.raises(Missing, match="does not exist"):
        collect(at(db, db.box.dsn("no_such_database")), "server")


def test_nobody_listening_is_unreachable(db, collect, tmp_path):
    with pytest.raises(Unreachable):
        collect(at(db, f"host={tmp_path} dbname=app user=compliance_ro"), "server")


@contextmanager
def speaking(answer, certificate=None):
    """A listener that answers whatever comes with fixed bytes and hangs up; with a certificate, after a TLS handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(1024)
                    client.sendall(answer)
                    if certificate:
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(*certificate)
                        with suppress(OSError):
                            context.wrap_socket(client, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"host=127.0.0.1 port={listener.getsockname()[1]} dbname=app user=compliance_ro sslmode=disable"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x01\x02 nonsense", b"Z\x00\x00\x00\x05I"]
)
def test_something_else_on_the_port_is_garbage(answer, db, collect):
    with speaking(answer) as dsn, pytest.raises(Garbage):
        collect(at(db, dsn), "server")


def test_a_server_that_hangs_up_is_unreachable(db, collect):
    with speaking(b"") as dsn, pytest.raises(Unreachable):
        collect(at(db, dsn), "server")


def test_a_server_without_tls_is_refused_when_the_scope_demands_it(db, collect):
    with speaking(b"N") as dsn, pytest.raises(Unreachable, match="SSL") as raised:
        collect(at(db, dsn.replace("sslmode=disable", "sslmode=require")), "server")
    assert "TLS" in str(raised.value.hint)


def test_a_server_that_demands_tls_is_not_asked_in_clear(db, collect):
    refusal = (
        b'SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for host "127.0.0.1", user "compliance_ro", no encryption\0\0'
    )
    message = b"E" + (len(refusal) + 4).to_bytes(4, "big") + refusal
    with speaking(message) as dsn, pytest.raises(Denied, match="no encryption"):
        collect(at(db, dsn), "server")


def test_a_certificate_of_an_unknown_authority_is_not_trusted(db, collect, tmp_path):
    from compliancectl.sandbox.google.tls import Authority

    other, trusted = Authority(), Authority()
    key, certificate = other.server(tmp_path, "db", ("127.0.0.1",), ())
    roots = tmp_path / "roots.pem"
    roots.write_bytes(trusted.certificate_pem)
    with speaking(b"S", (certificate, key)) as dsn, pytest.raises(Unreachable, match="SSL error"):
        collect(at(db, dsn.replace("sslmode=disable", f"sslmode=verify-full sslrootcert={roots}")), "server")


def test_a_connection_that_breaks_in_the_middle_is_truncated(db, context, tmp_path):
    config = collector.config.model_validate(db.section())
    with (
        collector.open(config, context(tmp_path)) as session,
        pytest.raises(Truncated),
        session.snapshot(session.config.databases[0]) as snapshot,
    ):
        db.sql(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{db.name}' and usename = 'compliance_ro'"
        )
        snapshot.ask(query("relations"), ([], [], []))


def test_a_locked_table_is_not_counted(db, collect):
    held = db.box.server.connect(db.name)
    held.autocommit = False
    try:
        held.execute("lock table public.users in access exclusive mode")
        with pytest.raises(SourceFailed, match="lock_timeout"):
            collect({**db.section(), "timeouts_s": {"lock": 1}}, "purge_counts")
        assert collect({**db.section(), "timeouts_s": {"lock": 1}}, "relations").completeness.complete
    finally:
        held.close()


def test_a_query_that_takes_too_long_has_failed(db, collect):
    db.sql("""create or replace function compliance.user_purge(purge interval)
              returns table (total bigint, soft_deleted bigint, overdue bigint, oldest_deleted_at timestamptz)
              language sql security definer as $$ select 1, 0, 0, null::timestamptz from pg_sleep(30) $$""")
    with pytest.raises(SourceFailed, match="statement_timeout"):
        collect({**db.section(), "timeouts_s": {"statement": 1}}, "purge_counts")


def test_a_count_that_policies_would_filter_is_denied_and_not_low(db, collect):
    db.sql("grant usage on schema public to compliance_ro; grant select on public.users to compliance_ro")
    direct = [{"table": "public.users", "kind": "soft-deleted", "column": "deleted_at", "limit_hours": 8760}]
    with pytest.raises(Denied, match="policies would hide rows"):
        collect(db.section(purge_functions=[], purge_columns=direct), "purge_counts")


def test_a_count_without_the_grant_is_denied_and_names_it(db, collect):
    db.sql("revoke execute on function compliance.user_purge(interval) from compliance_ro")
    with pytest.raises(Denied, match="permission denied for function") as raised:
        collect(db.section(), "purge_counts")
    assert raised.value.hint == "GRANT EXECUTE ON FUNCTION user_purge to the collector's role."


def test_a_count_by_a_function_that_is_not_installed_is_missing(db, collect):
    db.sql("drop function compliance.user_purge(interval)")
    with pytest.raises(Missing):
        collect(db.section(), "purge_counts")


@pytest.mark.parametrize(
    ("feed", "catalogue"),
    [("policies", "pg_policy"), ("relations", "pg_class"), ("roles", "pg_roles"), ("columns", "pg_attribute")],
)
def test_a_catalogue_that_the_role_may_not_read_is_denied_and_not_empty(feed, catalogue, db, collect):
    db.sql(f"revoke select on pg_catalog.{catalogue} from public")
    with pytest.raises(Denied, match=f"permission denied for \\w+ {catalogue}") as raised:
        collect(db.section(), feed)
    assert raised.value.hint == f"GRANT SELECT ON {catalogue} to the collector's role."


def test_roles_and_permissions_without_the_grant_are_denied(db, collect):
    db.sql("revoke select (role, permission) on public.role_permissions from compliance_ro")
    with pytest.raises(Denied, match="permission denied for table role_permissions"):
        collect(db.section(), "role_permissions")


def test_roles_and_permissions_that_nobody_declared_are_missing_and_not_none(db, collect):
    with pytest.raises(Missing, match="does not say where"):
        collect(db.section(role_matrix=None), "role_permissions")


def test_connection_rules_without_the_function_are_denied(db, collect):
    db.sql("revoke execute on function pg_catalog.pg_hba_file_rules() from compliance_ro")
    with pytest.raises(Denied, match="pg_hba_file_rules"):
        collect(db.section(), "hba_rules")


def test_connection_rules_without_the_grant_are_denied(db, collect):
    db.sql("revoke select on pg_hba_file_rules from compliance_ro")
    with pytest.raises(Denied, match="pg_hba_file_rules"):
        collect(db.section(), "hba_rules")


@pytest.mark.parametrize(
    "change",
    [{"app_roles": ["app", "ap"]}, {"identity_table": "public.persons"}, {"temporary_tables": ["public.temporary"]}],
)
def test_a_declaration_of_what_is_not_there_is_missing(change, db, collect):
    with pytest.raises(Missing, match="the scope names what is not there"):
        collect(db.section(**change), "bypass_objects")


@pytest.mark.parametrize(
    "dsn",
    [
        "host=db password=hunter2",
        "postgresql://reader:hunter2@db/app",
        "postgresql://reader@db/app?password=hunter2",
        "host=db Password = hunter2",
    ],
)
def test_a_password_in_the_scope_is_refused(dsn, db):
    with pytest.raises(ValueError, match="must not hold a password"):
        collector.config.model_validate(at(db, dsn))


def test_a_role_with_connect_alone_reads_every_catalogue(db, collect, fresh):
    db.sql("create role bare login password 'x'; grant connect on database " + db.name + " to bare")
    db.box.folder.joinpath("pgpass").open("a").write("*:*:*:bare:x\n")
    try:
        for feed in (
            "relations",
            "policies",
            "roles",
            "public_grants",
            "bypass_objects",
            "columns",
            "foreign_keys",
            "setting_overrides",
            "extensions",
            "server",
        ):
            asked = collect(at(db, db.box.dsn(db.name, "bare")), feed).rows
            if feed != "server":
                assert asked == collect(db.section(), feed).rows
    finally:
        db.sql("revoke connect on database " + db.name + " from bare; drop role bare")


NAMES = [
    '"; drop table x; --',
    "it's",
    "<script>alert(1)</script>",
    "a.b",
    "schön 表 🦚",
    "ü" * 31,
    "select",
    "Upper",
    "%s $1 {x}",
    "a/b",
]


def test_odd_names_are_kept_as_they_are(db, collect):
    import psycopg.sql as s

    with db.box.server.connect(db.name) as connection:
        for name in NAMES:
            connection.execute(
                s.SQL(
                    "create schema {0}; create table {0}.{0} (organization_id uuid, {0} text default 'x');"
                    "create policy {0} on {0}.{0} using (true); create view {0}.v as select * from {0}.{0};"
                ).format(s.Identifier(name))
            )
        connection.execute(
            s.SQL("create schema a; create table a.{} (organization_id uuid)").format(s.Identifier("b.a.b"))
        )
    for feed, key in (("relations", "name"), ("policies", "name"), ("columns", "name"), ("bypass_objects", "schema")):
        got = collect(db.section(), feed)
        assert set(NAMES) <= set(got.by(key))
        assert len(got.by("resource")) == len(got.rows)
        assert got.completeness.complete
    rows = collect(db.section(shared_tables={'"a.b"."a.b"': "a table of names"}), "relations").rows
    assert [(row["schema"], row["name"]) for row in rows if row["declared_shared"]] == [("a.b", "a.b")]


def test_an_odd_table_is_counted_where_it_is(db, collect):
    db.sql(
        'create table public."x""; drop table public.users; --" (at timestamptz); grant usage on schema public to compliance_ro;'
        'grant select on public."x""; drop table public.users; --" to compliance_ro'
    )
    table = 'public."x""; drop table public.users; --"'
    direct = [{"table": table, "kind": "temporary", "column": "at", "limit_hours": 1}]
    (row,) = collect(db.section(purge_functions=[], purge_columns=direct), "purge_counts").rows
    assert (row["table"], row["total"], row["estimated_rows"]) == (table, 0, 0)
    assert db.sql("select count(*) from public.users") == [(40,)]


STATE = """select (select json_agg(c.relname || c.relfilenode || coalesce(c.relacl::text, '') order by c.oid) from pg_class c)::text,
                  (select count(*) from pg_proc), (select json_agg(r order by rolname) from pg_roles r)::text,
                  (select md5(string_agg(u.xmin::text || u::text, ',' order by id)) from public.users u),
                  (select md5(string_agg(u.xmin::text || u::text, ',' order by id)) from public.conversations u)"""


def test_nothing_is_written(db, collect, everything):
    """The whole database before and after, samples of values included."""
    before = everything(db)
    for feed in collector.feeds:
        collect(db.section(sampling={"rows": 5}), feed.name)
    assert everything(db) == before


def test_the_session_refuses_to_write(db, context, tmp_path):
    config = collector.config.model_validate(at(db, f"host={db.box.server.folder} dbname={db.name} user=postgres"))
    with (
        collector.open(config, context(tmp_path)) as session,
        pytest.raises(SourceFailed, match="read-only transaction"),
        session.snapshot(session.config.databases[0]) as snapshot,
    ):
        snapshot._connection.execute("create table public.written (id int)")
    assert db.sql("select to_regclass('public.written')") == [(None,)]


@pytest.mark.parametrize(
    "way_out",
    [
        "set transaction read write; create table public.written (id int)",
        "set default_transaction_read_only = off; create table public.written (id int)",
        "select set_config('transaction_read_only', 'off', true); update public.users set email = ''",
        "select nextval('public.audit_events_id_seq')",
        "select lo_create(0)",
    ],
)
def test_no_way_to_write_is_left_open_even_to_a_superuser(way_out, db, context, tmp_path):
    """The transaction has begun read-only, with a snapshot: PostgreSQL lets nobody make it read-write again."""
    config = collector.config.model_validate(at(db, f"host={db.box.server.folder} dbname={db.name} user=postgres"))
    before = db.sql(STATE)
    with (
        collector.open(config, context(tmp_path)) as session,
        pytest.raises(SourceFailed),
        session.snapshot(session.config.databases[0]) as snapshot,
    ):
        snapshot._connection.execute(way_out)
    assert db.sql(STATE) == before


def test_a_safe_view_is_not_called_a_bypass_and_a_nested_one_is(db, collect):
    db.sql("""create view public.bound as select * from public.conversations; alter view public.bound owner to app_owner;
              create view public.leak as select * from public.conversations;
              create view public.behind with (security_invoker = true) as select * from public.leak;
              create view public.unrelated as select * from public.subject_areas""")
    got = collect(db.section(), "bypass_objects").by("name")
    assert (got["bound"]["owner_bound"], got["bound"]["reads_tenant_tables"]) == (True, True)
    assert (got["leak"]["owner_bound"], got["leak"]["reads_tenant_tables"]) == (False, True)
    assert (got["behind"]["owner_bound"], got["behind"]["reads_tenant_tables"]) == (False, True)
    assert got["unrelated"]["reads_tenant_tables"] is False
    db.sql("alter table public.conversations no force row level security")
    assert collect(db.section(), "bypass_objects").by("name")["bound"]["owner_bound"] is False


def test_trust_in_a_function_ends_when_its_body_changes(db, collect):
    name = "compliance.user_purge(interval)"
    digest = collect(db.section(), "bypass_objects").by("name")["user_purge"]["body_sha256"]
    pinned = {name: {"reason": "reviewed", "body_sha256": digest}}
    assert (
        collect(db.section(trusted_definers=pinned), "bypass_objects").by("name")["user_purge"]["trusted"] == "reviewed"
    )
    db.sql("""create or replace function compliance.user_purge(purge interval)
              returns table (total bigint, soft_deleted bigint, overdue bigint, oldest_deleted_at timestamptz)
              language sql security definer as $$ select 1, 0, 0, null::timestamptz $$""")
    assert collect(db.section(trusted_definers=pinned), "bypass_objects").by("name")["user_purge"]["trusted"] is None


def test_membership_is_followed_to_the_end(db, collect):
    db.sql("create role deep superuser; create role middle; grant deep to middle; grant middle to app")
    try:
        row = collect(db.section(), "roles").by("name")["app"]
    finally:
        db.sql("drop role deep; drop role middle")
    assert row["member_of"] == ["deep", "middle"]
    assert row["bypass_through"] == ["deep"]


def test_doctor_says_what_works_and_what_does_not(db, context, tmp_path):
    db.sql("revoke execute on function compliance.agent_purge(interval) from compliance_ro")
    with collector.open(collector.config.model_validate(db.section()), context(tmp_path)) as session:
        said = {line.subject: line.outcome for line in session.doctor()}
    assert said["connection to app"] == "ok"
    assert said["purge count of public.agents on app"] == "missing"
    assert said["purge count of public.users on app"] == "ok"


def test_doctor_tells_whether_the_application_role_may_be_taken_and_how(db, context, tmp_path):
    config = collector.config.model_validate(db.section())
    subject = "role app for the probes of isolation on app"

    def ask():
        with collector.open(config, context(tmp_path)) as session:
            return next(line for line in session.doctor() if line.subject == subject)

    assert ask().outcome == "ok"
    db.sql("revoke app from compliance_ro")
    missing = ask()
    assert missing.outcome == "missing"
    db.sql(missing.fix)
    assert ask().outcome == "ok"


def test_doctor_survives_a_dead_server(db, context, tmp_path):
    section = at(db, f"host={tmp_path} dbname=app user=compliance_ro")
    with collector.open(collector.config.model_validate(section), context(tmp_path)) as session:
        assert [line.outcome for line in session.doctor()] == ["unknown"]


def test_two_collections_of_the_same_state_say_the_same(db, collect):
    first, second = (json.loads(collect(db.section(), "relations").replies[0].body) for _ in range(2))
    for document in (first, second):
        document.pop("snapshot")
    assert first == second
