"""The chain of an account's ledger: each entry is bound to all before it. Pure.

The hash of an entry is SHA-256 over the hash before it (32 octets; zeros before the first) and the entry's public
fields as canonical JSON (RFC 8785). What is about the person is not among them: the chain holds a commitment to it,
SHA-256 over a salt and the proof as canonical JSON. Whoever deletes proof and salt takes nothing from the chain.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from chappe import ids
from chappe.consent import commitments
from chappe.storage import Row

GENESIS = bytes(32)  # what the first entry is bound to
ID = "cns"

FaultCode = Literal[
    "missing", "repeated", "changed", "proof", "person", "cut", "head", "unsealed", "foreign", "unreadable"
]


class Public(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields of an entry that the chain binds. Times are milliseconds since 1970; `commitment` is hex."""

    account: str
    test: bool
    sequence: int
    id: str
    event: str
    channel: str
    purpose: str
    brand: str
    basis: str
    source: str
    at: int
    expires_at: int | None
    commitment: str


class Head(NamedTuple):
    """The end of a chain: the number of its last entry, and the hash up to there."""

    sequence: int = 0
    hash: bytes = GENESIS


class Fault(NamedTuple):
    """The first place where a chain does not hold: at which number, a stable code, and what is wrong in plain words."""

    sequence: int
    code: FaultCode
    words: str


def canonical(value: Any) -> bytes:
    """JSON as RFC 8785 has it, of texts, whole numbers, booleans and null."""
    return msgspec.json.encode(value, order="sorted")


def link(before: bytes, entry: Public) -> bytes:
    """The hash of an entry behind the one whose hash is `before`."""
    return hashlib.sha256(before + canonical(entry)).digest()


def public_of(row: Row, sequence: int) -> Public:
    """Of a row of `store.CHAINED`."""
    entry_id, account_id, test, event, channel, purpose, brand, basis, source, at, expires_at, commitment = row[:12]
    return Public(
        account=ids.public("acc", account_id),
        test=bool(test),
        sequence=sequence,
        id=ids.public(ID, entry_id),
        event=event,
        channel=channel,
        purpose=purpose,
        brand=brand,
        basis=basis,
        source=source,
        at=at,
        expires_at=expires_at,
        commitment=bytes(commitment).hex(),
    )


class Walk:
    """Goes along a chain from its beginning, and counts what it has seen. `add` gives the first fault; after that
    nothing more is to be added."""

    def __init__(self, account: str, test: bool) -> None:
        self.account, self.test = account, test
        self.head = Head()
        self.proofs = 0
        self.erased = 0

    def add(self, entry: Public, told: bytes, proof: bytes | None, salt: bytes | None) -> Fault | None:
        """`told` is the hash that is written beside the entry; `proof` as canonical JSON."""
        number, wanted = entry.sequence, self.head.sequence + 1
        if (entry.account, entry.test) != (self.account, self.test):
            return Fault(number, "foreign", f"entry {number} is of another ledger ({entry.account}).")
        if number > wanted:
            what = f"entry {wanted} is" if number == wanted + 1 else f"entries {wanted} to {number - 1} are"
            return Fault(wanted, "missing", f"{what} missing.")
        if number < wanted:
            return Fault(number, "repeated", f"entry {number} comes again behind entry {wanted - 1}.")
        if link(self.head.hash, entry) != told:
            words = f"entry {number} does not say what was sealed: a field or its hash was changed."
            return Fault(number, "changed", words)
        self.head = Head(number, told)
        if proof is None and salt is None:
            self.erased += 1
            return None
        if proof is None or salt is None:
            return Fault(number, "proof", f"entry {number} has a proof or a salt, but not both.")
        if commitments.commitment(salt, proof).hex() != entry.commitment:
            return Fault(number, "proof", f"the proof of entry {number} is not the one that was recorded.")
        self.proofs += 1
        return None
