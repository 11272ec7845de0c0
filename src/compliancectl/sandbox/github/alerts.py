"""Alerts of Dependabot, code scanning and secret scanning in REST's form."""

from __future__ import annotations

from typing import Any

from compliancectl.sandbox.github.ids import sha
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.views import WEB, Views

_SCORES = {"low": 3.1, "medium": 5.4, "high": 8.1, "critical": 9.8}


class Alerts:
    """Builds alerts; the definition names them `repository#number`."""

    def __init__(self, state: State, views: Views) -> None:
        self.state = state
        self.views = views

    def keys(self, section: str, product: str) -> list[tuple[str, int]]:
        """Repository and number of what is visible, the youngest first."""
        entries = self.state.data[section]
        names = [(name, int(number)) for name, _, number in (key.partition("#") for key in entries)]
        visible = [k for k in names if k[0] in self.state.visible and not self.state.is_off(product, k[0])]
        return sorted(visible, key=lambda k: (entries[f"{k[0]}#{k[1]}"]["created"], k), reverse=True)

    def dependabot(self) -> list[dict[str, Any]]:
        """All alerts about dependencies."""
        return [self._dependabot(*key) for key in self.keys("dependabot_alerts", "dependabot")]

    def _dependabot(self, repository: str, number: int) -> dict[str, Any]:
        it = self.state.data["dependabot_alerts"][f"{repository}#{number}"]
        package = {"ecosystem": it["ecosystem"], "name": it["package"]}
        vulnerability = {
            "package": package,
            "severity": it["severity"],
            "vulnerable_version_range": "< 2.0.1",
            "first_patched_version": {"identifier": "2.0.1"},
        }
        return {
            "number": number,
            "state": dependabot_state(it),
            "dependency": {
                "package": package,
                "manifest_path": "requirements.txt",
                "scope": it["scope"],
                "relationship": "direct",
            },
            "security_advisory": _advisory(repository, number, it, vulnerability),
            "security_vulnerability": vulnerability,
            **self._addresses(repository, "dependabot", number),
            "created_at": it["created"],
            "updated_at": it.get("fixed") or it.get("dismissed") or it["created"],
            "dismissed_at": it.get("dismissed"),
            "dismissed_by": self.views.user(it.get("by")),
            "dismissed_reason": it.get("reason"),
            "dismissed_comment": it.get("comment"),
            "fixed_at": it.get("fixed"),
            "auto_dismissed_at": it.get("auto_dismissed"),
            "repository": self.views.simple_repository(repository),
        }

    def code_scanning(self) -> list[dict[str, Any]]:
        """All alerts of code scanning."""
        return [self._code_scanning(*key) for key in self.keys("code_scanning_alerts", "code-scanning")]

    def _code_scanning(self, repository: str, number: int) -> dict[str, Any]:
        it = self.state.data["code_scanning_alerts"][f"{repository}#{number}"]
        addresses = self._addresses(repository, "code-scanning", number)
        state = "fixed" if "fixed" in it else "dismissed" if "dismissed" in it else "open"
        return {
            "number": number,
            "created_at": it["created"],
            "updated_at": it.get("fixed") or it.get("dismissed") or it["created"],
            **addresses,
            "instances_url": f"{addresses['url']}/instances",
            "state": state,
            "fixed_at": it.get("fixed"),
            "dismissed_by": self.views.user(it.get("by")),
            "dismissed_at": it.get("dismissed"),
            "dismissed_reason": it.get("reason"),
            "dismissed_comment": it.get("comment"),
            "rule": {
                "id": it["rule"],
                "name": it["rule"],
                "severity": "error" if it["severity"] else "note",
                "security_severity_level": it["severity"],
                "description": f"What {it['rule']} finds",
                "tags": ["security"] if it["severity"] else ["maintainability"],
            },
            "tool": {"name": "CodeQL", "version": "2.23.1", "guid": None},
            "most_recent_instance": _instance(repository, number, state),
            "repository": self.views.simple_repository(repository),
        }

    def secrets(self, hide: bool) -> list[dict[str, Any]]:
        """All secrets that were found; the literals are left out when that is asked for."""
        return [self._secret(hide, *key) for key in self.keys("secret_alerts", "secret-scanning")]

    def _secret(self, hide: bool, repository: str, number: int) -> dict[str, Any]:
        it = self.state.data["secret_alerts"][f"{repository}#{number}"]
        addresses = self._addresses(repository, "secret-scanning", number)
        bypassed = "bypassed_by" in it
        return {
            "number": number,
            "created_at": it["created"],
            "updated_at": it.get("resolved") or it["created"],
            **addresses,
            "locations_url": f"{addresses['url']}/locations",
            "state": "resolved" if "resolved" in it else "open",
            "resolution": it.get("resolution"),
            "resolved_at": it.get("resolved"),
            "resolved_by": self.views.user(it.get("by")),
            "resolution_comment": it.get("comment"),
            "secret_type": it["type"],
            "secret_type_display_name": it["title"],
            **({} if hide else {"secret": it["secret"]}),
            "repository": self.views.simple_repository(repository),
            "push_protection_bypassed": bypassed,
            "push_protection_bypassed_by": self.views.user(it.get("bypassed_by")),
            "push_protection_bypassed_at": it["created"] if bypassed else None,
            "push_protection_bypass_request_reviewer": self.views.user(it.get("bypass_reviewed_by")),
            "push_protection_bypass_request_reviewer_comment": it.get("bypass_comment"),
            "push_protection_bypass_request_comment": it.get("bypass_comment"),
            "push_protection_bypass_request_html_url": None,
            "validity": it["validity"],
            "publicly_leaked": False,
            "multi_repo": False,
        }

    def _addresses(self, repository: str, product: str, number: int) -> dict[str, str]:
        full = f"{self.state.login}/{repository}"
        return {
            "url": f"{self.views.url}/repos/{full}/{product}/alerts/{number}",
            "html_url": f"{WEB}/{full}/security/{product}/{number}",
        }


