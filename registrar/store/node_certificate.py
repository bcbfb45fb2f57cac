"""The certificates by which the nodes of one installation know each other: derived from its secret key.

The key of the authority follows from the secret key, which all nodes have. So each node makes a certificate
for itself at its start, and nothing has to be copied from node to node.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from registrar.model import Epoch

from .keyring import Keyring, derive, fingerprint

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256: private keys are smaller."""
SEED_BYTES: Final = 48
"""128 bits more than a key has, so that no key is likelier than another (FIPS 186-5, A.2.1)."""
VALID: Final = timedelta(days=3_650)
"""Longer than a process runs; its certificate ends with it."""
EARLIER: Final = timedelta(days=1)
"""Allowance for nodes whose clocks are behind."""
NAME: Final = "node.registrar.invalid"


@dataclass(frozen=True, slots=True)
class NodePair:
    """A certificate, its key, and the authorities that are believed, in PEM format."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes


def node_pair(keys: Keyring, now: Epoch) -> NodePair:
    """Return a new pair for this node, signed with the active key; nodes with any key are believed."""
    moment = datetime.fromtimestamp(now, UTC)
    made = [_authority(secret, moment) for secret in keys.secrets]
    authority, signer = made[0]
    own = ec.generate_private_key(ec.SECP256R1())
    kinds = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    leaf = (
        _builder(_name(NAME), authority.subject, own.public_key(), moment)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(kinds, critical=False)
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return NodePair(_pem(leaf), _private(own), b"".join(_pem(one) for one, _ in made))


def _authority(secret: str, moment: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the authority of a secret key: another certificate each time, but always with the same key."""
    number = int.from_bytes(derive(secret, "node-authority", SEED_BYTES)) % (ORDER - 1) + 1
    signer = ec.derive_private_key(number, ec.SECP256R1())
    name = _name(f"nodes of registrar {fingerprint(secret)}")
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = _builder(name, name, signer.public_key(), moment)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(usage, critical=True).sign(signer, hashes.SHA256()), signer


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, moment: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - EARLIER)
        .not_valid_after(moment + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
