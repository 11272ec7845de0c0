"""Who asks: the personal access token of the definition's viewer, or an installation of a GitHub App."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.github.state import State


@dataclass(frozen=True)
class Token:
    """An accepted credential."""

    kind: str
    """`fine-grained`, `classic` or `app`."""
    login: str


class TokenService:
    """Knows the tokens that GitHub accepts."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.personal = "github_pat_SEEDED-SECRET-token"
        """The token in `GITHUB_TOKEN`; marked, so that a test sees it wherever it should not be."""
        self._installed: dict[str, Token] = {}
        self._app: dict[str, Any] = {}
        self._public_key = b""

    def check(self, authorization: str | None) -> Token | None:
        """The token of an Authorization header; None when it is not one."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() not in ("token", "bearer"):
            return None
        if value == self.personal:
            return Token(self.state.viewer["token"], self.state.viewer["login"])
        return self._installed.get(value)

    def make_app(self, folder: Path) -> dict[str, Any]:
        """Install an App and write its private key."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public_key = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        path = folder / "github-app.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        path.chmod(0o600)
        self._app = {"id": 771204, "private_key": path.name, "installation": 55120034}
        return self._app

    def is_app(self, authorization: str | None) -> bool:
        """Whether the header carries a current JWT that the App signed."""
        import jwt

        if not self._app:
            return False
        try:
            claims = jwt.decode((authorization or "").partition(" ")[2], self._public_key, algorithms=["RS256"])
        except jwt.exceptions.PyJWTError:
            return False
        return str(claims.get("iss")) == str(self._app["id"])

    def install(self, installation: str) -> dict[str, Any] | None:
        """A fresh installation token; None when there is no such installation."""
        if installation != str(self._app.get("installation")):
            return None
        value = f"ghs_SEEDED-SECRET-{secrets.token_hex(8)}"
        self._installed[value] = Token("app", "larkspur-compliance[bot]")
        return {
            "token": value,
            "expires_at": clock.text(clock.now().replace(microsecond=0) + timedelta(hours=1)),
            "permissions": dict(sorted(self.state.viewer["permissions"].items())),
            "repository_selection": "all",
        }
