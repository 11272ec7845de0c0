"""A period as a sealed package: verified, sampled and reported on by whoever receives it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import daily
import duckdb
import keyless
import pypdf
import pytest

from compliancectl import canonical, clock, disk, resources
from compliancectl.cli import app
from compliancectl.load import load_frameworks
from compliancectl.model.evidence import Window
from compliancectl.model.period import Period
from compliancectl.seal import additions, archive, container, dsse, keys, sums

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 5
PERIOD = ["--from", "2026-03-01", "--to", "2026-03-06"]


def night(number: int) -> datetime:
    return START + timedelta(days=number, hours=2)


@dataclass(frozen=True)
class Made:
    """Bundles of five nights and the one after, and the package of the five."""

    place: Path

    @property
    def bundles(self) -> Path:
        return self.place / "bundles"

    @property
    def package(self) -> Path:
        return self.place / "package"

    @property
    def archive(self) -> Path:
        return self.place / "package.zip"

    @property
    def public(self) -> str:
        return str(self.place / "keys.pub.pem")

    def seal(self, name: str) -> int:
        out = ["--package", str(self.place / name), "--zip", str(self.place / f"{name}.zip")]
        signer = ["--sign-with", str(self.place / "keys.pem"), "--key", self.public]
        return app.run(["period", str(self.bundles), *PERIOD, *out, *signer])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """`old` is unprotected in the nights 1 and 2; night 3 has a merge without approval; the window after it closes."""
    place = tmp_path_factory.mktemp("package")
    private = keys.new_key(place / "keys").private
    controls = [daily.write_control(place, id) for id in ("TST-01", "TST-02")]
    frameworks = load_frameworks(resources.controls_folder() / "frameworks")
    for number in range(DAYS + 1):
        since = START if number == 0 else night(number - 1)
        day = daily.Day(place / "run" / str(number), night(number), f"run-{number}", Window(start=START, end=night(9)))
        day.add(
            "git.branch", [{"resource": n, "protected": n != "old" or number not in (1, 2)} for n in ("main", "old")]
        )
        merges = [{"resource": f"app#{number}", "merged": since, "approvals": int(number != 3), "title": "=Work"}]
        day.add("git.merge", merges, window=Window(start=since, end=night(number)))
        daily.judge(day, controls, frameworks=frameworks if number == DAYS - 1 else ())
        daily.seal(day, place / "bundles" / str(number), private, place / "bundles" / "4.zip" if number == 4 else None)
    found = Made(place)
    assert found.seal("package") == 1
    return found


def test_it_verifies_and_so_does_the_bundle_in_it(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (made.package, made.archive):
        assert app.run(["verify", str(path), "--key", made.public]) == 0
    said = capsys.readouterr().out
    assert "5 captures; counts agree" in said and "The last bundle, which it encloses" in said
    assert app.run(["verify", str(made.package)]) == 3
    capsys.readouterr()
    assert app.run(["verify", str(made.package), "--key", made.public, "--format", "json"]) == 0
    outer, inner = json.loads(capsys.readouterr().out)
    assert outer["signer"]["key_id"] == inner["signer"]["key_id"] and inner["run"]["id"] == "run-4"


def test_the_same_bundles_give_the_same_bytes(made: Made) -> None:
    assert made.seal("again") == 1
    assert (made.place / "again.zip").read_bytes() == made.archive.read_bytes()
    assert made.seal("again") == 2, "never over another"


def test_populations_hold_every_item_once_by_its_worst_outcome(made: Made) -> None:
    found: dict[str, dict[str, str]] = {}
    for file in sorted((made.package / "populations").iterdir()):
        lines = [json.loads(line) for line in file.read_bytes().splitlines()]
        found[file.name] = {line["resource"]: line["outcome"] for line in lines}
    assert found == {
        "TST-01.protected-branches.jsonl": {"main": "pass", "old": "fail"},
        # the merge of the night after is there: the events of the last day are collected on the day after
        "TST-02.reviewed-merges.jsonl": {f"app#{n}": "fail" if n == 3 else "pass" for n in range(6)},
    }
    rows = list(csv.DictReader((made.package / "populations.csv").open(newline="")))
    assert [(row["Items"], row["Fail"], row["Kind"]) for row in rows] == [("2", "1", "state"), ("6", "1", "events")]
    (first, second) = csv.DictReader((made.package / "exceptions.csv").open(newline=""))
    assert (first["Resource"], first["Captures"], first["Hours"]) == ("old", "2", "48")
    assert (second["Resource"], second["Hours"]) == ("app#3", "")


def altered(package: Path) -> str:
    file = package / "populations" / "TST-01.protected-branches.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"fail"', b'"pass"'))
    return "populations/TST-01.protected-branches.jsonl was altered"


def added(package: Path) -> str:
    (package / "note.txt").write_text("All is well.")
    return "note.txt is not listed in SHA256SUMS"


def removed(package: Path) -> str:
    (package / "ledger.csv").unlink()
    return "ledger.csv is missing"


def relisted(package: Path) -> str:
    altered(package)
    files = {name: canonical.sha256_file(package / name) for name in sums.parse((package / sums.NAME).read_bytes())}
    (package / sums.NAME).write_bytes(sums.write(files))
    return "SHA256SUMS is not the list that was signed"


def reworded(package: Path) -> str:
    file = package / "seal" / "statement.json"
    file.write_bytes(file.read_bytes().replace(b'"deviations"', b'"no deviations"'))
    return "is not what the signed envelope holds"


@pytest.mark.parametrize("change", [altered, added, removed, relisted, reworded])
def test_what_was_changed_is_named(
    change: Callable[[Path], str], made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = Path(shutil.copytree(made.package, tmp_path / "package"))
    said = change(package)
    assert app.run(["verify", str(package), "--key", made.public]) == 4
    assert said in capsys.readouterr().out


def resealed(made: Made, package: Path, change: Callable[[Any], None] = lambda predicate: None) -> None:
    """Seal an altered package with the right key: what remains is whether its records agree."""
    listed = sums.parse((package / sums.NAME).read_bytes())
    listing = sums.write({name: canonical.sha256_file(package / name) for name in listed})
    statement = json.loads((package / "seal/statement.json").read_bytes())
    statement["subject"][0]["digest"]["sha256"] = canonical.sha256(listing)
    change(statement["predicate"])
    envelope = dsse.sign(canonical.to_bytes(statement), keys.load_private(made.place / "keys.pem").private)
    (package / sums.NAME).write_bytes(listing)
    for name, data in (
        ("seal/statement.json", envelope.payload),
        ("seal/statement.pae", envelope.pae),
        ("seal/statement.sig", envelope.signature),
        (disk.SEALED_BY, envelope.to_line()),
    ):
        (package / name).write_bytes(data)


def test_a_seal_over_records_that_disagree_does_not_verify(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = Path(shutil.copytree(made.package, tmp_path / "package"))
    resealed(made, package)
    assert app.run(["verify", str(package), "--key", made.public]) == 0
    resealed(made, package, lambda predicate: predicate.update(outcome="no deviations"))
    assert app.run(["verify", str(package), "--key", made.public]) == 4
    assert "period.json and the statement differ in the outcome" in capsys.readouterr().out
    altered(package)
    resealed(made, package, lambda predicate: predicate.update(outcome="deviations"))
    assert app.run(["verify", str(package), "--key", made.public]) == 4
    assert "does not hold as many items as period.json counts" in capsys.readouterr().out


def test_another_signer_is_not_the_one_that_is_trusted(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = keys.new_key(tmp_path / "other")
    assert app.run(["verify", str(made.package), "--key", str(other.public)]) == 4
    assert "not one that you trust" in capsys.readouterr().out


def test_a_sample_is_drawn_from_the_whole_period_and_can_be_drawn_again(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "sample.json"
    arguments = ["sample", "TST-02", str(made.archive), "--seed", "engagement 17", "--size", "3", "--key", made.public]
    assert app.run([*arguments, "-o", str(out)]) == 0
    sample = json.loads(out.read_bytes())
    assert (sample["population"], sample["size"], sample["items_path"]) == (
        6,
        3,
        "populations/TST-02.reviewed-merges.jsonl",
    )
    assert (sample["period"]["start"][:10], sample["period"]["end"][:10]) == ("2026-03-01", "2026-03-06")
    sql = sample["sql"].replace("read_json('", f"read_json('{made.package}/")
    assert [row[0] for row in duckdb.sql(sql).fetchall()] == [item["resource"] for item in sample["items"]]


def test_a_package_beside_its_bundles_is_none_of_them(made: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made.bundles, tmp_path / "all"))
    shutil.copytree(made.package, folder / "period")
    shutil.copy(made.archive, folder / "period.zip")
    out = tmp_path / "period.json"
    assert app.run(["period", str(folder), *PERIOD, "-o", str(out)]) == 1
    assert {entry.bundle for entry in Period.model_validate_json(out.read_bytes()).ledger} == {
        "0", "1", "2", "3", "4", "4.zip", "5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["report", "type2", "bundles/4", "-o", "x.pdf"], "is no period package"),
        (["report", "assessment", "package", "-o", "x.pdf"], "is a period package"),
        (["period", "bundles", *PERIOD, "--zip", "x.zip"], "Give --package too"),
        (["period", "bundles", *PERIOD, "--package", "x"], "no signing key is named"),
        (["report", "type2", "package", "--sample", "other.json", "-o", "x.pdf"], "not drawn from this package"),
    ],
)
def test_mistakes(
    arguments: list[str], part: str, made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made.place)
    monkeypatch.delenv("COMPLIANCECTL_SIGNING_KEY", raising=False)
    if "other.json" in arguments:
        assert app.run(["sample", "TST-02", "bundles/4", "--seed", "s", "-o", "other.json"]) == 0
    assert app.run(arguments) == 2
    assert part in capsys.readouterr().err and not (made.place / "x.pdf").exists()


@pytest.fixture(scope="module")
def sample(made: Made) -> Path:
    """A sample of the merges, drawn from the package."""
    out = made.place / "sample.json"
    assert (
        app.run(["sample", "TST-02", str(made.package), "--seed", "engagement 17", "--size", "3", "-o", str(out)]) == 0
    )
    return out


def test_the_report_tells_the_period(made: Made, sample: Path) -> None:
    out = made.place / "type2.pdf"
    assert app.run(["report", "type2", str(made.archive), "--sample", str(sample), "-o", str(out)]) == 0
    reader = pypdf.PdfReader(out)
    pages = [" ".join(page.extract_text().split()) for page in reader.pages]
    text = " ".join(pages)
    assert "from 5 runs within the period" in text and "1 March 2026 to 5 March 2026" in pages[0]
    (exceptions,) = [page for page in pages if "Compensating controls" in page]
    assert "old Branch old is not protected." in exceptions and "at most 2 days" in exceptions
    assert "app#3" in exceptions and "an event" in exceptions
    assert exceptions.index("app#3") < exceptions.index("Branch old is not"), "the critical control first"
    assert "Evidence read by the last run" in text and "reviewed-merges.jsonl in the period package" in text
    (continuity,) = [page for page in pages if "How each control was over the period" in page]
    assert "Deviations in 2 captures, 2026-03-02 to 2026-03-04." in continuity
    (populations,) = [page for page in pages if "Samples are drawn from these files" in page]
    assert "6 items: 5 pass, 1 fail" in populations and "without a gap in the period" in populations
    (samples,) = [page for page in pages if "drawn from the populations of this package" in page]
    assert "3 of 6 items of reviewed-merges" in samples and "engagement 17" in samples and "[a] reviewed" in samples
    (ledger,) = [page for page in pages if "7 bundles were found; 5 are captures" in page]
    assert "an instant outside the period" in ledger and "run-4" in ledger
    assert {"period.json", "ledger.csv", "exceptions.csv", "SHA256SUMS", "results.json"} <= reader.attachments.keys()
    assert json.loads(reader.attachments["period.json"][0]) == json.loads((made.package / "period.json").read_bytes())


def test_the_same_in_html(made: Made, sample: Path) -> None:
    out, brand = made.place / "type2.html", made.place / "brand"
    brand.mkdir()
    (brand / "brand.yaml").write_text('accent: "#7a1f5c"\n')
    more = ["--html", "--sample", str(sample), "--brand", str(brand)]
    assert app.run(["report", "type2", str(made.package), *more, "-o", str(out)]) == 0
    text = out.read_text()
    for part in ("Controls over a period", 'id="continuity"', "at most 2 days", "Compensating controls", "=Work"):
        assert part in text
    assert "http://" not in text.replace("http://www.w3.org", "") and text.count("<svg") >= 5


def test_the_identity_of_a_job_seals_a_package(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    services = keyless.Services(made.place / "sigstore", START, max(now, night(DAYS + 1)))
    root, policy, out = services.trust_file(), made.place / "identity.yaml", made.place / "by-a-job"
    with services.serving() as server:
        for name, value in server.job().items():
            monkeypatch.setenv(name, value)
        signer = ["--sign-with", f"sigstore:{server.config(made.place / 'config.json')}", "--key", made.public]
        assert app.run(["period", str(made.bundles), *PERIOD, "--package", str(out), *signer]) == 1
    whose = f"identities: [{{name: CI, issuer: '{keyless.ISSUER}', identity: '%s', trusted_root_file: '{root}'}}]\n"
    bundles = f"version: 1\nkeys: [{{key_file: '{made.public}', name: nightly}}]\n"
    policy.write_text(bundles + whose % keyless.WORKFLOW)
    capsys.readouterr()
    assert app.run(["verify", str(out), "--trust", str(policy)]) == 0
    assert f"Signed by {keyless.WORKFLOW}" in capsys.readouterr().out.replace("\n", " ")
    policy.write_text(bundles + whose % keyless.WORKFLOW.replace("main", "try"))
    assert app.run(["verify", str(out), "--trust", str(policy)]) == 4
    stray = out / additions.identity_name("0" * 64)
    stray.write_text("{}")
    assert app.run(["verify", str(out)]) == 4
    assert "is about a key that signed nothing here" in capsys.readouterr().out.replace("\n", " ")


def test_a_key_that_was_not_trusted_any_more_seals_no_package(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    policy = made.place / "expired.yaml"
    for until, code in (("2026-03-07", 0), ("2026-03-05", 4)):
        policy.write_text(
            f"version: 1\nkeys: [{{key_file: '{made.public}', name: CI, valid_until: {until}T00:00:00Z}}]\n"
        )
        assert app.run(["verify", str(made.package), "--trust", str(policy)]) == code
    assert "You trust the key 'CI', but not for" in capsys.readouterr().out.replace("\n", " ")


def test_the_enclosed_bundle_is_the_last_one_even_when_the_seal_is_by_the_right_key(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = Path(shutil.copytree(made.package, tmp_path / "package"))
    with (package / "last-bundle.zip").open("wb") as stream:
        archive.write(container.Folder(made.bundles / "3"), "run-3", stream)
    resealed(made, package)
    assert app.run(["verify", str(package), "--key", made.public]) == 4
    assert "last-bundle.zip is not the bundle with which the period ended" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("day", "code", "part"),
    [
        ("2026-03-20", 0, "its period ended at most 20 days ago; how old the bundle is that it encloses is not asked"),
        ("2026-04-20", 4, "The period ended 2026-03-06T00:00:00Z, more than 20 days ago"),
        ("2026-03-05", 4, "The period ended 2026-03-06T00:00:00Z, which is in the future"),
    ],
)
def test_how_old_a_package_may_be_counts_from_the_end_of_its_period(
    made: Made, day: str, code: int, part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = made.place / "fresh.yaml"
    policy.write_text(f"version: 1\nkeys: [{{key_file: '{made.public}', name: CI}}]\nrequire: {{max_age_days: 20}}\n")
    monkeypatch.setattr(clock, "now", lambda: clock.parse(day))
    assert app.run(["verify", str(made.package), "--trust", str(policy)]) == code
    said = " ".join(capsys.readouterr().out.split())
    assert part in said and ("● verified" in said) == (code == 0)


@pytest.mark.parametrize(
    ("require", "code", "part"),
    [
        ("{}", 0, "It is about what you ask for"),
        ("{organization: Somebody else}", 4, "you ask for 'Somebody else'"),
        ("{signers: [CI]}", 0, "It is about what you ask for"),
        ("{signers: [CI, Lead]}", 4, "no signature of Lead"),  # the enclosed bundle can hold it, and does not
        ("{complete: true}", 0, "It is about what you ask for"),
    ],
)
def test_what_a_policy_asks_is_asked_of_the_package_too(
    made: Made, require: str, code: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, other = made.place / "asks.yaml", keys.new_key(made.place / "lead", force=True).public
    known = f"[{{key_file: '{made.public}', name: CI}}, {{key_file: '{other}', name: Lead}}]"
    policy.write_text(f"version: 1\nkeys: {known}\nrequire: {require}\n")
    assert app.run(["verify", str(made.package), "--trust", str(policy)]) == code
    said = " ".join(capsys.readouterr().out.split())
    assert part in said and ("does not hold" in said) == ("Lead" in require)
