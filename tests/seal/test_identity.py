"""Attacks on what shows whose a forgotten key was, and how verification ends where it cannot be checked."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from keyless import LEAD, WORKFLOW, Claim, Json, Services, b64, canonical, new_key, sign

from compliancectl.canonical import to_lines
from compliancectl.cli import app
from compliancectl.model.manifest import Verification, VerifyStep
from compliancectl.seal import additions, dsse, keys, readme, trust
from compliancectl.seal.signed import Signed
from compliancectl.verify import verify

STARTED = datetime(2026, 10, 1, tzinfo=UTC)
SOON = datetime(2026, 11, 1, 2, 5, tzinfo=UTC)
GOOGLE = "https://accounts.google.com"
POLICY = """\
version: 1
identities:
- {{name: Larkspur CI, issuer: "https://token.actions.githubusercontent.com", identity: "{workflow}", trusted_root_file: {root}{until}}}
- {{name: Lead, issuer: "https://accounts.google.com", identity: {lead}, trusted_root_file: {root}}}
require: {require}
"""


class Desk:
    """A bundle that the CI's identity sealed and the lead's countersigned, the auditor's policy, and a stranger."""

    def __init__(self, place: Path, sealed: Any) -> None:
        self.place, self.sealed = place, sealed
        self.services = Services(place / "services", STARTED, SOON)
        self.strangers = Services(place / "strangers", STARTED, SOON)
        self.key = new_key()
        self.bundle = sealed.copy(place / "bundle")
        self.payload = (self.bundle / "seal/statement.json").read_bytes()
        made = dsse.sign(self.payload, self.key)
        for name, data in Signed(made, keys.public_pem(self.key.public_key())).seal().items():
            (self.bundle / name).write_bytes(data)
        self.id, self.signature = made.key_id, made.signature
        self.name = additions.identity_name(self.id)
        self.good = self.services.identity(self.payload, self.key, self.signature, Claim())
        self.put(self.bundle, self.good)
        self.lead = self.countersign(self.bundle, Claim(names=LEAD, issuer=GOOGLE))

    def put(self, bundle: Path, said: Json, name: str = "") -> None:
        path = bundle / (name or self.name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(to_lines([said]))

    def countersign(self, bundle: Path, claim: Claim, services: Services | None = None) -> str:
        """Countersign with an identity; returns the key id."""
        key = new_key()
        made = dsse.sign(self.payload, key)
        for name, data in Signed(made, keys.public_pem(key.public_key())).countersignature().items():
            (bundle / name).parent.mkdir(exist_ok=True)
            (bundle / name).write_bytes(data)
        said = (services or self.services).identity(self.payload, key, made.signature, claim)
        self.put(bundle, said, additions.identity_name(made.key_id))
        return made.key_id

    def policy(self, require: str = "{signers: [Larkspur CI, Lead]}", until: str = "", **changes: str) -> Path:
        said = {"workflow": WORKFLOW, "lead": LEAD, "root": self.services.trust_file(), "require": require, **changes}
        path = self.place / "policy.yaml"
        path.write_text(POLICY.format(**said, until=f", {until}" if until else ""))
        return path

    def look(self, bundle: Path, require: str = "{signers: [Larkspur CI, Lead]}", until: str = "") -> Verification:
        return verify(bundle, trust=trust.load(self.policy(require, until)))

    def made(self, claim: Claim, services: Services | None = None) -> Json:
        """The same signature in another claim's name, or by other services."""
        return (services or self.services).identity(self.payload, self.key, self.signature, claim)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, sealed: Any) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"), sealed)


def failure(found: Verification) -> tuple[int, str]:
    assert found.exit_code == 4 and found.failure is not None, found
    return found.failure.step, found.failure.message


