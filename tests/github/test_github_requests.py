"""Many repositories share a request; what is kept of it is still about one."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from compliancectl.sandbox.github.server import describe

ORG = "larkspur-learning"
MANY = 40


@pytest.fixture(scope="module")
def grown(start: Any) -> Any:
    """A company with 40 more production repositories, all of which is collected once."""
    hub = start(lambda github: github.update(generated={"repositories": MANY, "merged": 2}))
    return hub, hub.collect()


def asked(hub: Any) -> Counter[str]:
    """How often each operation was asked, whatever the repository."""
    return Counter(re.sub(r"/repos/[^/]+/[^/]+", "/repos", describe(request)) for request in hub.part.web.log)


def test_many_repositories_share_requests(grown):
    hub, run = grown
    assert {item.status for item in run.items.values()} == {"collected"}
    count = asked(hub)
    assert (count["POST /graphql PullRequests"], count["POST /graphql Commits"]) == (2, 2)
    assert (count["POST /graphql MergedCount"], count["POST /graphql BranchRules"]) == (1, 1)
    assert (count["POST /graphql Rulesets"], count["GET /orgs/larkspur-learning/repos"]) == (1, 1)
    single = {name for name, times in count.items() if times >= MANY}
    assert single == {
        "GET /repos/automated-security-fixes",
        "GET /repos/dependency-graph/sbom",
        "GET /repos/secret-scanning/scan-history",
        "GET /repos/rulesets/rule-suites",
        "GET /repos/activity",
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
    assert count["POST /graphql DefaultBranch"] <= 2  # two feeds may begin at the same moment
    assert count["POST /graphql Commits"] <= 2


# -- a second run -----------------------------------------------------------------------------------------------------


def test_a_second_run_takes_nothing_off_the_rate_limit_of_rest(start):
    hub = start(lambda github: github.update(generated={"repositories": 3, "merged": 1}))
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
