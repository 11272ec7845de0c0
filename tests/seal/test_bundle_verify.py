"""Sealing and verifying: what an honest bundle gives, and what a signer cannot make consistent."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from compliancectl import clock
from compliancectl.bundle import bundle
from compliancectl.errors import UsageError
from compliancectl.model.manifest import TITLES, Operator, Verification, VerifyStep
from compliancectl.model.trust import Trust, TrustedKey
from compliancectl.seal import keys, trust
from compliancectl.verify import verify

_spec = importlib.util.spec_from_file_location("seal_tamper", Path(__file__).with_name("tamper.py"))
assert _spec and _spec.loader
tamper = importlib.util.module_from_spec(_spec)
sys.modules["seal_tamper"] = tamper
_spec.loader.exec_module(tamper)


def trusting(sealed) -> Trust:
    found = trust.load(public_keys=[sealed.public])
    assert found
    return found


def outcome(found: Verification, step: int) -> tuple[str, str]:
    result = found.steps[step - 1]
    return result.outcome, result.message


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_an_untouched_bundle_verifies(sealed, form: str) -> None:
    told: list[str] = []
    found = verify(getattr(sealed, form), trust=trusting(sealed), progress=told.append)
    assert [(s.number, s.message) for s in found.steps if s.outcome != "ok"] == []
    assert [s.number for s in found.steps] == list(range(1, 17))
    assert (found.verdict, found.exit_code, found.failure) == ("verified", 0, None)
    assert found.signer is not None and found.signer.name == "ci.pub.pem"
    assert found.run is not None and found.run.status == "complete"
    assert told == list(TITLES.values())
    assert json.dumps(found.to_json())


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_without_a_trusted_key_nothing_is_established(sealed, form: str) -> None:
    found = verify(getattr(sealed, form))
    assert (found.verdict, found.exit_code, found.failure) == ("not established", 3, None)
    said, message = outcome(found, VerifyStep.SIGNER)
    assert said == "skipped"
    assert message == f"Signed by key {keys.load_private(sealed.private).key_id}, which you have not said you trust."
    assert {s.outcome for s in found.steps if s.number != VerifyStep.SIGNER} == {"ok"}
    assert found.signer is not None and found.signer.name is None


def test_a_key_that_is_not_trusted_does_not_verify(sealed) -> None:
    found = verify(sealed.folder, trust=trust.load(public_keys=[sealed.other_public]))
    assert found.exit_code == 4
    assert outcome(found, VerifyStep.SIGNER)[0] == "failed"


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "code"),
    [
        (None, None, 0),
        ("2026-11-01T02:04:10Z", None, 0),
        ("2026-11-01T02:04:11Z", None, 4),
        (None, "2026-11-01T02:04:11Z", 0),
        (None, "2026-11-01T02:04:10Z", 4),
    ],
)
def test_a_key_is_trusted_for_its_time(
    sealed, tmp_path: Path, valid_from: str | None, valid_until: str | None, code: int
) -> None:
    entry = {"keyId": keys.load_private(sealed.private).key_id, "name": "Larkspur CI"}
    entry |= {"validFrom": valid_from} if valid_from else {}
    entry |= {"validUntil": valid_until} if valid_until else {}
    (tmp_path / "trust.json").write_text(json.dumps({"version": 1, "keys": [entry]}))
    found = verify(sealed.folder, trust=trust.load(tmp_path / "trust.json"))
    assert found.exit_code == code
    assert "Larkspur CI" in outcome(found, VerifyStep.SIGNER)[1]


def test_a_rotated_key_may_have_two_periods(sealed) -> None:
    key_id = keys.load_private(sealed.private).key_id
    early = TrustedKey.model_validate({"keyId": key_id, "name": "old", "validUntil": "2026-01-01T00:00:00Z"})
    late = TrustedKey.model_validate({"keyId": key_id, "name": "new", "validFrom": "2026-06-01T00:00:00Z"})
    found = verify(sealed.folder, trust=Trust(keys=(early, late)))
    assert found.signer is not None and found.signer.name == "new"


def sample(sealed, tmp_path: Path) -> Path:
    """The seal, and one evidence item's folder."""
    folder = sealed.copy(tmp_path / "sample")
    keep = ("seal/", "evidence/gcp/sql_instances/")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "SHA256SUMS" and not name.startswith(keep):
            path.unlink()
    return folder


