# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate and its key, judged on the controller: nginx would tell only after they were sent."""

from __future__ import annotations

import functools
import re
import ssl
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import AuthorityInformationAccessOID
except ImportError:
    # ansible-core itself depends on it; apps without certificates of their own are no worse off.
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

CERTIFICATE = "tls.files.certificate"
KEY = "tls.files.key"
# Bits of keys, and digests, by SSL_CTX_set_security_level(3) at level 2: 112 bits of security.
LEAST_BITS, LEAST_EC_BITS = 2048, 224
WEAK_DIGESTS = ("md5", "sha1")
# The tag of the version, which certificates of version 1 leave out.
VERSION = 0xA0


def missing_library(key: str) -> list[str]:
    """What keeps the files of ``key`` from being judged: a controller without the Python package cryptography."""
    if HAS_CRYPTOGRAPHY:
        return []
    why = "for the controller's Python has no package cryptography"
    return [f"{key}: cannot be read, {why}; install it: {sys.executable} -m pip install cryptography"]


def certificate_problems(
    certificate_pem: bytes,
    key_pem: bytes,
    domains: Sequence[str],
    now: datetime,
    trusted: Collection[bytes] = (),
) -> list[str]:
    """What keeps this certificate and key from serving ``domains`` at ``now`` (UTC where it names no zone).

    The first certificate of the file is the site's, the others are its chain. ``trusted`` are the subjects of the
    authorities that clients are taken to know, as subjects() gives them. No message shows the key.
    """
    found: list[str] = []
    certificates = _certificates(certificate_pem, found)
    certificate = certificates[0] if certificates else None
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
    found += [f"{CERTIFICATE}: {words}" for words in _weak(certificates)]
    if gap := _chain_problem(certificates, now, trusted):
        found.append(f"{CERTIFICATE}: {gap}")
    return found


@functools.lru_cache(maxsize=8)
def subjects(pem: bytes) -> frozenset[bytes]:
    """The subjects of all certificates of a bundle; one that cannot be read is left out."""
    found = set()
    for each in re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL):
        try:
            found.add(_issuer_and_subject(ssl.PEM_cert_to_DER_cert(each.decode("ascii")))[1])
        except ValueError:
            continue
    return frozenset(found)


def _issuer_and_subject(certificate: bytes) -> tuple[bytes, bytes]:
    """Both names as they lie in a certificate (RFC 5280, 4.1), in DER. Raises ValueError.

    Read by hand, for cryptography reads all of it: it warns of roots that every system has (serial numbers that are not
    positive), and says that it will refuse them one day.
    """
    fields, end = _content(certificate, 0)
    if end != len(certificate):
        raise ValueError("something follows the certificate")
    at, end = _content(certificate, fields)
    elements: list[bytes] = []
    while at < end and len(elements) < 6:
        start, at = at, _content(certificate, at)[1]
        elements.append(certificate[start:at])
    if elements and elements[0][0] == VERSION:
        del elements[0]
    # The serial number, the algorithm, the issuer, the validity, the subject.
    if len(elements) < 5 or at > end:
        raise ValueError("it ends too early")
    return elements[2], elements[4]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at ``at`` begins and ends. Raises ValueError."""
    header = der[at : at + 2]
    if len(header) < 2:
        raise ValueError("it ends too early")
    start, length = at + 2, header[1]
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start])
    if start + length > len(der):
        raise ValueError("it ends too early")
    return start, start + length


def _chain_problem(
    certificates: Sequence[x509.Certificate], now: datetime, trusted: Collection[bytes]
) -> str:
    """What is missing between the site's certificate and an authority that clients know; empty when nothing is.

    Browsers fetch a missing link by themselves, most other clients do not: the gap shows on somebody else's machine.
    A private authority's root is in nobody's store here, so a last issuer that is not known is held against a file
    only if the certificate says where clients would have to fetch it from.
    """
    last, rest = certificates[0], list(certificates[1:])
    while last.issuer != last.subject and _issuer(last) not in trusted:
        issuer = next((each for each in rest if _issued_by(last, each)), None)
        if issuer is None:
            # With no store to compare with, an issuer beyond the first may be any root.
            return _gap(last, rest) if trusted or last is certificates[0] else ""
        rest.remove(issuer)
        last = issuer
        if now > (end := _validity(last)[1]):
            return (
                f"{_common_name(last.subject)} of its chain expired on {end:%Y-%m-%d %H:%M} UTC; "
                "give the chain that the authority has now"
            )
    return ""


def _gap(last: x509.Certificate, rest: Sequence[x509.Certificate]) -> str:
    wanted = _common_name(last.issuer)
    if any(each.subject == last.issuer for each in rest):
        return (
            f"the certificate of {wanted} in its chain is not the one that signed it; "
            "give the chain that came with the certificate"
        )
    where = _fetched_from(last)
    if not where:
        return ""
    return (
        f"the chain ends at {_common_name(last.subject)}, and clients do not know its issuer {wanted}; append the "
        f"authority's intermediate certificates to the file ({where} has it), or name a root of your own in "
        "asgi_host_ca_file"
    )


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _fetched_from(certificate: x509.Certificate) -> str:
    """Where the certificate says that its issuer's can be had; empty when it does not."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    places = [
        each.access_location.value
        for each in access
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    ]
    return places[0] if places else ""


def _common_name(name: x509.Name) -> str:
    names = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else name.rfc4514_string()


def _certificates(pem: bytes, found: list[str]) -> list[x509.Certificate]:
    if b"PRIVATE KEY-----" in pem and b"BEGIN CERTIFICATE" not in pem:
        found.append(
            f"{CERTIFICATE}: the file holds a private key; swap the two files, or give the certificate"
        )
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        found.append(
            f"{CERTIFICATE}: the file is not a certificate in PEM form; "
            "give one that starts with -----BEGIN CERTIFICATE-----"
        )
        return []


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


def _weak(certificates: Sequence[x509.Certificate]) -> list[str]:
    """What OpenSSL of Debian refuses as too weak (its security level 2), and nginx with it: every site of the host."""
    found = []
    for number, certificate in enumerate(certificates):
        which = "the key" if number == 0 else f"the key of certificate {number + 1} of its chain"
        bits = getattr(certificate.public_key(), "key_size", None)
        least = (
            LEAST_EC_BITS if isinstance(certificate.public_key(), ec.EllipticCurvePublicKey) else LEAST_BITS
        )
        if bits is not None and bits < least:
            found.append(
                f"{which} has {bits} bits, and OpenSSL of Debian takes none below {least}; give another one"
            )
        digest = certificate.signature_hash_algorithm
        if digest and digest.name in WEAK_DIGESTS and certificate.issuer != certificate.subject:
            found.append(
                f"it is signed with {digest.name}, which OpenSSL of Debian refuses; give one that is renewed"
            )
    return found


def _issuer(certificate: x509.Certificate) -> bytes:
    return _issuer_and_subject(certificate.public_bytes(serialization.Encoding.DER))[0]


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
