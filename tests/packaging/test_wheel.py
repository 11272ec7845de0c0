"""The wheel: what is built from this tree, installed elsewhere, has everything that it needs and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = "compliancectl/_shipped"


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def visible(folder: Path) -> dict[str, bytes]:
    """Every file below a folder of this tree, those left out whose path has a part that begins with a dot."""
    files = (f for f in folder.rglob("*") if f.is_file())
    named = {f.relative_to(ROOT).as_posix(): f for f in files}
    return {
        n: f.read_bytes() for n, f in named.items() if not any(p.startswith((".", "__")) for p in n.split("/")[:-1])
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    place = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, ROOT, cwd=place)
    (made,) = place.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; its dependencies are those that the tests run with."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel, cwd=place)
    return place


def test_the_wheel_holds_the_controls_and_reports_byte_for_byte_and_nothing_hidden(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        held = {n.removeprefix(f"{SHIPPED}/"): archive.read(n) for n in names if n.startswith(SHIPPED)}
    here = {**visible(ROOT / "controls"), **visible(ROOT / "reports")}
    here = {
        name: data for name, data in here.items() if not name.startswith("reports/samples/")
    }  # to look at, not to run
    assert held == {name: data for name, data in here.items() if not name.rpartition("/")[2].startswith(".")}
    assert not [name for name in names if any(part.startswith(".") for part in name.split("/"))]
    assert {name.partition("/")[0] for name in names} == {"compliancectl", names[-1].partition("/")[0]}


def test_the_wheel_holds_the_whole_package(wheel: Path) -> None:
    source = {n.removeprefix("src/") for n in visible(ROOT / "src") if not n.endswith(".pyc")}
    with zipfile.ZipFile(wheel) as archive:
        assert source <= set(archive.namelist())


def test_the_installed_program_answers_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    program = installed / "bin" / "compliancectl"
    assert "--fault" in run(program, "demo", "--help", cwd=tmp_path)
    assert "backups-in-same-region" in run(program, "demo", "--list-faults", cwd=tmp_path)
    listed = {
        control["id"] for control in json.loads(run(program, "controls", "list", "--format", "json", cwd=tmp_path))
    }
    files = [f for f in (ROOT / "controls").glob("[!.]*/*.yaml") if f.parent.name != "frameworks"]
    assert len(listed) == len([f for f in files if f.name[0].isupper()]) >= 17


LOOK = """
from pathlib import Path
import compliancectl
from compliancectl import load, plugins, report, resources
from compliancectl.query.explain import tables_read
from compliancectl.seal import readme
home = Path(compliancectl.__file__).parent
folders = plugins.control_folders()
assert folders == (home / "_shipped/controls",), folders
frameworks = load.load_frameworks(folders[0] / "frameworks")
controls = load.load_controls(folders)
load.check_criteria(controls, frameworks)
assert tables_read(controls, plugins.all_tables())
assert [kind.name for kind in report.kinds()] and resources.reports_folder() == home / "_shipped/reports"
assert "openssl" in readme.recipe()
print(home)
"""


def test_the_installed_package_reads_its_own_controls_and_reports(installed: Path, tmp_path: Path) -> None:
    home = run(installed / "bin" / "python", "-I", "-c", LOOK, cwd=tmp_path).strip()
    assert Path(home).is_relative_to(installed)
