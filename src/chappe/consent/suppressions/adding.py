"""Persons are suppressed: because they said so, which the ledger keeps, or because somebody else knows better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chappe.accounts.store import AUDIT
from chappe.consent.model import EVERYONES, Entry, Proof, Reason, Source, Suppression
from chappe.consent.recording import Forbidden, announce, record, suppress
from chappe.consent.room import TOPIC, persons
from chappe.consent.suppressions import store
from chappe.consent.suppressions.model import COVERED, Added, Held, Wanted, stricter
from chappe.events import OptOutCreated
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_encode = msgspec.json.Encoder().encode

SLICE = 200  # persons a unit: an OTP's commit goes in between

Place = tuple[int, str, str, str, str, str]
"""What tells suppressions apart: person key, channel, scope, value, reason, list name."""


class Whose(NamedTuple):
    """Whose suppressions; `account_id` may be `EVERYONES`."""

    account_id: int
    test: bool


async def add(
    rt: Runtime,
    whose: Whose,
    wanted: Sequence[Wanted],
    *,
    source: Source,
    actor: str,
    reason: Reason | None = None,
) -> list[Added]:
    """Suppress persons, in the order of `wanted`; those who are already stay as they are, or become stricter.

    With no `reason` it is the person's own refusal: an entry of the ledger, and `opt_out.created` is told; but what
    ends by itself, or is of a list, is the account's own wish. What a list says of its rows is `of_list`'s to say. In
    slices, each announced when it is committed. Raises Unavailable.
    """
    done: list[Added] = []
    for start in range(0, len(wanted), SLICE):
        done += await _add(rt, whose, wanted[start : start + SLICE], source, actor, reason)
    return done


async def _add(
    rt: Runtime, whose: Whose, wanted: Sequence[Wanted], source: Source, actor: str, reason: Reason | None
) -> list[Added]:
    rows = [resolved(one, reason) for one in wanted]
    places = [place_of(rt, whose, one) for one in rows]
    keys = list({place[0] for place in places})
    before = await known(rt, keys)
    said = [one for one in rows if one.reason == "opt_out"]
    bare = [(place, one) for place, one in zip(places, rows, strict=True) if one.reason != "opt_out"]
    ops, told = _said(rt, whose, said, source, actor)
    made = bare_rows(rt, whose, bare, source)
    ops += suppress(made)
    told += _told(whose, made)
    if reason is not None:
        ops.append(_audited(rt, whose, actor, reason, len(rows)))
    fresh = {_place_told(rt, whose, event): event for event in reversed(told)}  # of one place the first is stored
    await rt.events.write(*ops, tell=[fresh[place] for place in fresh.keys() - before.keys()], wake=(TOPIC,))
    announce(rt, keys)
    after = await known(rt, keys)
    return [
        Added(after[place].id if place in after else 0, place not in before and places.index(place) == number)
        for number, place in enumerate(places)
    ]


def resolved(one: Wanted, reason: Reason | None = None) -> Wanted:
    """With the reason and what it covers, where nobody has said so."""
    own: Reason = "list" if one.list_name or one.expires_at is not None else "opt_out"
    why = one.reason or reason or own
    return one._replace(reason=why, covers=one.covers or COVERED[why])


def place_of(rt: Runtime, whose: Whose, one: Wanted) -> Place:
    key = persons(rt).key(whose.account_id, whose.test, one.person)
    return (key, one.channel, one.scope, one.value, one.reason or "", one.list_name)


async def known(rt: Runtime, keys: Sequence[int]) -> dict[Place, Held]:
    """What forbids messages to these persons already."""
    rows = await rt.store.read(store.OF_PERSONS({"keys": list(keys)}))
    return {tuple(row[:6]): Held(*row[6:]) for row in rows}


def merged(wanted: Iterable[tuple[Place, Wanted]]) -> dict[Place, Wanted]:
    """Of two of one place, the stricter."""
    found: dict[Place, Wanted] = {}
    for place, one in wanted:
        found[place] = stricter(found[place], one) if place in found else one
    return found


def bare_rows(
    rt: Runtime, whose: Whose, wanted: Iterable[tuple[Place, Wanted]], source: Source
) -> list[tuple[Any, ...]]:
    """Rows of `suppressions` without an entry in the ledger."""
    now = rt.clock.now()
    account = (whose.account_id, int(whose.test))
    return [
        (
            *(rt.ids.next(), key, *account, one.person, channel, scope, value, one.covers, reason),
            *(source, list_name, one.note, now, one.expires_at, None),
        )
        for (key, channel, scope, value, reason, list_name), one in merged(wanted).items()
    ]


def _said(
    rt: Runtime, whose: Whose, said: Sequence[Wanted], source: Source, actor: str
) -> tuple[list[Op], list[OptOutCreated]]:
    """What persons refuse. Who refuses one sender or country takes back no consent to all the others: of that only the
    ledger and the suppression tell."""
    ops: list[Op] = []
    told: list[OptOutCreated] = []
    for narrow in (False, True):
        mine = [one for one in said if (one.scope in ("sender", "country")) is narrow]
        if not mine:
            continue
        entries = [_entry(rt, whose, one, source, actor) for one in mine]
        recorded = record(rt, entries, [[Forbidden(one.scope, one.value, one.covers or "marketing")] for one in mine])
        ops += [op for op in recorded.ops if not narrow or op.statement.table != "consents"]
        told += recorded.events
    return ops, told


def _entry(rt: Runtime, whose: Whose, one: Wanted, source: Source, actor: str) -> Entry:
    only = f" Of {one.scope} {one.value} only." if one.scope in ("sender", "country") else ""
    return Entry(
        account_id=whose.account_id,
        test=whose.test,
        event="withdrawn",
        channel=one.channel,
        purpose="marketing",
        source=source,
        at=rt.clock.now(),
        proof=Proof(one.person, actor=actor, note=f"{one.note}{only}".strip()),
        brand=one.value if one.scope == "brand" else "",
    )


def _told(whose: Whose, rows: Iterable[tuple[Any, ...]]) -> list[OptOutCreated]:
    """Of bare rows an account hears what it has not done itself: complaints, and numbers that are given up."""
    if whose.account_id == EVERYONES:
        return []
    made = [store.suppression(row) for row in rows]
    return [told_of(one) for one in made if one.reason in ("complaint", "disconnected", "operator")]


def told_of(one: Suppression) -> OptOutCreated:
    return OptOutCreated(
        account_id=one.account_id,
        occurred_at=one.created_at,
        opt_out_id=one.id,
        person=one.person or "",
        channel=one.channel,
        scope=one.scope,
        value=one.value,
        covers=one.covers,
        reason=one.reason,
        source=one.source,
        test=one.test,
    )


def _place_told(rt: Runtime, whose: Whose, event: OptOutCreated) -> Place:
    key = persons(rt).key(whose.account_id, whose.test, event.person)
    return (key, event.channel, event.scope, event.value, event.reason, "")


def _audited(rt: Runtime, whose: Whose, actor: str, reason: str, count: int) -> Op:
    """Whom it is about stands in no audit log: there nothing is ever forgotten."""
    return audit(rt, whose, actor, "add", "opt_outs", "", {"reason": reason, "persons": count})


def audit(
    rt: Runtime, whose: Whose, actor: str, action: str, kind: str, name: str, after: Any, before: Any = None
) -> Op:
    account_id = None if whose.account_id == EVERYONES else whose.account_id
    told = [None if fields is None else _encode(fields).decode() for fields in (before, after)]
    return AUDIT([(rt.ids.next(), account_id, rt.clock.now(), actor, action, kind, name, *told)], expect=1)
