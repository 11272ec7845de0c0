"""Removes secrets and personal data from replies before they are kept; nothing else is touched.

A reply that holds nothing of the kind is kept byte for byte. Otherwise the value is removed, key and all, and the
rest is written again as JSON in the order in which it came. E-mail addresses and the names of persons are replaced by
pseudonyms instead, if the run keeps their openings.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from compliancectl.collectors.github import code_text
from compliancectl.redaction import People

_ADDRESS = re.compile(r"\s[^@\s]+@\S+")

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
    "title": "free text",
    "token_name": "free text",
    "closure_request_reviewer_comment": "free text",
}
"""Key in a JSON object of GitHub → class of what it holds."""

PERSONAL = ("name", "email", "bio", "blog", "company", "location", "twitter_username")
"""Keys of an object that describes a person (`type` is `User`), by whatever key it hangs."""

_OWNERS = re.compile(r"(?m)^[ \t]*(?!#)\S.*$")


def _owners(text: str) -> str:
    """Patterns and owners; an owner of code that is an e-mail address becomes `<e-mail>`."""
    lines = [match.group(0).partition(" #")[0].strip() for match in _OWNERS.finditer(text)]
    return "\n".join(_ADDRESS.sub(" <e-mail>", line) for line in lines)


def _only(pattern: str) -> Callable[[str], str]:
    """Keeps what a pattern finds."""
    compiled = re.compile(pattern)
    return lambda text: "\n".join(match.group(0) for match in compiled.finditer(text))


REWRITES: Mapping[str, Callable[[str], str]] = {
    "owned": _owners,
    "contacts": _only(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|https?://[^\s)>\]\"']+"),
    "references": _only(r"[\w.-]*/[\w./-]+|[\w-]+\.md\b"),
    "settings": code_text.settings,
    "routing": code_text.routing,
}
"""Texts of files of which only what matters is kept: the key that our documents give them → what stays."""
EVENT = "_document_id"
"""The key that an event of the audit log has and nothing else."""
OF_EVENTS = frozenset(
    {EVENT, "@timestamp", "created_at", "action", "operation_type", "actor", "user", "org", "repo", "repository"}
)
"""What is kept of such an event; addresses, places, tokens, keys and texts are not looked at one by one."""
_TELLING = frozenset({"insecure_ssl", "login", EVENT, *DROPS, *REWRITES})
"""An object with none of these keys is left as it is."""
ADDRESS = "e-mail address"

DROPPED_IN_WORDS = (
    "secret: the leaked secret itself; the request also asks GitHub to hide it",
    "temp_clone_token, token: credentials",
    "email, billing_email, emails, gravatar_id: personal data of members and committers",
    "name, bio, blog, company, location, twitter_username of persons: personal data",
    "description of repositories, rules and advisories, title of deploy keys, name of access tokens, text of code scanning messages: free text, may quote code or name people",
    "of the address of a webhook: everything but scheme and host; its secret: only that there is one",
    "of a CODEOWNERS file: everything but patterns and owners, e-mail addresses of owners; of a security policy: everything but "
    "the addresses that it names; of templates and descriptions of changes: everything but the paths that they name; of code: "
    "everything but how it sets variables of the database, and which hosts and models a router may reach",
    "of an event of the audit log: everything but its id, time, action, kind, actor, and the person and the repository that it is about",
    "comments on alerts (resolution_comment, dismissed_comment, …_request_comment): free text that may repeat a secret",
)


def redact(body: bytes, data: Any, people: People | None = None) -> tuple[bytes, dict[str, int]]:
    """Return the body without what `DROPS` names, and how many values of each class were removed or replaced.

    Args:
        body: the reply as it came.
        data: the same, parsed; it is changed in place.
        people: gives pseudonyms; None: everything is removed.
    """
    counts: Counter[str] = Counter()
    if isinstance(data, (dict, list)):
        _strip(data, counts, people)
    if not counts:
        return body, {}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace"), dict(sorted(counts.items()))


def _hook(config: dict[str, Any], counts: Counter[str]) -> None:
    """Of the address of a webhook only the origin stays, and of its secret that there is one."""
    address = urlsplit(str(config.get("url", "")))
    origin = f"{address.scheme}://{address.hostname}"
    if config.get("url") != origin:
        config["url"] = origin
        counts["secret value"] += 1
    config["secret_is_set"] = bool(config.get("secret"))


def _event(value: dict[str, Any], counts: Counter[str], people: People | None) -> None:
    """Of an event of the audit log what a table needs stays; an account that is named by an address is named no more."""
    for key in [k for k in value if k not in OF_EVENTS]:
        del value[key]
        counts["detail of an event"] += 1
    for key in ("actor", "user"):
        if "@" in str(value.get(key)):
            _take(value, key, people, ADDRESS)
            counts[ADDRESS] += 1


def _rewrite(value: dict[str, Any], key: str, kept: Callable[[str], str], counts: Counter[str]) -> None:
    new = kept(value[key])
    if new != value[key]:
        value[key] = new
        counts["free text"] += 1


def _strip(value: Any, counts: Counter[str], people: People | None) -> None:
    """Walk a whole answer; most objects hold nothing of the kind, and are left after one look at their keys."""
    if isinstance(value, dict):
        if not _TELLING.isdisjoint(value):
            _strip_object(value, counts, people)
        value = value.values()
    for item in value:
        if isinstance(item, (dict, list)):
            _strip(item, counts, people)


def _strip_object(value: dict[str, Any], counts: Counter[str], people: People | None) -> None:
    if "insecure_ssl" in value:
        _hook(value, counts)
    if EVENT in value:
        _event(value, counts, people)
    for key, kept in REWRITES.items():
        if isinstance(value.get(key), str):
            _rewrite(value, key, kept, counts)
    for key in [k for k in value if k in DROPS and value[k] not in (None, "", [])]:
        _take(value, key, people if DROPS[key] == ADDRESS else None, ADDRESS)
        counts[DROPS[key]] += 1
    if value.get("type") == "User" and "login" in value:
        for key in [k for k in PERSONAL if value.get(k) and k not in DROPS]:
            _take(value, key, people if key == "name" else None, "name")
            counts["personal data"] += 1


def _take(holder: dict[str, Any], key: str, people: People | None, kind: str) -> None:
    """Remove a value, or replace the text by its pseudonym."""
    if people is not None and isinstance(holder[key], str):
        holder[key] = people.pseudonym(kind, holder[key])
    else:
        del holder[key]
