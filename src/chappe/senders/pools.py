"""Pools of senders: a name for several, of which each person always meets the same one. Pure.

The choice is by rendezvous hashing (Thaler and Ravishankar, 1998): every member draws a number for the person, the
highest wins. So no table of choices is kept, every node chooses alike, and a member that comes or goes moves only the
people who meet it: one in n.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated

from msgspec import Meta, Struct

PREFIX = "pool:"
MAX_MEMBERS = 200  # each costs a draw (half a microsecond) a message
_MASK = (1 << 64) - 1


class Pool(Struct, frozen=True):
    """A named group of an account's senders, as `from` writes it: `pool:name`."""

    id: int
    account_id: int
    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    sender_ids: Annotated[tuple[int, ...], Meta(max_length=MAX_MEMBERS)]
    created_at: int


class Default(Struct, frozen=True):
    """What an account sends from to a country when a message does not say: an address or `pool:name`."""

    id: int
    account_id: int
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    sender: Annotated[str, Meta(min_length=1, max_length=37)]
    created_at: int


class Ring:
    """The members of a pool that may be used to one country."""

    __slots__ = ("_members",)

    def __init__(self, addresses: Iterable[str]) -> None:
        self._members = [(_seed(address), address) for address in addresses]

    def choose(self, person: str) -> str | None:
        """The member that this person (digits) meets; None of an empty ring."""
        members = self._members
        if len(members) < 2:
            return members[0][1] if members else None
        point = int(person)
        return max((_drawn(seed, point), address) for seed, address in members)[1]


def _seed(address: str) -> int:
    return int.from_bytes(blake2b(address.encode(), digest_size=8).digest())


def _drawn(seed: int, point: int) -> int:
    """64 well-mixed bits of a member and a person (the finalizer of SplitMix64, Steele and others 2014)."""
    z = (seed + point * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
    return z ^ z >> 31
