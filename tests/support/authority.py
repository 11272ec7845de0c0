"""A time stamp authority made with openssl: over HTTP on loopback with the present time, or by hand with any time."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from loopback import serving

_CONFIG = """\
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
clock_precision_digits = 0
ess_cert_id_alg = sha256
"""


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A root, and a certificate for time stamps below it that is valid in a given span."""

    def __init__(self, folder: Path, name: str, start: datetime, end: datetime, *, stamps: bool = True) -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        ca, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        of_ca = x509.CertificateBuilder().subject_name(_name(f"{name} root")).issuer_name(_name(f"{name} root"))
        of_ca = of_ca.public_key(ca.public_key()).serial_number(1).not_valid_before(start).not_valid_after(end)
        of_ca = of_ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        of_ca = of_ca.add_extension(x509.SubjectKeyIdentifier.from_public_key(ca.public_key()), critical=False)
        mine = x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(f"{name} root"))
        mine = mine.public_key(key.public_key()).serial_number(2).not_valid_before(start).not_valid_after(end)
        usage = ExtendedKeyUsageOID.TIME_STAMPING if stamps else ExtendedKeyUsageOID.EMAIL_PROTECTION
        mine = mine.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        mine = mine.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        mine = mine.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), critical=False)
        pem = serialization.Encoding.PEM
        self.root.write_bytes(of_ca.sign(ca, hashes.SHA256()).public_bytes(pem))
        (folder / "tsa.pem").write_bytes(mine.sign(ca, hashes.SHA256()).public_bytes(pem))
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "tsa.key").write_bytes(key.private_bytes(pem, form, plain))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))

    def answer(self, query: bytes) -> bytes:
        """Answer a query as of now, as `openssl ts -reply` does."""
        (self.folder / "query.tsq").write_bytes(query)
        out = self.folder / "reply.tsr"
        self._run("ts", "-reply", "-config", "tsa.cnf", "-section", "one", "-queryfile", "query.tsq", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", str(out))  # fmt: skip
        return out.read_bytes()

    def stamp(self, data: bytes, at: datetime) -> bytes:
        """A response over `data` as of any time: the token of RFC 3161, section 2.4.2, signed by `openssl cms`."""
        algorithm = _tlv(0x30, bytes.fromhex("0609608648016503040201") + b"\x05\x00")
        imprint = _tlv(0x30, algorithm + _tlv(0x04, hashlib.sha256(data).digest()))
        time = _tlv(0x18, f"{at:%Y%m%d%H%M%SZ}".encode())
        policy = _tlv(0x06, bytes.fromhex("2b06010401868d1f01"))
        (self.folder / "info.der").write_bytes(_tlv(0x30, b"\x02\x01\x01" + policy + imprint + b"\x02\x01\x07" + time))
        token = self.folder / "token.der"
        self._run("cms", "-sign", "-binary", "-nodetach", "-cades", "-md", "sha256", "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-signer", "tsa.pem", "-inkey", "tsa.key", "-in", "info.der", "-outform", "DER", "-out", str(token))  # fmt: skip
        return _tlv(0x30, b"\x30\x03\x02\x01\x00" + token.read_bytes())

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Serve on loopback until the block ends."""
        with serving(Server(self)) as server:
            yield server


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    length = bytes([size]) if size < 0x80 else (size.to_bytes(2, "big") if size > 0xFF else bytes([size]))
    prefix = b"" if size < 0x80 else bytes([0x80 | len(length)])
    return bytes([tag]) + prefix + length + value


class Server(HTTPServer):
    """The authority over HTTP. `twist` changes answers; `status` and `kind` are what it answers with."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authority = authority
        self.url = f"http://127.0.0.1:{self.server_port}/tsr"
        self.status, self.kind = 200, "application/timestamp-reply"
        self.twist = authority.answer


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/timestamp-query"
        answer = self.server.twist(body)
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""
