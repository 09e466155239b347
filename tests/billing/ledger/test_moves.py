"""What units of messages move: the books balance after any history, and say the same as the messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.billing.ledger import HELD, Moves, agreed, decimal, model, state_of, store
from chappe.billing.ledger.wallets import Wallets
from chappe.ids import Ids
from chappe.storage import Conflict, Store, open_store

SUB, OWN, RESELLER = 1, 2, 3  # SUB is a customer of RESELLER


class Parties:
    def currency_of(self, account_id: int) -> str:
        return {SUB: "USD", OWN: "EUR", RESELLER: "EUR"}[account_id]

    def reseller_of(self, account_id: int) -> int | None:
        return RESELLER if account_id == SUB else None


@dataclass(eq=False)
class Text:
    account_id: int = OWN
    price: int | None = 100
    upstream: int | None = None
    cost: int | None = 60
    cost_currency: str | None = "GBP"
    money: int = 0
    test: int = 0
    purpose: str = "otp"
    sender: str = "Acme"
    segments: int = 2
    connector_id: int = 9
    tags: str | None = None
    country: str = "FR"
    operator: str | None = "20801"
    route_id: int | None = 5
    journey: list[str] = field(default_factory=list)


class Books:
    """The rows of units, added up as a database would."""

    def __init__(self) -> None:
        self.ids = Ids()
        self.sums: Counter[tuple[int, str, str]] = Counter()
        self.wallets: Counter[int] = Counter()
        self.held: Counter[int] = Counter()
        self.used: Counter[tuple[int, str, str]] = Counter()

    def book(self, moves: Moves) -> None:
        for op in moves.ops(self.ids):
            rows: Any = op.params
            if op.statement is store.ADD_ENTRIES:
                for _, account_id, currency, _kind, _messages, *books, _reference in rows:
                    assert sum(books) == 0
                    for book, amount in zip(store.BOOKS, books, strict=True):
                        self.sums[account_id, currency, book] += amount
            elif op.statement is store.ADD_USAGE_NEWS:
                for _, _day, *rest in rows:
                    row = dict(zip((*store.DIMENSIONS[1:], *store.COUNTS), rest, strict=True))
                    for count in store.COUNTS:
                        self.used[row["account_id"], row["tag"], count] += row[count]
            elif op.statement is store.ADD_SETTLED:
                for account_id, _node, held in rows:
                    self.held[account_id] += held
            else:
                assert op.statement is store.MOVE and [row[0] for row in rows] == sorted(row[0] for row in rows)
                for account_id, wallet, held in rows:
                    self.wallets[account_id] += wallet
                    self.held[account_id] += held


STEPS = {
    "sent": {"taken": True, "final": False, "first": True},
    "failed": {"taken": False, "first": True},
    "delivered": {"taken": True, "delivered": True},
    "undelivered": {"taken": True},
    "lifted": {"taken": True, "delivered": True, "failed_before": True},
    "delivered at once": {"taken": True, "delivered": True, "first": True},  # its answer was lost
    "never confirmed": {"taken": False, "first": True},
}
AFTER = {
    "": ("sent", "failed", "delivered at once", "never confirmed"),
    "sent": ("delivered", "undelivered"),
    "undelivered": ("lifted",),
    "never confirmed": ("lifted",),
}

texts = st.builds(
    lambda account, price, upstream, cost, late, cost_late, tags: Text(
        account_id=account,
        price=price,
        upstream=upstream if account == SUB and price is not None else None,
        cost=cost,
        money=agreed(price, on_delivery=late, cost_on_delivery=cost_late),
        tags=tags,
    ),
    st.sampled_from([SUB, OWN]),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.integers(0, 10**9),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, '["a"]', '["a","b"]']),
)


@given(st.lists(texts, min_size=1, max_size=12), st.data())
def test_after_any_history_the_books_balance_and_say_what_the_messages_say(messages: list[Text], data: Any) -> None:
    books, parties = Books(), Parties()
    unit = Moves(parties)
    for message in messages:
        unit.hold(message)
    books.book(unit)
    for _ in range(data.draw(st.integers(0, 6))):
        unit = Moves(parties)
        before = {id(m): (m.money, m.price, list(m.journey)) for m in messages}
        for message in messages:
            choices = AFTER.get(message.journey[-1] if message.journey else "", ())
            step = data.draw(st.sampled_from(("", *choices)))
            if step:
                unit.settle(message, **STEPS[step])
                message.journey.append(step)
        if data.draw(st.booleans()):
            books.book(unit)
        else:  # the unit failed
            unit.undo()
            for message in messages:
                assert (message.money, message.price) == before[id(message)][:2]
                message.journey = before[id(message)][2]

    def total(account: int, states: tuple[int, ...]) -> int:
        mine = [m.price or 0 for m in messages if m.account_id == account and state_of(m.money) in states]
        theirs = [m.upstream or 0 for m in messages if account == RESELLER and state_of(m.money) in states]
        return sum(mine) + sum(theirs)

    for account in (SUB, OWN, RESELLER):
        currency = parties.currency_of(account)
        assert books.held[account] == books.sums[account, currency, "held"] == total(account, (model.HELD,))
        charged = total(account, (model.CHARGED,))
        assert books.sums[account, currency, "revenue"] == charged == books.used[account, "", "charged"]
        assert books.wallets[account] == books.sums[account, currency, "wallet"] == -charged - books.held[account]
        final = [m for m in messages if m.journey and m.journey[-1] != "sent" and m.account_id == account]
        assert not any(state_of(m.money) == HELD for m in final)
    booked = sum(m.cost or 0 for m in messages if m.money & model.COST_BOOKED)
    costs = {account: books.sums[account, "GBP", "cost"] for account in (SUB, OWN, RESELLER)}
    assert (
        -sum(costs.values())
        == booked
        == books.used[OWN, "", "cost"] + books.used[RESELLER, "", "cost"] + (books.used[SUB, "", "cost"])
    )
    for account in (SUB, OWN):
        mine = [m for m in messages if m.account_id == account]
        assert books.used[account, "", "messages"] == sum(1 for m in mine if m.journey)
        last = [m.journey[-1] for m in mine if m.journey]
        delivered = sum(1 for step in last if ("delivered" in step and step != "undelivered") or step == "lifted")
        assert books.used[account, "", "delivered"] == delivered
        assert books.used[account, "", "failed"] == sum(1 for s in last if s != "sent") - delivered
        tagged = [m for m in mine if m.journey and m.tags]
        assert books.used[account, "a", "messages"] == len(tagged)


def test_by_contract_it_is_charged_when_it_is_taken_or_when_it_is_delivered() -> None:
    told = []
    for late in (False, True):
        message = Text(money=agreed(100, on_delivery=late, cost_on_delivery=False))
        for step in ("sent", "undelivered", "lifted"):
            Moves(Parties()).settle(message, **STEPS[step])
            told.append(model.WORDS[state_of(message.money)])
    assert told == ["charged", "charged", "charged", "held", "given_back", "charged"]


def test_who_cannot_pay_is_not_charged_for_what_was_given_back() -> None:
    message = Text(money=agreed(100, on_delivery=True, cost_on_delivery=True))
    books = Books()
    for step, short in (("undelivered", set[int]()), ("lifted", {OWN})):
        unit = Moves(Parties(), short)
        unit.settle(message, **STEPS[step])
        books.book(unit)
    assert state_of(message.money) == model.GIVEN_BACK and books.sums[OWN, "EUR", "revenue"] == 0
    assert books.sums[OWN, "GBP", "cost"] == -60  # the supplier is paid all the same


def test_whose_reseller_cannot_pay_is_not_charged_after_all_either() -> None:
    message = Text(account_id=SUB, upstream=80, money=agreed(100, on_delivery=True, cost_on_delivery=True))
    Moves(Parties()).settle(message, **STEPS["undelivered"])
    unit = Moves(Parties(), {RESELLER})
    unit.settle(message, **STEPS["lifted"])
    assert state_of(message.money) == model.GIVEN_BACK and not unit.spent()


@pytest.mark.parametrize(
    ("micros", "written"),
    [(72_500, "0.0725"), (0, "0.00"), (1_000_000, "1.00"), (-1, "-0.000001"), (12_300_000, "12.30")],
)
def test_amounts_are_written_without_needless_zeros(micros: int, written: str) -> None:
    assert decimal(micros) == written


# -- on both databases ----------------------------------------------------------------------------------------------


@pytest.fixture
async def stores(store_url: str, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two nodes on one store; SQLite has one writer, which both use."""
    first = await open_store(store_url)
    second = first if store_url.startswith("sqlite") else await open_store(store_url)
    yield first, second
    for engine in {first, second}:
        await engine.close()


