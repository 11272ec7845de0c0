"""A stand-in for Google Cloud KMS and its token endpoint on loopback: the REST protocol, with a real key behind it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import googleapiclient
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from loopback import serving

NAME = "projects/larkspur-sec/locations/europe-west3/keyRings/evidence/cryptoKeys/seal/cryptoKeyVersions/1"
_CONTRACT = Path(googleapiclient.__file__).parent / "discovery_cache/documents/cloudkms.v1.json"
TOKEN = "ya29.stand-in"


def crc32c(data: bytes) -> str:
    """Bit by bit, as RFC 3720 defines it: another way to the sum than the program's."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 * (value & 1))
    return str(value ^ 0xFFFFFFFF)


class Kms(ThreadingHTTPServer):
    """Holds one key; `twist` changes an answer before it is sent, `status` replaces it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.schemas = json.loads(_CONTRACT.read_text())["schemas"]
        self.algorithm = "EC_SIGN_P256_SHA256"
        self.reset()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.credentials = folder / "credentials.json"
        self._write_credentials()

    def reset(self) -> None:
        """Well-behaved from here."""
        self.status: dict[str, int] = {}
        self.asked: list[str] = []
        self.twist: Callable[[dict[str, Any]], object] = lambda answer: None

    @property
    def public_pem(self) -> bytes:
        """The key's public half."""
        public = self.key.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def answer(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """What the service says."""
        if (method, path) == ("GET", f"/v1/{NAME}/publicKey"):
            pem = self.public_pem.decode()
            said = {"pem": pem, "pemCrc32c": crc32c(pem.encode()), "algorithm": self.algorithm, "name": NAME}
            return self._held("PublicKey", said)
        assert (method, path) == ("POST", f"/v1/{NAME}:asymmetricSign"), (method, path)
        self._held("AsymmetricSignRequest", body)
        digest = base64.b64decode(body["digest"]["sha256"])
        assert body["digestCrc32c"] == crc32c(digest)
        signature = self.key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        said = {"signature": base64.b64encode(signature).decode(), "signatureCrc32c": crc32c(signature)}
        return self._held("AsymmetricSignResponse", {**said, "verifiedDigestCrc32c": True, "name": NAME})

    def _held(self, schema: str, value: dict[str, Any]) -> dict[str, Any]:
        """Hold a message against Google's published description."""
        known = self.schemas[schema]["properties"]
        for field, content in value.items():
            kinds = {"string": str, "boolean": bool}
            assert isinstance(content, kinds.get(known[field].get("type", ""), dict)), (schema, field)
        return value

    def _write_credentials(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        account = {"type": "service_account", "project_id": "larkspur-sec", "private_key": pem, "private_key_id": "1"}
        account |= {"client_email": "seal@larkspur-sec.iam.gserviceaccount.com", "token_uri": f"{self.url}/token"}
        self.credentials.write_text(json.dumps(account))

    @classmethod
    @contextmanager
    def serving(cls, folder: Path) -> Iterator[Kms]:
        """Serve until the block ends."""
        with serving(cls(folder)) as server:
            yield server


class _Handler(BaseHTTPRequestHandler):
    server: Kms

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, data: bytes) -> None:
        kms, last = self.server, self.path.rpartition("/")[2].rpartition(":")[2]
        kms.asked.append(last)
        if last == "token":
            return self._send(200, {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._send(401, {})
        if last in kms.status:
            return self._send(kms.status[last], {"error": {"status": "as the test says"}})
        said = kms.answer(self.command, self.path, json.loads(data or b"null"))
        kms.twist(said)
        return self._send(200, said)

    def _send(self, status: int, said: Any) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""
