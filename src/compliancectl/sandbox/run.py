"""Starts the whole company: every vendor's servers, a documents folder, a scope file, and the credential variables."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from compliancectl.sandbox.company import Company
from compliancectl.sandbox.web import WebServer
from compliancectl.sandbox.yamlfile import write_yaml

WAIVERS = "waivers.yaml"
"""File beside the scope file."""


class Part(Protocol):
    """One vendor of the sandbox, running."""

    env: dict[str, str]
    scope: dict[str, Any]
    web: WebServer | None

    def stop(self) -> None:
        """Stop its servers and release its files."""


@runtime_checkable
class Movable(Protocol):
    """A vendor whose servers can show the company as it is at another moment."""

    def move(self, company: Company) -> None:
        """Hold what this company has instead, and refuse what its definition says; misbehaviours stay."""


@dataclass
class Sandbox:
    """The running company."""

    company: Company
    folder: Path
    scope_file: Path
    env: dict[str, str] = field(default_factory=dict)
    """Ordinary credential variables: `GOOGLE_APPLICATION_CREDENTIALS`, `GITHUB_TOKEN` …"""
    parts: dict[str, Part] = field(default_factory=dict)

    def move(self, company: Company) -> None:
        """Show the company as it is at another moment, on the servers that run; the scope file is written anew.

        Raises:
            ValueError: if a part runs that cannot be moved.
        """
        for name, part in self.parts.items():
            if not isinstance(part, Movable):
                raise ValueError(f"{name} cannot be moved to another moment; start the company anew")
            part.move(company)
        self.company = company
        write_scope(self)


@contextmanager
def running(company: Company, folder: Path, only: tuple[str, ...] = ()) -> Iterator[Sandbox]:
    """Run the company (or only some sources of it) until the block ends.

    Args:
        company: what the servers answer with.
        folder: where keys, data and the scope file go; made if it is not there.
        only: collector names (`gcp`, `postgres`, `github`, `documents`, `probes`); empty means all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(company, folder, folder / "compliancectl.yaml")
    try:
        _start(sandbox, only or ("documents", "gcp", "github", "postgres", "probes"))
        write_scope(sandbox)
        yield sandbox
    finally:
        for part in reversed(list(sandbox.parts.values())):
            part.stop()


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables (`Sandbox.env`) until the block ends, then put back what was there."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(sandbox: Sandbox, names: tuple[str, ...]) -> None:
    """Start the parts; the database first, because Google's Cloud SQL proxy leads to it."""
    if "postgres" in names:
        _part(sandbox, "postgres", "postgres")
    if "gcp" in names:
        database = sandbox.parts.get("postgres")
        socket = getattr(database, "socket", None)
        _part(sandbox, "gcp", "google", database_socket=socket)
        _lead_through_cloud_sql(sandbox)
    if "github" in names:
        _part(sandbox, "github", "github")
    if "documents" in names:
        _part(sandbox, "documents", "documents")
    if "probes" in names:
        _part(sandbox, "probes", "edge")


def _lead_through_cloud_sql(sandbox: Sandbox) -> None:
    """Reach the database as the company does: through the Cloud SQL connector, unless it runs the server itself."""
    database: Any = sandbox.parts.get("postgres")
    google: Any = sandbox.parts["gcp"]
    if database is not None and database.managed:
        database.scope = database.cloud_sql_scope(google.sqladmin_endpoint)


def _part(sandbox: Sandbox, source: str, module: str, **extra: Any) -> None:
    folder = sandbox.folder / module
    folder.mkdir(parents=True, exist_ok=True)
    part: Part = importlib.import_module(f"compliancectl.sandbox.{module}").start(sandbox.company, folder, **extra)
    sandbox.parts[source] = part
    sandbox.env.update(part.env)


def write_scope(sandbox: Sandbox, **changes: Any) -> None:
    """Write the scope file of the company; `changes` replaces top-level keys."""
    facts = sandbox.company.sections["company"]
    scope: dict[str, Any] = {
        "organization": facts["organization"],
        "system": facts["system"],
        "environment": facts["environment"],
        "waivers": WAIVERS,
        "sources": {name: part.scope for name, part in sorted(sandbox.parts.items())},
    }
    scope.update(facts.get("scope", {}))
    scope.update(changes)
    write_yaml(sandbox.folder / WAIVERS, {"waivers": [_dated(waiver) for waiver in facts.get("waivers", [])]})
    write_yaml(sandbox.scope_file, scope)


def leave_scope(sandbox: Sandbox, folder: Path) -> Path:
    """Copy the scope file, and what judging needs of the files that it names, into a folder; returns the copy.

    Documents and keys stay behind: they are sources, and gone when the company is.
    """
    for name in (sandbox.scope_file.name, WAIVERS):
        shutil.copyfile(sandbox.folder / name, folder / name)
    return folder / sandbox.scope_file.name


def _dated(waiver: dict[str, Any]) -> dict[str, Any]:
    """A waiver with days where the definition has instants."""
    return {**waiver, "approved": waiver["approved"][:10], "expires": waiver["expires"][:10]}
