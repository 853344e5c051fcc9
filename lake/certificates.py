"""Certificates of a cluster: a CA, and the one certificate and key that all of its members use."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.errors import SettingError
from common.logs import fields

NAME = "lakelet-cluster"  # in the certificate; members are reached under names and addresses of all kinds
CA, CERT, KEY = FILES = ("ca.pem", "cert.pem", "key.pem")
VALID = timedelta(days=3 * 365)
RENEWED = timedelta(days=90)  # before their end
CLOCKS = timedelta(days=1)  # by which a machine of the cluster may be behind

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Certificates:
    """Certificate of the CA, certificate of a member and its key, as PEM."""

    ca: str
    cert: str
    key: str = field(repr=False)

    def end(self, now: datetime) -> datetime:
        """Return when they end, after a check that they belong together.

        Raises:
            ValueError: one of them is damaged, they do not belong together, or this is not their time.
        """
        ca = _parsed(CA, self.ca, x509.load_pem_x509_certificate)
        cert = _parsed(CERT, self.cert, x509.load_pem_x509_certificate)
        key = _parsed(KEY, self.key, partial(serialization.load_pem_private_key, password=None))
        try:
            cert.verify_directly_issued_by(ca)
        except (ValueError, TypeError, InvalidSignature):
            raise ValueError(f"{CERT} is not of the CA in {CA}") from None
        if key.public_key() != cert.public_key():
            raise ValueError(f"{KEY} is not the key of {CERT}")
        start, end = cert.not_valid_before_utc, min(cert.not_valid_after_utc, ca.not_valid_after_utc)
        if not start <= now < end:
            raise ValueError(f"they are valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}")
        return end


def _parsed(name: str, text: str, load: Callable[[bytes], T]) -> T:
    try:
        return load(text.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{name} is damaged") from None


def read_certificates(folder: Path) -> Certificates:
    """Read the certificates of a member, which belong together even while they are made anew.

    Raises:
        SettingError: they are missing, damaged, or not valid now.
    """
    make = f"make them: python -m lake certificates {folder}"
    try:
        with _locked(folder, fcntl.LOCK_SH):
            found = _read(folder)
        found.end(datetime.now(UTC))
    except OSError as error:
        raise SettingError(f"CLUSTER_TLS: {error.filename or folder}: {error.strerror}; {make}") from error
    except ValueError as error:
        raise SettingError(f"CLUSTER_TLS: the certificates in {folder} are of no use: {error}; {make}") from error
    return found


def keep_certificates(folder: Path) -> bool:
    """Make certificates in a folder, unless it has good ones that last; return whether they are new.

    Raises:
        SettingError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, fcntl.LOCK_EX):
            now = datetime.now(UTC)
            if not (reason := _reason_to_make(folder, now)):
                return False
            made = _make(now)
            for name, text in zip(FILES, (made.ca, made.cert, made.key), strict=True):
                _write(folder, name, text)
    except OSError as error:
        raise SettingError(f"CLUSTER_TLS: no certificates can be made in {folder}: {error.strerror}") from error
    end = f"{made.end(now):%Y-%m-%d}"
    log.info(fields("certificates made", folder=folder, reason=reason, until=end, action="restart members that run"))
    return True


def _reason_to_make(folder: Path, now: datetime) -> str:
    try:
        end = _read(folder).end(now)
    except FileNotFoundError as error:
        return f"there is no {Path(error.filename).name}"
    except ValueError as error:
        return str(error)
    return f"they end on {end:%Y-%m-%d}" if end - now < RENEWED else ""


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on the folder: readers of its files together, a writer alone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _read(folder: Path) -> Certificates:
    return Certificates(*((folder / name).read_text("ascii", errors="replace") for name in FILES))


def _write(folder: Path, name: str, text: str) -> None:
    new = folder / f".{name}.new"
    new.unlink(missing_ok=True)
    mode = 0o600 if name == KEY else 0o644
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    new.replace(folder / name)


def _make(now: datetime) -> Certificates:
    """Make a CA and a certificate of it; the CA's key is forgotten, so nobody can make another one."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _builder(f"{NAME}-ca", f"{NAME}-ca", ca_key, ca_key, now)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(_usage(key_cert_sign=True), critical=True)
    cert = _builder(NAME, f"{NAME}-ca", key, ca_key, now)
    cert = cert.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    cert = cert.add_extension(_usage(digital_signature=True), critical=True)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    cert = cert.add_extension(both, critical=False)
    cert = cert.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    pems = (one.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) for one in (ca, cert))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificates(*(pem.decode() for pem in (*pems, key.private_bytes(serialization.Encoding.PEM, *plain))))


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(by).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - CLOCKS).not_valid_after(now + VALID)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return builder.add_extension(authority, critical=False)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
