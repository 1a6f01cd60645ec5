# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate and its key, judged on the controller: nginx would tell only after they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

CERTIFICATE = "tls.files.certificate"
KEY = "tls.files.key"


def certificate_problems(
    certificate_pem: bytes, key_pem: bytes, domains: Sequence[str], now: datetime
) -> list[str]:
    """What keeps this certificate and key from serving ``domains`` at ``now`` (UTC where it names no zone).

    The first certificate of the file is the site's, the others are its chain. No message shows the key.
    """
    found: list[str] = []
    certificate = _certificate(certificate_pem, found)
    public_key = _public_key(key_pem, found)
    if certificate is None:
        return found
    if public_key is not None and _spki(certificate) != public_key:
        found.append(
            f"{KEY}: does not belong to the certificate; give the key that the certificate was made for"
        )
    now = now if now.tzinfo else now.replace(tzinfo=UTC)
    start, end = _validity(certificate)
    if now > end:
        found.append(f"{CERTIFICATE}: expired on {end:%Y-%m-%d %H:%M} UTC; give a renewed one")
    elif now < start:
        found.append(
            f"{CERTIFICATE}: is not valid before {start:%Y-%m-%d %H:%M} UTC; "
            "give one that is valid now, or set the controller's clock"
        )
    names = _names(certificate)
    missing = [domain for domain in domains if not any(_covers(name, domain) for name in names)]
    if missing:
        found.append(
            f"{CERTIFICATE}: is for {', '.join(names) or 'no host name'}, not for {', '.join(missing)}; "
            "give a certificate with these names, or take them out of domains"
        )
    return found


def _certificate(pem: bytes, found: list[str]) -> x509.Certificate | None:
    if b"PRIVATE KEY-----" in pem and b"BEGIN CERTIFICATE" not in pem:
        found.append(
            f"{CERTIFICATE}: the file holds a private key; swap the two files, or give the certificate"
        )
        return None
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        found.append(
            f"{CERTIFICATE}: the file is not a certificate in PEM form; "
            "give one that starts with -----BEGIN CERTIFICATE-----"
        )
        return None


def _public_key(pem: bytes, found: list[str]) -> bytes | None:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        found.append(
            f"{KEY}: is encrypted, and nginx starts with nobody to type its password; give it decrypted"
        )
    except (ValueError, UnsupportedAlgorithm):
        found.append(
            f"{KEY}: the file is not a private key in PEM form; "
            "give one that starts with -----BEGIN PRIVATE KEY-----"
        )
    else:
        return key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return None


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """The first and last moment, in UTC; by the old attributes where cryptography is older than 42."""
    try:
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except AttributeError:
        return (
            certificate.not_valid_before.replace(tzinfo=UTC),
            certificate.not_valid_after.replace(tzinfo=UTC),
        )


def _names(certificate: x509.Certificate) -> list[str]:
    """The DNS names; the common name counts for nothing with today's clients."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]


def _covers(name: str, domain: str) -> bool:
    """Whether a name of the certificate covers a domain: a star stands for one whole label (RFC 6125)."""
    if name == domain:
        return True
    return name.startswith("*.") and not domain.startswith("*.") and domain.partition(".")[2] == name[2:]
