"""Messages that a reviewer must see: held, let go, failed or taken back.

A held message waits in the queue as a scheduled one whose time comes after its validity is over, so that nothing but a
decision lets it go. A decision is a row; `settle` carries it out in slices, one unit each, on whichever node looks
first. It is repeated until nothing is left to do, so a crash between two slices costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from chappe import fraud
from chappe.billing import Moves
from chappe.events import MessageUpdated
from chappe.fraud import Decided, Review
from chappe.messages import history, review_store, store
from chappe.messages.model import Message, State, encode_json
from chappe.messages.news import update
from chappe.storage import Conflict, Op, Unavailable

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

SLICE: Final = 500
MOST_SLICES: Final = 40  # of one review in a round: then others have their turn
REVIEWS: Final = 50  # in a round
KEPT_BACK_MS: Final = 60_000
LATE_MS: Final = 60_000  # a node may hold messages that it judged before it heard of the decision
TIDY_EVERY_S: Final = 60.0
PAGE: Final = 500
_STATE: Final = {"rejected": State.FAILED, "withdrawn": State.CANCELED}


def held_until(expires_at: int) -> int:
    """When the queue's row of a held message is due: behind the end of its validity."""
    return expires_at + KEPT_BACK_MS


async def decide(
    house: Pipeline, actor: str, review: Review, state: Decided, *, days: int = fraud.DAYS, note: str = ""
) -> Review:
    """An operator's word (or the account's own, `withdrawn`): stored, and carried out for the first slice at once.

    Raises Refused: review_state, conflict; Unavailable.
    """
    after = await fraud.decide_review(house.rt, actor, review, state, days=days, note=note)
    with suppress(Conflict, Unavailable):  # it is decided, and `settle` looks again
        await _slice(house, after)
    return after


async def settle(house: Pipeline) -> None:
    """One round: what was decided is carried out."""
    for review in await fraud.unsettled(house.rt, REVIEWS):
        for _ in range(MOST_SLICES):
            if await _slice(house, review) < SLICE:
                if (review.decided_at or 0) < house.rt.clock.now() - LATE_MS:
                    await house.rt.store.write(fraud.settled(review))
                break


async def tidy(house: Pipeline) -> None:
    """One round: open reviews that no message waits for any more are ended, and messages that an approval let go are
    forgotten when they have left."""
    rt, after = house.rt, 0
    while found := await fraud.open_reviews(rt, after, PAGE):
        for review in found:
            await _look_after(house, review)
        after = found[-1].id
    after = 0
    while gone := await fraud.let_go_after(rt, after, PAGE):
        after = gone[-1]
        queued = await _queued(house, gone)
        if ops := fraud.drop_held([one for one in gone if one not in queued]):
            await rt.store.write(*ops)


async def _look_after(house: Pipeline, review: Review) -> None:
    rt, now = house.rt, house.rt.clock.now()
    ids = await fraud.held_of(rt, review, SLICE)
    queued = await _queued(house, ids)
    ops = fraud.drop_held([one for one in ids if one not in queued])
    if not queued and len(ids) < SLICE and review.opened_at < now - LATE_MS:
        ops.append(fraud.end_review(review, now))
    if ops:
        await rt.store.write(*ops)


async def _queued(house: Pipeline, ids: Sequence[int]) -> set[int]:
    """Those that have not left."""
    return {row[0] for row in await house.rt.store.scan(review_store.QUEUED_AMONG({"ids": ids}))}


async def _slice(house: Pipeline, review: Review) -> int:
    """Carry a decision out for some messages; gives how many rows that took. Raises Conflict, Unavailable."""
    if review.state == "open":
        return 0
    approved = review.state == "approved"
    ids = await fraud.held_of(house.rt, review, SLICE, let_go=not approved)
    if not ids:
        return 0
    rows = await house.rt.store.read(review_store.STILL_WAITING({"ids": ids}))
    messages = [store.message(row) for row in rows]
    if approved:
        await _let_go(house, review, ids, messages)
    else:
        await _close(house, review, ids, messages)
    return len(ids)


async def _let_go(house: Pipeline, review: Review, ids: Sequence[int], messages: Sequence[Message]) -> None:
    """They are due now, or when the customer wanted: `release` asks everything again."""
    now = house.rt.clock.now()
    found = [message.id for message in messages]
    due = [(message.id, max(message.send_at or 0, now)) for message in messages]
    ops: list[Op] = [*fraud.let_go(found), *fraud.drop_held(sorted(set(ids) - set(found)))]
    if messages:
        ops += [review_store.RELEASE_HELD(due), store.ADD_HISTORY(_steps(house, review, found, now))]
    await house.rt.store.write(*ops)


async def _close(house: Pipeline, review: Review, ids: Sequence[int], messages: Sequence[Message]) -> None:
    """They fail, or are canceled, and the money goes back. What is on the wire already is let be."""
    now, state = house.rt.clock.now(), _STATE[review.state]
    told = _error(review)
    error = encode_json(told).decode()
    moves = Moves(house.tariffs)
    events: list[MessageUpdated] = []
    for message in messages:
        message.error, message.final_at = error, now
        moves.settle(message, taken=False, first=True)
        events.append(update(house, message, state, now))
    found = [message.id for message in messages]
    ops: list[Op] = fraud.drop_held(ids)
    if messages:
        mark = store.MARK_FAILED if state is State.FAILED else store.MARK_CANCELED
        closed = [(m.id, error, now, m.money, m.version) for m in messages]
        kind = history.FAILED if state is State.FAILED else history.CANCELED
        steps = [history.step(one, house.rt.ids.next(), now, kind, told, attempt=1) for one in found]
        ops += [
            store.TAKE_WAITING([(one,) for one in found], expect=len(found)),
            mark(closed, expect=len(closed)),
            store.ADD_HISTORY([*_steps(house, review, found, now), *steps]),
            *moves.ops(house.rt.ids),
        ]
    await house.rt.events.write(*ops, tell=events)


def _error(review: Review) -> dict[str, Any]:
    if review.state == "withdrawn":
        return {"code": "canceled_by_customer", "permanent": True}
    note = f" {review.note}" if review.note else ""
    return {"code": "content_rejected", "permanent": True, "detail": f"It was rejected on review.{note}"}


def _steps(house: Pipeline, review: Review, ids: Sequence[int], now: int) -> list[history.Step]:
    told = {"review": review.state, "by": review.decided_by}
    return [history.step(one, house.rt.ids.next(), now, history.REVIEWED, told, attempt=1) for one in ids]
