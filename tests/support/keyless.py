"""Sigstore's services on loopback: a CI service's tokens, Fulcio with a certificate log, Rekor (v1 and v2), time stamps.

Real keys, certificates, Merkle trees and proofs behind the real wire formats. What the services issue over HTTP can also
be had directly, at any time and in any wrong way, for forgeries.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from authority import Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from loopback import serving

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/larkspur/evidence/.github/workflows/evidence.yml@refs/heads/main"
LEAD = "lead@larkspur.example"
_FULCIO = "1.3.6.1.4.1.57264.1."
_SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
Json = dict[str, Any]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def canonical(value: Any) -> bytes:
    """JSON as Rekor writes it; no number in it needs more of RFC 8785 than this."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(leaves[:cut]) + _root(leaves[cut:])).digest()


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    if index < cut:
        return [*_path(index, leaves[:cut]), _root(leaves[cut:])]
    return [*_path(index - cut, leaves[cut:]), _root(leaves[:cut])]


class Log:
    """An append-only log with a key: entries, proofs, checkpoints, and promises with a time."""

    def __init__(self) -> None:
        self.key = new_key()
        self.leaves = [b"one", b"two", b"three"]
        self.url = ""

    @property
    def id(self) -> bytes:
        return hashlib.sha256(spki(self.key.public_key())).digest()

    def enter(self, body: bytes, at: datetime) -> Json:
        """Enter a body; returns what the log says of it, in the words of its first version."""
        self.leaves.append(body)
        index, root = len(self.leaves) - 1, _root(self.leaves)
        note = f"log.example - 1\n{len(self.leaves)}\n{b64(root)}\n"
        mark = b64(self.id[:4] + sign(self.key, note.encode()))
        said = {"body": b64(body), "integratedTime": int(at.timestamp()), "logID": self.id.hex(), "logIndex": index}
        proof = {
            "logIndex": index,
            "rootHash": root.hex(),
            "treeSize": len(self.leaves),
            "hashes": [one.hex() for one in _path(index, self.leaves)],
            "checkpoint": f"{note}\n\u2014 log.example {mark}\n",
        }
        promise = b64(sign(self.key, canonical(said)))
        return {**said, "verification": {"signedEntryTimestamp": promise, "inclusionProof": proof}}

    def known(self, start: datetime) -> Json:
        """The log as a trusted root lists it."""
        key = {"rawBytes": b64(spki(self.key.public_key())), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
        key["validFor"] = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}"}
        return {"baseUrl": self.url, "hashAlgorithm": "SHA2_256", "publicKey": key, "logId": {"keyId": b64(self.id)}}


@dataclass(frozen=True)
class Claim:
    """What a certificate is to say."""

    names: str = WORKFLOW
    issuer: str = ISSUER
    at: datetime = datetime(2026, 11, 1, 2, 5, tzinfo=UTC)
    logged: datetime | None = None
    """When the signature was entered; by default a second after the certificate was issued."""
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING
    with_sct: bool = True

    def but(self, **changes: Any) -> Claim:
        return replace(self, **changes)


