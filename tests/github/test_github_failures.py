"""Every way in which GitHub does not answer is a status of its own, says why, and lets nothing pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

ORG = "larkspur-learning"
MEMBERS = "GET /.*/members"
ALERTS = "GET /.*/secret-scanning/alerts"
"""GitHub's own links to further pages go by number: `/organizations/81204417/members`."""


def refuses(hub: Any, run: Any, status: str, cause: str, *said: str, table: str, control: str) -> Any:
    """The one item has this status, cause and words; no test that reads the table lets an item pass.

    Whatever the reason, an item that holds some replies already is partial.
    """
    item = run.only
    assert (item.status, item.cause) == ("partial" if item.replies else status, cause), item.reason
    text = f"{item.reason} {item.hint or ''}"
    assert [words for words in said if words not in text] == []
    read = [t for t in run.judged(control).values() if any(use.table == f"github.{table}" for use in t.tables)]
    assert read
    for test in read:
        assert (test.outcome, test.counts.passed) == ("inconclusive", 0)
        assert test.reason
    return item


def outcomes(item: Any) -> list[str]:
    """What came of each attempt, without the list of repositories that follows alerts."""
    asked = [reply for reply in item.replies if f"/orgs/{ORG}/repos?" not in reply.operation]
    return [attempt.outcome for reply in asked for attempt in reply.attempts]


# -- credentials ------------------------------------------------------------------------------------------------------


def test_without_a_token(hub):
    run = hub.collect("secret_alert", token_env="NOT_SET_ANYWHERE")
    refuses(hub, run, "denied", "permission", "NOT_SET_ANYWHERE", "app:", table="secret_alert", control="SDL-08")


def test_a_token_that_github_does_not_know(hub):
    hub.sandbox.env["GITHUB_TOKEN"] = "ghp_expired"
    run = hub.collect("secret_alert")
    refuses(hub, run, "denied", "permission", "401", "expired", table="secret_alert", control="SDL-08")


def test_an_app_whose_key_is_no_key(hub):
    (hub.sandbox.folder / "app.pem").write_text("not a key")
    run = hub.collect("secret_alert", app={"id": 1, "private_key": "app.pem", "installation": 2})
    refuses(hub, run, "denied", "permission", "cannot sign", table="secret_alert", control="SDL-08")


def test_an_app_whose_key_is_not_there(hub):
    run = hub.collect("secret_alert", app={"id": 1, "private_key": "app.pem", "installation": 2})
    refuses(hub, run, "denied", "permission", "cannot be read", table="secret_alert", control="SDL-08")


def test_an_app_that_is_not_installed(hub):
    app = hub.part.make_app(hub.sandbox.folder)
    run = hub.collect("secret_alert", app={**app, "installation": 99})
    refuses(hub, run, "denied", "permission", "installation token", table="secret_alert", control="SDL-08")


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_permission_that_is_missing(hub):
    hub.state.denied.add("secret_scanning_alerts")
    run = hub.collect("secret_alert")
    refuses(
        hub, run, "denied", "permission", "403", "Grant the token the permission secret_scanning_alerts=read",
        table="secret_alert", control="SDL-08",
    )  # fmt: skip


def test_a_permission_that_graphql_misses(hub):
    hub.state.denied.add("members")
    run = hub.collect("member")
    refuses(hub, run, "denied", "permission", "collectors permissions github", table="member", control="IAM-08")


def test_a_404_that_hides_what_the_token_may_not_see(hub):
    hub.misbehave(ALERTS, "hidden")
    run = hub.collect("secret_alert")
    refuses(
        hub, run, "denied", "permission", "this token may not see it", "secret_scanning_alerts=read",
        table="secret_alert", control="SDL-08",
    )  # fmt: skip


def test_a_repository_that_is_hidden(hub):
    hub.state.hidden.add("lesson-editor")
    run = hub.collect("repository")
    refuses(hub, run, "denied", "permission", "lesson-editor", "production", table="repository", control="SDL-08")


@pytest.mark.parametrize(
    ("table", "control"),
    [("secret_alert", "SDL-08"), ("dependabot_alert", "VUL-02"), ("code_scanning_alert", "VUL-02")],
)
def test_alerts_of_a_repository_that_is_hidden_are_missed(hub, table, control):
    hub.state.hidden.add("infrastructure")
    run = hub.collect(table)
    assert run.only.status == "partial"
    assert any("infrastructure" in w and "alerts would be missing" in w for w in run.only.completeness.warnings)
    outcomes = run.judged(control)
    assert outcomes["secret-alerts" if control == "SDL-08" else "code-alerts"].outcome == "inconclusive"


