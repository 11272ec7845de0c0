"""Repositories by the hundred: what `generated` in `company/github.yaml` asks for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from compliancectl import clock

_AUTHORS = (("chen-wei", "bruno-keller"), ("elias-lind", "chen-wei"), ("bruno-keller", "amara-okafor"))


def generated(asked: dict[str, int], now: datetime) -> dict[str, dict[str, Any]]:
    """Production repositories `service-001` … that are protected, each with as many reviewed merges in the last 80 days.

    Args:
        asked: `repositories` and `merged` (in each of them).
        now: the moment that the company lives in.
    """
    return {
        f"service-{number:03}": _repository(number, asked["merged"], now)
        for number in range(1, asked["repositories"] + 1)
    }


def _repository(number: int, merged: int, now: datetime) -> dict[str, Any]:
    last = now - timedelta(days=1, minutes=number)
    step = timedelta(days=79) / max(merged, 1)
    pulls = []
    for place in range(merged):
        author, reviewer = _AUTHORS[place % len(_AUTHORS)]
        at = clock.text((last - place * step).replace(microsecond=0))
        pulls.append({"number": merged - place, "author": author, "merged": at, "reviews": [{"by": reviewer}]})
    return {
        "id": 500_000_000 + number,
        "production": True,
        "created": clock.text(now - timedelta(days=400)),
        "pushed": clock.text(last.replace(microsecond=0)),
        "manager": "dependabot",
        "packages": 20,
        "suites": ["build", "unit"],
        "environments": {"production": {"branches": "protected", "created": clock.text(now - timedelta(days=400))}},
        "analyses": [{"language": "python", "at": clock.text(last.replace(microsecond=0))}],
        "protection": {
            "main": {
                "approvals": 1,
                "dismiss_stale": True,
                "last_push": False,
                "code_owner": False,
                "checks": ["build"],
                "admins": True,
                "force_pushes": False,
                "deletions": False,
                "exempt": [],
            }
        },
        "pull_requests": pulls,
    }
