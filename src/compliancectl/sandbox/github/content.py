"""The files of repositories, as GraphQL shows them."""

from __future__ import annotations

from typing import Any

from compliancectl.sandbox.github.ids import node_id, sha
from compliancectl.sandbox.github.state import State

_MANAGERS = {"dependabot": ".github/dependabot.yml", "renovate": "renovate.json"}
_OWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_POLICIES = ("SECURITY.md", ".github/SECURITY.md", "docs/SECURITY.md")


def files(state: State, name: str) -> dict[str, str]:
    """The files of a repository: those of the definition, and the one that tells a bot to propose updates."""
    it = state.repositories[name]
    manager = _MANAGERS.get(it.get("manager", "none"))
    return {**it.get("files", {}), **it.get("code", {}), **({manager: "# SEEDED-SECRET-file"} if manager else {})}


def has_policy(state: State, name: str) -> bool:
    """Whether a repository has a security policy."""
    return any(path in files(state, name) for path in _POLICIES)


def find(state: State, name: str, expression: str | None) -> dict[str, Any] | None:
    """A file or a folder of the default branch, or None."""
    path = (expression or "").removeprefix("HEAD:").removeprefix("main:")
    there = files(state, name)
    oid = sha(name, path)
    if path in there:
        text = there[path]
        return {"__typename": "Blob", "id": node_id("B", oid), "oid": oid, "byteSize": len(text), "text": text}
    inside = sorted({file.removeprefix(f"{path}/").partition("/")[0] for file in there if file.startswith(f"{path}/")})
    if not inside:
        return None
    entries = [
        {
            "name": entry,
            "path": f"{path}/{entry}",
            "type": "blob" if f"{path}/{entry}" in there else "tree",
            "oid": sha(name, path, entry),
        }
        for entry in inside
    ]
    return {"__typename": "Tree", "id": node_id("T", oid), "oid": oid, "entries": entries}


def codeowners(state: State, name: str) -> dict[str, Any] | None:
    """The errors in the file that says who owns what; None when there is no such file."""
    there = files(state, name)
    path = next((path for path in _OWNERS if path in there), None)
    if path is None:
        return None
    wrong = [(number, line) for number, line in enumerate(there[path].split("\n"), 1) if "@nobody" in line]
    entries = [
        {
            "kind": "Unknown owner",
            "line": number,
            "column": line.index("@nobody") + 1,
            "path": path,
            "source": line,
            "message": f"Unknown owner on line {number}",
            "suggestion": "make sure that the user exists and has write access",
        }
        for number, line in wrong
    ]
    return {"errors": entries}
