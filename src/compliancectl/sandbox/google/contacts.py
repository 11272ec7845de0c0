"""Essential contacts: whom Google tells of incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State


class Contacts:
    """Answers of the Essential Contacts API."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
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
