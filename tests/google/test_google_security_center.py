"""Findings of Security Command Center: what is muted and why, and nothing of what people wrote."""

from __future__ import annotations

from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box, Collected

from compliancectl.query.rows import read_rows

ORGANIZATION = "organizations/558124370021"
RULE = f"{ORGANIZATION}/muteConfigs/reviewed-by-hand"


def rows(found: Collected, table: str, target: str = PROD) -> list[dict[str, Any]]:
    item = found.item("security_findings", target)
    assert item.status == "collected", item.reason
    return read_rows(found.run / "evidence" / item.id / f"{table}.parquet")


@pytest.mark.parametrize(("scope", "target"), [({"projects": [PROD]}, PROD), ({"projects": []}, ORGANIZATION)])
def test_what_mutes_a_finding_is_told_and_who_wrote_it_is_not(box: Box, scope: dict[str, Any], target: str) -> None:
    found = box.collect("gcp.security_finding", **scope)
    assert [
        (r["project"], r["category"], r["mute"], r["rules"], r["marks"])
        for r in rows(found, "gcp.security_finding", target)
    ] == [
        (PROD, "SQL_NO_ROOT_PASSWORD", "MUTED", [RULE], []),
        (PROD, "BUCKET_LOGGING_DISABLED", "MUTED", [], ["mute-reason"]),
        (PROD, "FLOW_LOGS_DISABLED", "UNDEFINED", [], []),
    ]
    assert [(r["name"], r["described"]) for r in rows(found, "gcp.mute_rule", target)] == [(RULE, True)]
    kept = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))
    assert b"SEEDED-SECRET" not in kept and b"seeded-person" not in kept


def test_a_place_without_findings_says_so(box: Box) -> None:
    found = box.collect("gcp.security_finding", projects=[LOGS])
    (place,) = rows(found, "gcp.security_center", LOGS)
    assert (place["activated"], place["findings"]) == (True, 0)


def test_findings_of_projects_out_of_scope_do_not_become_evidence(box: Box) -> None:
    found = box.collect("gcp.security_finding", projects=[], exclude=["*-prod"])
    assert rows(found, "gcp.security_finding", ORGANIZATION) == []
    assert found.item("security_findings", ORGANIZATION).redactions["out of scope"] == 3


def test_where_the_scope_says_that_it_is_not_activated_nothing_is_asked(box: Box) -> None:
    found = box.collect("gcp.security_finding", projects=[PROD], security_command_center=False)
    (place,) = rows(found, "gcp.security_center")
    assert (place["activated"], place["findings"]) == (False, 0) and rows(found, "gcp.security_finding") == []
    assert not any("securitycenter" in request.path for request in box.cloud.web.log)
    (reply,) = found.item("security_findings").replies
    assert reply.status == "declared" and "declared in the scope file" in reply.operation


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"denied": "securitycenter.findings.list"}, "permission"),
        ({"denied": "securitycenter.muteconfigs.get"}, "permission"),
        ({"disabled": "securitycenter.googleapis.com"}, "api-disabled"),
    ],
)
def test_a_refusal_is_not_an_empty_list(box: Box, how: dict[str, str], cause: str) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    item = box.collect("gcp.security_finding", projects=[PROD]).item("security_findings")
    assert item.status in ("denied", "partial") and item.cause == cause


def test_a_rule_that_is_gone_is_no_row(box: Box) -> None:
    kept = box.cloud.state.data["mute_rules"].pop("reviewed-by-hand")
    try:
        found = box.collect("gcp.security_finding", projects=[PROD])
    finally:
        box.cloud.state.data["mute_rules"]["reviewed-by-hand"] = kept
    assert rows(found, "gcp.mute_rule") == [] and len(rows(found, "gcp.security_finding")) == 3