def test_a_hidden_repository_does_not_hide_the_others(hub):
    hub.state.hidden.add("lesson-editor")
    items = hub.collect("commit").items
    statuses = {name: item.status for name, item in items.items()}
    assert statuses == {
        f"changes {ORG}/infrastructure": "collected",
        f"changes {ORG}/lesson-editor": "denied",
        f"changes {ORG}/study-companion": "collected",
    }


def test_a_repository_that_was_renamed(hub):
    hub.state.renamed["lesson-editor"] = "website"
    items = hub.collect("bypass").items
    assert items[f"bypasses {ORG}/lesson-editor"].cause == "not-found"
    assert "renamed" in items[f"bypasses {ORG}/lesson-editor"].reason


def test_an_organisation_that_does_not_exist(hub):
    run = hub.collect("organization", organization="nobody")
    refuses(hub, run, "failed", "not-found", "nobody", table="organization", control="IAM-08")


def test_a_branch_that_does_not_exist(hub):
    production = {"study-companion": ["no-such-branch"]}
    run = hub.collect("commit", production=production)
    refuses(hub, run, "failed", "not-found", "no-such-branch", table="commit", control="SDL-04")


def test_classic_protection_that_is_hidden_is_not_taken_for_none(hub):
    hub.state.viewer["role"] = "member"  # GraphQL shows classic protection to administrators only
    hub.misbehave(r"GET /repos/.*/protection", status=404, body=b'{"message": "Not Found"}')
    run = hub.collect("branch_rule", production={"infrastructure": ["main"]})
    refuses(hub, run, "denied", "permission", "hidden", "Administration", table="branch_rule", control="SDL-03")


def test_a_product_that_is_switched_off(hub):
    hub.state.switched_off.add("secret-scanning")
    run = hub.collect("secret_alert")
    refuses(hub, run, "denied", "api-disabled", "disabled", "Switch", table="secret_alert", control="SDL-08")


def test_single_sign_on_that_the_token_is_not_authorised_for(hub):
    hub.misbehave(ALERTS, "sso-required")
    run = hub.collect("secret_alert")
    refuses(hub, run, "denied", "permission", "single sign-on", "https://", table="secret_alert", control="SDL-08")


@pytest.mark.parametrize("feature", ["vulnerability-alerts", "automated-security-fixes", "dependency-graph/sbom"])
def test_a_404_where_the_security_settings_are_hidden_too_is_not_taken_for_off(start, feature):
    hub = start()
    hub.state.viewer["role"] = "member"
    hub.misbehave(rf"GET /repos/.*/{feature}", status=404, body=b'{"message": "Not Found"}')
    run = hub.collect("repository")
    refuses(
        hub, run, "denied", "permission", "it is off, or this token may not see it", "Administration",
        table="repository", control="SDL-07",
    )  # fmt: skip


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_primary_limit_that_is_lifted_too_late(hub):
    hub.misbehave(ALERTS, "primary-rate-limit", seconds=3000)
    run = hub.collect("secret_alert")
    item = refuses(hub, run, "failed", "rate-limited", "wait", "later", table="secret_alert", control="SDL-08")
    assert item.replies == ()


def test_a_primary_limit_that_is_lifted_in_time(hub):
    hub.misbehave(ALERTS, "primary-rate-limit", seconds=-5, times=1)
    item = hub.collect("secret_alert").only
    assert (item.status, outcomes(item)) == ("collected", ["403", "200"])


def test_a_secondary_limit_with_a_time_beyond_the_deadline(hub):
    hub.misbehave(ALERTS, "secondary-rate-limit", headers={"Retry-After": "3600"})
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "rate-limited", "3600 s", "secondary", table="secret_alert", control="SDL-08")


def test_a_secondary_limit_without_a_time_waits_as_configured(hub):
    hub.misbehave(ALERTS, "secondary-rate-limit", times=2)
    item = hub.collect("secret_alert").only
    assert (item.status, outcomes(item)) == ("collected", ["403", "403", "200"])
    hub.misbehave(ALERTS, "secondary-rate-limit")
    run = hub.collect("secret_alert", secondary_pause_s=60)
    refuses(hub, run, "failed", "rate-limited", "60 s", table="secret_alert", control="SDL-08")


def test_429_with_a_time(hub):
    hub.misbehave(ALERTS, status=429, headers={"Retry-After": "0"}, times=1)
    item = hub.collect("secret_alert").only
    assert (item.status, outcomes(item)) == ("collected", ["429", "200"])
    hub.misbehave(ALERTS, status=429, headers={"Retry-After": "7200"})
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "rate-limited", "7200 s", table="secret_alert", control="SDL-08")


