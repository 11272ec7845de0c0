"""Time stamps and countersignatures: what they establish, and every way to forge, swap, date back or drop them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from authority import Authority
from schema import faults

from compliancectl import canonical, clock
from compliancectl.bundle import bundle
from compliancectl.cli import app
from compliancectl.load.document import read
from compliancectl.model.manifest import Operator, Verification, VerifyStep
from compliancectl.seal import dsse, keys, readme, timestamp, trust
from compliancectl.verify import verify

FINISHED = clock.parse("2026-11-01T02:04:10Z")
SOON = clock.parse("2026-11-01T02:05:00Z")
STAMP = "seal/timestamps/01.tsr"
POLICY = """\
version: 1
keys:
- {{key_file: ci.pub.pem, name: Larkspur CI{until}}}
- {{key_file: lead.pub.pem, name: Security lead}}
authorities:
- {{file: root.pem, name: Example TSA}}
require: {require}
"""


class Desk:
    """An auditor's desk: their policy and the keys that they were given, and bundles to look at."""

    def __init__(self, place: Path, sealed) -> None:
        self.place, self.sealed = place, sealed
        now = clock.now()
        # Valid only around the run: expired by the time at which anybody reads this.
        self.authority = Authority(place / "tsa", "Example", FINISHED - timedelta(days=2), FINISHED + timedelta(days=2))
        self.present = Authority(place / "present", "Present", now - timedelta(days=1), now + timedelta(days=1))
        self.stranger = Authority(
            place / "stranger", "Stranger", FINISHED - timedelta(days=2), FINISHED + timedelta(days=2)
        )
        self.lead, self.other = keys.new_key(place / "lead"), keys.new_key(place / "other")
        shutil.copyfile(sealed.public, place / "ci.pub.pem")
        shutil.copyfile(self.authority.root, place / "root.pem")
        self.signature = (sealed.folder / "seal/statement.sig").read_bytes()
        self.token = self.authority.stamp(self.signature, SOON)

    def bundle(self, folder: Path, token: bytes | None = None, *, lead: bool = True) -> Path:
        """A copy of the sealed bundle with a time stamp and a countersignature."""
        self.sealed.copy(folder)
        put(folder, STAMP, self.token if token is None else token)
        if lead:
            countersign(folder, self.lead.private)
        return folder

    def policy(self, require: str = "{signers: [Larkspur CI, Security lead], timestamps: 1}", until: str = "") -> Path:
        path = self.place / "trust.yaml"
        path.write_text(POLICY.format(require=require, until=f", valid_until: {until}" if until else ""))
        return path

    def look(self, path: Path, require: str | None = None, until: str = "") -> Verification:
        policy = self.policy(until=until) if require is None else self.policy(require, until)
        return verify(path, trust=trust.load(policy))


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def countersign(folder: Path, private: Path, *, name: str | None = None) -> None:
    key = keys.load_private(private)
    made = dsse.sign((folder / "seal/statement.json").read_bytes(), key.private)
    put(folder, f"seal/countersign/{name or key.key_id}.sig", made.signature)
    put(folder, f"seal/countersign/{name or key.key_id}.pub.pem", key.public_pem)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, sealed) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"), sealed)


def failure(found: Verification) -> tuple[int, str]:
    assert found.exit_code == 4 and found.failure is not None, found
    return found.failure.step, found.failure.message


def by_hand(bundle: Path, key: Path, *authority: Path) -> subprocess.CompletedProcess[str]:
    script = bundle.with_name("by-hand.sh")
    script.write_text(readme.recipe())
    return subprocess.run(
        ["sh", str(script), str(bundle), str(key), *map(str, authority)],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )


