"""TLS: the certificate must be of that name, trusted and in time."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chappe.outgoing import Unreachable
from tests.outgoing.conftest import OK, calling, listening, resolve_to, saying


def _certificate(folder: Path, name: x509.GeneralName, *, days: int = 1) -> tuple[Path, Path]:
    """A certificate that signs itself, and the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks")])
    now = dt.datetime.now(dt.UTC)
    begin, end = sorted((now - dt.timedelta(days=2 if days < 0 else 1), now + dt.timedelta(days=days)))
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begin, end)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return pem, private


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    ("name", "days", "trusted", "code"),
    [
        (x509.DNSName("hook.example"), 1, True, None),
        (x509.DNSName("other.example"), 1, True, "tls"),
        (x509.DNSName("hook.example"), 1, False, "tls"),
        (x509.DNSName("hook.example"), -1, True, "tls"),
        (LOOPBACK, 1, True, "tls"),
    ],
    ids=["good", "another name", "unknown issuer", "expired", "address instead of name"],
)
async def test_a_certificate_must_be_of_that_name_trusted_and_in_time(
    name: x509.GeneralName, days: int, trusted: bool, code: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, private = _certificate(tmp_path, name, days=days)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem, private)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, host, _context: asked.append(host)
    async with listening(saying(OK), ssl=server) as (stranger, url):
        async with calling(tls=ssl.create_default_context(cafile=pem) if trusted else None) as outgoing:
            resolve_to(monkeypatch, iter([["127.0.0.1"]] * 2))
            place = url.replace("127.0.0.1", "hook.example")
            for _ in range(2):
                if code is None:
                    assert (await outgoing.post(place, b"", b"{}", 5)).body == b"ok"
                else:
                    with pytest.raises(Unreachable) as refused:
                        await outgoing.post(place, b"", b"{}", 5)
                    assert refused.value.code == code
        assert set(asked) == {"hook.example"}
        assert len(stranger.requests) == (2 if code is None else 0)
        assert stranger.connections == (1 if code is None else 0)  # those whose handshake was completed


async def test_an_address_may_have_a_certificate_too(tmp_path: Path) -> None:
    pem, private = _certificate(tmp_path, LOOPBACK)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem, private)
    trusting = ssl.create_default_context(cafile=pem)
    async with listening(saying(OK), ssl=server) as (_, url), calling(tls=trusting) as outgoing:
        assert (await outgoing.post(url, b"", b"{}", 5)).body == b"ok"
