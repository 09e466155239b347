"""Scheduled messages whose time has come: everything is asked again, then they are queued.

What was allowed when a message was accepted may not be any more, and its road and its price may be others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chappe import fraud, law, senders
from chappe.billing import Moves
from chappe.errors import Refused
from chappe.events import MessageUpdated
from chappe.messages import allowed, history, prices, roads, store
from chappe.messages.content import content_again
from chappe.messages.model import Message, Refusal, State, encode_json
from chappe.messages.news import update
from chappe.messages.reviews import held_until
from chappe.routing.throttles import Denied, Passed
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

SLICE: Final = 500
ASK_AGAIN_S: Final = 60.0  # of the throttles, for a message that they do not let go yet


async def release(house: Pipeline) -> int:
    """Scheduled messages whose time has come are checked, routed and priced again, and queued."""
    now = house.rt.clock.now()
    rows = await house.rt.store.scan(store.DUE_SCHEDULED({"now": now, "limit": SLICE}))
    if not rows:
        return 0
    unit = _Unit(house, now)
    messages = [store.message(row) for row in rows]
    asker = allowed.Asker(house.rt)
    asked = [asker.stored(message, now) for message in messages]
    known = await allowed.look(house.rt, asked)
    for message, one in zip(messages, asked, strict=True):
        unit.take(message, None if one is None else allowed.judge(known, one))
    try:
        await house.rt.events.write(*unit.ops(), tell=unit.events)
    except BaseException:
        unit.give_back()
        raise
    for connector_id in {row[1] for row in unit.released}:
        house.dispatcher.queued(connector_id)
    return len(rows)


class _Unit:
    """What one round of `release` writes."""

    def __init__(self, house: Pipeline, now: int) -> None:
        self._house, self._now = house, now
        self._moves = Moves(house.tariffs)
        self._passed: list[Passed] = []
        self.released: list[Any] = []
        self.events: list[MessageUpdated] = []
        self._queued: list[Any] = []
        self._repriced: list[Any] = []
        self._postponed: list[Any] = []
        self._refused: list[Any] = []
        self._held: list[tuple[int, int, fraud.Held]] = []
        self._steps: list[Any] = []

    def take(self, message: Message, judged: allowed.Judgement) -> None:
        """`judged`: whether the person and the law allow it."""
        refusal = judged if isinstance(judged, Refusal) else self._refusal(message)
        if refusal is not None:
            self._refuse(message, refusal)
            return
        if isinstance(judged, law.Wait):
            self._postponed.append((message.id, judged.until))
            self._note(message, history.HELD, {"rule": judged.rule.name, "held_until": judged.until})
            return
        content = content_again(self._house, message, self._now)
        if isinstance(content, Refusal):
            self._refuse(message, content)
            return
        if isinstance(content, fraud.Held):
            self._postponed.append((message.id, held_until(message.expires_at)))
            self._held.append((message.id, message.account_id, content))
            self._note(message, history.HELD, {"content": content.told})
            return
        onward = roads.due(self._house, message, self._now)
        if isinstance(onward, Denied):
            wait = min(onward.retry_after or ASK_AGAIN_S, ASK_AGAIN_S)
            self._postponed.append((message.id, self._now + round(wait * 1000)))
        else:
            self._release(message, onward)

    def _refusal(self, message: Message) -> Refused | None:
        """What was allowed when it was accepted may not be any more."""
        account = self._house.accounts.account(message.account_id)
        if account is None or message.test:
            return None
        book, country, purpose = self._house.senders, message.country, message.purpose
        return senders.check(book, account, message.sender, country, self._now, purpose)

    def _refuse(self, message: Message, refusal: Refused | Refusal) -> None:
        told = {"code": refusal.code, "permanent": True, "detail": refusal.message}
        message.error, message.final_at = encode_json(told).decode(), self._now
        self._moves.settle(message, taken=False, first=True)
        self._refused.append((message.id, message.error, self._now, message.money, message.version))
        self._note(message, history.FAILED, told)
        self.events.append(update(self._house, message, State.FAILED, self._now))

    def _release(self, message: Message, onward: roads.Onward) -> None:
        if onward.quote is not None:
            prices.reprice(self._moves, message, onward.quote)
            message.route_id = onward.route_id
            self._repriced.append(prices.repriced(message))
        due = None
        if onward.passed is not None:
            self._passed.append(onward.passed)
            due = onward.passed.due
        self.released.append((message.id, onward.connector_id, due or min(message.send_at or self._now, self._now)))
        self._queued.append((message.id, onward.connector_id, message.version))
        said: dict[str, Any] = {"connector": self._house.connector_name(onward.connector_id)}
        if onward.route_id:
            said["route"] = onward.route_id
        if due is not None:
            said["throttled_until"] = due
        self._note(message, history.RELEASED, said)

    def _note(self, message: Message, kind: str, said: dict[str, Any]) -> None:
        self._steps.append(history.step(message.id, self._house.rt.ids.next(), self._now, kind, said, attempt=1))

    def ops(self) -> list[Op]:
        ids = [(row[0],) for row in self._refused]
        guarded = (
            (store.TAKE_WAITING, ids),
            (store.RELEASE, self.released),
            (store.POSTPONE, self._postponed),
            (store.REPRICE, self._repriced),
            (store.MARK_QUEUED, self._queued),
            (store.MARK_FAILED, self._refused),
        )
        ops = [statement(rows, expect=len(rows)) for statement, rows in guarded if rows]
        rt_ids = self._house.rt.ids
        held = fraud.hold(self._held, self._now, rt_ids) if self._held else []
        return [*ops, *held, store.ADD_HISTORY(self._steps), *self._moves.ops(rt_ids)]

    def give_back(self) -> None:
        for passed in self._passed:
            self._house.gate.give_back(passed)
