"""The identity of a CI job signs, by stand-ins of Sigstore's services; whatever they say wrongly seals nothing."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from keyless import ISSUER, LEAD, WORKFLOW, Server, Services

from compliancectl.cli import app
from compliancectl.errors import Unreachable
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import running
from compliancectl.seal import keyless, trust
from compliancectl.verify import verify

NAMES = ("GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL")
SOON = datetime(2026, 11, 1, 2, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    """One Sigstore, whose certificates are of the present: but never of a time before the run that is sealed."""
    now = datetime.now(UTC).replace(microsecond=0)
    place = tmp_path_factory.mktemp("sigstore") / "services"
    return Services(place, min(now, SOON) - timedelta(days=30), max(now, SOON))


@pytest.fixture
def server(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in (*NAMES, keyless.TOKEN_VARIABLE, keyless.TOKEN_FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    with services.serving() as found:
        yield found


@pytest.fixture
def job(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same, in a job of GitHub Actions with `id-token: write`."""
    for name, value in server.job().items():
        monkeypatch.setenv(name, value)
    return server


def policy(path: Path, root: Path, more: str = "", *, identity: str = WORKFLOW, issuer: str = ISSUER) -> Path:
    path.write_text(
        f"version: 1\nidentities:\n- {{name: Larkspur CI, issuer: '{issuer}', identity: '{identity}', "
        f"trusted_root_file: '{root}'}}\n{more}"
    )
    return path


