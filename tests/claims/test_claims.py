"""What the evidence makes of public sentences: derived from results alone, and never kinder than they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import jsonschema_rs
import pytest
from claimed import KINDS, Call, assess, paper, write_company

from compliancectl import load
from compliancectl.errors import FileError
from compliancectl.model.control import Control
from compliancectl.resources import controls_folder
from compliancectl.schemas import schemas

CLAIMS = {
    "all hold": ("TST-01", "own", "hybrid", "evidenced"),
    "one item fails, another is unknown": ("TST-02", "own", "automatic", "contradicted"),
    "one item is unknown": ("TST-03", "own", "automatic", "unproven"),
    "nothing occurred": ("TST-04", "own", "automatic", "unproven"),
    "one holds, of the other nothing occurred": ("TST-01, TST-04", "own", "automatic", "evidenced"),
    "nothing is there that should be": ("TST-05", "own", "automatic", "unproven"),
    "what fails was accepted": ("TST-06", "own", "automatic", "contradicted"),
    "no such control": ("TST-99", "own", "automatic", "unproven"),
    "one holds, the other does not exist": ("TST-01, TST-99", "own", "hybrid", "unproven"),
    "one fails, the other does not exist": ("TST-99, TST-02", "own", "hybrid", "contradicted"),
    "no control at all": ("", "own", "attested", "unproven"),
    "kept by a vendor": ("TST-01", "vendor", "attested", "inherited"),
    "a vendor fails": ("TST-02", "vendor", "attested", "contradicted"),
    "announced": ("TST-01", "plan", "attested", "planned"),
    "announced without evidence": ("TST-99", "plan", "attested", "unproven"),
    "nothing to test": ("TST-02", "own", "statement", "not testable"),
    "the test that holds": ("TST-01.papers", "own", "hybrid", "evidenced"),
    "the check that holds": ("TST-02.papers.named", "own", "hybrid", "evidenced"),
    "the check that holds beside an unknown one": ("TST-03.papers.named", "own", "hybrid", "evidenced"),
    "the check that fails": ("TST-02.papers.independent", "own", "hybrid", "contradicted"),
    "the check that is unknown": ("TST-03.papers.independent", "own", "hybrid", "unproven"),
    "a check without items": ("TST-05.papers.named", "own", "hybrid", "unproven"),
}
"""Sentence → controls, basis, testable, and the status that it must then have."""


def register() -> str:
    lines = ["pages: {security: {title: Security}}", "claims:"]
    for number, (text, (controls, basis, testable, _)) in enumerate(CLAIMS.items(), 1):
        lines.append(
            f'  - {{id: C-{number:03}, text: "{text}", page: security, testable: {testable}, basis: {basis}, '
            f"controls: [{controls}]}}"
        )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The company assessed once."""
    place = tmp_path_factory.mktemp("company")
    return assess(write_company(place, register()), place / "run")


@pytest.fixture(scope="module")
def controls(run: Path) -> tuple[Control, ...]:
    return load.load_controls([run.parent / "mine"])


def test_every_status_follows_from_the_results(run: Path, call: Call) -> None:
    said = call("claims", run, "--format", "json")
    found = {claim["text"]: claim["status"] for claim in said.data["claims"]}
    assert found == {text: status for text, (*_, status) in CLAIMS.items()}
    assert said.code == 3, "something is unproven"
    made = schemas()["docs/schema/claims-result.schema.json"]
    assert list(jsonschema_rs.validator_for(made.decode()).iter_errors(said.data)) == []


def test_a_contradiction_shows_the_item_that_contradicts(run: Path, call: Call) -> None:
    out = call("claims", run, "--status", "contradicted").out
    assert "✕ TST-02  1 of 3 items: mixed-1.txt is not independent." in out
    assert "✕ TST-06  1 of 2 items: accepted-1.txt is not independent. Waiver W-1 accepts it." in out
    assert "“all hold”" not in out


def test_the_text_counts_every_sentence(run: Path, call: Call) -> None:
    out = call("claims", "show", run).out
    counts = Counter(status for *_, status in CLAIMS.values())
    for status, count in counts.items():
        assert f"{count} {status}" in out
    assert all(f"“{text}”" in out for text in CLAIMS)
    testable = len(CLAIMS) - counts["not testable"]
    supported, contradicted = counts["evidenced"], counts["contradicted"]
    assert f"Of {testable} public sentences that can be true or false" in out
    assert f"supports {supported} and contradicts {contradicted};" in out


def test_the_exit_code_is_that_of_the_worst_sentence(tmp_path: Path, run: Path, call: Call) -> None:
    for controls, code in (("TST-01", 0), ("TST-02", 1), ("TST-99", 3)):
        file = tmp_path / f"{code}.yaml"
        file.write_text(
            f"pages: {{p: {{title: P}}}}\nclaims: [{{id: C-1, text: x, page: p, testable: hybrid, controls: [{controls}]}}]\n"
        )
        assert call("claims", run, "--register", file).code == code


def test_the_register_that_was_judged_by_travels_with_the_results(run: Path, call: Call) -> None:
    kept = run / "catalog" / "claims.yaml"
    assert kept.read_text() == register()
    assert call("claims", run, "--format", "json").data["register_sha256"] == load.load_claims(kept).sha256


