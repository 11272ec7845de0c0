"""The audit log: what it holds, where the plan has none, who may not see it, how far back it goes, and long ones."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.model.evidence import Window
from compliancectl.sandbox.run import environment

ORG = "larkspur-learning"
LATER = "GET /organizations/[0-9]+/audit-log"
"""Pages after the first: GitHub's own links name organisations by number."""
LOG = f"GET /orgs/{ORG}/audit-log"


def period(hub: Any, days: int) -> Window:
    return Window(start=hub.state.now - timedelta(days=days), end=hub.state.now)


def long(github: dict[str, Any], events: int = 450) -> None:
    """Five pages."""
    now = clock.now()
    github["audit_log"] = [
        {"action": "repo.access", "at": clock.text(now - timedelta(minutes=number + 10)), "by": "bruno-keller"}
        for number in range(events)
    ]


def fail_after(hub: Any, pages: int, status: int) -> None:
    """Let the first page and so many after it come, and none after them."""
    hub.misbehave(LATER, kind="slow", seconds=0.0, times=pages)
    hub.misbehave(LATER, status=status)


def asked(hub: Any) -> int:
    return sum(request.path.endswith("/audit-log") for request in hub.part.web.log)


def test_what_is_kept_of_events(whole):
    (log,) = whole.rows("audit_log")
    item = whole.items[f"audit_log {ORG}"]
    assert (item.status, log["read"], log["plan"]) == ("collected", True, None)
    assert (log["since"].isoformat(), log["until"].isoformat()) == tuple(
        moment.replace(tzinfo=None).isoformat() for moment in (item.window.start, item.window.end)
    )
    events = {row["action"]: row for row in whole.rows("audit_event")}
    assert "org.add_member" not in events  # before the period
    assert "git.clone" not in events
    rule = events["protected_branch.update_required_status_checks_enforcement_level"]
    assert (rule["operation"], rule["actor"], rule["repository"]) == ("modify", "dilnoza-karimova", "infrastructure")
    assert rule["at"] == max(row["at"] for row in events.values() if row["repository"] == "infrastructure")
    assert events["org.update_member"]["affected"] == "amara-okafor"
    assert events["repo.change_merge_setting"]["actor"] is None
    assert events["team.add_member"]["actor"] is None  # an address, and no openings were kept
    (reply,) = item.replies
    body = (whole.folder / "evidence" / item.id / reply.path).read_bytes()
    assert b"SEEDED-" not in body
    assert b"seeded-person" not in body
    assert item.redactions["detail of an event"] > len(events)
    assert {key for event in json.loads(body) for key in event} <= {
        *("@timestamp", "_document_id", "action", "created_at", "org", "operation_type", "actor", "repo", "user")
    }


def test_a_period_that_began_before_what_github_keeps(hub):
    run = hub.collect("audit_event", period=period(hub, 365))
    assert run.only.window.end - run.only.window.start == timedelta(days=180)
    assert run.rows("audit_log")[0]["since"] == run.only.window.start.replace(tzinfo=None)
    assert any("180 days that GitHub keeps" in text for text in run.only.completeness.filters)
    assert len(run.rows("audit_event")) == 8  # GitHub shows no more than three months unless a span is named


@pytest.mark.parametrize("plan", ["team", "free"])
def test_a_plan_without_it_is_told_and_is_no_refusal(hub, plan):
    hub.state.organization["plan"] = plan
    run = hub.collect("audit_event")
    (log,) = run.rows("audit_log")
    assert (run.only.status, log["read"], log["plan"], log["since"]) == ("collected", False, plan, None)
    assert [reply.status for reply in run.only.replies] == ["404", "200"]
    assert run.rows("audit_event") == []


def test_an_app_that_has_the_permission_and_is_not_shown_the_plan(hub):
    hub.state.organization["plan"] = "team"
    app = hub.part.make_app(hub.sandbox.folder)
    hub.state.viewer["role"] = "member"
    run = hub.collect("audit_log", app=app)
    assert (run.only.status, run.rows("audit_log")[0]["read"]) == ("collected", False)


def test_404_that_cannot_be_told_apart_is_denied(hub):
    hub.state.viewer["role"] = "member"
    item = hub.collect("audit_log").only
    assert (item.status, item.cause, item.replies) == ("denied", "permission", ())
    assert "cannot be told apart" in item.reason
    assert "does not show this token the plan" in item.reason
    hub.state.viewer["role"] = "admin"
    hub.state.data["audit_log_hidden"] = True
    assert "it names the plan enterprise" in hub.collect("audit_log").only.reason


def test_a_permission_that_is_missing_is_denied(hub):
    hub.state.denied.add("organization_administration")
    item = hub.collect("audit_log").only
    assert (item.status, item.cause) == ("denied", "permission")
    assert "organization_administration=read" in item.hint


