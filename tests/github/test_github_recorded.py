"""What GitHub really answered, as PyGithub's own tests recorded it: read by the same code as the sandbox's answers.

The recordings are in PyGithub's source distribution. They are fetched when the test runs, and kept out of the repository; where
they cannot be had, the tests are skipped and say so.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from compliancectl.clock import parse
from compliancectl.collectors.base import Reply
from compliancectl.collectors.github import collector, redact
from compliancectl.contract import BrokenRow, RowContract

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "recorded"
VERSION = "2.10.0"
EVERYTHING = {"include": ["*"], "exclude": [], "production": []}
NOBODY = {
    f"{people}.{name}": None
    for people in ("members", "outside_collaborators")
    for name in ("2fa_disabled", "2fa_insecure")
}
WHERE: dict[str, tuple[str, dict[str, Any]]] = {
    r"/orgs/[^/]+/members": ("members", {**NOBODY, "role": "member"}),
    r"/orgs/[^/]+/outside_collaborators": ("members", {**NOBODY, "role": "outside_collaborator"}),
    r"/orgs/[^/]+/invitations": ("invitations", {}),
    r"/repos/[^/]+/[^/]+/invitations": ("repository_invitations", {"repository": "r"}),
    r"/repos/[^/]+/[^/]+/actions/runners": ("repository_runners", {"repository": "r"}),
    r"/repos/[^/]+/[^/]+/hooks": ("hooks", {"repository": "r"}),
    r"/repos/[^/]+/[^/]+/keys": ("deploy_keys", {"repository": "r"}),
    r"/repos/[^/]+/[^/]+/environments": ("environments", {"repository": "r"}),
    r"/(?:orgs/[^/]+|user)/installations": ("installations", {}),
    r"/(?:orgs/[^/]+|repos/[^/]+/[^/]+)/code-scanning/alerts": ("code_scanning_alerts", {"coverage": EVERYTHING}),
    r"/(?:orgs/[^/]+|repos/[^/]+/[^/]+)/dependabot/alerts": ("dependabot_alerts", {"coverage": EVERYTHING}),
    r"/(?:orgs/[^/]+|repos/[^/]+/[^/]+)/secret-scanning/alerts": ("secret_alerts", {"coverage": EVERYTHING}),
}
"""Path → the feed that reads it, and what it would know from elsewhere."""

EXPECTED = {
    "github.code_scanning_alert": 6,
    "github.dependabot_alert": 14,
    "github.environment": 2,
    "github.hook": 2,
    "github.invitation": 3,
    "github.member": 5,
    "github.repository_invitation": 1,
    "github.repository_runners": 8,
    "github.secret_alert": 5,
}


@pytest.fixture(scope="module")
def recorded() -> list[tuple[str, str]]:
    """Path and body of every GET that was answered with 200."""
    file = CACHE / f"pygithub-{VERSION}.tar.gz"
    if not file.is_file():
        wanted = ["--no-deps", "--no-binary", ":all:", "-d", str(CACHE), f"PyGithub=={VERSION}"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *wanted]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=120).stderr.strip()[-200:]
        except subprocess.TimeoutExpired as late:
            said = f"nothing came in {late.timeout:.0f} seconds"
        if not file.is_file():
            pytest.skip(f"PyGithub's recordings cannot be had: {said}")
    found = []
    with tarfile.open(file) as archive:
        for member in archive:
            if "/ReplayData/" in member.name and member.name.endswith(".txt"):
                content = archive.extractfile(member)
                assert content is not None
                found += _exchanges(content.read().decode())
    return found


def _exchanges(text: str) -> list[tuple[str, str]]:
    """A recording has ten lines for each exchange: scheme, verb, host, port, path, headers, body, status, headers, body."""
    lines, found, place = text.split("\n"), [], 0
    while place + 9 < len(lines):
        if lines[place] not in ("http", "https"):
            place += 1
            continue
        if (lines[place + 1], lines[place + 7]) == ("GET", "200"):
            found.append((lines[place + 4].partition("?")[0], lines[place + 9]))
        place += 10
    return found


def _reply(path: str, body: bytes, facts: dict[str, Any]) -> Reply:
    now = parse("2026-01-01T00:00:00Z")
    context = {"organization": "o", "kind": path, "facts": json.dumps(facts)}
    return Reply(body=body, operation=f"GET {path}", requested_at=now, completed_at=now, context=context)


def test_what_github_really_answered_is_shaped(recorded):
    feeds = {feed.name: feed for feed in collector.feeds}
    contracts = {table.name: RowContract(table) for table in collector.tables}
    kept: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for path, text in recorded:
        for pattern, (name, facts) in WHERE.items():
            if re.fullmatch(pattern, path) is None:
                continue
            body, _ = redact.redact(text.encode(), json.loads(text))
            for table, row in feeds[name].shape(_reply(path, body, facts)):
                try:
                    contracts[table].encode(row)
                    kept[table] += 1
                except BrokenRow as error:
                    broken[f"{table} {error.path}"] += 1
    assert kept == EXPECTED
    assert set(broken) == {
        "github.code_scanning_alert $.repository",  # a listing of one repository does not repeat its name
        "github.dependabot_alert $.repository",
        "github.secret_alert $.repository",
        "github.installation $.app",  # recorded before apps had a short name
        "github.deploy_key $.created",  # recorded in 2012, when GitHub did not say
    }


def test_nothing_is_left_to_remove_from_what_was_redacted(recorded):
    removed: Counter[str] = Counter()
    for _, text in recorded:
        try:
            body, counts = redact.redact(text.encode(), json.loads(text))
        except ValueError:
            continue  # a page of HTML, or text
        removed.update(counts)
        again, more = redact.redact(body, json.loads(body))
        assert (again, more) == (body, {})
    assert removed["e-mail address"] > 100
    assert removed["personal data"] > 100
    assert removed["free text"] > 1000
