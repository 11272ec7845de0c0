"""An organisation or folder as the scope: its projects are found, and what they hold is read in few requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box, Collected

from compliancectl import plugins
from compliancectl.collectors.gcp.config import CONSTRAINTS
from compliancectl.errors import UsageError
from compliancectl.query.rows import read_rows
from compliancectl.sandbox import company
from compliancectl.sandbox.run import running

ROOT = "organizations/558124370021"
FOLDER = "folders/610000000001"
TABLES = [table.name for table in plugins.collector("gcp").collector.tables]
BY_PLACE = {
    "gcp.asset_history",
    "gcp.asset_version",
    "gcp.data_profiling",
    "gcp.effective_access",
    "gcp.run_load",
    "gcp.uptime_result",
}
"""What is told by the place that was asked, or by the hour of the run; tests of their own compare them."""


def rows(found: Collected, table: str) -> list[dict[str, Any]]:
    """The rows of a table from all items, in a fixed order."""
    every = []
    for item in found.items.values():
        if any(part.table == table for part in item.tables):
            every += read_rows(found.run / "evidence" / item.id / f"{table}.parquet")
    return sorted(every, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def statuses(found: Collected) -> set[str]:
    return {item.status for item in found.items.values()}


@pytest.fixture(scope="module")
def by_project(_running: Box) -> Collected:
    """What the same cloud says when each project is named."""
    _running.reset()
    return _running.collect(*TABLES)


@pytest.mark.parametrize("inventory", [True, False], ids=["inventory", "no inventory"])
def test_an_organisation_gives_the_rows_of_its_projects(box: Box, by_project: Collected, inventory: bool) -> None:
    if not inventory:
        box.cloud.state.denied.add("cloudasset.assets.listResource")
    found = box.collect(*TABLES, projects=[])
    short = {feed for (feed, _), item in found.items.items() if item.status != "collected"}
    assert short == (set() if inventory else {"gcp.asset_history"}), "only the inventory has a history"
    assert {target for _, target in found.items} == {ROOT}
    for table in TABLES:
        if table in BY_PLACE:
            continue
        if table == "gcp.firewall_rule" and inventory:  # a policy is attached to the organisation, not to a network
            assert [r["name"] for r in rows(found, table)] == [r["name"] for r in rows(by_project, table)]
        elif table == "gcp.iam_policy" and inventory:  # the inventory knows folders, and what lies in what
            known = {row["resource"]: row["bindings"] for row in rows(by_project, table)}
            assert known.items() <= {row["resource"]: row["bindings"] for row in rows(found, table)}.items()
            assert all(row["above"] is not None for row in rows(found, table))
        elif table == "gcp.audit_arrival":  # some entry of any project is enough, so they are asked together
            services = {row["service"] for row in rows(by_project, table) if row["newest"]}
            assert {row["service"] for row in rows(found, table) if row["newest"]} == services
        elif table == "gcp.mute_rule":  # whoever asks for a rule, it is the same
            assert {row["name"] for row in rows(found, table)} == {row["name"] for row in rows(by_project, table)}
        elif table == "gcp.security_center":  # one list instead of one for each project
            assert [row["findings"] for row in rows(found, table)] == [
                sum(r["findings"] for r in rows(by_project, table))
            ]
        elif table == "gcp.sql_load":  # another hour may have begun
            said = [
                {(r["resource"], r["measure"], hour) for r in rows(one, table) for hour in r["used"]}
                for one in (found, by_project)
            ]
            assert said[0] == said[1] and len(said[0]) > 3
        elif table == "gcp.api_calls":  # then nobody is silent
            assert rows(found, table) == []
        else:
            assert rows(found, table) == rows(by_project, table), table
    said = found.item("buckets", ROOT).completeness.method
    assert f"2 of 2 projects below {ROOT}" in said
    assert ("Cloud Asset Inventory could not be read" in said) is not inventory


def test_the_inventory_is_read_as_of_the_start_of_the_run(box: Box) -> None:
    box.collect("gcp.bucket", "gcp.sql_user", projects=[])
    lists = [request for request in box.cloud.web.log if request.path.endswith("/assets")]
    assert len({request.param("readTime") for request in lists}) == 1 and len(lists) == 3
    assert {request.param("pageSize") for request in lists} == {"1000"}


def test_a_pattern_leaves_a_project_out_of_everything(box: Box) -> None:
    found = box.collect("gcp.project", "gcp.log_bucket", "gcp.org_policy", projects=[], exclude=["*-logs"])
    assert {row["project"]: (row["in_scope"], row["left_out"]) for row in rows(found, "gcp.project")} == {
        PROD: (True, None),
        LOGS: (False, "the exclude pattern *-logs matches it"),
    }
    for table in ("gcp.log_bucket", "gcp.org_policy"):
        assert {row["project"] for row in rows(found, table)} == {PROD}
    item = found.item("log_buckets", ROOT)
    assert item.redactions == {"out of scope": 3}
    assert LOGS not in (found.run / "evidence" / item.id / item.replies[0].path).read_text()
    assert "1 of 2 projects" in item.completeness.method and "exclude *-logs" in item.completeness.method


def test_only_what_a_pattern_includes_is_in_scope(box: Box) -> None:
    found = box.collect("gcp.log_entry", "gcp.scheduler_job", projects=[], include=["*-logs"])
    assert rows(found, "gcp.log_entry") == rows(found, "gcp.scheduler_job") == []
    assert statuses(found) == {"collected"}
    assert not any("cloudscheduler" in request.path for request in box.cloud.web.log), "nobody has the API enabled"


def test_a_folder_holds_the_projects_of_the_folders_in_it(box: Box) -> None:
    found = box.collect("gcp.project", "gcp.bucket", "gcp.firewall_rule", projects=[], folders=[FOLDER[8:]])
    assert {target for _, target in found.items} == {FOLDER}
    assert [row["project"] for row in rows(found, "gcp.project")] == [PROD]
    hierarchical = [r for r in rows(found, "gcp.firewall_rule") if r["layer"] == "hierarchical policy"]
    assert hierarchical, "what is attached above the folder is learnt from the networks"


def test_a_project_that_refuses_does_not_hide_the_others(box: Box) -> None:
    box.cloud.state.denied |= {"cloudasset.assets.listResource", f"storage.buckets.list projects/{LOGS}"}
    item = box.collect("gcp.bucket", projects=[]).item("buckets", ROOT)
    assert (item.status, item.cause) == ("partial", "permission")
    assert item.reason.startswith(f"1 of 2 projects could not be read, {LOGS}: projects/{LOGS} refused storage.buckets")
    assert item.tables[0].rows == 3


def test_a_project_without_a_consolidated_policy_is_asked(box: Box) -> None:
    box.cloud.state.project(LOGS)["without_consolidated_policy"] = True
    try:
        found = box.collect("gcp.org_policy", projects=[])
    finally:
        del box.cloud.state.project(LOGS)["without_consolidated_policy"]
    assert len(rows(found, "gcp.org_policy")) == 2 * len(CONSTRAINTS)
    asked = [r.path for r in box.cloud.web.log if r.path.endswith(":getEffectivePolicy")]
    assert len(asked) == len(CONSTRAINTS) and all(f"/projects/{LOGS}/" in path for path in asked)


def test_a_project_that_is_being_deleted_is_out_of_scope(box: Box) -> None:
    box.cloud.state.project(LOGS)["state"] = "DELETE_REQUESTED"
    try:
        found = box.collect("gcp.project", "gcp.log_bucket", projects=[])
    finally:
        del box.cloud.state.project(LOGS)["state"]
    (row,) = [row for row in rows(found, "gcp.project") if not row["in_scope"]]
    assert row["left_out"] == "its state is DELETE_REQUESTED"
    assert {row["project"] for row in rows(found, "gcp.log_bucket")} == {PROD}


def test_assets_of_a_project_that_was_not_found_make_the_item_partial(box: Box) -> None:
    box.collect("gcp.bucket", projects=[])
    page = {"assets": [{"name": "//x", "assetType": "x", "ancestors": ["projects/1", ROOT], "resource": {"data": {}}}]}
    path = f"GET .*/v1/{ROOT}/assets"
    real = json.dumps({"assets": []}).encode()
    box.misbehave(path, status=200, body=real, times=1)
    box.misbehave(path, status=200, body=json.dumps(page).encode(), times=1)
    item = box.collect("gcp.bucket", projects=[]).item("buckets", ROOT)
    assert item.status == "partial"
    assert item.completeness.warnings == ("//x belongs to projects/1, which was not found",)


def test_an_organisation_that_cannot_be_read_at_all_is_denied(box: Box) -> None:
    box.cloud.state.denied |= {"cloudasset.assets.listResource", "resourcemanager.projects.list"}
    found = box.collect("gcp.bucket", "gcp.project", projects=[])
    assert {(item.status, item.cause) for item in found.items.values()} == {("denied", "permission")}


def test_the_budget_of_requests_ends_a_run_honestly(box: Box) -> None:
    found = box.collect("gcp.bucket", "gcp.redis_instance", "gcp.sql_user", "gcp.log_entry", projects=[], max_calls=3)
    assert len(box.cloud.web.log) - 1 + len(box.cloud.logs.log) <= 3 + 1  # and the token, and who asks
    spent = [item for item in found.items.values() if item.status != "collected"]
    assert spent and all("the budget of 3 requests" in item.reason and "--max-calls" in item.hint for item in spent)


@pytest.mark.parametrize("count", [1, 30])
def test_the_company_has_as_many_projects_as_it_is_told(tmp_path: Path, count: int) -> None:
    with running(company.load(projects=count), tmp_path / "company", only=("gcp",)) as sandbox:
        grown = Box(sandbox, tmp_path)
        found = grown.collect("gcp.project", "gcp.log_bucket", "gcp.log_sink")
        assert statuses(found) == {"collected"} and len(rows(found, "gcp.project")) == count
        kept = {bucket["resource"] for bucket in rows(found, "gcp.log_bucket")}
        (trail,) = [sink for sink in rows(found, "gcp.log_sink") if sink["name"] == "audit-trail"]
        assert trail["destination_bucket"] in kept


def test_a_size_that_the_company_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError, match="1 to 500 projects, not 501"):
        company.load(projects=501)
