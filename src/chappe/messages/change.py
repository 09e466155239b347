"""What a customer can still change of a message that waits: take it back, or put another text in its place."""

from __future__ import annotations

from dataclasses import replace as copy
from typing import TYPE_CHECKING, Any

import msgspec

from chappe import fraud
from chappe.billing import Moves, Unpriced
from chappe.errors import Refused
from chappe.messages import history, prices, query, store, wire
from chappe.messages.content import content_again
from chappe.messages.model import Message, Refusal, State, Wire, encode_json
from chappe.messages.news import update
from chappe.storage import Conflict
from chappe.text import TextError

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

_CANCELED = {"code": "canceled_by_customer", "permanent": True}


async def cancel(house: Pipeline, account_id: int | None, message_id: int, actor: str) -> Message:
    """Take back a message that waits or is scheduled. Raises Refused: not_found, not_cancelable."""
    rt = house.rt
    message = await query.get(rt, account_id, message_id)
    now = rt.clock.now()
    error = encode_json(_CANCELED).decode()
    message.error, message.final_at = error, now
    moves = Moves(house.tariffs)
    moves.settle(message, taken=False, first=True)
    news = update(house, message, State.CANCELED, now)
    try:
        await rt.events.write(
            store.TAKE_WAITING([(message_id,)], expect=1),
            store.MARK_CANCELED([(message_id, error, now, message.money, message.version)], expect=1),
            store.ADD_HISTORY([history.step(message_id, rt.ids.next(), now, history.CANCELED, {"by": actor})]),
            *moves.ops(rt.ids),
            tell=[news],
        )
    except Conflict:
        words = f"The message is {message.state.word}: only one that waits or is scheduled can be canceled."
        raise Refused("not_cancelable", words, param="id") from None
    message.state = State.CANCELED
    return message


async def replace(
    house: Pipeline, account_id: int, message_id: int, *, text: str | None, changes: dict[str, Any], actor: str
) -> Message:
    """Another text for a message that still waits; `changes` are fields of its Wire. Raises Refused: not_found,
    not_replaceable, and what a text can be refused for."""
    rt = house.rt
    message = await query.get(rt, account_id, message_id)
    options = copy_wire(message, changes)
    try:
        connector = house.connectors.get(message.connector_id)
        encoded = wire.encode(text, options, connector, message.id, rt.settings.max_parts)
    except TextError as error:
        raise Refused(error.code, error.message, param=error.param or "text") from None
    body = encoded.text if options.data is None else None
    written = encode_json(options).decode()
    after = copy(message, text=body, encoding=encoded.encoding, segments=encoded.segments, options=written)
    now = rt.clock.now()
    content = content_again(house, after, now)
    if isinstance(content, Refusal):
        raise Refused(content.code, content.message, param="text")
    if isinstance(content, fraud.Held):
        words = "Somebody would have to look at this text first. Cancel the message, and send the new one."
        raise Refused("content_suspicious", words, param="text")
    moves = await _priced_again(house, message, after)
    try:
        await rt.store.write(
            store.HOLD_WAITING([(message_id,)], expect=1),
            store.REPRICE([prices.repriced(after)], expect=1),
            store.REWRITE([(message_id, body, encoded.encoding, encoded.segments, written, message.version)], expect=1),
            store.ADD_HISTORY([history.step(message_id, rt.ids.next(), now, history.REPLACED, {"by": actor})]),
            *moves.ops(rt.ids),
        )
    except Conflict:
        words = f"The message is {message.state.word}: only one that waits or is scheduled can be replaced."
        raise Refused("not_replaceable", words, param="id") from None
    return after


async def _priced_again(house: Pipeline, before: Message, after: Message) -> Moves:
    """The text decides how many segments there are, and they the price: this time it may rise. Raises Refused
    no_balance, and what a price can be refused for."""
    moves = Moves(house.tariffs)
    if after.segments == before.segments:
        return moves
    told = prices.quote(house, after, after.connector_id, house.rt.clock.now(), allow_loss=True)
    if isinstance(told, Unpriced):
        raise Refused(told.code, told.message, param="text")
    moves.reprice(after, told.price, told.upstream)
    after.cost, after.cost_currency = told.cost, told.cost_currency
    if spent := moves.spent():
        for poor in await house.wallets.short(spent):
            refusal = prices.too_poor(house, after, poor, house.wallets.available(poor))
            raise Refused(refusal.code, refusal.message, param="text")
    return moves


def copy_wire(message: Message, changes: dict[str, Any]) -> Wire:
    """The wire options of a message with some of them changed."""
    return msgspec.structs.replace(message.wire, **changes)
