"""Assess the company, whole or one source at a time; for system tests."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from compliancectl import store
from compliancectl.cli import pipeline
from compliancectl.cli.project import Project, open_project, tables_of
from compliancectl.collect import collect
from compliancectl.model.result import Results
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import environment, running

SOURCES = {"google": "gcp", "github": "github", "postgres": "postgres", "documents": "documents"}
"""File of the company's definition → collector."""


@dataclass(frozen=True)
class Assessment:
    """A company collected and judged."""

    company: definition.Company
    run: Path
    results: Results


def assess(
    company: definition.Company, folder: Path, only: str | None = None, base: Assessment | None = None
) -> Assessment:
    """Collect the company (or one source of it, the rest taken from `base`) and judge it by every control."""
    run = folder / "run"
    parts = {"postgres": ("gcp", "postgres")}.get(only or "", (only,) if only else ())
    with running(company, folder / "company", parts) as sandbox, environment(sandbox.env):
        project = open_project(sandbox.scope_file)
        collectors = {name: c for name, c in project.collectors.items() if only in (None, name)}
        collect(project.scope, collectors, tables_of(project.selected, project.catalogue.tables), run)
    if base is not None:
        for source in sorted((base.run / store.EVIDENCE).iterdir()):
            if source.name != only:
                shutil.copytree(source, run / store.EVIDENCE / source.name)
    return Assessment(company, run, judge(project, run))


def judge(project: Project, run: Path) -> Results:
    return pipeline.evaluate_stage(project, run, as_of=None)