def test_an_identity_seals_and_another_countersigns(desk: Desk) -> None:
    found = desk.look(desk.bundle, "{signers: [Larkspur CI, Lead], stamped_within_hours: 1}")
    assert found.verdict == "verified", found
    assert found.signer is not None and (found.signer.name, found.signer.identity) == ("Larkspur CI", WORKFLOW)
    assert [(one.name, one.identity) for one in found.countersigners] == [("Lead", LEAD)]
    assert (found.signer.signed_after, found.signer.signed_before) == (SOON, SOON + timedelta(minutes=10))
    assert "Sealed by 2026-11-01T02:15:00Z at the latest" in found.steps[VerifyStep.TIME - 1].message


def test_whoever_names_no_identity_counts_none(desk: Desk) -> None:
    found = verify(desk.bundle)
    assert found.verdict == "not established" and found.signer is not None and found.signer.identity is None
    assert "was not checked" in found.steps[VerifyStep.SIGNER - 1].message
    step, message = failure(verify(desk.bundle, trust=trust.load(public_keys=[desk.sealed.public])))
    assert step == VerifyStep.SIGNER and "not one that you trust" in message and WORKFLOW in message


def _change(change: Callable[[Json], object]) -> Callable[[Desk, Path], None]:
    """What is enclosed, changed."""

    def attack(desk: Desk, bundle: Path) -> None:
        said = json.loads((bundle / desk.name).read_bytes())
        change(said)
        desk.put(bundle, said)

    return attack


def _material(said: Json) -> Json:
    return said["verificationMaterial"]


def _log(said: Json) -> Json:
    return _material(said)["tlogEntries"][0]


def _proof(said: Json) -> Json:
    return _log(said)["inclusionProof"]


def _made(claim: Claim, *, stranger: bool = False) -> Callable[[Desk, Path], None]:
    return lambda d, b: d.put(b, d.made(claim, d.strangers if stranger else None))


def _mixed(take: Callable[[Json, Json], object]) -> Callable[[Desk, Path], None]:
    """What is enclosed, with parts of what a stranger's services say about the same signature."""

    def attack(desk: Desk, bundle: Path) -> None:
        said = json.loads((bundle / desk.name).read_bytes())
        take(said, desk.made(Claim(), desk.strangers))
        desk.put(bundle, said)

    return attack


def _other_entry(desk: Desk, bundle: Path) -> None:
    """The log's true entry of another signature by the same identity."""
    said = json.loads((bundle / desk.name).read_bytes())
    other = desk.services.identity(b"{}", desk.key, dsse.sign(b"{}", desk.key).signature, Claim())
    _material(said)["tlogEntries"] = _material(other)["tlogEntries"]
    desk.put(bundle, said)


def _other_statement(desk: Desk, bundle: Path) -> None:
    """A true identity, of the same workflow and key, on another statement."""
    made = dsse.sign(b"{}", desk.key)
    desk.put(bundle, desk.services.identity(b"{}", desk.key, made.signature, Claim()))


def _other_key(desk: Desk, bundle: Path) -> None:
    """A true certificate of the same workflow, for another key."""
    said = json.loads((bundle / desk.name).read_bytes())
    key = new_key()
    other = desk.services.identity(desk.payload, key, dsse.sign(desk.payload, key).signature, Claim())
    _material(said)["certificate"] = _material(other)["certificate"]
    desk.put(bundle, said)


def _redate(desk: Desk, bundle: Path) -> None:
    """Signed an hour after the certificate ended; the time in the log is set back, and a stranger promises it."""
    said = desk.made(Claim(at=SOON - timedelta(hours=1), logged=SOON))
    entry = _log(said)
    entry["integratedTime"] = str(int((SOON - timedelta(minutes=55)).timestamp()))
    body = {"body": entry["canonicalizedBody"], "integratedTime": int(entry["integratedTime"])}
    body |= {"logID": desk.services.rekor.id.hex(), "logIndex": int(entry["logIndex"])}
    entry["inclusionPromise"]["signedEntryTimestamp"] = b64(sign(desk.strangers.rekor.key, canonical(body)))
    desk.put(bundle, said)


