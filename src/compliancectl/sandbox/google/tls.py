"""Certificates of the sandbox: one authority for what listens, and for the clients of the Cloud SQL proxy."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl import clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder


class Authority:
    """A certificate authority that lives as long as the sandbox."""

    def __init__(self) -> None:
        self._key = _new_key()
        self._certificate = self._sign_self()

    @property
    def certificate_pem(self) -> bytes:
        """The authority's own certificate."""
        return _pem(self._certificate)

    def server(
        self,
        folder: Path,
        name: str,
        addresses: tuple[str, ...],
        hosts: tuple[str, ...],
        *,
        expires: datetime | None = None,
    ) -> tuple[Path, Path]:
        """Make a server key and certificate, good for a day or until it `expires`; returns their files."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization as s

        key = _new_key()
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = self._builder(name, key.public_key(), expires=expires)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        key_file, certificate_file = folder / f"{name}.key", folder / f"{name}.crt"
        key_file.touch(mode=0o600)
        key_file.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
        certificate_file.write_bytes(_pem(self._finish(builder)))
        return key_file, certificate_file

    def sign_client(self, public_key_pem: bytes) -> bytes:
        """A client certificate for a public key, valid for an hour.

        Raises:
            ValueError: if that is not a public key.
        """
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        return _pem(self._finish(self._builder("cloud-sql-client", load_pem_public_key(public_key_pem), hours=1)))

    def _sign_self(self) -> Certificate:
        from cryptography import x509

        builder = self._builder("Sandbox CA", self._key.public_key())
        return self._finish(builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True))

    def _builder(
        self, name: str, public_key: Any, hours: int = 24, expires: datetime | None = None
    ) -> CertificateBuilder:
        from cryptography import x509

        now = clock.now()
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("Sandbox CA"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, expires or now) - timedelta(minutes=5))
            .not_valid_after(expires or now + timedelta(hours=hours))
        )

    def _finish(self, builder: CertificateBuilder) -> Certificate:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(self._key, hashes.SHA256())


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _name(text: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)