def test_stamped_and_countersigned_though_the_authority_has_expired_since(desk: Desk, tmp_path: Path) -> None:
    folder = desk.bundle(tmp_path / "bundle")
    found = desk.look(folder)
    assert found.verdict == "verified", found
    assert [(s.time, s.authority) for s in found.timestamps] == [(SOON, "Example TSA")]
    assert [s.name for s in found.countersigners] == ["Security lead"]
    assert "Sealed by 2026-11-01T02:05:00Z at the latest" in found.steps[VerifyStep.TIME - 1].message
    done = by_hand(folder, desk.sealed.public, desk.authority.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"countersigned by the key {desk.lead.key_id}" in done.stdout
    assert "sealed by Nov  1 02:05:00 2026 GMT at the latest" in done.stdout and "VERIFIED" in done.stdout


def test_whoever_names_no_authority_is_told_that_a_stamp_proves_nothing(desk: Desk, tmp_path: Path) -> None:
    found = verify(desk.bundle(tmp_path / "bundle"), trust=trust.load(public_keys=[desk.sealed.public]))
    assert found.verdict == "verified" and found.timestamps[0].authority is None
    assert "prove nothing" in found.steps[VerifyStep.TIME - 1].message
    assert found.countersigners[0].name is None and "do not trust" in found.steps[VerifyStep.COUNTERSIGNED - 1].message


def _flip(path: Path, position: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * position) - 1] ^= 1
    path.write_bytes(data)


def _lead(desk: Desk, b: Path, end: str) -> Path:
    return b / f"seal/countersign/{desk.lead.key_id}.{end}"


COUNTERSIGNED: dict[str, Callable[[Desk, Path], object]] = {
    "the countersignature is altered": lambda d, b: _flip(_lead(d, b, "sig"), 0.9),
    "the countersignature is emptied": lambda d, b: _lead(d, b, "sig").write_bytes(b""),
    "the countersignature is left out": lambda d, b: _lead(d, b, "sig").unlink(),
    "its key is left out": lambda d, b: _lead(d, b, "pub.pem").unlink(),
    "its key is exchanged": lambda d, b: _lead(d, b, "pub.pem").write_bytes(d.other.public.read_bytes()),
    "it is by a stranger in the lead's name": lambda d, b: countersign(b, d.other.private, name=d.lead.key_id),
    "it is of another bundle": lambda d, b: _lead(d, b, "sig").write_bytes(
        dsse.sign(b"{}", keys.load_private(d.lead.private).private).signature
    ),
    "the signer countersigns itself": lambda d, b: countersign(b, d.sealed.private),
}
DROPPED: dict[str, tuple[VerifyStep, Callable[[Desk, Path], object]]] = {
    "every countersignature is dropped": (VerifyStep.COUNTERSIGNED, lambda d, b: shutil.rmtree(b / "seal/countersign")),
    "a stranger countersigns instead": (
        VerifyStep.COUNTERSIGNED,
        lambda d, b: (shutil.rmtree(b / "seal/countersign"), countersign(b, d.other.private)),
    ),
    "the time stamp is dropped": (VerifyStep.TIME, lambda d, b: (b / STAMP).unlink()),
}
STAMPED: dict[str, Callable[[Desk, Path], object]] = {
    "the time stamp is of another signature": lambda d, b: put(b, STAMP, d.authority.stamp(b"another", SOON)),
    "the time stamp is by a stranger": lambda d, b: put(b, STAMP, d.stranger.stamp(d.signature, SOON)),
    "the time in it is altered": lambda d, b: put(b, STAMP, d.token.replace(b"20261101020500Z", b"20261101020400Z")),
    "its signature is altered": lambda d, b: _flip(b / STAMP, 1.0),
    "it is cut short": lambda d, b: put(b, STAMP, d.token[:-1]),
    "it is emptied": lambda d, b: put(b, STAMP, b""),
    "it refuses": lambda d, b: put(b, STAMP, bytes.fromhex("30053003020102")),
    "it is dated after the authority's certificate ended": lambda d, b: put(
        b, STAMP, d.authority.stamp(d.signature, FINISHED + timedelta(days=3))
    ),
}
UNLISTED: dict[str, Callable[[Desk, Path], object]] = {
    "something else lies beside the time stamps": lambda d, b: put(b, "seal/timestamps/note.txt", b"trust me"),
    "something else lies beside the countersignatures": lambda d, b: put(b, "seal/countersign/note.txt", b"trust me"),
}
ALL = {
    **{name: (VerifyStep.COUNTERSIGNED, attack) for name, attack in COUNTERSIGNED.items()},
    **{name: (VerifyStep.TIME, attack) for name, attack in STAMPED.items()},
    **{name: (VerifyStep.UNLISTED, attack) for name, attack in UNLISTED.items()},
    **DROPPED,
}


@pytest.mark.parametrize("name", ALL)
def test_verify_notices_an_attack_on_what_was_added(desk: Desk, tmp_path: Path, name: str) -> None:
    step, attack = ALL[name]
    folder = desk.bundle(tmp_path / "bundle")
    attack(desk, folder)
    assert failure(desk.look(folder))[0] == step


