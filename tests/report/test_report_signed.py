"""Reports with a signature inside (PAdES): what it covers, what it leaves as it was, and what is refused."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pikepdf
import pytest
from asn1crypto import pem
from asn1crypto import x509 as asn1
from authority import Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import PdfSignatureStatus, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from compliancectl import clock
from compliancectl.cli.app import run

NOW = clock.now()
DAY = timedelta(days=1)
MAKERS = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class Desk:
    """Who signs."""

    key: Path
    chain: Path
    root: Path

    def options(self) -> list[str]:
        return ["--sign-key", str(self.key), "--sign-cert", str(self.chain)]


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(subject: str, key, issuer: str, by, *, ca: bool, start: datetime, end: datetime) -> x509.Certificate:
    made = x509.CertificateBuilder().subject_name(_named(subject)).issuer_name(_named(issuer))
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(start).not_valid_after(end)
    made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    use = x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False, False)
    return made.add_extension(use, critical=True).sign(by, hashes.SHA256())


def make_desk(folder: Path, *, kind: str = "ecdsa", start: datetime = NOW - DAY, end: datetime = NOW + DAY) -> Desk:
    folder.mkdir()
    top, key, form = ec.generate_private_key(ec.SECP256R1()), MAKERS[kind](), serialization.Encoding.PEM
    root = _certificate("Larkspur root", top, "Larkspur root", top, ca=True, start=NOW - 9 * DAY, end=NOW + 9 * DAY)
    mine = _certificate("Larkspur compliance", key, "Larkspur root", top, ca=False, start=start, end=end)
    desk = Desk(folder / "key.pem", folder / "chain.pem", folder / "root.pem")
    plain = serialization.NoEncryption()
    desk.key.write_bytes(key.private_bytes(form, serialization.PrivateFormat.PKCS8, plain))
    desk.chain.write_bytes(mine.public_bytes(form) + root.public_bytes(form))
    desk.root.write_bytes(root.public_bytes(form))
    return desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return make_desk(tmp_path_factory.mktemp("desk") / "d")


@pytest.fixture(scope="module")
def folder(build) -> Path:
    """A run of one control: what a signature does is the same in every report."""
    return build.write(replace(build.quiet(), sealed=False, frameworks=("soc2",)))


@pytest.fixture(scope="module")
def unsigned(folder, tmp_path_factory) -> bytes:
    out = tmp_path_factory.mktemp("unsigned") / "a.pdf"
    assert run(["report", "trust", str(folder), "-o", str(out)]) == 0
    return out.read_bytes()


@pytest.fixture(scope="module")
def signed(folder, desk, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("signed") / "a.pdf"
    assert run(["report", "trust", str(folder), "-o", str(out), *desk.options()]) == 0
    return out


def validated(data: bytes, root: Path, stamps: Path | None = None) -> PdfSignatureStatus:
    def context(file: Path) -> ValidationContext:
        return ValidationContext(trust_roots=[asn1.Certificate.load(pem.unarmor(file.read_bytes())[2])])

    embedded = PdfFileReader(io.BytesIO(data)).embedded_signatures
    assert len(embedded) == 1
    return validate_pdf_signature(embedded[0], context(root), context(stamps) if stamps else None)


def test_it_is_signed_whole_and_the_signer_is_known(signed, desk) -> None:
    status = validated(signed.read_bytes(), desk.root)
    assert status.bottom_line
    assert (status.intact, status.valid, status.trusted) == (True, True, True)
    assert status.coverage.name == "ENTIRE_FILE"
    assert status.signing_cert.subject.native == {"common_name": "Larkspur compliance"}


def test_another_root_does_not_know_the_signer(signed, tmp_path) -> None:
    status = validated(signed.read_bytes(), make_desk(tmp_path / "other").root)
    assert status.intact and status.valid and not status.trusted


def test_a_changed_byte_breaks_it(signed, unsigned, desk) -> None:
    data = bytearray(signed.read_bytes())
    data[len(unsigned) // 2] ^= 1
    assert not validated(bytes(data), desk.root).intact


def test_the_report_in_it_is_the_unsigned_one_byte_for_byte(signed, unsigned) -> None:
    assert signed.read_bytes().startswith(unsigned)


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="poppler is not installed")
def test_poppler_finds_it_valid(signed) -> None:
    said = subprocess.run(["pdfsig", "-nocert", signed], capture_output=True, text=True, check=True).stdout
    assert "Signature is Valid" in said
    assert "Total document signed" in said
    assert "ETSI.CAdES.detached" in said


def test_it_stays_tagged_and_archival_and_nothing_shows(signed, unsigned) -> None:
    with pikepdf.open(signed) as after, pikepdf.open(io.BytesIO(unsigned)) as before:
        meta = after.open_metadata()
        assert (meta["pdfaid:part"], meta["pdfaid:conformance"], meta["pdfuaid:part"]) == ("3", "A", "1")
        assert after.Root.Metadata.read_bytes() == before.Root.Metadata.read_bytes()
        assert after.Root.MarkInfo.Marked
        assert "/StructTreeRoot" in after.Root
        assert str(after.Root.Lang) == "en"
        assert after.trailer.ID[0] == before.trailer.ID[0]
        assert [page.Contents.read_bytes() for page in after.pages] == [
            page.Contents.read_bytes() for page in before.pages
        ]
        widgets = [note for page in after.pages for note in page.get("/Annots", []) if note.Subtype == "/Widget"]
        assert len(widgets) == 1
        (field,) = after.Root.AcroForm.Fields
        assert field.TU == "Signature of who prepared this report"
        left, low, right, high = (float(value) for value in widgets[0].Rect)
        assert (left, low) == (right, high)  # no size
        box = [float(value) for value in after.pages[0].MediaBox]
        assert not (box[0] <= left <= box[2] and box[1] <= low <= box[3])
        assert int(widgets[0].F) & 0b100 and not int(widgets[0].F) & 0b10  # printed, not hidden: PDF/A-3, 6.3.2


def test_a_key_of_rsa_signs_too(folder, tmp_path) -> None:
    desk, out = make_desk(tmp_path / "rsa", kind="rsa"), tmp_path / "a.pdf"
    assert run(["report", "trust", str(folder), "-o", str(out), *desk.options()]) == 0
    assert validated(out.read_bytes(), desk.root).bottom_line


def test_an_authority_stamps_the_signature(folder, desk, tmp_path) -> None:
    authority, out = Authority(tmp_path / "tsa", "Clock", NOW - DAY, NOW + DAY), tmp_path / "a.pdf"
    with authority.serving() as server:
        stamp = ["--sign-timestamp", server.url]
        assert run(["report", "trust", str(folder), "-o", str(out), *desk.options(), *stamp]) == 0
    status = validated(out.read_bytes(), desk.root, authority.root)
    assert status.bottom_line
    assert status.timestamp_validity.valid and status.timestamp_validity.trusted


@pytest.mark.parametrize(
    ("answer", "part"),
    [(b"hello", "not an RFC 3161 response"), (bytes.fromhex("30053003020102"), "grants no time stamp")],
)
def test_without_its_stamp_nothing_is_written(folder, desk, tmp_path, capsys, answer, part) -> None:
    authority, out = Authority(tmp_path / "tsa", "Clock", NOW - DAY, NOW + DAY), tmp_path / "a.pdf"
    with authority.serving() as server:
        server.twist = lambda query: answer
        stamp = ["--sign-timestamp", server.url]
        assert run(["report", "trust", str(folder), "-o", str(out), *desk.options(), *stamp]) != 0
    assert part in capsys.readouterr().err
    assert not out.exists()


def test_a_stamp_for_another_question_is_none(folder, desk, tmp_path, capsys) -> None:
    authority, out = Authority(tmp_path / "tsa", "Clock", NOW - DAY, NOW + DAY), tmp_path / "a.pdf"
    old = authority.stamp(b"another signature", NOW)
    with authority.serving() as server:
        server.twist = lambda query: old
        stamp = ["--sign-timestamp", server.url]
        assert run(["report", "trust", str(folder), "-o", str(out), *desk.options(), *stamp]) != 0
    assert "answers another question" in capsys.readouterr().err
    assert not out.exists()


def test_what_cannot_be_signed_says_why_and_writes_nothing(folder, desk, tmp_path, capsys) -> None:
    other = make_desk(tmp_path / "other")
    over = make_desk(tmp_path / "over", start=NOW - 9 * DAY, end=NOW - 8 * DAY)
    odd = make_desk(tmp_path / "odd", kind="ed25519")
    out, key, chain = tmp_path / "a.pdf", str(desk.key), str(desk.chain)
    for options, code, part in (
        (["--sign-key", key], 2, "a signature needs a key and its certificate"),
        (["--sign-cert", chain], 2, "a signature needs a key and its certificate"),
        (["--sign-timestamp", "http://127.0.0.1:9/"], 2, "a signature needs a key and its certificate"),
        (["--html", "--sign-key", key, "--sign-cert", chain], 2, "HTML cannot hold a signature"),
        (["--sign-key", key, "--sign-cert", str(other.chain)], 2, "is not of the signing key"),
        (["--sign-key", str(over.key), "--sign-cert", str(over.chain)], 2, "and not now"),
        (["--sign-key", key, "--sign-cert", key], 2, "no certificate in PEM"),
        (["--sign-key", str(odd.key), "--sign-cert", str(odd.chain)], 2, "does not sign PDF files"),
        (["--sign-key", chain, "--sign-cert", chain], 2, "not a private key in PEM"),
    ):
        assert run(["report", "trust", str(folder), "-o", str(out), *options]) == code, part
        assert part in capsys.readouterr().err
        assert not out.exists()


def test_without_the_extra_it_says_what_to_install(folder, desk, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyhanko.sign", None)
    out = tmp_path / "a.pdf"
    assert run(["report", "trust", str(folder), "-o", str(out), *desk.options()]) == 2
    assert "pip install 'compliancectl[pades]'" in capsys.readouterr().err
    assert not out.exists()