class Services:
    """One Sigstore: its authority, its logs, and what they issue."""

    def __init__(self, folder: Path, start: datetime, present: datetime) -> None:
        folder.mkdir()
        self.folder, self.start, self.present = folder, start, present
        self.ca, self.provider = new_key(), new_key()
        self.ctlog, self.rekor = Log(), Log()
        self.stamps = Authority(folder / "tsa", "Stamps", start, start + timedelta(days=3650))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fulcio.example")])
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.ca.public_key())
        made = made.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=3650))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_usage(signs_certificates=True), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.ca.public_key()), critical=False)
        self.root = made.sign(self.ca, hashes.SHA256())
        self._serial = 1

    # -- what they issue ------------------------------------------------------------------------------------------

    def certify(self, key: ec.EllipticCurvePublicKey, claim: Claim) -> x509.Certificate:
        """A certificate with the extensions of Fulcio, and the word of the certificate log."""
        self._serial += 1
        made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.root.subject).public_key(key)
        made = made.serial_number(self._serial).not_valid_before(claim.at)
        made = made.not_valid_after(claim.at + timedelta(minutes=10))
        kind = x509.RFC822Name if "@" in claim.names.partition("/")[0] else x509.UniformResourceIdentifier
        made = made.add_extension(x509.SubjectAlternativeName([kind(claim.names)]), critical=True)
        made = made.add_extension(_usage(signs_certificates=False), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage([claim.usage]), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca.public_key())
        made = made.add_extension(identifier, critical=False)
        text = claim.issuer.encode()
        for number, value in (("1", text), ("8", b"\x0c" + bytes([len(text)]) + text)):
            oid = x509.ObjectIdentifier(_FULCIO + number)
            made = made.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        if claim.with_sct:
            before = made.sign(self.ca, hashes.SHA256())
            made = made.add_extension(x509.UnrecognizedExtension(_SCTS, self._scts(before, claim.at)), critical=False)
        return made.sign(self.ca, hashes.SHA256())

    def _scts(self, before: x509.Certificate, at: datetime) -> bytes:
        """RFC 6962, section 3.2 and 3.3: one signed certificate timestamp over the certificate without it."""
        time, body = int(at.timestamp() * 1000), before.tbs_certificate_bytes
        issuer = hashlib.sha256(spki(self.ca.public_key())).digest()
        entry = struct.pack("!32sI", issuer, len(body))[:32] + len(body).to_bytes(3, "big") + body
        signature = sign(self.ctlog.key, struct.pack("!BBQH", 0, 0, time, 1) + entry + b"\0\0")
        one = struct.pack("!B32sQHBBH", 0, self.ctlog.id, time, 0, 4, 3, len(signature)) + signature
        data = struct.pack("!HH", len(one) + 2, len(one)) + one
        return b"\x04" + (bytes([len(data)]) if len(data) < 0x80 else b"\x81" + bytes([len(data)])) + data

    def identity(self, payload: bytes, key: ec.EllipticCurvePrivateKey, signature: bytes, claim: Claim) -> Json:
        """A Sigstore bundle of a DSSE envelope, in this claim's name."""
        certificate = self.certify(key.public_key(), claim)
        logged = claim.logged or claim.at + timedelta(seconds=1)
        said = self.rekor.enter(_dsse_body(payload, signature, certificate.public_bytes(Encoding.PEM)), logged)
        envelope = {"payload": b64(payload), "payloadType": "application/vnd.in-toto+json"}
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))},
                "tlogEntries": [_entry(said)],
            },
            "dsseEnvelope": {**envelope, "signatures": [{"sig": b64(signature)}]},
        }

    def token(self, **changes: Any) -> str:
        """A token such as GitHub's for a job."""
        now = datetime.now(UTC)
        claims = {"iss": ISSUER, "aud": "sigstore", "sub": "repo:larkspur/evidence:ref:refs/heads/main"}
        claims |= {"job_workflow_ref": WORKFLOW.removeprefix("https://github.com/")}
        claims |= {"iat": int(now.timestamp()) - 1, "exp": int(now.timestamp()) + 300, **changes}
        return jwt.encode(claims, self.provider, algorithm="ES256")

    # -- what verifiers and signers are told ----------------------------------------------------------------------

    def trusted_root(self) -> Json:
        since = {"start": f"{self.start:%Y-%m-%dT%H:%M:%SZ}"}

        def authority(*certificates: bytes) -> Json:
            chain = {"certificates": [{"rawBytes": b64(one)} for one in certificates]}
            return {
                "subject": {"organization": "example", "commonName": "one"},
                "uri": "https://x",
                "certChain": chain,
                "validFor": since,
            }

        stamps = [
            x509.load_pem_x509_certificate((self.folder / "tsa" / name).read_bytes()).public_bytes(Encoding.DER)
            for name in ("tsa.pem", "root.pem")
        ]
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.rekor.known(self.start)],
            "certificateAuthorities": [authority(self.root.public_bytes(Encoding.DER))],
            "ctlogs": [self.ctlog.known(self.start)],
            "timestampAuthorities": [authority(*stamps)],
        }

    def trust_file(self) -> Path:
        path = self.folder / "trusted_root.json"
        path.write_text(json.dumps(self.trusted_root()))
        return path

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Serve on loopback until the block ends."""
        with serving(Server(self)) as server:
            self.rekor.url = self.ctlog.url = server.url
            yield server


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not signs_certificates, False, False, False, False, signs_certificates, False, False, False)


def _dsse_body(payload: bytes, signature: bytes, pem: bytes) -> bytes:
    """Rekor's canonical form of an entry of the kind `dsse`, version 0.0.1."""
    digest = {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}
    spec = {"envelopeHash": digest, "payloadHash": digest}
    signatures = [{"signature": b64(signature), "verifier": b64(pem)}]
    return canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": {**spec, "signatures": signatures}})