@pytest.mark.parametrize("name", [*COUNTERSIGNED, *STAMPED, *UNLISTED, "the time stamp is dropped"])
def test_the_shell_lines_notice_it_too(desk: Desk, tmp_path: Path, name: str) -> None:
    folder = desk.bundle(tmp_path / "bundle")
    ALL[name][1](desk, folder)
    done = by_hand(folder, desk.sealed.public, desk.authority.root)
    assert done.returncode == 4 and "DOES NOT VERIFY: " in done.stderr and "VERIFIED" not in done.stdout


@pytest.mark.parametrize(
    ("at", "require", "until", "part"),
    [
        (FINISHED - timedelta(minutes=5), "{}", "", "after it was sealed"),
        (
            FINISHED + timedelta(hours=3),
            "{stamped_within_hours: 2}",
            "",
            "more than 2 hours later: it may be dated back",
        ),
        (FINISHED + timedelta(hours=3), "{}", "2026-11-01T03:00:00Z", "when you did not trust the key 'Larkspur CI'"),
    ],
)
def test_a_stamp_that_does_not_fit_the_run_is_noticed(
    desk: Desk, tmp_path: Path, at: datetime, require: str, until: str, part: str
) -> None:
    folder = desk.bundle(tmp_path / "bundle", desk.authority.stamp(desk.signature, at))
    step, message = failure(desk.look(folder, require, until))
    assert step == VerifyStep.TIME and part in message


def test_a_stamp_of_the_future_is_noticed_by_whoever_knows_what_time_it_is(desk: Desk, tmp_path: Path) -> None:
    folder = desk.bundle(tmp_path / "bundle", desk.authority.stamp(desk.signature, FINISHED + timedelta(hours=5)))
    policy = trust.load(desk.policy())
    assert verify(folder, trust=policy, now=FINISHED + timedelta(hours=5)).verdict == "verified"
    step, message = failure(verify(folder, trust=policy, now=FINISHED + timedelta(hours=4)))
    assert step == VerifyStep.TIME and "by 'Example TSA' is of the future: 2026-11-01T07:" in message


def test_a_certificate_that_is_not_for_time_stamps_stamps_nothing(desk: Desk, tmp_path: Path) -> None:
    mail = Authority(
        tmp_path / "mail", "Example", FINISHED - timedelta(days=1), FINISHED + timedelta(days=1), stamps=False
    )
    folder = desk.bundle(tmp_path / "bundle", mail.stamp(desk.signature, SOON))
    policy = desk.policy().read_text().replace("root.pem", str(mail.root))
    (desk.place / "mail.yaml").write_text(policy)
    assert failure(verify(folder, trust=trust.load(desk.place / "mail.yaml")))[0] == VerifyStep.TIME


