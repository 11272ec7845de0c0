"""What acts without being a person, and where code goes: deploy keys, apps, webhooks, environments, analyses."""

from __future__ import annotations

from typing import Any

from compliancectl import clock
from compliancectl.sandbox.github import errors
from compliancectl.sandbox.github.ids import node_id, sha
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.views import WEB, Views


class Machines:
    """Answers in REST's form."""

    def __init__(self, state: State, views: Views) -> None:
        self.state = state
        self.views = views

    def keys(self, repository: str) -> list[dict[str, Any]]:
        """repos/list-deploy-keys."""
        place = f"{self.views.url}/repos/{self.state.login}/{repository}/keys"
        return [
            {
                "id": it["id"],
                "key": f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{sha(repository, it['id'])}",
                "url": f"{place}/{it['id']}",
                "title": it["title"],
                "verified": True,
                "created_at": it["created"],
                "read_only": it.get("read_only", True),
                "added_by": it["by"],
                "last_used": it.get("used"),
                "enabled": True,
            }
            for it in self.state.repositories[repository].get("keys", ())
        ]

    def runner_groups(self) -> dict[str, Any]:
        """actions/list-self-hosted-runner-groups-for-org."""
        found = [self._runner_group(it) for it in self.state.data["runner_groups"]]
        return {"total_count": len(found), "runner_groups": found}

    def _runner_group(self, it: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.views.url}/orgs/{self.state.login}/actions/runner-groups/{it['id']}"
        chosen = {"selected_repositories_url": f"{url}/repositories"} if it["visibility"] == "selected" else {}
        return {
            "id": it["id"],
            "name": it["name"],
            "visibility": it["visibility"],
            "default": it["id"] == 1,
            **chosen,
            "runners_url": f"{url}/runners",
            "hosted_runners_url": f"{url}/hosted-runners",
            "inherited": it.get("inherited", False),
            "allows_public_repositories": it["public"],
            "restricted_to_workflows": False,
            "selected_workflows": [],
            "workflow_restrictions_read_only": False,
        }

    def runner_group_repositories(self, number: str) -> dict[str, Any]:
        """actions/list-repo-access-to-self-hosted-runner-group-in-org."""
        group = next((it for it in self.state.data["runner_groups"] if str(it["id"]) == number), None)
        if group is None or group["visibility"] != "selected":
            raise errors.not_found()
        found = [self.views.repository(name) for name in group["repositories"] if name in self.state.visible]
        return {"total_count": len(found), "repositories": found}

    def runners(self, repository: str) -> dict[str, Any]:
        """actions/list-self-hosted-runners-for-repo."""
        found = [
            {
                "id": it["id"],
                "name": it["name"],
                "os": "linux",
                "status": "online",
                "busy": False,
                "ephemeral": False,
                "labels": [{"id": 1, "name": "self-hosted", "type": "read-only"}],
            }
            for it in self.state.repositories[repository].get("runners", ())
        ]
        return {"total_count": len(found), "runners": found}

    def installations(self) -> dict[str, Any]:
        """orgs/list-app-installations."""
        found = [self._installation(slug, it) for slug, it in self.state.data["installations"].items()]
        return {"total_count": len(found), "installations": found}

    def _installation(self, slug: str, it: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": it["id"],
            "account": self.views.owner(),
            "repository_selection": it["selection"],
            "access_tokens_url": f"{self.views.url}/app/installations/{it['id']}/access_tokens",
            "repositories_url": f"{self.views.url}/installation/repositories",
            "html_url": f"{WEB}/organizations/{self.state.login}/settings/installations/{it['id']}",
            "app_id": it["id"] // 7,
            "app_slug": slug,
            "target_id": self.state.organization["id"],
            "target_type": "Organization",
            "permissions": it["permissions"],
            "events": [],
            "single_file_name": None,
            "created_at": it["created"],
            "updated_at": it["created"],
            "suspended_by": None,
            "suspended_at": it.get("suspended"),
        }

    def access_tokens(self) -> list[dict[str, Any]]:
        """orgs/list-pat-grants."""
        place = f"{self.views.url}/organizations/{self.state.organization['id']}/personal-access-tokens"
        return [
            {
                "id": it["id"],
                "owner": self.views.user(it["owner"]),
                "repository_selection": it["selection"],
                "repositories_url": f"{place}/{it['id']}/repositories",
                "permissions": it["permissions"],
                "access_granted_at": it["granted"],
                "token_id": it["id"] * 3,
                "token_name": f"seeded-person-{it['owner']}'s token",
                "token_expired": it["expires"] is not None and it["expires"] <= clock.text(self.state.now),
                "token_expires_at": it["expires"],
                "token_last_used_at": it.get("used"),
            }
            for it in self.state.data["access_tokens"]
        ]

    def hooks(self, repository: str = "") -> list[dict[str, Any]]:
        """orgs/list-webhooks, repos/list-webhooks."""
        owner = self.state.repositories[repository] if repository else self.state.organization
        root = (
            f"{self.views.url}/repos/{self.state.login}/{repository}"
            if repository
            else f"{self.views.url}/orgs/{self.state.login}"
        )
        return [self._hook(it, f"{root}/hooks/{it['id']}", bool(repository)) for it in owner.get("hooks", ())]

    def _hook(self, it: dict[str, Any], url: str, of_repository: bool) -> dict[str, Any]:
        config = {"url": it["url"], "content_type": "json", "insecure_ssl": it.get("insecure_ssl", "0")}
        if it.get("secret", True):
            config["secret"] = "********"
        found = {
            "type": "Repository" if of_repository else "Organization",
            "id": it["id"],
            "name": "web",
            "active": it.get("active", True),
            "events": ["push"],
            "config": config,
            "created_at": it["created"],
            "updated_at": it["created"],
            "url": url,
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
        }
        if of_repository:
            found |= {"test_url": f"{url}/tests", "last_response": {"code": 200, "status": "active", "message": "OK"}}
        return found

    def environments(self, repository: str) -> dict[str, Any]:
        """repos/get-all-environments."""
        found = self.state.repositories[repository].get("environments", {})
        entries = [self._environment(repository, name, it) for name, it in found.items()]
        return {"total_count": len(entries), "environments": entries}

    def _environment(self, repository: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
        place, number = f"{self.state.login}/{repository}/environments/{name}", int(sha(repository, name)[:7], 16)
        rules: list[dict[str, Any]] = []
        if it["branches"] != "all":
            rules.append({"id": number + 1, "node_id": node_id("GA", number + 1), "type": "branch_policy"})
        if it.get("reviewers"):
            people = [{"type": "User", "reviewer": self.views.user(login)} for login in it["reviewers"]]
            base = {"id": number + 2, "node_id": node_id("GA", number + 2), "type": "required_reviewers"}
            rules.append({**base, "prevent_self_review": True, "reviewers": people})
        policy = {
            "protected_branches": it["branches"] == "protected",
            "custom_branch_policies": it["branches"] == "custom",
        }
        return {
            "id": number,
            "node_id": node_id("EN", number),
            "name": name,
            "url": f"{self.views.url}/repos/{place}",
            "html_url": f"{WEB}/{self.state.login}/{repository}/deployments/activity_log?environments_filter={name}",
            "created_at": it["created"],
            "updated_at": it["created"],
            "protection_rules": rules,
            "deployment_branch_policy": None if it["branches"] == "all" else policy,
        }

    def analyses(self, repository: str, asked: dict[str, str]) -> list[dict[str, Any]]:
        """code-scanning/list-recent-analyses, the youngest first."""
        if self.state.is_off("code-scanning", repository):
            raise errors.error(403, "Code Security must be enabled for this repository to use code scanning.")
        found = [self._analysis(repository, it) for it in self.state.repositories[repository].get("analyses", ())]
        found = [it for it in found if asked.get("ref", it["ref"]) == it["ref"]]
        if not found:
            raise errors.error(404, "no analysis found")
        return sorted(
            found, key=lambda it: (it["created_at"], it["id"]), reverse=asked.get("direction", "desc") == "desc"
        )

    def _analysis(self, repository: str, it: dict[str, Any]) -> dict[str, Any]:
        number = int(sha(repository, "analysis", it["language"], it["at"])[:7], 16)
        return {
            "id": number,
            "ref": f"refs/heads/{it.get('branch', 'main')}",
            "commit_sha": sha(repository, "analysed", it["at"]),
            "analysis_key": ".github/workflows/codeql.yml:analyze",
            "environment": "{}",
            "category": f"/language:{it['language']}",
            "error": it.get("error", ""),
            "created_at": it["at"],
            "results_count": 2,
            "rules_count": 180,
            "url": f"{self.views.url}/repos/{self.state.login}/{repository}/code-scanning/analyses/{number}",
            "sarif_id": sha(repository, "sarif", it["at"])[:36],
            "tool": {"name": "CodeQL", "guid": None, "version": "2.19.0"},
            "deletable": True,
            "warning": "",
        }

    def private_reporting(self, repository: str) -> dict[str, Any]:
        """repos/check-private-vulnerability-reporting."""
        return {"enabled": self.state.repositories[repository].get("private_reporting", True)}
