"""The embedded company over many days: a real run each night against its servers, and what is planted on the way.

The servers are started once and shown the company of the next day (`Sandbox.move`). What the definition has lies before the
first day; from then on a change is merged each weekday. The clock of the process stands at two in the night while a
run is made, and the run is what `compliancectl run` does: collect through the clients, judge, seal, verify, enter in the ledger.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from compliancectl import clock, ledger, load
from compliancectl.cli import pipeline
from compliancectl.cli.journal import journal
from compliancectl.cli.project import Catalogue, catalogue, select
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.github.ids import sha
from compliancectl.sandbox.run import Sandbox, environment, running
from compliancectl.seal import keys

START = datetime(2025, 1, 1, 2, tzinfo=UTC)
ORG = "larkspur-learning"
CONTROLS = ("BCP-01", "NET-02", "SDL-03", "SDL-04")
EDITED = "NET-02"
UNPROTECTED, FAULT = f"{ORG}/infrastructure/main", "force-push-allowed"
DATABASE = "//cloudsql.googleapis.com/projects/larkspur-prod/instances/app-db"
DENIED = "compute.firewalls.list"
RECORDS = ("emergency-change", "rule-change")
"""The documents that the chosen controls read."""
HOTFIX = 9001
"""Number of the first emergency merge."""


@dataclass(frozen=True)
class Plan:
    """How many days, and what happens on them, counted from 0."""

    days: int
    no_runs: tuple[int, ...]
    unprotected: range
    """Nights on which history may be rewritten."""
    emergencies: dict[int, str]
    """Day → repository to which something was merged late that evening, unreviewed and past the rules; a record followed."""
    failed_backup: int
    edited_from: int
    denied: range
    """Nights on which firewall rules may not be listed."""


YEAR = Plan(
    days=365,
    no_runs=(73, 74),  # a Saturday and a Sunday in March
    unprotected=range(120, 129),
    emergencies={199: "study-companion", 200: "infrastructure"},
    failed_backup=250,
    edited_from=180,
    denied=range(300, 307),
)
EIGHT_DAYS = Plan(
    days=8,
    no_runs=(1, 2),
    unprotected=range(4, 5),
    emergencies={3: "study-companion", 4: "infrastructure"},
    failed_backup=4,
    edited_from=5,
    denied=range(6, 7),
)


@dataclass(frozen=True)
class Chain:
    """The bundles of so many days, and the ledger of their runs."""

    plan: Plan
    folder: Path
    public: Path
    ledger: Path
    verifier: str

    @property
    def start(self) -> str:
        return f"{START:%Y-%m-%d}"

    @property
    def end(self) -> str:
        return f"{night(self.plan.days):%Y-%m-%d}"


def night(number: int) -> datetime:
    """When the run of a day is made."""
    return START + timedelta(days=number)


def weekdays(plan: Plan) -> list[int]:
    """The days on which something is merged."""
    return [number for number in range(plan.days) if night(number).weekday() < 5]


def hotfix(plan: Plan, day: int) -> str:
    """The name of an emergency merge, as a resource."""
    return f"{ORG}/{plan.emergencies[day]}#{HOTFIX + day}"


def simulate(plan: Plan, place: Path) -> Chain:
    """Make all runs of a plan, and the one after it, which collects the events of the last day."""
    made = _Maker(plan, place)
    with made.running():
        for number in range(plan.days + 1):
            if number not in plan.no_runs:
                made.run(number)
    return Chain(plan, made.bundles, made.pair.public, made.ledger, made.verifier)


@dataclass
class _Maker:
    plan: Plan
    place: Path
    merged: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bundles, self.ledger, self.ledger_key = (self.place / n for n in ("bundles", "ledger", "ledger.pem"))
        self.pair = keys.new_key(self.place / "key")
        self.verifier = ledger.create(self.ledger, "larkspur.example/evidence", self.ledger_key).verifier
        self.before = catalogue()
        self.after = _edited(self.before, self.place)
        self.bundles.mkdir()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The company on its servers, on the first day."""
        with ExitStack() as stack:
            self.time = stack.enter_context(time_machine.travel(START, tick=False))
            # The server of logs waits until a second from now; told another date it would not wait at all, and spin.
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr("grpc._server.time", time_machine.escape_hatch.time)
            parts = ("documents", "gcp", "github")
            self.sandbox: Sandbox = stack.enter_context(running(self.company(0), self.place / "company", parts))
            stack.enter_context(environment(self.sandbox.env))
            yield

    def company(self, number: int) -> definition.Company:
        """The company in one night."""
        now, plan = night(number), self.plan
        company = definition.load((FAULT,) if number in plan.unprotected else (), now=now, since=START)
        google, github = company.sections["google"], company.sections["github"]
        if number in plan.denied:
            google["denied_permissions"] = [DENIED]
        age = (now.date() - night(plan.failed_backup).date()).days
        google["projects"]["larkspur-prod"]["sql"]["app-db"]["backups"]["failed_days_ago"] = [age] if age >= 0 else []
        documents = {name: company.sections["documents"][name] for name in RECORDS}
        company.sections["documents"] = documents
        for repository, pulls in _merges(plan, now).items():
            github["repositories"][repository]["pull_requests"] += pulls
        for day, repository in plan.emergencies.items():
            if _evening(day) < now:
                suites = github["repositories"][repository].setdefault("rule_suites", [])
                suites.append(_bypass(day, HOTFIX + day))
            if night(day + 1) < now:
                documents[f"hotfix-{day}"] = _record(repository, day)
        return company

    def run(self, number: int) -> None:
        """One run, of which the sealed archive is kept."""
        self.time.move_to(night(number), tick=False)
        self.sandbox.move(self.company(number))
        found = self.after if number >= self.plan.edited_from else self.before
        scope = load.load_scope(_with_period(self.sandbox, self.plan))
        project = select(scope, found, list(CONTROLS))
        outputs = pipeline.Outputs(self.place / "run")
        book = journal(self.ledger, self.ledger_key)
        pipeline.whole(
            project,
            outputs,
            lambda: pipeline.gather_stage(project, outputs.run, resume=False, deadline_s=60.0),
            pipeline.Ending(self.pair.private, (), "A4", book=book),
        )
        for name in ("gcp", "github"):
            bugs = self.sandbox.parts[name].server.bugs  # type: ignore[attr-defined]
            assert bugs == [], bugs
        outputs.archive.rename(self.bundles / f"{night(number):%Y-%m-%d}.zip")
        shutil.rmtree(outputs.folder)


