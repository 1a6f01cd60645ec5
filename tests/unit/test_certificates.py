# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate and its key against each other, the clock and the domains."""

from __future__ import annotations

import ssl
import subprocess
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.asgi.host.plugins.module_utils._certificates import certificate_problems, subjects
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

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


def issued(
    name: str,
    by: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    end: int = 90,
    aia: bool = True,
) -> bytes:
    """A certificate of ``name`` signed by ``by``, which with ``aia`` says where its issuer's can be had."""

    def named(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(by))
        .public_key(key.public_key())
        .serial_number(2)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=end))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example.com")]), False)
    )
    if aia:
        place = x509.UniformResourceIdentifier("http://authority.example.com/issuer.crt")
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


ROOT_KEY, MIDDLE_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
LEAF = issued("shop.example.com", "Middle", KEY, MIDDLE_KEY)
MIDDLE = issued("Middle", "Root", MIDDLE_KEY, ROOT_KEY)
ROOT = issued("Root", "Root", ROOT_KEY, ROOT_KEY, aia=False)
KNOWN = subjects(b"# a comment\n" + ROOT + b"-----BEGIN CERTIFICATE-----\nbad\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("chain", "trusted", "words"),
    [
        (LEAF + MIDDLE, KNOWN, ""),
        (LEAF + MIDDLE + ROOT, (), ""),
        (LEAF + ROOT + MIDDLE, KNOWN, ""),
        (LEAF, KNOWN, "the chain ends at shop.example.com, and clients do not know its issuer Middle; append"),
        (LEAF, (), "the chain ends at shop.example.com"),
        (LEAF + ROOT, KNOWN, "the chain ends at shop.example.com"),
        (LEAF + MIDDLE, subjects(GOOD), "the chain ends at Middle, and clients do not know its issuer Root"),
        # No store to compare with, and a private root that signs without a link between.
        (LEAF + MIDDLE, (), ""),
        (issued("shop.example.com", "Own root", KEY, ROOT_KEY, aia=False), KNOWN, ""),
        (issued("shop.example.com", "Root", KEY, ROOT_KEY), KNOWN, ""),
        (LEAF + issued("Middle", "Root", OTHER, ROOT_KEY), KNOWN, "Middle in its chain is not the one that signed it"),
        (LEAF + issued("Middle", "Root", MIDDLE_KEY, ROOT_KEY, end=0), KNOWN, "Middle of its chain expired on 2026-11-23"),
    ],
)  # fmt: skip
def test_chain(chain: bytes, trusted: frozenset[bytes], words: str) -> None:
    found = certificate_problems(chain, key_pem(KEY), [], NOW + timedelta(minutes=1), trusted)
    assert len(found) == bool(words)
    assert all(words in problem and "tls.files.certificate: " in problem for problem in found)


def test_subjects_of_a_bundle() -> None:
    assert len(KNOWN) == 1


def test_roots_that_every_system_has_are_read_without_a_word() -> None:
    """Some of them have a serial number that is not positive, which cryptography warns of."""
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-set_serial",
        "0",
        "-subj",
        "/O=Old/CN=Root 0",
    ]
    old = subprocess.run([*argv, "-keyout", "/dev/null"], check=True, capture_output=True).stdout
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (subject,) = subjects(old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert subject == x509.load_pem_x509_certificate(old).subject.public_bytes()


def test_what_is_cut_short_is_no_certificate() -> None:
    whole = ssl.PEM_cert_to_DER_cert(ROOT.decode())
    (subject,) = KNOWN
    begin = whole.rindex(subject)
    for length in range(len(whole)):
        assert not subjects(ssl.DER_cert_to_PEM_cert(whole[:length]).encode()), length
    for place in range(begin):
        for value in (0x00, 0x7F, 0x80, 0xFF):
            subjects(ssl.DER_cert_to_PEM_cert(whole[:place] + bytes([value]) + whole[place + 1 :]).encode())


@pytest.mark.parametrize(("bits", "words"), [(1024, "the key has 1024 bits"), (2048, "")])
def test_key_that_openssl_of_debian_refuses(bits: int, words: str) -> None:
    short = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cn.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(short.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
        .sign(short, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    key = short.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    found = certificate_problems(made, key, [], NOW)
    assert [words in each for each in found] == ([True] if words else [])