def test_429_without_a_time(hub):
    hub.misbehave(ALERTS, status=429, times=2)
    item = hub.collect("secret_alert").only
    assert (item.status, outcomes(item)) == ("collected", ["429", "429", "200"])
    hub.misbehave(ALERTS, status=429)
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "rate-limited", "secret-scanning", table="secret_alert", control="SDL-08")
    asked = [r for r in hub.part.web.log if r.path.endswith("secret-scanning/alerts")]
    assert len(asked) == 3 + 6


def test_graphql_says_rate_limited_with_http_200(hub):
    hub.misbehave("POST /graphql Commits", "graphql-rate-limited", seconds=-5, times=1)
    item = hub.collect("commit", production={"infrastructure": ["main"]}).only
    assert (item.status, outcomes(item)) == ("collected", ["200", "200", "200", "200"])
    hub.misbehave("POST /graphql Commits", "graphql-rate-limited", seconds=3000)
    run = hub.collect("commit", production={"infrastructure": ["main"]})
    refuses(hub, run, "failed", "rate-limited", "wait", table="commit", control="SDL-04")


# -- failures ---------------------------------------------------------------------------------------------------------


def test_500_every_time(hub):
    hub.misbehave(ALERTS, status=500)
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "source-error", "500", table="secret_alert", control="SDL-08")


def test_502_once_is_repeated_and_recorded(hub):
    hub.misbehave(ALERTS, status=502, times=1)
    item = hub.collect("secret_alert").only
    assert (item.status, outcomes(item)) == ("collected", ["502", "200"])


def test_graphql_that_does_not_finish(hub):
    hub.misbehave("POST /graphql Commits", "graphql-timeout")
    run = hub.collect("commit", production={"infrastructure": ["main"]})
    refuses(hub, run, "failed", "source-error", "could not finish", table="commit", control="SDL-04")


def test_graphql_that_finds_no_repository(hub):
    hub.misbehave("POST /graphql Commits", "graphql-not-found")
    run = hub.collect("commit", production={"infrastructure": ["main"]})
    refuses(hub, run, "denied", "permission", "Could not resolve", table="commit", control="SDL-04")


def test_202_is_not_waited_for_in_silence(hub):
    hub.misbehave(r"GET /repos/.*/dependency-graph/sbom", status=202, body=b"{}")
    run = hub.collect("repository")
    refuses(hub, run, "failed", "source-error", "computing", table="repository", control="SDL-07")


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b'"surprise"', b"[[[", b'{"message": "hello"}'])
def test_an_answer_that_is_not_what_it_should_be(start, body):
    hub = start()
    hub.misbehave(ALERTS, status=200, body=body)
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "garbage", table="secret_alert", control="SDL-08")


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[]", b"{}", b'{"data": null}', b'{"data": []}'])
def test_a_graphql_answer_that_is_not_what_it_should_be(start, body):
    hub = start()
    hub.misbehave("POST /graphql Commits", status=200, body=body)
    run = hub.collect("commit", production={"infrastructure": ["main"]})
    refuses(hub, run, "failed", "garbage", table="commit", control="SDL-04")


def test_bytes_that_are_not_http(hub):
    hub.misbehave(ALERTS, kind="garbage")
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "garbage", "not HTTP", table="secret_alert", control="SDL-08")


def test_a_connection_that_breaks_in_the_middle_of_an_answer(hub):
    hub.misbehave(ALERTS, kind="disconnect")
    run = hub.collect("secret_alert")
    refuses(hub, run, "partial", "truncated", "middle of an answer", table="secret_alert", control="SDL-08")


def test_a_connection_that_breaks_once_is_repeated_and_recorded(hub):
    hub.misbehave(ALERTS, kind="disconnect", times=1)
    item = hub.collect("secret_alert").only
    assert (item.status, outcomes(item)) == ("collected", ["truncated", "200"])


def test_an_answer_that_does_not_come_in_time(hub):
    hub.misbehave(ALERTS, kind="slow", seconds=600)
    run = hub.collect("secret_alert", deadline_s=0.2)
    refuses(hub, run, "failed", "unreachable", "no answer in time", table="secret_alert", control="SDL-08")


def test_nobody_listens(hub):
    run = hub.collect("secret_alert", base_url="http://127.0.0.1:9")
    refuses(hub, run, "failed", "unreachable", "no connection", table="secret_alert", control="SDL-08")


# -- lists that do not end, and totals that do not agree --------------------------------------------------------------


def test_pages_without_end(hub):
    hub.misbehave(MEMBERS, "endless-page")
    run = hub.collect("member", page_limit=3)
    refuses(hub, run, "partial", "truncated", "3 pages", "page_limit", table="member", control="IAM-08")