def _checkpoint(desk: Desk, bundle: Path) -> None:
    """A tree of the attacker's own, with the entry in it, under the name of the log."""
    said = json.loads((bundle / desk.name).read_bytes())
    proof, body = _proof(said), base64.b64decode(_log(said)["canonicalizedBody"])
    root = hashlib.sha256(b"\0" + body).digest()
    note = f"log.example - 1\n1\n{b64(root)}\n"
    mark = b64(desk.services.rekor.id[:4] + sign(desk.strangers.rekor.key, note.encode()))
    proof.update(logIndex="0", treeSize="1", hashes=[], rootHash=b64(root))
    proof["checkpoint"] = {"envelope": f"{note}\n\u2014 log.example {mark}\n"}
    desk.put(bundle, said)


SIGNER: dict[str, Callable[[Desk, Path], object]] = {
    "the identity is left out": lambda d, b: (b / d.name).unlink(),
    "it is another workflow's": _made(Claim(names=WORKFLOW.replace("evidence.yml", "anything.yml"))),
    "it is of another branch": _made(Claim(names=WORKFLOW.replace("heads/main", "heads/try"))),
    "it is by another issuer": _made(Claim(issuer="https://gitlab.com")),
    "it is by another authority and another log": _made(Claim(), stranger=True),
    "its certificate is by another authority": _mixed(
        lambda said, other: _material(said).update(certificate=_material(other)["certificate"])
    ),
    "its certificate is by another authority, and entered": lambda d, b: d.put(b, _certified_by_a_stranger(d)),
    "its certificate was not logged": _made(Claim(with_sct=False)),
    "its certificate was logged elsewhere": lambda d, b: d.put(b, _logged_elsewhere(d)),
    "its certificate is for something else": _made(Claim(usage=ExtendedKeyUsageOID.EMAIL_PROTECTION)),
    "its certificate had ended when it signed": _made(Claim(logged=SOON + timedelta(minutes=11))),
    "its certificate had not begun when it signed": _made(Claim(logged=SOON - timedelta(minutes=1))),
    "it had ended, and the log's time is set back": _redate,
    "its entry is by another log": _mixed(
        lambda said, other: _material(said).update(tlogEntries=_material(other)["tlogEntries"])
    ),
    "its entry is of another signature": _other_entry,
    "its entry is left out": _change(lambda said: _material(said).update(tlogEntries=[])),
    "its entry is there twice": _change(lambda said: _material(said)["tlogEntries"].append(_log(said))),
    "the log's promise is left out": _change(lambda said: _log(said).pop("inclusionPromise")),
    "the log's promise is altered": _change(
        lambda said: _log(said)["inclusionPromise"].update(signedEntryTimestamp=b64(b"0" * 70))
    ),
    "the log's time is altered": _change(
        lambda said: _log(said).update(integratedTime=str(int(_log(said)["integratedTime"]) + 1))
    ),
    "the proof is left out": _change(lambda said: _log(said).pop("inclusionProof")),
    "the proof is cut short": _change(lambda said: _proof(said)["hashes"].pop()),
    "the proof is altered": _change(lambda said: _proof(said)["hashes"].__setitem__(0, b64(bytes(32)))),
    "the proof is of another place": _change(lambda said: _proof(said).update(logIndex="0")),
    "the root is altered": _change(lambda said: _proof(said).update(rootHash=b64(bytes(32)))),
    "the checkpoint is left out": _change(lambda said: _proof(said).pop("checkpoint")),
    "the checkpoint is by a stranger": _checkpoint,
    "it is about another statement": _other_statement,
    "its certificate is of another key": _other_key,
    "it has another signature": _change(lambda said: said["dsseEnvelope"]["signatures"][0].update(sig=b64(b"0" * 70))),
    "it has a second signature": _change(
        lambda said: said["dsseEnvelope"]["signatures"].append(said["dsseEnvelope"]["signatures"][0])
    ),
    "its payload is of another type": _change(lambda said: said["dsseEnvelope"].update(payloadType="text/plain")),
    "it is in an older form": _change(
        lambda said: said.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1")
    ),
    "it has a key in place of a certificate": _change(
        lambda said: _material(said).update(publicKey={"hint": "x"}, certificate=None)
    ),
    "it has a remark": lambda d, b: (b / d.name).write_bytes((b / d.name).read_bytes() + b"\n"),
    "it is emptied": lambda d, b: (b / d.name).write_bytes(b""),
    "it is no JSON": lambda d, b: (b / d.name).write_bytes(b"trust me\n"),
    "it is a bomb of brackets": lambda d, b: (b / d.name).write_bytes(b"[" * 500_000),
    "it is far too long": lambda d, b: (b / d.name).write_bytes(b" " * 2 * 1024**2),
}
OTHERS: dict[str, tuple[VerifyStep, Callable[[Desk, Path], object]]] = {
    "a root is enclosed": (
        VerifyStep.UNLISTED,
        lambda d, b: (b / "seal/identities/trusted_root.json").write_text("{}"),
    ),
    "an identity of nobody is added": (
        VerifyStep.COUNTERSIGNED,
        lambda d, b: d.put(b, d.good, additions.identity_name("0" * 64)),
    ),
    "the countersigner's identity is left out": (
        VerifyStep.COUNTERSIGNED,
        lambda d, b: (b / additions.identity_name(d.lead)).unlink(),
    ),
    "the signer's identity is the countersigner's": (
        VerifyStep.COUNTERSIGNED,
        lambda d, b: d.put(b, d.good, additions.identity_name(d.lead)),
    ),
    "every countersignature is dropped": (
        VerifyStep.COUNTERSIGNED,
        lambda d, b: (shutil.rmtree(b / "seal/countersign"), (b / additions.identity_name(d.lead)).unlink()),
    ),
    "a stranger countersigns in the lead's name": (
        VerifyStep.COUNTERSIGNED,
        lambda d, b: d.countersign(b, Claim(names=LEAD, issuer=GOOGLE), d.strangers),
    ),
    "the signer countersigns again": (VerifyStep.COUNTERSIGNED, lambda d, b: d.countersign(b, Claim())),
}
ALL = {**{name: (VerifyStep.SIGNER, attack) for name, attack in SIGNER.items()}, **OTHERS}


