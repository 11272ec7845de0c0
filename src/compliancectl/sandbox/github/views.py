"""What several REST answers are made of: people, repositories, the addresses in them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from compliancectl.sandbox.github.ids import node_id
from compliancectl.sandbox.github.state import State

WEB = "https://github.com"
_USER_URLS = [
    "followers",
    "following{/other_user}",
    "gists{/gist_id}",
    "starred{/owner}{/repo}",
    "subscriptions",
    "organizations",
    "repos",
    "events{/privacy}",
    "received_events",
]
_REPOSITORY_URLS = [
    "archive{/format}{/ref}",
    "assignees{/user}",
    "blobs{/sha}",
    "branches{/branch}",
    "collaborators{/collaborator}",
    "comments{/number}",
    "commits{/sha}",
    "compare{/base}...{head}",
    "contents{/path}",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits{/sha}",
    "git_refs{/sha}",
    "git_tags{/sha}",
    "hooks",
    "issue_comment{/number}",
    "issue_events{/number}",
    "issues{/number}",
    "keys{/id}",
    "labels{/name}",
    "languages",
    "merges",
    "milestones{/number}",
    "notifications{?since}",
    "pulls{/number}",
    "releases{/id}",
    "stargazers",
    "statuses{/sha}",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees{/sha}",
]
_ANALYSIS = {
    "secret_scanning": "secret_scanning",
    "push_protection": "secret_scanning_push_protection",
    "non_provider_patterns": "secret_scanning_non_provider_patterns",
    "dependabot_updates": "dependabot_security_updates",
}


class Views:
    """Builds objects with addresses of one server."""

    def __init__(self, state: State, url: str) -> None:
        self.state = state
        self.url = url

    def user(self, login: str | None) -> dict[str, Any] | None:
        """A person or a bot (`dependabot[bot]`); None when the account was deleted or nobody is meant."""
        if login is None or login in self.state.data["ghosts"]:
            return None
        url = f"{self.url}/users/{quote(login)}"
        number = self.state.user_id(login)
        return {
            "login": login,
            "id": number,
            "node_id": node_id("BOT" if login.endswith("[bot]") else "U", number),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{WEB}/apps/{login[:-5]}" if login.endswith("[bot]") else f"{WEB}/{login}",
            **{f"{_bare(name)}_url": f"{url}/{name}" for name in _USER_URLS},
            "type": "Bot" if login.endswith("[bot]") else "User",
            "site_admin": False,
        }

    def owner(self) -> dict[str, Any]:
        """The organisation as the owner of a repository."""
        it, url = self.state.organization, f"{self.url}/users/{self.state.login}"
        return {
            "login": it["login"],
            "id": it["id"],
            "node_id": node_id("O", it["id"]),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{it['id']}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{WEB}/{it['login']}",
            **{f"{_bare(name)}_url": f"{url}/{name}" for name in _USER_URLS},
            "type": "Organization",
            "site_admin": False,
        }

    def simple_repository(self, name: str) -> dict[str, Any]:
        """A repository as alerts carry it."""
        it, full = self.state.repositories[name], f"{self.state.login}/{name}"
        url = f"{self.url}/repos/{full}"
        return {
            "id": it["id"],
            "node_id": node_id("R", it["id"]),
            "name": name,
            "full_name": full,
            "owner": self.owner(),
            "private": visibility(it) != "public",
            "html_url": f"{WEB}/{full}",
            "description": it.get("description"),
            "fork": it.get("fork", False),
            "url": url,
            **{f"{_bare(address)}_url": f"{url}/{_path(address)}" for address in _REPOSITORY_URLS},
        }

    def repository(self, name: str) -> dict[str, Any]:
        """A repository as lists carry it; its security settings are for owners only."""
        it = self.state.repositories[name]
        found = {
            **self.simple_repository(name),
            "default_branch": "main",
            "archived": it.get("archived", False),
            "disabled": False,
            "visibility": visibility(it),
            "pushed_at": it["pushed"],
            "created_at": it["created"],
            "updated_at": it["pushed"],
        }
        if self.state.is_owner:
            security = it.get("security", {})
            found["security_and_analysis"] = {
                field: {"status": security.get(name, "enabled")} for name, field in _ANALYSIS.items()
            }
        return found

    def full_repository(self, name: str) -> dict[str, Any]:
        """A repository as it is when it is asked for alone."""
        full = f"{self.state.login}/{name}"
        return {
            **self.repository(name),
            "clone_url": f"{WEB}/{full}.git",
            "git_url": f"git://github.com/{full}.git",
            "ssh_url": f"git@github.com:{full}.git",
            "svn_url": f"{WEB}/{full}",
            "mirror_url": None,
            "temp_clone_token": "SEEDED-SECRET-clone",
            "homepage": None,
            "language": "Python",
            "license": None,
            "has_issues": self.state.repositories[name].get("has_issues", True),
            **dict.fromkeys(("has_projects", "has_wiki"), True),
            **dict.fromkeys(("has_pages", "has_discussions"), False),
            **dict.fromkeys(("forks", "forks_count", "open_issues", "open_issues_count"), 0),
            **dict.fromkeys(
                ("stargazers_count", "watchers", "watchers_count", "subscribers_count", "network_count"), 0
            ),
            "size": 4096,
        }


def visibility(repository: dict[str, Any]) -> str:
    """`private` unless the definition says something else."""
    return str(repository.get("visibility", "private"))


def _bare(address: str) -> str:
    return address.partition("{")[0]


def _path(address: str) -> str:
    """`git_commits{/sha}` → `git/commits{/sha}`."""
    name, brace, rest = address.partition("{")
    for prefix in ("git_", "issue_"):
        if name.startswith(prefix):
            name = name.replace(prefix, prefix.replace("issue_", "issues_").rstrip("_") + "/", 1)
    return name + brace + rest
