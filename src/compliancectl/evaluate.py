"""Stage 2: evidence + controls → results. It has neither network nor credentials, and decides everything.

Everything that can be refused is refused before any SQL runs: controls that do not bind, overrides that fit
nothing, evidence that was denied, is partial, stale or damaged. What runs, runs on a locked database.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import compliancectl
from compliancectl import canonical, disk, snapshots
from compliancectl.errors import OutputError
from compliancectl.freeze import catalog_path, config, freeze, publish, scratch_folder
from compliancectl.load import check_overrides
from compliancectl.model.certificate import EngineJobs
from compliancectl.model.claim import ClaimRegister
from compliancectl.model.control import Control
from compliancectl.model.framework import Framework
from compliancectl.model.result import (
    CheckResult,
    ControlOutcome,
    ControlResult,
    Counts,
    DisabledControl,
    LeftOut,
    ParamUse,
    Results,
    TableUse,
    TestResult,
    WaiverUse,
)
from compliancectl.model.scope import Scope
from compliancectl.model.table import Table
from compliancectl.model.waiver import Waiver
from compliancectl.query.bind import Binder, Bound, bind_control, parameter_values
from compliancectl.query.judge import Judgement, UnknownItem, judge
from compliancectl.query.limits import Limits, Stopped
from compliancectl.query.tables import EvidenceDatabase, load_tables, open_locked
from compliancectl.query.version import engine_version
from compliancectl.seal import names

if TYPE_CHECKING:
    from compliancectl.engines.base import Engine
    from compliancectl.lake.reading import RunTables
    from compliancectl.model.certificate import Certificate

_ANSWERS = "answers"
_RANK: tuple[ControlOutcome, ...] = ("inconclusive", "deviations", "no deviations", "no occurrences")


def evaluate(
    run_folder: Path,
    controls: Sequence[Control],
    tables: Mapping[str, Table],
    *,
    scope: Scope | None = None,
    waivers: Sequence[Waiver] = (),
    frameworks: Sequence[Framework] = (),
    claims: ClaimRegister | None = None,
    as_of: datetime | None = None,
    catalogue: Iterable[Control] | None = None,
    disabled: Sequence[DisabledControl] = (),
    left_out: Sequence[LeftOut] = (),
    limits: Limits | None = None,
    engine: tuple[Engine, Certificate] | None = None,
    away: RunTables | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Results:
    """Judge a run's evidence by `controls`; write `catalog/` and `results/` into the run's folder.

    Args:
        run_folder: what `collect` wrote.
        controls: the selected controls.
        tables: every declared table, by name.
        scope: gives parameter overrides; its selection is recorded.
        waivers: all waivers; those past their date are reported and do nothing.
        frameworks: kept beside the controls, for the reader of the bundle.
        claims: likewise.
        as_of: the instant of judgement; by default the end of the run.
        catalogue: all controls that exist, if `controls` are a selection (so that an override of one that is not
            selected is no mistake).
        disabled: controls that the scope says do not apply; recorded with their reasons.
        left_out: criteria that the scope leaves out; likewise.
        limits: memory, threads and time of one statement.
        engine: answers the controls' SQL in place of DuckDB, and what it is certified for.
        away: where the tables lie, if they are not in the run's folder.
        progress: told about each control.

    Raises:
        UsageError: if the engine is not certified for these controls as they stand.
        NotReadyError: if collection did not finish.
        FileError: if a control, an override, a waiver or a piece of evidence cannot be used.
        OutputError: if the results cannot be written.
    """
    run = snapshots.read_run(run_folder)
    disk.refuse_sealed(run_folder)
    if scope is not None:
        check_overrides(scope, catalogue if catalogue is not None else controls)
    assert run.finished_at is not None  # read_run refuses a run that did not finish
    instant = as_of or run.finished_at
    uses = {control.id: _params(control, scope) for control in controls}
    bound = _bind(controls, tables, uses, instant, (run.period.start, run.period.end))
    if engine is not None:
        from compliancectl.engines.certify import admit

        admit(engine, controls, bound, tables)
    evidence = snapshots.read_snapshots(run_folder, run, tables, away)
    other = engine[0] if engine is not None else None
    work = _Work(controls, bound, evidence, instant, waivers, limits or Limits(), progress, other)
    scratch = scratch_folder(run_folder)
    try:
        (scratch / "results" / "items").mkdir(parents=True)
        judged = work.judge_all(scratch)
        results = Results(
            run_id=run.id,
            run_sha256=canonical.sha256_file(run_folder / "run.json"),
            organization=run.organization,
            system=run.system,
            environment=run.environment,
            as_of=instant,
            period=run.period,
            tool_version=compliancectl.__version__,
            engine=engine_version(other),
            outcome=worst([outcome for control in controls for outcome in [_control_outcome(judged[control.id])]]),
            controls=tuple(
                _control_result(control, uses[control.id], judged[control.id]) for control in _sorted(controls)
            ),
            waivers=work.waiver_uses(),
            disabled=tuple(disabled),
            left_out=tuple(left_out),
        )
        freeze(scratch / "catalog", controls, frameworks, waivers, config(results, scope), claims)
        if engine is not None:
            (scratch / names.CERTIFICATE).write_bytes(canonical.to_bytes(engine[1].to_json()))
            objects = away.read_in_place() if away is not None else ()
            if (ran := engine[0].jobs().model_copy(update={"in_place": objects})) != EngineJobs():
                (scratch / names.ENGINE_JOBS).write_bytes(canonical.to_bytes(ran.to_json()))
        (scratch / "results" / "results.json").write_bytes(canonical.to_bytes(results.to_json()))
        publish(scratch, run_folder)
    except OSError as error:
        raise OutputError(
            f"The results cannot be written: {error.strerror}.",
            hint="Make room, or check permissions.",
            file=run_folder,
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return results


def worst(outcomes: Iterable[ControlOutcome]) -> ControlOutcome:
    """The outcome that counts: inconclusive before deviations before no deviations; none at all is inconclusive."""
    found = set(outcomes)
    return next((outcome for outcome in _RANK if outcome in found), "inconclusive")


def _sorted(controls: Iterable[Control]) -> list[Control]:
    return sorted(controls, key=lambda control: control.id)


def _params(control: Control, scope: Scope | None) -> tuple[ParamUse, ...]:
    overrides = scope.controls.params.get(control.id, {}) if scope is not None else {}
    return tuple(
        ParamUse(name=name, value=overrides.get(name, default), default=default, overridden=name in overrides)
        for name, default in sorted(control.params.items())
    )


def _bind(
    controls: Iterable[Control],
    tables: Mapping[str, Table],
    uses: Mapping[str, tuple[ParamUse, ...]],
    as_of: datetime,
    period: tuple[datetime, datetime],
) -> dict[str, tuple[Bound, ...]]:
    binder = Binder(tables)
    try:
        return {
            control.id: bind_control(
                binder, control, parameter_values({use.name: use.value for use in uses[control.id]}, as_of, period)
            )
            for control in controls
        }
    finally:
        binder.close()


@dataclass
class _Work:
    """Everything that judging needs, and what became of the waivers."""

    controls: Sequence[Control]
    bound: Mapping[str, tuple[Bound, ...]]
    evidence: snapshots.Snapshots
    as_of: datetime
    waivers: Sequence[Waiver]
    limits: Limits
    progress: Callable[[str], None]
    engine: Engine | None = None
    applied: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def judge_all(self, scratch: Path) -> dict[str, tuple[TestResult, ...]]:
        """The results of every test, by control."""
        uses = {
            (control.id, test.test.id): self._uses(control, test)
            for control in self.controls
            for test in self.bound[control.id]
        }
        readable = sorted({use.table for test in uses.values() for use in test if use.problem is None})
        file = scratch / "evidence.duckdb"
        files = {table: self.evidence.files(table) for table in readable}
        self.faults = load_tables(file, self.evidence.tables, files, self.limits)
        judged: dict[str, tuple[TestResult, ...]] = {}
        readable_files = [path for paths in files.values() for path in paths]
        if self.engine is not None:
            lying = {table: self.evidence.addresses(table) or files[table] for table in readable}
            self.engine.declare({name: self.evidence.tables[name] for name in readable}, lying)
        ours = (scratch / "results" / "items", scratch / _ANSWERS)
        with open_locked(file, readable_files, ours, self.limits) as database:
            for control in _sorted(self.controls):
                self.progress(control.id)
                judged[control.id] = tuple(
                    self._test(database, control, test, self._faulted(uses[control.id, test.test.id]), scratch)
                    for test in self.bound[control.id]
                )
        file.unlink()
        return judged

    def _uses(self, control: Control, bound: Bound) -> tuple[TableUse, ...]:
        return tuple(self.evidence.use(table, control.frequency, self.as_of) for table in bound.tables)

    def _faulted(self, uses: tuple[TableUse, ...]) -> tuple[TableUse, ...]:
        return tuple(
            use.model_copy(update={"problem": f"{use.table}: {self.faults[use.table]}"})
            if use.table in self.faults
            else use
            for use in uses
        )

    def _test(
        self, database: EvidenceDatabase, control: Control, bound: Bound, uses: tuple[TableUse, ...], scratch: Path
    ) -> TestResult:
        # Tables of one evidence item share its problem; it is said once.
        problems = dict.fromkeys(use.problem for use in uses if use.problem is not None)
        if problems:
            return _not_judged(bound, uses, " ".join(problems))
        name = f"{control.id}.{bound.test.id}.jsonl"
        out = scratch / "results" / "items" / name
        try:
            answer = self._answer(bound, scratch / _ANSWERS / name)
            found = judge(database, bound, self._active(control.id, bound.test.id), self._extra(bound), out, answer)
        except Stopped as stopped:
            out.unlink(missing_ok=True)
            return _not_judged(bound, uses, str(stopped))
        for id, count in found.waived_by.items():
            self.applied[id] = self.applied.get(id, 0) + count
        if found.fault is not None:
            return _not_judged(bound, uses, found.fault)
        outcome, reason = _test_outcome(bound, found)
        return TestResult(
            id=bound.test.id,
            outcome=outcome,
            reason=reason,
            population_sql=bound.sql,
            tables=uses,
            counts=found.counts,
            checks=found.checks,
            items_path=f"results/items/{name}",
            items_sha256=found.sha256,
            deviations=found.deviations,
        )

    def _answer(self, bound: Bound, folder: Path) -> Path | None:
        """What the other engine answers, if there is one."""
        if self.engine is None:
            return None
        from compliancectl.engines.base import EngineFailed

        folder.parent.mkdir(exist_ok=True)
        try:
            self.engine.answer(bound, folder)
        except EngineFailed as failed:
            raise Stopped(str(failed)) from failed
        if (changed := self.evidence.changed(bound.tables)) is not None:
            raise Stopped(changed)
        return folder

    def _extra(self, bound: Bound) -> list[UnknownItem]:
        """The records that broke a contract, as unknown items with names of their own."""
        found: list[UnknownItem] = []
        seen: dict[str, int] = {}
        for table in bound.tables:
            for record in self.evidence.rejected(table):
                name = f"{table} {record.key}"
                seen[name] = seen.get(name, 0) + 1
                name += f" #{seen[name]}" if seen[name] > 1 else ""
                reason = (
                    f"The record breaks the contract of {table} at {record.path}: {record.message} ({record.reply})"
                )
                found.append(UnknownItem(name, reason))
        return found

    def _active(self, control: str, test: str) -> list[Waiver]:
        mine = [w for w in self.waivers if w.control == control and w.test in (None, test) and not self._expired(w)]
        return sorted((w for w in mine if w.approved <= self.as_of.date()), key=lambda waiver: waiver.id)

    def _expired(self, waiver: Waiver) -> bool:
        return self.as_of.date() > waiver.expires

    def waiver_uses(self) -> tuple[WaiverUse, ...]:
        """What became of every waiver, sorted by id."""
        return tuple(
            WaiverUse(
                id=w.id,
                control=w.control,
                items=w.items,
                checks=w.checks,
                approver=w.approver,
                reason=w.reason,
                approved=w.approved,
                expires=w.expires,
                expired=self._expired(w),
                applied=self.applied.get(w.id, 0),
            )
            for w in sorted(self.waivers, key=lambda waiver: waiver.id)
        )


def _not_judged(bound: Bound, uses: tuple[TableUse, ...], reason: str) -> TestResult:
    checks = tuple(CheckResult(name=c.name, expect=c.expect, finding=c.finding) for c in bound.checks)
    return TestResult(
        id=bound.test.id,
        outcome="inconclusive",
        reason=reason,
        population_sql=bound.sql,
        tables=uses,
        counts=Counts(),
        checks=checks,
    )


def _test_outcome(bound: Bound, found: Judgement) -> tuple[ControlOutcome, str | None]:
    counts = found.counts
    if counts.total == 0:
        if bound.test.may_be_empty is not None:
            return "no occurrences", bound.test.may_be_empty
        return "inconclusive", "The population is empty, and the control does not say why that would be legitimate."
    if counts.unknown:
        failed = f"; {counts.failed} {'fails' if counts.failed == 1 else 'fail'}" if counts.failed else ""
        items = "item" if counts.total == 1 else "items"
        verb = "is" if counts.unknown == 1 else "are"
        return "inconclusive", f"{counts.unknown} of {counts.total} {items} {verb} unknown{failed}."
    if counts.failed:
        return "deviations", None
    if counts.excluded == counts.total:
        one = "The one item is excluded, with its reason."
        return (
            "no occurrences",
            one if counts.total == 1 else f"All {counts.total} items are excluded, each with its reason.",
        )
    return "no deviations", None


def _control_outcome(tests: Sequence[TestResult]) -> ControlOutcome:
    return worst(test.outcome for test in tests)


def _control_result(control: Control, params: tuple[ParamUse, ...], tests: tuple[TestResult, ...]) -> ControlResult:
    own = {
        name: getattr(control, name)
        for name in (
            "id",
            "title",
            "objective",
            "topic",
            "owner",
            "severity",
            "frequency",
            "satisfies",
            "remediation",
            "sha256",
        )
    }
    return ControlResult(**own, params=params, file=catalog_path(control), outcome=_control_outcome(tests), tests=tests)
