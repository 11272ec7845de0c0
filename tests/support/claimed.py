"""A small company that says things in public: documents, controls over them, and a register of claims."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from compliancectl import load
from compliancectl.cli import app, pipeline
from compliancectl.cli.project import Catalogue, Project, catalogue, select

CONTROL = """\
id: {id}
title: Every {kind} is independent
objective: For tests.
satisfies: {{soc2: [CC4.1]}}
owner: security
severity: high
frequency: annual
remediation: Mend it.
tests:
  - id: papers
    {may_be_empty}population: |
      SELECT a.resource, a.independent, a.performed_by FROM document.attestation AS a WHERE a.kind = '{kind}'
    checks:
      independent: {{expect: independent, finding: "{{resource}} is not independent."}}
      named: {{expect: performed_by IS NOT NULL, finding: "{{resource}} names nobody."}}
    examples:
      - given: {{document.attestation: []}}
        then: {{}}
"""
SIDECAR = "kind: {kind}\nsubject: x\ntitle: x\nowner: security\nissued: 2026-01-01\nperformed_by: someone\n"
SCOPE = """\
organization: Larkspur Learning, Inc.
system: Study Companion
controls: {folders: [mine], only: ["TST-*"]}
waivers: waivers.yaml
claims: claims.yaml
sources:
  documents: {folder: documents}
"""
WAIVERS = """\
waivers:
  - {id: W-1, control: TST-06, items: ["*"], checks: [independent], approver: CISO, reason: x, approved: 2026-01-01,
     expires: 2099-01-01}
"""
KINDS = {
    "TST-01": ("good", [True, True]),
    "TST-02": ("mixed", [True, False, None]),
    "TST-03": ("mute", [True, None]),
    "TST-04": ("rare", []),
    "TST-05": ("missing", []),
    "TST-06": ("accepted", [True, False]),
}
"""Control → kind of document that it asks for, and how independent each of them is."""


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run one command line in this process."""

    def run(*arguments: object) -> Said:
        capfd.readouterr()
        code = app.run([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return run


def write_company(place: Path, claims: str) -> Path:
    """Scope, controls, documents and register; returns the scope file."""
    for folder in ("mine/topic", "documents"):
        (place / folder).mkdir(parents=True)
    for id, (kind, papers) in KINDS.items():
        empty = "may_be_empty: There need be none.\n    " if kind == "rare" else ""
        (place / f"mine/topic/{id}-x.yaml").write_text(CONTROL.format(id=id, kind=kind, may_be_empty=empty))
        for number, independent in enumerate(papers):
            paper(place, kind, number, independent)
    (place / "waivers.yaml").write_text(WAIVERS)
    (place / "claims.yaml").write_text(claims)
    (place / "compliancectl.yaml").write_text(SCOPE)
    return place / "compliancectl.yaml"


def paper(place: Path, kind: str, number: int, independent: bool | None) -> None:
    """Write one document with its sidecar."""
    file = place / "documents" / f"{kind}-{number}.txt"
    file.write_text("a paper")
    more = "" if independent is None else f"independent: {str(independent).lower()}\n"
    file.with_name(f"{file.name}.yaml").write_text(SIDECAR.format(kind=kind) + more)


@cache
def shipped() -> Catalogue:
    """What a company's own controls refer to: loaded once."""
    return catalogue()


def project_of(scope: Path) -> Project:
    """The company with its own controls only."""
    own = load.load_controls([scope.parent / "mine"])
    return select(load.load_scope(scope), replace(shipped(), controls=own))


def assess(scope: Path, run: Path) -> Path:
    """Collect and evaluate by the company's own controls; whatever the outcome."""
    project = project_of(scope)
    pipeline.collect_stage(project, run, resume=False, deadline_s=60)
    pipeline.evaluate_stage(project, run, None)
    return run