@pytest.mark.parametrize("version", [1, 2])
def test_a_job_seals_a_bundle_and_whoever_trusts_its_workflow_verifies_it(
    job: Server, run_folder: Path, tmp_path: Path, version: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out, packed, key = tmp_path / "bundle", tmp_path / "bundle.zip", job.config(tmp_path / "config", version=version)
    assert app.run(["bundle", str(run_folder), "-o", str(out), "--zip", str(packed), "--key", f"sigstore:{key}"]) == 0
    asked = ["/token", "/token", "/api/v2/signingCert", *(["/tsr"] if version == 2 else [])]
    assert job.asked == [*asked, f"/api/v{version}/log/entries"]
    names = policy(tmp_path / "trust.yaml", job.services.trust_file(), "require: {stamped_within_hours: 999999}\n")
    for bundle in (out, packed):
        capsys.readouterr()
        assert app.run(["verify", str(bundle), "--trust", str(names), "--format", "json"]) == 0
        signer = json.loads(capsys.readouterr().out)["signer"]
        assert (signer["name"], signer["identity"], signer["issuer"]) == ("Larkspur CI", WORKFLOW, ISSUER)
        assert signer["signedAfter"] < signer["signedBefore"]
    assert app.run(["verify", str(out)]) == 3
    assert "which was not checked, names https://github.com/larkspur/evidence" in capsys.readouterr().out


def test_one_identity_seals_and_another_countersigns(
    job: Server, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, key = tmp_path / "one", tmp_path / "two", f"sigstore:{job.config(tmp_path / 'config')}"
    assert app.run(["bundle", str(run_folder), "-o", str(one), "--key", key]) == 0
    root = job.services.trust_file()
    ci = policy(tmp_path / "ci.yaml", root)
    file, lead = tmp_path / "token", "https://accounts.google.com"
    file.write_text(_without(job.services, iss=lead, email=LEAD) + "\n")
    monkeypatch.setenv(keyless.TOKEN_FILE_VARIABLE, str(file))
    job.asked.clear()
    assert app.run(["countersign", str(one), "--key", key, "--trust", str(ci), "-o", str(two)]) == 0
    assert "/token" not in job.asked, "a token that is given comes before that of the CI service"
    both = policy(
        tmp_path / "both.yaml",
        root,
        f"- {{name: Lead, issuer: '{lead}', identity: {LEAD}, trusted_root_file: '{root}'}}\n"
        "require: {signers: [Larkspur CI, Lead]}\n",
    )
    found = verify(two, trust=trust.load(both))
    assert found.verdict == "verified" and [one.name for one in found.countersigners] == ["Lead"]
    assert found.countersigners[0].identity == LEAD
    assert app.run(["verify", str(one), "--trust", str(both)]) == 4
    assert "no signature of Lead" in capsys.readouterr().out


def _without(services: Services, **claims: Any) -> str:
    """A token of a person: without the claims of a job."""
    import jwt

    said = jwt.decode(services.token(), options={"verify_signature": False})
    del said["job_workflow_ref"]
    return jwt.encode({**said, **claims}, services.provider, algorithm="ES256")


def _later(server: Server) -> None:
    server.log_later = timedelta(hours=1)


def _proof(said: dict[str, Any]) -> dict[str, Any]:
    (entry,) = said.values()
    return entry["verification"]["inclusionProof"]


CERT, ENTRIES = "/api/v2/signingCert", "/api/v1/log/entries"
WRONG: dict[str, tuple[Callable[[Server], object], str]] = {
    "the token is expired": (lambda s: setattr(s, "token", lambda: s.services.token(exp=1)), "has expired"),
    "the token is for another audience": (
        lambda s: setattr(s, "token", lambda: s.services.token(aud="sts.amazonaws.com")),
        "audience claim mismatch",
    ),
    "the token is none": (lambda s: setattr(s, "token", lambda: "hello"), "Malformed token"),
    "the CI service gives no token": (lambda s: s.status.update({"/token": 403}), "gives no identity token"),
    "another provider signed the token": (
        lambda s: setattr(s, "token", lambda: Services.token(_stranger(s))),
        "error processing the identity token",
    ),
    "the authority refuses": (lambda s: s.status.update({CERT: 403}), "HTTP 403, as the test says"),
    "the authority is down": (lambda s: s.status.update({CERT: 503}), "HTTP 503, as the test says"),
    "the authority gives no certificate": (
        lambda s: setattr(s, "twist", lambda p, said: p == CERT and said.clear()),
        "does not hold",
    ),
    "the authority gives another's certificate": (
        lambda s: setattr(s, "twist", lambda p, said: p == CERT and said.update(_other(s))),
        "does not hold",
    ),
    "the log is down": (lambda s: s.status.update({ENTRIES: 500}), "HTTP 500, as the test says"),
    "the log proves nothing": (
        lambda s: setattr(s, "twist", lambda p, said: p == ENTRIES and _proof(said).update(hashes=[])),
        "does not hold",
    ),
    "the log says another time": (_later, "does not hold"),
    "the log has another key": (
        lambda s: setattr(s, "twist", lambda p, said: p == ENTRIES and _relog(s, said)),
        "does not hold",
    ),
}


def _stranger(server: Server) -> Any:
    from types import SimpleNamespace

    from keyless import new_key

    return SimpleNamespace(provider=new_key())


def _other(server: Server) -> dict[str, Any]:
    """A certificate of another key."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from keyless import Claim, new_key

    made = server.services.certify(new_key().public_key(), Claim(at=server.services.present))
    pems = [one.public_bytes(Encoding.PEM).decode() for one in (made, server.services.root)]
    return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}


def _relog(server: Server, said: dict[str, Any]) -> None:
    """The same entry, promised by a log that nobody knows."""
    from base64 import b64decode

    from keyless import Log

    (id,) = said
    said[id] = Log().enter(b64decode(said[id]["body"]), server.services.present)


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_seals_nothing_and_is_said(
    job: Server, run_folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, part = WRONG[name]
    spoil(job)
    key = f"sigstore:{job.config(tmp_path / 'config')}"
    assert app.run(["bundle", str(run_folder), "-o", str(tmp_path / "b"), "--key", key]) == 3
    assert part in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "b").exists()


def test_without_an_identity_it_says_what_a_job_needs(
    server: Server,
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = ["bundle", str(run_folder), "-o", str(tmp_path / "b"), "--key"]
    key = f"sigstore:{server.config(tmp_path / 'config')}"
    assert app.run([*bundle, key]) == 3
    said = capsys.readouterr().err
    assert "there is no identity to sign with" in said and "id-token: write" in said
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert app.run([*bundle, key]) == 3 and "id-token: write" in capsys.readouterr().err
    monkeypatch.setenv(keyless.TOKEN_FILE_VARIABLE, str(tmp_path / "none"))
    assert app.run([*bundle, key]) == 2 and "identity token cannot be read" in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize(
    ("claims", "part"),
    [({"exp": 1}, "has expired"), ({"aud": "sts.amazonaws.com"}, "Audience doesn't match"), (None, "segments")],
)
def test_a_token_that_is_given_has_to_be_good_too(
    server: Server, run_folder: Path, tmp_path: Path, claims: dict[str, Any] | None, part: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    raw = "hello" if claims is None else server.services.token(**claims)
    monkeypatch.setenv(keyless.TOKEN_VARIABLE, raw)
    key = f"sigstore:{server.config(tmp_path / 'config')}"
    assert app.run(["bundle", str(run_folder), "-o", str(tmp_path / "b"), "--key", key]) == 3
    said = capsys.readouterr().err
    assert "the identity token cannot be used" in said and part in said and raw not in said
    assert server.asked == []


def test_a_log_that_cannot_be_reached_is_said(
    job: Server, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"sigstore:{job.config(tmp_path / 'config', rekor='http://127.0.0.1:9')}"
    assert app.run(["bundle", str(run_folder), "-o", str(tmp_path / "b"), "--key", key]) == 3
    assert "cannot be reached" in capsys.readouterr().err


def test_a_service_that_never_answers_is_not_waited_for(job: Server, tmp_path: Path) -> None:
    job.hold[CERT] = threading.Event()
    found = keyless.load(f"sigstore:{job.config(tmp_path / 'config')}")
    try:
        with pytest.raises(Unreachable, match="did not answer within"):
            keyless.Keyless(found.config, deadline_s=0.2).sign(b"{}")
    finally:
        job.hold[CERT].set()


def test_a_configuration_that_is_none_is_a_mistake(
    job: Server, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads(job.config(tmp_path / "config").read_text())
    said["signingConfig"]["caUrls"] = []
    (tmp_path / "no-authority").write_text(json.dumps(said))
    (tmp_path / "none").write_text("{}")
    for name, part in (("no-authority", "No valid Fulcio"), ("none", "no client trust"), ("nowhere", "cannot be read")):
        key = f"sigstore:{tmp_path / name}"
        assert app.run(["bundle", str(run_folder), "-o", str(tmp_path / "b"), "--key", key]) == 2
        assert part in " ".join(capsys.readouterr().err.split())


def test_without_the_library_nothing_is_signed_and_nothing_counts_as_checked(
    job: Server, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, key = tmp_path / "b", f"sigstore:{job.config(tmp_path / 'config')}"
    assert app.run(["bundle", str(run_folder), "-o", str(out), "--key", key]) == 0
    names = policy(tmp_path / "trust.yaml", job.services.trust_file())
    for module in [name for name in sys.modules if name.partition(".")[0] in ("sigstore", "sigstore_models")]:
        monkeypatch.delitem(sys.modules, module)
    for name in ("sigstore", "sigstore_models"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    capsys.readouterr()
    assert app.run(["verify", str(out), "--trust", str(names)]) == 3
    said = capsys.readouterr().out
    assert "was not checked" in said and "compliancectl[sigstore]" in said and "● verified" not in said
    assert app.run(["bundle", str(run_folder), "-o", str(tmp_path / "c"), "--key", key]) == 2
    assert "compliancectl[sigstore]" in capsys.readouterr().err


def test_a_run_looks_for_the_identity_before_it_collects_and_seals_with_a_new_token(
    job: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key, out = f"sigstore:{job.config(tmp_path / 'config')}", tmp_path / "out"
    with running(definition.load(), tmp_path / "company", only=("documents",)) as box:
        run = ["run", "--scope", str(box.scope_file), "--key", key, "-o", str(out), "--only", "VND-02", "--no-report"]
        job.status = {"/token": 403}
        assert app.run(run) == 3 and "gives no identity token" in capsys.readouterr().err
        assert not out.exists()
        job.status, job.asked = {}, []
        assert app.run(run) == 0
    assert job.asked[0] == "/token" and job.asked[-3:] == ["/token", CERT, ENTRIES]
    names = policy(tmp_path / "trust.yaml", job.services.trust_file())
    assert app.run(["verify", str(out / "bundle.zip"), "--trust", str(names)]) == 0


def test_a_job_seals_the_parts_of_a_run_as_one(job: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a matrix of jobs does: each collects its part, and the last one joins, judges and seals with its own identity."""
    parts, out, key = [tmp_path / "1", tmp_path / "2"], tmp_path / "out", f"sigstore:{job.config(tmp_path / 'config')}"
    with running(definition.load(), tmp_path / "company", only=("documents",)) as box:
        same = ["--scope", str(box.scope_file), "--only", "VND-02"]
        for number, part in enumerate(parts, start=1):
            assert app.run(["collect", *same, "--shard", f"{number}/2", "-o", str(part)]) == 0
        merge = ["merge", *map(str, parts), *same, "--key", key, "-o", str(out), "--no-report"]
        job.status = {"/token": 403}
        assert app.run(merge) == 3 and "gives no identity token" in capsys.readouterr().err
        assert not out.exists(), "the parts are joined when the signature can be made, and not before"
        job.status, job.asked = {}, []
        assert app.run(merge) == 0
    assert job.asked[0] == "/token" and job.asked[-3:] == ["/token", CERT, ENTRIES]
    names = policy(tmp_path / "trust.yaml", job.services.trust_file())
    for bundle in ("bundle", "bundle.zip"):
        capsys.readouterr()
        assert app.run(["verify", str(out / bundle), "--trust", str(names), "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["signer"]["identity"] == WORKFLOW
    stranger = policy(tmp_path / "else.yaml", job.services.trust_file(), identity=f"{WORKFLOW}-of-a-fork")
    assert app.run(["verify", str(out / "bundle.zip"), "--trust", str(stranger)]) == 4
