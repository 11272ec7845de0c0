"""Removes secrets and personal data from replies before they are kept; nothing else is touched.

A reply that holds nothing of the kind is kept byte for byte. Otherwise the value is removed, key and all, and the
rest is written again as JSON in the order in which it came.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

DROPS: Mapping[str, str] = {
    "secret": "secret value",
    "temp_clone_token": "secret value",
    "token": "secret value",
    "email": "e-mail address",
    "billing_email": "e-mail address",
    "emails": "e-mail address",
    "gravatar_id": "personal data",
    "resolution_comment": "free text",
    "dismissed_comment": "free text",
    "push_protection_bypass_request_comment": "free text",
    "push_protection_bypass_request_reviewer_comment": "free text",
    "closure_request_comment": "free text",
    "description": "free text",
    "text": "free text",
    "closure_request_reviewer_comment": "free text",
}
"""Key in a JSON object of GitHub → class of what it holds."""

PERSONAL = ("name", "email", "bio", "blog", "company", "location", "twitter_username")
"""Keys of an object that describes a person (`type` is `User`), by whatever key it hangs."""

DROPPED_IN_WORDS = (
    "secret: the leaked secret itself; the request also asks GitHub to hide it",
    "temp_clone_token, token: credentials",
    "email, billing_email, emails, gravatar_id: personal data of members and committers",
    "name, bio, blog, company, location, twitter_username of persons: personal data",
    "description of repositories, rules and advisories, text of code scanning messages: free text, may quote code or name people",
    "comments on alerts (resolution_comment, dismissed_comment, …_request_comment): free text that may repeat a secret",
)


def redact(body: bytes, data: Any) -> tuple[bytes, dict[str, int]]:
    """Return the body without what `DROPS` names, and how many values of each class were removed.

    Args:
        body: the reply as it came.
        data: the same, parsed; it is changed in place.
    """
    counts: Counter[str] = Counter()
    _strip(data, counts)
    if not counts:
        return body, {}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace"), dict(sorted(counts.items()))


def _strip(value: Any, counts: Counter[str]) -> None:
    if isinstance(value, dict):
        for key in [k for k in value if k in DROPS and value[k] not in (None, "", [])]:
            del value[key]
            counts[DROPS[key]] += 1
        if value.get("type") == "User" and "login" in value:
            for key in [k for k in PERSONAL if value.get(k)]:
                del value[key]
                counts["personal data"] += 1
        for item in value.values():
            _strip(item, counts)
    elif isinstance(value, list):
        for item in value:
            _strip(item, counts)
