"""A slip is undone: what one entry did is taken back, and nothing else that the person ever said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from chappe import ids
from chappe.consent import commitments, store
from chappe.consent.model import Proof, Source
from chappe.consent.recalling import Said, recall
from chappe.consent.room import persons
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_UNDOES = "Undoes "
Milder = Sequence[tuple[int, str]]
"""Refusals that were made stricter: their ids, and what they covered before."""


async def undo(
    rt: Runtime, account_id: int, test: bool, entry_id: int, proof: Proof, source: Source, milder: Milder = ()
) -> list[Op]:
    """The ops that take back the withdrawal `entry_id` of the person in `proof`: its refusals go, consents are as they
    were, and the ledger gets an entry that says so. `given` as `record` does it would lift every refusal of theirs.
    No ops if it is undone already, or is not theirs. Raises Unavailable."""
    key = persons(rt).key(account_id, test, proof.person)
    entries = (await recall(rt, key)).entries
    slip = next((said for said in entries if said.id == entry_id and said.event == "withdrawn"), None)
    taken_back = {_undoes(said) for said in entries}
    if slip is None or entry_id in taken_back:
        return []
    ops = [_entry(rt, account_id, test, key, slip, proof, source), store.DROP_REFUSALS_OF([(key, entry_id)])]
    if milder:
        ops.append(store.SOFTEN([(key, refusal_id, covers) for refusal_id, covers in milder]))
    before = [s for s in entries if s.id < entry_id and s.id not in taken_back and _undoes(s) is None]
    for channel, purpose, brand in await rt.store.read(store.CHANGED_BY({"key": key, "entry_id": entry_id})):
        about = {"key": key, "channel": channel, "purpose": purpose, "brand": brand, "entry_id": entry_id}
        was = _last(before, channel, purpose, brand)
        if was is None:
            ops.append(store.DROP_CONSENTS([(key, channel, purpose, brand, entry_id)]))
            continue
        state = {"state": was.event, "basis": was.basis, "source": was.source, "at": was.at}
        ops.append(store.RESTORE_CONSENT({**about, **state, "expires_at": was.expires_at, "was": was.id}))
    return ops


def undo_by_key(person_key: int, refusal_ids: Iterable[int], milder: Milder = ()) -> list[Op]:
    """The same for refusals that no entry stands for."""
    ops = [store.DROP_REFUSALS([(person_key, refusal_id) for refusal_id in refusal_ids])]
    if milder:
        ops.append(store.SOFTEN([(person_key, refusal_id, covers) for refusal_id, covers in milder]))
    return ops


def _undoes(said: Said) -> int | None:
    """The entry that this one takes back."""
    note = "" if said.proof is None else said.proof.note
    return ids.parse("cns", note.removeprefix(_UNDOES)) if note.startswith(_UNDOES) else None


def _last(before: Iterable[Said], channel: str, purpose: str, brand: str) -> Said | None:
    """What was last said of this channel, purpose and brand, by itself or along with others; None if it was not spoken
    of by itself, for then there was no such consent."""
    mine = (channel, purpose, brand)
    about = [
        said
        for said in before
        if (said.channel, said.purpose, said.brand) == mine
        or (
            said.event == "withdrawn"
            and said.channel in ("any", channel)
            and said.purpose == purpose
            and said.brand in ("", brand)
        )
    ]
    if not any((said.channel, said.purpose, said.brand) == mine for said in about):
        return None
    return max(about, key=lambda said: (said.at, said.id))


def _entry(rt: Runtime, account_id: int, test: bool, key: int, slip: Said, proof: Proof, source: Source) -> Op:
    told = commitments.canonical(msgspec.structs.replace(proof, note=_UNDOES + ids.public("cns", slip.id)))
    salt = commitments.new_salt()
    whose = (rt.ids.next(), account_id, int(test), key)
    said = ("given", slip.channel, slip.purpose, slip.brand, "express", source, rt.clock.now(), None)
    return store.ADD_ENTRIES([(*whose, *said, commitments.commitment(salt, told), salt, told.decode())])
