"""`notify --github-issue`: one issue that lists what is open, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import daily
import pytest

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.load import load_control
from compliancectl.model.control import Control
from compliancectl.model.evidence import Window
from compliancectl.sandbox.run import environment
from compliancectl.seal import keys

START = clock.parse("2026-03-01T02:00:00Z")
EVIL = "<!-- open: --> @everyone [x](http://evil) ``` | *b*"
PLACE = "larkspur-learning/infrastructure"
MARKER = "<!-- compliancectl gaps: Larkspur Learning%2C Inc. / Larkspur Study Companion / production -->"
ME = "dilnoza-karimova"


@dataclass(frozen=True)
class Nights:
    """Bundles of one system, in the order of time."""

    bad: Path
    """TST-01 fails at two branches, TST-04 cannot be judged."""
    same: Path
    """The night after: the same."""
    better: Path
    """Only TST-04 is open."""
    good: Path
    few: Path
    """Only TST-01 is judged, and it is good."""
    huge: Path
    """More findings than an issue holds: 40 controls that all fail at 30 branches with long names."""


def control(place: Path, id: str) -> Control:
    """A control of `daily`; under an id that it does not have, the one about branches."""
    if id in daily.BODIES:
        return daily.write_control(place, id)
    model = Path(daily.write_control(place, "TST-01").file)
    file = model.with_name(f"{id}-branches.yaml")
    file.write_text(model.read_text().replace("id: TST-01", f"id: {id}", 1))
    return load_control(file)


def night(
    place: Path, number: int, private: Path, *, branches: Mapping[str, bool], denied: str | None, ids: tuple[str, ...]
) -> Path:
    at = START + timedelta(days=number)
    day = daily.Day(place / "run" / str(number), at, f"run-{number}", Window(start=START, end=at + timedelta(1)))
    day.add("git.branch", [{"resource": name, "protected": good} for name, good in branches.items()])
    day.add("cloud.bucket", [] if denied else [{"resource": "b", "public": False}], denied=denied)
    daily.judge(day, [control(place / str(number), id) for id in ids])
    return daily.seal(day, place / "bundles" / str(number), private)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    place = tmp_path_factory.mktemp("nights")
    private = keys.new_key(place / "keys").private
    both, one = ("TST-01", "TST-04"), ("TST-01",)
    broken, mended = {"main": True, "old": False, EVIL: False}, {"main": True, "old": True}
    many = {f"branch-{number:05}-" + "ß" * 400: False for number in range(30)}
    return Nights(
        bad=night(place, 0, private, branches=broken, denied="No permission.", ids=both),
        same=night(place, 1, private, branches=broken, denied="No permission.", ids=both),
        better=night(place, 2, private, branches=mended, denied="No permission.", ids=both),
        good=night(place, 3, private, branches=mended, denied=None, ids=both),
        few=night(place, 4, private, branches=mended, denied=None, ids=one),
        huge=night(place, 5, private, branches=many, denied=None, ids=tuple(f"BIG-{n:02}" for n in range(40))),
    )


@pytest.fixture
def hub(start: Callable[..., Any]) -> Any:
    """A GitHub whose account may write issues."""
    found = start()
    found.state.viewer["permissions"]["issues"] = "write"
    return found


def notify(hub: Any, *arguments: str | Path, repository: str = PLACE, **section: Any) -> int:
    scope = hub.scope(**section)
    hub.part.web.log.clear()
    with environment(hub.sandbox.env):
        return app.run(["notify", *map(str, arguments), "--github-issue", repository, "--scope", str(scope)])


def issues(hub: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.state.issues.get("infrastructure", [])
    return found


def writes(hub: Any) -> list[str]:
    """What the last command wrote; GraphQL asks by POST."""
    return [r.method for r in hub.part.web.log if r.method != "GET" and r.path != "/graphql"]


def test_the_issue_is_made_edited_closed_and_opened_again(
    hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    assert notify(hub, nights.bad) == 0
    (issue,) = issues(hub)
    url = f"https://github.com/{PLACE}/issues/{issue['number']}"
    assert capsys.readouterr().out == f"made: {url}\n"
    assert (issue["title"], issue["user"]) == ("Open controls: Larkspur Study Companion (production)", ME)
    lines = issue["body"].splitlines()
    assert lines[:2] == [MARKER, "<!-- open: TST-01 TST-04 -->"]
    assert "**2 controls are open: 1 deviates, 1 is inconclusive. 2 judged.**" in lines
    assert "| TST-01 Branches are protected | high | deviations | platform | 2 |" in lines
    assert any("No permission." in text for text in lines)
    (entry,) = [text for text in lines if EVIL in text]
    assert entry.startswith("- ```` ") and entry.endswith(" ````")  # nothing in it is markup or a mention

    assert notify(hub, nights.same) == 0
    assert (writes(hub), capsys.readouterr().out) == ([], f"nothing to do: {url}\n")

    assert notify(hub, nights.better) == 0
    assert (writes(hub), capsys.readouterr().out) == (["PATCH"], f"edited: {url}\n")
    assert "<!-- open: TST-04 -->" in issue["body"] and "run run-2, as of 2026-03-03T02:00:00Z" in issue["body"]

    assert notify(hub, nights.good) == 0
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert "**No control is open. 2 judged.**" in issue["body"]
    assert notify(hub, nights.good) == 0 and writes(hub) == []

    assert notify(hub, nights.huge) == 0
    assert (issue["state"], issue["state_reason"]) == ("open", "reopened")
    assert len(issues(hub)) == 1


def test_nothing_is_made_when_nothing_is_open(hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    assert notify(hub, nights.good) == 0
    assert (issues(hub), writes(hub)) == ([], [])
    assert capsys.readouterr().out == f"nothing to do: nothing is open, and there is no issue in {PLACE}\n"


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(
    hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    assert notify(hub, nights.bad, "--dry-run") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"would make an issue in {PLACE}\n\nOpen controls:") and MARKER in said
    assert (issues(hub), writes(hub)) == ([], [])
    assert notify(hub, nights.bad) == 0
    capsys.readouterr()
    assert notify(hub, nights.good, "--dry-run") == 0
    assert capsys.readouterr().out.startswith(f"would close https://github.com/{PLACE}/issues/")
    assert notify(hub, nights.same, "--dry-run") == 0
    assert capsys.readouterr().out.startswith("would do nothing: https://")
    assert writes(hub) == [] and issues(hub)[0]["state"] == "open"


def test_issues_of_others_are_never_touched(hub: Any, nights: Nights) -> None:
    theirs = [
        {"number": 901, "title": "Copied", "body": f"{MARKER}\nHello", "user": "bruno-keller"},
        {"number": 902, "title": "Quoted", "body": f"I saw `{MARKER}`", "user": ME},
        {"number": 903, "title": "Another system", "body": MARKER.replace("production", "staging"), "user": ME},
        {"number": 904, "title": "Nothing", "body": None, "user": ME},
    ]
    before = [{"state": "open", "state_reason": None, **it} for it in theirs]
    hub.state.issues["infrastructure"] = [dict(it) for it in before]
    for bundle in (nights.bad, nights.better, nights.good):
        assert notify(hub, bundle) == 0
    *rest, mine = issues(hub)
    assert rest == before
    assert (mine["number"], mine["state"]) == (905, "closed")


def test_of_two_the_older_is_kept_and_the_other_named(
    hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    twins = [
        {"number": n, "title": "t", "body": MARKER, "user": ME, "state": "open", "state_reason": None}
        for n in (7001, 7002)
    ]
    hub.state.issues["infrastructure"] = twins
    assert notify(hub, nights.bad) == 0
    assert f"edited: https://github.com/{PLACE}/issues/7001\nleft alone" in (said := capsys.readouterr().out)
    assert "#7002" in said and twins[1]["body"] == MARKER


def test_what_a_person_changed_in_the_list_is_put_right_and_other_ends_of_lines_are_no_change(
    hub: Any, nights: Nights
) -> None:
    assert notify(hub, nights.bad) == 0
    (issue,) = issues(hub)
    whole = issue["body"]
    issue["body"] = whole.replace("\n", "\r\n")
    assert notify(hub, nights.bad) == 0 and writes(hub) == []
    issue["body"] = whole.replace("| TST-01 Branches", "| TST-01 All good. Branches")
    assert notify(hub, nights.bad) == 0
    assert (writes(hub), issue["body"]) == (["PATCH"], whole)
    issue["state"] = "closed"  # somebody was too early
    assert notify(hub, nights.bad) == 0
    assert (issue["state"], issue["body"]) == ("open", whole)


def test_a_run_of_a_few_controls_takes_nothing_off_the_list(hub: Any, nights: Nights) -> None:
    assert notify(hub, nights.better) == 0
    assert notify(hub, nights.few) == 0
    (issue,) = issues(hub)
    assert issue["state"] == "open" and "<!-- open: TST-04 -->" in issue["body"]
    assert "**1 control is open: 1 was not judged. 1 judged.**" in issue["body"]
    assert "Open before, and not judged by this run: TST-04." in issue["body"]
    assert notify(hub, nights.few) == 0 and writes(hub) == []


def test_an_older_bundle_does_not_take_the_place_of_a_later_one(
    hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    assert notify(hub, nights.better) == 0
    assert notify(hub, nights.bad) == 2
    assert "this bundle is older" in capsys.readouterr().err and writes(hub) == []


def test_a_list_without_end_is_cut_and_says_by_how_much(hub: Any, nights: Nights) -> None:
    assert notify(hub, nights.huge) == 0
    (issue,) = issues(hub)
    body = issue["body"]
    assert 50_000 < len(body) <= 65_536
    assert body.count("\n| BIG-") == 40 and "**40 controls are open: 40 deviate. 40 judged.**" in body
    shown = body.count("\n### BIG-")
    assert body.count("- … and 5 more items in the bundle") == shown > 0
    assert f"The items of {40 - shown} more controls are in the bundle" in body
    assert "bundle" in body.rpartition("found by")[2], "the end is whole"
    assert notify(hub, nights.huge) == 0 and writes(hub) == []


# -- what goes wrong --------------------------------------------------------------------------------------------------


def refused(hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str], **more: Any) -> str:
    """The message of a command that GitHub refuses, after which no issue is there."""
    capsys.readouterr()
    assert notify(hub, nights.bad, **more) == 3
    assert issues(hub) == []
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_without_the_permission_it_is_named(hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    hub.state.viewer["permissions"]["issues"] = "read"
    assert "Grant the token the permission issues=write." in refused(hub, nights, capsys)
    del hub.state.viewer["permissions"]["issues"]
    assert "Grant the token the permission issues=read." in refused(hub, nights, capsys)


def test_a_repository_that_takes_no_issue(hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist, or this token may not see it" in refused(
        hub, nights, capsys, repository="larkspur-learning/none"
    )
    it = hub.state.repositories["infrastructure"]
    it["has_issues"] = False
    assert "keeps no issues: they are switched off" in refused(hub, nights, capsys)
    it |= {"has_issues": True, "archived": True}
    assert "is archived and takes no issues" in refused(hub, nights, capsys)


def test_issues_that_are_switched_off_in_between(hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"message": "Issues has been disabled in this repository.", "status": "410"}'
    hub.misbehave(r"POST /repos/.*/issues$", status=410, body=body)
    assert "Issues has been disabled" in refused(hub, nights, capsys)


def test_a_connection_that_breaks_makes_no_second_issue(
    hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.misbehave(r"POST /repos/.*/issues$", kind="disconnect", times=1)
    assert notify(hub, nights.bad) == 3
    assert "Whether the issue was made is not known" in capsys.readouterr().err
    assert writes(hub) == ["POST"] and len(issues(hub)) == 1
    assert notify(hub, nights.bad) == 0
    assert "nothing to do" in capsys.readouterr().out and len(issues(hub)) == 1


def test_an_edit_is_repeated_when_github_is_busy(hub: Any, nights: Nights) -> None:
    assert notify(hub, nights.bad) == 0
    hub.misbehave(r"PATCH ", status=502, times=1)
    assert notify(hub, nights.better) == 0
    assert writes(hub) == ["PATCH", "PATCH"]


def test_a_public_repository_wants_a_word(hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    hub.state.repositories["infrastructure"]["visibility"] = "public"
    assert notify(hub, nights.bad) == 2
    assert "everybody can read" in capsys.readouterr().err and issues(hub) == []
    assert notify(hub, nights.bad, "--public") == 0 and len(issues(hub)) == 1


def test_a_token_of_its_own_writes(
    hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        notify(hub, nights.bad, "--token-env", "ISSUES_TOKEN", app={"id": 1, "private_key": "none", "installation": 2})
        == 3
    )
    assert "ISSUES_TOKEN is not set" in capsys.readouterr().err
    monkeypatch.setenv("ISSUES_TOKEN", hub.sandbox.env["GITHUB_TOKEN"])
    assert (
        notify(hub, nights.bad, "--token-env", "ISSUES_TOKEN", app={"id": 1, "private_key": "none", "installation": 2})
        == 0
    )
    assert len(issues(hub)) == 1


def test_an_app_finds_its_own_issue(hub: Any, nights: Nights) -> None:
    section = {"app": hub.part.make_app(hub.sandbox.scope_file.parent)}
    assert notify(hub, nights.bad, **section) == 0
    assert [it["user"] for it in issues(hub)] == ["larkspur-compliance[bot]"]
    assert notify(hub, nights.same, **section) == 0 and writes(hub) == ["POST"]  # for the token only
    assert notify(hub, nights.same) == 0
    assert [it["user"] for it in issues(hub)] == ["larkspur-compliance[bot]", ME], "another account, another issue"


def test_the_message_goes_to_stdout_and_the_issue_is_told_beside_it(
    hub: Any, nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    assert notify(hub, nights.bad, nights.better, "--as", "slack") == 0
    said = capsys.readouterr()
    assert said.out.startswith("{") and "made: https://" in said.err
    assert notify(hub, nights.same, nights.same, "--only-turns") == 2, "older than what the issue says"
    assert notify(hub, nights.better, nights.better, "--only-turns") == 0
    said = capsys.readouterr()
    assert said.out == "" and "nothing to do" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only-turns", "--github-issue", PLACE], "a message is about two bundles"),
        (["--dry-run"], "a message is about two bundles"),
        (["AFTER", "--dry-run"], "are about an issue"),
        (["AFTER", "AFTER"], "3 bundles are given"),
        (["--github-issue", "no repository"], "is no repository"),
        (["--github-issue", PLACE, "--scope", "none.yaml"], "there is no scope file"),
    ],
)
def test_arguments_that_do_not_fit(
    nights: Nights, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    after = str(nights.bad)
    assert app.run(["notify", after, *[after if a == "AFTER" else a for a in arguments]]) == 2
    assert said in capsys.readouterr().err


def test_the_scope_is_that_of_the_bundle(
    hub: Any, nights: Nights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = hub.scope()
    other = tmp_path / "other.yaml"
    other.write_text(scope.read_text().replace("environment: production", "environment: staging"))
    command = ["notify", str(nights.bad), "--github-issue", PLACE, "--scope", str(other)]
    assert app.run(command) == 2
    assert "the bundle is of Larkspur Learning, Inc., Larkspur Study Companion, production;" in capsys.readouterr().err