def _entry(said: Json) -> Json:
    """An entry of the first version of the log as a Sigstore bundle has it."""
    proof = said["verification"]["inclusionProof"]
    return {
        "logIndex": str(said["logIndex"]),
        "logId": {"keyId": b64(bytes.fromhex(said["logID"]))},
        "kindVersion": {"kind": "dsse", "version": "0.0.1"},
        "integratedTime": str(said["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": said["verification"]["signedEntryTimestamp"]},
        "inclusionProof": _proof(proof),
        "canonicalizedBody": said["body"],
    }


def _proof(proof: Json) -> Json:
    return {
        "logIndex": str(proof["logIndex"]),
        "rootHash": b64(bytes.fromhex(proof["rootHash"])),
        "treeSize": str(proof["treeSize"]),
        "hashes": [b64(bytes.fromhex(one)) for one in proof["hashes"]],
        "checkpoint": {"envelope": proof["checkpoint"]},
    }


class Server(ThreadingHTTPServer):
    """All services over HTTP. `status` replaces an answer, `twist` changes it, `hold` keeps it back until it is set."""

    daemon_threads = True

    def __init__(self, services: Services) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.services = services
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.status: dict[str, int] = {}
        self.twist: Callable[[str, Json], object] = lambda path, said: None
        self.hold: dict[str, threading.Event] = {}
        self.token: Callable[[], str] = services.token
        self.log_later = timedelta()

    def config(self, path: Path, *, version: int = 1, rekor: str | None = None) -> Path:
        """Write a client trust configuration that names these services."""
        since = {"start": f"{self.services.start:%Y-%m-%dT%H:%M:%SZ}"}

        def service(url: str, major: int) -> list[Json]:
            return [{"url": url, "majorApiVersion": major, "validFor": since, "operator": "example"}]

        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(self.url, 1),
            "rekorTlogUrls": service(rekor or self.url, version),
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": service(f"{self.url}/tsr", 1) if version == 2 else [],
            "tsaConfig": {"selector": "ANY"},
        }
        kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        said = {"mediaType": kind, "trustedRoot": self.services.trusted_root(), "signingConfig": signing}
        path.write_text(json.dumps(said))
        return path

    def job(self) -> dict[str, str]:
        """The environment that GitHub Actions gives a job with `id-token: write`."""
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
        }

    def answer(self, path: str, body: Any, headers: Any) -> Json:
        """What a service says; a `PermissionError` is a refusal."""
        if path == "/token":
            if headers["Authorization"] != "bearer of-this-job":
                raise PermissionError("who are you")
            return {"value": self.token()}
        if path == "/api/v2/signingCert":
            return self._certify(body, headers["Authorization"].removeprefix("Bearer "))
        if path == "/api/v1/log/entries":
            assert body["kind"] == "dsse" and body["apiVersion"] == "0.0.1"
            held = json.loads(body["spec"]["proposedContent"]["envelope"])
            (pem,) = body["spec"]["proposedContent"]["verifiers"]
            signature = base64.b64decode(held["signatures"][0]["sig"])
            entered = _dsse_body(base64.b64decode(held["payload"]), signature, base64.b64decode(pem))
            return {"24296fb24b8ad77a": self.services.rekor.enter(entered, self._logged)}
        assert path == "/api/v2/log/entries", path
        return self._second(body["hashedRekordRequestV002"])

    @property
    def _logged(self) -> datetime:
        return self.services.present + timedelta(seconds=1) + self.log_later

    def _certify(self, body: Any, token: str) -> Json:
        try:
            claims = jwt.decode(token, self.services.provider.public_key(), ["ES256"], audience="sigstore")
        except jwt.InvalidTokenError as error:
            raise PermissionError(f"There was an error processing the identity token: {error}") from error
        request = x509.load_pem_x509_csr(base64.b64decode(body["certificateSigningRequest"]))
        assert request.is_signature_valid
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        names = f"https://github.com/{claims['job_workflow_ref']}" if "job_workflow_ref" in claims else claims["email"]
        claim = Claim(names=names, issuer=claims["iss"], at=self.services.present)
        chain = [self.services.certify(key, claim), self.services.root]
        pems = [one.public_bytes(Encoding.PEM).decode() for one in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}

    def _second(self, asked: Json) -> Json:
        """Rekor's second version: an entry without a time, so time stamps have to prove one."""
        data = {"algorithm": "SHA2_256", "digest": asked["digest"]}
        spec = {"hashedRekordV002": {"data": data, "signature": asked["signature"]}}
        body = canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec})
        said = self.services.rekor.enter(body, self._logged)
        return {
            "logIndex": str(said["logIndex"]),
            "logId": {"keyId": b64(self.services.rekor.id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": _proof(said["verification"]["inclusionProof"]),
            "canonicalizedBody": said["body"],
        }


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, data: bytes) -> None:
        server, path = self.server, self.path.partition("?")[0]
        server.asked.append(path)
        if path in server.hold:
            server.hold[path].wait()
        if path in server.status:
            return self._send(server.status[path], {"code": 7, "message": "as the test says"})
        if path == "/tsr":
            answer = server.services.stamps.answer(data)
            return self._raw(200, "application/timestamp-reply", answer)
        try:
            said = server.answer(path, json.loads(data or b"null"), self.headers)
        except PermissionError as error:
            return self._send(401, {"code": 16, "message": str(error)})
        server.twist(path, said)
        return self._send(201 if path.startswith("/api") else 200, said)

    def _send(self, status: int, said: Any) -> None:
        self._raw(status, "application/json", json.dumps(said).encode())

    def _raw(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""
