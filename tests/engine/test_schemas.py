"""The committed JSON Schemas: current, valid, and of one mind with what is read and written."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from compliancectl import load
from compliancectl.bundle import bundle
from compliancectl.errors import FileError
from compliancectl.evaluate import evaluate
from compliancectl.load.document import read
from compliancectl.model.manifest import Operator
from compliancectl.resources import controls_folder
from compliancectl.schemas import CONTROL, schemas
from compliancectl.seal import keys, trust
from compliancectl.verify import verify

TOP = Path(__file__).parents[2]
MADE = schemas()
SHIPPED = [Path(control.file) for control in load.load_controls([controls_folder()])]


def validator(path: str) -> Any:
    return jsonschema_rs.validator_for(json.loads(MADE[path]))


@pytest.mark.parametrize("path", MADE)
def test_the_committed_schema_is_current(path: str) -> None:
    assert (TOP / path).read_bytes() == MADE[path], "run `make schema`"


@pytest.mark.parametrize("path", MADE)
def test_it_is_a_schema(path: str) -> None:
    jsonschema_rs.meta.validate(json.loads(MADE[path]))


def test_no_schema_lies_about_that_nobody_makes() -> None:
    lying = {path.relative_to(TOP).as_posix() for path in (TOP / "docs/schema").iterdir()}
    assert lying == {path for path in MADE if path != CONTROL}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_accepts_every_shipped_control(path: Path) -> None:
    assert [error.message for error in validator(CONTROL).iter_errors(read(path).data)] == []


MISTAKES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a misspelt key": lambda c: c.update(ownr=c.pop("owner")),
    "a misspelt key inside": lambda c: c["tests"][0].update(cheks=c["tests"][0].pop("checks")),
    "a missing key": lambda c: c.pop("title"),
    "an id that is none": lambda c: c.update(id="tst01"),
    "a blank owner": lambda c: c.update(owner=" "),
    "an unknown severity": lambda c: c.update(severity="hihg"),
    "an unknown frequency": lambda c: c.update(frequency="dialy"),
    "a list where keys belong": lambda c: c.update(satisfies=["CC6.6"]),
    "a text where a list belongs": lambda c: c["satisfies"].update(soc2="CC6.6"),
    "no criterion": lambda c: c["satisfies"].update(soc2=[]),
    "a check name that is none": lambda c: c["tests"][0]["checks"].update({"Not-A-Name": {"expect": "x", "finding": "y"}}),
    "a check without a sentence": lambda c: next(iter(c["tests"][0]["checks"].values())).pop("finding"),
    "no check": lambda c: c["tests"][0].update(checks={}),
    "no example": lambda c: c["tests"][0].update(examples=[]),
    "an outcome that is none": lambda c: c["tests"][0]["examples"][0].update(then={"a": "failed"}),
    "half a period": lambda c: c["tests"][0]["examples"][0].update(period=["2026-01-01"]),
    "a document of no age": lambda c: c.update(evidence=[{"kind": "x", "subject": "y", "max_age_days": 0, "owner": "z"}]),
    "neither tests nor evidence": lambda c: [c.pop("tests"), c.pop("evidence", None)],
    "a number where text belongs": lambda c: c.update(owner=12),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_it_refuses_what_the_loader_refuses(name: str, tmp_path: Path) -> None:
    data = read(next(path for path in SHIPPED if path.stem.startswith("BCP-02"))).data
    assert validator(CONTROL).is_valid(data)
    MISTAKES[name](data)
    assert not validator(CONTROL).is_valid(data)
    file = tmp_path / "BCP-02.yaml"
    file.write_text(json.dumps(data))  # JSON is YAML
    with pytest.raises(FileError, match=r"BCP-02\.yaml"):
        load.load_control(file)


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory, tables: dict, text_of_control: Callable[..., str], new_run: Callable
) -> Path:
    """A run with a pass, a failure, a waived finding, an unknown item and an exclusion."""
    place = tmp_path_factory.mktemp("wire")
    population = (
        "SELECT d.resource, d.public, d.days, CASE WHEN d.replica THEN 'a copy' END AS excluded FROM test.database d"
    )
    file = place / "testing" / "TST-01.yaml"
    file.parent.mkdir()
    file.write_text(text_of_control(population, {"hidden": ("NOT public", "{resource} is open.")}))
    waivers = place / "waivers.yaml"
    waivers.write_text(
        "waivers:\n  - {id: W-1, control: TST-01, items: [w], checks: [hidden], approver: CISO, reason: x, "
        "approved: 2026-07-01, expires: 2026-12-31}\n"
    )
    control = load.load_control(file)
    run = new_run(place / "run")
    rows = [
        {"resource": name, "public": value} for name, value in (("a", False), ("b", True), ("w", True), ("u", None))
    ]
    run.add("test.database", [*rows, {"resource": "r", "replica": True}])
    run.finish()
    evaluate(run.folder, [control], tables, waivers=load.load_waivers(waivers, [control]))
    return Path(run.folder)


def valid(name: str, data: Any) -> None:
    assert [error.message for error in validator(f"docs/schema/{name}.schema.json").iter_errors(data)] == []


def test_what_is_written_keeps_to_its_schema(evaluated: Path) -> None:
    valid("run", json.loads((evaluated / "run.json").read_bytes()))
    valid("results", json.loads((evaluated / "results" / "results.json").read_bytes()))
    (record,) = (evaluated / "evidence").rglob("item.json")
    valid("evidence", json.loads(record.read_bytes()))
    (items,) = (evaluated / "results" / "items").iterdir()
    outcomes = set()
    for line in items.read_bytes().splitlines():
        valid("item", json.loads(line))
        outcomes.add(json.loads(line)["outcome"])
    assert outcomes == {"pass", "fail", "waived", "unknown", "excluded"}


def test_a_bundle_keeps_to_its_schemas(evaluated: Path, tmp_path: Path) -> None:
    key = keys.new_key(tmp_path / "key")
    made = bundle(evaluated, tmp_path / "bundle", key=key.private, operator=Operator(id="someone", kind="person"))
    valid("bundle", made.to_json())
    for envelope in (tmp_path / "bundle" / "seal").glob("*.json*"):
        data = json.loads(envelope.read_bytes())
        if "payload" in data:
            valid("statement", json.loads(base64.b64decode(data["payload"])))
            break
    else:
        pytest.fail("no envelope")
    valid("verification", verify(tmp_path / "bundle", trust=trust.load(public_keys=[key.public])).to_json())


def test_waivers_and_scope_files_keep_to_theirs(evaluated: Path, tmp_path: Path) -> None:
    valid("waivers", read(evaluated / "catalog" / "waivers.yaml").data)
    from compliancectl.cli import app

    assert app.run(["init", str(tmp_path / "compliancectl.yaml")]) == 0
    valid("scope", read(tmp_path / "compliancectl.yaml").data)