def test_a_long_log_is_read_to_its_end_and_leaves_nothing_in_the_cache(start):
    hub = start(long)
    run = hub.collect("audit_event", cache="answers")
    assert (run.only.status, run.only.completeness.pages, len(run.rows("audit_event"))) == ("collected", 5, 450)
    assert len(run.rows("audit_log")) == 1
    assert not list((hub.sandbox.scope_file.parent / "answers").glob("*.json"))


def test_more_pages_than_the_limit_and_pages_without_end(start):
    hub = start(long)
    item = hub.collect("audit_log", page_limit=2).only
    assert (item.status, item.cause) == ("partial", "truncated")
    hub.misbehave("audit-log", "repeated-page")
    assert hub.collect("audit_log").only.status == "partial"


def test_a_failure_between_pages_is_partial(start):
    hub = start(long)
    fail_after(hub, 1, 500)
    item = hub.collect("audit_log", deadline_s=0.1).only
    assert (item.status, item.cause) == ("partial", "source-error")


def test_what_is_no_event_is_not_kept(hub):
    hub.state.data["audit_log"][3]["more"] = {"_document_id": None, "fingerprint": "SEEDED-SECRET-x"}
    item = hub.collect("audit_log").only
    assert (item.status, item.cause, item.replies) == ("failed", "garbage", ())


def test_events_from_outside_the_span_make_it_partial(hub):
    hub.state.data["audit_log"][3]["more"] = {"@timestamp": 1_600_000_000_000}
    item = hub.collect("audit_log").only
    assert (item.status, "outside the span" in item.reason) == ("partial", True)


def test_the_limit_of_requests_is_no_empty_log(hub):
    hub.misbehave(LOG, "secondary-rate-limit", headers={"Retry-After": "3600"})
    item = hub.collect("audit_log").only
    assert (item.status, item.cause, item.replies) == ("failed", "rate-limited", ())


def collected(hub: Any, run: Any, *more: str) -> Any:
    """`collect` as a person runs it, of LOG-02's evidence from GitHub alone."""
    with environment(hub.sandbox.env):
        app.run(["collect", "--scope", str(hub.sandbox.scope_file), "--only", "LOG-02", "-o", str(run), *more])
    (item,) = run.glob("evidence/github/audit_log/*/item.json")
    return json.loads(item.read_bytes())


@pytest.mark.parametrize("expired", [False, True])
def test_a_run_that_broke_off_goes_on_behind_the_last_page(start, tmp_path, expired):
    hub = start(long)
    hub.scope()
    fail_after(hub, 2, 422)
    first = collected(hub, tmp_path / "run")
    assert first["status"] == "partial"
    hub.part.web.misbehaviours.clear()
    if expired:
        hub.misbehave(LATER, status=422, times=1)
    before = asked(hub)
    again = collected(hub, tmp_path / "run", "--resume")
    assert again["status"] == "collected"
    assert (len(again["replies"]), sum(table["rows"] for table in again["tables"])) == (5, 451)
    assert asked(hub) - before == (1 + 5 if expired else 2)
    told = "begun again" if expired else "pages 1 to 3 read by an earlier try"
    assert any(told in text for text in again["completeness"]["filters"])


def doctor(hub: Any) -> Any:
    """Its line about the audit log."""
    from compliancectl.collectors.base import Context
    from compliancectl.collectors.github import collector
    from compliancectl.collectors.github.config import GitHubConfig

    config = GitHubConfig.model_validate({**hub.part.scope, "retry_pause_s": 0})
    context = Context(period(hub, 90), hub.state.now, "test", hub.sandbox.folder, deadline_s=5.0)
    with environment(hub.sandbox.env), collector.open(config, context) as session:
        return {line.subject: line for line in session.doctor()}["audit log of the organisation"]


def test_doctor_tells_a_plan_without_it_from_a_refusal(hub):
    assert "Administration" in doctor(hub).detail
    hub.state.organization["plan"] = "team"
    assert (doctor(hub).outcome, "exports alone" in doctor(hub).detail) == ("ok", True)
    hub.state.viewer["role"] = "member"
    refused = doctor(hub)
    assert (refused.outcome, "told apart" in refused.detail) == ("missing", True)
    assert "github.audit_event" in refused.fix


def test_no_shipped_control_reads_events_without_asking_whether_the_log_was_read():
    from compliancectl.cli.project import catalogue

    tests = [test.population for control in catalogue().controls for test in control.tests]
    assert any("github.audit_log" in sql for sql in tests)
    assert [sql for sql in tests if "github.audit_event" in sql and "github.audit_log" not in sql] == []
