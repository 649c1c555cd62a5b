"""Cloud SQL: who a server is to clients of its network, an authority of its own for each instance.

As Google has it (GOOGLE_MANAGED_INTERNAL_CA): the authority has basic constraints and nothing else, which what follows
RFC 5280 to the letter (OpenSSL's X509_V_FLAG_X509_STRICT) refuses, and the certificate names the instance, and no host.
https://cloud.google.com/sql/docs/postgres/authorize-ssl. Left out: rotation, and authorities that instances share.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from localcloud.services.sql_keys import instance_key
from localcloud.terraform.model import Object, text

if TYPE_CHECKING:
    from localcloud.resource import Cloud

_IDENTITY = "sql.server"
_LIFETIME = timedelta(days=3650)
_ORGANIZATION = [
    x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Google, Inc"),
]


class Identity(NamedTuple):
    """What a server shows and proves, in PEM.

    Attributes:
        authority: The certificate that clients know.
        certificate: The server's, issued by it.
        key: The server's private key.
    """

    authority: str
    certificate: str
    key: str


def identity(cloud: Cloud, instance: Object) -> Identity:
    """Returns an instance's, which is made at the first time.

    Args:
        cloud: Where it is kept.
        instance: The google_sql_database_instance, with its region.
    """
    name = f"{_IDENTITY}/{instance_key(instance)}"
    kept = cloud.store.secret(name)
    if kept is None:
        kept = "\0".join(_make(":".join(text(instance, part) for part in ("project", "region", "name"))))
        cloud.store.put_secret(name, kept)
    return Identity(*kept.split("\0"))


def forget(cloud: Cloud, instance: Object) -> None:
    """Another instance of the name is somebody else."""
    cloud.store.remove_secret(f"{_IDENTITY}/{instance_key(instance)}")


def described(authority: str) -> Object:
    """The block `server_ca_cert`; an instance that nobody reaches by its network has no certificate here."""
    if not authority:
        return dict.fromkeys(("cert", "common_name", "create_time", "expiration_time", "sha1_fingerprint"), "")
    found = x509.load_pem_x509_certificate(authority.encode())
    return {
        "cert": authority,
        "common_name": found.subject.rfc4514_string(),
        "create_time": found.not_valid_before_utc.isoformat(),
        "expiration_time": found.not_valid_after_utc.isoformat(),
        "sha1_fingerprint": found.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 - the name of the attribute
    }


def qualifier() -> str:
    """By what Google tells its authorities apart, which all have one name."""
    return str(uuid.uuid4())


def _make(connection_name: str) -> Identity:
    names = {NameOID.COMMON_NAME: "Google Cloud SQL Server CA", NameOID.DN_QUALIFIER: qualifier()}
    issuer = x509.Name([*_ORGANIZATION, *(x509.NameAttribute(*pair) for pair in names.items())])
    project, _, name = connection_name.rsplit(":", 2)
    subject = x509.Name([*_ORGANIZATION, x509.NameAttribute(NameOID.COMMON_NAME, f"{project}:{name}"[:64])])
    authority_key, key = (rsa.generate_private_key(public_exponent=65_537, key_size=2048) for _ in range(2))
    authority = (
        _certificate(issuer, issuer, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = _certificate(subject, issuer, key).sign(authority_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Identity(*(part.decode() for part in (authority.public_bytes(pem), certificate.public_bytes(pem), plain)))


def _certificate(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )
