"""Orphans: rows that a dead process had on the wire. Nobody knows what became of them, so each is in doubt.

Several nodes look for them. Whoever finds one first makes it its own under its name turned round (`-owner`), with a new
claim: then no other node finds it, what the dead one may still want to put back fits no more, and if the finder dies
too, or does not hear that it has it, it is found again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chappe.channels import Outcome, SendError, Verdict
from chappe.messages import store
from chappe.messages.flight import Flight, flight_of
from chappe.messages.model import Queued
from chappe.storage import sql
from chappe.text import TextError

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

EVERY_S: Final = 2.0
SLICE: Final = 500
_LOST = SendError("in_doubt", Verdict.UNKNOWN, detail="the process ended before the answer was stored")

# a process that is not buried may be late and come back; where we are alone, nobody else can be alive
_ORPHAN = (
    f"q.state = {Queued.SENDING:d} and q.owner not in (:me::bigint, :turned::bigint) and (:alone = 1 or not exists "
    "(select 1 from nodes n where n.incarnation in (q.owner, -q.owner)))"
)
_ANY = sql(
    f"select 1 from queue q where q.state = {Queued.SENDING:d} and (q.owner = :turned::bigint or {_ORPHAN}) limit 1",
    name="any orphan",
)
_ADOPT = sql(
    f"""update queue set owner = :turned::bigint, claim = :claim where message_id in (
        select q.message_id from queue q where {_ORPHAN} limit :limit skip_locked()
    )""",
    name="adopt orphans",
)
_ADOPTED = sql(
    f"""select q.connector_id, q.attempt, q.tries, q.doubts, q.tried, q.claim, {store.MESSAGE}
    from queue q join messages m on m.id = q.message_id
    where q.state = {Queued.SENDING:d} and q.owner = :turned::bigint limit :limit""",
    name="adopted orphans",
)


async def adopt(house: Pipeline) -> int:
    """Decide about all there are; returns how many."""
    me = {"me": house.owner, "turned": -house.owner, "alone": int(house.alone)}
    seen: set[int] = set()
    async with house.adopting:
        while house.rt.node.holds() and await house.rt.store.read(_ANY(me)):
            await house.rt.store.write(_ADOPT(me | {"claim": house.rt.ids.next(), "limit": SLICE}))
            rows = await house.rt.store.scan(_ADOPTED({"turned": -house.owner, "limit": SLICE}))
            fresh = [row for row in rows if row[6] not in seen]
            if not fresh:
                break  # what the recorder could not store stays for the next time
            await _doubt_all(house, fresh)
            seen.update(row[6] for row in fresh)
    return len(seen)


async def _doubt_all(house: Pipeline, rows: list[Any]) -> None:
    sent = await house.rt.store.read(store.SENT_PARTS({"ids": [row[6] for row in rows]}))
    answered = {tuple(part) for part in sent}
    for row in rows:
        _doubt(house, flight_of((*row[:5], *row[6:]), row[5]), row[0], answered)
    await house.recorder.drain()


def _doubt(house: Pipeline, flight: Flight, connector_id: int, answered: set[tuple[Any, ...]]) -> None:
    """Record the parts of an orphan that no answer is known of as unanswered."""
    message = flight.message
    try:
        parts = house.parts(flight, house.connectors.get(connector_id))
    except TextError as error:  # the connector has become another since
        house.recorder.refused(flight, connector_id, error)
        return
    doubtful = [part for part in parts if (message.id, flight.attempt, part.part) not in answered]
    flight.launched = len(doubtful)
    if not doubtful:
        house.recorder.complete(flight, connector_id)
    now = house.rt.clock.now()
    for part in doubtful:
        house.recorder.outcome(Outcome(part, connector_id, error=_LOST, sent_at=now, answered_at=now))
