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


# -- invitations and runners ------------------------------------------------------------------------------------------


def test_pending_invitations_and_no_address_that_was_invited(start):
    def change(github):
        github["invitations"] += [
            {
                "id": 40_000 + n,
                "login": f"new-{n:03}",
                "role": "direct_member",
                "created": "2026-01-01T00:00:00Z",
                "by": "chen-wei",
            }
            for n in range(120)
        ]
        mail = {"id": 50_000, "email": "seeded-person-9@elsewhere.example", "role": "admin", "by": "chen-wei"}
        github["invitations"].append({**mail, "created": "2026-01-02T00:00:00Z"})

    run = start(change).collect("invitation")
    rows = run.by("invitation", "id")
    assert (len(rows), run.only.completeness.pages) == (122, 2)
    assert (rows[50_000]["login"], rows[50_000]["role"], rows[50_000]["inviter"]) == (None, "admin", "chen-wei")
    assert rows[3300041]["login"] == "amara-okafor-reserve"
    kept = b"".join(path.read_bytes() for path in run.folder.rglob("raw-*"))
    assert b"new-001" in kept and b"elsewhere.example" not in kept


def test_invitations_to_single_repositories_archived_ones_too(start):
    def invited(n, login, **more):
        return {
            "id": n,
            "login": login,
            "permission": "read",
            "created": "2026-01-01T00:00:00Z",
            "by": "chen-wei",
            **more,
        }

    def change(github):
        github["repositories"]["website"]["invitations"] = [invited(n, "bruno-keller") for n in range(1, 121)]
        github["repositories"]["old-quiz-engine"]["invitations"] = [
            invited(200, None),
            invited(201, "chen-wei", expired=True),
        ]

    run = start(change).collect("repository_invitation")
    rows = run.by("repository_invitation", "id")
    assert len(rows) == 124  # two of them are the handbook's
    assert run.only.completeness.items == 124
    assert (rows[120]["repository"], rows[120]["login"], rows[120]["expired"]) == ("website", "bruno-keller", False)
    assert (rows[200]["repository"], rows[200]["login"], rows[200]["inviter"]) == ("old-quiz-engine", None, "chen-wei")
    assert rows[201]["expired"] is True


def test_invitations_to_a_repository_that_may_not_be_read_are_unknown(start):
    hub = start(lambda github: github.update(denied_permissions=[f"administration {ORG}/website"]))
    item = hub.collect("repository_invitation").only
    assert (item.status, item.cause) == ("partial", "permission")
    assert "administration=read" in f"{item.reason} {item.hint}"


def test_which_repositories_may_use_a_group_of_runners(start):
    def change(github):
        old = {"id": 9, "name": "old", "visibility": "selected", "public": False, "repositories": ["website"]}
        open_group = {"id": 7, "name": "open", "visibility": "selected", "public": True}
        github["runner_groups"] += [old, {**open_group, "repositories": ["website", "handbook", "old-quiz-engine"]}]

    hub = start(change)
    run = hub.collect("runner_group")
    groups = run.by("runner_group", "id")
    assert {id: (row["visibility"], row["allows_public_repositories"]) for id, row in groups.items()} == {
        1: ("all", False), 4: ("selected", False), 9: ("selected", False), 7: ("selected", True),
    }  # fmt: skip
    chosen = run.by("runner_group_repository", "repository")
    assert {name: (row["runner_group"], row["public"], row["archived"]) for name, row in chosen.items()} == {
        "website": (7, True, False), "handbook": (7, False, False), "old-quiz-engine": (7, False, True),
    }  # fmt: skip
    asked = [request.path for request in hub.part.web.log if request.path.endswith("/repositories")]
    assert asked == [f"/orgs/{ORG}/actions/runner-groups/7/repositories"], "only where it matters"


def test_only_public_repositories_are_asked_for_runners_of_their_own(start):
    def change(github):
        github["repositories"]["website"]["runners"] = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
        github["repositories"]["old-quiz-engine"]["visibility"] = "public"  # archived: nothing runs

    rows = start(change).collect("repository_runners").rows("repository_runners")
    assert {row["repository"]: row["runners"] for row in rows} == {"reading-aloud": 0, "website": 2}


def test_groups_of_runners_that_may_not_be_read_are_unknown(start):
    hub = start(lambda github: github.update(denied_permissions=["organization_self_hosted_runners"]))
    run = hub.collect("runner_group", "repository_runners", "repository", "actions")
    item = run.items[f"runner_groups {ORG}"]
    assert (item.status, item.cause) == ("denied", "permission")
    assert "organization_self_hosted_runners=read" in f"{item.reason} {item.hint}"
    outcomes = {id: test.outcome for id, test in run.judged("SDL-11").items()}
    assert outcomes == {
        "workflow-permissions": "no deviations",
        "runner-groups": "inconclusive",
        "public-repositories": "no deviations",
    }
