"""What is read of code: how it tells the database whose rows to show, and which models a router may reach."""

from __future__ import annotations

import json

import pytest

from compliancectl.sandbox.github.server import describe


@pytest.fixture
def written(start):
    """Collect with one file of code in the study companion, and no other."""

    def collected(text, table, path="app/code.py", **section):
        def change(github):
            github["repositories"]["study-companion"]["code"] = {path: text}

        return start(change).collect(table, **section)

    return collected


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ('query("SET LOCAL app.org_id = $1")', ["transaction"]),
        ("set local \"app.org_id\" to 'x'", ["transaction"]),
        ('query("SET app.org_id = $1")', ["session"]),
        ("ALTER ROLE app SET app.org_id TO 'x'", ["session"]),
        ("SET SESSION app.org_id='x'", ["session"]),
        ("select set_config('app.org_id', $1, true)", ["transaction"]),
        ("select set_config('app.org_id', coalesce($1, 'a,b)'), TRUE)", ["transaction"]),
        ("select set_config( 'app.org_id',\n  (select 1),\n  false )", ["session"]),
        ("select set_config('app.org_id', $1, is_local)", [None]),
        ("select set_config('app.org_id', $1", [None]),
        ("using (org_id = current_setting('app.org_id')::uuid)", ["read"]),
        ("SET LOCAL app.org_id = 1; SET app.org_id = 2; x = current_setting('app.org_id')", ["read", "session", "transaction"]),
        ("VARIABLE = 'app.org_id'", [None]),
        ("SET LOCAL app.other = 1 -- app.org_id", [None]),
        ("CHARSET app.org_id = 1", [None]),
    ],
)  # fmt: skip
def test_how_a_variable_is_set(written, text, uses):
    run = written(text, "context_setting")
    rows = run.rows("context_setting")
    assert sorted(row["use"] or "" for row in rows) == sorted(use or "" for use in uses)
    assert {(row["repository"], row["path"], row["variable"]) for row in rows} == {
        ("study-companion", "app/code.py", "app.org_id")
    }
    assert run.only.status == "collected"


@pytest.mark.parametrize(
    ("text", "only", "order", "fallbacks", "models"),
    [
        ('{"only": ["openai", \'azure\']}', ["azure", "openai"], [], True, []),
        ('{"order": ["openai"], "allow_fallbacks": false}', [], ["openai"], False, []),
        ("provider = dict(order=['openai'], allow_fallbacks=False)", [], ["openai"], False, []),
        ('{"order": ["openai"], "allow_fallbacks": false}, {"allow_fallbacks": true}', [], ["openai"], True, []),
        ('{"only": HOSTS, "order": []}', None, [], True, []),
        ('{"only": [HOSTS.first]}', None, [], True, []),
        ('MODEL = "openai/gpt-5"\nMODELS: ["x-ai/grok-4", name]', [], [], True, ["openai/gpt-5", "x-ai/grok-4"]),
        ('model: str = name; "model": "large"', [], [], True, []),
        ("nothing of the kind", [], [], True, []),
    ],
)  # fmt: skip
def test_where_a_router_may_send_prompts(written, text, only, order, fallbacks, models):
    (row,) = written(f"https://openrouter.ai/api\n{text}", "model_route").rows("model_route")
    assert (row["only_hosts"], row["order_hosts"], row["fallbacks"], row["models"]) == (only, order, fallbacks, models)


def test_nothing_else_of_a_file_stays(written):
    secret = "SEEDED-SECRET-abc seeded-person-x"
    run = written(
        f"# {secret}\nSET LOCAL app.org_id = '{secret}'; set_config('app.org_id', '{secret}', true)", "context_setting"
    )
    for file in run.folder.rglob("*"):
        assert not file.is_file() or (
            b"SEEDED-SECRET" not in file.read_bytes() and b"seeded-person" not in file.read_bytes()
        )
    assert run.only.redactions["free text"] >= 1


def test_many_files_share_a_request(start):
    def change(github):
        github["repositories"]["study-companion"]["code"] = {
            f"app/{n:03}.sql": "SET LOCAL app.org_id = 1" for n in range(130)
        }

    hub = start(change)
    run = hub.collect("context_setting")
    assert len(run.rows("context_setting")) == run.only.completeness.items == 130
    asked = [describe(request) for request in hub.part.web.log]
    assert (asked.count("GET /search/code"), asked.count("POST /graphql CodeTexts")) == (2, 3)


def test_files_of_repositories_that_the_scope_leaves_out_are_not_read(start):
    def change(github):
        github["repositories"]["handbook"]["code"] = {"a.sql": "SET app.org_id = 1"}
        github["repositories"]["reading-aloud"]["code"] = {"b.sql": "SET app.org_id = 1"}

    run = start(change).collect("context_setting", repositories={"exclude": ["handbook"]})
    assert {row["repository"] for row in run.rows("context_setting")} == {"study-companion"}
    assert any("no forks" in text for text in run.only.completeness.filters)


def test_a_search_that_github_could_not_finish_is_not_whole(hub):
    body = {"total_count": 0, "incomplete_results": True, "items": []}
    hub.misbehave("GET /search/code", status=200, body=json.dumps(body).encode())
    item = hub.collect("context_setting").only
    assert (item.status, "could not finish its search" in item.reason) == ("partial", True)


@pytest.mark.parametrize("body", [b"[]", b'{"total_count": 1}', b'{"items": []}'])
def test_a_search_without_its_parts_is_no_answer(hub, body):
    hub.misbehave("GET /search/code", status=200, body=body)
    assert hub.collect("model_route").only.status in ("failed", "partial")


def test_a_text_that_does_not_come_is_unknown(hub):
    hub.state.denied.add("contents larkspur-learning/study-companion")
    run = hub.collect("context_setting", "model_route")
    assert {row["use"] for row in run.rows("context_setting")} == {None}
    assert {row["fallbacks"] for row in run.rows("model_route")} == {None}
    assert {item.status for item in run.items.values()} == {"partial"}


def test_a_scope_that_names_neither_searches_nothing(hub):
    run = hub.collect("context_setting", "model_route", context_variable=None, model_router=None)
    assert {item.status for item in run.items.values()} == {"skipped"}
    assert not [request for request in hub.part.web.log if "/search/" in request.path]
