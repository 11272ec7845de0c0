"""Keys: made safely, never overwritten, and refused with a sentence when they cannot be used."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from compliancectl.errors import FileError, OutputError
from compliancectl.seal import dsse, keys, trust


def test_a_new_key_signs_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = keys.new_key(tmp_path / "keys/ci")
    assert (made.private.name, made.public.name) == ("ci.pem", "ci.pub.pem")
    assert stat.S_IMODE(made.private.stat().st_mode) == 0o600
    assert b"BEGIN PRIVATE KEY" in made.private.read_bytes()
    key = keys.load_private(made.private)
    assert key.key_id == made.key_id == dsse.key_id(keys.load_public(made.public))
    assert key.warnings == ()
    assert not made.encrypted


@pytest.mark.parametrize("existing", ["ci.pem", "ci.pub.pem"])
def test_a_key_is_not_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_bytes(b"precious")
    with pytest.raises(OutputError, match="already") as error:
        keys.new_key(tmp_path / "ci.pem")
    assert error.value.hint
    assert (tmp_path / existing).read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == [existing]


def test_a_key_is_not_written_through_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "ci.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        keys.new_key(tmp_path / "ci")
    assert not (tmp_path / "elsewhere").exists()


def test_force_replaces_a_key(tmp_path: Path) -> None:
    old = keys.new_key(tmp_path / "ci")
    new = keys.new_key(tmp_path / "ci", force=True)
    assert old.key_id != new.key_id
    assert keys.load_private(new.private).key_id == new.key_id
    assert stat.S_IMODE(new.private.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ci.pem", "ci.pub.pem"]


def test_a_passphrase_guards_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "correct horse")
    made = keys.new_key(tmp_path / "ci")
    assert made.encrypted
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in made.private.read_bytes()
    assert keys.load_private(made.private).key_id == made.key_id

    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "wrong")
    with pytest.raises(FileError, match="does not open"):
        keys.load_private(made.private)
    monkeypatch.delenv(keys.PASSPHRASE_VARIABLE)
    with pytest.raises(FileError, match="no passphrase") as error:
        keys.load_private(made.private)
    assert keys.PASSPHRASE_VARIABLE in (error.value.hint or "")


def test_a_passphrase_for_another_key_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.new_key(tmp_path / "ci")
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "of another key")
    assert keys.load_private(made.private).key_id == made.key_id


def test_a_key_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    made = keys.new_key(tmp_path / "ci")
    made.private.chmod(0o644)
    (warning,) = keys.load_private(made.private).warnings
    assert "0644" in warning
    assert "chmod 600" in warning


def openssl(tmp_path: Path, *arguments: str) -> Path:
    path = tmp_path / "made.pem"
    subprocess.run(["openssl", *arguments, "-out", str(path)], check=True, capture_output=True)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        ("genpkey", "-algorithm", "ED25519"),
        ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    ],
)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(FileError, match="not an ECDSA P-256 key"):
        keys.load_private(openssl(tmp_path, *arguments))


def test_a_key_made_with_openssl_signs(tmp_path: Path) -> None:
    path = openssl(tmp_path, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    assert len(keys.load_private(path).key_id) == 64


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(FileError) as error:
        keys.load_private(path)
    assert error.value.hint


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file") as error:
        keys.load_private(tmp_path / "nowhere.pem")
    assert error.value.file == str(tmp_path / "nowhere.pem")


def test_a_public_key_does_not_sign_and_a_private_key_does_not_verify(sealed) -> None:
    with pytest.raises(FileError):
        keys.load_private(sealed.public)
    with pytest.raises(FileError, match="private key"):
        trust.load(public_keys=[sealed.private])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{", "not YAML"),
        ("[]", "valid dictionary"),
        ('{"version": 1, "keys": []}', "neither a key nor an identity"),
        ('{"version": 2, "keys": [{"keyId": "%s", "name": "x"}]}' % ("0" * 64), "version"),
        ('{"version": 1, "keys": [{"keyId": "abc", "name": "x"}]}', "keyId"),
        ('{"version": 1, "keys": [{"keyId": "%s", "name": "x", "validuntil": "y"}]}' % ("0" * 64), "validuntil"),
        (
            '{"version": 1, "keys": [{"keyId": "%s", "name": "x", "validFrom": "2026-01-01T00:00:00"}]}' % ("0" * 64),
            "offset",
        ),
        ('{"version": 1, "version": 1, "keys": []}', "stands twice"),
        ("version: 1\nkeys:\n- {key_file: ci.pub.pem, key_id: x, name: x}\n", "both name the key"),
        ("version: 1\nkeys:\n- {key_file: nowhere.pem, name: x}\n", "No such file"),
        ("version: 1\nkeys:\n- {key_id: '%s', name: x}\nrequire: {max_age_days: 0}\n" % ("0" * 64), "max_age_days"),
    ],
)
def test_a_trust_file_in_another_form_is_refused(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "trust.json"
    path.write_text(content)
    with pytest.raises(FileError, match=part) as error:
        trust.load(path)
    assert error.value.hint


def test_without_any_key_there_is_no_trust() -> None:
    assert trust.load() is None