def test_a_sample_is_refused_unless_it_is_asked_for(sealed, tmp_path: Path) -> None:
    found = verify(sample(sealed, tmp_path), trust=trusting(sealed))
    assert found.exit_code == 4
    assert found.failure is not None
    assert "14 of 17 listed files are missing" in found.failure.message
    assert "--subset" in (found.failure.hint or "")


def test_a_sample_that_is_asked_for_is_intact_but_not_established(sealed, tmp_path: Path) -> None:
    found = verify(sample(sealed, tmp_path), trust=trusting(sealed), subset_ok=True)
    assert (found.verdict, found.exit_code) == ("not established", 3)
    assert (found.present, found.listed) == (3, 17)
    assert "3 of 17 listed files are present" in outcome(found, VerifyStep.UNLISTED)[1]
    assert outcome(found, VerifyStep.TOTALS)[0] == "skipped"
    assert {s.outcome for s in found.steps} == {"ok", "skipped"}


def test_a_sample_is_still_held_to_its_digests(sealed, tmp_path: Path) -> None:
    folder = sample(sealed, tmp_path)
    tamper.edit(folder / tamper.RAW, b"larkspur", b"Larkspur")
    assert verify(folder, trust=trusting(sealed), subset_ok=True).exit_code == 4


def test_allowing_a_sample_does_not_weaken_a_whole_bundle(sealed, tmp_path: Path) -> None:
    assert verify(sealed.folder, trust=trusting(sealed), subset_ok=True).exit_code == 0
    folder = sealed.copy(tmp_path / "bundle")
    (folder / "planted.json").write_bytes(b"{}")
    assert verify(folder, trust=trusting(sealed), subset_ok=True).exit_code == 4


