"""`waivers`: what was accepted, and from a gap to a waiver that works."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from claimed import WAIVERS, Call, assess, write_company

from compliancectl import assessed
from compliancectl.gaps import identity

CLAIMS = "pages: {p: {title: P}}\nclaims: [{id: C-1, text: x, page: p, testable: hybrid}]\n"
MIXED = identity("TST-02", "papers", "independent", "mixed-1.txt")
DAY = "2026-06-30T00:00:00Z"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scope = write_company(tmp_path_factory.mktemp("company"), CLAIMS)
    assess(scope, scope.parent / "run")
    return scope


def rewrite(scope: Path, place: Path, *waivers: str) -> Path:
    """The company's scope and controls with other waivers."""
    made = write_company(place, CLAIMS)
    (place / "waivers.yaml").write_text("waivers:\n" + "".join(waivers))
    return made


def waiver(**changed: str) -> str:
    values = {"id": "W-1", "control": "TST-02", "items": '["mixed-1.txt"]', "checks": "[independent]", "approver": "CISO",
              "reason": "x", "approved": "2026-06-01", "expires": "2026-07-31", **changed}  # fmt: skip
    return f"  - {{{', '.join(f'{key}: {value}' for key, value in values.items())}}}\n"


def test_each_waiver_says_how_it_stands(company: Path, tmp_path: Path, call: Call) -> None:
    scope = rewrite(
        company, tmp_path, waiver(), waiver(id="W-2", expires="2026-06-29"), waiver(id="W-3", approved="2026-07-01")
    )
    said = call("waivers", "list", "--scope", scope, "--as-of", DAY, "--format", "json")
    found = {row["id"]: (row["state"], row["days_left"]) for row in said.data}
    assert found == {"W-1": ("in force", 31), "W-2": ("expired", 0), "W-3": ("not yet approved", 31)}
    out = call("waivers", "list", "--scope", scope, "--as-of", DAY).out
    assert "W-1  TST-02  independent  until 2026-07-31 (in force, 31 days left)" in out and "3 waivers." in out


def test_what_is_wrong_with_a_waiver_is_said(company: Path, tmp_path: Path, call: Call) -> None:
    scope = rewrite(
        company, tmp_path, waiver(), waiver(id="W-2", expires="2026-06-29"), waiver(id="W-3", expires="2027-06-01"),
        waiver(id="W-4", items='["*"]'),
    )  # fmt: skip
    said = call("waivers", "check", "--scope", scope, "--as-of", DAY)
    lines = said.err.splitlines()
    assert (said.code, said.out) == (1, "4 waivers, 3 problems\n") and len(lines) == 3
    assert lines[0].endswith("waivers.yaml:3: W-2 expired on 2026-06-29. Remove it, or have it approved anew.")
    assert "W-3 holds for 365 days; at most 180 are accepted." in lines[1] and "W-4 accepts every item" in lines[2]
    assert "at most 365" not in call("waivers", "check", "--scope", scope, "--as-of", DAY, "--longest", "365").err


def test_a_waiver_made_from_a_gap_accepts_that_gap_and_no_other(company: Path, tmp_path: Path, call: Call) -> None:
    run = company.parent / "run"
    last = (assessed.read(run).results.as_of + timedelta(days=30)).date()
    reason = 'Moved: "later", said #1'
    said = call(
        "waivers", "new", run, MIXED, "--id", "W-9", "--approver", "CISO", "--reason", reason, "--expires", last
    )
    assert said.code == 0
    scope = write_company(tmp_path, CLAIMS)
    (tmp_path / "waivers.yaml").write_text(WAIVERS + said.out)
    again = assessed.read(assess(scope, tmp_path / "run")).results
    found = {w.id: w for w in again.waivers}
    assert (found["W-9"].applied, found["W-9"].reason) == (1, reason)
    (test,) = next(c for c in again.controls if c.id == "TST-02").tests
    assert (test.counts.failed, test.counts.waived, test.counts.unknown) == (0, 1, 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gap": "GAP-000000000000"}, "there is no gap 'GAP-000000000000'"),
        ({"--expires": "2020-01-01"}, "a waiver needs a reason, an approver and a day to come"),
        ({"--expires": "soon"}, "--expires: 'soon' is no day"),
        ({"--reason": " "}, "a waiver needs a reason"),
    ],
)
def test_a_waiver_that_says_too_little_is_not_begun(
    changed: dict[str, str], message: str, company: Path, call: Call
) -> None:
    given = {"gap": MIXED, "--id": "W-9", "--approver": "CISO", "--reason": "x", "--expires": "2099-01-01", **changed}
    gap = given.pop("gap")
    said = call("waivers", "new", company.parent / "run", gap, *[part for pair in given.items() for part in pair])
    assert said.code == 2 and message in said.err and said.out == ""
