"""The objects that GraphQL documents walk: plain values, and functions for what takes arguments.

The schema says which fields there are; a field that it has and an object here lacks is a bug of the sandbox.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from compliancectl.sandbox.github import content
from compliancectl.sandbox.github.access import AccessNodes
from compliancectl.sandbox.github.alerts import dependabot_state
from compliancectl.sandbox.github.deployments import deployments
from compliancectl.sandbox.github.ids import node_id
from compliancectl.sandbox.github.pulls import PullNodes
from compliancectl.sandbox.github.rule_nodes import parameters, protection
from compliancectl.sandbox.github.rules import Rules, Ruleset, rules_of
from compliancectl.sandbox.github.search import matches
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.views import WEB, visibility

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    from compliancectl.sandbox.github.graph import Context

Resolver = Callable[..., Any]
_ORDER = {"NAME": "name", "CREATED_AT": "createdAt", "PUSHED_AT": "pushedAt", "UPDATED_AT": "updatedAt"}
_salt = itertools.count(1)


class NotFound(Exception):
    """There is no such thing, or the viewer may not see it."""


def connection(items: Sequence[Any], build: Callable[[Any], Any] = lambda item: item) -> Resolver:
    """A relay connection over items; `build` makes the node of one that is shown."""

    def resolve(info: GraphQLResolveInfo[Any], first: int | None = None, after: str | None = None, **rest: Any) -> Any:
        last, before = rest.get("last"), rest.get("before")
        start = _place(after) if after else 0
        end = _place(before) - 1 if before else len(items)
        if first is not None:
            end = min(end, start + first)
        elif last is not None:
            start = max(start, end - last)
        twists = frozenset() if any(isinstance(key, int) for key in info.path.as_list()) else info.context.twists
        nodes = [build(item) for item in items[start:end]]
        endless = bool(twists & {"endless-cursor", "repeated-cursor"})
        cursor = _cursor(end if not endless else start, next(_salt) if "endless-cursor" in twists else 0)
        return {
            "nodes": nodes,
            "edges": nodes,
            "totalCount": len(items) + ("short-total" in twists),
            "issueCount": len(items),
            "pageInfo": {
                "hasNextPage": end < len(items) or endless,
                "endCursor": cursor if nodes or endless else None,
                "hasPreviousPage": start > 0,
                "startCursor": _cursor(start + 1) if nodes else None,
            },
        }

    return resolve


def _cursor(place: int, salt: int = 0) -> str:
    return base64.b64encode(f"cursor:v2:{place}:{salt}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().split(":")[2])
    except (ValueError, IndexError):
        raise NotFound(f"`{cursor}` does not appear to be a valid cursor.") from None


class Nodes:
    """Builds the objects from the state."""

    def __init__(self, state: State, rules: Rules) -> None:
        self.state = state
        self.rules = rules
        self.pulls = PullNodes(self)
        self.access = AccessNodes(self)

    def root(self, context: Context) -> dict[str, Any]:
        """The object of the type Query."""
        return {
            "viewer": self.viewer(context),
            "rateLimit": lambda info, **rest: context.rate_limit,
            "organization": self.find_organization,
            "repository": self.find_repository,
            "search": self.search,
        }

    def viewer(self, context: Context) -> dict[str, Any]:
        """Who asks; an App is shown as a user."""
        if context.token.kind == "app":
            login = context.token.login
            return {**self.user("dilnoza-karimova"), "login": login, "name": None, "email": ""}
        return self.user(self.state.viewer["login"])

    def find_organization(self, info: GraphQLResolveInfo[Any], login: str) -> dict[str, Any]:
        """Query.organization."""
        if login.lower() != self.state.login:
            raise NotFound(f"Could not resolve to an Organization with the login of '{login}'.")
        return self.organization()

    def find_repository(
        self,
        info: GraphQLResolveInfo[Any],
        name: str,
        owner: str = "",
        followRenames: bool = True,  # noqa: N803 - GitHub's name
    ) -> dict[str, Any]:
        """Query.repository and Organization.repository."""
        if followRenames and name in self.state.renamed:
            name = self.state.renamed[name]
        if (owner and owner.lower() != self.state.login) or name not in self.state.visible:
            owner = owner or self.state.login
            raise NotFound(f"Could not resolve to a Repository with the name '{owner}/{name}'.")
        return self.repository(name)

    def search(self, info: GraphQLResolveInfo[Any], query: str, type: str, **page: Any) -> Any:
        """Query.search for pull requests."""
        found = matches(self.state, query) if type == "ISSUE" else []
        return connection(found, lambda hit: {"__typename": "PullRequest", **self.pulls.pull(*hit)})(info, **page)

    # -- organisation and people --------------------------------------------------------------------------------------

    def organization(self) -> dict[str, Any]:
        """The organisation; some things are shown to owners only."""
        it, owner = self.state.organization, self.state.is_owner
        members = [login for login, p in self.state.people.items() if p["role"] in ("admin", "member")]
        return {
            "__typename": "Organization",
            "id": node_id("O", it["id"]),
            "databaseId": it["id"],
            "login": it["login"],
            "name": it["name"],
            "email": it["email"],
            "description": it["description"],
            "url": f"{WEB}/{it['login']}",
            "createdAt": it["created"],
            "organizationBillingEmail": it["billing_email"] if owner else None,
            "requiresTwoFactorAuthentication": it["two_factor_required"] if owner else None,
            "ipAllowListEnabledSetting": "ENABLED" if it["ip_allow_list"] else "DISABLED",
            "samlIdentityProvider": self._saml(it["saml"]) if owner and it["saml"] else None,
            "viewerCanAdminister": owner,
            "viewerIsAMember": self.state.viewer["role"] in ("admin", "member"),
            "membersWithRole": connection(members, self._member),
            "repositories": self._repositories,
            "repository": self.find_repository,
            "rulesets": self._rulesets(""),
        }

    def _saml(self, it: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": node_id("OIP", it["issuer"]),
            "issuer": it["issuer"],
            "ssoUrl": it["sign_on"],
            "idpCertificate": it["certificate"],
        }

    def _member(self, login: str) -> dict[str, Any]:
        """A member, as a node and as an edge."""
        it = self.state.people[login]
        factor = it["two_factor"] != "none" if self.state.is_owner else None
        edge = {"cursor": _cursor(0), "hasTwoFactorEnabled": factor, "role": it["role"].upper()}
        user = self.user(login)
        return {**user, **edge, "node": user}

    def user(self, login: str) -> dict[str, Any]:
        """A person."""
        it = self.state.people[login]
        return {
            "__typename": "User",
            "id": node_id("U", it["id"]),
            "databaseId": it["id"],
            "login": login,
            "name": it["name"],
            "email": it["email"],
            "url": f"{WEB}/{login}",
        }

    def actor(self, login: str | None) -> dict[str, Any] | None:
        """A person or a bot; None when the account was deleted."""
        if login is None or login in self.state.data["ghosts"]:
            return None
        if not login.endswith("[bot]"):
            return self.user(login)
        number, bare = self.state.user_id(login), login.removesuffix("[bot]")
        return {
            "__typename": "Bot",
            "id": node_id("BOT", number),
            "databaseId": number,
            "login": bare,
            "url": f"{WEB}/apps/{bare}",
        }

    # -- repositories -------------------------------------------------------------------------------------------------

    def _repositories(self, info: GraphQLResolveInfo[Any], **asked: Any) -> Any:
        names = list(self.state.visible)
        for argument, field in (("isArchived", "archived"), ("isFork", "fork")):
            if asked.get(argument) is not None:
                names = [n for n in names if self.state.repositories[n].get(field, False) == asked[argument]]
        order = asked.get("orderBy")
        if order:
            shown = {name: self.repository(name) for name in names}
            names.sort(key=lambda n: str(shown[n][_ORDER[order["field"]]]), reverse=order["direction"] == "DESC")
        return connection(names, self.repository)(info, **_page(asked))

    def repository(self, name: str) -> dict[str, Any]:
        """A repository."""
        it = self.state.repositories[name]
        return {
            "__typename": "Repository",
            "_repository": name,
            "id": node_id("R", it["id"]),
            "databaseId": it["id"],
            "name": name,
            "nameWithOwner": f"{self.state.login}/{name}",
            "owner": lambda info: self.organization(),
            "description": it.get("description"),
            "url": f"{WEB}/{self.state.login}/{name}",
            "isArchived": it.get("archived", False),
            "isDisabled": False,
            "isEmpty": False,
            "isFork": it.get("fork", False),
            "isPrivate": visibility(it) != "public",
            "visibility": visibility(it).upper(),
            "createdAt": it["created"],
            "pushedAt": it["pushed"],
            "updatedAt": it["pushed"],
            "hasVulnerabilityAlertsEnabled": it.get("dependabot_alerts", True)
            and not self.state.is_off("dependabot", name),
            "viewerCanAdminister": self.state.is_owner and self.state.may("administration=read", name),
            "defaultBranchRef": lambda info: self.ref(name, "main"),
            "isSecurityPolicyEnabled": content.has_policy(self.state, name),
            "deployKeys": connection(it.get("keys", ()), _key),
            "deployments": lambda info, **asked: deployments(self, name, info, asked),
            "languages": connection(it.get("languages", ("Python",)), _language),
            "collaborators": lambda info, **asked: self.access.of_repository(name, info, asked),
            "codeowners": lambda info, **asked: content.codeowners(self.state, name),
            "object": lambda info, expression=None, oid=None: content.find(self.state, name, expression),
            "ref": lambda info, qualifiedName: self._find_ref(name, qualifiedName),  # noqa: N803 - GitHub's name
            "rulesets": self._rulesets(name),
            "vulnerabilityAlerts": lambda info, **asked: self._alerts(name, info, asked),
            **self.pulls.of_repository(name),
        }

    def _alerts(self, name: str, info: GraphQLResolveInfo[Any], asked: dict[str, Any]) -> Any:
        entries = [(k, it) for k, it in self.state.data["dependabot_alerts"].items() if k.partition("#")[0] == name]
        if self.state.is_off("dependabot", name):
            entries = []
        states = asked.get("states")
        found = [self._alert(int(key.partition("#")[2]), it) for key, it in entries]
        return connection([a for a in found if not states or a["state"] in states])(info, **_page(asked))

    def _alert(self, number: int, it: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": node_id("RVA", number, it["package"]),
            "number": number,
            "state": dependabot_state(it).upper(),
            "createdAt": it["created"],
            "fixedAt": it.get("fixed"),
            "dismissedAt": it.get("dismissed"),
            "dismissComment": it.get("comment"),
        }

    def _find_ref(self, name: str, qualified: str) -> dict[str, Any] | None:
        branch = qualified.removeprefix("refs/heads/")
        known = {"main"} | {pull.base for pull in self.state.changes[name].pulls}
        return self.ref(name, branch) if branch in known else None

    def ref(self, name: str, branch: str) -> dict[str, Any]:
        """A branch."""
        return {
            "_repository": name,
            "id": node_id("REF", name, branch),
            "name": branch,
            "prefix": "refs/heads/",
            "repository": lambda info: self.repository(name),
            "target": lambda info: self.pulls.tip(name, branch),
            "rules": connection(self.rules.applied(name, branch), lambda pair: self._rule(*pair)),
            "branchProtectionRule": lambda info: protection(self, name, branch),
        }

    # -- rules --------------------------------------------------------------------------------------------------------

    def _rulesets(self, repository: str) -> Resolver:
        def resolve(info: GraphQLResolveInfo[Any], **asked: Any) -> Any:
            targets = asked.get("targets")
            found = self.rules.rulesets(repository, parents=asked.get("includeParents", True))
            chosen = [r for r in found if not targets or r.target.upper() in targets]
            return connection(chosen, self._ruleset)(info, **_page(asked))

        return resolve

    def _ruleset(self, it: Ruleset) -> dict[str, Any]:
        names = None if it.repository else {"include": it.data["repositories"], "exclude": [], "protected": True}
        actors = connection(it.data["bypass"], self._bypass)
        return {
            "id": node_id("RRS", it.data["id"]),
            "databaseId": it.data["id"],
            "name": it.name,
            "enforcement": it.data["enforcement"].upper(),
            "target": it.target.upper(),
            "source": lambda info: self.repository(it.repository) if it.repository else self.organization(),
            "bypassActors": actors if self.state.is_owner else None,
            "conditions": {
                "refName": {"include": it.data["branches"], "exclude": it.data.get("exclude", [])},
                "repositoryName": names,
            },
            "rules": connection([(it, rule) for rule in rules_of(it.data["rules"])], lambda pair: self._rule(*pair)),
            "createdAt": it.data["versions"][0]["at"],
            "updatedAt": it.changed,
        }

    def _bypass(self, it: dict[str, Any]) -> dict[str, Any]:
        kind, number = it["actor_type"], it["actor_id"]
        role = {5: "admin", 4: "write", 2: "maintain"}.get(number) if kind == "RepositoryRole" else None
        team = {
            "__typename": "Team",
            "id": node_id("T", number),
            "databaseId": number,
            "name": "Platform",
            "slug": "platform",
        }
        return {
            "id": node_id("RBA", kind, number),
            "actor": team if kind == "Team" else None,
            "bypassMode": it["bypass_mode"].upper(),
            "deployKey": kind == "DeployKey",
            "enterpriseOwner": False,
            "organizationAdmin": kind == "OrganizationAdmin",
            "repositoryRoleDatabaseId": number if kind == "RepositoryRole" else None,
            "repositoryRoleName": role,
        }

    def _rule(self, ruleset: Ruleset, rule: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": node_id("RR", ruleset.data["id"], rule["type"]),
            "type": rule["type"].upper(),
            "parameters": parameters(rule),
            "repositoryRuleset": lambda info: self._ruleset(ruleset),
        }


def _key(it: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": node_id("DK", it["id"]),
        "createdAt": it["created"],
        "readOnly": it.get("read_only", True),
        "title": it["title"],
    }


def _language(name: str) -> dict[str, Any]:
    return {"id": node_id("LANG", name), "name": name}


def _page(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: asked[name] for name in ("first", "last", "after", "before") if name in asked}
