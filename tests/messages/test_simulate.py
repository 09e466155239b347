"""What routes would do: one message explained, many compared under two tables of routes."""

from __future__ import annotations

from typing import Any

import pytest

from chappe import connectors, routing
from chappe.billing import rating
from chappe.messages import simulate
from chappe.messages.simulate import Chosen
from chappe.routing import Route, Table
from chappe.storage import sql
from tests.messages.conftest import NOW, World
from tests.messages.test_money import COST, PRICE, SPARE_COST, Shop, shop

__all__ = ["shop"]


def connector(world: World, name: str) -> int:
    found = connectors.book(world.rt).by_name(name)
    assert found is not None
    return found.id


def table(world: World, **prefixes: str) -> Table:
    """A route for each prefix (p33="spare")."""
    return Table(
        Route(
            id=n,
            name=prefix,
            position=n,
            account_id=None,
            prefix=prefix.removeprefix("p"),
            purposes=(),
            senders=(),
            connector_id=connector(world, name),
            fallback_connector_ids=(),
            status="active",
            test=False,
            created_at=0,
        )
        for n, (prefix, name) in enumerate(prefixes.items(), 1)
    )


def case(world: World, to: str, **fields: Any) -> simulate.Case:
    return simulate.case_of(world.pipeline, account_id=world.account_id, to=to, sender="Acme", **fields)


async def test_one_message_is_explained_with_its_price_by_each_connector(shop: Shop) -> None:
    await shop.terms()
    told = simulate.explain_route(shop.world.pipeline, routing.table(shop.rt), case(shop.world, "+33612345678"))
    assert [(tried.name, tried.chosen) for tried in told.tried] == [("all", True)]
    assert told.ask.country == "FR" and told.ask.operator is not None
    main, spare = connector(shop.world, "main"), connector(shop.world, "spare")
    assert [placed.connector_id for placed in told.placed] == [main, spare]
    assert any("0.03" in line for line in told.prices[main])
    assert any("0.02" in line for line in told.prices[spare])


async def test_a_draft_is_compared_with_what_is_in_force(shop: Shop) -> None:
    world = shop.world
    before = table(world, p="main")
    after = table(world, p33="spare", p44="main")
    cases = [case(world, to) for to in ("+33612345678", "+33612345679", "+447700900461", "+4915112345678")]
    told = await simulate.compare(world.pipeline, before, after, simulate.given(cases))
    assert (told.cases, told.differing) == (4, 4)  # the routes have other ids, even where the connector stays
    assert (told.before.routed, told.before.cost) == (4, 4 * COST)
    assert (told.after.routed, told.after.unrouted, told.after.cost) == (3, 1, 2 * SPARE_COST + COST)
    main, spare = connector(world, "main"), connector(world, "spare")
    assert told.moves[Chosen(1, main), Chosen(1, spare)] == 2
    assert told.moves[Chosen(1, main), Chosen(None, None)] == 1
    same = await simulate.compare(world.pipeline, before, before, simulate.given(cases))
    assert same.differing == 0


async def test_the_last_days_are_tried_from_all_their_hours(shop: Shop) -> None:
    world = shop.world
    await shop.terms()
    for n in range(12):
        await world.send(text=f"Message {n}")
    hours = 3_600_000
    moved = sql("update messages set id = id - :ms::bigint * 2097152 * 5 where id in each(:ids, bigint)")
    ids_ = [row[0] for row in await world.rt.store.read(sql("select id from messages order by id")())]
    await world.rt.store.write(moved({"ms": hours, "ids": ids_[:4]}))
    now = NOW()
    batches = [batch async for batch in simulate.traffic(world.rt, now - 24 * hours, now + 1000, 1_000)]
    found = [one for batch in batches for one in batch]
    assert len(found) == 12 and len({one.seed for one in found}) == 12
    few = [one async for batch in simulate.traffic(world.rt, now - 24 * hours, now + 1000, 5) for one in batch]
    assert len(few) == 2  # a share of one from each of the two hours that have any
    again = await simulate.compare(
        world.pipeline, routing.table(world.rt), table(world, p="spare"), simulate.given(found)
    )
    assert again.before.cost == 12 * COST and again.after.cost == 12 * SPARE_COST
    await world.rt.store.write(
        sql("update messages set id = id + :ms::bigint * 2097152 * 5 where id < :first::bigint")(
            {"ms": hours, "first": ids_[4]}
        )
    )


async def test_what_is_tried_holds_nothing(shop: Shop) -> None:
    await shop.terms(top_up=PRICE)
    for _ in range(3):
        simulate.explain_route(shop.world.pipeline, routing.table(shop.rt), case(shop.world, "+33612345678"))
    assert await shop.balance() == (PRICE, 0)
    assert rating.book(shop.rt).terms(shop.world.account_id) is not None


async def test_a_number_that_is_none_is_refused(shop: Shop) -> None:
    from chappe.numbers import NumberError

    with pytest.raises(NumberError):
        case(shop.world, "+33")
