"""What is on record of one person: for the person, who may see it, and for what undoes a slip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chappe.consent import store
from chappe.consent.model import OWN_WISH, Proof
from chappe.consent.recording import Forbidden

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST = 500  # entries of a person; nobody reads more of themselves on a page
_STRICTNESS = ("marketing", "all_but_otp", "all")
_decode_proof = msgspec.json.Decoder(Proof).decode


class Said(NamedTuple):
    """An entry of the ledger. `proof` None: it is forgotten."""

    id: int
    event: str
    channel: str
    purpose: str
    brand: str
    basis: str
    source: str
    at: int
    expires_at: int | None
    proof: Proof | None


class Refusal(NamedTuple):
    """A suppression without an end."""

    id: int
    channel: str
    scope: str
    value: str
    covers: str
    reason: str
    list_name: str

    def holds(self, what: Forbidden, channel: str) -> bool:
        """Whether it forbids all of that already, and is the person's own: what a list forbids ends with the list."""
        if self.reason not in OWN_WISH:
            return False
        wide = self.scope == "account" or (self.scope, self.value) == (what.scope, what.value)
        return wide and self.channel in ("any", channel) and not milder(self.covers, what.covers)


class OnRecord(NamedTuple):
    """Entries, the latest first, and what is refused now."""

    entries: Sequence[Said]
    refusals: Sequence[Refusal]

    def consent(self, channel: str, brand: str, before: int) -> Said | None:
        """The latest consent to marketing by this channel from this brand that was given before a time."""
        fitting = (
            said
            for said in self.entries
            if (said.event, said.purpose) == ("given", "marketing")
            and said.channel in ("any", channel)
            and said.brand in ("", brand)
            and said.at <= before
        )
        return max(fitting, key=lambda said: (said.at, said.id), default=None)

    def forbids(self, forbidden: Iterable[Forbidden], channel: str) -> bool:
        """Whether the person has forbidden all of it already."""
        return all(any(refusal.holds(what, channel) for refusal in self.refusals) for what in forbidden)


async def recall(rt: Runtime, person_key: int) -> OnRecord:
    """Raises Unavailable."""
    rows = await rt.store.read(store.ENTRIES_OF({"key": person_key, "limit": MOST}))
    entries = [Said._make((*row[:9], _decode_proof(row[9]) if row[9] else None)) for row in rows]
    refusals = await rt.store.read(store.REFUSALS_OF({"key": person_key}))
    return OnRecord(entries, [Refusal(*row) for row in refusals])


def milder(one: str, other: str) -> bool:
    """Whether a refusal that covers `one` lets through what one that covers `other` does not."""
    return _STRICTNESS.index(one) < _STRICTNESS.index(other)