def _certified_by_a_stranger(desk: Desk) -> Json:
    """A certificate by a stranger's authority, whose signature is truly in the log."""
    own, desk.services.ca = desk.services.ca, desk.strangers.ca
    try:
        return desk.made(Claim())
    finally:
        desk.services.ca = own


def _logged_elsewhere(desk: Desk) -> Json:
    own, desk.services.ctlog = desk.services.ctlog, desk.strangers.ctlog
    try:
        return desk.made(Claim())
    finally:
        desk.services.ctlog = own


@pytest.mark.parametrize("name", ALL)
def test_verify_notices_an_attack_on_an_identity(desk: Desk, tmp_path: Path, name: str) -> None:
    step, attack = ALL[name]
    bundle = Path(shutil.copytree(desk.bundle, tmp_path / "bundle"))
    attack(desk, bundle)
    assert failure(desk.look(bundle))[0] == step


def test_no_byte_of_it_can_be_flipped(desk: Desk, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(desk.bundle, tmp_path / "bundle"))
    good = (bundle / desk.name).read_bytes()
    unnoticed = []
    for position in range(3, len(good), 89):
        data = bytearray(good)
        data[position] ^= 1
        (bundle / desk.name).write_bytes(data)
        if desk.look(bundle).exit_code != 4:
            unnoticed.append((position, good[position - 30 : position + 10]))
    assert unnoticed == []