def test_since_when_a_status_holds(tmp_path: Path, call: Call) -> None:
    claim = "{id: C-1, text: x, page: p, testable: hybrid, controls: [TST-01]}"
    scope = write_company(tmp_path, f"pages: {{p: {{title: P}}}}\nclaims: [{claim}]\n")
    runs = []
    for number, independent in enumerate((False, True, False, False)):
        paper(tmp_path, "good", 0, independent)
        runs.append(assess(scope, tmp_path / f"run-{number}"))
    instants = [call("claims", run, "--format", "json").data["as_of"] for run in runs]
    earlier = [part for run in (runs[2], runs[0], runs[1]) for part in ("--earlier", run)]
    (found,) = call("claims", runs[3], *earlier, "--format", "json").data["claims"]
    assert (found["status"], found["since"]) == ("contradicted", instants[2])
    (found,) = call("claims", runs[1], "--earlier", runs[0], "--format", "json").data["claims"]
    assert (found["status"], found["since"]) == ("evidenced", instants[1])
    assert f"since {instants[2][:10]}" in call("claims", runs[3], *earlier).out
    assert "since" not in call("claims", runs[3], "--format", "json").data["claims"][0], "one assessment tells nothing"


def test_another_system_says_nothing_about_this_one(run: Path, tmp_path: Path, call: Call) -> None:
    scope = write_company(tmp_path, register())
    scope.write_text(scope.read_text().replace("Study Companion", "Another"))
    other = assess(scope, tmp_path / "run")
    said = call("claims", run, "--earlier", other)
    assert said.code == 2 and "not about the same system: Another, not Study Companion" in said.err


def test_without_evidence_the_register_is_listed(call: Call, tmp_path: Path) -> None:
    scope = write_company(tmp_path, register())
    said = call("claims", "--scope", scope)
    assert said.code == 0 and f"{len(CLAIMS)} public sentences." in said.out
    assert "status" not in str(call("claims", "--scope", scope, "--format", "json").data)


@pytest.mark.parametrize("arguments", [["nowhere"], ["."], ["--status", "evidensed"]])
def test_what_cannot_be_read_is_said(arguments: list[str], call: Call, tmp_path: Path) -> None:
    said = call(
        "claims", *[str(tmp_path / "x") if a == "nowhere" else str(tmp_path) if a == "." else a for a in arguments]
    )
    assert said.code in (2, 3) and said.err.startswith("error: ") and "hint: " in said.err and said.out == ""


MISTAKES = {
    "a misspelt key": ("testable: hybrid", "testabel: hybrid", 'Did you mean "testable"?'),
    "a status is never declared": ("testable: hybrid", "testable: hybrid, status: evidenced", 'Unknown key "status"'),
    "an unknown page": ("page: security", "page: securty", 'There is no page "securty". Did you mean "security"?'),
    "a test that does not exist": (
        "[TST-01.papers]",
        "[TST-01.paper]",
        'TST-01 has no test "paper". Did you mean "papers"?',
    ),
    "a check that does not exist": ("papers.named]", "papers.nameed]", 'has no check "nameed". Did you mean "named"?'),
    "no id of a control": ("[TST-05]", "[tst05]", '"tst05" names no control.'),
    "an id that stands twice": ("id: C-002", "id: C-001", "Two claims are called C-001; the first is on line 3."),
    "a sentence that stands twice": ("one item is unknown", "all hold", "stands twice; the first is on line 3."),
    "an empty sentence": ('text: "all hold"', 'text: " "', "claims[1].text is empty."),
    "an unknown basis": ("basis: plan", "basis: plann", "basis must be one of own, vendor or plan"),
    "no claims": (register().partition("claims:")[2], " []\n", "claims is empty"),
    "a page that is no address": ("{title: Security}", '{title: x, url: "ftp://x"}', "pages.security.url must match"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_register_is_named_with_its_line(
    name: str, tmp_path: Path, controls: tuple[Control, ...]
) -> None:
    right, wrong, message = MISTAKES[name]
    text = register()
    assert right in text
    changed = text.replace(right, wrong, 1)
    line = next(n for n, (a, b) in enumerate(zip(text.splitlines(), changed.splitlines(), strict=False), 1) if a != b)
    file = tmp_path / "claims.yaml"
    file.write_text(changed)
    with pytest.raises(FileError) as caught:
        load.load_claims(file, controls)
    assert f"{file}:{min(line, 2) if name == 'no claims' else line}: " in str(caught.value)
    assert message in f"{caught.value} {caught.value.hint or ''}"


def test_a_wrong_register_stops_a_run_before_anything_is_collected(tmp_path: Path, call: Call) -> None:
    scope = write_company(tmp_path, register().replace("page: security", "page: nowhere", 1))
    said = call("collect", "--scope", scope, "--output", tmp_path / "run")
    assert said.code == 2 and "claims.yaml:3" in said.err and not (tmp_path / "run").exists()


def test_the_register_that_ships_is_whole() -> None:
    shipped = load.load_claims(controls_folder() / "claims.yaml", load.load_controls([controls_folder()]))
    assert [claim.id for claim in shipped.claims] == [f"C-{number:03}" for number in range(1, 168)]
    kinds = Counter(claim.testable for claim in shipped.claims)
    assert kinds == {"automatic": 57, "hybrid": 59, "attested": 41, "statement": 10}
    assert all(claim.controls for claim in shipped.claims)
    assert all(claim.basis == "own" for claim in shipped.claims if claim.testable in ("automatic", "hybrid"))


def test_the_kinds_of_the_company_are_all_used() -> None:
    named = {part.strip().partition(".")[0] for controls, *_ in CLAIMS.values() for part in controls.split(",")}
    assert set(KINDS) <= named
