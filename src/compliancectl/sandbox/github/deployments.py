"""What was deployed from a repository, and what its commit holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compliancectl.sandbox.github import content
from compliancectl.sandbox.github.changes import Commit
from compliancectl.sandbox.github.ids import node_id, sha

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    from compliancectl.sandbox.github.nodes import Nodes


def deployments(nodes: Nodes, name: str, info: GraphQLResolveInfo[Any], asked: dict[str, Any]) -> Any:
    """Repository.deployments; the definition has the youngest first."""
    from compliancectl.sandbox.github.nodes import connection

    environments, order = asked.pop("environments", None), asked.pop("orderBy", None)
    found = [
        it
        for it in nodes.state.repositories[name].get("deployments", ())
        if not environments or it.get("environment", "production") in environments
    ]
    found.sort(key=lambda it: str(it["at"]), reverse=bool(order) and order["direction"] == "DESC")
    return connection(found, lambda it: _deployment(nodes, name, it))(info, **asked)


def _deployment(nodes: Nodes, name: str, it: dict[str, Any]) -> dict[str, Any]:
    pull = nodes.state.changes[name].pull(it["change"])
    commit = nodes.state.changes[name].commit(pull.merge) if pull is not None else None
    oid = commit.sha if commit else sha(name, "deployed", it["change"])
    return {
        "id": node_id("DE", name, it["at"]),
        "databaseId": int(sha(name, "deployment", it["at"])[:7], 16),
        "createdAt": it["at"],
        "creator": lambda info: nodes.actor(it["by"]),
        "environment": it.get("environment", "production"),
        "state": it.get("state", "ACTIVE"),
        "commitOid": oid,
        "commit": lambda info: _commit(nodes, name, it, commit) if commit else None,
    }


def _commit(nodes: Nodes, name: str, it: dict[str, Any], commit: Commit) -> dict[str, Any]:
    """The commit, with the files that the repository has today but for those that came later (`lacks`)."""

    def file(info: GraphQLResolveInfo[Any], path: str) -> dict[str, Any] | None:
        if path not in content.files(nodes.state, name) or path in it.get("lacks", ()):
            return None
        return {"name": path.rpartition("/")[2], "path": path, "type": "blob", "oid": sha(name, path)}

    return {**nodes.pulls.commit(name, commit), "file": file}
