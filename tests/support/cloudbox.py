"""A running Google Cloud that can be made to misbehave, and collections of it through the public door."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from compliancectl import clock, load, plugins, store
from compliancectl.collect import collect
from compliancectl.collectors.base import Context, Diagnosis
from compliancectl.model.evidence import EvidenceItem, Window
from compliancectl.sandbox.run import Sandbox, environment, write_scope
from compliancectl.sandbox.web import Misbehaviour

PROD, LOGS = "larkspur-prod", "larkspur-logs"


@dataclass
class Box:
    """The running cloud, and a folder for runs."""

    sandbox: Sandbox
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def cloud(self) -> Any:
        return self.sandbox.parts["gcp"]

    def reset(self) -> None:
        """Well-behaved, everything allowed, nothing logged."""
        self.cloud.web.misbehaviours.clear()
        self.cloud.state.denied.clear()
        self.cloud.state.disabled.clear()
        self.cloud.web.log.clear()
        self.cloud.logs.log.clear()
        self.cloud.logs.generated_entries = None

    def misbehave(self, path: str, kind: Any = "status", **how: Any) -> None:
        self.cloud.web.misbehaviours.append(Misbehaviour(path, kind, **how))

    def scope(self, **config: Any) -> Path:
        """Write the scope file; no pause between attempts."""
        section = {**self.cloud.scope, "retry_pause_s": 0, **config}
        write_scope(self.sandbox, sources={"gcp": section})
        return self.sandbox.scope_file

    def collect(
        self,
        *tables: str,
        deadline_s: float = 30.0,
        env: Mapping[str, str] | None = None,
        resume: Path | None = None,
        **config: Any,
    ) -> Collected:
        """Collect the tables into a new run, or go on with one."""
        scope = load.load_scope(self.scope(**config))
        run = resume or self.folder / f"run-{next(self.numbers)}"
        with environment({**self.sandbox.env, **(env or {})}):
            collect(
                scope, {"gcp": plugins.collector("gcp")}, tables, run, deadline_s=deadline_s, resume=resume is not None
            )
        return Collected(run, {(item.feed, item.target): item for item in store.read_items(run)})

    def doctor(self, *, env: Mapping[str, str] | None = None, **config: Any) -> dict[str, Diagnosis]:
        """What doctor says, by subject."""
        section = load.load_scope(self.scope(**config)).sources["gcp"]
        now = clock.now()
        context = Context(Window(start=now - timedelta(days=1), end=now), now, "production", self.folder, 30.0)
        collector = plugins.collector("gcp").collector
        config = collector.config.model_validate(section)
        with environment({**self.sandbox.env, **(env or {})}), collector.open(config, context) as session:
            lines = list(session.doctor())
        assert len({line.subject for line in lines}) == len(lines)
        return {line.subject: line for line in lines}


@dataclass
class Collected:
    """The evidence items of a run, by feed and target."""

    run: Path
    items: dict[tuple[str, str], EvidenceItem]

    def item(self, feed: str, target: str = PROD) -> EvidenceItem:
        return self.items[f"gcp.{feed}", target]