async def _spend(engine: Store, ids: Ids, account: int, price: int, times: int) -> int:
    """Hold as often as the wallet allows it."""
    done = 0
    for _ in range(times):
        unit = Moves(Parties())
        unit.hold(Text(account_id=account, price=price, money=agreed(price, on_delivery=False, cost_on_delivery=False)))
        try:
            await engine.write(*unit.ops(ids))
        except Conflict:
            continue
        done += 1
    return done


async def test_no_wallet_goes_below_its_limit_however_many_spend_at_once(stores: tuple[Store, Store]) -> None:
    first, second = stores
    await first.write(store.OPEN_BALANCE([(OWN, "EUR", 1_000, 0, 500), (RESELLER, "EUR", 0, 0, store.NO_LIMIT)]))
    nodes = [(first, Ids(1)), (second, Ids(2))]
    spent = await asyncio.gather(*(_spend(e, ids, OWN, 70, 10) for e, ids in nodes for _ in range(4)))
    assert sum(spent) == 1_500 // 70
    [row] = await first.read(store.BALANCES({"ids": [OWN]}))
    assert tuple(row) == (OWN, "EUR", 1_000 - 21 * 70, 21 * 70, 500)


async def test_units_over_the_same_accounts_do_not_wait_for_each_other_for_ever(stores: tuple[Store, Store]) -> None:
    accounts = list(range(10, 40))
    await stores[0].write(store.OPEN_BALANCE([(a, "EUR", 0, 0, store.NO_LIMIT) for a in accounts]))

    class Everybody(Parties):
        def currency_of(self, account_id: int) -> str:
            return "EUR"

    async def spend(engine: Store, ids: Ids, order: Iterator[int]) -> None:
        mine = list(order)
        for _ in range(15):
            unit = Moves(Everybody())
            for account in mine:
                unit.hold(Text(account_id=account, money=HELD))
            await engine.write(*unit.ops(ids))

    async with asyncio.timeout(20):
        await asyncio.gather(
            *(
                spend(stores[n % 2], Ids(n), order)
                for n, order in enumerate((iter(accounts), iter(accounts), reversed(accounts), reversed(accounts)))
            )
        )
    rows = await stores[0].read(store.BALANCES({"ids": accounts}))
    assert {tuple(row[2:4]) for row in rows} == {(-6_000, 6_000)}