def _with_period(sandbox: Sandbox, plan: Plan) -> Path:
    """The scope file, with the observation period in it."""
    from compliancectl.sandbox.run import write_scope

    end = night(plan.days)
    write_scope(sandbox, period={"start": START.date(), "end": end.date()})
    return sandbox.scope_file


def _edited(before: Catalogue, place: Path) -> Catalogue:
    """The same controls, one of which somebody edited."""
    (control,) = [control for control in before.controls if control.id == EDITED]
    file = place / "edited" / Path(control.file).parent.name / Path(control.file).name
    file.parent.mkdir(parents=True)
    file.write_text(
        Path(control.file).read_text(encoding="utf-8") + "# Looked at by the network team.\n", encoding="utf-8"
    )
    edited = load.load_control(file)
    assert edited.sha256 != control.sha256
    return replace(before, controls=tuple(edited if c.id == EDITED else c for c in before.controls))


_REPOSITORIES = ("study-companion", "lesson-editor", "infrastructure")
_PEOPLE = (("chen-wei", "bruno-keller"), ("elias-lind", "chen-wei"), ("bruno-keller", "amara-okafor"))


def _merges(plan: Plan, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Repository → what was merged to it before an instant."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in _REPOSITORIES}
    for day in weekdays(plan):
        at = night(day).replace(hour=9)
        if at < now:
            author, reviewer = _PEOPLE[day % 3]
            entry = {"number": 1000 + day, "author": author, "merged": clock.text(at), "reviews": [{"by": reviewer}]}
            found[_REPOSITORIES[day % 3]].append(entry)
    for day, repository in plan.emergencies.items():
        if _evening(day) < now:
            merged = {
                "number": HOTFIX + day,
                "author": "bruno-keller",
                "merged": clock.text(_evening(day)),
                "reviews": [],
            }
            found[repository].append(merged)
    return found


def _evening(day: int) -> datetime:
    return night(day).replace(hour=22, minute=10)


def _bypass(day: int, number: int) -> dict[str, Any]:
    at = clock.text(_evening(day))
    return {"id": 99000000 + day, "actor": "bruno-keller", "at": at, "result": "bypass", "pull_request": number}


def _record(repository: str, day: int) -> dict[str, Any]:
    """What was written about an emergency merge the next day."""
    said = {
        "kind": "emergency-change",
        "subject": sha(repository, HOTFIX + day, "merge"),
        "title": f"Emergency change of {repository}",
        "owner": "engineering lead",
        "issued": clock.text(night(day + 1)),
    }
    return {"file": f"emergency-{day}.md", "text": "# Emergency change\nLessons could not be opened.\n", "said": said}
