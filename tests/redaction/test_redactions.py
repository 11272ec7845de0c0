"""Pseudonyms and their openings through the command line: what is proved, what is not given away, what cannot be abused."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from schema import faults

from compliancectl import canonical, redaction, store
from compliancectl.cli import app
from compliancectl.query.rows import read_rows
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import environment, running
from compliancectl.seal import keys

SELECT = ["--only", "DB-03", "--only", "BCP-04", "--only", "IAM-08"]
PUPIL, CONTRACTOR = "seeded-person@pupils.example", "seeded-person@contractor.example"


@dataclass(frozen=True)
class Place:
    """Two runs of the company with one folder of openings, the first of them sealed."""

    folder: Path
    key: Path
    public: Path

    @property
    def openings(self) -> Path:
        return self.folder / "openings"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def copy(self, tmp_path: Path) -> Path:
        """A copy of the openings, to destroy some."""
        return Path(shutil.copytree(self.openings, tmp_path / "openings"))

    def name(self, value: str) -> str:
        return next(o.pseudonym for o in redaction.read(self.openings) if o.value == value)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("redaction")
    made = keys.new_key(folder / "ci")
    place = Place(folder, made.private, made.public)
    with running(definition.load(), folder / "company", only=("gcp", "github")) as box, environment(box.env):
        scope = ["--scope", str(box.scope_file), *SELECT]
        collect = ["collect", "--openings", str(place.openings), "--scope", str(box.scope_file)]
        assert app.run([*collect, *SELECT, "-o", str(folder / "first")]) == 0
        assert app.run([*collect, *SELECT[:4], "-o", str(folder / "second")]) == 0
        assert app.run(["evaluate", str(folder / "first"), *scope]) in (0, 1, 3)
        inside = ["collect", *scope, "--openings", str(folder / "third/openings"), "-o", str(folder / "third")]
        assert app.run(inside) == 2, "the openings would be handed over with the run"
        seal = ["bundle", str(folder / "first"), "--key", str(made.private), "-o", str(place.bundle)]
        assert app.run([*seal, "--zip", str(folder / "bundle.zip")]) == 0
        again = ["reperform", str(place.bundle), "--seed", "s", "--scope", str(box.scope_file), "--key"]
        with (folder / "again.json").open("w") as stream, redirect_stdout(stream):
            assert app.run([*again, str(made.public), "--sample", "8", "--format", "json"]) == 0
    yield place


def run(*arguments: str | Path) -> int:
    return app.run([str(argument) for argument in arguments])


def opened(place: Place, output: Path, value: str = PUPIL) -> Path:
    openings = ("--openings", place.openings)
    assert run("redactions", "open", place.bundle, place.name(value), *openings, "-o", output) == 0
    return output


def test_people_are_pseudonyms_in_every_byte_and_the_same_in_every_run(place: Place) -> None:
    values = {opening.value for opening in redaction.read(place.openings)}
    assert {PUPIL, CONTRACTOR} < values and len(values) > 2
    for part in ("first", "second", "bundle"):
        files = [file for file in (place.folder / part).rglob("*") if file.is_file()]
        assert len(files) > 10
        for file in files:
            text = str(read_rows(file)) if file.suffix == ".parquet" else file.read_text(errors="replace")
            assert not any(value in text for value in values), file
    users = [read_rows(f) for f in (place.folder / "first").rglob("gcp.sql_user.parquet")]
    names = {row["name"] for rows in users for row in rows}
    assert place.name(PUPIL) in names and "amara-okafor@larkspur.example" in names, "staff are kept as they are"
    kept = [
        {(p.pseudonym, p.commitment) for item in store.read_items(place.folder / part) for p in item.pseudonyms}
        for part in ("first", "second")
    ]
    assert kept[1] <= kept[0] and (place.name(PUPIL), None) not in kept[1] and all(c for _, c in kept[0])
    assert oct((place.openings / "openings.jsonl").stat().st_mode & 0o777) == "0o600"


def test_the_seal_states_what_was_redacted_and_how_often(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    stated = json.loads((place.bundle / "seal/statement.json").read_bytes())["predicate"]["redaction"]
    assert run("redactions", "list", place.bundle, "--format", "json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert stated["byClass"] == listed["by_class"] and stated["values"] == sum(listed["by_class"].values())
    assert stated["pseudonyms"] == len(listed["pseudonyms"]) == len(redaction.read(place.openings))
    assert run("redactions", "list", place.folder / "bundle.zip") == 0
    assert place.name(PUPIL) in capsys.readouterr().out
    assert run("verify", place.bundle, "--key", place.public) == 0
    assert run("replay", place.bundle, "--key", place.public) == 0


def test_one_value_is_proved_and_nothing_else_is_said(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = opened(place, tmp_path / "pupil.json")
    data = json.loads(file.read_bytes())
    assert faults("disclosure", data) == []
    salt, name, value = json.loads(base64.urlsafe_b64decode(data["disclosure"] + "=="))
    assert (name, value) == (place.name(PUPIL), PUPIL) and len(salt) >= 22
    others = [o for o in redaction.read(place.openings) if o.value != PUPIL]
    assert not any(secret in file.read_text() for o in others for secret in (o.value, o.salt, o.key))
    assert not any(o.key in file.read_text() for o in redaction.read(place.openings)), "no guess can be tested with it"
    capsys.readouterr()
    for bundle in (place.bundle, place.folder / "bundle.zip"):
        assert run("redactions", "check", bundle, file, "--key", place.public) == 0
        said = capsys.readouterr().out
        assert f"stands for the e-mail address '{PUPIL}'" in said and "in gcp/sql_users/larkspur-prod" in said
    assert run("redactions", "open", place.bundle, place.name(PUPIL), "--openings", place.openings) == 0
    assert json.loads(capsys.readouterr().out) == data


def test_a_person_is_forgotten_and_the_bundle_still_verifies(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    openings = place.copy(tmp_path)
    assert run("redactions", "destroy", "--openings", openings, "--value", PUPIL) == 0
    assert "1 opening destroyed" in capsys.readouterr().out
    assert (
        PUPIL not in (openings / "openings.jsonl").read_text()
        and CONTRACTOR in (openings / "openings.jsonl").read_text()
    )
    assert oct((openings / "openings.jsonl").stat().st_mode & 0o777) == "0o600"
    assert sorted(os.listdir(openings)) == [".lock", "openings.jsonl"], "no old copy is left"
    assert run("redactions", "open", place.bundle, place.name(PUPIL), "--openings", openings) == 2
    assert run("redactions", "open", place.bundle, place.name(CONTRACTOR), "--openings", openings) == 0
    assert run("redactions", "destroy", "--openings", openings, "--value", PUPIL) == 2, "there is none any more"
    with redaction.people(openings) as people:
        assert people and people.pseudonym("e-mail address", PUPIL) != place.name(PUPIL), "nobody can test a guess"
    assert run("redactions", "destroy", "--openings", openings, "--all") == 0
    assert redaction.read(openings) == ()
    assert run("verify", place.bundle, "--key", place.public) == 0
    assert run("replay", place.bundle, "--key", place.public) == 0


def test_a_line_that_a_crash_cut_short_is_left_out(place: Place, tmp_path: Path) -> None:
    openings = place.copy(tmp_path)
    before = redaction.read(openings)
    with (openings / "openings.jsonl").open("ab") as stream:
        stream.write(b'{"key":"00')
    with redaction.people(openings) as people:
        assert people and people.pseudonym("e-mail address", "new@example.org").startswith("person-")
        assert run("redactions", "destroy", "--openings", openings, "--all") == 2, "a run uses them"
    assert [o.value for o in redaction.read(openings)] == [*(o.value for o in before), "new@example.org"]
    (openings / "openings.jsonl").write_bytes(b"hello\n")
    assert run("redactions", "destroy", "--openings", openings, "--all") == 2


def test_an_assessor_who_fetches_it_again_finds_the_same_whatever_people_are_called(place: Place) -> None:
    found = json.loads((place.folder / "again.json").read_text())
    assert faults("reperformance", found) == []
    assert found["frame"] >= 8 == len(found["items"])
    assert [i["md5"] for i in found["items"]] == sorted(i["md5"] for i in found["items"])
    rows = [(t["rows_then"], t["rows_now"], t["same"]) for i in found["items"] for t in i["tables"]]
    assert all(then == now == same for then, now, same in rows) and sum(then for then, _, _ in rows) > 10


# -- abuse ------------------------------------------------------------------------------------------------------------


def reseal(place: Place, tmp_path: Path, change: Callable[[Path], object]) -> int:
    """Seal the run after a change by whoever holds the key, every record consistent; returns what `bundle` says."""
    run_folder = Path(shutil.copytree(place.folder / "first", tmp_path / "run"))
    change(run_folder)
    digests = {}
    for path in sorted(run_folder.glob("evidence/*/*/*/item.json")):
        item = json.loads(path.read_bytes())
        for part in (*item["replies"], *item["tables"]):
            data = (path.parent / part["path"]).read_bytes()
            part.update(sha256=canonical.sha256(data), bytes=len(data))
        path.write_bytes(canonical.to_bytes(item) + b"\n")
        digests[item["id"]] = canonical.sha256_file(path)
    record = json.loads((run_folder / "run.json").read_bytes())
    record["evidence"] = digests
    (run_folder / "run.json").write_bytes(canonical.to_bytes(record) + b"\n")
    results = json.loads((run_folder / "results/results.json").read_bytes())
    results["run_sha256"] = canonical.sha256_file(run_folder / "run.json")
    (run_folder / "results/results.json").write_bytes(canonical.to_bytes(results))
    return run("bundle", run_folder, "--key", place.key, "-o", tmp_path / "forged")


ITEM = "evidence/gcp/sql_users/larkspur-prod/item.json"


def edit_item(run_folder: Path, change: Callable[[Any], object]) -> None:
    item = json.loads((run_folder / ITEM).read_bytes())
    change(item)
    (run_folder / ITEM).write_bytes(canonical.to_bytes(item) + b"\n")


def test_a_value_passed_off_as_a_redaction_is_found_by_replay(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preparer hides a name by a pseudonym of their own that commits to nothing."""

    def hide(run_folder: Path) -> None:
        file = (run_folder / ITEM).parent
        for reply in file.glob("raw-*"):
            text = reply.read_text().replace("bruno-keller@larkspur.example", "person-" + "a" * 26)
            reply.write_text(text)

    assert reseal(place, tmp_path, hide) == 0
    assert run("replay", tmp_path / "forged", "--key", place.public) == 4
    assert "the pseudonyms that it commits to are not those in its replies" in capsys.readouterr().out


