"""What a person said becomes an entry, a consent and a refusal, in the unit of whoever heard it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from chappe.consent import commitments, store
from chappe.consent.model import Cover, Entry, Reason, Scope
from chappe.consent.room import persons, stops
from chappe.events import OptOutCreated
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Forbidden(NamedTuple):
    """What a refusal forbids: messages of these purposes by the account, or those of a brand, from a sender or to a
    country (`value`)."""

    scope: Scope = "account"
    value: str = ""
    covers: Cover = "marketing"


class Recorded(NamedTuple):
    """The ops of one unit, which is to wake TOPIC and tell the events; whose messages stop with it, for `announce` once
    it is committed; and the ids of the entries, in order."""

    ops: list[Op]
    stopped: list[int]
    ids: list[int]
    events: list[OptOutCreated]


def record(
    rt: Runtime,
    entries: Sequence[Entry],
    forbidden: Sequence[Sequence[Forbidden]] | None = None,
    *,
    reason: Reason = "opt_out",
    list_name: str = "",
) -> Recorded:
    """Add entries to the ledger and follow them: what is given lifts earlier refusals of the person's own, what is
    withdrawn forbids. `forbidden` says what, for each entry; by default what the entry speaks of: an account's or a
    brand's marketing, or all if something else than marketing is withdrawn.

    No two entries may be about the same person, channel, purpose and brand: `record_all` puts such into units."""
    rows, consents, lifted, withdrawn, suppressed = [], [], [], [], []
    ids: list[int] = []
    events: list[OptOutCreated] = []
    now = rt.clock.now()
    for n, entry in enumerate(entries):
        proof, salt = commitments.canonical(entry.proof), commitments.new_salt()
        person, entry_id = entry.proof.person, rt.ids.next()
        key = persons(rt).key(entry.account_id, entry.test, person)
        ids.append(entry_id)
        made = commitments.commitment(salt, proof)
        whose, about = (key, entry.account_id, int(entry.test)), (entry.channel, entry.purpose, entry.brand)
        told = (entry.source, entry.at, entry.expires_at, made, salt, proof.decode())
        rows.append((entry_id, entry.account_id, int(entry.test), key, entry.event, *about, entry.basis, *told))
        known = (person, entry.event, entry.basis, entry.source, entry.at, entry.expires_at, entry_id)
        consents.append((key, *about, entry.account_id, int(entry.test), *known))
        if entry.event == "given":
            if entry.source != "import":  # a list that is imported again does not undo what was refused since
                lifted.append((key, entry.at, entry.channel, entry.brand))
            continue
        withdrawn.append((key, entry.source, entry.at, entry_id, *about))
        for one in forbidden[n] if forbidden is not None else (_usual(entry),):
            opt_out_id = rt.ids.next()
            what = (entry.channel, one.scope, one.value, one.covers, reason, entry.source, list_name, "")
            suppressed.append((opt_out_id, *whose, person, *what, min(entry.at, now), None, entry_id))
            events.append(_told(opt_out_id, entry, one, reason, now))
    ops = [
        store.ADD_ENTRIES(rows),
        store.ADD_CONSENTS(consents),
        store.CHANGE_CONSENTS([_changed(c) for c in consents]),
    ]
    if lifted:
        ops.append(store.LIFT(lifted))
    if withdrawn:
        ops.append(store.WITHDRAW(withdrawn))
    return Recorded(ops + suppress(suppressed), [row[1] for row in suppressed], ids, events)


def suppress(rows: Sequence[tuple[object, ...]]) -> list[Op]:
    """Add suppressions, rows of the table. What is there already becomes stricter, never milder."""
    if not rows:
        return []
    names = ("person_key", "channel", "scope", "value", "reason", "list_name", "covers", "expires_at", "created_at")
    places = [store.SUPPRESSION_COLUMNS.index(name) for name in names]
    return [store.ADD_SUPPRESSIONS(rows), store.STRENGTHEN([[row[place] for place in places] for row in rows])]


def announce(rt: Runtime, stopped: Sequence[int]) -> None:
    """Call after the commit and before anybody is told of it: what this process has on its way to these persons, and
    was found allowed before, is looked at again."""
    stops(rt).add(stopped)


def _usual(entry: Entry) -> Forbidden:
    scope: Scope = "brand" if entry.brand else "account"
    covers: Cover = "marketing" if entry.purpose == "marketing" else "all"
    return Forbidden(scope, entry.brand, covers)


def _told(opt_out_id: int, entry: Entry, what: Forbidden, reason: Reason, now: int) -> OptOutCreated:
    return OptOutCreated(
        account_id=entry.account_id,
        occurred_at=now,
        opt_out_id=opt_out_id,
        person=entry.proof.person,
        channel=entry.channel,
        scope=what.scope,
        value=what.value,
        covers=what.covers,
        reason=reason,
        source=entry.source,
        test=entry.test,
    )


def _changed(row: tuple[object, ...]) -> tuple[object, ...]:
    """Of a row of `consents`: the key, then what changes."""
    person_key, channel, purpose, brand, _account_id, _test, *known = row
    return (person_key, channel, purpose, brand, *known)
