"""The vendors' contracts are fetched by digest: the right files or none, and no file that nobody named."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "requirements" / "contracts.py"
SCHEMA = b"type Query { it: Int }\n"


class Registry:
    """A project with one contract to fetch, and an `npm` that packs what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / ".cache" / "contracts"
        (folder / "requirements").mkdir()
        (folder / "bin").mkdir()
        for script in (SCRIPT, SCRIPT.with_name("npm.py")):
            shutil.copy(script, folder / "requirements")
        self.archive = folder / "package.tgz"
        with tarfile.open(self.archive, "w:gz") as opened:
            for name, data in (("package/schema.graphql", SCHEMA), ("package/index.js", b"throw 1")):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                opened.addfile(entry, io.BytesIO(data))
        self.npm(f'echo "$@" >> {folder}/asked; cp {self.archive} .')
        self.lock()

    def npm(self, script: str) -> None:
        tool = self.folder / "bin" / "npm"
        tool.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
        tool.chmod(0o755)

    def lock(self, *, integrity: str = "", member: str = "schema.graphql", digest: str = "") -> None:
        whole = base64.b64encode(hashlib.sha512(self.archive.read_bytes()).digest()).decode()
        (self.folder / "requirements" / "contracts.lock").write_text(
            f'[[package]]\nname = "@vendor/api"\nversion = "1.2.3"\nintegrity = "{integrity or "sha512-" + whole}"\n'
            f'[package.members]\n"{member}" = "{digest or hashlib.sha256(SCHEMA).hexdigest()}"\n'
        )

    def fetch(self) -> subprocess.CompletedProcess[str]:
        script = self.folder / "requirements" / "contracts.py"
        path = {"PATH": str(self.folder / "bin")}
        return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=path, timeout=60)

    @property
    def asked(self) -> list[str]:
        log = self.folder / "asked"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_the_named_file_is_taken_and_nothing_else(registry: Registry) -> None:
    assert registry.fetch().returncode == 0
    assert [f.name for f in registry.cache.iterdir()] == ["schema.graphql"]
    assert (registry.cache / "schema.graphql").read_bytes() == SCHEMA
    assert registry.asked == ["pack @vendor/api@1.2.3 --ignore-scripts --silent"]


def test_what_is_there_is_not_fetched_again_unless_it_was_changed(registry: Registry) -> None:
    registry.fetch()
    assert registry.fetch().returncode == 0 and len(registry.asked) == 1
    (registry.cache / "schema.graphql").write_text("type Query { it: String }")
    assert registry.fetch().returncode == 0 and len(registry.asked) == 2
    assert (registry.cache / "schema.graphql").read_bytes() == SCHEMA


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ({"integrity": "sha512-AAAA"}, "is not the package that contracts.lock names"),
        ({"digest": "0" * 64}, "is not the file that contracts.lock names"),
        ({"member": "openapi.json"}, "has no file package/openapi.json"),
    ],
)
def test_another_package_is_refused_and_leaves_nothing(registry: Registry, lock: dict[str, str], said: str) -> None:
    registry.lock(**lock)
    done = registry.fetch()
    assert done.returncode == 1 and said in done.stderr
    assert not registry.cache.exists() or list(registry.cache.iterdir()) == []


def test_a_registry_that_does_not_answer_is_named(registry: Registry) -> None:
    registry.npm("echo 'connect ECONNREFUSED' >&2; exit 1")
    done = registry.fetch()
    assert done.returncode == 1 and "@vendor/api@1.2.3: connect ECONNREFUSED" in done.stderr


def test_without_npm_the_message_says_how_to_get_it(registry: Registry) -> None:
    (registry.folder / "bin" / "npm").unlink()
    done = registry.fetch()
    assert done.returncode == 1 and "apt-get install --no-install-recommends npm" in done.stderr
