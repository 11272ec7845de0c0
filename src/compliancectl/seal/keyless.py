"""Signing without a key that somebody keeps: the identity of a CI job signs, by Sigstore.

    sigstore:             Sigstore's public services
    sigstore:FILE         those of a client trust configuration (JSON): Fulcio, Rekor, time stamps, and their roots

The job's OpenID Connect token goes to Fulcio, which certifies a key that was made for this one signature; the signature
is entered in Rekor; the key is forgotten. Everything is done by the library `sigstore` (the extra of that name), and its
result is verified before it is used. The token is asked for again when it is needed: it is short-lived, runs are long.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl import canonical
from compliancectl.errors import CollectError, Denied, FileError, Garbage, SourceFailed, Unreachable, UsageError
from compliancectl.seal import dsse, identity, keys
from compliancectl.seal.signed import Signed

if TYPE_CHECKING:
    import requests
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.oidc import IdentityToken

SCHEME = "sigstore:"
TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"  # noqa: S105  # the name, not the value
TOKEN_FILE_VARIABLE = "SIGSTORE_ID_TOKEN_FILE"  # noqa: S105  # the name, not the value
_DEADLINE_S = 120.0
_AGAIN = "Try again; or seal with a key: `compliancectl bundle RUN --key …` needs nothing to be collected again."
_LOGIN = (
    "In GitHub Actions give the job `permissions: {id-token: write}`; elsewhere put a token for the audience `sigstore` "
    f"into {TOKEN_VARIABLE}, or the file with it into {TOKEN_FILE_VARIABLE}."
)


@dataclass(frozen=True)
class Keyless:
    """An identity, ready to sign."""

    config: ClientTrustConfig
    deadline_s: float = _DEADLINE_S
    warnings: tuple[str, ...] = ()

    def sign(self, payload: bytes) -> Signed:
        """Have a new key certified, sign a statement with it, and enter the signature in the log.

        Raises:
            CollectError: if there is no valid token, or a service cannot be reached, refuses, or gives what does not
                hold by the roots that were configured.
        """
        token = _token()
        made = _within(self.deadline_s, lambda: _plainly(lambda: self._ask(token, payload)))
        said = json.loads(made.to_json())
        data = canonical.to_lines([said])
        key = made.signing_certificate.public_key()
        pem = keys.public_pem(key)
        parsed = keys.parse_public(pem)
        if parsed is None:
            raise Garbage("the certificate is for another kind of key than was asked for", hint=_AGAIN)
        signature = identity.raw(said["dsseEnvelope"]["signatures"][0]["sig"])
        return Signed(dsse.Envelope(payload, dsse.key_id(parsed), signature), pem, data)

    def _ask(self, token: IdentityToken, payload: bytes) -> Bundle:
        from sigstore.dsse import Statement
        from sigstore.sign import SigningContext
        from sigstore.verify import Verifier

        with SigningContext.from_trust_config(self.config).signer(token) as signer:
            made = signer.sign_dsse(Statement(payload))
        issued = identity.issued_by(made.signing_certificate, token.federated_issuer)
        _, signed = Verifier(trusted_root=self.config.trusted_root).verify_dsse(made, issued)
        if signed != payload:
            raise Garbage("Sigstore signed something else than was asked for", hint=_AGAIN)
        return made


def load(reference: str) -> Keyless:
    """Find the services, and look whether there is an identity: better before an hour of collection than after.

    Raises:
        UsageError: if the library is not installed.
        FileError: if the configuration cannot be used.
        CollectError: if there is no identity, or the public configuration cannot be fetched.
    """
    try:
        import sigstore.models as models
    except ImportError:
        raise UsageError("to sign with an identity the library `sigstore` is needed", hint=identity.INSTALL) from None
    name = reference.removeprefix(SCHEME)
    if name:
        config = _configuration(Path(name))
    else:
        config = _within(_DEADLINE_S, lambda: _plainly(models.ClientTrustConfig.production))
    _token()
    return Keyless(config)


def _configuration(file: Path) -> ClientTrustConfig:
    from sigstore.models import ClientTrustConfig

    hint = "Give a client trust configuration: {mediaType, trustedRoot, signingConfig}, as Sigstore's clients read it."
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError("the file cannot be read", file=file, hint=hint) from error
    try:
        config = ClientTrustConfig.from_json(text)
        _ = config.trusted_root, config.signing_config  # what is wrong with either shows here, not after the run
    except Exception as error:  # the library lets through whatever its own parsers raise
        reason = " ".join(str(error).split())
        raise FileError(f"this is no client trust configuration of Sigstore: {reason}", file=file, hint=hint) from error
    return config


def _token() -> IdentityToken:
    """The identity's token: from the environment, from a file, or from the CI service that runs this.

    Raises:
        Denied: if there is none, or it is expired, or for another audience.
        Unreachable: if the CI service does not give it.
    """
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential

    raw = os.environ.get(TOKEN_VARIABLE, "").strip() or _token_file()
    try:
        raw = raw or detect_credential()
    except IdentityError as error:
        raise Denied(f"the CI service gives no identity token: {_reason(error)}", hint=_LOGIN) from error
    except Exception as error:  # urllib3's errors, which the library passes on
        raise Unreachable(f"the CI service gives no identity token: {_reason(error)}", hint=_LOGIN) from error
    if not raw:
        raise Denied("there is no identity to sign with", hint=_LOGIN)
    try:
        return IdentityToken(raw)
    except IdentityError as error:
        raise Denied(f"the identity token cannot be used: {_reason(error.__cause__ or error)}", hint=_LOGIN) from error


def _token_file() -> str | None:
    name = os.environ.get(TOKEN_FILE_VARIABLE)
    if not name:
        return None
    try:
        return Path(name).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError("the identity token cannot be read", file=name, hint=_LOGIN) from error


def _plainly(ask: Callable[[], Any]) -> Any:
    """Ask the services; what goes wrong becomes an error of ours, in their own words where they have any."""
    import requests
    from sigstore import errors
    from sigstore.oidc import ExpiredIdentity

    try:
        return ask()
    except CollectError:
        raise
    except ExpiredIdentity as error:
        raise Denied("the identity token expired before it was used", hint=_AGAIN) from error
    except (errors.NetworkError, errors.TUFError) as error:
        raise Unreachable(f"Sigstore's configuration cannot be fetched: {_reason(error)}", hint=_AGAIN) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Unreachable(f"Sigstore cannot be reached: {_reason(error)}", hint=_AGAIN) from error
    except Exception as error:  # its own errors, and what its parsers let through
        refused = error.__cause__ or error.__context__
        if isinstance(refused, requests.HTTPError) and refused.response is not None:
            raise _refused(refused.response) from error
        raise Garbage(f"what Sigstore gave does not hold: {_reason(error)}", hint=_AGAIN) from error


def _refused(answer: requests.Response) -> CollectError:
    """What a service says that does not do what it was asked for."""
    try:
        said = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        said = answer.reason
    kind = Denied if answer.status_code in (400, 401, 403) else SourceFailed
    return kind(f"Sigstore refuses: {answer.url} answered HTTP {answer.status_code}, {said}", hint=_AGAIN)


def _within(deadline_s: float, work: Callable[[], Any]) -> Any:
    """Do something that has no deadline of its own, and stop waiting for it when ours has come."""
    box: list[Any] = []

    def run() -> None:
        try:
            box.append((True, work()))
        except BaseException as error:  # raised again where somebody waits for it
            box.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(deadline_s)
    if not box:
        raise Unreachable(f"Sigstore did not answer within {deadline_s:g} seconds", hint=_AGAIN)
    done, value = box[0]
    if not done:
        raise value
    return value


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
