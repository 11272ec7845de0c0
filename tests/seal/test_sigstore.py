"""The Sigstore form of a seal: read by Sigstore's own models, with the same signature, and only of what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sigstore_models.bundle.v1 import Bundle

from compliancectl.cli import app
from compliancectl.seal import dsse


def test_sigstore_reads_it_and_the_signature_is_the_seals(sealed: Any, tmp_path: Path) -> None:
    for source in (sealed.folder, sealed.archive):
        file = tmp_path / f"{source.name}.sigstore.json"
        assert app.run(["sigstore", str(source), "-o", str(file)]) == 0
        found = Bundle.from_json(file.read_bytes())
        assert found.media_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
        said = json.loads(file.read_bytes())
        envelope = dsse.parse((sealed.folder / "seal/evidence.intoto.jsonl").read_bytes(), member="x")
        assert said["verificationMaterial"]["publicKey"]["hint"] == envelope.key_id
        assert len(said["dsseEnvelope"]["signatures"]) == 1
        key = load_pem_public_key(sealed.public.read_bytes())
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert found.dsse_envelope is not None
        pae = dsse.pae(found.dsse_envelope.payload_type, _raw(said["dsseEnvelope"]["payload"]))
        key.verify(_raw(said["dsseEnvelope"]["signatures"][0]["sig"]), pae, ec.ECDSA(SHA256()))
        assert app.run(["sigstore", str(source), "-o", str(file)]) == 2, "nothing is overwritten"


def test_a_countersignature_has_one_of_its_own_and_a_strangers_key_none(sealed: Any, tmp_path: Path) -> None:
    new, file = tmp_path / "new", tmp_path / "lead.json"
    lead = ["countersign", str(sealed.folder), "--key", str(sealed.other_private), "--signer", str(sealed.public)]
    assert app.run([*lead, "-o", str(new)]) == 0
    (pem,) = (new / "seal/countersign").glob("*.sig")
    assert app.run(["sigstore", str(new), "--by", pem.stem, "-o", str(file)]) == 0
    said = json.loads(file.read_bytes())
    assert said["verificationMaterial"]["publicKey"]["hint"] == pem.stem
    assert _raw(said["dsseEnvelope"]["signatures"][0]["sig"]) == pem.read_bytes()
    assert app.run(["sigstore", str(new), "--by", "0" * 64, "-o", str(tmp_path / "none.json")]) == 2
    assert app.run(["sigstore", str(tmp_path / "nowhere"), "-o", str(tmp_path / "none.json")]) == 2


def _raw(text: str) -> bytes:
    import base64

    return base64.b64decode(text)
