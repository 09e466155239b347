"""Signatures of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, several while a secret is being replaced.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32
SHORTEST, LONGEST = 24, 64  # bytes of a symmetric secret
TOLERANCE_S = 300


class BadSignature(Exception):
    """The request does not come from who knows the secret, or is too old or too new. The message says which."""


def new_secret() -> str:
    """`whsec_` and the base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes to sign with. Raises ValueError for what is no secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError("a webhook secret is whsec_ followed by base64") from None
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"a webhook secret is whsec_ followed by the base64 of {SHORTEST} to {LONGEST} bytes")
    return key


def prepared(key: bytes) -> hmac.HMAC:
    """A key made ready to sign many times: half the price of a signature is its key."""
    return hmac.new(key, digestmod="sha256")


def signature(keys: Sequence[hmac.HMAC], event_id: bytes, timestamp: int, body: bytes) -> bytes:
    """The `webhook-signature` header, signed with each of the prepared keys; `timestamp` is in seconds."""
    content = b"%b.%d.%b" % (event_id, timestamp, body)
    return b" ".join([_signed(key, content) for key in keys])


def _signed(key: hmac.HMAC, content: bytes) -> bytes:
    code = key.copy()
    code.update(content)
    return b"v1," + binascii.b2a_base64(code.digest(), newline=False)


def sign(keys: Sequence[bytes], event_id: str, timestamp: int, body: bytes) -> str:
    """The same with keys as bytes."""
    name = event_id.encode("utf-8", "surrogatepass")
    return signature([prepared(key) for key in keys], name, timestamp, body).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: float, tolerance: float = TOLERANCE_S) -> None:
    """Whether a request is one of ours; `now` is in seconds. Raises BadSignature, or ValueError for a bad secret."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, stamp, signatures = (lower[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        timestamp = int(stamp)
    except KeyError as missing:
        raise BadSignature(f"the header {missing.args[0]} is missing") from None
    except ValueError:
        raise BadSignature("webhook-timestamp is not a number") from None
    if abs(now - timestamp) > tolerance:
        raise BadSignature("webhook-timestamp is too far from now")
    expected = sign([key_of(secret)], event_id, timestamp, body)
    # each is compared in constant time, so that an answer's delay tells nothing of the right one
    matches = [
        hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))
        for given in signatures.split(" ")
    ]
    if not any(matches):
        raise BadSignature("no signature matches")
