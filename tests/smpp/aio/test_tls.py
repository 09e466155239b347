"""TLS and mutual TLS with certificates of an authority made here."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chappe.smpp import Pdu, commands
from chappe.smpp.aio import client_context, server_context
from tests.smpp.aio.peers import Ear, Pair, until


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs certificates; files hold the key and the certificate."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        usage = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._builder(name, self.key).add_extension(usage, critical=True).sign(self.key, hashes.SHA256())
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )

    def issue(self, name: str, *alternatives: x509.GeneralName) -> Path:
        """A file with the certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        file = self.folder / f"{self.name}-{name}.pem"
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(certificate.public_bytes(pem) + private)
        return file


@dataclass
class Pki:
    ours: Authority
    server: Path
    client: Path
    stranger: Path


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    ours, foreign = Authority(folder, "ours"), Authority(folder, "foreign")
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return Pki(
        ours=ours,
        server=ours.issue("server", loopback, x509.DNSName("smpp.example")),
        client=ours.issue("client"),
        stranger=foreign.issue("client"),
    )


async def test_messages_travel_in_tls(pair: Pair, pki: Pki) -> None:
    await pair.serve(tls=server_context(pki.server))
    mine = Ear()
    conn = await pair.connect(mine, tls=client_context(pki.ours.file))
    conn.request(Pdu(commands.SUBMIT_SM), 1)
    await until(lambda: mine.responses)
    await conn.unbind(2)
    assert mine.lost == [("unbound", [])]


async def test_an_unknown_authority_is_refused(pair: Pair, pki: Pki) -> None:
    await pair.serve(tls=server_context(pki.server))
    with pytest.raises(ssl.SSLCertVerificationError):
        await pair.connect(Ear(), tls=client_context())


async def test_another_host_name_is_refused(pair: Pair, pki: Pki) -> None:
    await pair.serve(tls=server_context(pki.server))
    with pytest.raises(ssl.SSLCertVerificationError):
        await pair.connect(Ear(), tls=client_context(pki.ours.file), server_hostname="other.example")
    assert (await pair.connect(Ear(), tls=client_context(pki.ours.file), server_hostname="smpp.example")).bound


async def test_mutual_tls_lets_in_whom_we_signed_only(pair: Pair, pki: Pki) -> None:
    await pair.serve(tls=server_context(pki.server, client_ca_file=pki.ours.file))
    assert (await pair.connect(Ear(), tls=client_context(pki.ours.file, pki.client))).bound
    for context in (client_context(pki.ours.file), client_context(pki.ours.file, pki.stranger)):
        with pytest.raises(OSError):
            await pair.connect(Ear(), tls=context)


async def test_plain_octets_at_a_tls_port_get_nothing(pair: Pair, pki: Pki) -> None:
    await pair.serve(tls=server_context(pki.server))
    with pytest.raises(OSError):
        await pair.connect(Ear())
