"""Assess the company: whole, or again after a fault in one source; for system tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compliancectl import load, store
from compliancectl.cli import pipeline
from compliancectl.cli.project import Project, open_project, select, tables_of
from compliancectl.collect import collect
from compliancectl.evaluate import worst
from compliancectl.model.control import Control
from compliancectl.model.result import Results
from compliancectl.query.rows import read_rows
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import environment, running

SOURCES = {"google": "gcp", "github": "github", "postgres": "postgres", "documents": "documents", "edge": "probes"}
"""File of the company's definition → collector."""
ATTESTATION, MEASURED = "document.attestation", ("sha256", "bytes", "media_type")
"""The table of all documents, and its columns that no control reads."""


@dataclass(frozen=True)
class Assessment:
    """A company collected and judged."""

    company: definition.Company
    project: Project
    tables: tuple[str, ...]
    run: Path
    results: Results
    judged: frozenset[str]
    """Controls that were judged on this evidence; the others were judged before, on the same."""


def assessed(company: definition.Company, scope_file: Path, run: Path) -> Assessment:
    """A company that was collected and judged whole by the command line."""
    project = open_project(scope_file)
    results = Results.model_validate_json((run / "results" / "results.json").read_bytes())
    tables = tables_of(project.selected, project.catalogue.tables)
    return Assessment(company, project, tables, run, results, frozenset(c.id for c in project.selected))


def reassess(company: definition.Company, folder: Path, base: Assessment, source: str) -> Assessment:
    """Collect one source again, take the others from `base`, and judge again whatever the evidence may have changed.

    A control's verdict depends on the evidence that it reads, the scope and the waivers, and on nothing else. So a
    control of which every table is the same as in `base`, row for row and in status, keeps its verdict.
    """
    run = folder / "run"
    parts = {"postgres": ("gcp", "postgres")}.get(source, (source,))
    with running(company, folder / "company", parts) as sandbox, environment(sandbox.env):
        project = select(load.load_scope(sandbox.scope_file), base.project.catalogue)
        collect(project.scope, {source: project.collectors[source]}, base.tables, run)
    for other in sorted((base.run / store.EVIDENCE).iterdir()):
        if other.name != source:
            (run / store.EVIDENCE / other.name).symlink_to(other)
    again = _affected(project, run, base)
    fresh = {c.id: c for c in judge(project, run, again, base).controls} if again else {}
    controls = tuple(fresh.get(control.id, control) for control in base.results.controls)
    results = base.results.model_copy(update={"controls": controls, "outcome": worst(c.outcome for c in controls)})
    return Assessment(company, project, base.tables, run, results, frozenset(fresh))


def judge(project: Project, run: Path, controls: Iterable[Control], base: Assessment | None = None) -> Results:
    """Judge a run by some controls, at the instant of `base` if there is one."""
    chosen = replace(project, selected=tuple(controls))
    return pipeline.evaluate_stage(chosen, run, as_of=base.results.as_of if base else None)


def _affected(project: Project, run: Path, base: Assessment) -> tuple[Control, ...]:
    """The controls that read a table which is not the same as before; all of them if more than evidence differs."""
    assert [c.sha256 for c in project.selected] == [c.sha256 for c in base.project.selected]
    reading = [t.population for c in project.selected for t in c.tests if ATTESTATION in t.population]
    assert not any(name in sql for sql in reading for name in MEASURED)
    if _apart_from_params(project) != _apart_from_params(base.project):
        return project.selected
    before, after = _evidence(base.run), _evidence(run)
    changed = {table for table in before.keys() | after.keys() if before.get(table) != after.get(table)}
    reads = {c.id: {use.table for test in c.tests for use in test.tables} for c in base.results.controls}
    told = {c.id for c in project.selected if _said_of(project, c.id) != _said_of(base.project, c.id)}
    return tuple(control for control in project.selected if reads[control.id] & changed or control.id in told)


def _apart_from_params(project: Project) -> Any:
    """What the scope says about controls, but for their parameters, each of which is about one control."""
    return project.scope.controls.model_copy(update={"params": {}})


def _said_of(project: Project, control: str) -> list[Any]:
    """What people declare about one control: its parameters, and its waivers wherever they were read."""
    waivers = [waiver.model_copy(update={"file": ""}) for waiver in project.waivers if waiver.control == control]
    return [project.scope.controls.params.get(control), *waivers]


def _evidence(run: Path) -> dict[str, list[Any]]:
    """Table → everything about its evidence that a verdict can depend on."""
    found: dict[str, list[Any]] = {}
    for item in store.read_items(run):
        known = (item.id, item.status, item.cause, item.completeness is not None and item.completeness.complete)
        for rows in item.tables:
            content = _told(run, item.id, rows.path) if rows.table == ATTESTATION else rows.sha256
            found.setdefault(rows.table, []).append((*known, content, rows.rejected))
    return found


def _told(run: Path, item: str, path: str) -> list[Any]:
    """What is told of documents, but for the digests of their bytes: one changed row of a register is not all of them."""
    return [
        {name: value for name, value in row.items() if name not in MEASURED}
        for row in read_rows(run / store.EVIDENCE / item / path)
    ]
