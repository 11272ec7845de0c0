"""What the organisation has besides what its own APIs serve: contacts, and a search over everything that holds data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State

_MASKS = {"name", "assetType", "project", "location", "createTime", "state"}


class Holdings:
    """Answers of the Essential Contacts API, and of searches for resources in Cloud Asset Inventory."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            "cloudasset.searchAllResources": self.search,
            "essentialcontacts.organizations.contacts.list": self.contacts,
            "essentialcontacts.folders.contacts.list": self.contacts,
            "essentialcontacts.projects.contacts.list": self.contacts,
        }

    def contacts(self, call: Call) -> dict[str, Any]:
        """contacts.list: those of the place itself, not those it inherits."""
        (kind, name), *_ = call.path.items()
        place = f"{kind}s/{name}"
        holder = self.state.project(name) if kind == "project" else self.state.data if kind == "organization" else {}
        found = holder.get("contacts", {})
        return {"contacts": [self._contact(place, mark, found[mark]) for mark in sorted(found)]}

    def _contact(self, place: str, mark: str, it: dict[str, Any]) -> dict[str, Any]:
        kind, _, name = place.partition("/")
        number = self.state.number(place) if kind == "projects" else name
        return {
            "name": f"{kind}/{number}/contacts/{mark}",
            "email": it["email"],
            "languageTag": "en",
            "notificationCategorySubscriptions": it["categories"],
            "validationState": it.get("validation", "VALID"),
            "validateTime": "2026-02-01T09:00:00Z",
        }

    def search(self, call: Call) -> dict[str, Any]:
        """searchAllResources, by full type names, with a mask of fields."""
        mask = set((call.first("readMask") or "").split(","))
        if not mask <= _MASKS:
            raise errors.invalid(f"The sandbox does not know the fields {sorted(mask - _MASKS)}.")
        root, types = f"{call.path['kind']}/{call.path['name']}", call.query.get("assetTypes", [])
        found = [
            self._result(project, name, it)
            for project, held in sorted(self.state.projects.items())
            if root in (f"projects/{project}", *self.state.ancestors(f"projects/{project}"))
            for name, it in sorted(held.get("data_assets", {}).items())
            if it["type"] in types
        ]
        return {"results": [{key: value for key, value in one.items() if key in mask} for one in found]}

    def _result(self, project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": f"//{it['type'].partition('/')[0]}/projects/{project}/{name}",
            "assetType": it["type"],
            "project": f"projects/{self.state.number(f'projects/{project}')}",
            "location": it["location"],
            "createTime": it["created"],
            "state": "ACTIVE",
        }
