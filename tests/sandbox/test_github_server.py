"""The sandbox's GitHub refuses, pages and misbehaves as it says."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from compliancectl.sandbox import company as definition
from compliancectl.sandbox import github
from compliancectl.sandbox.company import Company
from compliancectl.sandbox.web import Misbehaviour

ORG = "/orgs/larkspur-learning"
REPO = "/repos/larkspur-learning/study-companion"
PULLS = """
query PullRequests($first: Int, $after: String) {
  repository(owner: "larkspur-learning", name: "study-companion") {
    pullRequests(first: $first, after: $after, states: [MERGED], orderBy: {field: UPDATED_AT, direction: DESC}) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes { number updatedAt reviews(first: 10) { totalCount nodes { state } } }
    }
  }
}
"""


class Client:
    """Asks the sandbox as a plain HTTP client."""

    def __init__(self, part: github.Part) -> None:
        self.part = part
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {part.env['GITHUB_TOKEN']}"

    def get(self, path: str, **more: Any) -> requests.Response:
        url = path if path.startswith("http") else self.part.web.url + path
        return self.session.get(url, allow_redirects=False, **more)

    def graphql(self, query: str, **variables: Any) -> requests.Response:
        return self.session.post(self.part.web.url + "/graphql", json={"query": query, "variables": variables})

    def all(self, path: str) -> list[Any]:
        """Every page of a list."""
        found: list[Any] = []
        while path:
            answer = self.get(path)
            assert answer.status_code == 200, answer.text
            found += answer.json()
            path = answer.links.get("next", {}).get("url", "")
        return found


@pytest.fixture(scope="module")
def company() -> Company:
    return definition.load()


@pytest.fixture
def client(company: Company, tmp_path: Path) -> Iterator[Client]:
    """A fresh GitHub, whose state a test may change."""
    part = github.start(copy.deepcopy(company), tmp_path)
    client = Client(part)
    yield client
    client.session.close()
    part.stop()
    assert part.server.bugs == []


# -- REST -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "Bearer ghp_somebody-else", "Basic Z2l0OnBhc3M="])
def test_a_request_without_a_good_token_is_refused(client: Client, header: str | None) -> None:
    client.session.headers["Authorization"] = header  # type: ignore[assignment]
    answer = client.get(ORG)
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_what_github_does_not_know_is_not_found(client: Client) -> None:
    for path in ("/orgs/somebody-else", "/repos/larkspur-learning/nothing", "/orgs/larkspur-learning/secrets"):
        assert client.get(path).status_code == 404


def test_an_unknown_parameter_is_ignored_and_a_wrong_value_is_not(client: Client) -> None:
    assert client.get(f"{ORG}/members?colour=red").json() == client.get(f"{ORG}/members").json()
    wrong = client.get(f"{ORG}/members?role=boss")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "role")


def test_an_api_version_that_does_not_exist_is_refused(client: Client) -> None:
    assert client.get(ORG, headers={"X-GitHub-Api-Version": "2019-01-01"}).status_code == 400
    answer = client.get(ORG, headers={"X-GitHub-Api-Version": "2022-11-28"})
    assert answer.headers["X-GitHub-Api-Version-Selected"] == "2022-11-28"


def test_pages_of_a_list_lead_to_its_end(client: Client) -> None:
    first = client.get(f"{ORG}/repos?per_page=4&type=all")
    assert len(first.json()) == 4
    assert (
        first.links["last"]["url"]
        == first.links["next"]["url"]
        == (f"{client.part.web.url}/organizations/81204417/repos?per_page=4&type=all&page=2")
    )
    second = client.get(first.links["next"]["url"])
    assert second.links.keys() == {"first"}
    names = [r["name"] for r in first.json() + second.json()]
    assert names == sorted(client.part.state.repositories)


def test_links_of_a_repository_name_it_by_number(client: Client) -> None:
    rules = client.all(f"{REPO}/rules/branches/main?per_page=2")
    assert len(rules) == 7
    assert "/repositories/410550101/rules/branches/main" in client.part.web.log[-1].path


def test_alerts_about_dependencies_are_paged_by_cursor_only(client: Client) -> None:
    first = client.get(f"{ORG}/dependabot/alerts?per_page=4")
    assert first.links.keys() == {"next"} and "after=" in first.links["next"]["url"]
    assert client.get(f"{ORG}/dependabot/alerts?per_page=4&page=2").json() == first.json()
    keys = [(a["repository"]["name"], a["number"]) for a in client.all(f"{ORG}/dependabot/alerts?per_page=4")]
    assert len(keys) == len(set(keys)) == 6
    assert client.get(f"{ORG}/dependabot/alerts?after=nonsense").status_code == 400


def test_what_has_not_changed_is_not_sent_again(client: Client) -> None:
    first = client.get(f"{ORG}/members")
    again = client.get(f"{ORG}/members", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
    client.part.state.people["chen-wei"]["role"] = "admin"
    changed = client.get(f"{ORG}/members?role=admin", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200


def test_the_rate_limit_counts_down(client: Client) -> None:
    remaining = [int(client.get(ORG).headers["X-RateLimit-Remaining"]) for _ in range(3)]
    assert remaining == [4999, 4998, 4997]
    assert len({client.get(ORG).headers["X-GitHub-Request-Id"] for _ in range(3)}) == 3


def test_a_permission_that_is_missing_is_named(client: Client) -> None:
    client.part.state.denied.add("vulnerability_alerts")
    answer = client.get(f"{ORG}/dependabot/alerts")
    assert answer.status_code == 403
    assert answer.json()["message"] == "Resource not accessible by personal access token"
    assert answer.headers["X-Accepted-GitHub-Permissions"] == "vulnerability_alerts=read"
    assert client.get(f"{ORG}/code-scanning/alerts").status_code == 200


def test_a_permission_to_read_is_not_one_to_write(client: Client) -> None:
    client.part.state.viewer["permissions"] = {"organization_administration": "read"}
    answer = client.get(f"{ORG}/rulesets")
    assert (answer.status_code, answer.headers["X-Accepted-GitHub-Permissions"]) == (
        403,
        "organization_administration=write",
    )


def test_a_permission_may_be_missing_for_one_repository(client: Client) -> None:
    client.part.state.denied.add("administration larkspur-learning/study-companion")
    assert client.get(f"{REPO}/automated-security-fixes").status_code == 403
    assert client.get("/repos/larkspur-learning/website/automated-security-fixes").status_code == 200


def test_a_classic_token_has_scopes(client: Client) -> None:
    client.part.state.viewer["token"] = "classic"
    headers = client.get(ORG).headers
    assert headers["X-OAuth-Scopes"] == "read:org, repo" and "X-Accepted-GitHub-Permissions" not in headers


def test_a_hidden_repository_is_in_no_answer(client: Client) -> None:
    client.part.state.hidden.add("study-companion")
    assert client.get(REPO).status_code == client.get(f"{REPO}/rulesets").status_code == 404
    assert "study-companion" not in {r["name"] for r in client.all(f"{ORG}/repos")}
    assert "study-companion" not in {a["repository"]["name"] for a in client.all(f"{ORG}/dependabot/alerts")}


def test_a_renamed_repository_leads_to_its_new_name(client: Client) -> None:
    client.part.state.renamed["companion"] = "study-companion"
    answer = client.get("/repos/larkspur-learning/companion")
    assert answer.status_code == 301
    assert client.get(answer.headers["Location"]).json()["name"] == "study-companion"


def test_a_member_does_not_see_what_owners_see(client: Client) -> None:
    owner = client.get(ORG).json()
    client.part.state.viewer["role"] = "member"
    member = client.get(ORG).json()
    hidden = {"plan", "billing_email", "two_factor_requirement_enabled", "default_repository_permission"}
    assert hidden <= owner.keys() and not hidden & member.keys()
    assert client.get(f"{ORG}/members?filter=2fa_disabled").status_code == 422
    assert "security_and_analysis" not in client.get(REPO).json()
    assert "bypass_actors" not in client.get(f"{ORG}/rulesets/4410071").json()


def test_the_literal_of_a_secret_is_left_out_when_that_is_asked_for(client: Client) -> None:
    assert all(a["secret"].startswith("SEEDED-SECRET") for a in client.get(f"{ORG}/secret-scanning/alerts").json())
    hidden = client.get(f"{ORG}/secret-scanning/alerts?hide_secret=true").json()
    assert len(hidden) == 2 and not any("secret" in alert for alert in hidden)


def test_a_product_that_is_off_says_so(client: Client) -> None:
    client.part.state.switched_off |= {"code-scanning", "secret-scanning", "dependency-graph", "dependabot"}
    assert "must be enabled" in client.get(f"{ORG}/code-scanning/alerts").json()["message"]
    assert "disabled" in client.get(f"{ORG}/secret-scanning/alerts").json()["message"]
    assert "disabled" in client.get(f"{REPO}/secret-scanning/scan-history").json()["message"]
    assert client.get(f"{REPO}/dependency-graph/sbom").status_code == 404
    assert client.get(f"{REPO}/vulnerability-alerts").status_code == 404


def test_a_ruleset_keeps_its_versions(client: Client) -> None:
    history = client.get(f"{ORG}/rulesets/4410071/history").json()
    assert [v["version_id"] for v in history] == [44100712, 44100711]
    states = [client.get(f"{ORG}/rulesets/4410071/history/{v['version_id']}").json()["state"] for v in history]
    assert [state["enforcement"] for state in states] == ["active", "evaluate"]
    assert client.get(f"{ORG}/rulesets/4410071/history/1").status_code == 404
    assert client.get(f"{ORG}/rulesets/4410102").status_code == 404, (
        "a ruleset of a repository is not the organisation's"
    )


def test_pushes_are_listed_for_the_asked_time_and_result(client: Client) -> None:
    month = client.get(f"{REPO}/rulesets/rule-suites?time_period=month").json()
    assert [s["result"] for s in month] == ["pass", "bypass"]
    assert [
        s["id"] for s in client.get(f"{REPO}/rulesets/rule-suites?time_period=month&rule_suite_result=bypass").json()
    ] == [90330870]
    assert client.get(f"{REPO}/rulesets/rule-suites?time_period=week&rule_suite_result=bypass").json() == []


def test_an_app_gets_a_token_for_its_signature_only(client: Client, tmp_path: Path) -> None:
    import jwt

    app = client.part.make_app(tmp_path)
    key = (tmp_path / app["private_key"]).read_bytes()
    url = f"{client.part.web.url}/app/installations/{app['installation']}/access_tokens"

    def ask(issuer: int) -> requests.Response:
        signed = jwt.encode({"iss": str(issuer), "iat": 0, "exp": 4_000_000_000}, key, algorithm="RS256")
        return requests.post(url, headers={"Authorization": f"Bearer {signed}"}, timeout=10)

    assert ask(app["id"] + 1).status_code == 401
    assert client.session.post(url).status_code == 401
    issued = ask(app["id"])
    assert issued.status_code == 201 and issued.json()["permissions"]["members"] == "read"
    client.part.state.denied.add("members")
    client.session.headers["Authorization"] = f"token {issued.json()['token']}"
    assert client.get(ORG).status_code == 200
    assert client.get(f"{ORG}/members").json()["message"] == "Resource not accessible by integration"


# -- GraphQL ----------------------------------------------------------------------------------------------------------


def errors_of(answer: requests.Response) -> list[Any]:
    assert answer.status_code == 200
    found: list[Any] = answer.json().get("errors", [])
    return found


def test_a_connection_is_read_page_by_page(client: Client) -> None:
    numbers, after, totals = [], None, set()
    while True:
        answer = client.graphql(PULLS, first=5, after=after).json()
        page = answer["data"]["repository"]["pullRequests"]
        numbers += [(node["updatedAt"], node["number"]) for node in page["nodes"]]
        totals.add(page["totalCount"])
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert totals == {len(numbers)} and len(set(numbers)) == len(numbers) == 19
    assert numbers == sorted(numbers, reverse=True)


def test_a_connection_can_be_read_from_its_end(client: Client) -> None:
    query = '{ organization(login: "larkspur-learning") { membersWithRole(last: 2) { pageInfo { hasPreviousPage } nodes { login } } } }'
    page = client.graphql(query).json()["data"]["organization"]["membersWithRole"]
    assert page == {"pageInfo": {"hasPreviousPage": True}, "nodes": [{"login": "chen-wei"}, {"login": "elias-lind"}]}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ viewer { colour } }", "Cannot query field 'colour'"),
        ("{ viewer { login }", "Parse error"),
        ('{ organization(login: "larkspur-learning") { repositories { totalCount } } }', "`first` or `last`"),
        ('{ organization(login: "larkspur-learning") { repositories(first: 101) { totalCount } } }', "limit of 100"),
        (PULLS, "`first` or `last`"),
        ("query Q($login: String!) { organization(login: $login) { login } }", "$login"),
        ('{ organization(login: "nobody") { login } }', "Could not resolve to an Organization"),
        ('{ repository(owner: "larkspur-learning", name: "nothing") { name } }', "Could not resolve to a Repository"),
        ("", "must be specified"),
    ],
)
def test_a_document_that_github_would_refuse_is_refused(client: Client, query: str, said: str) -> None:
    answer = client.session.post(client.part.web.url + "/graphql", json={"query": query} if query else {})
    assert said in errors_of(answer)[0]["message"]


def test_a_limit_may_be_the_default_of_a_variable(client: Client) -> None:
    page = client.graphql(PULLS.replace("$first: Int,", "$first: Int = 5,")).json()["data"]["repository"][
        "pullRequests"
    ]
    assert len(page["nodes"]) == 5


def test_too_many_nodes_are_refused(client: Client) -> None:
    inner = "pullRequests(first: 100) { nodes { reviews(first: 100) { nodes { id } } } }"
    query = f'{{ organization(login: "larkspur-learning") {{ repositories(first: 100) {{ nodes {{ {inner} }} }} }} }}'
    assert errors_of(client.graphql(query))[0]["type"] == "MAX_NODE_LIMIT_EXCEEDED"


def test_the_cost_of_a_document_is_its_connections(client: Client) -> None:
    inner = "pullRequests(first: 50) { nodes { reviews(first: 10) { nodes { id } } } }"
    query = (
        f'{{ rateLimit {{ cost nodeCount remaining }} organization(login: "larkspur-learning") '
        f"{{ repositories(first: 20) {{ nodes {{ {inner} }} }} }} }}"
    )
    limit = client.graphql(query).json()["data"]["rateLimit"]
    assert limit == {"cost": 10, "nodeCount": 20 + 20 * 50 + 20 * 50 * 10, "remaining": 4990}


def test_a_field_may_be_withheld_while_the_rest_is_answered(client: Client) -> None:
    client.part.state.withheld.add("Organization.samlIdentityProvider")
    answer = client.graphql('{ organization(login: "larkspur-learning") { login samlIdentityProvider { id } } }').json()
    assert answer["data"] == {"organization": {"login": "larkspur-learning", "samlIdentityProvider": None}}
    (error,) = answer["errors"]
    assert (error["type"], error["path"]) == ("FORBIDDEN", ["organization", "samlIdentityProvider"])


def test_a_missing_permission_takes_the_field_and_what_must_have_it(client: Client) -> None:
    client.part.state.denied.add("pull_requests larkspur-learning/study-companion")
    answer = client.graphql(PULLS, first=5).json()
    assert answer["data"] == {"repository": None}
    assert answer["errors"][0]["path"] == ["repository", "pullRequests"]


def test_a_renamed_repository_is_followed_unless_that_is_not_wanted(client: Client) -> None:
    client.part.state.renamed["companion"] = "study-companion"
    query = '{ repository(owner: "larkspur-learning", name: "companion", followRenames: %s) { name } }'
    assert client.graphql(query % "true").json()["data"]["repository"]["name"] == "study-companion"
    assert errors_of(client.graphql(query % "false"))[0]["type"] == "NOT_FOUND"


def test_pull_requests_can_be_counted_by_search(client: Client) -> None:
    query = "query($q: String!) { search(type: ISSUE, query: $q, first: 3) { issueCount nodes { ... on PullRequest { number } } } }"
    here = "repo:larkspur-learning/study-companion is:pr"
    counts = {
        term: client.graphql(query, q=f"{here} {term}").json()["data"]["search"]["issueCount"]
        for term in ("is:merged", "is:open", "is:closed", "is:merged base:main", "author:app/dependabot")
    }
    assert counts == {
        "is:merged": 19,
        "is:open": 1,
        "is:closed": 20,
        "is:merged base:main": 18,
        "author:app/dependabot": 3,
    }


# -- misbehaviour -----------------------------------------------------------------------------------------------------


def misbehave(client: Client, name: str, path: str = "", **more: Any) -> None:
    client.part.web.misbehaviours.append(Misbehaviour(path, kind="vendor", name=name, **more))


@pytest.mark.parametrize("ask", ["rest", "graphql"])
@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("primary-rate-limit", 403, "API rate limit exceeded"),
        ("secondary-rate-limit", 403, "secondary rate limit"),
        ("hidden", 404, "Not Found"),
        ("sso-required", 403, "SAML enforcement"),
        ("not-an-object", 200, "surprise"),
    ],
)
def test_both_interfaces_can_refuse(client: Client, ask: str, name: str, status: int, said: str) -> None:
    misbehave(client, name, times=1, headers={"Retry-After": "7"})
    answer = client.get(ORG) if ask == "rest" else client.graphql(PULLS, first=1)
    assert answer.status_code == status and said in answer.text
    assert (answer.headers.get("X-RateLimit-Remaining") == "0") == (name == "primary-rate-limit")
    assert ("Retry-After" in answer.headers) == name.endswith("rate-limit")
    assert answer.headers.get("X-GitHub-SSO", "").startswith("required; url=") == (name == "sso-required")
    assert client.get(ORG).status_code == 200, "once is once"


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("graphql-rate-limited", "RATE_LIMITED", "rate limit exceeded"),
        ("graphql-timeout", None, "Something went wrong"),
        ("graphql-not-found", "NOT_FOUND", "Could not resolve"),
    ],
)
def test_graphql_refuses_with_success(client: Client, name: str, kind: str | None, said: str) -> None:
    misbehave(client, name, r"POST /graphql PullRequests$")
    assert errors_of(client.graphql("query Viewer { viewer { login } }")) == []
    (error,) = errors_of(client.graphql(PULLS, first=1))
    assert error.get("type") == kind and said in error["message"]


def test_one_document_can_be_broken_while_others_are_answered(client: Client) -> None:
    broken = r"POST /graphql PullRequests$"
    client.part.web.misbehaviours += [
        Misbehaviour(broken, status=502, times=1),
        Misbehaviour(broken, status=429, headers={"Retry-After": "1"}, times=1),
        Misbehaviour(broken, kind="disconnect", times=1),
        Misbehaviour(broken, kind="garbage", times=1),
    ]
    seen = []
    for _ in range(5):
        assert client.graphql("query Viewer { viewer { login } }").status_code == 200
        try:
            seen.append(str(client.graphql(PULLS, first=1).status_code))
        except requests.RequestException as error:
            seen.append(type(error).__name__)
    assert [seen[0], seen[1], seen[4]] == ["502", "429", "200"]
    assert {seen[2], seen[3]} <= {"ConnectionError", "ChunkedEncodingError"}


def test_single_sign_on_may_leave_something_out(client: Client) -> None:
    misbehave(client, "sso-partial")
    assert client.get(f"{ORG}/repos").headers["X-GitHub-SSO"].startswith("partial-results;")
    assert client.graphql(PULLS, first=1).headers["X-GitHub-SSO"].startswith("partial-results;")


@pytest.mark.parametrize("path", [f"{ORG}/repos?per_page=4", f"{ORG}/dependabot/alerts?per_page=4"])
def test_links_can_lead_on_for_ever(client: Client, path: str) -> None:
    misbehave(client, "endless-page")
    seen, here = set(), path
    for _ in range(10):
        here = client.get(here).links["next"]["url"]
        seen.add(here)
    assert len(seen) == 10


@pytest.mark.parametrize("path", [f"{ORG}/repos?per_page=4", f"{ORG}/dependabot/alerts?per_page=4"])
def test_links_can_lead_back(client: Client, path: str) -> None:
    misbehave(client, "repeated-page")
    first = client.get(path).links["next"]["url"]
    assert client.get(first).links["next"]["url"] == first


@pytest.mark.parametrize(("name", "cursors"), [("endless-cursor", 5), ("repeated-cursor", 1)])
def test_cursors_can_lead_nowhere(client: Client, name: str, cursors: int) -> None:
    misbehave(client, name, "PullRequests")
    seen, after = set(), None
    for _ in range(5):
        page = client.graphql(PULLS, first=100, after=after).json()["data"]["repository"]["pullRequests"]
        assert page["pageInfo"]["hasNextPage"] and len(page["nodes"]) == 19
        after = page["pageInfo"]["endCursor"]
        seen.add(after)
    assert len(seen) == cursors


def test_a_total_can_be_one_too_many(client: Client) -> None:
    misbehave(client, "short-total")
    page = client.graphql(PULLS, first=100).json()["data"]["repository"]["pullRequests"]
    assert (page["totalCount"], len(page["nodes"])) == (20, 19)
    assert all(node["reviews"]["totalCount"] == len(node["reviews"]["nodes"]) for node in page["nodes"])


def test_every_misbehaviour_is_documented() -> None:
    source = "".join(f.read_text() for f in Path(github.__file__).parent.glob("*.py") if f.name != "__init__.py")
    used = set(re.findall(r'"vendor", "([a-z-]+)"', source)) | {"endless-cursor", "repeated-cursor", "short-total"}
    assert used == set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`[,:]", (github.__doc__ or "").partition("Names of")[2]))


def test_the_sandbox_notices_when_it_breaks_its_own_statement(company: Company, tmp_path: Path) -> None:
    part = github.start(copy.deepcopy(company), tmp_path)
    try:
        client = Client(part)
        part.state.organization["name"] = 7
        assert client.get(ORG).status_code == 501
        part.state.data["people"]["chen-wei"].pop("email")
        query = '{ organization(login: "larkspur-learning") { membersWithRole(first: 9) { nodes { login } } } }'
        assert client.graphql(query).status_code == 501
        assert "breaks its own contract" in part.server.bugs[0] and "email" in part.server.bugs[1]
    finally:
        part.stop()
