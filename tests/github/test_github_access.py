"""Who and what may open repositories: people and what gives it to them, access tokens; and what was deployed."""

from __future__ import annotations

from collections import Counter

import pytest

from compliancectl.sandbox.github.server import describe

ORG = "larkspur-learning"

# -- people -----------------------------------------------------------------------------------------------------------


def test_who_can_open_a_repository_and_what_gives_it(whole):
    people = {(row["repository"], row["login"]): row for row in whole.rows("collaborator")}
    elias = people["study-companion", "elias-lind"]
    assert (elias["permission"], elias["given_by"]) == ("write", ["organization: read", "team engineers: write"])
    assert (elias["beyond_membership"], people["handbook", "elias-lind"]["beyond_membership"]) == (True, False)
    outsider = people["infrastructure", "harbour-audit"]
    assert (outsider["permission"], outsider["given_by"]) == ("read", ["repository: read"])
    assert ("study-companion", "harbour-audit") not in people
    assert people["infrastructure", "amara-okafor"]["permission"] == "admin"
    assert ("old-quiz-engine", "amara-okafor") in people, "whoever can read an archived repository can still read it"


def test_more_people_than_a_page_holds(start):
    def change(github):
        for number in range(230):
            github["people"][f"pupil-{number:03}"] = {"id": 6_000_000 + number, "role": "member", "two_factor": "app",
                                                      "name": "seeded-person", "email": "seeded-person"}  # fmt: skip

    hub = start(change)
    run = hub.collect("collaborator", repositories={"include": ["handbook"]}, production={"infrastructure": []})
    assert Counter(row["repository"] for row in run.rows("collaborator")) == {"handbook": 235, "infrastructure": 236}
    assert run.only.completeness.reported_total == run.only.completeness.items == 471
    assert sum("MoreCollaborators" in describe(request) for request in hub.part.web.log) == 4


def test_who_can_open_a_repository_is_denied_to_those_who_own_nothing(hub):
    hub.state.viewer["role"] = "member"
    item = hub.collect("collaborator").only
    assert (item.status, item.cause) == ("partial", "permission")
    assert "owner" in item.hint


# -- access tokens ----------------------------------------------------------------------------------------------------


def test_access_tokens_of_members(whole):
    tokens = whole.by("access_token", "id")
    assert tokens[64001]["writes"] == ["administration=write"]
    assert (tokens[64001]["ends"], tokens[64001]["expired"], tokens[63500]["expired"]) == (True, False, True)
    assert any("GitHub App 771204" in text for text in whole.items[f"access_tokens {ORG}"].completeness.filters)


def test_a_token_that_never_ends_and_was_never_used(start):
    def change(github):
        github["access_tokens"][0].update(expires=None, used=None)

    row = start(change).collect("access_token").by("access_token", "id")[64001]
    assert (row["ends"], row["expires"], row["last_used"], row["expired"]) == (False, None, None, False)


def test_github_shows_access_tokens_to_apps_alone(hub):
    item = hub.collect("access_token", tokens_app=None).only
    assert (item.status, "tokens_app" in item.hint) == ("denied", True)


def test_an_app_that_asks_everything_needs_no_second_one(hub):
    app = hub.part.make_app(hub.sandbox.folder)
    run = hub.collect("access_token", app=app)
    assert (run.only.status, len(run.rows("access_token"))) == ("collected", 2)
    assert run.only.principal.authentication == "GitHub App installation"


def test_an_app_without_the_permission(hub):
    del hub.state.viewer["permissions"]["organization_personal_access_tokens"]
    item = hub.collect("access_token").only
    assert item.status == "denied"


# -- deployments ------------------------------------------------------------------------------------------------------


def test_what_runs_and_whether_it_describes_its_api(start):
    def change(github):
        first = github["repositories"]["study-companion"]["deployments"]
        first[0]["lacks"] = ["openapi.json"]
        first.append({"at": "2024-01-01T00:00:00Z", "by": "bruno-keller", "change": 4711, "state": "INACTIVE"})

    run = start(change).collect("deployment")
    rows = sorted(run.rows("deployment"), key=lambda row: row["created"], reverse=True)
    assert [(row["state"], row["described"], row["environment"]) for row in rows] == [
        ("active", False, "production"),
        ("inactive", True, "production"),
        ("inactive", None, "production"),  # the commit is not there any more
    ]
    assert [row["creator"] for row in rows] == ["larkspur-release[bot]"] * 2 + ["bruno-keller"]


def test_many_repositories_are_asked_together_if_the_description_is_at_the_same_place(start):
    hub = start(lambda github: github.update(generated={"repositories": 20, "merged": 1}))
    apis = {**{f"service-{n:03}": "openapi.json" for n in range(1, 21)}, "study-companion": "api/v1.yaml"}
    run = hub.collect("deployment", apis=apis)
    assert {item.status for item in run.items.values()} == {"collected"}
    assert sum("LastDeployments" in describe(request) for request in hub.part.web.log) == 2
    assert {row["described"] for row in run.rows("deployment")} == {False}, "openapi.json is not at api/v1.yaml"


def test_a_scope_without_an_api_collects_none_and_says_so(hub):
    item = hub.collect("deployment", apis={}).only
    assert (item.status, item.reason) == ("skipped", "the scope names nothing to collect this from")


@pytest.mark.parametrize("permission", ["deployments", "contents"])
def test_deployments_that_are_withheld_are_not_taken_for_none(hub, permission):
    hub.state.denied.add(permission)
    run = hub.collect("deployment")
    assert run.only.status != "collected"
    assert {row["described"] for row in run.rows("deployment")} <= {None}