def test_a_pseudonym_that_commits_to_two_values_is_not_sealed(place: Place, tmp_path: Path) -> None:
    def swap(run_folder: Path) -> None:
        edit_item(run_folder, lambda item: item["pseudonyms"].append({**item["pseudonyms"][0], "commitment": "A" * 43}))

    assert reseal(place, tmp_path, swap) == 4


def test_a_statement_that_counts_fewer_redactions_does_not_verify(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from compliancectl.seal import dsse

    folder = Path(shutil.copytree(place.bundle, tmp_path / "bundle"))
    said = json.loads((folder / "seal/statement.json").read_bytes())
    said["predicate"]["redaction"]["values"] -= 1
    envelope = dsse.sign(canonical.to_bytes(said), keys.load_private(place.key).private)
    (folder / "seal/statement.json").write_bytes(envelope.payload)
    (folder / "seal/statement.pae").write_bytes(envelope.pae)
    (folder / "seal/statement.sig").write_bytes(envelope.signature)
    (folder / "seal/evidence.intoto.jsonl").write_bytes(envelope.to_line())
    assert run("verify", folder, "--key", place.public) == 4
    assert "step 11" in capsys.readouterr().out


def _disclose(data: Any, parts: list[str]) -> None:
    data["disclosure"] = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _parts(data: Any) -> list[str]:
    return list(json.loads(base64.urlsafe_b64decode(data["disclosure"] + "==")))


FORGERIES: dict[str, tuple[Callable[[Any, Place], object], str]] = {
    "another person": (lambda d, p: _disclose(d, [*_parts(d)[:2], "nobody@example.org"]), "does not commit"),
    "another salt": (lambda d, p: _disclose(d, ["AAAAAAAAAAAAAAAAAAAAAA", *_parts(d)[1:]]), "does not commit"),
    "another pseudonym": (lambda d, p: d.update(pseudonym=p.name(CONTRACTOR)), "does not open"),
    "the pseudonym in both places": (
        lambda d, p: (
            d.update(pseudonym=p.name(CONTRACTOR)),
            _disclose(d, [_parts(d)[0], p.name(CONTRACTOR), PUPIL]),
        ),
        "does not commit",
    ),
    "a pseudonym of nobody": (
        lambda d, p: (d.update(pseudonym="person-" + "b" * 26), _disclose(d, ["s", "person-" + "b" * 26, "x"])),
        "does not commit",
    ),
    "another run": (lambda d, p: d.update(run_id="20200101T000000Z-00000000"), "made for another bundle"),
    "another bundle": (lambda d, p: d.update(statement_sha256="0" * 64), "made for another bundle"),
    "no disclosure": (lambda d, p: d.update(disclosure="hello"), "does not open"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_opening_proves_nothing(
    place: Place, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = opened(place, tmp_path / "pupil.json")
    data = json.loads(file.read_bytes())
    change, part = FORGERIES[name]
    change(data, place)
    file.write_bytes(canonical.to_bytes(data))
    assert run("redactions", "check", place.bundle, file, "--key", place.public) == 4
    said = capsys.readouterr()
    assert part in said.err and PUPIL not in said.out
