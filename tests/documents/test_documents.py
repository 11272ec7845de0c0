"""A folder of documents with sidecars, collected as a scope file names it."""

from __future__ import annotations

import hashlib
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from compliancectl import clock, plugins, store
from compliancectl.collect import collect
from compliancectl.collectors.documents import folder
from compliancectl.load import load_scope
from compliancectl.model.evidence import EvidenceItem
from compliancectl.query.rows import read_rows

PLAIN = """\
kind: penetration-test
subject: study-companion
title: Penetration test 2026
owner: security
issued: 2026-03-01
"""
SCOPE = "organization: Larkspur\nsystem: Study Companion\nsources:\n  documents: {folder: %s}\n"
Tables = dict[str, list[dict[str, Any]]]


class Shelf:
    """A scope file and its folder of documents."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = place / "documents"
        self.folder.mkdir(parents=True)

    def put(self, name: str, sidecar: str | bytes | None = PLAIN, *, text: bytes = b"a report") -> Path:
        """Write a document and, unless it is None, its sidecar."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        if sidecar is not None:
            data = sidecar if isinstance(sidecar, bytes) else sidecar.encode()
            path.with_name(path.name + ".yaml").write_bytes(data)
        return path

    def item(self, folder: str = "documents") -> tuple[EvidenceItem, Tables]:
        """Collect; the one evidence item and its rows by table."""
        file = self.place / "compliancectl.yaml"
        file.write_text(SCOPE % folder)
        run = self.place / "run"
        record = collect(load_scope(file), {"documents": plugins.collector("documents")}, ["document.attestation"], run)
        (item,) = store.read_items(run)
        assert (record.status == "complete") == (item.status == "collected")
        return item, {t.table: read_rows(run / "evidence" / item.id / t.path) for t in item.tables}

    def refused(self) -> EvidenceItem:
        """Collect what cannot be collected: no row of it counts."""
        item, tables = self.item()
        assert item.status != "collected" and item.hint
        assert not any(tables.values()), "what is refused gives no rows"
        return item


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_digest_and_the_sidecar_are_the_evidence_not_the_document(shelf: Shelf) -> None:
    text = b"Tested by Fernhill Security. Password of the test account: marigold-7"
    more = "expires: 2027-03-01T09:30:00+02:00\nstatus: performed\nperformed_by: Fernhill\nindependent: true\n"
    shelf.put("2026/report.pdf", PLAIN + more, text=text)
    item, tables = shelf.item()
    (row,) = tables["document.attestation"]
    digest = hashlib.sha256(text).hexdigest()
    assert row["resource"] == "2026/report.pdf" and row["sha256"] == digest and row["bytes"] == len(text)
    assert (row["kind"], row["subject"], row["owner"]) == ("penetration-test", "study-companion", "security")
    assert row["issued"] == datetime(2026, 3, 1) and row["expires"] == datetime(2027, 3, 1, 7, 30)
    assert row["independent"] is True and row["covers_end"] is None and row["media_type"] == "application/pdf"
    kept = b"".join(f.read_bytes() for f in (shelf.place / "run").rglob("*") if f.is_file())
    assert digest.encode() in kept and b"marigold-7" not in kept
    sidecar = (shelf.folder / "2026/report.pdf.yaml").read_bytes()
    assert hashlib.sha256(sidecar).hexdigest().encode() in kept, "the sidecar's exact bytes are pinned too"
    assert item.completeness is not None and item.completeness.independent_count == 1


