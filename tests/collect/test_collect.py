"""Collect through its public door, with a small source that does what the test says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic
import pytest

from compliancectl import canonical, clock, store
from compliancectl.collect import Event, collect
from compliancectl.collectors.base import Collector, Context, Diagnosis, Feed, Fetched, Reply, Session, Target
from compliancectl.errors import ApiDisabled, Denied, Error, FileError, Garbage, OutputError, Unreachable, UsageError
from compliancectl.model.evidence import CollectorUse, Completeness, Principal
from compliancectl.model.scope import Scope
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct
from compliancectl.plugins import Installed
from compliancectl.query.rows import read_rows

THING = Table(
    "shelf.thing",
    "One row per thing.",
    (
        Column("resource", TEXT, "Name.", required=True),
        Column("size", INT, "Size."),
        Column("good", BOOL, "Good."),
        Column("made", TIME, "When it was made."),
        Column("tags", ListOf(struct(name=TEXT, at=TIME)), "Tags."),
    ),
    key=("resource",),
)


class Config(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    places: list[str] = ["north"]


class Shelf(Session):
    """A source whose replies the test gives."""

    def __init__(self, config: Config, context: Context) -> None:
        self.config, self.context = config, context

    def principal(self) -> Principal:
        return Principal(subject="reader", authentication="none", read_only="it can only read")

    def doctor(self) -> Iterator[Diagnosis]:
        yield Diagnosis("shelf", "ok", "it stands")

    def close(self) -> None:
        pass


class ShelfCollector(Collector[Config, Shelf]):
    name, system, config = "shelf", "Shelf", Config

    def __init__(self, fetch: Callable[[Shelf, Target], Fetched]) -> None:
        self.feeds = (
            Feed(
                "things",
                "All things.",
                (THING,),
                lambda s: [Target(p, f"shelf://{p}") for p in s.config.places],
                fetch,
                shape,
            ),
        )

    @contextmanager
    def open(self, config: Config, context: Context) -> Iterator[Shelf]:
        yield Shelf(config, context)

    def permissions(self) -> str:
        return "none"


def shape(reply: Reply) -> Iterator[tuple[str, dict[str, Any]]]:
    import json

    for thing in json.loads(reply.body):
        if isinstance(thing.get("made"), str):
            thing["made"] = datetime.fromisoformat(thing["made"])
        yield "shelf.thing", thing


def reply(body: str) -> Reply:
    now = clock.now()
    return Reply(body.encode(), "LIST things", now, now, redactions={"secret": 1})


def source(
    *bodies: str, then: Exception | None = None, total: int | None = None, exhausted: bool = True
) -> ShelfCollector:
    def fetch(session: Shelf, target: Target) -> Fetched:
        for body in bodies:
            yield reply(body)
        if then is not None:
            raise then
        return Completeness(method="all pages", pages=len(bodies), items=2, reported_total=total, exhausted=exhausted)

    return ShelfCollector(fetch)


def scope_of(folder: Path, **section: Any) -> Scope:
    return Scope(
        organization="Larkspur Learning, Inc.",
        system="Larkspur Study Companion",
        sources={"shelf": section},
        file=folder / "compliancectl.yaml",
        sha256="0" * 64,
        lines={"sources.shelf.places": 7},
    )


def run(collector: ShelfCollector, folder: Path, tell: Callable[[Event], None] = lambda e: None, **options: Any) -> Any:
    section = options.pop("section", {})
    installed = Installed(collector, CollectorUse(name="shelf", distribution="test", version="1"))
    return collect(
        scope_of(folder.parent, **section), {"shelf": installed}, ["shelf.thing"], folder, tell=tell, **options
    )


def only_item(folder: Path) -> Any:
    (item,) = store.read_items(folder)
    return item


GOOD = '[{"resource": "b", "size": 2, "good": true}, {"resource": "a", "made": "2026-01-01T03:00:00+02:00"}]'


def test_replies_and_rows_are_kept(tmp_path: Path) -> None:
    record = run(source(GOOD), tmp_path / "run")
    item = only_item(tmp_path / "run")
    assert record.status == "complete" and item.status == "collected"
    folder = tmp_path / "run" / "evidence" / item.id
    assert (folder / "raw-0001.json").read_bytes() == GOOD.encode()
    rows = read_rows(folder / "shelf.thing.parquet")
    assert [row["resource"] for row in rows] == ["a", "b"]
    assert rows[0]["made"] == datetime(2026, 1, 1, 1, 0), "times are held in UTC"
    assert rows[0]["good"] is None, "what the source did not say is NULL"
    assert item.redactions == {"secret": 1} and item.principal.subject == "reader"
    assert store.is_intact(tmp_path / "run", item)


def test_the_run_ends_with_the_digest_of_every_item(tmp_path: Path) -> None:
    record = run(source(GOOD), tmp_path / "run", section={"places": ["north", "south"]})
    files = sorted((tmp_path / "run" / "evidence").glob("*/*/*/item.json"))
    digests = {str(f.parent.relative_to(tmp_path / "run" / "evidence")): canonical.sha256_file(f) for f in files}
    assert record.evidence == digests and len(digests) == 2
    assert store.read_run(tmp_path / "run") == record


def test_an_open_run_names_no_evidence(tmp_path: Path) -> None:
    run(source(then=Unreachable("gone")), tmp_path / "run")
    seen: list[object] = []

    def look(event: Event) -> None:
        seen.append(store.read_run(tmp_path / "run").evidence)

    run(source(GOOD), tmp_path / "run", tell=look, resume=True)
    assert set(seen) == {None}


def test_every_item_says_which_tables_it_gives(tmp_path: Path) -> None:
    run(source(then=Unreachable("gone")), tmp_path / "run")
    assert only_item(tmp_path / "run").gives == ("shelf.thing",)


def test_the_same_replies_give_the_same_rows_byte_for_byte(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(source(GOOD), tmp_path / name)
    assert only_item(tmp_path / "one").tables == only_item(tmp_path / "two").tables


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (Denied("no", hint="grant it"), "denied", "permission"),
        (ApiDisabled("off"), "denied", "api-disabled"),
        (Unreachable("gone"), "failed", "unreachable"),
        (Garbage("what"), "failed", "garbage"),
    ],
)
def test_what_could_not_be_read_has_its_own_status(tmp_path: Path, error: Error, status: str, cause: str) -> None:
    record = run(source(then=error), tmp_path / "run")
    item = only_item(tmp_path / "run")
    assert (record.status, item.status, item.cause, item.reason) == ("partial", status, cause, error.message)


def test_what_breaks_off_after_some_replies_is_partial(tmp_path: Path) -> None:
    run(source(GOOD, then=Unreachable("gone")), tmp_path / "run")
    assert only_item(tmp_path / "run").status == "partial"


@pytest.mark.parametrize(("total", "exhausted"), [(3, True), (None, False)])
def test_an_answer_that_is_not_complete_is_partial(tmp_path: Path, total: int | None, exhausted: bool) -> None:
    run(source(GOOD, total=total, exhausted=exhausted), tmp_path / "run")
    item = only_item(tmp_path / "run")
    assert (item.status, item.cause) == ("partial", "incomplete") and "2 items" in item.reason


def test_an_empty_answer_is_collected(tmp_path: Path) -> None:
    run(source("[]"), tmp_path / "run")
    assert only_item(tmp_path / "run").status == "collected"


def test_a_scope_that_names_nothing_is_skipped_and_says_so(tmp_path: Path) -> None:
    record = run(source(GOOD), tmp_path / "run", section={"places": []})
    item = only_item(tmp_path / "run")
    assert (record.status, item.status) == ("partial", "skipped") and "names nothing" in item.reason


@pytest.mark.parametrize(
    ("record", "path"),
    [
        ('{"resource": "x", "size": "3"}', "$.size"),
        ('{"resource": "x", "size": true}', "$.size"),
        ('{"resource": "x", "size": 99999999999999999999}', "$.size"),
        ('{"resource": "x", "good": 1}', "$.good"),
        ('{"resource": "x", "tags": [{"name": 3}]}', "$.tags[0].name"),
        ('{"resource": "x", "tags": [{"colour": "red"}]}', "$.tags[0]"),
        ('{"resource": "x", "weight": 1}', "$"),
        ('{"resource": null}', "$.resource"),
        ('{"size": 1}', "$"),
        ('{"resource": "\\ud800"}', "$"),
    ],
)
def test_a_record_that_breaks_the_contract_is_set_aside_with_its_path(tmp_path: Path, record: str, path: str) -> None:
    run(source(f'[{{"resource": "fine"}}, {record}]'), tmp_path / "run")
    (rows,) = only_item(tmp_path / "run").tables
    (rejected,) = rows.rejected
    assert rejected.path == path and rows.rows == 1, "neither dropped in silence nor coerced"


def test_two_records_with_one_key_are_both_set_aside(tmp_path: Path) -> None:
    run(source('[{"resource": "x", "size": 1}, {"resource": "x", "size": 2}, {"resource": "y"}]'), tmp_path / "run")
    (rows,) = only_item(tmp_path / "run").tables
    assert rows.rows == 1 and [r.key for r in rows.rejected] == ["x"]


def test_a_reply_of_another_form_fails_the_item(tmp_path: Path) -> None:
    run(source('{"not": "a list"}'), tmp_path / "run")
    item = only_item(tmp_path / "run")
    assert item.cause == "garbage" and item.status == "partial"


def test_names_that_file_systems_refuse_get_safe_folders(tmp_path: Path) -> None:
    places = ["../../etc", "CON", "a" * 300, "ümläut/x", "Ümläut/x", "x\x00y", "north"]
    run(source(GOOD), tmp_path / "run", section={"places": places})
    items = store.read_items(tmp_path / "run")
    assert {item.target for item in items} == set(places)
    assert len({item.id.lower() for item in items}) == len(places)
    assert not list(tmp_path.glob("etc*"))


def test_a_wrong_section_names_file_line_and_key(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        run(source(GOOD), tmp_path / "run", section={"places": "north"})
    assert caught.value.line == 7 and "sources.shelf.places" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    run(source(GOOD), tmp_path / "run")
    with pytest.raises(OutputError, match="already holds the run"):
        run(source(GOOD), tmp_path / "run")
    with pytest.raises(OutputError, match="complete"):
        run(source(GOOD), tmp_path / "run", resume=True)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        run(source(GOOD), tmp_path / "run")


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path) -> None:
    run(source(then=Unreachable("gone")), tmp_path / "run")
    unfinished = tmp_path / "run" / "evidence" / "shelf" / "things" / ".south.part"
    unfinished.mkdir()
    before = (tmp_path / "run" / "run.json").read_bytes()
    with store.locked(tmp_path / "run"), pytest.raises(OutputError, match="another run"):
        run(source(GOOD), tmp_path / "run", resume=True)
    assert unfinished.is_dir(), "what the other run is writing is left alone"
    assert (tmp_path / "run" / "run.json").read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"\xff"])
def test_a_damaged_record_is_named(tmp_path: Path, damage: bytes) -> None:
    run(source(then=Unreachable("gone")), tmp_path / "run")
    (tmp_path / "run" / "run.json").write_bytes(damage)
    with pytest.raises(FileError, match="damaged") as caught:
        run(source(GOOD), tmp_path / "run", resume=True)
    assert caught.value.where == str(tmp_path / "run" / "run.json") and caught.value.hint


def test_a_sealed_bundle_is_never_written_to(tmp_path: Path) -> None:
    run(source(then=Unreachable("gone")), tmp_path / "run")
    (tmp_path / "run" / "seal").mkdir()
    (tmp_path / "run" / "seal" / "evidence.intoto.jsonl").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    for folder in (tmp_path / "run", tmp_path / "run" / "deeper" / "still"):
        for resume in (False, True):
            with pytest.raises(OutputError, match="sealed bundle"):
                run(source(GOOD), folder, resume=resume)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_kill_left_before_the_first_record_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in (".lock", ".run.json.new"):
        (tmp_path / "run" / name).write_text("")
    assert run(source(GOOD), tmp_path / "run").status == "complete"


def test_resume_keeps_what_was_whole_and_fetches_the_rest_again(tmp_path: Path) -> None:
    asked: list[str] = []
    broken = {"south"}

    def fetch(session: Shelf, target: Target) -> Fetched:
        asked.append(target.name)
        yield reply(GOOD)
        if target.name in broken:
            raise Unreachable("gone")
        return Completeness(method="all", pages=1, items=2)

    section = {"places": ["north", "south", "west"]}
    assert run(ShelfCollector(fetch), tmp_path / "run", section=section).status == "partial"
    altered = tmp_path / "run" / "evidence" / "shelf" / "things" / "west" / "raw-0001.json"
    altered.write_bytes(altered.read_bytes() + b" ")
    asked.clear()
    broken.clear()
    assert run(ShelfCollector(fetch), tmp_path / "run", section=section, resume=True).status == "complete"
    assert sorted(asked) == ["south", "west"], "partial and altered items are not trusted"


def test_resume_refuses_another_scope(tmp_path: Path) -> None:
    run(source(then=Unreachable("gone")), tmp_path / "run")
    installed = Installed(source(GOOD), CollectorUse(name="shelf", distribution="test", version="1"))
    other = scope_of(tmp_path).model_copy(update={"sha256": "1" * 64})
    with pytest.raises(UsageError, match="another scope"):
        collect(other, {"shelf": installed}, ["shelf.thing"], tmp_path / "run", resume=True)


def test_kill_leaves_whole_items_and_nothing_that_looks_finished(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import importlib.util, os, signal, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("t", {str(Path(__file__))!r})
        t = importlib.util.module_from_spec(spec); sys.modules["t"] = t; spec.loader.exec_module(t)
        def fetch(session, target):
            yield t.reply(t.GOOD)
            if target.name == "south":
                os.kill(os.getpid(), signal.SIGKILL)
            return t.Completeness(method="all", pages=1, items=2)
        c = t.ShelfCollector(fetch); c.workers = 1
        t.run(c, Path({str(tmp_path / "run")!r}), section={{"places": ["north", "south"]}})
        """
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "run"
    assert store.read_run(folder).status == "open"
    assert [item.target for item in store.read_items(folder)] == ["north"]
    record = run(source(GOOD), folder, section={"places": ["north", "south"]}, resume=True)
    assert record.status == "complete" and len(store.read_items(folder)) == 2
    assert not list((folder / "evidence").glob("*/*/.*"))