@pytest.mark.parametrize(
    ("claim", "require", "until", "step", "part"),
    [
        (Claim(at=SOON - timedelta(minutes=12)), "{}", "", VerifyStep.TIME, "after it was sealed"),
        (
            Claim(at=SOON + timedelta(hours=3)),
            "{stamped_within_hours: 2}",
            "",
            VerifyStep.TIME,
            "more than 2 hours later: it may be dated back",
        ),
        (
            Claim(at=SOON + timedelta(hours=3)),
            "{}",
            "valid_until: 2026-11-01T03:00:00Z",
            VerifyStep.SIGNER,
            "but not for a run of 2026-11-01T02:04:10Z that was signed 2026-11-01T05:05:00Z",
        ),
        (Claim(), "{}", "valid_from: 2026-11-01T02:04:30Z", VerifyStep.SIGNER, "but not for a run"),
    ],
)
def test_a_signature_that_does_not_fit_the_run_is_noticed(
    desk: Desk, tmp_path: Path, claim: Claim, require: str, until: str, step: VerifyStep, part: str
) -> None:
    bundle = Path(shutil.copytree(desk.bundle, tmp_path / "bundle"))
    desk.put(bundle, desk.made(claim))
    found = failure(desk.look(bundle, require, until))
    assert found[0] == step and part in found[1]


def test_the_shell_lines_say_that_they_checked_no_identity(desk: Desk, tmp_path: Path) -> None:
    script, key = tmp_path / "by-hand.sh", desk.bundle / "seal/signer.pub.pem"
    script.write_text(readme.recipe())

    def by_hand(bundle: Path) -> subprocess.CompletedProcess[str]:
        command = ["sh", str(script), str(bundle), str(key)]
        return subprocess.run(command, env={}, capture_output=True, text=True, check=False)

    done = by_hand(desk.bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"NOT CHECKED: {desk.name}" in done.stdout
    for name in ("a root is enclosed", "an identity of nobody is added"):
        bundle = Path(shutil.copytree(desk.bundle, tmp_path / name.replace(" ", "-")))
        ALL[name][1](desk, bundle)
        done = by_hand(bundle)
        assert done.returncode == 4 and "DOES NOT VERIFY" in done.stderr and "VERIFIED" not in done.stdout


def test_the_sigstore_form_is_what_is_enclosed(desk: Desk, tmp_path: Path) -> None:
    for more, name in (([], desk.name), (["--by", desk.lead], additions.identity_name(desk.lead))):
        file = tmp_path / f"{len(more)}.json"
        assert app.run(["sigstore", str(desk.bundle), "-o", str(file), *more]) == 0
        assert file.read_bytes() == (desk.bundle / name).read_bytes()


def test_a_policy_that_cannot_be_used_is_a_mistake(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.place / "none.json").write_text('{"mediaType": "text/plain"}')
    (desk.place / "nobody.yaml").write_text("version: 1\n")
    for changes, part in (
        ({"root": "none.json"}, "no Sigstore trusted root"),
        ({"root": "nowhere.json"}, "cannot be read"),
        ({"require": "{signers: [Somebody]}"}, "no key and no identity"),
    ):
        assert app.run(["verify", str(desk.bundle), "--trust", str(desk.policy(**changes))]) == 2
        assert part in capsys.readouterr().err
    assert app.run(["verify", str(desk.bundle), "--trust", str(desk.place / "nobody.yaml")]) == 2
    assert "nobody is trusted" in capsys.readouterr().err


def test_a_root_that_is_damaged_proves_nothing(desk: Desk) -> None:
    said = desk.services.trusted_root()
    for part in ("certificateAuthorities", "ctlogs", "tlogs"):
        (desk.place / "damaged.json").write_text(json.dumps({**said, part: []}))
        found = verify(desk.bundle, trust=trust.load(desk.policy("{}", root="damaged.json")))
        assert failure(found)[0] == VerifyStep.SIGNER, part
