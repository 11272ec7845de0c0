"""A run in parts is the run: the same results to the byte, or a refusal that says what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydantic
import pytest

from compliancectl import canonical, clock, shards, store
from compliancectl.cli import app
from compliancectl.collect import collect
from compliancectl.collectors.base import Collector, Context, Diagnosis, Feed, Fetched, Reply, Session, Target
from compliancectl.errors import Denied, Error, FileError, NotReadyError, UsageError
from compliancectl.evaluate import evaluate
from compliancectl.load import load_control
from compliancectl.merge import join
from compliancectl.model.evidence import CollectorUse, Completeness, Principal
from compliancectl.model.scope import Scope
from compliancectl.model.shard import Shard, ShardRecord
from compliancectl.model.table import BOOL, TEXT, Column, Table
from compliancectl.plugins import Installed
from compliancectl.query.limits import Limits

NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)
TABLES = {
    name: Table(
        name,
        "One row per thing.",
        (Column("resource", TEXT, "Name.", required=True), Column("good", BOOL, "Good.")),
        key=("resource",),
    )
    for name in ("shelf.cup", "shelf.plate")
}
CONTROL = """\
id: TST-{number}
title: Things are good
objective: Things are good, because others break.
satisfies: {{soc2: [CC6.1]}}
owner: kitchen
severity: low
frequency: daily
remediation: Replace it.
tests:
  - id: things
    population: SELECT resource, good FROM {table}
    checks:
      good: {{expect: good, finding: "{{resource}} is not good."}}
    examples: [{{given: {{}}, then: {{}}}}]
"""


class Config(pydantic.BaseModel):
    places: list[str]
    denied: str = ""


class Kitchen(Session):
    """A source that answers the same every time."""

    def __init__(self, config: Config, context: Context) -> None:
        self.config, self.context = config, context

    def principal(self) -> Principal:
        return Principal(subject="reader", authentication="none", read_only="it can only read")

    def doctor(self) -> Iterator[Diagnosis]:
        yield Diagnosis("kitchen", "ok", "it is open")

    def close(self) -> None:
        pass


def targets(session: Kitchen) -> list[Target]:
    return [Target(place, f"shelf:{place}") for place in session.config.places]


def fetch(session: Kitchen, target: Target) -> Fetched:
    if target.name == session.config.denied:
        raise Denied("The door is locked.", hint="Ask for the key.")
    now = session.context.as_of
    body = json.dumps([{"resource": f"{target.name}/{n}", "good": n != 2} for n in range(4)]).encode()
    yield Reply(
        body=body, media_type="application/json", operation="look", status="ok", requested_at=now, completed_at=now
    )
    return Completeness(method="all of the shelf", pages=1, items=4)


def feed(name: str) -> Feed[Kitchen]:
    def shape(reply: Reply) -> Iterator[tuple[str, Any]]:
        yield from ((f"shelf.{name}", row) for row in json.loads(reply.body))

    return Feed(f"{name}s", "Things.", (TABLES[f"shelf.{name}"],), targets, fetch, shape)


class Shelf(Collector[Config, Kitchen]):
    name = "shelf"
    system = "Shelf"
    config = Config
    feeds = (feed("cup"), feed("plate"))

    @contextmanager
    def open(self, config: Config, context: Context) -> Iterator[Kitchen]:
        yield Kitchen(config, context)

    def permissions(self) -> str:
        return "none"


INSTALLED = {"shelf": Installed(Shelf(), CollectorUse(name="shelf", distribution="shelf", version="1"))}


@dataclass
class House:
    """Collects the shelves, whole or in parts."""

    place: Path
    denied: str = ""
    tables: tuple[str, ...] = tuple(TABLES)

    def scope(self) -> Scope:
        places = ["attic", "cellar", "hall", "porch", "yard"]
        file = self.place / "compliancectl.yaml"
        sources = {"shelf": {"places": places, "denied": self.denied}}
        return Scope(organization="Larkspur", system="House", sources=sources, file=file, sha256="0" * 64)

    def whole(self) -> Path:
        folder = self.place / "whole"
        collect(self.scope(), INSTALLED, self.tables, folder)
        return folder

    def part(self, number: int, count: int, name: str = "", execution: str | None = "run 1") -> Path:
        folder = self.place / (name or f"part-{number}")
        record = ShardRecord(shard=Shard(number=number, count=count), execution=execution)
        collect(self.scope(), INSTALLED, self.tables, folder, part=record)
        return folder

    def parts(self, count: int) -> list[Path]:
        return [self.part(number, count) for number in range(1, count + 1)]

    def judged(self, run: Path) -> dict[str, bytes]:
        controls = []
        for number, table in enumerate(sorted(TABLES), 1):
            file = self.place / "controls" / "testing" / f"TST-0{number}-things.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(CONTROL.format(number=f"0{number}", table=table))
            controls.append(load_control(file))
        evaluate(run, controls, TABLES, limits=Limits(threads=1))
        files = [*(run / "results").rglob("*"), *(run / "evidence").rglob("*"), run / "run.json"]
        return {f.relative_to(run).as_posix(): f.read_bytes() for f in files if f.is_file()}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """With a clock that stands: what remains different is different because of the parts."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return House(tmp_path)