def test_kinds_that_the_scope_names_are_enclosed_byte_for_byte(shelf: Shelf) -> None:
    shelf.put("2026/report.pdf", text=b"%PDF the whole report")
    shelf.put("contract.pdf", PLAIN.replace("penetration-test", "contract"), text=b"our secret price")
    shelf.put("notes.pdf", None, text=b"nobody says what this is")
    item, tables = shelf.item("documents, enclose: [penetration-test]")
    (kept,) = [r for r in item.replies if r.context.get("document")]
    assert (kept.context["document"], kept.operation) == ("2026/report.pdf", "read 2026/report.pdf")
    assert (shelf.place / "run/evidence" / item.id / kept.path).read_bytes() == b"%PDF the whole report"
    assert kept.path.endswith(".pdf") and kept.sha256 == tables["document.file"][0]["sha256"]
    assert len(tables["document.file"]) == 3 and len(tables["document.attestation"]) == 2
    everything = b"".join(f.read_bytes() for f in (shelf.place / "run").rglob("*") if f.is_file())
    assert b"our secret price" not in everything and b"nobody says" not in everything
    assert item.completeness is not None and any("enclosed: 1" in text for text in item.completeness.filters)


def test_a_document_too_large_to_enclose_fails_the_item(shelf: Shelf) -> None:
    path = shelf.put("film.bin")
    os.truncate(path, folder.MAX_ENCLOSED + 1)  # sparse
    item, _ = shelf.item("documents, enclose: [penetration-test]")
    assert item.status == "failed" and "film.bin has 100,000,001 bytes" in str(item.reason)
    assert "sources.documents.enclose" in str(item.hint)


