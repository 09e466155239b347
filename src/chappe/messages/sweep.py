"""The sweepers: every state that a message can be stuck in has one here. Small slices, often."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from chappe import ids, law
from chappe.billing import Moves
from chappe.events import MessageUpdated
from chappe.messages import history, roads, store
from chappe.messages.model import UNSENT, PartState, State, encode_json, may_become
from chappe.messages.news import update
from chappe.messages.receipts import candidate_of, same_number
from chappe.messages.release import release
from chappe.storage import Conflict

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

SLICE = 500
EVERY_S = 1.0
STRANDED_AFTER_MS = 30_000  # a connector is given this long to come back before its messages leave by another
PARKED_EVERY_S = 5.0
UNCLAIMED_AFTER_MS = 15_000  # longer than a claim may be on its way
_UNMATCHED_FOR_MS = 10 * 60_000  # a receipt that matches nothing for so long is left alone, visible
_EXPIRED = {"code": "validity_expired", "permanent": False}


async def expire(house: Pipeline) -> int:
    """Messages whose validity is over before they were sent."""
    now = house.rt.clock.now()
    rows = await house.rt.store.scan(store.OVERDUE({"now": now, "limit": SLICE}))
    if not rows:
        return 0
    error = encode_json(_EXPIRED).decode()
    messages = [store.message(row, 1) for row in rows]
    events: list[MessageUpdated] = []
    moves = Moves(house.tariffs)
    for message in messages:
        message.error, message.final_at = error, now
        moves.settle(message, taken=False, first=True)
        events.append(update(house, message, State.EXPIRED, now))
    steps = [history.step(m.id, house.rt.ids.next(), now, history.EXPIRED, _EXPIRED) for m in messages]
    await house.rt.events.write(
        store.TAKE_WAITING([(m.id,) for m in messages], expect=len(messages)),
        store.MARK_EXPIRED([(m.id, error, now, m.money, m.version) for m in messages], expect=len(messages)),
        store.ADD_HISTORY(steps),
        *moves.ops(house.rt.ids),
        tell=events,
    )
    return len(messages)


async def give_up_waiting(house: Pipeline) -> int:
    """Parts whose receipt never came: the message is unconfirmed, and says so."""
    now = house.rt.clock.now()
    rows = await house.rt.store.scan(store.UNANSWERED({"now": now, "limit": SLICE}))
    if not rows:
        return 0
    messages = {row[3]: store.message(row, 3) for row in rows}
    settle: list[Any] = []
    steps, events = [], []
    moves = Moves(house.tariffs)
    for message in messages.values():
        if may_become(message.state, State.UNCONFIRMED):
            moves.settle(message, taken=message.sent_at is not None, first=message.state in UNSENT)
            message.state, message.final_at = State.UNCONFIRMED, now
            settle.append((message.id, int(State.UNCONFIRMED), message.error, now, message.money, message.version))
            steps.append(history.step(message.id, house.rt.ids.next(), now, history.UNCONFIRMED))
            events.append(update(house, message, State.UNCONFIRMED, now))
    closed = [(row[3], row[0], row[1], int(PartState.UNCONFIRMED), None, now) for row in rows]
    await house.rt.events.write(
        store.SETTLE(settle, expect=len(settle)),
        store.SETTLE_PARTS(closed),
        store.ADD_HISTORY(steps),
        *moves.ops(house.rt.ids),
        tell=events,
    )
    return len(rows)


async def rescue(house: Pipeline) -> int:
    """Messages that wait for a connector which is gone, or down for a while, leave by the next of their route."""
    now = house.rt.clock.now()
    moved = 0
    queued_for = [row[0] for row in await house.rt.store.scan(store.QUEUED_FOR())]
    closed = {*house.dispatcher.stranded(now - STRANDED_AFTER_MS), *(c for c in queued_for if not house.active(c))}
    for connector_id in closed.intersection(queued_for):
        rows = await house.rt.store.scan(store.STRANDED({"connector_id": connector_id, "now": now, "limit": SLICE}))
        moves, steps = [], []
        for row in rows:
            message = store.message(row, 2)
            tried = [int(c) for c in row[1].split(",") if c]
            following = roads.following(house, message, [*tried, connector_id], usable=True)
            if following is None:
                continue
            moves.append((message.id, following.id, row[0] + 1, row[1]))
            said = {"connector": following.name, "error": {"code": "supplier_unreachable"}}
            steps.append(history.step(message.id, house.rt.ids.next(), now, history.REROUTED, said, attempt=row[0] + 1))
        if moves:
            await house.rt.store.write(store.MOVE(moves, expect=len(moves)), store.ADD_HISTORY(steps))
            for target in {move[1] for move in moves}:
                house.dispatcher.queued(target)
            moved += len(moves)
    return moved


async def return_unclaimed(house: Pipeline) -> int:
    """Rows whose claim was stored although the store said that it was not: no byte of them was sent."""
    before = ids.at(house.rt.clock.now() - UNCLAIMED_AFTER_MS)
    params = {"owner": house.owner, "before": before, "limit": SLICE}
    rows = await house.rt.store.scan(store.CLAIMED_BEFORE(params))
    lost = [tuple(row) for row in rows if row[0] not in house.dispatcher.aloft]
    if lost:
        await house.rt.store.write(store.PUT_BACK(lost))
        house.dispatcher.wake_all()
    return len(lost)


async def prune_touches(house: Pipeline) -> None:
    """Forget when people got messages, once no cap can count them any more."""
    before = house.rt.clock.now() - law.LONGEST
    pruned = SLICE
    while pruned >= SLICE:
        pruned = (await house.rt.store.write(store.PRUNE_TOUCHES({"before": before, "limit": SLICE})))[0]


async def match_parked(house: Pipeline) -> None:
    """Try parked receipts again: with their ids, then with the parts in doubt that they may speak of."""
    now = house.rt.clock.now()
    after = ids.at(now - _UNMATCHED_FOR_MS)
    while rows := await house.rt.store.scan(store.PARKED_SINCE({"after": after, "limit": SLICE})):
        after = rows[-1][0]
        waiting: defaultdict[int, list[Any]] = defaultdict(list)
        for row in rows:
            waiting[row[1]].append(row)
        for connector_id, mine in waiting.items():
            await _adopt_doubtful(house, connector_id, mine, now)
        for row in rows:
            house.recorder.again(row)


async def _adopt_doubtful(house: Pipeline, connector_id: int, parked: list[Any], now: int) -> None:
    """A receipt with an id nobody knows, for a number with exactly one part in doubt, is that part's."""
    rows = await house.rt.store.scan(store.DOUBTFUL({"connector_id": connector_id, "now": now}))
    if not rows:
        return
    read: dict[int, Any] = {}
    doubtful = [candidate_of(row, read) for row in rows]
    adopted = []
    for row in parked:
        receipt = house.recorder.matching.unparked(row)
        fits = [
            c
            for c in doubtful
            if receipt.destination
            and same_number(receipt.destination, c.message.recipient)
            and c.sent_at <= receipt.received_at
        ]
        if len(fits) == 1:
            doubtful.remove(fits[0])
            key = (fits[0].message.id, fits[0].attempt, fits[0].part)
            adopted.append((*key, receipt.provider_id, receipt.provider_key))
    if adopted:
        await house.rt.store.write(store.ADOPT(adopted))


async def measure(house: Pipeline) -> None:
    """Count what waits, which accept has only added to since the last time."""
    house.depth = (await house.rt.store.scan(store.DEPTH()))[0][0]


async def slices(house: Pipeline) -> None:
    """One round of the quick sweepers; each goes on while it finds full slices."""
    for sweeper in (release, expire, give_up_waiting):
        try:
            found = SLICE
            while found >= SLICE:
                found = await sweeper(house)
        except Conflict:
            continue  # a neighbour was quicker: the next round reads again