def test_a_policy_that_nothing_can_meet_is_a_mistake(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    for require, part in (("{signers: [Nobody]}", "name of no key"), ("{timestamps: 2}", "more time stamps than")):
        assert app.run(["verify", str(desk.sealed.folder), "--trust", str(desk.policy(require))]) == 2
        assert part in capsys.readouterr().err


def test_the_schema_of_a_policy_accepts_what_the_loader_does(desk: Desk) -> None:
    policy = desk.policy("{signers: [Larkspur CI], timestamps: 1, stamped_within_hours: 24, max_age_days: 35}")
    data = read(policy).data
    assert faults("trust", data) == [] and trust.load(policy)
    assert faults("trust", {**data, "keys": [{"name": "nobody"}]})
    assert faults("trust", {**data, "require": {"timestamp": 1}})


# -- making them ------------------------------------------------------------------------------------------------------


def test_a_run_is_stamped_by_an_authority_over_http(desk: Desk, run_folder: Path, tmp_path: Path) -> None:
    with desk.present.serving() as server:
        out = ["-o", str(tmp_path / "b"), "--zip", str(tmp_path / "b.zip"), "--key", str(desk.sealed.private)]
        assert app.run(["bundle", str(run_folder), *out, "--timestamp", server.url]) == 0
    assert verify(tmp_path / "b.zip", trust=trust.load(public_keys=[desk.sealed.public])).verdict == "verified"
    token, signature = ((tmp_path / "b" / name).read_bytes() for name in (STAMP, "seal/statement.sig"))
    assert timestamp.is_by(token, signature, timestamp.read_authorities(desk.present.root), member=STAMP)
    assert not timestamp.is_by(token, signature, timestamp.read_authorities(desk.stranger.root), member=STAMP)
    done = by_hand(tmp_path / "b", desk.sealed.public, desk.present.root)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bundle_is_stamped_and_countersigned_later_as_a_new_bundle(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: canonical.sha256_file(p) for p in desk.sealed.folder.rglob("*") if p.is_file()}
    one, two = tmp_path / "one.zip", tmp_path / "two"
    with desk.present.serving() as server:
        assert app.run(["timestamp", str(desk.sealed.folder), "--authority", server.url, "--zip", str(one)]) == 0
    key = ["--key", str(desk.lead.private), "--signer", str(desk.sealed.public)]
    assert app.run(["countersign", str(one), *key, "-o", str(two), "--zip", str(tmp_path / "two.zip")]) == 0
    found = verify(two, trust=trust.load(public_keys=[desk.sealed.public, desk.lead.public]))
    assert found.verdict == "verified" and len(found.timestamps) == 1
    assert [s.name for s in found.countersigners] == ["lead.pub.pem"]
    assert verify(tmp_path / "two.zip", trust=trust.load(public_keys=[desk.sealed.public])).exit_code == 0
    assert before == {p: canonical.sha256_file(p) for p in desk.sealed.folder.rglob("*") if p.is_file()}
    # Nothing is overwritten, nobody signs twice, and what does not verify is not countersigned.
    assert app.run(["countersign", str(one), *key, "--zip", str(one)]) == 2
    assert app.run(["countersign", str(two), *key, "-o", str(tmp_path / "three")]) == 2
    assert app.run(["countersign", str(one), "--key", str(desk.lead.private), "-o", str(tmp_path / "three")]) == 2
    stranger = ["--key", str(desk.lead.private), "--signer", str(desk.other.public)]
    assert app.run(["countersign", str(one), *stranger, "-o", str(tmp_path / "three")]) == 4
    assert not (tmp_path / "three").exists()


@pytest.mark.parametrize(
    ("status", "kind", "answer", "part"),
    [
        (503, "text/plain", b"busy", "answered 503"),
        (200, "text/html", b"<html>", "text/html"),
        (200, "application/timestamp-reply", b"hello", "not an RFC 3161 response"),
        (200, "application/timestamp-reply", bytes.fromhex("30053003020102"), "grants no time stamp"),
        (200, "application/timestamp-reply", None, "nonce"),
    ],
)
def test_a_run_is_not_sealed_when_the_authority_does_not_stamp_it(
    desk: Desk, run_folder: Path, tmp_path: Path, status: int, kind: str, answer: bytes | None, part: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with desk.present.serving() as server:
        server.status, server.kind = status, kind
        # Without an answer of its own: a token over the right bytes, but without the nonce of the question.
        server.twist = lambda query: (
            desk.authority.stamp(imprinted(desk, run_folder, tmp_path), SOON) if answer is None else answer
        )
        out = ["-o", str(tmp_path / "b"), "--key", str(desk.sealed.private), "--timestamp", server.url]
        assert app.run(["bundle", str(run_folder), *out]) == 3
    said = capsys.readouterr().err
    assert part in said and "compliancectl timestamp" in said
    assert not (tmp_path / "b").exists()


def imprinted(desk: Desk, run_folder: Path, tmp_path: Path) -> bytes:
    """The signature that sealing this run gives: the same run, operator and key give the same bytes."""
    from compliancectl.cli.pipeline import operator

    out = tmp_path / "twin"
    bundle(run_folder, out, key=desk.sealed.private, operator=Operator.model_validate(operator().model_dump()))
    return (out / "seal/statement.sig").read_bytes()


def test_an_authority_that_cannot_be_reached_is_named(desk: Desk, run_folder: Path, tmp_path: Path, capsys) -> None:
    with desk.present.serving() as server:
        url = server.url
    for address in (url, "no-address"):
        out = ["-o", str(tmp_path / "b"), "--key", str(desk.sealed.private), "--timestamp", address]
        assert app.run(["bundle", str(run_folder), *out]) == 3
        assert address in capsys.readouterr().err
