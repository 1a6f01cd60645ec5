# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate and its key against each other, the clock and the domains."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.asgi.host.plugins.module_utils._certificates import certificate_problems
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def certificate(key: ec.EllipticCurvePrivateKey, names: list[str], start: int = -1, end: int = 90) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cn.example.com")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + timedelta(days=start))
        .not_valid_after(NOW + timedelta(days=end))
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
GOOD = certificate(KEY, ["shop.example.com", "*.shop.example.com"])


def test_good_pair_with_chain() -> None:
    chain = GOOD + certificate(OTHER, ["authority.example.com"], end=-1, start=-9)
    assert certificate_problems(chain, key_pem(KEY), ["shop.example.com", "a.shop.example.com"], NOW) == []
    assert certificate_problems(GOOD, key_pem(KEY), ["*.shop.example.com"], NOW.replace(tzinfo=None)) == []
    assert certificate_problems(GOOD, key_pem(KEY), [], NOW) == []


@pytest.mark.parametrize(
    ("pem", "key", "domains", "words"),
    [
        (b"nothing", key_pem(KEY), [], "tls.files.certificate: the file is not a certificate"),
        (b"", key_pem(KEY), [], "tls.files.certificate: the file is not a certificate"),
        (key_pem(KEY), key_pem(KEY), [], "swap the two files"),
        (GOOD[:200], key_pem(KEY), [], "not a certificate in PEM form"),
        (GOOD, b"nothing", [], "tls.files.key: the file is not a private key"),
        (GOOD, GOOD, [], "tls.files.key: the file is not a private key"),
        (GOOD, key_pem(KEY, b"password"), [], "tls.files.key: is encrypted"),
        (GOOD, key_pem(OTHER), [], "tls.files.key: does not belong to the certificate"),
        (certificate(KEY, ["a.example.com"], -9, -1), key_pem(KEY), [], "expired on 2026-11-22 12:00 UTC"),
        (certificate(KEY, ["a.example.com"], 1, 9), key_pem(KEY), [], "not valid before 2026-11-24"),
        (GOOD, key_pem(KEY), ["shop.example.com", "other.example.com"], "not for other.example.com;"),
        (GOOD, key_pem(KEY), ["a.b.shop.example.com"], "not for a.b.shop.example.com"),
        (certificate(KEY, ["shop.example.com"]), key_pem(KEY), ["*.example.com"], "not for *.example.com"),
        (certificate(KEY, []), key_pem(KEY), ["cn.example.com"], "is for no host name"),
    ],
)
def test_refused(pem: bytes, key: bytes, domains: list[str], words: str) -> None:
    found = certificate_problems(pem, key, domains, NOW)
    assert len(found) == 1
    assert words in found[0]


def test_all_problems_at_once() -> None:
    expired = certificate(KEY, ["a.example.com"], -9, -1)
    assert len(certificate_problems(expired, key_pem(OTHER), ["b.example.com"], NOW)) == 3
