"""The money of messages: held when they are accepted, charged or given back when they are settled, and the books
agree with the messages after all of it, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chappe import accounts, connectors, messages, routing, senders
from chappe.billing import rating, reports
from chappe.billing.ledger.audit import audit
from chappe.billing.ledger.store import BALANCES
from chappe.billing.rating import Rate
from chappe.billing.rating.reading import Read
from chappe.channels import SendError, Verdict
from chappe.errors import Refused
from chappe.messages import Accepted, Message, Refusal, Result, get, sweep
from chappe.messages.model import FINAL
from chappe.routing import throttles
from chappe.tabular import Faults
from tests.messages.conftest import NOW, World, make_world

EUR = 1_000_000
PRICE, COST, SPARE_COST = 50_000, 30_000, 20_000


class Shop:
    """A world whose account pays: 0.05 EUR a segment; `main` costs 0.03 EUR, `spare` 0.02."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.prices = 0
        self.cards: dict[str, int] = {}

    @property
    def rt(self) -> Any:
        return self.world.rt

    async def open(self) -> None:
        self.prices = await self.list_("customers", "customer", [Rate(amount=PRICE)])
        for name, cost in (("main", COST), ("spare", SPARE_COST)):
            self.cards[name] = await self.list_(name, "supplier", [Rate(amount=cost)])
            connector = connectors.book(self.rt).by_name(name)
            assert connector is not None
            await rating.set_card(self.rt, "test", connector.id, self.cards[name])

    async def list_(self, name: str, kind: Any, rates: Sequence[Rate], **fields: Any) -> int:
        made = await rating.create_list(self.rt, "test", name=name, kind=kind, currency="EUR", **fields)
        await self.rates(made.id, rates)
        return made.id

    async def rates(self, list_id: int, rates: Sequence[Rate]) -> None:
        seen = await rating.preview(self.rt, list_id, Read(list(rates), [], Faults()))
        assert seen.digest, seen.faults
        await rating.apply_preview(self.rt, "test", list_id, seen.digest)

    async def terms(self, *, top_up: int = EUR, on: Any = "submit", **fields: Any) -> None:
        await rating.update_list(self.rt, "test", self.prices, charge_on=on)
        await rating.create_terms(
            self.rt, "test", self.world.account_id, currency="EUR", price_list_id=self.prices, **fields
        )
        if top_up:
            await self.top_up(self.world.account_id, top_up)

    async def top_up(self, account_id: int, amount: int) -> None:
        await reports.book(
            self.rt, "test", account_id, kind="top_up", amount=amount, currency="EUR", reference=f"bank {amount}"
        )

    async def balance(self, account_id: int | None = None) -> tuple[int, int]:
        """What the wallet has, and what is held."""
        [row] = await self.rt.store.read(BALANCES({"ids": [account_id or self.world.account_id]}))
        return row[2], row[3]

    async def message(self, accepted: Accepted) -> Message:
        return await get(self.rt, None, accepted.id)

    async def sent(self, **fields: Any) -> tuple[Accepted, str]:
        """A message that the supplier has taken, and its id there."""
        before = len(self.world.link.taken)
        accepted = await self.world.send(**fields)
        parts = await self.world.parts(before + 1)
        provider_id = self.world.link.answer(parts[before])
        await self.world.becomes(accepted.id, "sent")
        return accepted, provider_id

    async def accept(self, *texts: str, **fields: Any) -> list[Result]:
        return await self.world.pipeline.accept([self.world.submission(text=text, **fields) for text in texts])

    async def audited(self) -> None:
        book = rating.book(self.rt)
        report = await audit(
            self.rt.store, now=self.rt.clock.now, final=[int(state) for state in FINAL], reseller_of=book.reseller_of
        )
        assert report.balanced, report.differences


