"""Fixtures that several folders share."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from bucket import Bucket
    from kms import Kms

_LONGEST = "system postgres controls cli report github seal architecture lake period google engine depot capture replay"
LONGEST = tuple(_LONGEST.split())
"""Folders that take more than 20 seconds of CPU time, the longest first."""


def folder_of(path: str) -> str:
    """`cli` of `tests/cli/test_cli.py` and of whatever is in it."""
    return path.removeprefix("tests/").partition("/")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(folder_of(item.nodeid), len(rank)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where faults were tried: which fault turns which checks, and whether it did."""
    tried = {
        report.nodeid.partition("[")[2]: outcome
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "/test_faults.py::" in report.nodeid and "[" in report.nodeid
    }
    if not tried:
        return
    from compliancectl.sandbox import company

    terminalreporter.section("fault → the checks that it turns, and no others")
    for name, fault in company.faults().items():
        turns = "; ".join(f"{test}: {', '.join(checks)}" for test, checks in sorted(fault.turns.items()))
        terminalreporter.write_line(f"{name:<44} {turns}")
    failed = sorted(what.rstrip("]") for what, outcome in tried.items() if outcome == "failed")
    terminalreporter.write_line(f"not as it says: {'; '.join(failed) or 'none'} (of those that were tried)")


class ByFolder(LoadScopeScheduling):
    """Each folder is one worker's, so that its servers and its evidence are made once."""

    def _split_scope(self, nodeid: str) -> str:
        return folder_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder | None:
    """`--dist loadscope` goes by folder; without it, one folder alone is worked on by all."""
    return ByFolder(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(scope="module")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bucket, Kms]]:
    """A bucket of Cloud Storage, and the service that gives the tokens for it."""
    from bucket import Bucket
    from kms import Kms

    with Bucket.serving() as bucket, Kms.serving(tmp_path_factory.mktemp("tokens")) as tokens:
        yield bucket, tokens


@pytest.fixture(autouse=True)
def _no_ambient_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may depend on, or reach, what the machine happens to be logged in to."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "CLOUDSDK_", "GITHUB_", "GH_", "PG", "COMPLIANCECTL_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def _limits_are_given_back() -> Iterator[None]:
    """A limit on memory that outlives its statement would fail whatever runs in this process later, far from its cause."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
