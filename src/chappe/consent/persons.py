"""Persons by a number that tells nothing of them: what is left when they are forgotten still stops messages to them."""

from __future__ import annotations

from hashlib import blake2b


class Persons:
    """Keyed hashes (BLAKE2b, 64 bits, signed) of an address within an account. Of ten million refusals, one message in
    a trillion meets another person's."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, account_id: int, test: bool | int, address: str) -> int:
        """`address` as it is stored: E.164 with its plus, or `mail:`, `push:`, `alias:` and a name."""
        made = blake2b(b"%d %d %s" % (account_id, test, address.encode()), digest_size=8, key=self._secret)
        return int.from_bytes(made.digest(), "big", signed=True)
