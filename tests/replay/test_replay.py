"""Replay: an honest bundle comes out byte for byte; what does not follow from its evidence is named.

The forger here holds the signing key and the run folder: everything they write is made consistent and sealed, so
`verify` has nothing to object to. What they cannot do is let other replies give these tables and results.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from schema import faults

from compliancectl import canonical
from compliancectl.cli import app
from compliancectl.model.certificate import Certificate, CertifiedControl, EngineJobs
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import running
from compliancectl.seal import keys

ITEM = "evidence/documents/files/folder"
TABLE = f"{ITEM}/document.agreement.parquet"


@dataclass(frozen=True)
class Runs:
    """A collected and judged run, and a key."""

    folder: Path
    key: Path
    public: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    place = tmp_path_factory.mktemp("replay")
    key = keys.new_key(place / "ci")
    with running(definition.load(), place / "company", only=("documents",)) as box:
        select = ["--scope", str(box.scope_file), "--only", "VND-02", "--only", "VUL-04"]
        assert app.run(["collect", *select, "-o", str(place / "run")]) == 0
        assert app.run(["evaluate", str(place / "run"), *select]) in (0, 1)
    return Runs(place / "run", key.private, key.public)


def change_json(path: Path, change: Callable[[Any], object], end: bytes = b"") -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(canonical.to_bytes(value) + end)


def reconcile(run: Path) -> None:
    """Let every record say what the files now are."""
    digests = {}
    for path in sorted(run.glob("evidence/*/*/*/item.json")):
        item = json.loads(path.read_bytes())
        for part in (*item["replies"], *item["tables"]):
            data = (path.parent / part["path"]).read_bytes()
            part.update(sha256=canonical.sha256(data), bytes=len(data))
        path.write_bytes(canonical.to_bytes(item) + b"\n")
        digests[item["id"]] = canonical.sha256_file(path)
    change_json(run / "run.json", lambda value: value.update(evidence=digests), b"\n")
    run_digest = canonical.sha256_file(run / "run.json")

    def results(value: Any) -> None:
        value["run_sha256"] = run_digest
        for control in value["controls"]:
            control["sha256"] = canonical.sha256_file(run / control["file"])
            for test in control["tests"]:
                test["items_sha256"] = canonical.sha256_file(run / test["items_path"])

    change_json(run / "results/results.json", results)


def forged(runs: Runs, tmp_path: Path, change: Callable[[Path], object]) -> Path:
    """A bundle of the run after a change, sealed with the right key."""
    run = Path(shutil.copytree(runs.folder, tmp_path / "run"))
    change(run)
    reconcile(run)
    out = tmp_path / "bundle"
    assert (
        app.run(["bundle", str(run), "-o", str(out), "--zip", str(tmp_path / "bundle.zip"), "--key", str(runs.key)])
        == 0
    )
    assert app.run(["verify", str(out), "--key", str(runs.public)]) == 0, "the forgery is consistent"
    return out


def replayed(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = app.run(["replay", str(path), "--format", "json", *more])
    found = json.loads(capsys.readouterr().out)
    assert faults("replay", {name: value for name, value in found.items() if name != "verdict"}) == []
    return code, found


def differences(found: Any) -> dict[str, tuple[str, str]]:
    return {d["file"]: (d["kind"], d["message"]) for stage in found["stages"] for d in stage["differences"]}


def test_an_honest_bundle_comes_out_byte_for_byte(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = forged(runs, tmp_path, lambda run: None)
    for form in (folder, tmp_path / "bundle.zip"):
        code, found = replayed(form, capsys, "--key", str(runs.public))
        assert (code, found["verdict"], differences(found)) == (0, "reproduced", {})
        tables, results = found["stages"]
        assert tables["files"] == tables["same"] == len(list(folder.glob("evidence/**/*.parquet"))) > 2
        assert results["files"] == results["same"] > 4
    assert app.run(["replay", str(folder)]) == 0
    assert "reproduced, byte for byte" in capsys.readouterr().out


def rewrite(path: Path, select: str) -> None:
    new = path.with_name("new.parquet")
    with duckdb.connect() as db:
        query = select.format(file=f"read_parquet('{path}')")
        db.execute(f"COPY ({query}) TO '{new}' (FORMAT parquet)")
    new.replace(path)


def drop_a_row(run: Path) -> None:
    rewrite(run / TABLE, "SELECT * FROM {file} ORDER BY ALL OFFSET 1")
    change_json(
        run / ITEM / "item.json",
        lambda v: [t.update(rows=t["rows"] - 1) for t in v["tables"] if "agreement" in t["path"]],
        b"\n",
    )


def edit_reply(run: Path) -> None:
    path = next(p for p in sorted((run / ITEM).glob("raw-*")) if b"agreement" in p.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"agreement", b"zgreement", 1))


def better_outcome(run: Path) -> None:
    change_json(run / "results/results.json", lambda v: v["controls"][0].update(title="All is well"))


def drop_an_item(run: Path) -> None:
    path = next(iter(sorted((run / "results/items").iterdir())))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def loosen_a_control(run: Path) -> None:
    path = next(iter(sorted((run / "catalog/controls").rglob("*.yaml"))))
    text = path.read_text()
    path.write_text(re.sub(r"(?m)^severity: \w+$", "severity: low", text))
    assert path.read_text() != text


FORGERIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a row is left out of a table": (drop_a_row, TABLE),
    "a reply is edited": (edit_reply, f"{ITEM}/"),
    "the results are edited": (better_outcome, "results/results.json"),
    "an item is left out of a population": (drop_an_item, "results/items/"),
    "a control is edited after it was applied": (loosen_a_control, "results/results.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_what_does_not_follow_from_the_evidence_is_named_though_it_is_sealed(
    runs: Runs, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, place = FORGERIES[name]
    bundle = forged(runs, tmp_path, change)
    code, found = replayed(bundle, capsys)
    assert (code, found["verdict"]) == (4, "differs")
    named = {file: said for file, said in differences(found).items() if file.startswith(place)}
    assert named and all(kind == "content" and message for kind, message in named.values()), differences(found)
    assert app.run(["replay", str(bundle)]) == 4
    text = capsys.readouterr().out
    assert "does not follow from its evidence" in text and "the same" in text


def test_the_same_rows_in_other_bytes_are_told_apart_from_other_rows(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = forged(runs, tmp_path, lambda run: rewrite(run / TABLE, "SELECT * FROM {file} ORDER BY ALL DESC"))
    code, found = replayed(bundle, capsys)
    assert (code, found["verdict"]) == (3, "reproduced in other bytes")
    assert list(differences(found)) == [TABLE]


def test_another_version_says_what_differs_and_why(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def older(run: Path) -> None:
        for name in ("results/results.json", "catalog/config.json"):
            change_json(run / name, lambda v: v.update(tool_version="0.0.7", engine="duckdb 0.1"))

    code, found = replayed(forged(runs, tmp_path, older), capsys)
    assert (code, found["verdict"]) == (3, "reproduced in other bytes")
    assert set(differences(found)) == {"results/results.json", "catalog/config.json"}
    assert found["made_with"]["version"] == "0.0.7"
    (why,) = {d["why"] for stage in found["stages"] for d in stage["differences"]}
    assert "made with compliancectl 0.0.7" in why and "made with duckdb 0.1, replayed with duckdb" in why


def on_another_engine(run: Path) -> None:
    """As if another engine had answered, with its certificate and its jobs beside the controls."""
    results = json.loads((run / "results/results.json").read_bytes())
    granted = tuple(
        CertifiedControl(id=c["id"], sha256=c["sha256"], tables_sha256="0" * 64, worlds=9, differing=0)
        for c in results["controls"]
    )
    made = Certificate(
        engine="spark 4.3.0", translator="sqlglot 30.0.0", reference="duckdb 2", tool_version="0", controls=granted
    )
    (run / "catalog/engine.json").write_bytes(canonical.to_bytes(made.to_json()))
    (run / "catalog/engine-jobs.json").write_bytes(canonical.to_bytes(EngineJobs(jobs=()).to_json()))
    name = "spark 4.3.0 through sqlglot 30.0.0, judged on duckdb 2"
    for file in ("results/results.json", "catalog/config.json"):
        change_json(run / file, lambda v: v.update(engine=name))


def test_what_another_engine_answered_is_derived_again_on_duckdb(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = replayed(forged(runs, tmp_path, on_another_engine), capsys)
    assert (code, found["verdict"]) == (3, "reproduced in other bytes"), differences(found)
    assert {file: kind for file, (kind, _) in differences(found).items()} == dict.fromkeys(
        ("results/results.json", "catalog/config.json"), "bytes"
    )
    (why,) = {d["why"] for stage in found["stages"] for d in stage["differences"]}
    assert "made with spark 4.3.0 through sqlglot 30.0.0" in why and "replayed with duckdb" in why


def test_what_another_engine_answered_wrongly_is_found(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(run: Path) -> None:
        on_another_engine(run)
        drop_an_item(run)

    code, found = replayed(forged(runs, tmp_path, wrong), capsys)
    assert (code, found["verdict"]) == (4, "differs")
    wrongly = [file for file, (kind, _) in differences(found).items() if kind == "content"]
    assert len(wrongly) == 2 and wrongly[0].startswith("results/items/") and wrongly[1] == "results/results.json"


def test_a_collector_that_is_not_installed_leaves_the_answer_open(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = forged(
        runs,
        tmp_path,
        lambda run: change_json(run / ITEM / "item.json", lambda v: v.update(collector="elsewhere"), b"\n"),
    )
    code, found = replayed(bundle, capsys)
    assert (code, found["verdict"]) == (3, "not replayed in full")
    assert all(kind == "not replayed" and "'elsewhere'" in said for kind, said in differences(found).values())


def test_a_bundle_that_does_not_verify_is_not_replayed(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = forged(runs, tmp_path, lambda run: None)
    (bundle / "run.json").write_bytes(b"{}")
    assert app.run(["replay", str(bundle)]) == 4
    assert "step 9" in capsys.readouterr().err
    assert app.run(["replay", str(tmp_path / "nowhere")]) == 2


def test_evidence_that_was_not_collected_is_replayed_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken sidecar makes the collection fail; the same tables and the same inconclusive results come out."""
    with running(definition.load(), tmp_path / "company", only=("documents",)) as box:
        folder: Path = box.parts["documents"].folder  # type: ignore[attr-defined]
        (folder / "broken.pdf").write_bytes(b"x")
        (folder / "broken.pdf.yaml").write_text("kind: [")
        select = ["--scope", str(box.scope_file), "--only", "VND-02"]
        assert app.run(["collect", *select, "-o", str(tmp_path / "run")]) == 3
        assert app.run(["evaluate", str(tmp_path / "run"), *select]) == 3
    key = keys.new_key(tmp_path / "ci").private
    assert app.run(["bundle", str(tmp_path / "run"), "-o", str(tmp_path / "bundle"), "--key", str(key)]) == 0
    code, found = replayed(tmp_path / "bundle", capsys)
    assert (code, differences(found)) == (0, {})