@pytest.mark.parametrize("count", [1, 3, 10, 12])
def test_results_and_evidence_are_those_of_a_whole_run_byte_for_byte(count: int, house: House) -> None:
    whole = house.judged(house.whole())
    folders = house.parts(count)
    held = [len(store.read_items(folder)) for folder in folders]
    assert sum(held) == 10 and max(held) - min(held) <= 1, "shares are even"
    join(list(reversed(folders)), house.place / "merged")
    assert house.judged(house.place / "merged") == whole
    kept = sorted(path.name for path in (house.place / "merged" / "shards").iterdir())
    assert kept == [f"{number:04}" for number in range(1, count + 1)]


def test_what_one_part_could_not_read_is_unknown_in_the_whole_and_in_nothing_else(house: House) -> None:
    house.denied = "hall"
    whole = house.judged(house.whole())
    record = join(house.parts(4), house.place / "merged")
    assert record.status == "partial" and house.judged(house.place / "merged") == whole
    outcomes = [c["outcome"] for c in json.loads(whole["results/results.json"])["controls"]]
    assert outcomes == ["inconclusive", "inconclusive"]


def test_the_whole_speaks_about_what_all_parts_speak_about(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = house.part(1, 2)
    later = NOW + timedelta(minutes=7)
    monkeypatch.setattr(clock, "now", lambda: later)
    record = join([house.part(2, 2), first], house.place / "merged")
    assert (record.started_at, record.finished_at, record.period.end) == (NOW, later, NOW)


def lost(house: House) -> list[Path]:
    return house.parts(3)[:2]


def doubled(house: House) -> list[Path]:
    folders = house.parts(2)
    return [*folders, house.part(2, 2, "again")]


def divided_otherwise(house: House) -> list[Path]:
    return [house.part(1, 2), house.part(2, 3)]


def of_another_run(house: House) -> list[Path]:
    return [house.part(1, 2), house.part(2, 2, execution="run 2")]


def of_other_controls(house: House) -> list[Path]:
    first = house.part(1, 2)
    house.tables = ("shelf.cup",)
    return [first, house.part(2, 2)]


def with_an_item_of_another(house: House) -> list[Path]:
    folders = house.parts(2)
    items = folders[0] / "evidence" / "shelf"
    other = min((folders[1] / "evidence" / "shelf" / "cups").iterdir())
    shutil.copytree(other, items / "cups" / other.name)
    run = store.read_run(folders[0])
    digests = {store.read_item(file).id: canonical.sha256_file(file) for file in store.item_files(folders[0])}
    store.write_run(folders[0], run.model_copy(update={"evidence": digests}))
    return folders


def without_an_item(house: House) -> list[Path]:
    folders = house.parts(2)
    run = store.read_run(folders[1])
    left = dict(list((run.evidence or {}).items())[1:])
    store.write_run(folders[1], run.model_copy(update={"evidence": left}))
    return folders


def altered(house: House) -> list[Path]:
    folders = house.parts(2)
    file = next((folders[1] / "evidence").rglob("item.json"))
    file.write_bytes(file.read_bytes().replace(b"reader", b"writer"))
    return folders


def unfinished(house: House) -> list[Path]:
    folders = house.parts(2)
    run = store.read_run(folders[1])
    store.write_run(folders[1], run.model_copy(update={"status": "open", "finished_at": None, "evidence": None}))
    return folders


def whole_among_them(house: House) -> list[Path]:
    return [house.part(1, 2), house.whole()]


@pytest.mark.parametrize(
    ("made", "kind", "said"),
    [
        (lost, UsageError, "missing: shard 3/3"),
        (doubled, UsageError, "shard 2/2 is here more than once"),
        (divided_otherwise, UsageError, "different divisions"),
        (of_another_run, UsageError, "differ in the run that they are part of"),
        (of_other_controls, UsageError, "differ in the feeds"),
        (with_an_item_of_another, UsageError, "which is not its own"),
        (without_an_item, UsageError, "did not collect"),
        (altered, FileError, "is not what shard 2/2 collected"),
        (unfinished, NotReadyError, "shard 2/2 in"),
        (whole_among_them, UsageError, "holds no shard"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    made: Callable[[House], list[Path]], kind: type[Error], said: str, house: House
) -> None:
    folders = made(house)
    with pytest.raises(kind, match=said) as raised:
        join(folders, house.place / "merged")
    assert raised.value.hint and not (house.place / "merged").exists()


def test_shards_of_last_week_are_no_part_of_today(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = house.part(1, 2)
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=7))
    with pytest.raises(UsageError, match="more than a day apart"):
        join([first, house.part(2, 2)], house.place / "merged")


def test_a_part_alone_is_neither_judged_nor_resumed_as_another(house: House) -> None:
    folder = house.part(1, 2)
    with pytest.raises(NotReadyError, match="holds shard 1/2 of a run") as raised:
        house.judged(folder)
    assert "compliancectl merge" in str(raised.value.hint)
    with pytest.raises(UsageError, match="holds shard 1/2, not shard 2/2"):
        house.part(2, 2, name="part-1")
    with pytest.raises(UsageError, match="holds shard 1/2, not a whole run"):
        collect(house.scope(), INSTALLED, house.tables, folder, resume=True)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/2/3", "1 / 2", "1/9999", "²/3"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="is no shard"):
        shards.parse(text)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "1"}, None),
        ({"CLOUD_RUN_TASK_INDEX": "2", "CLOUD_RUN_TASK_COUNT": "10"}, "3/10"),
        ({"COMPLIANCECTL_TASK_INDEX": "0", "COMPLIANCECTL_TASK_COUNT": "4"}, "1/4"),
        ({"COMPLIANCECTL_TASK_INDEX": "", "COMPLIANCECTL_TASK_COUNT": ""}, None),
    ],
)
def test_tasks_of_cloud_run_and_of_a_matrix_know_their_part(variables: dict[str, str], expected: str | None) -> None:
    found = shards.of_environment(variables)
    assert (str(found) if found else None) == expected


