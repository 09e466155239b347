"""What a message costs and brings: asked of the books of `billing`, when it is accepted and when its road changes.

The price that was agreed at acceptance is the most that is ever charged: on another road, or at another time, it can
fall, but not rise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe import senders
from chappe.billing import COST_ON_DELIVERY, Moves, Quote, Unpriced, Where, decimal
from chappe.messages.model import Refusal

if TYPE_CHECKING:
    from chappe.messages.model import Message
    from chappe.messages.pipeline import Pipeline

FREE = Quote(None, None, None, None, False, False, None)


def where(message: Message) -> Where:
    """What a price is asked for."""
    return Where(message.country, message.operator, "sms", senders.kind_of(message.sender)[0], message.purpose)


def quote(house: Pipeline, message: Message, connector_id: int, now: int, *, allow_loss: bool) -> Quote | Unpriced:
    """What it costs on that connector. Test traffic is free."""
    if message.test:
        return FREE
    place = where(message)
    return house.tariffs.quote(message.account_id, connector_id, place, message.segments, now, allow_loss=allow_loss)


def rerouted(house: Pipeline, moves: Moves, message: Message, connector_id: int, now: int) -> tuple[object, ...]:
    """It was taken by another connector than it was priced for. Returns its row of REPRICE."""
    moves.keep(message)
    message.connector_id = connector_id
    told = quote(house, message, connector_id, now, allow_loss=True)
    if isinstance(told, Unpriced):  # it was sent: what it costs is what it cost
        cost = house.tariffs.cost(connector_id, where(message), message.segments, now)
        message.cost, message.cost_currency = cost if cost is not None else (None, None)
    else:
        reprice(moves, message, told)
    return repriced(message)


def reprice(moves: Moves, message: Message, told: Quote) -> None:
    """Hold what it costs now, if that is less."""
    moves.keep(message)
    price, upstream = least(message.price, told.price), least(message.upstream, told.upstream)
    moves.reprice(message, price, upstream)
    message.cost, message.cost_currency = told.cost, told.cost_currency
    message.money = message.money & ~COST_ON_DELIVERY | (COST_ON_DELIVERY if told.cost_on_delivery else 0)


def too_poor(house: Pipeline, message: Message, payer: int, left: int) -> Refusal:
    """Nobody's balance is told to anybody else: who sells for another is not named. `left`: what the payer may still
    spend."""
    if payer != message.account_id:
        return Refusal("no_balance", "Your provider cannot send this at the moment. Ask them.")
    currency = house.tariffs.currency_of(payer)
    price = decimal(message.price or 0)
    return Refusal("no_balance", f"It costs {price} {currency}, and {decimal(left)} {currency} are left.")


def least(agreed: int | None, now: int | None) -> int | None:
    return agreed if agreed is None or now is None else min(agreed, now)


def repriced(m: Message) -> tuple[object, ...]:
    """A row of REPRICE."""
    return (m.id, m.operator, m.route_id, m.price, m.upstream, m.cost, m.cost_currency, m.money, m.version)


def price_explained(house: Pipeline, message: Message) -> list[str]:
    """In plain words: which lists and rows say what it costs and brings on the connector that it has today."""
    at = message.created_at
    return house.tariffs.explain(
        message.account_id, message.connector_id, where(message), message.segments, at, allow_loss=True
    )