def dependabot_state(it: dict[str, Any]) -> str:
    """What the times of an alert mean."""
    for state in ("fixed", "dismissed", "auto_dismissed"):
        if state in it:
            return state
    return "open"


def _instance(repository: str, number: int, state: str) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "analysis_key": ".github/workflows/codeql.yml:analyze",
        "environment": "{}",
        "category": "/language:python",
        "state": state,
        "commit_sha": sha(repository, "analysis", number),
        "message": {"text": "seeded-person-chen wrote SEEDED-SECRET-code here"},
        "location": {"path": "app/main.py", "start_line": 4, "end_line": 4, "start_column": 1, "end_column": 20},
        "classifications": [],
    }


def _advisory(repository: str, number: int, it: dict[str, Any], vulnerability: dict[str, Any]) -> dict[str, Any]:
    mark = sha(repository, "advisory", number)
    ghsa = it.get("advisory") or f"GHSA-{mark[:4]}-{mark[4:8]}-{mark[8:12]}"
    cve = f"CVE-2026-{int(mark[:4], 16) % 90000 + 10000}"
    return {
        "ghsa_id": ghsa,
        "cve_id": cve,
        "summary": f"A weakness in {it['package']}",
        "description": f"An attacker can use a weakness in {it['package']}.",
        "vulnerabilities": [vulnerability],
        "severity": it["severity"],
        "classification": "malware" if it.get("malware") else "general",
        "cvss": {"score": _SCORES[it["severity"]], "vector_string": None},
        "cwes": [{"cwe_id": "CWE-20", "name": "Improper Input Validation"}],
        "identifiers": [{"type": "GHSA", "value": ghsa}, {"type": "CVE", "value": cve}],
        "references": [{"url": f"{WEB}/advisories/{ghsa}"}],
        "published_at": it["created"],
        "updated_at": it["created"],
        "withdrawn_at": None,
    }