def test_a_task_without_its_number_is_not_taken_for_the_whole() -> None:
    with pytest.raises(UsageError, match="name no shard"):
        shards.of_environment({"CLOUD_RUN_TASK_COUNT": "10"})


def test_the_command_line_from_parts_to_a_verified_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "report.pdf").write_bytes(b"%PDF no finding")
    day = f"{clock.now():%Y-%m-%d}"
    (documents / "report.pdf.yaml").write_text(
        f"kind: penetration-test\nsubject: study-companion\ntitle: Test\nowner: security\nissued: {day}\n"
        "status: performed\nperformed_by: Fernhill\nindependent: true\n"
    )
    (tmp_path / "compliancectl.yaml").write_text(
        "organization: Larkspur\nsystem: Study Companion\ncontrols: {only: [VUL-04]}\n"
        "sources: {documents: {folder: documents}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", "2")
    monkeypatch.setenv("CLOUD_RUN_EXECUTION", "nightly-1")
    assert app.run(["keys", "new", "key"]) == 0
    for index in ("0", "1"):
        monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", index)
        assert app.run(["collect", "-o", f"part-{index}"]) == 0
    assert "shard 2/2, as this task's environment says" in capfd.readouterr().err
    assert app.run(["run", "-o", "out", "--key", "key.pem"]) == 2
    assert "this is task 2/2" in capfd.readouterr().err and not (tmp_path / "out").exists()
    assert app.run(["merge", "part-1", "-o", "out", "--key", "key.pem"]) == 2
    assert "missing: shard 1/2" in capfd.readouterr().err
    shutil.rmtree("out")
    assert app.run(["merge", "part-0", "part-1", "-o", "out", "--key", "key.pem", "--no-report"]) == 0
    assert app.run(["verify", "out/bundle.zip", "--key", "key.pub.pem"]) == 0
    record = ShardRecord.model_validate_json((tmp_path / "out/bundle/shards/0002/shard.json").read_bytes())
    assert (str(record.shard), record.execution) == ("2/2", "nightly-1")
    assert (
        canonical.sha256_file(tmp_path / "out/bundle/shards/0002/run.json")
        in (tmp_path / "out/bundle/SHA256SUMS").read_text()
    )
