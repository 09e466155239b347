"""What a person agreed to and refused, and the proof of it.

The entries of the ledger stay, in their chain, as commitments; without proof and salt they tell nothing. A refusal
stays and stops messages, by its keyed hash. What was agreed to goes with its proof.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chappe import ids
from chappe.clock import rfc3339
from chappe.privacy.holdings import store
from chappe.privacy.holdings.contract import Record, Slice
from chappe.privacy.model import Who

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE = 500


class Entries:
    """The ledger: with salt, proof and commitment, from which anybody can prove it."""

    kind = "consent_entry"
    columns = ("consent_entries.proof", "consent_entries.salt")

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        after = -1
        while rows := await rt.store.scan(store.ENTRIES({**_whose(who), "after": after})):
            yield [_entry(row) for row in rows]
            after = rows[-1][0]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        while rows := await rt.store.scan(store.PROOFS(_whose(who))):
            yield len(rows), [store.ERASE_PROOFS([tuple(row) for row in rows])]


class Consents:
    """What the entries come to."""

    kind = "consent"
    columns = ("consents.person",)

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        if rows := await rt.store.scan(store.CONSENTS(_whose(who))):
            yield [_consent(row) for row in rows]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        params = _whose(who)
        while rows := await rt.store.scan(store.CONSENTS(params)):
            given = store.DROP_CONSENTS({"keys": params["keys"], "upto": who.upto})
            yield len(rows), [given, store.ERASE_CONSENTS([(number, who.upto) for number in {row[0] for row in rows}])]


class Refusals:
    """What must not be sent to them, by whoever's word."""

    kind = "suppression"
    columns = ("suppressions.person", "suppressions.note")

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        after = -1
        while rows := await rt.store.scan(store.REFUSALS({**_whose(who), "after": after})):
            yield [_refusal(row) for row in rows]
            after = rows[-1][0]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        while rows := await rt.store.scan(store.NAMED_REFUSALS(_whose(who))):
            yield len(rows), [store.ERASE_REFUSALS([tuple(row) for row in rows])]


class Replies:
    """Answers to a word by which the person refused or asked, that are still to be sent: they are not."""

    kind = "reply"
    columns = ("consent_replies.person",)

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        if rows := await rt.store.scan(store.REPLIES(_whose(who))):
            yield [
                {"answers": kind, "from": sender, "asked_at": rfc3339(asked_at), "test": bool(test)}
                for _, sender, kind, _, asked_at, test in rows
            ]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        while rows := await rt.store.scan(store.REPLIES(_whose(who))):
            yield len(rows), [store.ERASE_REPLIES([tuple(row[:3]) for row in rows])]


def _whose(who: Who) -> dict[str, Any]:
    return {"keys": who.hashes, "upto": who.upto, "limit": SLICE}


def _entry(row: Sequence[Any]) -> Record:
    (number, event, channel, purpose, brand, basis, source, at, expires_at, proof, salt, made, place, hash_, test) = row
    return {
        "id": ids.public("cns", number),
        "event": event,
        "channel": channel,
        "purpose": purpose,
        "brand": brand or None,
        "basis": basis,
        "source": source,
        "at": rfc3339(at),
        "expires_at": rfc3339(expires_at),
        "proof": None if proof is None else msgspec.json.decode(proof),
        "salt": _hex(salt),
        "commitment": _hex(made),
        "sequence": place,
        "hash": _hex(hash_),
        "test": bool(test),
    }


def _consent(row: Sequence[Any]) -> Record:
    _key, channel, purpose, brand, state, basis, source, at, expires_at, entry_id, test = row
    return {
        "channel": channel,
        "purpose": purpose,
        "brand": brand or None,
        "state": state,
        "basis": basis,
        "source": source,
        "at": rfc3339(at),
        "expires_at": rfc3339(expires_at),
        "entry": ids.public("cns", entry_id),
        "test": bool(test),
    }


def _refusal(row: Sequence[Any]) -> Record:
    number, channel, scope, value, covers, reason, source, list_name, note, created_at, expires_at, test = row
    return {
        "id": ids.public("opt", number),
        "channel": channel,
        "scope": scope,
        "value": value or None,
        "covers": covers,
        "reason": reason,
        "source": source,
        "list": list_name or None,
        "note": note or None,
        "created_at": rfc3339(created_at),
        "expires_at": rfc3339(expires_at),
        "test": bool(test),
    }


def _hex(octets: bytes | None) -> str | None:
    return None if octets is None else bytes(octets).hex()
