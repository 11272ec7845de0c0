"""Who may do what in a repository, and what gives it: the organisation, a team, or the repository itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compliancectl.sandbox.github.ids import node_id

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    from compliancectl.sandbox.github.nodes import Nodes

_ORDER = ("NONE", "READ", "TRIAGE", "WRITE", "MAINTAIN", "ADMIN")


class AccessNodes:
    """Builds the objects about access."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.state = nodes.state

    def of_repository(self, name: str, info: GraphQLResolveInfo[Any], asked: dict[str, Any]) -> Any:
        """Repository.collaborators; null to those who may not push."""
        from compliancectl.sandbox.github.nodes import connection

        if not self.state.is_owner:
            return None
        affiliation = asked.pop("affiliation", None) or "ALL"
        edges = []
        for login, it in sorted(self.state.people.items(), key=lambda person: int(person[1]["id"])):
            sources = list(self._sources(name, login, it["role"]))
            outside = it["role"] == "outside_collaborator"
            direct = any(source["source"]["__typename"] == "Repository" for source in sources)
            if sources and (affiliation == "ALL" or (outside if affiliation == "OUTSIDE" else direct)):
                edges.append(self._edge(login, sources))
        return connection(edges)(info, **asked)

    def _edge(self, login: str, sources: list[dict[str, Any]]) -> dict[str, Any]:
        most = max((source["permission"] for source in sources), key=_ORDER.index)
        return {"cursor": login, "node": self.nodes.user(login), "permission": most, "permissionSources": sources}

    def _sources(self, name: str, login: str, role: str) -> Iterator[dict[str, Any]]:
        """Owners may do everything, members what the organisation lets all of them do, and teams give more."""
        base = self.state.organization["default_repository_permission"].upper()
        given = {"admin": "ADMIN", "member": base}.get(role, "NONE")
        if given != "NONE":
            yield self._source(given, {"__typename": "Organization", **self.nodes.organization()})
        if role == "none":
            return
        for slug, team in self.state.data["teams"].items():
            if login in team["members"] and name in team["repositories"]:
                yield self._source(team["repositories"][name], _team(slug, team["id"]))
        if given := self.state.repositories[name].get("access", {}).get(login):
            yield self._source(given, {**self.nodes.repository(name), "__typename": "Repository"})

    def _source(self, permission: str, source: dict[str, Any]) -> dict[str, Any]:
        return {
            "organization": lambda info: self.nodes.organization(),
            "permission": permission,
            "roleName": permission.lower(),
            "source": source,
        }


def _team(slug: str, number: int) -> dict[str, Any]:
    return {"__typename": "Team", "id": node_id("T", number), "databaseId": number, "name": slug.title(), "slug": slug}
