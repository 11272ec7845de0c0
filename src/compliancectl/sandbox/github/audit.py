"""The audit log: what `audit_log` of the definition says, as GitHub writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.github import errors
from compliancectl.sandbox.github.ids import sha
from compliancectl.sandbox.github.state import State

_KEPT = {"git": timedelta(days=7), "web": timedelta(days=180)}
_SHOWN = timedelta(days=90)
"""What is shown when nobody asks for a span of time."""
_CREATED = re.compile(r"created:(\S+?)\.\.(\S+)")


def audit_log(state: State, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """The events of a span of time; 404 to who is no owner, and where the plan has none.

    Each of the definition has `action` and `at`, and perhaps `id`, `by`, `operation`, `repository`, `user` and `more` (fields of GitHub
    that nobody should keep).
    """
    if state.organization["plan"] != "enterprise" or not state.is_owner or state.data["audit_log_hidden"]:
        raise errors.not_found()
    span = _CREATED.search(asked.get("phrase", ""))
    start, end = (clock.parse(text) for text in span.groups()) if span else (state.now - _SHOWN, state.now)
    found = [
        (clock.parse(it["at"]), number, it)
        for number, it in enumerate(state.data["audit_log"])
        if _is_shown(state, it, asked.get("include", "web")) and start <= clock.parse(it["at"]) <= end
    ]
    found.sort(key=lambda one: one[:2], reverse=asked.get("order", "desc") == "desc")
    return [_event(state, number, it) for _, number, it in found]


def _is_shown(state: State, it: Mapping[str, Any], include: str) -> bool:
    kind = "git" if it["action"].startswith("git.") else "web"
    return include in (kind, "all") and clock.parse(it["at"]) > state.now - _KEPT[kind]


def _event(state: State, number: int, it: Mapping[str, Any]) -> dict[str, Any]:
    moment = _milliseconds(clock.parse(it["at"]))
    said: dict[str, Any] = {
        "@timestamp": moment,
        "_document_id": it.get("id") or sha("audit", number, it["action"], it["at"])[:22],
        "action": it["action"],
        "created_at": moment,
        "org": state.login,
        "org_id": state.organization["id"],
        "operation_type": it.get("operation"),
        "actor": it.get("by"),
        "actor_id": state.user_id(it["by"]) if it.get("by") in state.people else None,
        "repo": f"{state.login}/{it['repository']}" if "repository" in it else None,
        "user": it.get("user"),
        **it.get("more", {}),
    }
    return {name: value for name, value in said.items() if value is not None}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
