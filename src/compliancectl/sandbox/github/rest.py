"""Answers of the REST API: one method per operation of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.github import errors
from compliancectl.sandbox.github.activity import activities
from compliancectl.sandbox.github.alerts import Alerts
from compliancectl.sandbox.github.audit import audit_log
from compliancectl.sandbox.github.contract import Operation
from compliancectl.sandbox.github.ids import node_id, sha
from compliancectl.sandbox.github.issues import Issues
from compliancectl.sandbox.github.machines import Machines
from compliancectl.sandbox.github.rules import Rules
from compliancectl.sandbox.github.search import code_matches
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.views import WEB, Views, visibility

GENERIC = ("password", "postgres_connection_string", "rsa_private_key")
"""Secrets of no provider, as far as the company has any."""


@dataclass(frozen=True)
class Call:
    """One admitted request."""

    operation: Operation
    path: Mapping[str, str]
    query: dict[str, str]
    body: Any = None
    """What a writing request carries."""
    login: str = ""
    """Who asks."""

    @property
    def repository(self) -> str:
        """The repository in the path, or nothing."""
        return self.path.get("repo", "")


class Rest:
    """Answers from the state; a list answer is paged by the server."""

    def __init__(self, state: State, url: str) -> None:
        self.state = state
        self.views = Views(state, url)
        self.rules = Rules(state, self.views)
        self.alerts = Alerts(state, self.views)
        self.machines = Machines(state, self.views)
        self.issues = Issues(state, self.views)
        self.answers: dict[str, Callable[[Call], Any]] = {
            "orgs/get": self.organization,
            **self._actions(),
            "orgs/get-audit-log": lambda call: audit_log(state, call.query),
            "orgs/list-pending-invitations": self.invitations,
            "repos/list-invitations": self.repository_invitations,
            "orgs/list-members": self.members,
            "orgs/list-outside-collaborators": self.outside_collaborators,
            "repos/list-for-org": self.repositories,
            "repos/get": lambda call: self.views.full_repository(call.repository),
            "repos/list-activities": lambda call: activities(state, self.views, call.repository, call.query),
            "repos/check-automated-security-fixes": self.automated_fixes,
            "repos/check-vulnerability-alerts": self.vulnerability_alerts,
            "dependency-graph/export-sbom": self.sbom,
            "secret-scanning/get-scan-history": self.scan_history,
            "repos/get-branch-protection": self.protection,
            "repos/get-branch-rules": lambda call: self.rules.branch_rules(call.repository, call.path["branch"]),
            "repos/get-org-rulesets": self.rulesets,
            "repos/get-repo-rulesets": self.rulesets,
            "repos/get-org-ruleset": lambda call: self.rules.full(self._ruleset(call)),
            "repos/get-repo-ruleset": lambda call: self.rules.full(self._ruleset(call)),
            "orgs/get-org-ruleset-history": lambda call: self.rules.versions(self._ruleset(call)),
            "repos/get-repo-ruleset-history": lambda call: self.rules.versions(self._ruleset(call)),
            "orgs/get-org-ruleset-version": self.ruleset_version,
            "repos/get-repo-ruleset-version": self.ruleset_version,
            "repos/get-org-rule-suites": lambda call: self.rules.suites(list(self.state.visible), call.query),
            "repos/get-repo-rule-suites": lambda call: self.rules.suites([call.repository], call.query),
            "repos/list-deploy-keys": lambda call: self.machines.keys(call.repository),
            "orgs/list-app-installations": lambda call: self.machines.installations(),
            "orgs/list-pat-grants": lambda call: self.machines.access_tokens(),
            "orgs/list-webhooks": lambda call: self.machines.hooks(),
            "repos/list-webhooks": lambda call: self.machines.hooks(call.repository),
            "repos/get-all-environments": lambda call: self.machines.environments(call.repository),
            "code-scanning/list-recent-analyses": lambda call: self.machines.analyses(call.repository, call.query),
            "repos/check-private-vulnerability-reporting": lambda call: self.machines.private_reporting(
                call.repository
            ),
            "search/code": self.code,
            "dependabot/list-alerts-for-org": self.dependabot_alerts,
            "code-scanning/list-alerts-for-org": self.code_scanning_alerts,
            "secret-scanning/list-alerts-for-org": self.secret_alerts,
            "issues/list-for-repo": lambda call: self.issues.listed(call.repository, call.query),
            "issues/create": lambda call: self.issues.create(call.repository, call.login, call.body),
            "issues/update": lambda call: self.issues.update(call.repository, call.path["issue_number"], call.body),
        }

    def _actions(self) -> dict[str, Callable[[Call], Any]]:
        """GitHub Actions: settings of the organisation, and self-hosted runners."""
        machines = self.machines
        allowed = ("enabled_repositories", "allowed_actions", "sha_pinning_required")
        workflow = ("default_workflow_permissions", "can_approve_pull_request_reviews")

        def settings(names: tuple[str, ...]) -> Callable[[Call], Any]:
            return lambda call: {name: self.state.organization["actions"][name] for name in names}

        return {
            "actions/get-github-actions-permissions-organization": settings(allowed),
            "actions/get-github-actions-default-workflow-permissions-organization": settings(workflow),
            "actions/list-self-hosted-runner-groups-for-org": lambda call: machines.runner_groups(),
            "actions/list-repo-access-to-self-hosted-runner-group-in-org": lambda call: (
                machines.runner_group_repositories(call.path["runner_group_id"])
            ),
            "actions/list-self-hosted-runners-for-repo": lambda call: machines.runners(call.repository),
        }

    # -- the organisation ---------------------------------------------------------------------------------------------

    def organization(self, call: Call) -> dict[str, Any]:
        """orgs/get; most settings are for owners only."""
        it, url = self.state.organization, f"{self.views.url}/orgs/{self.state.login}"
        public = [r for r in self.state.repositories.values() if visibility(r) == "public"]
        found = {
            "login": it["login"],
            "id": it["id"],
            "node_id": node_id("O", it["id"]),
            "url": url,
            **{f"{name}_url": f"{url}/{name}" for name in ("repos", "events", "hooks", "issues")},
            "members_url": f"{url}/members{{/member}}",
            "public_members_url": f"{url}/public_members{{/member}}",
            "avatar_url": f"https://avatars.githubusercontent.com/u/{it['id']}?v=4",
            "html_url": f"{WEB}/{it['login']}",
            "description": it["description"],
            "name": it["name"],
            "email": it["email"],
            "has_organization_projects": False,
            "has_repository_projects": False,
            "public_repos": len(public),
            **dict.fromkeys(("public_gists", "followers", "following"), 0),
            "type": "Organization",
            "created_at": it["created"],
            "updated_at": it["created"],
            "archived_at": None,
        }
        return {**found, **self._settings(it)} if self.state.is_owner else found

    def _settings(self, it: dict[str, Any]) -> dict[str, Any]:
        private = len(self.state.repositories) - sum(
            visibility(r) == "public" for r in self.state.repositories.values()
        )
        return {
            "total_private_repos": private,
            "owned_private_repos": private,
            "billing_email": it["billing_email"],
            "plan": {"name": it["plan"], "space": 976562499, "private_repos": 999999, "filled_seats": 6, "seats": 10},
            "default_repository_permission": it["default_repository_permission"],
            "two_factor_requirement_enabled": it["two_factor_required"],
            "members_can_create_repositories": True,
            "members_can_create_private_repositories": True,
            "members_can_create_internal_repositories": False,
            **{f"members_can_{power}": given for power, given in it["members_can"].items()},
        }

    def members(self, call: Call) -> list[Any]:
        """orgs/list-members."""
        role = call.query.get("role", "all")
        return self._people(call, ("admin", "member") if role == "all" else (role,))

    def outside_collaborators(self, call: Call) -> list[Any]:
        """orgs/list-outside-collaborators."""
        return self._people(call, ("outside_collaborator",))

    def invitations(self, call: Call) -> list[Any]:
        """orgs/list-pending-invitations; of who was invited by e-mail there is no login."""
        return [
            {
                "id": it["id"],
                "login": it.get("login"),
                "email": it.get("email"),
                "role": it["role"],
                "created_at": it["created"],
                "failed_at": None,
                "failed_reason": None,
                "inviter": self.views.user(it["by"]),
                "team_count": 0,
                "node_id": node_id("OI", it["id"]),
                "invitation_teams_url": f"{self.views.url}/organizations/{self.state.organization['id']}"
                f"/invitations/{it['id']}/teams",
                "invitation_source": "member",
            }
            for it in self.state.data["invitations"]
            if call.query.get("role", "all") in ("all", it["role"])
        ]

    def repository_invitations(self, call: Call) -> list[Any]:
        """repos/list-invitations; of who was invited by e-mail there is no account."""
        name = call.repository
        return [
            {
                "id": it["id"],
                "node_id": node_id("RI", it["id"]),
                "repository": self.views.repository(name),
                "invitee": self.views.user(it.get("login")),
                "inviter": self.views.user(it["by"]),
                "permissions": it["permission"],
                "created_at": it["created"],
                "expired": it.get("expired", False),
                "url": f"{self.views.url}/user/repository_invitations/{it['id']}",
                "html_url": f"{WEB}/{self.state.login}/{name}/invitations",
            }
            for it in self.state.repositories[name].get("invitations", ())
        ]

    def _people(self, call: Call, roles: tuple[str, ...]) -> list[Any]:
        chosen = call.query.get("filter", "all")
        if chosen != "all" and not self.state.is_owner:
            raise errors.invalid("Only owners can use this filter.")
        factors = {"2fa_disabled": ("none",), "2fa_insecure": ("sms",)}.get(chosen, ("app", "sms", "none"))
        people = self.state.people.items()
        return [
            self.views.user(login)
            for login, it in sorted(people, key=lambda person: int(person[1]["id"]))
            if it["role"] in roles and it["two_factor"] in factors
        ]

    # -- repositories -------------------------------------------------------------------------------------------------

    def repositories(self, call: Call) -> list[Any]:
        """repos/list-for-org."""
        kind = call.query.get("type", "all")
        return [
            self.views.repository(name)
            for name, it in self.state.visible.items()
            if kind in ("all", "member", visibility(it), "forks" if it.get("fork") else "sources")
        ]

    def automated_fixes(self, call: Call) -> dict[str, Any]:
        """repos/check-automated-security-fixes."""
        it = self._repository(call).get("automated_fixes", {"enabled": True, "paused": False})
        if not it["enabled"]:
            raise errors.not_found("administration=read")
        return dict(it)

    def vulnerability_alerts(self, call: Call) -> None:
        """repos/check-vulnerability-alerts: an empty answer, or 404."""
        if not self._repository(call).get("dependabot_alerts", True) or self.state.is_off(
            "dependabot", call.repository
        ):
            raise errors.error(404, "Vulnerability alerts are disabled.")

    def sbom(self, call: Call) -> dict[str, Any]:
        """dependency-graph/export-sbom."""
        it, full = self._repository(call), f"{self.state.login}/{call.repository}"
        if it["packages"] is None or self.state.is_off("dependency-graph", call.repository):
            raise errors.not_found("contents=read")
        return {
            "sbom": {
                "SPDXID": "SPDXRef-DOCUMENT",
                "spdxVersion": "SPDX-2.3",
                "creationInfo": {
                    "created": clock.text(self.state.now),
                    "creators": ["Tool: GitHub.com-Dependency-Graph"],
                },
                "name": f"com.github.{full}",
                "dataLicense": "CC0-1.0",
                "documentNamespace": f"https://spdx.org/spdxdocs/protobom/{sha(full)[:32]}",
                "packages": [
                    *(_package(f"part-{number}") for number in range(it["packages"])),
                    *(_package(name) for name in it.get("named_packages", ()) if it["packages"]),
                ],
            }
        }

    def scan_history(self, call: Call) -> dict[str, Any]:
        """secret-scanning/get-scan-history."""
        it = self._repository(call)
        if it.get("security", {}).get("secret_scanning") == "disabled" or self.state.is_off(
            "secret-scanning", call.repository
        ):
            raise errors.error(404, "Secret scanning is disabled on this repository.")
        scans = [_scan(it["created"])] if it.get("history_scanned", True) else []
        return {"incremental_scans": [_scan(it["pushed"])], "backfill_scans": scans, "pattern_update_scans": []}

    def code(self, call: Call) -> dict[str, Any]:
        """search/code: the files of default branches that hold a text; forks are not searched."""
        found = []
        for name, path in code_matches(self.state, call.query["q"]):
            place, oid = f"{self.views.url}/repos/{self.state.login}/{name}", sha(name, path)
            found.append(
                {
                    "name": path.rpartition("/")[2],
                    "path": path,
                    "sha": oid,
                    "url": f"{place}/contents/{path}",
                    "git_url": f"{place}/git/blobs/{oid}",
                    "html_url": f"{WEB}/{self.state.login}/{name}/blob/main/{path}",
                    "repository": self.views.simple_repository(name),
                    "score": 1.0,
                }
            )
        return {"total_count": len(found), "incomplete_results": False, "items": found}

    # -- rules --------------------------------------------------------------------------------------------------------

    def protection(self, call: Call) -> dict[str, Any]:
        """repos/get-branch-protection."""
        branch = call.path["branch"]
        if branch not in self.branches(call.repository):
            raise errors.error(404, "Branch not found")
        return self.rules.protection(call.repository, branch)

    def branches(self, repository: str) -> set[str]:
        """Names of the branches of a repository."""
        return {"main"} | {p.base for p in self.state.changes[repository].pulls}

    def rulesets(self, call: Call) -> list[Any]:
        """repos/get-org-rulesets, repos/get-repo-rulesets."""
        parents = call.query.get("includes_parents", "true") == "true"
        targets = call.query.get("targets", "branch,tag,push").split(",")
        found = self.rules.rulesets(call.repository, parents=parents)
        return [self.rules.summary(r) for r in found if r.target in targets]

    def ruleset_version(self, call: Call) -> dict[str, Any]:
        """orgs/get-org-ruleset-version, repos/get-repo-ruleset-version."""
        return self.rules.version(self._ruleset(call), call.path["version_id"])

    def _ruleset(self, call: Call) -> Any:
        parents = call.query.get("includes_parents", "true") == "true" and "history" not in call.operation.path
        return self.rules.find(call.path["ruleset_id"], call.repository, parents=parents)

    # -- alerts -------------------------------------------------------------------------------------------------------

    def dependabot_alerts(self, call: Call) -> list[Any]:
        """dependabot/list-alerts-for-org."""
        alerts = self.alerts.dependabot()
        said = {
            "state": [a["state"] for a in alerts],
            "scope": [a["dependency"]["scope"] for a in alerts],
            "severity": [a["security_advisory"]["severity"] for a in alerts],
        }
        asked = {name: call.query[name].split(",") for name in said if name in call.query}
        return [a for place, a in enumerate(alerts) if all(said[n][place] in asked[n] for n in asked)]

    def code_scanning_alerts(self, call: Call) -> list[Any]:
        """code-scanning/list-alerts-for-org."""
        self._available("code-scanning", "Code Security must be enabled for this organization to use code scanning.")
        states = {"closed": ("dismissed", "fixed")}
        asked = call.query.get("state")
        return [a for a in self.alerts.code_scanning() if asked is None or a["state"] in states.get(asked, (asked,))]

    def secret_alerts(self, call: Call) -> list[Any]:
        """secret-scanning/list-alerts-for-org."""
        self._available("secret-scanning", "Secret scanning is disabled on this organization.")
        found = self.alerts.secrets(call.query.get("hide_secret") == "true")
        asked = call.query.get("secret_type", "").split(",")
        # Secrets of no provider come only when they are named.
        listed = [a for a in found if a["secret_type"] in asked or (asked == [""] and a["secret_type"] not in GENERIC)]
        return [a for a in listed if call.query.get("state", a["state"]) == a["state"]]

    def _available(self, product: str, otherwise: str) -> None:
        if product in self.state.switched_off:
            raise errors.error(403 if product == "code-scanning" else 404, otherwise)

    def _repository(self, call: Call) -> dict[str, Any]:
        return self.state.repositories[call.repository]


def _package(name: str) -> dict[str, Any]:
    return {
        "SPDXID": f"SPDXRef-pypi-{name}",
        "name": name,
        "versionInfo": "1.0.0",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
    }


def _scan(at: str) -> dict[str, Any]:
    return {"type": "git", "status": "completed", "started_at": at, "completed_at": at}
