"""Persons by a number that tells nothing of them: what is left when they are forgotten still stops messages to them."""

from __future__ import annotations

from hashlib import blake2b

_SIZE = 8  # octets: of ten million refusals, one message in a trillion meets another person's


class Persons:
    """Keyed hashes (BLAKE2b, 64 bits, signed) of an address within an account.

    The address is hashed once and turned by a secret of the account: without the key of the installation nobody can
    tell that two accounts know the same person.
    """

    def __init__(self, secret: bytes) -> None:
        self._hash = blake2b(digest_size=_SIZE, key=secret)
        self._turns: dict[tuple[int, int], int] = {}  # one for each account and mode

    def key(self, account_id: int, test: bool | int, address: str) -> int:
        """`address` as it is stored: E.164 with its plus, or `mail:`, `push:`, `alias:` and a name."""
        return self._number(address.encode()) ^ self._turn(account_id, int(test))

    def keys(self, account_id: int, other_id: int, test: bool | int, address: str) -> tuple[int, int]:
        """Of one address within two accounts."""
        number, mode = self._number(address.encode()), int(test)
        return number ^ self._turn(account_id, mode), number ^ self._turn(other_id, mode)

    def _number(self, what: bytes) -> int:
        hashed = self._hash.copy()
        hashed.update(what)
        return int.from_bytes(hashed.digest(), "big", signed=True)

    def _turn(self, account_id: int, mode: int) -> int:
        found = self._turns.get((account_id, mode))
        if found is None:
            found = self._turns[account_id, mode] = self._number(b"turn %d %d" % (account_id, mode))
        return found
