"""What a page hands to itself through the browser: sealed, bound to its message, good for some time only. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import blake2b
from typing import TypeVar

import msgspec

_MAC = 16
_LONGEST = 2_000  # characters that are looked at

T = TypeVar("T")


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed has a time, in milliseconds."""

    at: int


class Form(Sealed, frozen=True, array_like=True, tag="form"):
    """Says that a form came from a page of ours."""


class Done(Sealed, frozen=True, array_like=True, tag="done"):
    """What was just done: the entry of the ledger, or refusals without one, and which refusals became stricter."""

    what: str
    entry_id: int = 0
    refusal_ids: tuple[int, ...] = ()
    milder: tuple[tuple[int, str], ...] = ()


def seal(secret: bytes, message_id: int, value: Sealed) -> str:
    payload = msgspec.json.encode(value)
    return base64.urlsafe_b64encode(_mac(secret, message_id, payload) + payload).decode().rstrip("=")


def unseal(secret: bytes, message_id: int, text: str, kind: type[T], *, since: int, until: int) -> T | None:
    """None for what we did not seal for this message, and for what was sealed before `since` or after `until`."""
    if not text or len(text) > _LONGEST or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if not hmac.compare_digest(raw[:_MAC], _mac(secret, message_id, raw[_MAC:])):
        return None
    try:
        value = msgspec.json.decode(raw[_MAC:], type=kind)
    except msgspec.MsgspecError:
        return None  # of another kind, or of another version of Chappe
    assert isinstance(value, Sealed)
    return value if since <= value.at <= until else None


def _mac(secret: bytes, message_id: int, payload: bytes) -> bytes:
    return blake2b(message_id.to_bytes(8, "big") + payload, digest_size=_MAC, key=secret).digest()
