"""A key in Google Cloud KMS seals and countersigns like one in a file; whatever the service says is checked."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kms import NAME, Kms

from compliancectl.cli import app
from compliancectl.seal import dsse, keys, kms

KEY = f"gcpkms://{NAME}"


@pytest.fixture(scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kms]:
    with Kms.serving(tmp_path_factory.mktemp("kms")) as service:
        yield service


@pytest.fixture
def service(_service: Kms, monkeypatch: pytest.MonkeyPatch) -> Kms:
    _service.reset()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(_service.credentials))
    monkeypatch.setenv(kms.ENDPOINT_VARIABLE, _service.url)
    return _service


def test_the_sum_is_crc32c() -> None:
    assert kms.crc32c(b"123456789") == 0xE3069283  # the check value of RFC 3720's polynomial
    assert kms.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4


def test_a_key_in_the_service_seals_a_bundle_that_anyone_verifies(
    service: Kms, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, public = tmp_path / "bundle", tmp_path / "kms.pub.pem"
    assert app.run(["bundle", str(run_folder), "-o", str(out), "--key", KEY]) == 0
    assert service.asked == ["token", "publicKey", "asymmetricSign"], "one signature, and only its digest was sent"
    public.write_bytes(service.public_pem)
    assert app.run(["verify", str(out), "--key", str(public)]) == 0
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        public,
        "-signature",
        "seal/statement.sig",
        "seal/statement.pae",
    ]
    assert subprocess.run(command, cwd=out, capture_output=True, check=False).returncode == 0


def test_it_countersigns(service: Kms, sealed: Any, tmp_path: Path) -> None:
    new, policy = tmp_path / "new", tmp_path / "policy.yaml"
    command = ["countersign", str(sealed.folder), "--key", KEY, "--signer", str(sealed.public), "-o", str(new)]
    assert app.run(command) == 0
    (tmp_path / "lead.pub.pem").write_bytes(service.public_pem)
    policy.write_text(
        f"version: 1\nkeys:\n- {{key_file: {sealed.public}, name: CI}}\n"
        "- {key_file: lead.pub.pem, name: Lead}\nrequire: {signers: [CI, Lead]}\n"
    )
    assert app.run(["verify", str(new), "--trust", str(policy)]) == 0


TWISTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another algorithm": (lambda a: "pem" in a and a.update(algorithm="RSA_SIGN_PKCS1_2048_SHA256"), "seals no bundle"),
    "a damaged key": (lambda a: "pem" in a and a.update(pem=a["pem"].replace("M", "N", 1)), "damaged on the way"),
    "another name of the key": (lambda a: "pem" in a and a.update(name=a["name"][:-1] + "2"), "damaged on the way"),
    "another key": (lambda a: "pem" in a and a.update(pem="hello", pemCrc32c=str(kms.crc32c(b"hello"))), "no ECDSA"),
    "the digest was not received whole": (
        lambda a: "signature" in a and a.update(verifiedDigestCrc32c=False),
        "receive the digest whole",
    ),
    "another version signed": (lambda a: "signature" in a and a.update(name=a["name"][:-1] + "2"), "another key"),
    "a damaged signature": (lambda a: "signature" in a and a.update(signatureCrc32c="1"), "damaged on the way"),
    "no signature": (lambda a: a.pop("signature", None), "gave no signature"),
    "a signature over something else": (
        lambda a: (
            "signature" in a
            and a.update(
                signature=base64.b64encode(b"0" * 70).decode(),
                signatureCrc32c=str(kms.crc32c(b"0" * 70)),
            )
        ),
        "not by this key",
    ),
}


@pytest.mark.parametrize("name", TWISTS)
def test_a_wrong_answer_seals_nothing(
    service: Kms, run_folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.twist, part = TWISTS[name]
    assert app.run(["bundle", str(run_folder), "-o", str(tmp_path / "bundle"), "--key", KEY]) in (2, 3)
    assert part in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("status", "part"),
    [(403, "roles/cloudkms.signerVerifier"), (404, "knows no"), (503, "HTTP 503"), (301, "HTTP 301")],
)
def test_a_refusal_says_what_to_do(
    service: Kms, run_folder: Path, tmp_path: Path, status: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for call in ("publicKey", "asymmetricSign"):
        service.status = {call: status}
        assert app.run(["bundle", str(run_folder), "-o", str(tmp_path / "bundle"), "--key", KEY]) == 3
        assert part in capsys.readouterr().err


def test_an_address_that_names_no_version_or_nobody_there(
    service: Kms, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = ["bundle", str(run_folder), "-o", str(tmp_path / "bundle"), "--key"]
    assert app.run([*bundle, "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k"]) == 2
    monkeypatch.setenv(kms.ENDPOINT_VARIABLE, "http://127.0.0.1:9")
    assert app.run([*bundle, KEY]) == 3 and "cannot be reached" in capsys.readouterr().err
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    assert app.run([*bundle, KEY]) == 3 and "no usable Google credentials" in capsys.readouterr().err


def test_both_kinds_of_signer_give_the_same_kind_of_envelope(service: Kms, sealed: Any) -> None:
    for signer in (kms.load(KEY), keys.load_private(sealed.private)):
        envelope = signer.sign(b"{}").envelope
        assert dsse.parse(envelope.to_line(), member="x") == envelope and envelope.key_id == signer.key_id
