"""Pin the dependencies of pyproject.toml with their hashes.

    runtime.lock   the program
    sigstore.lock  the program with the extra of that name
    spark.lock     that extra alone
    bigquery.lock  that extra, and the reference implementation of GoogleSQL
    dev.lock       what it is developed and tested with
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write the lock files; none names where packages were downloaded from."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["build-system"]["requires"]
    runtime = [*project["project"]["dependencies"], *build, "editables"]
    dev = [*runtime, *project["dependency-groups"]["dev"]]
    extras = project["project"]["optional-dependencies"]
    wanted_by = {
        "dev": dev,
        "runtime": runtime,
        "sigstore": [*runtime, *extras["sigstore"]],
        "spark": extras["spark"],
        "bigquery": [*extras["bigquery"], *project["dependency-groups"]["googlesql"]],
    }
    for name, wanted in wanted_by.items():
        with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
            source.write("\n".join(wanted) + "\n")
            source.flush()
            constraint = [] if name == "dev" else ["--constraint", str(HERE / "dev.lock")]
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "uv",
                    "pip",
                    "compile",
                    "--quiet",
                    "--universal",
                    "--generate-hashes",
                    "--no-emit-index-url",
                    "--no-header",
                    "--no-annotate",
                    "--python-version",
                    "3.11",
                    *constraint,
                    source.name,
                    "--output-file",
                    str(HERE / f"{name}.lock"),
                ],
                check=True,
            )


if __name__ == "__main__":
    main()
