"""Which road a message takes: routes say which connectors, in what order; prices, throttles and the text decide which
of them. Asked when a message is accepted, when its time comes, and when its first road is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from chappe import numbers, routing, senders
from chappe.billing import Quote, Unpriced, Where
from chappe.channels import Connector
from chappe.messages import prices, wire
from chappe.messages.model import Message, Refusal, Submission, decode_json
from chappe.routing.throttles import Denied, Passed
from chappe.text import Encoded, TextError

if TYPE_CHECKING:
    from chappe.messages.allowed import Asking
    from chappe.messages.pipeline import Pipeline


class Marks(TypedDict):
    """See `routing.order`."""

    seed: int
    who: str
    cost: Callable[[int], int | None]
    quality: Callable[[int], float]
    usable: Callable[[int], bool]


_NOWHERE = Refusal("no_route", "Every connector of the route is stopped.", "to")


class Asked(NamedTuple):
    """A submission that was found good so far; times are milliseconds."""

    submission: Submission
    number: numbers.Number
    sender: str
    message_id: int
    now: int
    send_at: int | None
    expires_at: int
    asking: Asking | None  # None: nobody's leave is needed


class Road(NamedTuple):
    """The connector that takes a message, and all that was found out on the way. `passed_over` says why the first of
    the order does not take it."""

    connector: Connector
    decision: routing.Decision
    order: tuple[int, ...]
    encoded: Encoded
    quote: Quote
    passed: Passed | None
    operator: str | None
    passed_over: str


def choose(house: Pipeline, asked: Asked, first: Callable[[int], int] | None) -> Road | Refusal:
    """The road of a new message. `first` may prefer another connector to the first of the order."""
    submission, number, sender = asked.submission, asked.number, asked.sender
    operator = house.operator_of(number)
    found = _named(house, submission) if submission.wire.connector is not None else _routed(house, asked, operator)
    if isinstance(found, Refusal):
        return found
    decision, order = found
    if first is not None:
        order = tuple(dict.fromkeys((first(order[0]), *order)))
    kind = senders.kind_of(sender)[0]
    where = Where(number.country or "", operator, "sms", kind, submission.purpose)
    refusal: Refusal | None = None
    for connector_id in order:
        connector = house.connectors.get(connector_id)
        if connector is None or connector.status != "active":
            continue
        taken = _taken(house, asked, connector, decision, where)
        if isinstance(taken, Refusal):
            refusal = refusal or taken
            if taken.final:
                break
            continue
        encoded, quote, passed = taken
        why = "" if connector_id == order[0] else refusal.message if refusal else "it is stopped"
        return Road(connector, decision, order, encoded, quote, passed, operator, why)
    return refusal or _NOWHERE


def _taken(
    house: Pipeline, asked: Asked, connector: Connector, decision: routing.Decision, where: Where
) -> tuple[Encoded, Quote, Passed | None] | Refusal:
    """Whether this connector can take it, at a price, within what the throttles let through."""
    submission = asked.submission
    try:
        most = house.rt.settings.max_parts
        encoded = wire.encode(submission.text, submission.wire, connector, asked.message_id, most)
    except TextError as error:
        return Refusal(error.code, error.message, error.param or "text")
    if submission.test:
        return encoded, prices.FREE, None
    account_id = submission.account_id
    quote = house.tariffs.quote(
        account_id, connector.id, where, encoded.segments, asked.now, allow_loss=decision.allow_loss
    )
    if isinstance(quote, Unpriced):
        return Refusal(quote.code, quote.message, "to")
    if asked.send_at is not None:
        return encoded, quote, None  # asked when its time comes
    passed = house.gate.pass_(
        account_id,
        asked.sender.removeprefix("+"),
        where.sender_kind,
        connector.id,
        where.country,
        asked.now,
        weight=encoded.segments,
        until=asked.expires_at,
        price=quote.price or 0,
        dry_run=submission.dry_run,
    )
    if isinstance(passed, Denied):
        final = passed.scope != "connector"
        return Refusal(passed.code, passed.message, None, final=final, retry_after=passed.retry_after)
    return encoded, quote, passed


def _named(house: Pipeline, submission: Submission) -> tuple[routing.Decision, tuple[int, ...]] | Refusal:
    asked = submission.wire.connector
    connector = house.connectors.by_name(asked or "")
    if connector is None or connector.test != submission.test:
        return Refusal("connector_unknown", f"There is no connector named {asked!r} for you.", "connector")
    return routing.by_name(connector.id), (connector.id,)


def _routed(house: Pipeline, asked: Asked, operator: str | None) -> tuple[routing.Decision, tuple[int, ...]] | Refusal:
    submission, number = asked.submission, asked.number
    segments = 1
    if house.routes.asks_segments:
        try:
            segments = wire.encode(submission.text, submission.wire, None, 0, house.rt.settings.max_parts).segments
        except TextError as error:
            return Refusal(error.code, error.message, error.param or "text")
    ask = routing.Ask(
        account_id=submission.account_id,
        digits=number.digits,
        country=number.country or "",
        operator=operator,
        purpose=submission.purpose,
        sender=asked.sender,
        sender_kind=senders.kind_of(asked.sender)[0],
        tags=submission.tags,
        segments=segments,
        test=submission.test,
        at=asked.send_at or asked.now,
    )
    decision = house.routes.decide(ask)
    if decision is None:
        what = "test connector" if submission.test else "route"
        return Refusal("no_route", f"There is no {what} for +{number.digits[:4]}... Ask your operator.", "to")
    order = ordered(house, decision, ask, asked.message_id)
    if not order:
        return Refusal("no_route", f"Every connector of the route costs more than it may ({decision.reason}).", "to")
    return decision, order


def ordered(house: Pipeline, decision: routing.Decision, ask: routing.Ask, message_id: int) -> tuple[int, ...]:
    """The connectors of a decision in the order to try; those that are down or demoted come last, those too dear for it
    not at all."""
    if len(decision.connectors) == 1 and decision.max_cost is None:
        return decision.connectors
    how = marks(house, ask, message_id)
    order = routing.order(decision, **how)
    usable = how["usable"]
    if not order or usable(order[0]):
        return order
    return tuple(sorted(order, key=lambda connector_id: not usable(connector_id)))


def marks(house: Pipeline, ask: routing.Ask, message_id: int) -> Marks:
    """What connectors are compared by, for one message. A demoted one counts as down, whatever the strategy, except for
    the few messages that explore: by them it is seen when it works again."""
    where = Where(ask.country, ask.operator, "sms", ask.sender_kind, ask.purpose)
    place = ask.operator or ask.country
    tariffs, quality, up = house.tariffs, house.quality, house.dispatcher.usable

    def usable(connector_id: int) -> bool:
        return up(connector_id) and (not quality.demotions or quality.score(connector_id, place, message_id) >= 0.0)

    return {
        "seed": message_id,
        "who": ask.digits,
        "cost": lambda connector_id: tariffs.comparable(connector_id, where, ask.at),
        "quality": lambda connector_id: quality.score(connector_id, place, message_id),
        "usable": usable,
    }


# -- of a message that waits ----------------------------------------------------------------------------------------


def ask_of(message: Message, at: int) -> routing.Ask:
    """What routes are asked for a message that was accepted."""
    return routing.Ask(
        account_id=message.account_id,
        digits=message.recipient[1:],
        country=message.country,
        operator=message.operator,
        purpose=message.purpose,
        sender=message.sender,
        sender_kind=senders.kind_of(message.sender)[0],
        tags=tuple(decode_json(message.tags)) if message.tags else (),
        segments=message.segments,
        test=bool(message.test),
        at=at,
    )


def roads(house: Pipeline, message: Message, now: int) -> tuple[routing.Decision, tuple[int, ...]] | None:
    """The decision for it, and the order of its connectors, as routes are today."""
    asked = message.wire.connector
    if asked is not None:
        connector = house.connectors.by_name(asked)
        return (routing.by_name(connector.id), (connector.id,)) if connector else None
    ask = ask_of(message, now)
    decision = house.routes.decide(ask)
    return None if decision is None else (decision, ordered(house, decision, ask, message.id))


def following(
    house: Pipeline,
    message: Message,
    tried: Sequence[int],
    *,
    error: str | None = None,
    usable: bool = False,
) -> Connector | None:
    """The next connector for it that was not tried and does not carry it at a loss. `error` is the class of what went
    wrong at the last of `tried`; with `usable`, only one whose link is up."""
    now = house.rt.clock.now()
    found = roads(house, message, now)
    if found is None:
        return None
    decision, order = found

    def fits(connector_id: int) -> bool:
        if not house.active(connector_id) or (usable and not house.dispatcher.usable(connector_id)):
            return False
        told = prices.quote(house, message, connector_id, now, allow_loss=decision.allow_loss)
        return not isinstance(told, Unpriced)

    chosen = next(filter(fits, routing.following(decision, order, tried, error)), None)
    return None if chosen is None else house.connectors.get(chosen)


class Onward(NamedTuple):
    """Where a scheduled message goes now that its time has come: at `due`, if a throttle holds it up that long;
    `quote` None: its price stays."""

    connector_id: int
    route_id: int | None
    quote: Quote | None
    passed: Passed | None


def due(house: Pipeline, message: Message, now: int) -> Onward | Denied:
    """Routed and priced again. If its route has gone it keeps the connector it had. Denied: not yet."""
    found = roads(house, message, now)
    decision, order = found if found is not None else (None, (message.connector_id,))
    denied: Denied | None = None
    for connector_id in sorted(order, key=lambda one: not house.dispatcher.usable(one)):
        if not house.active(connector_id):
            continue
        allow_loss = decision is None or decision.allow_loss
        quote = prices.quote(house, message, connector_id, now, allow_loss=allow_loss)
        if isinstance(quote, Unpriced):
            continue
        passed = _let_through(house, message, connector_id, now)
        if not isinstance(passed, Denied):
            return Onward(connector_id, decision.route_id or None if decision else message.route_id, quote, passed)
        denied = passed
    return denied or Onward(message.connector_id, message.route_id, None, None)


def _let_through(house: Pipeline, message: Message, connector_id: int, now: int) -> Passed | Denied | None:
    if message.test:
        return None
    kind = senders.kind_of(message.sender)[0]
    return house.gate.pass_(
        message.account_id,
        message.sender.removeprefix("+"),
        kind,
        connector_id,
        message.country,
        now,
        weight=message.segments,
        until=message.expires_at,
        price=message.price or 0,
    )
