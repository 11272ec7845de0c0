"""Keeps the GitHub issue of `notify --github-issue`: connects, finds it, and does what is to be done."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl.errors import FileError, UsageError

if TYPE_CHECKING:
    from compliancectl.collectors.github.issues import Issue, Tracker
    from compliancectl.gap_issue import GapList, Plan

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_DONE = {"create": "made", "edit": "edited", "reopen": "opened again", "close": "closed"}
_WOULD = {"create": "make", "edit": "edit", "reopen": "open again", "close": "close"}


def keep(bundle: Path, repository: str, scope_file: Path, token_env: str | None, *, public: bool, dry_run: bool) -> str:
    """Bring the issue of a bundle's system up to date; returns what to tell the person.

    Raises:
        UsageError: the bundle is of another system than the scope, everybody reads the repository, or the bundle is old.
        CollectError: GitHub refuses, or cannot be reached.
    """
    from compliancectl.collectors.github.issues import tracker
    from compliancectl.export.source import opened
    from compliancectl.gap_issue import gap_list

    if not _NAME.fullmatch(repository):
        raise UsageError(f"{repository!r} is no repository", hint="Write it as OWNER/REPO.")
    with opened(bundle) as source:
        found = gap_list(source)
    config, context = _connection(scope_file, found, token_env)
    with tracker(config, context, repository) as issues:
        if issues.public() and not public:
            raise UsageError(
                f"everybody can read {repository}, and the list says what is weak",
                hint="Name a private repository. If it shall be this one, say --public.",
            )
        return _kept(issues, found, dry_run=dry_run)


def _kept(issues: Tracker, found: GapList, *, dry_run: bool) -> str:
    from compliancectl.gap_issue import plan

    mine = issues.mine(found.marker)
    first = mine[0] if mine else None
    to_do = plan(found, first.body if first else None, closed=first is not None and first.state == "closed")
    if dry_run:
        said = _would(issues, found, first, to_do)
    elif to_do.deed == "nothing":
        said = (
            f"nothing to do: {first.url if first else f'nothing is open, and there is no issue in {issues.repository}'}"
        )
    else:
        said = f"{_DONE[to_do.deed]}: {_done(issues, found, first, to_do).url}"
    if others := [f"#{issue.number}" for issue in mine[1:]]:
        said += f"\nleft alone, though it has the same hidden line: {', '.join(others)}; remove it there"
    return said


def _would(issues: Tracker, found: GapList, first: Issue | None, to_do: Plan) -> str:
    what = first.url if first else f"an issue in {issues.repository}"
    if to_do.deed == "nothing":
        return f"would do nothing: {what}" if first else f"would do nothing: nothing is open in {found.system}"
    return f"would {_WOULD[to_do.deed]} {what}\n\n{found.title}\n\n{to_do.body}"


def _done(issues: Tracker, found: GapList, first: Issue | None, to_do: Plan) -> Issue:
    if first is None:
        return issues.create(found.title, to_do.body)
    return issues.edit(first, to_do.body, "closed" if to_do.deed == "close" else "open")


def _connection(scope_file: Path, found: GapList, token_env: str | None) -> tuple[Any, Any]:
    """The scope's own way to GitHub, with another token if one is named."""
    from compliancectl import clock, load, plugins
    from compliancectl.collectors.base import Context
    from compliancectl.model.evidence import Window
    from compliancectl.sections import validate_sections

    if not scope_file.is_file():
        raise FileError("there is no scope file", file=scope_file, hint="Name it with --scope.")
    scope = load.load_scope(scope_file)
    names = (scope.organization, scope.system, scope.environment)
    if names != (found.organization, found.system, found.environment):
        theirs = ", ".join((found.organization, found.system, found.environment))
        raise UsageError(
            f"the bundle is of {theirs}; {scope_file} is of {', '.join(names)}", hint="Name its own scope."
        )
    if "github" not in scope.sources:
        raise UsageError(
            f"{scope_file} says nothing of GitHub", hint="Add sources.github: how to connect stands there."
        )
    config: Any = validate_sections(scope, {"github": plugins.collector("github")})["github"]
    change: dict[str, Any] = {"cache": None}
    if token_env:
        change |= {"token_env": token_env, "app": None}
    now = clock.now()
    window = Window(start=now - timedelta(days=1), end=now)
    return config.model_copy(update=change), Context(window, now, scope.environment, scope.folder)
