"""OAuth: a service account with a real key, and the endpoint that turns its signed assertions into tokens."""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from compliancectl import clock
from compliancectl.sandbox.google import errors
from compliancectl.sandbox.web import Request, Response

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

AUDIENCE = "https://oauth2.googleapis.com/token"
PATH = "/oauth2.googleapis.com/token"
EXCHANGE = "/sts.googleapis.com/v1/token"
"""Where a token of another identity provider is exchanged for one of Google's."""
_LEND = re.compile(r"/iamcredentials\.googleapis\.com/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken")
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True)
class Token:
    """A token that was given out."""

    email: str
    scopes: frozenset[str]
    expires: float


@cache
def _key() -> RSAPrivateKey:
    """The service account's key; one for all clouds of a process, because making one takes a noticeable time."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TokenService:
    """Knows one service account; issues and checks tokens."""

    def __init__(self, email: str, project: str) -> None:
        self.email, self.project = email, project
        self._key = _key()
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()
        self.lifetime_s = 3599
        self.impersonable: set[str] = set()
        """Service accounts that whoever holds a token may act as."""
        self.federated: dict[str, str] = {}
        """Audience of a workload identity provider → the only token of its issuer that is good."""

    def write_key(self, file: Path, base_url: str) -> Path:
        """Write the service account's JSON key file, as Google hands it out."""
        from cryptography.hazmat.primitives import serialization as s

        pem = self._key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
        file.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": self.project,
                    "private_key_id": "sandbox",
                    "private_key": pem,
                    "client_email": self.email,
                    "client_id": "100000000000000000001",
                    "token_uri": base_url + PATH,
                    "universe_domain": "googleapis.com",
                }
            )
        )
        file.chmod(0o600)
        return file

    def issue(self, request: Request) -> Response:
        """Answer a token request: checks the grant, the signature and the claims of the assertion."""
        form = parse_qs(request.body.decode())
        if form.get("grant_type") != [_GRANT]:
            return _refuse("unsupported_grant_type", "Invalid grant_type")
        try:
            claims = self._verified(form["assertion"][0])
        except (KeyError, ValueError) as error:
            return _refuse("invalid_grant", f"Invalid JWT Signature. {error}")
        text = self.grant(claims["scope"].split())
        return Response.of({"access_token": text, "expires_in": self.lifetime_s, "token_type": "Bearer"})

    def answer(self, request: Request) -> Response | None:
        """Answer a request for a token; None if it is about something else."""
        if request.path == PATH:
            return self.issue(request)
        if request.path == EXCHANGE:
            return self.exchange(request)
        lend = _LEND.fullmatch(request.path)
        return self.lend(request, lend.group(1)) if lend and request.method == "POST" else None

    def exchange(self, request: Request) -> Response:
        """Security Token Service: a token of a known issuer for one of the pool's principal (RFC 8693)."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("grant_type") != _EXCHANGE_GRANT or form.get("requested_token_type") != _ACCESS_TOKEN:
            return _refuse("invalid_request", "Invalid value for grant_type or requested_token_type")
        wanted = self.federated.get(form.get("audience", ""))
        if wanted is None or form.get("subject_token") != wanted:
            return _refuse("invalid_grant", "The audience or the signature of the subject token is not valid")
        text = self.grant(form.get("scope", "").split(), "principal://iam.googleapis.com/sandbox")
        return Response.of(
            {
                "access_token": text,
                "expires_in": self.lifetime_s,
                "issued_token_type": _ACCESS_TOKEN,
                "token_type": "Bearer",
            }
        )

    def lend(self, request: Request, account: str) -> Response:
        """IAM Service Account Credentials: a token of a service account for somebody who may act as it."""
        holder = self.check(request.headers.get("authorization"))
        if holder is None:
            return errors.unauthenticated("iamcredentials.googleapis.com").response
        if account not in self.impersonable:
            refused = "iam.serviceAccounts.getAccessToken"
            where = f"projects/-/serviceAccounts/{account}"
            return errors.permission_denied("iamcredentials.googleapis.com", refused, where, holder.email).response
        text = self.grant(request.json["scope"], account)
        end = clock.now() + timedelta(seconds=self.lifetime_s)
        return Response.of({"accessToken": text, "expireTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def grant(self, scopes: list[str], email: str | None = None) -> str:
        """A new token, of the service account unless another principal is named."""
        text = "ya29." + secrets.token_urlsafe(32)
        with self._lock:
            self._tokens[text] = Token(
                email or self.email, frozenset(scopes), clock.now().timestamp() + self.lifetime_s
            )
        return text

    def check(self, authorization: str | None) -> Token | None:
        """The token of an Authorization header, if it is known and has not expired."""
        scheme, _, text = (authorization or "").partition(" ")
        with self._lock:
            token = self._tokens.get(text)
        return token if scheme.lower() == "bearer" and token and token.expires > clock.now().timestamp() else None

    def revoke(self) -> None:
        """Make every token invalid that was given out."""
        with self._lock:
            self._tokens.clear()

    def _verified(self, assertion: str) -> dict[str, Any]:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        head, payload, signature = assertion.split(".")
        if json.loads(_decode(head)).get("alg") != "RS256":
            raise ValueError("algorithm")
        try:
            self._key.public_key().verify(
                _decode(signature), f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            raise ValueError("signature") from None
        claims: dict[str, Any] = json.loads(_decode(payload))
        if claims["iss"] != self.email or claims["aud"] != AUDIENCE or not claims.get("scope"):
            raise ValueError("claims")
        if not claims["iat"] - 300 <= clock.now().timestamp() <= claims["exp"]:
            raise ValueError("time")
        return claims


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _refuse(code: str, message: str) -> Response:
    return Response.of({"error": code, "error_description": message}, 400)
