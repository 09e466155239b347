"""Links by which a person refuses: `https://m.example.com/o/` and 19 letters and digits.

They hold the id of the message and proof that we made them, so that a forged one is told by arithmetic alone, and a
message is all that one link speaks for. A message that was sent cannot be guessed: of 2^48 proofs one fits.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chappe.runtime import Runtime

OPT_OUT_LINK: Final = "{opt_out_link}"
"""What stands in a text for the link of its message."""
LINK_PATH: Final = "/o/"
LENGTH: Final = 19  # 62^19 is just above 2^111: no characters cost less
_PROOF_OCTETS = 6
_PROOF_BITS = 8 * _PROOF_OCTETS
_ID_BITS = 63

# Letters and digits only: where phones find the end of a link, they leave out a hyphen or an underscore.
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]
_BASE = len(_DIGITS)


def token(secret: bytes, message_id: int) -> str:
    """The link's own part: 19 letters and digits."""
    left = message_id << _PROOF_BITS | _proof(secret, message_id)
    pairs = []
    for _ in range(LENGTH // 2):
        left, pair = divmod(left, _BASE * _BASE)
        pairs.append(_PAIRS[pair])
    return _DIGITS[left] + "".join(reversed(pairs))


def read(secret: bytes, token: str) -> int | None:
    """The message that a token was made for; None if we did not make it. Takes as long for any wrong proof."""
    if len(token) != LENGTH:
        return None
    number = 0
    for digit in token:
        value = _VALUES.get(digit)
        if value is None:
            return None
        number = number * _BASE + value
    message_id, proof = number >> _PROOF_BITS, number & (1 << _PROOF_BITS) - 1
    if message_id >> _ID_BITS:
        return None
    right = _proof(secret, message_id).to_bytes(_PROOF_OCTETS, "big")
    return message_id if hmac.compare_digest(right, proof.to_bytes(_PROOF_OCTETS, "big")) else None


def url(public_url: str, secret: bytes, message_id: int) -> str:
    return f"{public_url}{LINK_PATH}{token(secret, message_id)}"


def secret_of(rt: Runtime) -> bytes:
    return rt.vault.key_for("opt-out links")


def opt_out_link(rt: Runtime, message_id: int) -> str | None:
    """The link of a message, always as long for one installation; None where recipients have no address to come to
    (`public_url`)."""
    public_url = rt.settings.public_url
    return None if public_url is None else url(public_url, secret_of(rt), message_id)


def _proof(secret: bytes, message_id: int) -> int:
    made = blake2b(message_id.to_bytes(8, "big"), digest_size=_PROOF_OCTETS, key=secret)
    return int.from_bytes(made.digest(), "big")
