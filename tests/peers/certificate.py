"""Certificates as an operator gets them from elsewhere."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

BEGIN: Final = datetime.now(UTC).replace(microsecond=0)
"""When this run of the tests began; certificates count from here."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def certify(name: str, key: PrivateKey | None = None, days: float = 90) -> tuple[bytes, bytes]:
    """A new certificate for one name or IP address, and its key, both PEM."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN - timedelta(days=100))
        .not_valid_after(BEGIN + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), pem(key, serialization.NoEncryption())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(key: PrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    """The key in today's format."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def name_in(der: bytes | None) -> str:
    """Whose certificate it is."""
    assert der
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def swap(path: Path, content: bytes) -> None:
    """Put a whole file in the place of another."""
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.replace(path)
