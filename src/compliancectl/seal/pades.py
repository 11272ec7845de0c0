"""Signatures inside PDF files: PAdES baseline B, and B-T with a time stamp (ETSI EN 319 142-1). The only owner of pyHanko.

A signature is added as an incremental update: the file begins with the bytes of the unsigned one, which anyone with the
bundle can make again, and ends with what was added. It shows nothing on any page. pyHanko is the optional extra `pades`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from compliancectl.errors import FileError, UsageError
from compliancectl.seal import keys, timestamp

FIELD = "PreparerSignature"
_TOOLTIP = "Signature of who prepared this report"
_HINT = "Give the signer's certificate first, and then those above it, all in PEM."


@dataclass(frozen=True)
class Signer:
    """Who signs, with what, and when."""

    key: Any
    """As pyHanko takes it."""
    certificates: tuple[Any, ...]
    """The signer's, and then those above it."""
    moment: datetime
    authority: str | None
    """Address of the authority (RFC 3161) that stamps the signature."""


def signer(key: Path, certificates: Path, *, moment: datetime, authority: str | None = None) -> Signer:
    """Read key and certificates, and hold one against the other.

    Args:
        key: private key in PEM, RSA or ECDSA; COMPLIANCECTL_KEY_PASSPHRASE opens an encrypted one.
        certificates: PEM; the signer's first.
        moment: the time of signing that the signature states.
        authority: address of an authority to ask for a time stamp over the signature.

    Raises:
        UsageError: if pyHanko is not installed.
        FileError: if a file cannot be read, or the certificate is not of this key or not valid at `moment`.
    """
    try:
        import pyhanko.sign  # noqa: F401
    except ImportError:
        hint = "Install the extra: pip install 'compliancectl[pades]'."
        raise UsageError("pyHanko, which signs PDF files, is not installed", hint=hint) from None
    from asn1crypto.keys import PrivateKeyInfo
    from asn1crypto.x509 import Certificate
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
    from cryptography.x509 import load_pem_x509_certificates

    private: Any = keys.parse_private(keys.read_file(key), key)
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        hint = "Use RSA or ECDSA: few programs that open a PDF know others."
        raise FileError("this kind of key does not sign PDF files", file=key, hint=hint)
    try:
        chain = load_pem_x509_certificates(keys.read_file(certificates))
    except ValueError as error:
        raise FileError("there is no certificate in PEM here", file=certificates, hint=_HINT) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if chain[0].public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise FileError("the first certificate is not of the signing key", file=certificates, hint=_HINT)
    if not chain[0].not_valid_before_utc <= moment <= chain[0].not_valid_after_utc:
        span = f"{chain[0].not_valid_before_utc:%Y-%m-%d} to {chain[0].not_valid_after_utc:%Y-%m-%d}"
        message = f"the certificate is valid from {span}, and not now"
        raise FileError(message, file=certificates, hint="Sign with a certificate that is valid.")
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    parsed = tuple(Certificate.load(one.public_bytes(Encoding.DER)) for one in chain)
    return Signer(PrivateKeyInfo.load(der), parsed, moment, authority)


def sign(pdf: bytes, who: Signer) -> bytes:
    """Append an invisible signature over the whole of `pdf`.

    Raises:
        CollectError: if the authority gives no time stamp; then nothing is signed.
    """
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    class Writer(IncrementalPdfFileWriter):
        def _update_meta(self) -> None:
            """The metadata is the report's: PDF/A wants it as it is, and the signature states its own time."""

    class At(signers.PdfSigner):
        def init_signing_session(self, *arguments: Any, **named: Any) -> Any:
            session = super().init_signing_session(*arguments, **named)
            session.system_time = who.moment
            return session

    store = SimpleCertificateStore()
    store.register_multiple(who.certificates[1:])
    simple = signers.SimpleSigner(who.certificates[0], who.key, store)
    # Out of the page: an annotation inside it would need a tag (PDF/UA-1, 7.18.1), and PDF/A forbids hiding it.
    place = fields.InvisSigSettings(box_out_of_bounds=True)
    field = fields.SigFieldSpec(FIELD, invis_sig_settings=place, readable_field_name=_TOOLTIP)
    about = signers.PdfSignatureMetadata(
        field_name=FIELD, md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
    )
    stamper = _stamper(who.authority) if who.authority is not None else None
    work = At(about, simple, timestamper=stamper, new_field_spec=field)
    return bytes(work.sign_pdf(Writer(io.BytesIO(pdf))).getvalue())


def _stamper(url: str) -> Any:
    from asn1crypto.tsp import TimeStampReq, TimeStampResp
    from pyhanko.sign.timestamps import TimeStamper

    class Authority(TimeStamper):
        async def async_request_tsa_response(self, req: TimeStampReq) -> TimeStampResp:
            digest, nonce = req["message_imprint"]["hashed_message"].native, req["nonce"].native
            return TimeStampResp.load(timestamp.reply(url, req.dump(), digest=digest, nonce=nonce))

    return Authority()
