"""An access review of the company: asked from a snapshot, answered in sheets, held against a later snapshot."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from assessment import Assessment, reassess

from compliancectl.cli import app
from compliancectl.collectors.documents import registers
from compliancectl.model.review import Asked, Campaign, Decision
from compliancectl.reviews import check, grants
from compliancectl.sandbox import company as definition

Rows = list[dict[str, str]]
GOOGLE = ("--reviewer", "gcp=platform-lead")
REVIEWERS = (
    *("--reviewer", "github=amara-okafor,bruno-keller", "--reviewer", "postgres=bruno-keller,amara-okafor"),
    *GOOGLE,
)
GRANTS = 4
"""What Elias has: the membership, and what his team may do in three repositories."""


@pytest.fixture(scope="module")
def later(healthy: Assessment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of afterwards: one member has gone."""
    company = definition.load(now=healthy.company.now)
    company.sections["github"]["people"]["elias-lind"]["role"] = "none"
    return reassess(company, tmp_path_factory.mktemp("later"), healthy, "github").run


@pytest.fixture
def campaign(healthy: Assessment, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert app.run(["reviews", "new", str(healthy.run), "-o", str(tmp_path / "review"), *REVIEWERS]) == 0
    capsys.readouterr()
    return tmp_path / "review"


def answer(campaign: Path, change: Callable[[Rows], None] | None = None) -> None:
    """Fill in the sheets, as spreadsheets do: everybody keeps everything but what `change` makes of it."""
    for file in campaign.glob("*.csv"):
        rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
        day = json.loads((campaign / "campaign.json").read_bytes())["collected_at"][:10]
        for row in rows:
            row.update(decision="keep", decided_by=file.stem, decided_on=day)
        if change:
            change(rows)
        with file.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def remove_elias(rows: Rows) -> None:
    for row in rows:
        row["decision"] = "remove" if row["principal"] == "elias-lind" else "keep"


def checked(capsys: pytest.CaptureFixture[str], campaign: Path, *more: object) -> tuple[int, dict[str, Any]]:
    code = app.run(["reviews", "check", str(campaign), "--format", "json", *map(str, more)])
    return code, json.loads(capsys.readouterr().out)


def test_everybody_is_asked_about_everything_but_their_own(campaign: Path) -> None:
    sheets = {f.stem: list(csv.DictReader(f.read_text().splitlines())) for f in campaign.glob("*.csv")}
    asked = {(row["system"], row["principal"]): who for who, rows in sheets.items() for row in rows}
    assert asked[("github", "elias-lind")] == "amara-okafor"
    assert asked[("github", "amara-okafor")] == "bruno-keller"
    assert asked[("postgres", "app")] == "bruno-keller"
    assert len({row["id"] for rows in sheets.values() for row in rows}) == sum(map(len, sheets.values()))


def test_an_unanswered_review_is_not_complete(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = checked(capsys, campaign)
    assert code == 1 and found["decided"] == 0
    assert [fault["kind"] for fault in found["faults"]] == ["undecided"] * found["grants"]


def test_a_complete_review_holds_and_asked_for_all_of_the_snapshot(
    campaign: Path, healthy: Assessment, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(campaign)
    code, found = checked(capsys, campaign, "--snapshot", healthy.run)
    assert (code, found["faults"], found["kept"]) == (0, [], found["grants"])


def test_what_was_to_go_is_shown_to_be_gone(
    campaign: Path, later: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(campaign, remove_elias)
    code, found = checked(capsys, campaign)
    assert (code, found["to_go"], found["gone"], len(found["unshown"])) == (3, GRANTS, 0, GRANTS)
    code, found = checked(capsys, campaign, "--later", later, "--register", tmp_path / "access.csv")
    assert (code, found["gone"], found["faults"]) == (0, GRANTS, [])
    removed = [
        r for r in csv.DictReader((tmp_path / "access.csv").read_text().splitlines()) if r["decision"] == "remove"
    ]
    assert all(row["gone"] and row["own"] == "no" and "elias" not in str(row) for row in removed)
    assert {row["place"] for row in removed} == {
        "larkspur-learning",
        *(f"larkspur-learning/{name}" for name in ("study-companion", "lesson-editor", "website")),
    }
    problems: list[str] = []
    kept = registers.read("access-review-register", "access.csv", (tmp_path / "access.csv").read_bytes(), problems)
    assert problems == [] and len(kept) == found["grants"]


def test_what_is_still_there_is_said(
    campaign: Path, healthy: Assessment, later: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(campaign, remove_elias)
    code, found = checked(capsys, campaign, "--as-of", "2100-01-01T00:00:00Z")
    assert code == 1 and [f["kind"] for f in found["faults"]] == ["too late"] * GRANTS
    code, found = checked(capsys, campaign, "--later", healthy.run)
    assert (code, found["gone"], len(found["unshown"])) == (3, 0, GRANTS), "there is still time"


def test_what_is_still_there_after_its_time_is_a_fault(
    campaign: Path, later: Path, healthy: Assessment, capsys: pytest.CaptureFixture[str]
) -> None:
    file = campaign / "campaign.json"
    said = json.loads(file.read_bytes())
    said["collected_at"] = f"{healthy.company.now - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
    file.write_text(json.dumps(said))
    answer(campaign, remove_elias)
    code, found = checked(capsys, campaign, "--later", healthy.run, "--within", "20d")
    assert code == 1 and [f["kind"] for f in found["faults"]] == ["not removed"] * GRANTS
    assert "elias-lind" in found["faults"][0]["says"]
    assert checked(capsys, campaign, "--later", later, "--within", "20d")[0] == 0


def blanked(rows: Rows) -> None:
    rows[0]["decision"] = ""


def own(rows: Rows) -> None:
    for row in rows:
        if row["principal"] == "amara-okafor":
            row["decided_by"] = "amara-okafor"


def stranger(rows: Rows) -> None:
    rows[0]["decided_by"] = "somebody"


def altered(rows: Rows) -> None:
    rows[0]["grant"] = "nothing much"


def unknown(rows: Rows) -> None:
    rows.append({**rows[0], "id": "AR-000000000000"})


def unclear(rows: Rows) -> None:
    rows[0]["decision"] = "perhaps"


def undated(rows: Rows) -> None:
    rows[0]["decided_on"] = "yesterday"


def too_early(rows: Rows) -> None:
    rows[0]["decided_on"] = "2000-01-01"


def twice(rows: Rows) -> None:
    rows.append({**rows[0], "decision": "remove"})


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (blanked, "undecided"), (own, "own access"), (stranger, "stranger"), (altered, "altered"), (unknown, "unknown"),
        (unclear, "unclear"), (undated, "unclear"), (too_early, "unclear"), (twice, "unclear"),
    ],
)  # fmt: skip
def test_a_review_that_does_not_hold_is_found_out(
    change: Callable[[Rows], None], kind: str, campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(campaign, change)
    code, found = checked(capsys, campaign)
    assert code == 1 and {fault["kind"] for fault in found["faults"]} == {kind}


def test_a_row_that_was_never_asked_is_found(
    campaign: Path, healthy: Assessment, later: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(campaign)
    file = campaign / "campaign.json"
    said = json.loads(file.read_bytes())
    gone = said["rows"].pop()
    file.write_text(json.dumps(said))
    code, found = checked(capsys, campaign, "--snapshot", healthy.run)
    assert code == 1 and ("not asked", gone["id"]) in {(f["kind"], f["id"]) for f in found["faults"]}
    code, found = checked(capsys, campaign, "--snapshot", later)
    assert code == 1 and found["faults"][0]["kind"] == "not asked"


def test_a_review_of_what_could_not_be_read_is_refused(
    healthy: Assessment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    company = definition.load(["members-denied"], now=healthy.company.now)
    run = reassess(company, tmp_path, healthy, "github").run
    assert app.run(["reviews", "new", str(run), "-o", str(tmp_path / "review"), *REVIEWERS]) == 3
    assert "github.member is not whole" in capsys.readouterr().err and not (tmp_path / "review").exists()


def test_the_review_is_read_aloud(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(campaign, remove_elias)
    assert app.run(["reviews", "check", str(campaign)]) == 3
    out = capsys.readouterr().out
    assert (
        f"NOT SHOWN YET {GRANTS} grants to go" in " ".join(out.split())
        and f"{GRANTS} to go, 0 of them shown to be gone" in out
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*GOOGLE, "--reviewer", "github=amara-okafor"], "amara-okafor would review their own access to github"),
        ([*GOOGLE, "--reviewer", "github=x"], "nobody reviews the access to postgres"),
        (["--reviewer", "gitlab=x"], "no system is called 'gitlab'"),
        (["--reviewer", "github"], "'github' is not understood"),
    ],
)
def test_a_campaign_that_cannot_be_honest_is_not_begun(
    arguments: list[str], says: str, healthy: Assessment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["reviews", "new", str(healthy.run), "-o", str(tmp_path / "r"), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_another_name_of_a_reviewer_is_the_same_person(healthy: Assessment, tmp_path: Path) -> None:
    arguments = [*GOOGLE, "--reviewer", "github=security,bruno-keller", "--reviewer", "postgres=bruno-keller", "--same"]
    folder = tmp_path / "review"
    assert app.run(["reviews", "new", str(healthy.run), "-o", str(folder), *arguments, "security=amara-okafor"]) == 0
    rows = list(csv.DictReader((folder / "bruno-keller.csv").read_text().splitlines()))
    assert [row["principal"] for row in rows if row["system"] == "github"] == ["amara-okafor"]


def test_grants_of_google_cloud_are_reviewed_but_not_those_of_its_own_agents() -> None:
    row = {
        "resource": "projects/p",
        "member": "user:a@x.example",
        "role": "roles/viewer",
        "service_agent": False,
        "condition": None,
    }
    found = grants(
        {"gcp.iam_binding": [row, {**row, "condition": "c"}, {**row, "service_agent": True, "role": "roles/agent"}]}
    )
    assert [(g.system, g.place, g.principal, g.grant) for g in found] == [
        ("gcp", "projects/p", "user:a@x.example", "roles/viewer"),
        ("gcp", "projects/p", "user:a@x.example", "roles/viewer if c"),
    ]


def test_grants_on_resources_are_reviewed_but_not_those_that_only_stand_for_a_role_on_the_project() -> None:
    row = {"resource": "//bucket", "role": "roles/reader", "service_agent": False, "condition": None}
    found = grants(
        {"gcp.resource_grant": [{**row, "member": "user:a@x.example"}, {**row, "member": "projectViewer:p"}]}
    )
    assert [(g.place, g.principal) for g in found] == [("//bucket", "user:a@x.example")]


def test_a_later_snapshot_without_one_of_the_tables_of_a_system_does_not_show_that_its_grants_are_gone() -> None:
    now = datetime(2026, 6, 30, tzinfo=UTC)
    row = Asked(id="AR-1", system="gcp", place="//bucket", principal="user:a", grant="roles/reader", reviewer="b")
    tables = {"gcp.iam_binding": "1", "gcp.resource_grant": "2"}
    asked = Campaign(organization="o", run_id="r", collected_at=now, tables=tables, rows=(row,))
    decision = Decision(id="AR-1", decision="remove", decided_by="b", decided_on=now.date())
    part = asked.model_copy(update={"rows": (), "tables": {"gcp.iam_binding": "3"}})
    assert check(asked, [decision], [], now, part).unshown == ("AR-1",)
    whole = part.model_copy(update={"tables": tables})
    assert check(asked, [decision], [], now, whole).gone == 1
