"""Stage 1: scope → evidence. Holds the credentials and the network, and decides nothing.

Feeds are fetched in parallel, each source with its own workers. Every feed and target ends in exactly one evidence
item, whatever happens: collected, partial, denied, failed or skipped, with the reason. A run that was interrupted is
continued in the same folder: items that were whole are kept, everything else is fetched again.
"""

from __future__ import annotations

import platform
import queue
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pydantic

import compliancectl
from compliancectl import canonical, clock, disk, redaction, shards, store
from compliancectl.collectors.base import Context, Feed, Session, Target
from compliancectl.errors import CollectError, OutputError, Status, Truncated, UsageError
from compliancectl.item_writer import ItemWriter
from compliancectl.model.evidence import EvidenceItem, Principal, RunRecord, Window
from compliancectl.model.scope import Scope
from compliancectl.model.shard import ShardRecord
from compliancectl.plugins import Installed
from compliancectl.sections import validate_sections
from compliancectl.task import Task, in_turns, tasks_of


@dataclass(frozen=True)
class Event:
    """Something a person may want to see while a run goes on."""

    kind: Literal["planned", "started", "note", "finished", "kept"]
    feed: str
    target: str
    note: str = ""
    item: EvidenceItem | None = None


@dataclass
class _Run:
    folder: Path
    record: RunRecord
    context: Context
    tell: Callable[[Event], None]
    stop: threading.Event = field(default_factory=threading.Event)
    principals: dict[str, Principal | None] = field(default_factory=dict)
    ended: dict[str, Status] = field(default_factory=dict)
    """Id → status of the items that were made or kept here: of a long one, the record is not read again to know it."""
    current: threading.local = field(default_factory=threading.local)


def collect(
    scope: Scope,
    collectors: Mapping[str, Installed],
    tables: Iterable[str],
    folder: Path,
    *,
    resume: bool = False,
    deadline_s: float = 120.0,
    max_calls: int | None = None,
    part: ShardRecord | None = None,
    openings: Path | None = None,
    period: Window | None = None,
    chosen: Callable[[str], bool] = lambda id: True,
    write_probes: bool = False,
    tell: Callable[[Event], None] = lambda event: None,
) -> RunRecord:
    """Collect every feed that the tables need, into `folder`.

    Args:
        scope: what to look at.
        collectors: the collectors that the scope names, by name.
        tables: tables that the selected controls read; those of sources outside the scope are left out.
        folder: the run folder; new, empty, or (with `resume`) an interrupted run of the same scope file.
        resume: keep the whole items that are already there.
        deadline_s: the longest that one request may take, pauses included, in seconds.
        max_calls: most requests to a source that keeps such a budget (Google Cloud); None: what the scope says.
        part: collect only this part of the run; `merge` joins the parts.
        openings: where the openings of pseudonyms are kept; None: personal values are removed for good.
        period: what to ask events of; None: what the scope says.
        chosen: which evidence items to collect, by id.
        write_probes: try writes in databases that are declared clones, and roll them back.
        tell: is called from several threads.

    Raises:
        FileError: if a section of the scope is wrong.
        OutputError: if the folder cannot be used, or the disk is full.
        KeyboardInterrupt: after the workers were told to stop; whole items stay.
    """
    sections = validate_sections(scope, collectors)
    feeds = _feeds(collectors, tables)
    _make_room(folder)
    with store.locked(folder), ExitStack() as stack:
        with store.writing(folder):
            started = _prepare(folder, scope, collectors, feeds, resume, period, part)
        context = _context(scope, started, deadline_s)
        run = _Run(folder, started, replace(context, max_calls=max_calls, write_probes=write_probes), tell)
        run.context = replace(run.context, unfinished=folder / store.UNFINISHED)
        people = stack.enter_context(redaction.people(openings))
        run.context = replace(run.context, progress=lambda text: _note(run, text), people=people)
        opened = _open_sessions(stack, run, collectors, sections, feeds)
        tasks = [task for task in opened if chosen(task.id) or task.session is None]
        _execute(run, _share(run, tasks, part) if part else tasks)
        return _close(run)


def _feeds(collectors: Mapping[str, Installed], tables: Iterable[str]) -> list[tuple[str, Feed[Any]]]:
    """The feeds that give the tables, each once, sorted by name."""
    wanted = set(tables)
    found: dict[tuple[str, str], Feed[Any]] = {}
    for source, installed in collectors.items():
        for feed in installed.collector.feeds:
            if wanted & {table.name for table in feed.tables}:
                found[source, feed.name] = feed
    return [(source, feed) for (source, _), feed in sorted(found.items(), key=lambda pair: pair[0])]


