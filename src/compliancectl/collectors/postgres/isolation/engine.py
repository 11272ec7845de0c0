"""Known weaknesses of the server's own row-level security, by version; the table is data."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from compliancectl.collectors.postgres.isolation.model import Facts, Finding

FILE = Path(__file__).with_name("vulnerabilities.toml")


def vulnerabilities(facts: Facts) -> Iterator[Finding]:
    """The server's version is past every known weakness of its branch."""
    branch = facts.version // 10000
    for known in tomllib.loads(FILE.read_text("utf-8"))["vulnerability"]:
        fixed = next((version for version in known["fixed"] if version // 10000 == branch), None)
        newest = max(version // 10000 for version in known["fixed"])
        # A branch older than every fix never got one; one that came after all of them was never touched.
        broken = facts.version < fixed if fixed is not None else branch < newest
        broken = broken and facts.version >= known.get("first", 0)
        release = f"{fixed // 10000}.{fixed % 10000}" if fixed else "a supported branch"
        yield Finding(
            "engine.vulnerability",
            "server",
            known["id"],
            broken,
            f"PostgreSQL {branch}.{facts.version % 10000} has {known['id']}: {known['says']}.",
            repair=f"-- update the server to {release}",
        )
