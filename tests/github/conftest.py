"""The company's GitHub for one test: changed as the test says, collected through the public door, judged by controls."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compliancectl import load, plugins, store
from compliancectl.cli.project import catalogue
from compliancectl.collect import Event, collect
from compliancectl.evaluate import evaluate
from compliancectl.model.evidence import EvidenceItem, Window
from compliancectl.model.result import Results, TestResult
from compliancectl.plugins import Installed
from compliancectl.query.rows import read_rows
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.company import Company
from compliancectl.sandbox.run import Sandbox, environment, running, write_scope
from compliancectl.sandbox.web import Misbehaviour

QUICK: dict[str, Any] = {"retry_pause_s": 0, "secondary_pause_s": 0, "generic_secret_types": []}
"""No pauses, so that no test waits; one listing of secrets, so that requests are easy to count."""
INSTALLED: Installed = plugins.collector("github")


@dataclass(frozen=True)
class Run:
    """What one collection gave."""

    folder: Path

    @property
    def items(self) -> dict[str, EvidenceItem]:
        """By feed and target as people read them: `changes larkspur-learning/infrastructure`."""
        return {f"{item.feed.partition('.')[2]} {item.target}": item for item in store.read_items(self.folder)}

    @property
    def only(self) -> EvidenceItem:
        (item,) = self.items.values()
        return item

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = []
        for item in self.items.values():
            for rows in item.tables:
                if rows.table == f"github.{table}":
                    found += read_rows(self.folder / "evidence" / item.id / rows.path)
        return sorted(found, key=lambda row: row["resource"])

    def by(self, table: str, column: str = "resource") -> dict[Any, dict[str, Any]]:
        return {row[column]: row for row in self.rows(table)}

    def judged(self, control: str) -> dict[str, TestResult]:
        """The tests of one control."""
        found = catalogue_of()
        (wanted,) = [c for c in found.controls if c.id == control]
        results: Results = evaluate(self.folder, [wanted], found.tables)
        return {test.id: test for test in results.controls[0].tests}


@dataclass
class Hub:
    """A running GitHub and the scope file that leads to it."""

    sandbox: Sandbox
    folder: Path
    runs: int = 0

    @property
    def part(self) -> Any:
        return self.sandbox.parts["github"]

    @property
    def state(self) -> Any:
        return self.part.state

    def misbehave(self, path: str, name: str = "", **more: Any) -> None:
        """See `compliancectl.sandbox.github`; a name is one of the vendor's own misbehaviours."""
        kind = "vendor" if name else more.pop("kind", "status")
        self.part.web.misbehaviours.append(Misbehaviour(path, kind=kind, name=name, **more))

    def scope(self, **section: Any) -> Path:
        write_scope(self.sandbox, sources={"github": {**self.part.scope, **QUICK, **section}})
        return self.sandbox.scope_file

    def collect(
        self,
        *tables: str,
        deadline_s: float = 5.0,
        tell: Callable[[Event], None] = lambda event: None,
        period: Window | None = None,
        **section: Any,
    ) -> Run:
        """Collect the feeds of these tables (all of them if none is named) from the scope file."""
        scope = load.load_scope(self.scope(**section))
        self.runs += 1
        run = self.folder / f"run{self.runs}"
        wanted = [f"github.{name}" for name in tables] or [t.name for t in INSTALLED.collector.tables]
        with environment(self.sandbox.env):
            collect(scope, {"github": INSTALLED}, wanted, run, deadline_s=deadline_s, tell=tell, period=period)
        return Run(run)


_CATALOGUE: list[Any] = []


def catalogue_of() -> Any:
    """The shipped controls, loaded once."""
    if not _CATALOGUE:
        _CATALOGUE.append(catalogue())
    return _CATALOGUE[0]


@pytest.fixture(scope="session")
def healthy() -> Company:
    return definition.load()


@pytest.fixture(scope="module")
def start(healthy: Company, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Hub]]:
    """Start a GitHub with a definition changed by the function that is given."""
    with ExitStack() as stack:

        def started(change: Callable[[dict[str, Any]], None] = lambda github: None) -> Hub:
            company = copy.deepcopy(healthy)
            change(company.sections["github"])
            folder = tmp_path_factory.mktemp("hub")
            sandbox = stack.enter_context(running(company, folder / "company", only=("github",)))
            return Hub(sandbox, folder)

        yield started


@pytest.fixture
def hub(start: Callable[..., Hub]) -> Hub:
    """A GitHub of its own for this test."""
    return start()


@pytest.fixture(scope="module")
def whole(start: Callable[..., Hub]) -> Run:
    """Everything of the healthy company, collected once."""
    return start().collect()
