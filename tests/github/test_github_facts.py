"""What is collected from GitHub: the facts, where they come from, and what never stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from compliancectl.collectors.base import Context, Reply
from compliancectl.collectors.github import collector, redact
from compliancectl.collectors.github.client import Client
from compliancectl.collectors.github.config import GENERIC_SECRETS, GitHubConfig
from compliancectl.contract import RowContract
from compliancectl.model.evidence import Window

ORG = "larkspur-learning"
MARKS = (b"SEEDED-SECRET", b"seeded-person")


# -- evidence ---------------------------------------------------------------------------------------------------------


def test_everything_is_collected_and_known_to_be_complete(whole):
    items = whole.items
    assert {item.status for item in items.values()} == {"collected"}
    assert {name.partition(" ")[0] for name in items} == {feed.name for feed in collector.feeds}
    for item in items.values():
        assert item.completeness is not None
        assert item.completeness.complete
        assert item.completeness.method
        assert not [record for rows in item.tables for record in rows.rejected]


def test_a_period_that_is_not_over_is_covered_until_the_run_and_no_further(hub):
    now = hub.sandbox.company.now
    run = hub.collect(period=Window(start=now - timedelta(days=30), end=now + timedelta(days=60)))
    windows = {name: item.window for name, item in run.items.items() if item.window is not None}
    assert {name.partition(" ")[0] for name in windows} >= {"changes", "pushes", "bypasses"}
    late = {name: window.end for name, window in windows.items() if window.end > run.items[name].completed_at}
    assert late == {}


@pytest.mark.parametrize(("days", "status", "spoken"), [(366, "collected", 365), (400, "partial", 400)])
def test_what_moved_a_branch_is_known_for_a_year_and_the_last_run_of_a_year_says_so(hub, days, status, spoken):
    start = hub.sandbox.company.now - timedelta(days=days)
    run = hub.collect("push", period=Window(start=start, end=start + timedelta(days=days)))
    assert {item.status for item in run.items.values()} == {status}
    for item in run.items.values():
        assert timedelta(days=spoken) <= item.window.end - item.window.start < timedelta(days=spoken, hours=1)
        assert any("windows of earlier runs" in text for text in item.completeness.filters) == (days == 366)


def test_every_reply_says_what_was_asked_when_and_by_whom(whole):
    for name, item in whole.items.items():
        assert item.principal is not None, name
        assert item.principal.subject == "dilnoza-karimova"
        assert item.principal.authentication == "personal access token (fine-grained)"
        assert item.corroborate is not None
        assert "actor:dilnoza-karimova" in item.corroborate
        for reply in item.replies:
            assert reply.request_id, name
            assert reply.operation.startswith("GET http") or "query " in reply.operation, name
            assert [attempt.outcome for attempt in reply.attempts] == [reply.status]
            assert item.requested_at <= reply.requested_at <= reply.completed_at <= item.completed_at


def test_graphql_replies_carry_the_document_and_its_variables(whole):
    item = whole.items[f"changes {ORG}/infrastructure"]
    asked = {reply.operation.split("(")[0].strip(): reply.parameters for reply in item.replies}
    assert set(asked) == {"query PullRequests", "query Commits", "query MergedCount"}
    assert asked["query Commits"]["ref"] == "refs/heads/main"


def test_anybody_can_derive_the_rows_again(whole):
    """Pure: the kept reply and its context are all that `shape` needs."""
    feeds = {feed.name: feed for feed in collector.feeds}
    contracts = {table.name: RowContract(table) for table in collector.tables}
    for name, item in whole.items.items():
        derived: dict[str, list[bytes]] = {rows.table: [] for rows in item.tables}
        for reply in item.replies:
            kept = Reply(
                body=(whole.folder / "evidence" / item.id / reply.path).read_bytes(),
                operation=reply.operation,
                requested_at=reply.requested_at,
                completed_at=reply.completed_at,
                status=reply.status,
                context=reply.context,
            )
            for table, row in feeds[name.partition(" ")[0]].shape(kept):
                derived[table].append(contracts[table].encode(row))
        assert {table: len(rows) for table, rows in derived.items()} == {rows.table: rows.rows for rows in item.tables}


def test_no_secret_and_no_person_stays(whole):
    files = [path for path in whole.folder.rglob("*") if path.is_file()]
    assert len(files) > 50
    for path in files:
        content = path.read_bytes()
        assert [mark for mark in MARKS if mark in content] == [], path


def test_what_was_removed_is_counted(whole):
    removed = {name: item.redactions for name, item in whole.items.items() if item.redactions}
    assert removed[f"organization {ORG}"] == {"e-mail address": 2, "free text": 1}
    assert removed[f"secret_alerts {ORG}"]["free text"] > 0
    assert "secret value" not in removed[f"secret_alerts {ORG}"]  # GitHub was asked to hide it, and did


def test_a_secret_that_github_sends_all_the_same_is_removed(hub):
    alert = {
        "number": 1, "repository": {"name": "study-companion"}, "state": "open", "created_at": "2026-01-01T00:00:00Z",
        "secret": "SEEDED-SECRET-x", "resolution_comment": "SEEDED-SECRET-x", "push_protection_bypassed_by": {
            "login": "bruno", "type": "User", "name": "seeded-person Bruno", "email": "seeded-person@x.example"},
    }  # fmt: skip
    hub.misbehave("GET /.*/secret-scanning/alerts", status=200, body=json.dumps([alert]).encode())
    run = hub.collect("secret_alert")
    # the other free text is the description of a repository, in the list that shows which ones the token sees
    assert run.only.redactions == {"e-mail address": 1, "free text": 2, "personal data": 1, "secret value": 1}
    assert run.by("secret_alert", "number")[1]["state"] == "open"
    for path in run.folder.rglob("raw-*"):
        assert [mark for mark in MARKS if mark in path.read_bytes()] == []


def test_a_reply_without_anything_to_remove_keeps_its_bytes():
    raw = b'{ "login" : "x",\n "email": null, "text": "" }'
    assert redact.redact(raw, json.loads(raw)) == (raw, {})


# -- people -----------------------------------------------------------------------------------------------------------


def test_members_owners_outsiders_and_their_second_factors(whole):
    people = whole.by("member", "login")
    assert {login: row["role"] for login, row in people.items()} == {
        "amara-okafor": "admin",
        "dilnoza-karimova": "admin",
        "bruno-keller": "member",
        "chen-wei": "member",
        "elias-lind": "member",
        "harbour-audit": "outside_collaborator",
    }
    assert {login for login, row in people.items() if row["two_factor_insecure"]} == {"elias-lind"}
    assert {row["two_factor_disabled"] for row in people.values()} == {False}


def test_someone_without_a_second_factor_fails(start):
    def change(github):
        github["people"]["harbour-audit"]["two_factor"] = "none"

    run = start(change).collect("member")
    assert run.by("member", "login")["harbour-audit"]["two_factor_disabled"] is True
    test = run.judged("IAM-08")["members-two-factor"]
    assert (test.outcome, test.counts.failed, test.counts.passed) == ("deviations", 1, 5)


def test_what_only_owners_see_is_unknown_to_others(hub):
    hub.state.viewer["role"] = "member"
    run = hub.collect("organization", "member")
    (row,) = run.rows("organization")
    hidden = ("two_factor_required", "members_can_delete_repositories", "saml_enabled")
    assert {name: row[name] for name in hidden} == dict.fromkeys(hidden)
    assert {r["two_factor_disabled"] for r in run.rows("member")} == {None}
    tests = run.judged("IAM-08")
    assert tests["organization-settings"].counts.unknown == 1
    assert tests["members-two-factor"].counts.unknown == 6
    assert tests["members-two-factor"].counts.passed == 0


def test_a_token_of_somebody_who_is_no_member_sees_too_little(start):
    def change(github):
        github["viewer"]["login"] = "harbour-audit"

    item = start(change).collect("member").only
    assert (item.status, item.cause) == ("partial", "incomplete")


def test_an_organisation_whose_two_answers_differ_is_partial(hub):
    body = {"organization": {"requiresTwoFactorAuthentication": False, "viewerCanAdminister": True}}
    hub.misbehave("POST /graphql Organization", status=200, body=json.dumps({"data": body}).encode())
    item = hub.collect("organization").only
    assert (item.status, item.reason) == ("partial", "two-factor requirement: REST says True, GraphQL says False")


# -- who asks ---------------------------------------------------------------------------------------------------------


def test_a_github_app(hub):
    app = hub.part.make_app(hub.sandbox.folder)
    item = hub.collect("branch_rule", production={"infrastructure": []}, app=app).only
    assert item.status == "collected"
    assert item.principal.authentication == "GitHub App installation"
    assert item.principal.subject == "larkspur-compliance[bot]"
    assert item.principal.read_only == "no: the installation may write administration, organization_administration"


def test_a_github_app_that_only_reads(start):
    def change(github):
        github["viewer"]["permissions"] = dict.fromkeys(github["viewer"]["permissions"], "read")

    hub = start(change)
    app = hub.part.make_app(hub.sandbox.folder)
    item = hub.collect("secret_alert", app=app).only
    assert item.principal.read_only == "yes: all 17 permissions of the installation are `read`"


@pytest.mark.parametrize(
    ("scopes", "read_only"),
    [
        (["repo", "read:org"], "no: the token has the scopes repo"),
        (["read:org", "user:email"], "yes: the token's scopes only read: read:org, user:email"),
    ],
)
def test_a_classic_token(start, scopes, read_only):
    def change(github):
        github["viewer"].update(token="classic", scopes=scopes)

    item = start(change).collect("secret_alert").only
    assert (item.principal.authentication, item.principal.read_only) == ("personal access token (classic)", read_only)


# -- rules ------------------------------------------------------------------------------------------------------------


def test_rules_of_rulesets_and_of_classic_protection(whole):
    rules = whole.by("branch_rule", "repository")
    assert rules["study-companion"]["ruleset_reviews"] == 1
    assert rules["study-companion"]["ruleset_status_checks"] == 15
    assert {"build", "rbac"} < set(rules["study-companion"]["required_checks"])
    assert rules["study-companion"]["ruleset_code_scanning"] == ["high_or_higher"]
    assert rules["infrastructure"]["required_checks"] == ["plan"]  # classic, and it binds administrators
    assert rules["infrastructure"]["signatures_required"] is rules["lesson-editor"]["signatures_required"] is True
    assert rules["study-companion"]["classic_reviews"] == 0
    assert rules["study-companion"]["sources"] == ["ruleset 4410071 (organization)", "ruleset 4410102 (repository)"]
    assert rules["infrastructure"]["ruleset_reviews"] == 0
    assert rules["infrastructure"]["classic_reviews"] == 1
    assert rules["infrastructure"]["classic_binds_admins"] is True
    assert rules["infrastructure"]["classic_bypass"] == []
    assert rules["infrastructure"]["sources"] == ["classic protection"]


def test_who_may_merge_without_reviews_under_classic_protection(start):
    def change(github):
        github["repositories"]["infrastructure"]["protection"]["main"]["exempt"] = ["bruno-keller"]

    run = start(change).collect("branch_rule", production={"infrastructure": ["main"]})
    assert run.rows("branch_rule")[0]["classic_bypass"] == ["user bruno-keller"]


def test_a_branch_without_any_protection(start):
    def change(github):
        del github["repositories"]["infrastructure"]["protection"]

    run = start(change).collect("branch_rule", "repository", production={"infrastructure": ["main"]})
    (row,) = run.rows("branch_rule")
    assert (row["classic_reviews"], row["classic_blocks_force_push"], row["sources"]) == (0, False, [])
    test = run.judged("SDL-03")["branch-rules"]
    assert test.deviations[0].checks == dict.fromkeys(
        ("review_required", "stale_reviews_handled", "checks_required", "no_force_push", "no_deletion"), "fail"
    )


def test_the_default_branch_is_looked_up_and_the_look_up_is_kept(hub):
    run = hub.collect("branch_rule", production={"infrastructure": []})
    assert run.rows("branch_rule")[0]["branch"] == "main"
    assert run.only.replies[0].operation.strip().startswith("query DefaultBranch")


@pytest.mark.parametrize(
    ("branches", "exclude", "targets"),
    [
        (["~ALL"], [], True),
        (["~DEFAULT_BRANCH"], [], True),
        (["refs/heads/m*"], [], True),
        (["refs/heads/release/*"], [], False),
        (["~ALL"], ["refs/heads/main"], False),
        (["~ALL"], ["refs/heads/*/*"], True),
        ([], [], False),
    ],
)
def test_whether_a_ruleset_speaks_about_production(start, branches, exclude, targets):
    def change(github):
        github["rulesets"] = {}
        github["repositories"]["study-companion"]["rulesets"]["companion-extras"].update(
            branches=branches, exclude=exclude
        )

    run = start(change).collect("ruleset", production={"study-companion": ["main"]})
    assert run.by("ruleset", "name")["companion-extras"]["targets_production"] is targets


def test_an_organisation_ruleset_for_other_repositories(start):
    def change(github):
        github["rulesets"]["production-branches"]["repositories"] = ["web*"]

    run = start(change).collect("ruleset")
    assert run.by("ruleset", "name")["production-branches"]["targets_production"] is False


def test_bypass_lists_that_are_hidden_are_unknown(hub):
    hub.state.viewer["role"] = "member"
    run = hub.collect("ruleset", "branch_rule", production={"study-companion": ["main"]})
    assert {row["bypass_actors"] is None for row in run.rows("ruleset")} == {True}
    test = run.judged("SDL-03")["rulesets"]
    assert (test.outcome, test.counts.passed, test.counts.unknown) == ("inconclusive", 0, 2)


def test_bypass_actors_of_a_ruleset(start):
    def change(github):
        github["rulesets"]["production-branches"]["bypass"] = [
            {"actor_id": 1, "actor_type": "OrganizationAdmin", "bypass_mode": "always"}
        ]

    run = start(change).collect("ruleset")
    found = run.by("ruleset", "name")["production-branches"]
    assert found["bypass_actors"] == [{"type": "OrganizationAdmin", "id": 1, "mode": "always"}]


def test_a_ruleset_that_only_the_rules_of_a_branch_name_is_unknown(hub):
    hub.misbehave(f"GET /orgs/{ORG}/rulesets$", status=200, body=b"[]")
    run = hub.collect("ruleset", "branch_rule")
    assert {item.status for item in run.items.values()} == {"collected"}
    test = run.judged("SDL-03")["rulesets"]
    assert (test.outcome, test.counts.passed, test.counts.unknown) == ("inconclusive", 1, 1)
    assert test.deviations[0].resource == f"{ORG}/rulesets/4410071 (named only by rules of branches)"


def test_versions_of_rulesets(whole):
    versions = [row for row in whole.rows("ruleset_version") if row["ruleset"] == f"{ORG}/rulesets/4410071"]
    assert [row["enforcement"] for row in versions] == ["evaluate", "active"]
    assert [row["required_reviews"] for row in versions] == [1, 1]
    assert [row["actor"] for row in versions] == ["User 5100001"] * 2


def test_pushes_that_bypassed_rules(start):
    def change(github):
        github["repositories"]["study-companion"]["rule_suites"].append(
            {"id": 1, "actor": "bruno-keller", "at": github["repositories"]["study-companion"]["pushed"], "result": "bypass",
             "pull_request": 352}
        )  # fmt: skip

    run = start(change).collect("bypass", production={"study-companion": ["main"]})
    row = run.by("bypass")[f"{ORG}/study-companion/rule-suites/1"]
    assert (row["actor"], row["production"], len(row["after_sha"])) == ("bruno-keller", True, 40)


# -- what moved a branch ----------------------------------------------------------------------------------------------


def test_what_moved_a_branch_is_told_by_githubs_clock(start):
    def change(github):
        it = github["repositories"]["infrastructure"]
        it["direct_pushes"] = [{"at": it["pushed"], "committed": "2020-01-01T00:00:00Z", "author": "bruno-keller"}]

    run = start(change).collect("push", "commit", production={"infrastructure": ["main"]})
    assert {row["kind"] for row in run.rows("push")} == {"pr_merge", "push"}
    (pushed,) = [row for row in run.rows("push") if row["kind"] == "push"]
    assert pushed["actor"] == "bruno-keller"
    assert pushed["after_sha"] not in {row["sha"] for row in run.rows("commit")}  # its date hides it from the history


def test_what_moved_a_branch_before_the_period_ends_the_listing(start):
    hub = start(lambda github: github.update(generated={"repositories": 1, "merged": 150}))
    run = hub.collect("push", production={"service-001": ["main"]})
    assert len(run.rows("push")) == 150
    assert run.only.completeness.items == 150
    assert sum("/activity" in reply.operation for reply in run.only.replies) == 2


# -- changes ----------------------------------------------------------------------------------------------------------


def test_changes_of_the_period_and_nothing_older(whole):
    numbers = {row["number"] for row in whole.rows("pull_request") if row["repository"] == "study-companion"}
    assert 288 not in numbers  # merged before the period
    assert {345, 346, 353}.isdisjoint(numbers)  # closed, merged elsewhere, open
    assert len(numbers) == 17


def test_bots_and_declared_machines(hub):
    run = hub.collect("pull_request", production={"lesson-editor": ["main"]}, bots=["elias-lind"])
    found = {(row["author"], row["author_is_bot"]) for row in run.rows("pull_request")}
    assert found == {("chen-wei", False), ("dependabot[bot]", True), ("elias-lind", True)}
    reviewers = {(row["author"], row["author_is_bot"]) for row in run.rows("review")}
    assert ("elias-lind", True) in reviewers


def test_deleted_accounts_have_no_name(start):
    def change(github):
        github["repositories"]["infrastructure"]["pull_requests"][0].update(author="mira-holm")
        github["repositories"]["infrastructure"]["pull_requests"][1]["reviews"] = [{"by": "mira-holm"}]

    run = start(change).collect("commit", "repository", production={"infrastructure": ["main"]})
    pulls = run.by("pull_request", "number")
    assert (pulls[74]["author"], pulls[74]["author_is_bot"]) == (None, None)
    test = run.judged("SDL-04")["changes-reviewed"]
    outcomes = {item.resource.partition("#")[2]: item.outcome for item in test.deviations}
    assert outcomes == {"74": "unknown", "77": "fail"}
    assert test.counts.passed == 2


def test_more_reviews_than_one_page_holds(start):
    def change(github):
        pull = github["repositories"]["infrastructure"]["pull_requests"][0]
        pull["reviews"] = [{"by": "chen-wei", "state": "COMMENTED", "hours": 2}] * 230 + [{"by": "amara-okafor"}]

    run = start(change).collect("commit", "repository", production={"infrastructure": ["main"]})
    assert sum(row["pull_request"] == 74 for row in run.rows("review")) == 231
    pages = [r for r in run.items[f"changes {ORG}/infrastructure"].replies if "MoreReviews" in r.operation]
    assert len(pages) == 2
    test = run.judged("SDL-04")["changes-reviewed"]
    assert (test.outcome, test.counts.passed) == ("no deviations", 4)  # the approval is on the last page


def test_a_push_past_pull_requests_is_found(start, healthy):
    at = healthy.sections["github"]["repositories"]["infrastructure"]["pushed"]

    def change(github):
        github["repositories"]["infrastructure"]["direct_pushes"] = [{"author": "bruno-keller", "at": at}]

    run = start(change).collect("commit", production={"infrastructure": ["main"]})
    assert [row["author"] for row in run.rows("commit") if row["pull_request"] is None] == ["bruno-keller"]
    test = run.judged("SDL-04")["no-direct-push"]
    assert (test.outcome, test.counts.failed, test.counts.passed) == ("deviations", 1, 4)


def test_a_change_that_the_list_lacks_is_noticed(hub):
    """Every pull request that a commit names must be in the list of merged ones."""
    body = {
        "repository": {"name": "x", "pullRequests": {"totalCount": 0, "nodes": [], "pageInfo": {"hasNextPage": False}}}
    }
    hub.misbehave("POST /graphql PullRequests", status=200, body=json.dumps({"data": body}).encode())
    hub.misbehave("POST /graphql MergedCount", status=200, body=b'{"data": {"search": {"issueCount": 0}}}')
    item = hub.collect("commit", production={"infrastructure": ["main"]}).only
    assert (item.status, item.cause) == ("partial", "incomplete")
    assert "which the list lacks" in item.reason


def test_proposals_of_every_repository_that_is_not_archived(whole):
    proposals = whole.rows("proposal")
    assert {row["repository"] for row in proposals} == {
        "study-companion", "lesson-editor", "infrastructure", "website", "handbook",
    }  # fmt: skip
    assert {row["state"] for row in proposals} == {"OPEN", "MERGED", "CLOSED"}
    window = whole.items[f"proposals {ORG}"].window
    assert window is not None
    assert all(window.start <= row["created"].replace(tzinfo=UTC) < window.end for row in proposals)


def test_an_empty_organisation_of_pull_requests_is_no_failure(start):
    def change(github):
        for repository in github["repositories"].values():
            repository["pull_requests"] = []

    run = start(change).collect("commit", "proposal", "repository", production={"infrastructure": ["main"]})
    assert {item.status for item in run.items.values()} == {"collected"}
    tests = run.judged("SDL-04")
    assert tests["changes-reviewed"].outcome == "no occurrences"
    assert tests["changes-reviewed"].reason
    assert run.judged("SDL-07")["update-prs"].outcome == "deviations"


# -- repositories and alerts ------------------------------------------------------------------------------------------


def test_repositories_and_their_features(whole):
    found = whole.by("repository", "name")
    assert len(found) == 7
    companion, old = found["study-companion"], found["old-quiz-engine"]
    assert (companion["production"], companion["visibility"], companion["default_branch"]) == (True, "private", "main")
    assert (companion["vulnerability_alerts"], companion["automated_fixes"], companion["automated_fixes_paused"]) == (
        True, True, False,
    )  # fmt: skip
    assert (companion["sbom_packages"], companion["backfill_completed"], companion["update_config"]) == (
        217,
        True,
        True,
    )
    assert (old["archived"], old["vulnerability_alerts"], old["sbom_packages"]) == (True, None, None)
    assert (found["website"]["visibility"], found["reading-aloud"]["fork"]) == ("public", True)


def test_features_that_are_off_are_off_and_not_unknown(start):
    def change(github):
        github["switched_off"] = [
            "dependabot larkspur-learning/lesson-editor",
            "dependency-graph larkspur-learning/lesson-editor",
        ]
        github["repositories"]["lesson-editor"]["security"] = {
            "secret_scanning": "disabled", "push_protection": "disabled", "dependabot_updates": "disabled"
        }  # fmt: skip

    run = start(change).collect("repository")
    row = run.by("repository", "name")["lesson-editor"]
    assert (row["vulnerability_alerts"], row["sbom_packages"], row["secret_scanning"]) == (False, 0, "disabled")


def test_only_covered_repositories_are_looked_at_and_production_always_is(hub):
    run = hub.collect(
        "repository", "dependabot_alert", production={"infrastructure": ["main"]},
        repositories={"include": ["*-*"], "exclude": ["lesson-*", "infra*"]},
    )  # fmt: skip
    names = set(run.by("repository", "name"))
    assert names == {"study-companion", "infrastructure", "reading-aloud", "old-quiz-engine"}
    assert {row["repository"] for row in run.rows("dependabot_alert")} == {"study-companion", "infrastructure"}


def test_alerts_in_every_state(whole):
    dependabot = whole.by("dependabot_alert")
    assert {row["state"] for row in dependabot.values()} == {"open", "fixed", "dismissed"}
    assert dependabot[f"{ORG}/study-companion#9"]["fixed"] is None
    assert dependabot[f"{ORG}/lesson-editor#4"]["scope"] == "development"
    code = whole.by("code_scanning_alert")
    assert code[f"{ORG}/study-companion#22"]["severity"] is None
    secrets = whole.by("secret_alert")
    assert secrets[f"{ORG}/lesson-editor#1"]["bypass_reviewed_by"] == "dilnoza-karimova"
    assert isinstance(secrets[f"{ORG}/lesson-editor#1"]["created"], datetime)


def test_generic_secrets_and_passwords_are_asked_for_by_name(start):
    def change(github):
        github["secret_alerts"]["study-companion#2"]["type"] = "rsa_private_key"
        github["secret_alerts"]["lesson-editor#1"]["type"] = "password"

    hub = start(change)
    assert hub.collect("secret_alert").rows("secret_alert") == []
    run = hub.collect("secret_alert", generic_secret_types=list(GENERIC_SECRETS))
    assert {row["secret_type"] for row in run.rows("secret_alert")} == {"rsa_private_key", "password"}
    assert sum("/secret-scanning/alerts" in reply.operation for reply in run.only.replies) == 2


def test_an_organisation_without_alerts_is_no_failure(start):
    def change(github):
        github["secret_alerts"] = {}

    run = start(change).collect("secret_alert")
    assert (run.only.status, run.rows("secret_alert")) == ("collected", [])
    assert run.judged("SDL-08")["secret-alerts"].outcome == "no occurrences"


# -- checks, files, keys, apps, hooks, environments, analyses ---------------------------------------------------------


def test_checks_of_what_was_merged_head_and_queue_with_pages_and_statuses(start):
    def change(github):
        pulls = github["repositories"]["infrastructure"]["pull_requests"]
        many = {f"job-{number:03}": "SUCCESS" for number in range(130)}
        pulls[0].update(
            checks={**many, "plan": "FAILURE 1", "cost": "PENDING", "cla": "SUCCESS"}, contexts=["cost", "cla"]
        )
        pulls[1].update(checks={"plan": "ABSENT"}, queue={"checks": {"plan": "SUCCESS 0.1"}})

    run = start(change).collect("status_check")
    rows = run.rows("status_check")
    assert len([row for row in rows if row["pull_request"] == 74]) == 133
    first = {row["name"]: row for row in rows if row["pull_request"] == 74}
    assert (first["plan"]["conclusion"], first["cla"]["conclusion"]) == ("failure", "success")
    assert (first["cost"]["conclusion"], first["cost"]["completed"]) == (None, None)
    assert [(r["name"], r["on_merge"]) for r in rows if r["pull_request"] == 77] == [("plan", True)]
    assert run.items[f"changes {ORG}/infrastructure"].completeness.complete


def test_who_owns_code_what_security_policies_name_and_what_templates_ask(whole):
    found = whole.by("repository", "name")
    companion = found["study-companion"]
    assert companion["owned_paths"] == [
        "*", ".github/", "auth/", "infra/", "middleware/", "migrations/", "prompts/",
    ]  # fmt: skip
    assert (companion["unowned_paths"], companion["codeowners_errors"]) == ([], 0)
    assert companion["security_contacts"] == [
        "https://larkspur.example/.well-known/security.txt",
        "security@larkspur.example",
    ]
    assert companion["template_references"] == ["docs/secure-coding.md"]
    assert companion["languages"] == ["Dockerfile", "Python", "TypeScript"]
    assert (found["handbook"]["owned_paths"], found["handbook"]["security_policy"]) == ([], False)
    assert {name: (row["class"], row["application"]) for name, row in found.items()} == {
        "study-companion": ("production", True),
        "lesson-editor": ("production", True),
        "infrastructure": ("production", False),
        "website": ("internal", False),
        "handbook": ("internal", False),
        "reading-aloud": ("sandbox", False),
        "old-quiz-engine": (None, False),
    }
    assert {name for name, row in found.items() if row["private_reporting"] is not None} == {"website", "reading-aloud"}
    assert {row["name"] for row in whole.rows("package")} > {"openai", "part-0"}


def test_owners_are_taken_away_by_a_later_line_and_errors_are_counted(start):
    def change(github):
        text = "* @o/all\n/auth @o/auth # why\n/auth/**\n/infra/ @nobody\ndocs/*.md @o/docs\n"
        github["repositories"]["study-companion"]["files"] = {"CODEOWNERS": text}

    row = start(change).collect("repository").by("repository", "name")["study-companion"]
    assert (row["owned_paths"], row["unowned_paths"], row["codeowners_errors"]) == (
        ["*", "docs/*.md", "infra/"],
        ["auth/"],
        1,
    )


def test_files_that_are_watched_and_who_agreed_to_them(start):
    watched = {"handbook": ["policies/", "docs/secure-coding.md", "docs/absent.md"]}
    run = start(lambda github: github["declared"].update(watched=watched)).collect("file")
    files = run.by("file", "path")
    assert {path: row["present"] for path, row in files.items()} == {
        "policies/access.md": True, "policies/incidents.md": True, "policies/privacy.md": True,
        "docs/secure-coding.md": True, "docs/absent.md": False,
    }  # fmt: skip
    row = files["policies/privacy.md"]
    assert (row["pull_request"], row["author"], row["approvers"]) == (15, "dilnoza-karimova", ["amara-okafor"])
    assert files["docs/absent.md"]["changed"] is None


def test_features_with_their_labels_and_what_they_refer_to(whole):
    rows = whole.by("feature", "number")
    assert {n: (row["labels"], row["references"]) for n, row in rows.items()} == {
        303: (["feature"], ["docs/threat-models/offline-mode.md"]),
        325: (["feature", "threat-model:not-needed"], []),
    }


def test_what_acts_without_being_a_person(whole):
    (key,) = whole.rows("deploy_key")
    assert (key["repository"], key["read_only"], key["added_by"]) == ("study-companion", True, "amara-okafor")
    apps = whole.by("installation", "app")
    assert apps["renovate"]["writes"] == ["contents=write", "pull_requests=write"]
    assert (apps["larkspur-compliance"]["writes"], apps["renovate"]["selection"]) == ([], "selected")
    hooks = whole.by("hook", "id")
    assert {n: (row["repository"], row["origin"]) for n, row in hooks.items()} == {
        7710001: (None, "https://hooks.slack.example"),
        7710002: ("study-companion", "https://deploy.larkspur.example"),
    }
    assert all(row["verifies_tls"] and row["signed"] and row["active"] for row in hooks.values())


def test_analyses_and_environments(whole):
    rows = [row for row in whole.rows("analysis") if row["repository"] == "study-companion"]
    assert sorted((row["language"], row["failed"]) for row in rows) == [
        ("javascript-typescript", False), ("python", False), ("python", True),
    ]  # fmt: skip
    places = {(row["repository"], row["name"]): row for row in whole.rows("environment")}
    production = places["study-companion", "production"]
    assert (production["protected_branches"], production["custom_branches"], production["reviewers"]) == (
        True,
        False,
        1,
    )
    preview = places["study-companion", "preview"]
    assert (preview["protected_branches"], preview["custom_branches"], preview["reviewers"]) == (False, False, 0)


def test_no_analysis_is_an_answer_and_a_hidden_one_is_not(start):
    hub = start()
    run = hub.collect("analysis")
    assert {item.status for item in run.items.values()} == {"collected"}
    assert "infrastructure" not in {row["repository"] for row in run.rows("analysis")}
    hub.misbehave("/infrastructure/code-scanning/analyses", "hidden")
    assert hub.collect("analysis").items[f"analyses {ORG}/infrastructure"].status == "denied"


# -- populations that are hard to count -------------------------------------------------------------------------------


def test_a_pull_request_of_three_hundred_commits_that_was_merged_by_rebase(start):
    def change(github):
        github["repositories"]["infrastructure"]["pull_requests"][1]["commits"] = 301

    run = start(change).collect("commit", production={"infrastructure": ["main"]})
    rows = run.rows("commit")
    assert len(rows) == 304
    assert len({row["sha"] for row in rows if row["pull_request"] == 77}) == 301
    assert run.only.completeness.complete


def test_a_revert_a_merge_queue_and_a_branch_forced_back_are_all_seen(start):
    def change(github):
        infrastructure = github["repositories"]["infrastructure"]
        pulls = infrastructure["pull_requests"]
        at = pulls[3]["merged"]
        pulls.append({"number": 90, "author": "bruno-keller", "merged": at, "queue": {}, "checks": {"plan": "ABSENT"}, "reviews": [{"by": "amara-okafor"}]})  # fmt: skip
        pulls.append({"number": 91, "author": "amara-okafor", "merged": at, "reviews": []})  # the revert of 90
        infrastructure["activity"] = [
            {"kind": "merge_queue_merge", "at": at, "by": "amara-okafor", "after": 90},
            {"kind": "force_push", "at": at, "by": "bruno-keller", "after": 79},
        ]

    run = start(change).collect("pull_request", "push", "status_check", "repository")
    tests = run.judged("SDL-04")
    failed = {check.name: check.failed for check in tests["changes-reviewed"].checks}
    assert failed == {"approved_by_other": 1, "approval_before_merge": 1, "approval_of_final_content": 1}
    kinds = {row["kind"] for row in run.rows("push") if row["repository"] == "infrastructure"}
    assert kinds == {"pr_merge", "merge_queue_merge", "force_push"}
    assert [row["on_merge"] for row in run.rows("status_check") if row["pull_request"] == 90] == [True]


def test_an_enterprise_server_is_asked_at_its_own_addresses(monkeypatch, hub):
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    section = {**hub.part.scope, "base_url": "https://github.example/api/v3"}
    config = GitHubConfig.model_validate(section)
    context = Context(period=None, as_of=None, environment="x", folder=hub.folder)  # type: ignore[arg-type]
    requester = Client(config, context).requester
    assert requester.graphql_url == "https://github.example/api/graphql"
    assert f"{requester.scheme}://{requester.hostname_and_port}" == "https://github.example"