def _make_room(folder: Path) -> None:
    """Make the folder, or refuse one that holds anything but a run."""
    disk.refuse_sealed(folder)
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        here = {entry.name for entry in folder.iterdir()}
    if store.RUN_FILE not in here and not here <= store.BEFORE_RUN:
        raise OutputError(f"{folder} is not empty and holds no run", hint="Choose a new folder with --output.")


def _prepare(
    folder: Path,
    scope: Scope,
    collectors: Mapping[str, Installed],
    feeds: list[tuple[str, Feed[Any]]],
    resume: bool,
    period: Window | None,
    part: ShardRecord | None,
) -> RunRecord:
    """Write an open `run.json`, or open that of an earlier try again."""
    names = tuple(f"{source}.{feed.name}" for source, feed in feeds)
    if (folder / store.RUN_FILE).exists():
        shards.refuse_other(folder, part)
        return _continue(folder, scope, names, resume)
    now = clock.now()
    record = RunRecord(
        id=f"{now:%Y%m%dT%H%M%SZ}-{scope.sha256[:8]}",
        organization=scope.organization,
        system=scope.system,
        environment=scope.environment,
        scope_file=scope.file.name,
        scope_sha256=scope.sha256,
        period=period or _period(scope, now),
        started_at=now,
        status="open",
        tool_version=compliancectl.__version__,
        python=platform.python_version(),
        platform=f"{sys.platform} {platform.machine()}",
        collectors=tuple(c.use for _, c in sorted(collectors.items())),
        feeds=names,
    )
    store.write_run(folder, record)
    if part is not None:
        shards.write(folder, part)
    (folder / store.EVIDENCE).mkdir()
    return record


def _share(run: _Run, tasks: list[Task], part: ShardRecord) -> list[Task]:
    """The tasks of one shard: the evidence items of the whole plan, dealt out in the order of their ids."""
    ids = {task.id: task for task in tasks}
    plan = tuple(sorted(ids))
    with store.writing(run.folder):
        shards.write(run.folder, part.model_copy(update={"plan": plan}))
    return [ids[id] for position, id in enumerate(plan) if part.shard.owns(position)]


def _continue(folder: Path, scope: Scope, feeds: tuple[str, ...], resume: bool) -> RunRecord:
    record = store.read_run(folder)
    if not resume:
        hint = "Choose a new folder with --output" + (
            ", or continue it with --resume." if record.status != "complete" else "."
        )
        raise OutputError(f"{folder} already holds the run {record.id}", hint=hint)
    if record.status == "complete":
        raise OutputError(f"the run in {folder} is complete", hint="Choose a new folder with --output.")
    if record.scope_sha256 != scope.sha256:
        raise UsageError(
            f"the run in {folder} was begun with another scope file", hint="Begin a new run with --output."
        )
    store.remove_unfinished(folder)
    record = record.model_copy(
        update={
            "status": "open",
            "finished_at": None,
            "evidence": None,
            "feeds": tuple(sorted({*record.feeds, *feeds})),
        }
    )
    store.write_run(folder, record)
    return record


def _period(scope: Scope, now: Any) -> Window:
    from datetime import timedelta

    if scope.period is None:
        return Window(start=(now - timedelta(days=90)).replace(hour=0, minute=0, second=0, microsecond=0), end=now)
    return Window(start=clock.parse(scope.period.start.isoformat()), end=clock.parse(scope.period.end.isoformat()))


def _context(scope: Scope, record: RunRecord, deadline_s: float) -> Context:
    return Context(
        period=record.period,
        as_of=record.started_at,
        environment=scope.environment,
        folder=scope.folder,
        deadline_s=deadline_s,
    )


def _open_sessions(
    stack: ExitStack,
    run: _Run,
    collectors: Mapping[str, Installed],
    sections: Mapping[str, pydantic.BaseModel],
    feeds: list[tuple[str, Feed[Any]]],
) -> list[Task]:
    """Open one session per source and list what there is to do. A source that cannot be opened fails each of its feeds."""
    tasks: list[Task] = []
    for source in sorted({source for source, _ in feeds}):
        installed = collectors[source]
        mine = [feed for name, feed in feeds if name == source]
        try:
            session = stack.enter_context(installed.collector.open(sections[source], run.context))
        except CollectError as error:
            target = Target(source, "not reached")
            tasks += [Task(source, installed, None, feed, target, problem=error) for feed in mine]
            continue
        run.principals[source] = _principal(session)
        for feed in mine:
            tasks += tasks_of(source, installed, session, feed)
    return tasks