async def test_what_is_charged_of_what_was_held_leaves_the_row_of_the_balance_alone(
    stores: tuple[Store, Store],
) -> None:
    first, second = stores
    await first.write(store.OPEN_BALANCE([(OWN, "EUR", 1_000, 0, 0)]))
    message = Text(price=70, money=agreed(70, on_delivery=False, cost_on_delivery=False))
    one, other = (first, Ids(1)), (second, Ids(2))
    for engine, ids in (one, other, other):
        unit = Moves(Parties())
        unit.hold(message)
        await engine.write(*unit.ops(ids))
    for engine, ids in (other, one):
        unit, charged = Moves(Parties()), Text(price=70, money=message.money)
        unit.settle(charged, **STEPS["sent"])
        ops = unit.ops(ids)
        assert all(op.statement is not store.MOVE for op in ops)
        await engine.write(*ops)
    [row] = await first.read(store.BALANCES({"ids": [OWN]}))
    assert tuple(row[2:4]) == (1_000 - 3 * 70, 70)


async def test_the_hint_of_what_is_left_is_looked_up_before_anybody_is_turned_away(stores: tuple[Store, Store]) -> None:
    engine, _ = stores
    await engine.write(store.OPEN_BALANCE([(OWN, "EUR", 100, 0, 50)]))
    wallets = Wallets(engine)
    assert wallets.uncovered({OWN: 150}) == [OWN]  # not known yet
    assert await wallets.short({OWN: 150, RESELLER: 1}) == {RESELLER}
    wallets.spent({OWN: 100})
    assert wallets.uncovered({OWN: 60}) == [OWN] and wallets.uncovered({OWN: 50}) == []
    assert await wallets.short({OWN: 60}) == set()
