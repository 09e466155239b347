"""Secrets: encrypted at rest, hashed where they only need to be compared, and kept out of logs."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_SECRET_NAMES = re.compile(r"pass|secret|token|credential|authorization|api_key|private", re.IGNORECASE)
HIDDEN = "***"


class Vault:
    """Encrypts what must be read again (supplier credentials, webhook secrets): AES-256-GCM under one master key."""

    def __init__(self, master_key: bytes) -> None:
        self._cipher = AESGCM(hashlib.sha256(b"chappe vault\0" + master_key).digest())
        self._master_key = master_key

    def key_for(self, use: str) -> bytes:
        """32 octets of their own for a use: always the same ones, which tell nothing of those of another use."""
        return hashlib.blake2b(self._master_key, digest_size=32, person=use.encode()[:16]).digest()

    def encrypt(self, text: str) -> str:
        nonce = os.urandom(_NONCE)
        return "v1:" + base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), None)).decode()

    def decrypt(self, sealed: str) -> str:
        """Raises ValueError if this key did not seal it."""
        raw = base64.b64decode(sealed.removeprefix("v1:"))
        try:
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], None).decode()
        except InvalidTag:
            raise ValueError("this secret was encrypted with another secret_key") from None


def load_master_key(configured: str | None, data_dir: Path) -> bytes:
    """The configured key, else the one in `DIR/secret.key`, made at the first start and readable by its owner only."""
    if configured:
        return configured.encode()
    path = data_dir / "secret.key"
    if not path.exists():
        handle, draft = tempfile.mkstemp(dir=data_dir, prefix="secret.")  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(os.urandom(32)))
            file.flush()
            os.fsync(handle)
        with suppress(FileExistsError):  # another process was faster: its key is the key
            os.link(draft, path)
        os.unlink(draft)
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key in a file. Raises ValueError if it is empty, OSError if it cannot be read."""
    key = path.read_bytes().strip()
    if not key:
        raise ValueError(f"{path} is empty: put the key back that the secrets were encrypted with")
    return key


def hash_key(key: str) -> str:
    """SHA-256 in hex. API keys hold 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_api_key(mode: str) -> str:
    """`ck_live_...` or `ck_test_...`."""
    return f"ck_{mode}_{secrets.token_urlsafe(32)}"


def redact(value: Any) -> Any:
    """The same structure with the values of secret-sounding names hidden."""
    if isinstance(value, Mapping):
        return {k: HIDDEN if _SECRET_NAMES.search(str(k)) and v else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(v) for v in value]
    return value