@pytest.fixture
async def shop(store_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """Whatever a test does, its books balance."""
    world = await make_world(store_url, tmp_path)
    shop = Shop(world)
    await shop.open()
    yield shop
    await world.settle()
    await shop.audited()
    await world.pipeline.stop()
    await world.rt.close()


async def test_a_message_holds_its_price_and_is_charged_when_it_is_taken(shop: Shop) -> None:
    await shop.terms()
    accepted = await shop.world.send(text="a" * 200)
    assert (accepted.price, accepted.currency) == (2 * PRICE, "EUR")
    assert await shop.balance() == (EUR - 2 * PRICE, 2 * PRICE)
    parts = await shop.world.parts(2)
    told = [shop.world.link.answer(part) for part in parts]
    await shop.world.becomes(accepted.id, "sent")
    assert await shop.balance() == (EUR - 2 * PRICE, 0)
    for provider_id in told:
        await shop.world.link.receipt(provider_id, "undelivered")
    await shop.world.becomes(accepted.id, "undelivered")
    assert await shop.balance() == (EUR - 2 * PRICE, 0)  # that is what "on submit" means
    lines = messages.price_explained(shop.world.pipeline, await shop.message(accepted))
    assert any("0.05" in line for line in lines) and any("0.03" in line for line in lines)


@pytest.mark.parametrize("state", ["delivered", "undelivered"])
async def test_by_another_contract_it_is_charged_when_it_is_delivered_and_else_given_back(
    shop: Shop, state: str
) -> None:
    await shop.terms(on="delivered")
    accepted, provider_id = await shop.sent()
    assert await shop.balance() == (EUR - PRICE, PRICE)
    await shop.world.link.receipt(provider_id, state)
    await shop.world.becomes(accepted.id, state)
    assert await shop.balance() == (EUR - PRICE if state == "delivered" else EUR, 0)
    if state == "undelivered":
        await shop.world.link.receipt(provider_id, "delivered")
        await shop.world.becomes(accepted.id, "delivered")
        assert await shop.balance() == (EUR - PRICE, 0)


async def test_a_late_delivery_takes_no_wallet_below_its_limit(shop: Shop) -> None:
    await shop.terms(on="delivered", top_up=PRICE)
    accepted, provider_id = await shop.sent()
    await shop.world.link.receipt(provider_id, "undelivered")
    await shop.world.becomes(accepted.id, "undelivered")
    other = await shop.world.send(text="Another")
    assert await shop.balance() == (0, PRICE)
    await shop.world.link.receipt(provider_id, "delivered")
    await shop.world.becomes(accepted.id, "delivered")
    assert await shop.balance() == (0, PRICE)
    assert (await shop.message(accepted)).money & 3 == 3  # given back, and it stays so
    parts = await shop.world.parts(2)
    await shop.world.link.receipt(shop.world.link.answer(parts[1]), "delivered")
    await shop.world.becomes(other.id, "delivered")


async def test_who_cannot_pay_is_refused_and_neighbours_are_not(shop: Shop) -> None:
    await shop.terms(top_up=3 * PRICE)
    results = await shop.accept("a" * 200, "a" * 200, "short")
    assert [isinstance(result, Accepted) for result in results] == [True, False, True]
    assert isinstance(results[1], Refusal) and results[1].code == "no_balance"
    assert "0.10 EUR" in results[1].message and "0.05 EUR" in results[1].message
    assert await shop.balance() == (0, 3 * PRICE)
    await shop.top_up(shop.world.account_id, PRICE)
    assert isinstance((await shop.accept("again"))[0], Accepted)


async def test_however_many_send_at_once_no_wallet_goes_below_its_limit(shop: Shop) -> None:
    await shop.terms(top_up=7 * PRICE, credit_limit=3 * PRICE)
    results = await asyncio.gather(*(shop.accept(f"Text {n}", f"Other {n}") for n in range(20)))
    taken = [result for pair in results for result in pair if isinstance(result, Accepted)]
    assert len(taken) == 10
    assert await shop.balance() == (-3 * PRICE, 10 * PRICE)


async def test_money_that_somebody_else_has_spent_is_not_spent_again(shop: Shop) -> None:
    await shop.terms(top_up=2 * PRICE)
    await shop.world.send()  # this node believes that there is as much again
    await reports.book(
        shop.rt, "test", shop.world.account_id, kind="withdrawal", amount=PRICE, currency="EUR", reference="back"
    )
    [result] = await shop.accept("more")
    assert isinstance(result, Refusal) and result.code == "no_balance"


async def test_a_key_used_twice_in_one_breath_tells_both_that_the_money_was_short(shop: Shop) -> None:
    await shop.terms(top_up=0)
    key = messages.IdempotencyKey(shop.world.account_id, "k", "digest")
    calls = [shop.world.pipeline.accept([shop.world.submission()], key) for _ in range(2)]
    first, second = await asyncio.gather(*calls, return_exceptions=True)
    told = first if isinstance(first, list) else second
    replay = second if isinstance(first, list) else first
    assert isinstance(told, list) and isinstance(told[0], Refusal)
    assert isinstance(replay, messages.Replay) and replay.results[0][0] == "no_balance"


async def test_what_is_canceled_expires_or_fails_is_given_back(shop: Shop) -> None:
    await shop.terms()
    canceled = await shop.world.send(send_at=NOW() + 3_600_000)
    await messages.cancel(shop.world.pipeline, shop.world.account_id, canceled.id, "test")
    failed = await shop.world.send(text="It fails")
    [part] = await shop.world.parts(1)
    shop.world.link.answer(part, error=SendError("invalid_destination", Verdict.PERMANENT))
    await shop.world.becomes(failed.id, "failed")
    shop.world.link.window = 0
    expired = await shop.world.send(text="It waits", validity_s=5)
    assert await shop.balance() == (EUR - PRICE, PRICE)
    await _age(shop, "update queue set expires_at = 1")
    await sweep.expire(shop.world.pipeline)
    assert await shop.world.state(expired.id) == "expired"
    assert await shop.balance() == (EUR, 0)


async def test_what_another_connector_takes_is_priced_for_it(shop: Shop) -> None:
    await shop.rates(shop.prices, [Rate(plus=10_000, percent_ppm=0)])  # cost and a cent
    await shop.terms()
    accepted = await shop.world.send()
    assert accepted.price == COST + 10_000
    [part] = await shop.world.parts(1)
    shop.world.link.answer(part, error=SendError("rejected_by_supplier", Verdict.NEXT))
    [part] = await shop.world.parts(1, "spare")
    shop.world.links["spare"].answer(part)
    await shop.world.becomes(accepted.id, "sent")
    message = await shop.message(accepted)
    assert (message.price, message.cost) == (SPARE_COST + 10_000, SPARE_COST)
    assert await shop.balance() == (EUR - message.price, 0)


async def test_what_is_agreed_is_the_most_that_is_charged(shop: Shop) -> None:
    await shop.rates(shop.prices, [Rate(plus=10_000, percent_ppm=0)])
    await shop.rates(shop.cards["spare"], [Rate(amount=39_000)])
    await shop.terms(allow_loss=True)
    accepted = await shop.world.send()
    [part] = await shop.world.parts(1)
    shop.world.link.answer(part, error=SendError("rejected_by_supplier", Verdict.NEXT))
    [part] = await shop.world.parts(1, "spare")
    shop.world.links["spare"].answer(part)
    await shop.world.becomes(accepted.id, "sent")
    message = await shop.message(accepted)
    assert (message.price, message.cost) == (COST + 10_000, 39_000)


async def test_nothing_is_sent_at_a_loss_unless_that_is_allowed(shop: Shop) -> None:
    await shop.rates(shop.cards["main"], [Rate(amount=2 * PRICE)])
    await shop.terms()
    accepted = await shop.world.send()
    await shop.world.parts(1, "spare")
    told = (await messages.explain(shop.rt, None, accepted.id)).steps[0].data
    assert told is not None and told["instead_of"] == "main" and "more than it brings" in told["since"]
    await shop.rates(shop.cards["spare"], [Rate(amount=2 * PRICE)])
    [result] = await shop.accept("dear")
    assert isinstance(result, Refusal) and result.code == "price_below_cost"
    [route] = routing.table(shop.rt).routes
    await routing.update_route(shop.rt, "test", connectors.book(shop.rt).get, route.id, allow_loss=True)
    [result] = await shop.accept("allowed")
    assert isinstance(result, Accepted) and result.price == PRICE


async def test_where_there_is_no_price_nothing_is_sent(shop: Shop) -> None:
    await shop.rates(shop.prices, [Rate(country="DE", amount=PRICE)])
    await shop.terms()
    [result] = await shop.accept("to France")
    assert isinstance(result, Refusal) and result.code == "destination_not_priced"


async def test_a_scheduled_message_is_priced_and_routed_again_when_its_time_comes(shop: Shop) -> None:
    await shop.terms()
    accepted = await shop.world.send(send_at=NOW() + 3_600_000)
    assert await shop.balance() == (EUR - PRICE, PRICE)
    await shop.rates(shop.prices, [Rate(amount=PRICE - 10_000)])
    [route] = routing.table(shop.rt).routes
    spare = connectors.book(shop.rt).by_name("spare")
    assert spare is not None
    await routing.update_route(
        shop.rt, "test", connectors.book(shop.rt).get, route.id, connector_id=spare.id, fallback_connector_ids=()
    )
    await _age(shop, "update queue set due_at = 1")
    assert await sweep.release(shop.world.pipeline) == 1
    [part] = await shop.world.parts(1, "spare")
    assert await shop.balance() == (EUR - PRICE + 10_000, PRICE - 10_000)
    shop.world.links["spare"].answer(part)
    await shop.world.becomes(accepted.id, "sent")
    assert (await shop.message(accepted)).cost == SPARE_COST


async def test_a_scheduled_message_whose_sender_was_taken_away_fails_and_is_given_back(shop: Shop) -> None:
    await shop.terms()
    accepted = await shop.world.send(send_at=NOW() + 3_600_000)
    [sender] = [one for one in senders.book(shop.rt).of(shop.world.account_id) if one.address == "Acme"]
    await senders.delete_sender(shop.rt, "test", shop.world.account_id, sender.id)
    await _age(shop, "update queue set due_at = 1")
    await sweep.release(shop.world.pipeline)
    assert await shop.world.state(accepted.id) == "failed"
    assert '"sender_not_allowed"' in ((await shop.message(accepted)).error or "")
    assert await shop.balance() == (EUR, 0)


async def test_a_longer_text_holds_more_if_there_is_as_much(shop: Shop) -> None:
    await shop.terms(top_up=2 * PRICE)
    accepted = await shop.world.send(send_at=NOW() + 3_600_000)

    async def replace(text: str) -> None:
        await messages.replace(
            shop.world.pipeline, shop.world.account_id, accepted.id, text=text, changes={}, actor="test"
        )

    await replace("a" * 200)
    assert await shop.balance() == (0, 2 * PRICE)
    with pytest.raises(Refused) as caught:
        await replace("a" * 400)
    assert caught.value.code == "no_balance"
    await replace("short")
    assert await shop.balance() == (PRICE, PRICE)


async def test_a_resellers_customer_pays_the_reseller_and_the_reseller_us(shop: Shop) -> None:
    reseller = await accounts.create_account(shop.rt, "test", slug="reseller", name="Reseller")
    wholesale = await shop.list_("wholesale", "customer", [Rate(amount=40_000)])
    await rating.create_terms(shop.rt, "test", reseller.id, currency="EUR", price_list_id=wholesale)
    await shop.top_up(reseller.id, 100_000)
    theirs = await shop.list_("theirs", "customer", [Rate(amount=90_000)], account_id=reseller.id)
    account_id = shop.world.account_id
    await rating.create_terms(
        shop.rt, "test", account_id, currency="EUR", price_list_id=theirs, reseller_id=reseller.id
    )
    await shop.top_up(account_id, EUR)
    accepted, provider_id = await shop.sent()
    await shop.world.link.receipt(provider_id, "delivered")
    await shop.world.becomes(accepted.id, "delivered")
    assert await shop.balance() == (EUR - 90_000, 0)
    assert await shop.balance(reseller.id) == (60_000, 0)
    results = await shop.accept("one", "two")
    assert isinstance(results[0], Accepted)
    assert isinstance(results[1], Refusal) and "provider" in results[1].message  # the reseller's wallet is empty


async def test_a_test_message_costs_nothing(shop: Shop) -> None:
    await shop.terms(top_up=0)
    lab = await connectors.create_connector(
        shop.rt,
        "test",
        name="lab",
        test=True,
        settings={"host": "127.0.0.1"},
        credentials={"system_id": "a", "password": "b"},
    )
    await routing.create_route(
        shop.rt, "test", connectors.book(shop.rt).get, name="lab", connector_id=lab.id, test=True
    )
    accepted = await shop.world.send(test=True)
    assert accepted.price is None
    assert await shop.balance() == (0, 0)


async def test_a_throttle_holds_a_message_back_and_a_cap_refuses_it(shop: Shop) -> None:
    await shop.terms(caps=(rating.Cap(per_day=2 * PRICE),))
    await throttles.create_throttle(
        shop.rt,
        "test",
        name="slowly",
        scope="account",
        account_id=shop.world.account_id,
        most=1,
        per="minute",
        burst=1,
    )
    first, second = await shop.accept("one", "two")
    assert isinstance(first, Accepted) and isinstance(second, Accepted)
    await shop.world.parts(1)
    await asyncio.sleep(0.1)
    assert len(shop.world.link.taken) == 1  # the other is due in a minute
    [due] = await shop.rt.store.read(messages_due(second.id))
    assert 50_000 < due[0] - second.created_at <= 61_000
    [third] = await shop.accept("three")
    assert isinstance(third, Refusal) and third.code == "spend_cap_reached"


def messages_due(message_id: int) -> Any:
    from chappe.storage import sql

    return sql("select due_at from queue where message_id = :id")({"id": message_id})


async def _age(shop: Shop, statement: str) -> None:
    from chappe.storage import sql

    await shop.rt.store.write(sql(statement)())
