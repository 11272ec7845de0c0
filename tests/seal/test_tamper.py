"""Every attack is noticed: by `verify` at the step that is meant to, and by the shell lines that people copy."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliancectl.seal import readme, trust
from compliancectl.seal.archive import Archive
from compliancectl.verify import verify

_spec = importlib.util.spec_from_file_location("seal_tamper", Path(__file__).with_name("tamper.py"))
assert _spec and _spec.loader
tamper = importlib.util.module_from_spec(_spec)
sys.modules["seal_tamper"] = tamper
_spec.loader.exec_module(tamper)

README = Path(__file__).parents[2] / "README.md"
GUIDE = README.parent / "docs/verify-by-hand.md"


def recipe(text: Path = README) -> str:
    """The one fenced block of shell lines in a text."""
    _, block = text.read_text().split("```sh\n")
    return block.partition("```")[0]


# What the guide says it needs: of coreutils, and find, grep, sed and openssl.
TOOLS = ("cat", "comm", "cp", "mktemp", "rm", "sha256sum", "sort", "wc", "find", "grep", "sed", "openssl")


def by_hand(shell: str, bundle: Path, key: Path, script: Path) -> subprocess.CompletedProcess[str]:
    """Run the guide's lines where no other program can be found."""
    script.write_text(recipe())
    bin = script.with_name("bin")
    bin.mkdir(exist_ok=True)
    for tool in TOOLS:
        if not (bin / tool).is_symlink():
            (bin / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is not installed"))
    command = [shutil.which(shell) or pytest.fail(f"{shell} is not installed"), script, bundle, key]
    return subprocess.run(command, env={"PATH": str(bin)}, capture_output=True, text=True, timeout=30, check=False)


def assert_noticed(path: Path, public: Path, step: int) -> None:
    found = verify(path, trust=trust.load(public_keys=[public]))
    failed = [(s.number, s.message) for s in found.steps if s.outcome == "failed"]
    assert [number for number, _ in failed] == [step], failed
    assert found.verdict == "does not verify"
    assert found.exit_code == 4
    assert found.failure is not None and found.failure.step == step
    assert all(s.outcome == "skipped" for s in found.steps if s.number > step)


@pytest.mark.parametrize("name", tamper.FOLDER)
def test_verify_notices_an_attack_on_the_folder(sealed, tmp_path: Path, name: str) -> None:
    step, attack = tamper.FOLDER[name]
    folder = sealed.copy(tmp_path / "bundle")
    attack(folder, sealed)
    assert_noticed(folder, sealed.public, step)


@pytest.mark.parametrize("name", tamper.BEYOND)
def test_verify_notices_what_the_shell_lines_cannot(sealed, tmp_path: Path, name: str) -> None:
    step, attack = tamper.BEYOND[name]
    folder = sealed.copy(tmp_path / "bundle")
    attack(folder, sealed)
    assert_noticed(folder, sealed.public, step)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("name", tamper.FOLDER)
def test_the_shell_lines_notice_an_attack_on_the_folder(sealed, tmp_path: Path, name: str, shell: str) -> None:
    folder = sealed.copy(tmp_path / "bundle")
    tamper.FOLDER[name][1](folder, sealed)
    done = by_hand(shell, folder, sealed.public, tmp_path / "by-hand.sh")
    assert "VERIFIED" not in done.stdout
    assert "DOES NOT VERIFY: " in done.stderr
    assert done.returncode == 4, done.stderr


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_shell_lines_accept_an_untouched_bundle(sealed, tmp_path: Path, shell: str) -> None:
    done = by_hand(shell, sealed.folder, sealed.public, tmp_path / "by-hand.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VERIFIED")


def test_the_shell_lines_do_not_trust_the_enclosed_key(sealed, tmp_path: Path) -> None:
    done = by_hand("sh", sealed.folder, sealed.other_public, tmp_path / "by-hand.sh")
    assert done.returncode == 4


def test_the_guide_has_the_same_shell_lines() -> None:
    assert recipe(GUIDE) == recipe(README)


def test_the_guide_names_every_program_that_it_needs() -> None:
    said = GUIDE.read_text().partition("```sh")[0]
    for tool in ("coreutils", "`find`", "`grep`", "`sed`", "`openssl`"):
        assert tool in said


def test_the_shell_lines_in_the_bundle_itself_verify_it(sealed, tmp_path: Path) -> None:
    """Taken out of README.txt as a reader would: everything below its line of dashes."""
    lines = (sealed.folder / "README.txt").read_text().splitlines(keepends=True)
    rule = next(number for number, line in enumerate(lines) if set(line.strip()) == {"-"})
    assert "".join(lines[rule + 1 :]) == recipe()
    assert by_hand("dash", sealed.folder, sealed.public, tmp_path / "by-hand.sh").returncode == 0


def test_the_shell_lines_name_what_was_added_and_deleted(sealed, tmp_path: Path) -> None:
    folder = sealed.copy(tmp_path / "bundle")
    (folder / tamper.RAW).unlink()
    (folder / "evidence/planted.json").write_text("{}")
    done = by_hand("dash", folder, sealed.public, tmp_path / "by-hand.sh")
    assert f"{tamper.RAW}\n" in done.stderr and "\tevidence/planted.json\n" in done.stderr and done.returncode == 4


@pytest.mark.parametrize("argument", ["bundle", "key"])
def test_the_shell_lines_fail_when_there_is_nothing_to_verify(sealed, tmp_path: Path, argument: str) -> None:
    bundle = tmp_path / "nowhere" if argument == "bundle" else sealed.folder
    key = tmp_path / "nowhere.pem" if argument == "key" else sealed.public
    done = by_hand("dash", bundle, key, tmp_path / "by-hand.sh")
    assert done.returncode == 4 and "DOES NOT VERIFY" in done.stderr and "VERIFIED" not in done.stdout


def test_the_guide_and_the_bundle_give_the_same_shell_lines(sealed) -> None:
    assert recipe() == readme.recipe()
    assert recipe() in (sealed.folder / "README.txt").read_text()


@pytest.mark.parametrize("name", tamper.ARCHIVE)
def test_verify_notices_an_attack_on_the_archive(sealed, tmp_path: Path, name: str) -> None:
    step, attack = tamper.ARCHIVE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile remarks on the duplicate that we make on purpose
        attack(tmp_path / "bundle.zip", sealed)
    assert_noticed(tmp_path / "bundle.zip", sealed.public, step)


def test_every_byte_of_the_folder_counts(sealed, tmp_path: Path) -> None:
    """Change the first, the middle and the last byte of each file, the seal's own files included."""
    folder = sealed.copy(tmp_path / "bundle")
    trusted = trust.load(public_keys=[sealed.public])
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        original = path.read_bytes()
        for position in (0, len(original) // 2, len(original) - 1):
            changed = bytearray(original)
            changed[position] ^= 1
            path.write_bytes(changed)
            assert verify(folder, trust=trusted).exit_code == 4, (path, position)
        path.write_bytes(original)
    assert verify(folder, trust=trusted).exit_code == 0


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_archive_never_verifies_as_something_else(sealed, tmp_path: Path, data: st.DataObject) -> None:
    """Damage anywhere ends in an answer, never in a crash; if it still verifies, the members are the same."""
    whole = sealed.archive.read_bytes()
    directory = whole.index(b"PK\1\2")
    start = data.draw(st.one_of(st.integers(0, len(whole) - 1), st.integers(directory, len(whole) - 1)))
    old, new = data.draw(st.integers(0, 4)), data.draw(st.binary(max_size=4))
    path = tmp_path / "damaged.zip"
    path.write_bytes(whole[:start] + new + whole[start + old :])
    found = verify(path, trust=trust.load(public_keys=[sealed.public]))
    assert found.exit_code in (0, 4)
    if found.exit_code == 0:
        with Archive(path) as damaged, Archive(sealed.archive) as original:
            assert {name: damaged.open(name).read() for name in damaged.sizes} == {
                name: original.open(name).read() for name in original.sizes
            }
