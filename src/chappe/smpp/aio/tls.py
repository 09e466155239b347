"""TLS for SMPP: from the first octet, since the protocol has no STARTTLS; the port is a matter of agreement."""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(
    ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """Verifies the server and its host name, by the system's authorities or by `ca_file`.

    `cert_file` with `key_file` (or both in one file) is our certificate for mutual TLS. Raises OSError, ssl.SSLError.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context


def server_context(cert_file: Path, key_file: Path | None = None, client_ca_file: Path | None = None) -> ssl.SSLContext:
    """Our certificate; with `client_ca_file` (mutual TLS) only clients whose certificate it has signed get in."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca_file)
    context.load_cert_chain(cert_file, key_file)
    if client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
