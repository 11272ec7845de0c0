"""GitHub in a box: REST and GraphQL on loopback, for one organisation.

How tests make it refuse or misbehave:

* `part.state` holds switches that stay on: `denied` (permissions: `members`, `contents larkspur-learning/website`; REST
  answers 403 with `X-Accepted-GitHub-Permissions`, GraphQL a partial FORBIDDEN), `withheld` (GraphQL fields that are
  FORBIDDEN: `Organization.samlIdentityProvider`), `hidden` (repositories that answer 404 and are in no list),
  `switched_off` (products: `code-scanning`, `secret-scanning`, `dependabot`, `dependency-graph`, for all repositories or
  `dependabot larkspur-learning/website`), `renamed` (old repository name → new one: 301), `viewer["role"]` (who asks:
  `admin` is an owner, `member` is not, and does not see what only owners see), `data` (the definition, after faults).
* `part.web.misbehaviours.append(Misbehaviour(path, …))` with the kinds that all servers know (`status` for 403, 404,
  429, 500 …, `disconnect`, `slow`, `garbage`) and with `kind="vendor"` and one of the names below. `path` is searched
  in `GET /orgs/larkspur-learning/members` (as asked, before GitHub's own `/organizations/ID` of later pages is
  translated), for GraphQL in `POST /graphql PullRequests`, with the name of the operation.

Names of `vendor` misbehaviours:

* `primary-rate-limit`: 403, nothing remaining, `X-RateLimit-Reset` in `seconds` (rounded up); GraphQL alike.
* `secondary-rate-limit`: 403 that says so, with the rule's `headers` (`Retry-After`, or none).
* `graphql-rate-limited`: 200 with an error of type RATE_LIMITED, and the same headers as `primary-rate-limit`.
* `graphql-timeout`: 200 whose only error says that GitHub could not finish in time.
* `graphql-not-found`: 200, data with a null, an error of type NOT_FOUND.
* `hidden`: 404 `Not Found` for what the token may not see, with `X-Accepted-GitHub-Permissions`.
* `sso-required`: 403 with `X-GitHub-SSO: required; url=…`.
* `sso-partial`: the answer, with `X-GitHub-SSO: partial-results; organizations=…`.
* `endless-cursor`, `repeated-cursor`: every page of the connections that are not inside a list says that there is a next
  one, with a new cursor, or always with the same.
* `endless-page`, `repeated-page`: the same for `Link` in REST.
* `short-total`: the `totalCount` of these connections is one more than there are nodes.
* `not-an-object`: 200 with the JSON text `"surprise"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compliancectl.sandbox.company import Company
from compliancectl.sandbox.github.server import GitHubServer
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.web import WebServer


@dataclass
class Part:
    """The running sandbox of GitHub."""

    env: dict[str, str]
    """Ordinary credential variables."""
    scope: dict[str, Any]
    """The `github` section of the scope file."""
    web: WebServer
    server: GitHubServer
    state: State

    def make_app(self, folder: Path) -> dict[str, Any]:
        """Install a GitHub App: writes its private key into `folder`, and returns the `app` section of the scope."""
        return self.server.tokens.make_app(folder)

    def move(self, company: Company) -> None:
        """Hold what the company has at another moment."""
        self.state.move(company)
        self.web.log.clear()

    def stop(self) -> None:
        """Stop the server."""
        self.web.stop()


def start(company: Company, folder: Path) -> Part:
    """Start GitHub for a company; the key of the App that lists access tokens is written into `folder`."""
    state = State(company)
    server = GitHubServer(state)
    app = server.tokens.make_app(folder)
    server.web.start()
    return Part(
        env={"GITHUB_TOKEN": server.tokens.personal},
        scope={
            "organization": state.login,
            "production": {name: ["main"] for name, it in sorted(state.repositories.items()) if it.get("production")},
            **state.data["declared"],
            "tokens_app": {**app, "private_key": f"{folder.name}/{app['private_key']}"},
            "base_url": server.web.url,
        },
        web=server.web,
        server=server,
        state=state,
    )