def test_interrupt_stops_the_workers_and_keeps_whole_items(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def fetch(session: Shelf, target: Target) -> Fetched:
        if target.name == "south":
            inside.set()
            go_on.wait(30)
        yield reply(GOOD)
        return Completeness(method="all", pages=1, items=2)

    def tell(event: Event) -> None:
        if event.kind == "finished" and inside.wait(30):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(ShelfCollector(fetch), tmp_path / "run", tell=tell, section={"places": ["north", "south"]})
    go_on.set()
    assert [item.target for item in store.read_items(tmp_path / "run")] == ["north"]
    assert store.read_run(tmp_path / "run").status == "open"


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import importlib.util, resource, signal, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("t", {str(Path(__file__))!r})
        t = importlib.util.module_from_spec(spec); sys.modules["t"] = t; spec.loader.exec_module(t)
        import duckdb, compliancectl.item_writer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        try:
            t.run(t.source("[" + ",".join('{{"resource": "%d"}}' % n for n in range(5000)) + "]"), Path({str(tmp_path / "run")!r}))
        except t.OutputError as error:
            print("OUTPUT", error.message, error.hint)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert "OUTPUT there is no room left" in done.stdout, done.stderr
    assert store.read_items(tmp_path / "run") == ()
    assert store.read_run(tmp_path / "run").status == "open"


def test_an_error_nobody_foresaw_is_not_hidden(tmp_path: Path) -> None:
    def fetch(session: Shelf, target: Target) -> Fetched:
        yield reply(GOOD)
        raise ZeroDivisionError("a bug in a collector")

    with pytest.raises(ZeroDivisionError):
        run(ShelfCollector(fetch), tmp_path / "run")
    assert store.read_run(tmp_path / "run").status == "open"


def test_windows_and_times_are_aware(tmp_path: Path) -> None:
    record = run(source(GOOD), tmp_path / "run")
    assert record.period.start.tzinfo is not None and record.period.end == record.started_at
    assert record.finished_at is not None and record.finished_at >= record.started_at.astimezone(UTC)