def test_a_folder_alone_is_verified_in_any_place_and_through_a_link(sealed, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(sealed.folder)
    assert verify(tmp_path / "link", trust=trusting(sealed)).exit_code == 0


def test_nothing_there_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing at"):
        verify(tmp_path / "nowhere")


def test_an_empty_folder_does_not_verify(tmp_path: Path) -> None:
    assert verify(tmp_path).exit_code == 4


def insider(sealed, tmp_path: Path, change) -> Verification:
    """The signer changes files and signs them anew with the trusted key."""
    folder = sealed.copy(tmp_path / "bundle")
    made = change(folder)
    tamper.resum(folder)
    tamper.resign(folder, sealed.private, made if isinstance(made, bytes) else None)
    return verify(folder, trust=trusting(sealed))


def change_json(path: Path, change) -> None:
    from compliancectl import canonical

    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(canonical.to_bytes(value))


CERTIFICATE = "catalog/engine.json"


def on_another_engine(folder: Path, engine: str = "spark 4.3.0 through sqlglot 30.0.0", **changes: object) -> None:
    """Let the results be another engine's, with a certificate; `changes` are of the certificate's only entry."""
    from compliancectl import canonical
    from compliancectl.model.certificate import Certificate, CertifiedControl

    (control,) = json.loads((folder / "results/results.json").read_bytes())["controls"]
    given = {"id": control["id"], "sha256": control["sha256"], "tables_sha256": "0" * 64, "worlds": 3, "differing": 0}
    made = Certificate(
        engine="spark 4.3.0",
        translator="sqlglot 30.0.0",
        reference="duckdb 1.4.0",
        tool_version="0.1.0",
        controls=(CertifiedControl.model_validate({**given, **changes}),),
    )
    (folder / CERTIFICATE).write_bytes(canonical.to_bytes(made.to_json()))
    change_json(folder / "results/results.json", lambda v: v.update(engine=f"{engine}, judged on duckdb 1.4.0"))


INSIDER = {
    "a reply is not the one of its record": lambda b: (b / tamper.RAW).write_bytes(b"{}"),
    "a reply is left out": lambda b: (b / tamper.RAW).unlink(),
    "a file is planted among the evidence": lambda b: (b / "evidence/planted.json").write_bytes(b"{}"),
    "a file is planted in an item": lambda b: (b / tamper.RAW.replace("0001", "0002")).write_bytes(b"{}"),
    "an item is left out": lambda b: [path.unlink() for path in (b / tamper.ITEM).parent.iterdir()],
    "an item says another id": lambda b: change_json(b / tamper.ITEM, lambda v: v.update(id="gcp/sql_instances/other")),
    "an item is rewritten": lambda b: change_json(b / tamper.ITEM, lambda v: v.update(reason="rewritten")),
    "an item points outside": lambda b: change_json(
        b / tamper.ITEM, lambda v: v["replies"][0].update(path="../../../../run.json")
    ),
    "the run has another id": lambda b: change_json(b / "run.json", lambda v: v.update(id="other")),
    "the results are of another run": lambda b: change_json(b / "results/results.json", lambda v: v.update(run_id="other")),
    "a control file is exchanged": lambda b: (b / "catalog/controls/backup/BCP-01-backups.yaml").write_bytes(b"id: X\n"),
    "the items of a population are exchanged": lambda b: (b / "results/items/BCP-01.backups-enabled.jsonl").write_bytes(b""),
    "results.json is no result": lambda b: (b / "results/results.json").write_bytes(b"{}"),
    "the results are left out": lambda b: (b / "results/results.json").unlink(),
    "run.json is left out": lambda b: (b / "run.json").unlink(),
    "a partial item in a complete run": lambda b: change_json(b / tamper.ITEM, lambda v: v.update(status="partial")),
    "another engine answered without a certificate": lambda b: (on_another_engine(b), (b / CERTIFICATE).unlink()),
    "another engine answered than the certified one": lambda b: on_another_engine(b, "spark 9.9 through sqlglot 30.0.0"),
    "the certificate is of another state of the control": lambda b: on_another_engine(b, sha256="1" * 64),
    "the certificate is of another control": lambda b: on_another_engine(b, id="BCP-02"),
    "the certified engine answered otherwise": lambda b: on_another_engine(b, differing=1),
    "the certified engine was never asked": lambda b: on_another_engine(b, worlds=0),
    "the certificate is none": lambda b: (on_another_engine(b), (b / CERTIFICATE).write_bytes(b"{}")),
    "a certificate lies beside results of no other engine": lambda b: (
        on_another_engine(b), change_json(b / "results/results.json", lambda v: v.update(engine="duckdb 1.4.0"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDER)
def test_records_that_contradict_the_files_are_noticed_even_when_signed(sealed, tmp_path: Path, name: str) -> None:
    found = insider(sealed, tmp_path, INSIDER[name])
    assert found.exit_code == 4
    assert found.failure is not None and found.failure.step == VerifyStep.RECORDS, found.failure


def test_results_of_another_engine_verify_with_its_certificate(sealed, tmp_path: Path) -> None:
    def restated(folder: Path) -> bytes:
        on_another_engine(folder)
        tamper.resum(folder)
        files = tamper.listed(folder)

        def change(value) -> None:
            size = sum((folder / name).stat().st_size for name in files)
            value["predicate"]["totals"].update(files=len(files), bytes=size)
            for source in value["predicate"]["inputs"]:
                source["digest"]["sha256"] = files[source["name"]]

        return tamper.restate(folder, change)

    assert insider(sealed, tmp_path, restated).verdict == "verified"
    (tmp_path / "bundle" / CERTIFICATE).unlink()
    assert verify(tmp_path / "bundle", trust=trusting(sealed), subset_ok=True).failure is None


@pytest.mark.parametrize("field", ["evidenceItems", "incompleteItems", "files", "bytes"])
def test_totals_that_are_not_those_of_the_files_are_noticed_even_when_signed(
    sealed, tmp_path: Path, field: str
) -> None:
    def change(folder: Path) -> bytes:
        return tamper.restate(folder, lambda value: value["predicate"]["totals"].update({field: 99}))

    found = insider(sealed, tmp_path, change)
    assert found.failure is not None and found.failure.step == VerifyStep.TOTALS


def test_counts_of_outcomes_that_are_not_those_of_the_results_are_noticed(sealed, tmp_path: Path) -> None:
    def change(folder: Path) -> bytes:
        return tamper.restate(folder, lambda value: value["predicate"]["totals"]["items"].update(failed=1))

    found = insider(sealed, tmp_path, change)
    assert found.failure is not None and found.failure.step == VerifyStep.TOTALS


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["predicate"]["inputs"][0]["digest"].update(sha256="0" * 64),
        lambda value: value["predicate"]["run"].update(id="other"),
        lambda value: value["predicate"]["run"].update(status="partial"),
        lambda value: value["predicate"]["run"].update(finishedAt="2026-11-02T00:00:00Z"),
    ],
)
def test_a_statement_that_contradicts_the_run_is_noticed_even_when_signed(sealed, tmp_path: Path, change) -> None:
    found = insider(sealed, tmp_path, lambda folder: tamper.restate(folder, change))
    assert found.failure is not None and found.failure.step == VerifyStep.RECORDS


def test_no_word_of_the_bundle_steers_the_terminal(sealed, tmp_path: Path) -> None:
    folder = sealed.copy(tmp_path / "bundle")
    (folder / "evidence/\x1b[2Jx").symlink_to("nowhere")
    found = verify(folder)
    assert found.failure is not None
    assert found.failure.message.isprintable()
    assert (found.failure.file or "").isprintable()


def policy(sealed, tmp_path: Path, require: str) -> Trust:
    """The trust policy of an auditor, as they write it."""
    (tmp_path / "ci.pub.pem").write_bytes(sealed.public.read_bytes())
    path = tmp_path / "trust.yaml"
    path.write_text(f"version: 1\nkeys:\n- {{key_file: ci.pub.pem, name: Larkspur CI}}\nrequire: {require}\n")
    found = trust.load(path)
    assert found
    return found


NEXT_DAY = clock.parse("2026-11-02T02:04:10Z")


@pytest.mark.parametrize(
    ("require", "part"),
    [
        ("{organization: Acme}", "organization 'Larkspur Learning, Inc.'"),
        ("{system: Other}", "you ask for 'Other'"),
        ("{environment: staging}", "environment 'production'"),
    ],
)
def test_a_bundle_about_something_else_is_refused(sealed, tmp_path: Path, require: str, part: str) -> None:
    found = verify(sealed.archive, trust=policy(sealed, tmp_path, require), now=NEXT_DAY)
    assert found.exit_code == 4 and found.failure is not None
    assert found.failure.step == VerifyStep.DEMANDS and part in found.failure.message


def test_an_old_bundle_passed_off_as_new_is_refused(sealed, tmp_path: Path) -> None:
    trusted = policy(sealed, tmp_path, "{max_age_days: 1, complete: true, environment: production}")
    assert verify(sealed.folder, trust=trusted, now=NEXT_DAY).exit_code == 0
    for now, part in (
        (clock.parse("2026-11-02T02:04:11Z"), "more than 1 days ago"),
        (clock.parse("2026-11-01T00:00:00Z"), "future"),
    ):
        found = verify(sealed.folder, trust=trusted, now=now)
        assert found.failure is not None and found.failure.step == VerifyStep.DEMANDS
        assert part in found.failure.message
    assert verify(sealed.folder, trust=trusted).verdict == "not established"


def test_a_partial_run_is_refused_where_a_complete_one_is_asked_for(sealed, partial_run: Path, tmp_path: Path) -> None:
    bundle(partial_run, tmp_path / "bundle", key=sealed.private, operator=Operator(id="ci", kind="ci"))
    assert verify(tmp_path / "bundle", trust=policy(sealed, tmp_path, "{}")).exit_code == 0
    found = verify(tmp_path / "bundle", trust=policy(sealed, tmp_path, "{complete: true}"))
    assert found.failure is not None and found.failure.step == VerifyStep.DEMANDS


def test_each_step_is_told_as_soon_as_it_is_known(sealed) -> None:
    told: list[str] = []
    verify(
        sealed.folder,
        trust=trusting(sealed),
        progress=lambda title: told.append(f"begun: {title}"),
        tell=lambda step: told.append(f"{step.outcome}: {step.title}"),
    )
    assert told == [line for title in TITLES.values() for line in (f"begun: {title}", f"ok: {title}")]