def test_the_same_page_again_and_again(hub):
    hub.misbehave(ALERTS, "repeated-page")
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "garbage", "never end", table="secret_alert", control="SDL-08")


def test_a_cursor_without_end(hub):
    hub.misbehave("POST /graphql Commits", "endless-cursor")
    run = hub.collect("commit", production={"infrastructure": ["main"]}, page_limit=3)
    refuses(hub, run, "partial", "truncated", "3 pages", table="commit", control="SDL-04")


def test_a_cursor_without_end_and_without_a_limit(hub):
    hub.misbehave("POST /graphql Commits", "endless-cursor")
    run = hub.collect("commit", production={"study-companion": ["main"]})
    refuses(hub, run, "failed", "garbage", "GitHub counts 17", table="commit", control="SDL-04")


def test_the_same_cursor_again_and_again(hub):
    hub.misbehave("POST /graphql Commits", "repeated-cursor")
    run = hub.collect("commit", production={"infrastructure": ["main"]})
    refuses(hub, run, "failed", "garbage", "never end", table="commit", control="SDL-04")


def test_a_total_that_does_not_agree(hub):
    hub.misbehave("POST /graphql Commits", "short-total")
    run = hub.collect("commit", production={"infrastructure": ["main"]})
    refuses(hub, run, "partial", "incomplete", table="commit", control="SDL-04")


def test_a_next_page_on_another_host(hub):
    link = '<https://elsewhere.example/members?page=2>; rel="next"'
    hub.misbehave(ALERTS, status=200, body=b"[]", headers={"Link": link})
    run = hub.collect("secret_alert")
    refuses(hub, run, "failed", "garbage", "another host", table="secret_alert", control="SDL-08")


def test_search_that_counts_more_than_the_list_holds(hub):
    body = json.dumps({"data": {"search": {"issueCount": 5}}}).encode()
    hub.misbehave("POST /graphql MergedCount", status=200, body=body)
    run = hub.collect("pull_request", production={"infrastructure": ["main"]})
    refuses(hub, run, "partial", "incomplete", "search counts 5", "holds 4", table="pull_request", control="SDL-04")


def test_graphql_that_counts_more_alerts_than_the_list_holds(hub):
    hub.misbehave(f"GET /orgs/{ORG}/dependabot/alerts", status=200, body=b"[]")
    run = hub.collect("dependabot_alert")
    refuses(
        hub, run, "partial", "incomplete", "study-companion: GraphQL counts 3 alerts, the list holds 0",
        table="dependabot_alert", control="VUL-02",
    )  # fmt: skip


def test_members_that_are_counted_but_not_listed(hub):
    hub.misbehave(MEMBERS, status=200, body=b"[]")
    run = hub.collect("member")
    refuses(
        hub,
        run,
        "partial",
        "incomplete",
        "1 items were read, but a second count gives 6",
        table="member",
        control="IAM-08",
    )


# -- answers with gaps ------------------------------------------------------------------------------------------------


def test_single_sign_on_that_leaves_something_out(hub):
    hub.misbehave(ALERTS, "sso-partial")
    run = hub.collect("secret_alert")
    refuses(hub, run, "partial", "incomplete", "single sign-on", table="secret_alert", control="SDL-08")


def test_single_sign_on_that_leaves_something_out_of_graphql(hub):
    hub.misbehave("POST /graphql Commits", "sso-partial")
    run = hub.collect("commit", production={"infrastructure": ["main"]})
    refuses(hub, run, "partial", "incomplete", "single sign-on", table="commit", control="SDL-04")


def test_a_field_of_graphql_that_is_withheld(hub):
    hub.state.withheld.add("Organization.samlIdentityProvider")
    run = hub.collect("organization")
    refuses(
        hub, run, "partial", "incomplete", "withheld organization.samlIdentityProvider",
        table="organization", control="IAM-08",
    )  # fmt: skip


def test_pull_requests_that_are_withheld(hub):
    hub.state.denied.add("pull_requests")
    run = hub.collect("pull_request", production={"infrastructure": ["main"]})
    refuses(hub, run, "denied", "permission", table="pull_request", control="SDL-04")


def test_a_record_that_breaks_the_contract_is_unknown(hub):
    odd = json.dumps([{"number": "2", "repository": {"name": "study-companion"}, "state": "resolved"}]).encode()
    hub.misbehave(ALERTS, status=200, body=odd)
    run = hub.collect("secret_alert")
    test = run.judged("SDL-08")["secret-alerts"]
    assert (test.outcome, test.counts.passed, test.counts.unknown) == ("inconclusive", 0, 1)
