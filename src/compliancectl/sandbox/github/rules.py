"""Rulesets with their versions, classic protection, and the pushes that rules were applied to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.github import errors
from compliancectl.sandbox.github.ids import node_id, sha
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.views import WEB, Views

_PERIODS = {"hour": 1, "day": 24, "week": 24 * 7, "month": 24 * 30}


@dataclass(frozen=True)
class Ruleset:
    """One ruleset, and where it belongs."""

    name: str
    repository: str
    """Empty for one of the organisation."""
    data: dict[str, Any]

    @property
    def target(self) -> str:
        """`branch`, `tag` or `push`."""
        return str(self.data.get("target", "branch"))

    @property
    def changed(self) -> str:
        """When the last version came into force."""
        return str(self.data["versions"][-1]["at"])

    def covers(self, repository: str, ref: str) -> bool:
        """Whether it speaks about a ref (`refs/heads/main`) of a repository."""
        here = self.repository == repository if self.repository else repository in self.data["repositories"]
        names = {ref, "~ALL"} | ({"~DEFAULT_BRANCH"} if ref == "refs/heads/main" else set())
        excluded = names & set(self.data.get("exclude", ()))
        return here and self.target == "branch" and bool(names & set(self.data["branches"])) and not excluded


class Rules:
    """Everything about rules, in REST's form."""

    def __init__(self, state: State, views: Views) -> None:
        self.state = state
        self.views = views

    def rulesets(self, repository: str = "", parents: bool = False) -> list[Ruleset]:
        """Rulesets of a repository, or of the organisation; with `parents` also those of the organisation above."""
        found = []
        if not repository or parents:
            found += [Ruleset(name, "", it) for name, it in self.state.data["rulesets"].items()]
        if repository:
            own = self.state.repositories[repository].get("rulesets", {})
            found = [r for r in found if repository in r.data["repositories"]]
            found += [Ruleset(name, repository, it) for name, it in own.items()]
        return sorted(found, key=lambda r: int(r.data["id"]))

    def find(self, number: str, repository: str = "", parents: bool = True) -> Ruleset:
        """The ruleset of a number.

        Raises:
            Refused: if there is none.
        """
        for ruleset in self.rulesets(repository, parents):
            if str(ruleset.data["id"]) == number:
                return ruleset
        raise errors.not_found()

    def summary(self, it: Ruleset) -> dict[str, Any]:
        """A ruleset as lists carry it."""
        place = f"repos/{self.source(it)}" if it.repository else f"orgs/{self.state.login}"
        number = it.data["id"]
        return {
            "id": number,
            "name": it.name,
            "target": it.target,
            "source_type": "Repository" if it.repository else "Organization",
            "source": self.source(it),
            "enforcement": it.data["enforcement"],
            "node_id": node_id("RRS", number),
            "_links": {
                "self": {"href": f"{self.views.url}/{place}/rulesets/{number}"},
                "html": {"href": f"{WEB}/{self.source(it)}/rules/{number}"},
            },
            "created_at": it.data["versions"][0]["at"],
            "updated_at": it.changed,
        }

    def source(self, it: Ruleset) -> str:
        """`owner/name`, or the organisation."""
        return f"{self.state.login}/{it.repository}" if it.repository else self.state.login

    def full(self, it: Ruleset) -> dict[str, Any]:
        """A ruleset in full; who may bypass it is shown to those who may edit it."""
        found = {**self.summary(it), **self._content(it, it.data)}
        if self.state.is_owner:
            found["bypass_actors"] = it.data["bypass"]
            found["current_user_can_bypass"] = "never"
        return found

    def _content(self, it: Ruleset, data: dict[str, Any]) -> dict[str, Any]:
        conditions: dict[str, Any] = {
            "ref_name": {"include": it.data["branches"], "exclude": it.data.get("exclude", [])}
        }
        if not it.repository:
            conditions["repository_name"] = {"include": it.data["repositories"], "exclude": [], "protected": True}
        return {"conditions": conditions, "rules": list(rules_of(data["rules"]))}

    def versions(self, it: Ruleset) -> list[dict[str, Any]]:
        """The versions of a ruleset, the youngest first."""
        return [self._version(it, place) for place in range(len(it.data["versions"]), 0, -1)]

    def version(self, it: Ruleset, number: str) -> dict[str, Any]:
        """One version with the ruleset as it was then: what the version says, and otherwise what is so today."""
        places = {str(self._number(it, place)): place for place in range(1, len(it.data["versions"]) + 1)}
        if number not in places:
            raise errors.not_found()
        said = {**it.data, **it.data["versions"][places[number] - 1]}
        state = {
            **{k: v for k, v in self.summary(it).items() if k not in ("_links", "node_id", "created_at", "updated_at")},
            **self._content(it, said),
            "enforcement": said["enforcement"],
            "bypass_actors": said["bypass"],
        }
        return {**self._version(it, places[number]), "state": state}

    def _number(self, it: Ruleset, place: int) -> int:
        return int(it.data["id"]) * 10 + place

    def _version(self, it: Ruleset, place: int) -> dict[str, Any]:
        said = it.data["versions"][place - 1]
        actor = {"id": self.state.user_id(said["by"]), "type": "User"}
        return {"version_id": self._number(it, place), "actor": actor, "updated_at": said["at"]}

    def applied(self, repository: str, branch: str) -> list[tuple[Ruleset, dict[str, Any]]]:
        """The rules in force on a branch, each with its ruleset; classic protection is not among them."""
        ref = f"refs/heads/{branch}"
        return [
            (ruleset, rule)
            for ruleset in self.rulesets(repository, parents=True)
            if ruleset.data["enforcement"] == "active" and ruleset.covers(repository, ref)
            for rule in rules_of(ruleset.data["rules"])
        ]

    def branch_rules(self, repository: str, branch: str) -> list[dict[str, Any]]:
        """The same as REST lists it."""
        return [
            {
                **rule,
                "ruleset_source_type": "Repository" if ruleset.repository else "Organization",
                "ruleset_source": self.source(ruleset),
                "ruleset_id": ruleset.data["id"],
            }
            for ruleset, rule in self.applied(repository, branch)
        ]

    def protection(self, repository: str, branch: str) -> dict[str, Any]:
        """Classic protection of a branch.

        Raises:
            Refused: if there is none.
        """
        it = self.state.repositories[repository].get("protection", {}).get(branch)
        if it is None:
            raise errors.error(404, "Branch not protected")
        url = f"{self.views.url}/repos/{self.state.login}/{repository}/branches/{branch}/protection"
        found: dict[str, Any] = {
            "url": url,
            "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": it["admins"]},
            "required_signatures": {"url": f"{url}/required_signatures", "enabled": it.get("signatures", False)},
            "allow_force_pushes": {"enabled": it["force_pushes"]},
            "allow_deletions": {"enabled": it["deletions"]},
        }
        for name in ("required_linear_history", "block_creations", "lock_branch", "allow_fork_syncing"):
            found[name] = {"enabled": False}
        found["required_conversation_resolution"] = {"enabled": False}
        if it["checks"]:
            found["required_status_checks"] = {
                "url": f"{url}/required_status_checks",
                "strict": True,
                "contexts": it["checks"],
                "contexts_url": f"{url}/required_status_checks/contexts",
                "checks": [{"context": name, "app_id": None} for name in it["checks"]],
            }
        if it["approvals"] is not None:
            found["required_pull_request_reviews"] = self._reviews(it, url)
        return found

    def _reviews(self, it: dict[str, Any], url: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": it["dismiss_stale"],
            "require_code_owner_reviews": it["code_owner"],
            "required_approving_review_count": it["approvals"],
            "require_last_push_approval": it["last_push"],
        }
        if it["exempt"]:
            users = [self.views.user(login) for login in it["exempt"]]
            found["bypass_pull_request_allowances"] = {"users": users, "teams": [], "apps": []}
        return found

    def suites(self, repositories: list[str], asked: dict[str, str]) -> list[dict[str, Any]]:
        """Pushes that rules were applied to, the youngest first, as asked by period, result, actor and ref."""
        since = self.state.now - timedelta(hours=_PERIODS[asked.get("time_period", "day")])
        result = asked.get("rule_suite_result", "all")
        found = [suite for name in repositories for suite in self._suites(name)]
        return sorted(
            (
                suite
                for suite in found
                if clock.parse(suite["pushed_at"]) >= since
                and result in ("all", suite["result"])
                and asked.get("actor_name", suite["actor_name"]) == suite["actor_name"]
                and asked.get("ref", suite["ref"]) in (suite["ref"], suite["ref"].removeprefix("refs/heads/"))
                and asked.get("repository_name", suite["repository_name"]) == suite["repository_name"]
            ),
            key=lambda suite: (suite["pushed_at"], suite["id"]),
            reverse=True,
        )

    def _suites(self, repository: str) -> Iterator[dict[str, Any]]:
        for it in self.state.repositories[repository].get("rule_suites", ()):
            pull = self.state.changes[repository].pull(it["pull_request"]) if "pull_request" in it else None
            after = pull.merge if pull and pull.merge else sha(repository, "push", it["at"])
            yield {
                "id": it["id"],
                "actor_id": self.state.user_id(it["actor"]),
                "actor_name": it["actor"],
                "before_sha": sha(repository, "before", it["id"]),
                "after_sha": after,
                "ref": it.get("ref", "refs/heads/main"),
                "repository_id": self.state.repositories[repository]["id"],
                "repository_name": repository,
                "pushed_at": it["at"],
                "result": it["result"],
                "evaluation_result": it["result"],
            }


def rules_of(rules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rules of a ruleset as REST writes them; one that is `false` is not there."""
    for kind, it in rules.items():
        if kind == "pull_request" and it:
            yield {"type": kind, "parameters": _review_parameters(it)}
        elif kind == "required_status_checks" and it:
            checks = [{"context": name} for name in it]
            yield {
                "type": kind,
                "parameters": {"strict_required_status_checks_policy": True, "required_status_checks": checks},
            }
        elif kind == "code_scanning" and it:
            tools = [
                {"tool": tool, "alerts_threshold": "errors", "security_alerts_threshold": threshold}
                for tool, threshold in it.items()
            ]
            yield {"type": kind, "parameters": {"code_scanning_tools": tools}}
        elif it:
            yield {"type": kind}


def _review_parameters(it: dict[str, Any]) -> dict[str, Any]:
    return {
        "required_approving_review_count": it["approvals"],
        "dismiss_stale_reviews_on_push": it["dismiss_stale"],
        "require_code_owner_review": it["code_owner"],
        "require_last_push_approval": it["last_push"],
        "required_review_thread_resolution": False,
    }
