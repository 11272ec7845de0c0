"""What the sandbox's GitHub holds: the company's definition, and switches for refusals."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from compliancectl.sandbox.company import Company
from compliancectl.sandbox.github.changes import Changes, expand
from compliancectl.sandbox.github.size import generated

_LEVELS = {"read": 1, "write": 2, "admin": 3}


class State:
    """The definition of `company/github.yaml`, and what is refused."""

    def __init__(self, company: Company) -> None:
        self.move(company)

    def move(self, company: Company) -> None:
        """Hold what a company has, and refuse what its definition says; nothing is left of what was before."""
        self.__dict__.pop("changes", None)
        self.data: dict[str, Any] = company.sections["github"]
        self.now: datetime = company.now
        self.organization: dict[str, Any] = self.data["organization"]
        self.login: str = self.organization["login"]
        self.people: dict[str, dict[str, Any]] = self.data["people"]
        self.repositories: dict[str, dict[str, Any]] = self.data["repositories"] | generated(
            self.data["generated"], company.now
        )
        self.viewer: dict[str, Any] = {"role": self.people[self.data["viewer"]["login"]]["role"], **self.data["viewer"]}
        """`login`, `token`, `permissions`; `role` is that of the person, and can be changed."""
        self.denied: set[str] = set(self.data["denied_permissions"])
        """Permissions that the viewer lacks: `members`, or `contents larkspur-learning/website`."""
        self.withheld: set[str] = set(self.data["withheld"])
        """GraphQL fields that are FORBIDDEN: `Organization.samlIdentityProvider`."""
        self.hidden: set[str] = set(self.data["hidden_repositories"])
        """Names of repositories that the viewer does not see."""
        self.switched_off: set[str] = set(self.data["switched_off"])
        """Products that are off: `dependabot`, or `dependabot larkspur-learning/website`."""
        self.issues: dict[str, list[dict[str, Any]]] = {}
        """Repository → its issues as they were written, oldest first; pull requests are not among them."""
        self.renamed: dict[str, str] = {}
        """Old name of a repository → its name now."""

    @property
    def is_owner(self) -> bool:
        """Whether the viewer owns the organisation."""
        return bool(self.viewer["role"] == "admin")

    @property
    def visible(self) -> dict[str, dict[str, Any]]:
        """The repositories that the viewer sees, by name."""
        return {name: self.repositories[name] for name in sorted(self.repositories) if name not in self.hidden}

    @cached_property
    def changes(self) -> dict[str, Changes]:
        """Pull requests and commits by repository."""
        return {name: expand(self, name, it) for name, it in self.repositories.items()}

    def may(self, permission: str, repository: str = "") -> bool:
        """Whether the viewer has `NAME=LEVEL`, in a repository if one is given."""
        if not permission:
            return True
        name, _, level = permission.partition("=")
        if {name, f"{name} {self.login}/{repository}"} & self.denied:
            return False
        if self.viewer["token"] == "classic":
            return True
        return _LEVELS.get(self.viewer["permissions"].get(name, ""), 0) >= _LEVELS[level]

    def is_off(self, product: str, repository: str = "") -> bool:
        """Whether a product is switched off, everywhere or for a repository."""
        return bool({product, f"{product} {self.login}/{repository}"} & self.switched_off)

    def user_id(self, login: str) -> int:
        """The number of a person or a bot."""
        found = self.people.get(login) or self.data["bots"][login.removesuffix("[bot]")]
        return int(found["id"])