def _principal(session: Session) -> Principal | None:
    try:
        return session.principal()
    except CollectError:
        return None  # the first fetch fails for the same reason, and says so in its item


def _execute(run: _Run, tasks: list[Task]) -> None:
    """Work through the tasks, each source with its own threads; raise what a thread could not handle."""
    failures: list[BaseException] = []
    threads = []
    for task in tasks:
        run.tell(Event("planned", *task.label))
    for source in sorted({task.source for task in tasks}):
        todo: queue.SimpleQueue[Task] = queue.SimpleQueue()
        mine = in_turns(task for task in tasks if task.source == source)
        for task in mine:
            todo.put(task)
        for _ in range(min(len(mine), mine[0].installed.collector.workers)):
            # Daemon threads: an interrupted run must not wait for a request that hangs.
            threads.append(threading.Thread(target=_work, args=(run, todo, failures), daemon=True))
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    except KeyboardInterrupt:
        run.stop.set()
        raise
    if failures:
        raise failures[0]


def _work(run: _Run, todo: queue.SimpleQueue[Task], failures: list[BaseException]) -> None:
    while not run.stop.is_set():
        try:
            task = todo.get_nowait()
        except queue.Empty:
            return
        try:
            _one(run, task)
        except BaseException as error:  # a full disk or a bug: stop the run, do not lose the reason
            failures.append(error)
            run.stop.set()


def _one(run: _Run, task: Task) -> None:
    """Collect one feed from one target into one evidence item."""
    kept = _kept(run, task)
    if kept is not None:
        run.ended[kept.id] = kept.status
        run.tell(Event("kept", *task.label, item=kept))
        return
    run.current.label = task.label
    run.tell(Event("started", *task.label))
    with ItemWriter(run.folder, task.source, task.feed, task.target, run.context.people) as writer:
        completeness, problem = (None, task.problem) if task.problem or task.skipped else _fetch(run, task, writer)
        if run.stop.is_set():
            return
        item = writer.finish(
            collector_version=task.installed.use.version,
            system=task.installed.collector.system,
            environment=run.context.environment,
            principal=run.principals.get(task.source),
            window=task.feed.window(task.session) if task.session else None,
            corroborate=task.feed.corroborate(task.session, task.target) if task.session else None,
            completeness=completeness,
            problem=problem,
            skipped=task.skipped,
        )
    run.ended[item.id] = item.status
    run.tell(Event("finished", *task.label, item=item))


def _fetch(run: _Run, task: Task, writer: ItemWriter) -> tuple[Any, CollectError | None]:
    """Drain the feed; returns how completeness is known, or what went wrong."""
    assert task.session is not None
    replies = task.feed.fetch(task.session, task.target)
    try:
        while True:
            if run.stop.is_set():
                raise Truncated("the run was interrupted")
            writer.add(next(replies))
    except StopIteration as done:
        return done.value, None
    except CollectError as error:
        return None, error
    finally:
        replies.close()


def _kept(run: _Run, task: Task) -> EvidenceItem | None:
    """The whole, collected and unaltered item of an earlier try, if there is one."""
    folder = store.item_folder(run.folder, task.source, task.feed.name, task.target.name)
    file = folder / store.ITEM_FILE
    if not file.is_file():
        return None
    try:
        item = EvidenceItem.model_validate_json(file.read_bytes())
    except pydantic.ValidationError:
        item = None
    if item is not None and item.status == "collected" and store.is_intact(run.folder, item):
        return item
    shutil.rmtree(folder)
    return None


def _close(run: _Run) -> RunRecord:
    digests: dict[str, str] = {}
    for file in store.item_files(run.folder):
        id = file.parent.relative_to(run.folder / store.EVIDENCE).as_posix()
        if id not in run.ended:  # made by an earlier try, of a feed that this one was not asked for
            run.ended[id] = store.read_item(file).status
        digests[id] = canonical.sha256_file(file)
    whole = all(run.ended[id] == "collected" for id in digests)
    record = run.record.model_copy(
        update={
            "finished_at": clock.now(),
            "status": "complete" if whole else "partial",
            "evidence": dict(sorted(digests.items())),
        }
    )
    with store.writing(run.folder):
        disk.sync_tree(run.folder)  # before anything says that the run is over
        store.write_run(run.folder, record)
        if whole:
            shutil.rmtree(run.folder / store.UNFINISHED, ignore_errors=True)
    return record


def _note(run: _Run, text: str) -> None:
    if (label := getattr(run.current, "label", None)) is not None:
        run.tell(Event("note", label[0], label[1], note=text))
