"""Many repositories share a request; what is kept of it is still about one."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from compliancectl import clock
from compliancectl.sandbox.github.server import describe

ORG = "larkspur-learning"
MANY = 40


@pytest.fixture(scope="module")
def grown(start: Any) -> Any:
    """A company with 40 more production repositories, all of which is collected once."""
    hub = start(lambda github: github.update(generated={"repositories": MANY, "merged": 2}))
    return hub, hub.collect(cache="answers")


def asked(hub: Any) -> Counter[str]:
    """How often each operation was asked, whatever the repository."""
    return Counter(re.sub(r"/repos/[^/]+/[^/]+", "/repos", describe(request)) for request in hub.part.web.log)


def test_many_repositories_share_requests(grown):
    hub, run = grown
    assert {item.status for item in run.items.values()} == {"collected"}
    count = asked(hub)
    assert (count["POST /graphql PullRequests"], count["POST /graphql Commits"]) == (2, 1)
    assert (count["POST /graphql MergedCount"], count["POST /graphql BranchRules"]) == (1, 1)
    assert (count["POST /graphql Rulesets"], count["GET /orgs/larkspur-learning/repos"]) == (1, 1)
    single = {name for name, times in count.items() if times >= MANY}
    assert single == {
        "GET /repos/automated-security-fixes",
        "GET /repos/dependency-graph/sbom",
        "GET /repos/secret-scanning/scan-history",
        "GET /repos/rulesets/rule-suites",
        "GET /repos/activity",
        "GET /repos/hooks",
        "GET /repos/invitations",
        "GET /repos/environments",
        "GET /repos/code-scanning/analyses",
    }


def test_each_repository_keeps_its_part_and_no_other(grown):
    _, run = grown
    item = run.items[f"changes {ORG}/service-007"]
    for reply in item.replies:
        body = json.loads((run.folder / "evidence" / item.id / reply.path).read_bytes())
        place = reply.context["alias"].removeprefix("r")
        subject = reply.parameters[f"s{place}"]
        assert subject == "service-007" or "/service-007 " in subject
        assert f"r{place}: " in reply.operation
        assert len(reply.context["whole_sha256"]) == 64
        assert list(body["data"]) in (["repository"], ["search"])
    assert {row["number"] for row in run.rows("pull_request") if row["repository"] == "service-007"} == {1, 2}
    assert {row["repository"] for row in run.rows("branch_rule")} >= {f"service-{n:03}" for n in range(1, MANY + 1)}


def test_half_as_many_are_asked_when_github_cannot_finish(start):
    hub = start(lambda github: github.update(generated={"repositories": 5, "merged": 2}))
    hub.misbehave("POST /graphql Commits", "graphql-timeout", times=6)
    run = hub.collect("commit")
    assert {item.status for item in run.items.values()} == {"collected"}
    assert asked(hub)["POST /graphql Commits"] == 6 + 2
    assert len([row for row in run.rows("commit") if row["repository"].startswith("service-")]) == 10


def test_a_hidden_neighbour_costs_a_request_and_hides_nobody(start):
    hub = start(lambda github: github.update(generated={"repositories": 3, "merged": 1}))
    hub.state.hidden.add("service-002")
    run = hub.collect("branch_rule")
    statuses = {name.partition("/")[2]: item.status for name, item in run.items.items()}
    assert {name for name, status in statuses.items() if status != "collected"} == {"service-002"}
    assert statuses["service-002"] == "denied"
    assert asked(hub)["POST /graphql BranchRules"] == 2


def test_default_branches_are_looked_up_together(start):
    hub = start(lambda github: github.update(generated={"repositories": 5, "merged": 1}))
    names = [f"service-{number:03}" for number in range(1, 6)]
    run = hub.collect("branch_rule", "commit", production={name: [] for name in names})
    assert {item.status for item in run.items.values()} == {"collected"}
    assert {row["branch"] for row in run.rows("branch_rule")} == {"main"}
    count = asked(hub)
    assert count["POST /graphql DefaultBranch"] == 1
    assert count["POST /graphql Commits"] <= 2


# -- a second run -----------------------------------------------------------------------------------------------------


def test_a_second_run_takes_nothing_off_the_rate_limit_of_rest(start):
    hub = start()
    first = hub.collect(cache="answers")
    spent = dict(hub.part.server.used)
    second = hub.collect(cache="answers")
    assert {item.status for item in second.items.values()} == {"collected"}
    assert hub.part.server.used["core"] - spent["core"] <= spent["core"] / 10
    for table in ("repository", "branch_rule", "ruleset", "ruleset_version", "member", "secret_alert", "organization"):
        assert second.rows(table) == first.rows(table)
    item = second.items[f"members {ORG}"]
    confirmed = [reply for reply in item.replies if reply.status == "304"]
    assert len(confirmed) == 7
    for reply in confirmed:
        assert reply.context["confirmed"].startswith("304 Not Modified: the body is the one that GitHub gave at 20")
        assert [attempt.outcome for attempt in reply.attempts] == ["304"]
        assert isinstance(json.loads((second.folder / "evidence" / item.id / reply.path).read_bytes()), list)


def test_what_changed_is_not_taken_from_the_cache(start):
    hub = start()
    hub.collect("member", cache="answers")
    hub.state.people["bruno-keller"]["two_factor"] = "none"
    assert hub.collect("member", cache="answers").by("member", "login")["bruno-keller"]["two_factor_disabled"] is True


def test_what_was_kept_holds_no_secret_is_for_its_asker_only_and_must_be_whole(start):
    hub = start()
    hub.collect("secret_alert", "organization", cache="answers")
    files = sorted((hub.sandbox.scope_file.parent / "answers").glob("*.json"))
    assert len(files) >= 3
    for file in files:
        assert b"SEEDED-" not in file.read_bytes()
        file.write_text(file.read_text().replace("study-companion", "study-campanion").replace("read", "none"))
    run = hub.collect("secret_alert", "organization", cache="answers")
    assert "304" not in {
        reply.status for item in run.items.values() for reply in item.replies if "alerts" in reply.operation
    }
    assert run.rows("organization")[0]["default_repository_permission"] == "read"
    app = hub.part.make_app(hub.sandbox.folder)
    asked = hub.collect("secret_alert", cache="answers", app=app).only
    assert {reply.status for reply in asked.replies} == {"200"}


# -- what GraphQL said is used again while nothing has moved ------------------------------------------------------------


def reused(run: Any) -> set[str]:
    """Repositories of which an earlier answer was used."""
    items = run.items.items()
    return {n.partition("/")[2] for n, item in items if any("reused" in reply.context for reply in item.replies)}


CHANGES = ("pull_request", "review", "commit")


@pytest.fixture(scope="module")
def remembered(grown: Any) -> Any:
    """The same collection twice, with nothing changed in between; and what each was charged."""
    hub, first = grown
    once = sum(hub.part.server.used.values())
    second = hub.collect(cache="answers")
    return (first, second), (once, sum(hub.part.server.used.values()) - once)


def test_a_second_run_takes_a_tenth_of_the_rate_limit_of_the_first(remembered):
    (first, second), (spent, later) = remembered
    assert {item.status for item in second.items.values()} == {"collected"}
    assert later <= spent / 10, (spent, later)
    for table in ("commit", "review"):
        assert second.rows(table) == first.rows(table), table


def test_what_is_used_again_says_when_github_gave_it_and_what_was_asked_since(remembered):
    (first, second), _ = remembered
    name = f"changes {ORG}/study-companion"
    before, after = first.items[name], second.items[name]
    again = [reply for reply in after.replies if "reused" in reply.context]
    assert [reply.requested_at for reply in again] == [
        r.requested_at for r in before.replies if "issueCount" not in r.operation
    ]
    assert all("the branch has the same head" in reply.context["reused"] for reply in again)
    asked = [reply.operation for reply in after.replies if "reused" not in reply.context]
    assert [re.search(r"query (\w+)", text).group(1) for text in asked] == ["BranchSignature", "MergedCount"]
    assert after.completeness.complete and after.completeness.items == before.completeness.items


@pytest.mark.parametrize(
    "change",
    [
        lambda it, at: it["pull_requests"].append({"number": 999, "author": "chen-wei", "merged": at, "reviews": []}),
        lambda it, at: it["direct_pushes"].append({"at": at, "author": "chen-wei"}),
        lambda it, at: it["pull_requests"][0].update(updated=at, reviews=[{"by": "chen-wei", "state": "DISMISSED"}]),
    ],
    ids=["merged", "pushed", "reviewed"],
)
def test_a_branch_that_moved_is_asked_anew_and_no_other(start, change):
    hub = start(lambda github: github["repositories"]["infrastructure"].setdefault("direct_pushes", []))
    hub.collect(*CHANGES, cache="answers")
    change(hub.state.repositories["infrastructure"], clock.text(hub.state.now - timedelta(hours=1)))
    del hub.state.changes
    run = hub.collect(*CHANGES, cache="answers")
    assert reused(run) == {"lesson-editor", "study-companion"}
    plain = hub.collect(*CHANGES)
    assert all(run.rows(table) == plain.rows(table) for table in CHANGES)


def test_what_has_just_moved_was_withheld_or_is_old_is_not_used_again(start):
    now = clock.text(clock.now().replace(microsecond=0))
    fresh = start(lambda github: github["repositories"]["infrastructure"]["pull_requests"][0].update(updated=now))
    fresh.state.denied.add(f"pull_requests {ORG}/lesson-editor")
    fresh.collect(*CHANGES, cache="answers")
    assert reused(fresh.collect(*CHANGES, cache="answers")) == {"study-companion"}
    assert reused(fresh.collect(*CHANGES, cache="answers", reuse_days=0)) == set()


def test_what_was_kept_of_a_branch_must_be_whole_and_is_for_its_asker_only(start):
    hub = start()
    hub.collect(*CHANGES, cache="answers")
    folder = hub.sandbox.scope_file.parent / "answers"
    kept = sorted(folder.glob("branch-*/*.json"))
    assert len(kept) == 3 * 3
    assert not any(b"SEEDED-" in file.read_bytes() for file in kept)
    app = hub.part.make_app(hub.sandbox.folder)
    assert reused(hub.collect(*CHANGES, cache="answers", app=app)) == set()
    for file in kept:
        if file.name != "index.json":
            file.write_text(file.read_text() + " ")
    run = hub.collect(*CHANGES, cache="answers")
    assert reused(run) == set()
    assert {row["author"] for row in run.rows("pull_request")} >= {"chen-wei"}


@pytest.mark.parametrize(
    ("field", "partial"), [("vulnerabilityAlerts", "dependabot_alerts"), ("deployKeys", "deploy_keys")]
)
def test_what_github_counts_of_all_repositories_is_asked_once_and_missed_only_by_whom_it_concerns(hub, field, partial):
    hub.state.withheld.add(f"Repository.{field}")
    items = hub.collect("deploy_key", "dependabot_alert").items
    assert asked(hub)["POST /graphql Counts"] == 1
    assert {name.partition(" ")[0] for name, item in items.items() if item.status != "collected"} == {partial}
    assert all("query Counts" in str([reply.operation for reply in item.replies]) for item in items.values())
