"""What routes would do, before they do it: one message explained, or many under two tables of routes compared.

Nothing is sent, counted or held. Costs are in the installation's base currency, so that suppliers in several
currencies can be added up; delivery is what live quality expects of a connector at that operator.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from chappe import ids, numbers, routing, senders
from chappe.billing import Where
from chappe.messages import roads, store
from chappe.messages.model import Message

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline
    from chappe.runtime import Runtime

PIECES = 100  # of the time that a sample is taken from: so many moments, spread evenly
BATCH = 50  # cases between which others get their turn
EXAMPLES = 50


class Case(NamedTuple):
    """A message to route: what routes are asked, and the id that draws lots."""

    ask: routing.Ask
    seed: int


@dataclass(slots=True)
class Side:
    """What one table of routes makes of all cases. `cost` and `delivered` are of those `priced` and `measured`."""

    routed: int = 0
    unrouted: int = 0
    cost: int = 0
    priced: int = 0
    delivered: float = 0.0
    measured: int = 0
    routes: Counter[int] = field(default_factory=Counter)
    connectors: Counter[int] = field(default_factory=Counter)


class Chosen(NamedTuple):
    """Where a case goes; None where no route leads."""

    route_id: int | None
    connector_id: int | None


class Example(NamedTuple):
    """A case whose first connector or route differs."""

    case: Case
    before: Chosen
    after: Chosen


@dataclass(slots=True)
class Comparison:
    cases: int = 0
    differing: int = 0
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)
    moves: Counter[tuple[Chosen, Chosen]] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)


class Explained(NamedTuple):
    """One message: every route tried, the order of the connectors of the one that takes it, and the price by each."""

    ask: routing.Ask
    tried: list[routing.Tried]
    decision: routing.Decision | None
    placed: list[routing.Placed]
    prices: dict[int, list[str]]


def case_of(
    house: Pipeline,
    *,
    account_id: int | None,
    to: str,
    sender: str,
    purpose: str = "transactional",
    tags: Sequence[str] = (),
    segments: int = 1,
    operator: str | None = None,
    test: bool = False,
    at: int | None = None,
) -> Case:
    """A message that somebody thinks of; the operator is looked up unless it is given. Raises NumberError."""
    number = numbers.parse(to)
    ask = routing.Ask(
        account_id=account_id,
        digits=number.digits,
        country=number.country or "",
        operator=operator or house.operator_of(number),
        purpose=purpose,
        sender=sender,
        sender_kind=senders.kind_of(sender)[0] if sender else "",
        tags=tuple(tags),
        segments=segments,
        test=test,
        at=house.rt.clock.now() if at is None else at,
    )
    return Case(ask, house.rt.ids.next())


def explain_route(house: Pipeline, table: routing.Table, case: Case) -> Explained:
    """Everything that the decision for one message rests on."""
    ask = case.ask
    decision = table.decide(ask)
    placed: list[routing.Placed] = []
    prices: dict[int, list[str]] = {}
    if decision is not None:
        placed = routing.explain_order(decision, **roads.marks(house, ask, case.seed))
        if not ask.test and ask.account_id is not None:
            prices = {
                one.connector_id: house.tariffs.explain(
                    ask.account_id,
                    one.connector_id,
                    _where(ask),
                    ask.segments,
                    ask.at,
                    allow_loss=decision.allow_loss,
                )
                for one in placed
            }
    return Explained(ask, routing.explain(table, ask), decision, placed, prices)


async def compare(
    house: Pipeline, before: routing.Table, after: routing.Table, cases: AsyncIterator[Sequence[Case]]
) -> Comparison:
    """What changes if `after` takes the place of `before`."""
    told = Comparison()
    async for batch in cases:
        for start in range(0, len(batch), BATCH):
            for case in batch[start : start + BATCH]:
                _compare(house, told, before, after, case)
            await asyncio.sleep(0)
    return told


def _compare(house: Pipeline, told: Comparison, before: routing.Table, after: routing.Table, case: Case) -> None:
    told.cases += 1
    old, new = _chosen(house, before, case, told.before), _chosen(house, after, case, told.after)
    if old == new:
        return
    told.differing += 1
    told.moves[old, new] += 1
    if len(told.examples) < EXAMPLES:
        told.examples.append(Example(case, old, new))


def _chosen(house: Pipeline, table: routing.Table, case: Case, side: Side) -> Chosen:
    ask = case.ask
    decision = table.decide(ask)
    order = () if decision is None else roads.ordered(house, decision, ask, case.seed)
    connector_id = next((one for one in order if house.active(one)), None)
    if decision is None or connector_id is None:
        side.unrouted += 1
        return Chosen(None if decision is None else decision.route_id, None)
    side.routed += 1
    side.routes[decision.route_id] += 1
    side.connectors[connector_id] += 1
    cost = house.tariffs.comparable(connector_id, _where(ask), ask.at)
    if cost is not None:
        side.priced += 1
        side.cost += cost * ask.segments
    estimate = house.quality.estimate(connector_id, ask.operator or ask.country)
    if estimate.level != "none":
        side.measured += 1
        side.delivered += estimate.delivery.mean
    return Chosen(decision.route_id, connector_id)


def _where(ask: routing.Ask) -> Where:
    return Where(ask.country, ask.operator, "sms", ask.sender_kind, ask.purpose)


# -- real traffic ---------------------------------------------------------------------------------------------------


async def traffic(rt: Runtime, since: int, until: int, sample: int) -> AsyncIterator[list[Case]]:
    """Up to `sample` live messages that were accepted between two moments (ms): a share of them from each of a hundred
    pieces of that time, so that nights and weekends count as much as they are long."""
    share = max(1, -(-sample // PIECES))
    left = sample
    step = max(1, (until - since) // PIECES)
    after = 0
    for start in range(since, until, step):
        if left <= 0:
            return
        span = {"since": max(ids.at(start), after), "until": ids.at(min(start + step, until))}
        rows = await rt.store.scan(store.SAMPLE({**span, "limit": min(share, left)}))
        if rows:
            after = rows[-1][0] + 1
            left -= len(rows)
            yield [_case(store.message(tuple(row))) for row in rows]


def _case(message: Message) -> Case:
    return Case(roads.ask_of(message, message.created_at), message.id)


async def given(cases: Iterable[Case]) -> AsyncIterator[list[Case]]:
    """Cases that somebody wrote down."""
    yield list(cases)


__all__ = ["Case", "Comparison", "Explained", "case_of", "compare", "explain_route", "given", "traffic"]