def test_a_changed_byte_is_another_digest(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put("report.pdf", text=b"one")
    other = Shelf(tmp_path / "other")
    other.put("report.pdf", text=b"two")
    one, two = (s.item()[1]["document.file"][0]["sha256"] for s in (shelf, other))
    assert one != two


def test_a_document_without_a_sidecar_is_listed_and_attests_nothing(shelf: Shelf) -> None:
    shelf.put("notes.txt", None)
    shelf.put("register.yaml", None, text=b"any: yaml")
    _, tables = shelf.item()
    assert [(r["resource"], r["described"]) for r in tables["document.file"]] == [
        ("notes.txt", False),
        ("register.yaml", False),
    ]
    assert tables["document.attestation"] == []


def test_a_yaml_document_can_have_a_sidecar(shelf: Shelf) -> None:
    shelf.put("register.yaml", PLAIN, text=b"any: yaml")
    _, tables = shelf.item()
    assert [r["resource"] for r in tables["document.file"]] == ["register.yaml"]
    assert [r["resource"] for r in tables["document.attestation"]] == ["register.yaml"]


def test_two_documents_about_one_subject_are_two_rows(shelf: Shelf) -> None:
    shelf.put("2025.pdf", PLAIN.replace("2026-03-01", "2025-03-01"))
    shelf.put("2026.pdf")
    _, tables = shelf.item()
    assert [(r["resource"], r["issued"].year) for r in tables["document.attestation"]] == [
        ("2025.pdf", 2025),
        ("2026.pdf", 2026),
    ]


def test_an_expired_document_is_collected_with_its_date(shelf: Shelf) -> None:
    shelf.put("old.pdf", PLAIN.replace("2026-03-01", "2020-03-01") + "expires: 2021-03-01\n")
    _, tables = shelf.item()
    assert tables["document.attestation"][0]["expires"] == datetime(2021, 3, 1), "the control judges it, not we"


FACTS = {
    "agreement": (
        "agreement: {vendor: stripe, kind: dpa, signed: 2026-02-01, breach_notice_hours: 48}\n",
        "document.agreement",
        {"vendor": "stripe", "breach_notice_hours": 48, "signed": datetime(2026, 2, 1), "no_training": None},
    ),
    "restore-test": (
        "restore_test: {performed: 2026-02-01T08:00:00Z, rto_minutes: 41, rpo_minutes: 5, checks_passed: false, signed_by: Amara}\n",
        "document.restore_test",
        {"rto_minutes": 41, "checks_passed": False, "subject": "study-companion"},
    ),
    "vendor-register": (
        "vendors: [{vendor: stripe, personal_data: true, ai: false}]\n",
        "document.vendor",
        {"resource": "a.pdf#stripe", "personal_data": True, "ai": False},
    ),
}


@pytest.mark.parametrize("kind", FACTS)
def test_some_kinds_say_more(shelf: Shelf, kind: str) -> None:
    text, table, expected = FACTS[kind]
    shelf.put("a.pdf", PLAIN.replace("penetration-test", kind) + text)
    _, tables = shelf.item()
    (row,) = tables[table]
    assert {key: row[key] for key in expected} == expected


TOMORROW = clock.text(clock.now() + timedelta(days=1))
MISTAKES: dict[str, tuple[str | bytes, str]] = {
    "a key is missing": (PLAIN.replace("owner: security\n", ""), 'a.pdf.yaml:1: The key "owner" is missing.'),
    "a key is misspelt": (
        PLAIN.replace("owner:", "ownr:"),
        'a.pdf.yaml:4: Unknown key "ownr". Did you mean "owner"?',
    ),
    "a key stands twice": (PLAIN + "owner: legal\n", 'a.pdf.yaml:6: The key "owner" stands twice'),
    "a value is empty": (PLAIN.replace("owner: security", "owner:"), "a.pdf.yaml:4: owner must be text"),
    "a value is blank": (PLAIN.replace("owner: security", 'owner: " "'), "a.pdf.yaml:4: owner"),
    "the kind is no name": (PLAIN.replace("penetration-test", "Penetration Test"), "a.pdf.yaml:1: kind must match"),
    "the date is no date": (PLAIN.replace("2026-03-01", "1 March"), "a.pdf.yaml:5: issued: write a day such as"),
    "the date does not exist": (PLAIN.replace("2026-03-01", "2026-02-30"), "a.pdf.yaml:5: issued: write a day such as"),
    "the date is a number": (PLAIN.replace("2026-03-01", "20260301"), "a.pdf.yaml:5: issued: write a day such as"),
    "the instant has no offset": (
        PLAIN.replace("2026-03-01", "2026-03-01T09:00:00"),
        "a.pdf.yaml:5: issued: write a day such as",
    ),
    "the date lies in the future": (PLAIN.replace("2026-03-01", TOMORROW), "a.pdf.yaml:5: issued lies in the future"),
    "it ends before it begins": (PLAIN + "expires: 2026-02-01\n", "a.pdf.yaml:6: expires lies before issued"),
    "the span ends before it begins": (
        PLAIN + "covers_start: 2026-02-01\ncovers_end: 2026-01-01\n",
        "a.pdf.yaml:7: covers_end lies before covers_start",
    ),
    "yes is not true": (PLAIN + 'independent: "yes"\n', "a.pdf.yaml:6: independent must be true or false"),
    "one is not true": (PLAIN + "independent: 1\n", "a.pdf.yaml:6: independent must be true or false"),
    "text is not a number": (
        PLAIN.replace("penetration-test", "agreement")
        + 'agreement:\n  vendor: x\n  kind: dpa\n  signed: 2026-01-01\n  breach_notice_hours: "48"\n',
        "a.pdf.yaml:10: agreement.breach_notice_hours must be a whole number",
    ),
    "a kind without its facts": (
        PLAIN.replace("penetration-test", "agreement"),
        'a.pdf.yaml:1: A document of kind agreement says more under "agreement".',
    ),
    "facts of another kind": (
        PLAIN + "vendors:\n  - {vendor: x, personal_data: true, ai: true}\n",
        'a.pdf.yaml:6: Only a document of kind vendor-register has "vendors".',
    ),
    "a nested key is misspelt": (
        PLAIN.replace("penetration-test", "vendor-register") + "vendors:\n  - {vendor: x, personal_data: true, AI: true}\n",
        'Unknown key "AI" in vendors[1]. Did you mean "ai"?',
    ),
    "it is a list": (b"- kind: x\n", "a.pdf.yaml:1: The file must hold keys and values"),
    "it is empty": (b"", "a.pdf.yaml:1: The file is empty."),
    "it is not YAML": (b"kind: [\n", "a.pdf.yaml:"),
    "it is not UTF-8": (b"kind: x\ntitle: Pr\xfcfung\n", "a.pdf.yaml:2: The file is not UTF-8."),
    "it has an anchor": (PLAIN.replace("security", "&a security"), "a.pdf.yaml:4: YAML anchors"),
    "it is far too long": (b"# " + b"x" * 1_000_001, "a.pdf.yaml: The file has 1,000,003 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_sidecar_is_named_with_its_line(shelf: Shelf, name: str) -> None:
    sidecar, part = MISTAKES[name]
    shelf.put("a.pdf", sidecar)
    shelf.put("fine.pdf")
    item = shelf.refused()
    assert (item.status, item.cause) == ("failed", "garbage") and part in (item.reason or ""), item.reason


def test_every_mistake_in_every_sidecar_is_named_at_once(shelf: Shelf) -> None:
    shelf.put("a.pdf", PLAIN.replace("owner:", "ownr:") + "independent: 1\n")
    shelf.put("b/c.pdf", PLAIN.replace("2026-03-01", "soon"))
    reason = shelf.refused().reason or ""
    for part in ("a.pdf.yaml:4:", "a.pdf.yaml:6:", "b/c.pdf.yaml:5:"):
        assert part in reason
    assert "a.pdf.yaml:1:" not in reason, "a misspelt key is one mistake, not also a missing one"


def test_a_sidecar_without_its_document_counts_against_the_folder(shelf: Shelf) -> None:
    shelf.put("gone.pdf").unlink()
    assert "gone.pdf.yaml: describes gone.pdf, which is not there" in (shelf.refused().reason or "")


def test_a_sidecar_of_a_sidecar_is_not_passed_over(shelf: Shelf) -> None:
    shelf.put("a.pdf")
    (shelf.folder / "a.pdf.yaml.yaml").write_text(PLAIN)
    assert "describes a.pdf.yaml, which is itself a sidecar" in (shelf.refused().reason or "")


def test_an_empty_document_attests_nothing(shelf: Shelf) -> None:
    shelf.put("a.pdf", text=b"")
    assert "a.pdf: is empty, so a.pdf.yaml describes nothing" in (shelf.refused().reason or "")


def test_an_empty_document_without_a_sidecar_is_listed(shelf: Shelf) -> None:
    shelf.put("a.pdf", None, text=b"")
    _, tables = shelf.item()
    assert tables["document.file"][0]["sha256"] == hashlib.sha256(b"").hexdigest()


def test_an_empty_folder_is_not_a_missing_one(shelf: Shelf) -> None:
    item, tables = shelf.item()
    assert item.status == "collected" and not any(tables.values())


@pytest.mark.parametrize("there", ["nothing", "a file", "a dangling link"])
def test_a_folder_that_is_not_there_fails(shelf: Shelf, there: str) -> None:
    shelf.folder.rmdir()
    if there == "a file":
        shelf.folder.write_text("not a folder")
    if there == "a dangling link":
        shelf.folder.symlink_to("nowhere")
    item = shelf.refused()
    assert (item.status, item.cause) == ("failed", "not-found") and str(shelf.folder) in (item.reason or "")


LINKS: dict[str, tuple[Callable[[Shelf], object], str]] = {
    "a file outside": (lambda s: (s.folder / "x.pdf").symlink_to("/etc/passwd"), "x.pdf leads out of the folder"),
    "a file beside": (lambda s: (s.folder / "x.pdf").symlink_to("../compliancectl.yaml"), "x.pdf leads out"),
    "a sidecar outside": (
        lambda s: (s.put("x.pdf", None), (s.folder / "x.pdf.yaml").symlink_to("/etc/passwd")),
        "x.pdf.yaml leads out",
    ),
    "a folder outside": (lambda s: (s.folder / "etc").symlink_to("/etc"), "etc leads out"),
    "the folder above": (lambda s: (s.folder / "up").symlink_to(".."), "up leads out"),
    "a folder inside": (
        lambda s: (s.put("2026/a.pdf"), (s.folder / "again").symlink_to("2026")),
        "again is a link to a folder",
    ),
    "nothing": (lambda s: (s.folder / "x.pdf").symlink_to("nowhere.pdf"), "cannot read x.pdf: No such file"),
    "a circle": (
        lambda s: ((s.folder / "a.pdf").symlink_to("b.pdf"), (s.folder / "b.pdf").symlink_to("a.pdf")),
        "a.pdf",
    ),
}


@pytest.mark.parametrize("name", LINKS)
def test_a_link_that_leads_elsewhere_is_denied(shelf: Shelf, name: str) -> None:
    make, part = LINKS[name]
    make(shelf)
    item = shelf.refused()
    assert item.status == "denied" and part in (item.reason or ""), item.reason
    kept = b"".join(f.read_bytes() for f in (shelf.place / "run").rglob("*") if f.is_file())
    assert b"root:" not in kept


def test_a_link_to_a_document_of_the_same_folder_is_that_document(shelf: Shelf) -> None:
    shelf.put("real.pdf", None)
    (shelf.folder / "current.pdf").symlink_to("real.pdf")
    _, tables = shelf.item()
    one, two = tables["document.file"]
    assert one["sha256"] == two["sha256"]


def test_a_pipe_does_not_hang_the_collection(shelf: Shelf) -> None:
    os.mkfifo(shelf.folder / "pipe.pdf")
    assert "pipe.pdf is not an ordinary file" in (shelf.refused().reason or "")


def test_names_that_begin_with_a_dot_are_left_out_and_that_is_said(shelf: Shelf) -> None:
    shelf.put("a.pdf")
    shelf.put(".draft.pdf")
    shelf.put(".git/config", None)
    item, tables = shelf.item()
    assert [r["resource"] for r in tables["document.file"]] == ["a.pdf"]
    assert item.completeness is not None and "dot" in item.completeness.filters[0]


@pytest.mark.parametrize("name", ["ünï cödé.pdf", "a\nb.pdf", "-rf", "'; drop table x; --.pdf", "=1+1.csv", "a" * 250])
def test_odd_names_are_names(shelf: Shelf, name: str) -> None:
    shelf.put(name, None)
    _, tables = shelf.item()
    assert [r["resource"] for r in tables["document.file"]] == [name]


def test_a_name_that_is_no_text_is_refused(shelf: Shelf) -> None:
    (shelf.folder / os.fsdecode(b"caf\xe9.pdf")).write_bytes(b"x")
    item = shelf.refused()
    assert item.cause == "garbage" and "is not UTF-8" in (item.reason or "")


def test_a_huge_document_is_read_in_pieces(shelf: Shelf) -> None:
    size = 96 * 1024 * 1024
    path = shelf.put("video.bin", None)
    os.truncate(path, size)
    shelf.item()  # whatever a first collection loads is loaded
    again = Shelf(shelf.place / "again")
    (again.folder / "video.bin").hardlink_to(path)
    tracemalloc.start()
    try:
        _, tables = again.item()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert tables["document.file"][0]["bytes"] == size and peak < size / 4


@pytest.fixture
def open_shelf() -> Iterator[Shelf]:
    """A shelf that every account can reach; pytest keeps its own temporary folders to their owner."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        shelf = Shelf(Path(place))
        (shelf.place / "compliancectl.yaml").touch()
        (shelf.place / "compliancectl.yaml").chmod(0o666)
        yield shelf


@contextmanager
def as_nobody(shelf: Shelf) -> Iterator[None]:
    """Give up root's right to read everything, if the tests run as root."""
    Shelf(shelf.place / "warm").item()  # whatever a first collection loads is loaded
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


@pytest.mark.parametrize("what", ["a.pdf", "a.pdf.yaml", "deeper", "."])
def test_what_cannot_be_read_is_denied_and_not_left_out(open_shelf: Shelf, what: str) -> None:
    open_shelf.put("a.pdf")
    open_shelf.put("deeper/b.pdf")
    (open_shelf.folder / what).chmod(0)
    try:
        with as_nobody(open_shelf):
            item = open_shelf.refused()
    finally:
        (open_shelf.folder / what).chmod(0o755)
    assert item.status == "denied" and what.strip(".") in (item.reason or "")
    assert "ermission denied" in (item.reason or "")
