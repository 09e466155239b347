"""The audit finds every kind of fault, and nothing where there is none, also while money moves."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chappe.billing.ledger import audit as auditing
from chappe.billing.ledger import audit_store
from chappe.billing.ledger import store as ledger
from chappe.billing.ledger.audit import Report, audit, plain
from chappe.billing.ledger.model import CHARGED, GIVEN_BACK, HELD
from chappe.messages.model import State
from chappe.storage import Store, open_store, sql
from tests.billing.reports.town import DAY_MS, HOUR_MS, STATES, Town, now

EUR = 1_000_000


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = await open_store(store_url)
    yield store
    await store.close()


async def audited(town: Town) -> Report:
    return await audit(town.store, now=now, final=STATES, reseller_of=town.reseller_of)


def codes(report: Report) -> set[str]:
    return {one.code for one in report.differences}


async def a_past(store: Store) -> Town:
    """An account, a reseller with a customer, one that pays nothing; yesterday's messages and today's."""
    town = Town(store, ago=26 * HOUR_MS)
    await town.open(1)
    await town.open(2, "USD")
    await town.open(3, "EUR", credit=50 * EUR, reseller=2)
    await town.top_up(1, 100 * EUR)
    await town.top_up(2, 40 * EUR)
    for ago in (26 * HOUR_MS, HOUR_MS, 1_000):
        town.ago = ago
        for number in range(4):
            own = await town.accept(1, 72_500, cost=40_000, tags=("spring",))
            sold = await town.accept(3, 90_000, upstream=60_000, cost=40_000)
            free = await town.accept(9, None, cost=10_000)
            await town.accept(1, 5, test=True)
            for sent in (own, sold, free):
                if number < 3:
                    await town.settle(sent, delivered=number < 2)
    return town


async def test_books_that_balance_are_said_to(store: Store) -> None:
    town = await a_past(store)
    report = await audited(town)
    assert report.differences == []
    assert (report.balanced, report.accounts, report.messages) == (True, 4, 36)
    assert report.books["EUR"]["held"] == 3 * (72_500 + 90_000)
    assert report.books["EUR"]["revenue"] == 6 * (72_500 + 90_000)
    assert report.books["USD"] | {"bank": 0} == {
        "wallet": 40 * EUR - 9 * 60_000,
        "held": 3 * 60_000,
        "revenue": 6 * 60_000,
        "cost": -6 * 90_000,
        "payable": 6 * 90_000,
        "bank": 0,
        "tax": 0,
    }
    shown = plain(report)
    assert (shown["balanced"], shown["books"]["EUR"]["held"], shown["differences"]) == (True, "0.4875", [])


Fault = Callable[[Town], Awaitable[None]]


async def _wallet(town: Town) -> None:
    await town.store.write(town.move(1, 1, 0))


async def _held(town: Town) -> None:
    await town.store.write(town.move(1, 0, 1))


async def _entry_alone(town: Town) -> None:
    await town.store.write(town.entry(1, "top_up", wallet=5, bank=-5))


async def _nobody(town: Town) -> None:
    town.currency[77] = "EUR"
    await town.store.write(town.entry(77, "top_up", wallet=5, bank=-5))


async def _currency(town: Town) -> None:
    await town.store.write(town.entry(1, "adjust", currency="CHF", wallet=5, revenue=-5), town.move(1, 5, 0))


async def _held_for_ever(town: Town) -> None:
    await town.state(await town.accept(1, 10), State.EXPIRED, HELD)


async def _not_held(town: Town) -> None:
    await town.state(await town.accept(1, 10), State.QUEUED, GIVEN_BACK)


async def _not_priced(town: Town) -> None:
    await town.accept(1, None)


async def _charged_without_a_message(town: Town) -> None:
    await town.settle(await town.accept(1, 10), without="message")


async def _message_charged_unbooked(town: Town) -> None:
    await town.state(await town.accept(1, 0), State.DELIVERED, CHARGED)
    await town.store.write(sql("update messages set price = 7 where price = 0")())


async def _upstream_unbooked(town: Town) -> None:
    await town.store.write(sql("update messages set upstream = upstream + 1 where account_id = 3")())


async def _usage_lost(town: Town) -> None:
    await town.settle(await town.accept(1, 10), without="usage")


async def _usage_twice(town: Town) -> None:
    sent = await town.accept(1, 10, cost=3)
    await town.store.write(town.news(sent, 1, (1, 1, 1, 0, 0, 3)))


async def _forgotten_unbooked(town: Town) -> None:
    sent = await town.accept(1, 10)
    await town.settle(sent)
    await town.forget(sent, book=False)


async def _reseller_forgotten_unbooked(town: Town) -> None:
    sent = await town.accept(3, 10, upstream=4)
    await town.settle(sent)
    await town.forget(sent)
    await town.store.write(sql("delete from ledger_forgotten where account_id = 2")())


async def _invoice_number_lost(town: Town) -> None:
    """Of three numbers one stands on an invoice and one on a credit note."""
    await town.store.write(
        sql("insert into invoice_series (seller_id, series, last) values (0, '2026', 3), (0, '2025', 0)")(),
        sql(
            "insert into invoices (id, account_id, seller_id, month, number, currency, gross, credited, issued_at, "
            "data) values (1, 1, 0, 24310, '2026-000001', 'EUR', 5, 0, 0, '{}'), "
            "(2, 2, 0, 24310, 'CN-2026-000001', 'EUR', 5, 0, 0, '{}')"
        )(),
        sql(
            "insert into credit_notes (id, account_id, seller_id, invoice_id, number, currency, gross, issued_at, "
            "data) values (1, 1, 0, 1, '2026-000003', 'EUR', 5, 0, '{}')"
        )(),
    )


FAULTS: dict[Fault, set[str]] = {
    _wallet: {"balance_differs"},
    _held: {"balance_differs", "held_differs"},
    _entry_alone: {"balance_differs"},
    _nobody: {"no_balance", "entry_currency"},
    _currency: {"entry_currency"},
    _held_for_ever: {"held_for_ever"},
    _not_held: {"not_held", "held_differs"},
    _not_priced: {"not_priced"},
    _charged_without_a_message: {"held_differs", "charged_differs"},
    _message_charged_unbooked: {"charged_differs"},
    _upstream_unbooked: {"held_differs", "charged_differs"},
    _usage_lost: {"usage_differs"},
    _usage_twice: {"usage_differs"},
    _forgotten_unbooked: {"charged_differs"},
    _reseller_forgotten_unbooked: {"charged_differs"},
    _invoice_number_lost: {"series_gap"},
}


@pytest.mark.parametrize("ago", [30 * HOUR_MS, 1_000], ids=["long ago", "just now"])
async def test_every_kind_of_fault_is_found_and_no_other_said(
    store: Store, ago: int, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "SLICE", 5)
    for fault, expected in FAULTS.items():
        with subtests.test(fault.__name__):
            await _emptied(store)
            town = await a_past(store)
            town.ago = ago if fault is not _not_priced else 1_000
            await fault(town)
            report = await audited(town)
            assert codes(report) == expected, report.differences
            assert not report.balanced and report.found == len(report.differences)
            assert all(one.words.endswith(".") and one.action.endswith(".") for one in report.differences)


async def _emptied(store: Store) -> None:
    """All rows away; the ledger itself gives none, so the accounts of the next past are told apart by a clean file."""
    papers = ("invoice_series", "invoices", "credit_notes")
    for table in ("messages", "balances", "usage", "usage_news", "ledger_forgotten", *papers):
        await store.write(sql(f"delete from {table}")())
    if store.engine == "sqlite":
        await store.write(sql("drop trigger if exists ledger_entries_no_delete")(), sql("delete from ledger_entries")())
    else:
        await store.write(
            sql("alter table ledger_entries disable trigger user")(),
            sql("delete from ledger_entries")(),
            sql("alter table ledger_entries enable trigger user")(),
        )


async def test_an_entry_that_does_not_balance_is_found_even_without_the_check_of_the_database(store: Store) -> None:
    town = await a_past(store)
    if store.engine == "postgres":
        await store.write(sql("alter table ledger_entries drop constraint ledger_entries_balanced")())
        await store.write(town.entry(1, "adjust", wallet=5), town.move(1, 5, 0))
    else:
        with closing(sqlite3.connect(getattr(store, "path"), isolation_level=None)) as db:  # noqa: B009
            db.execute("pragma ignore_check_constraints = on")
            db.execute(
                "insert into ledger_entries (id, account_id, currency, kind, messages, wallet, held, revenue, cost, "
                "payable, bank, tax) values (?, 1, 'EUR', 'adjust', 0, 5, 0, 0, 0, 0, 0, 0)",
                (town.id(),),
            )
        await store.write(town.move(1, 5, 0))
    assert codes(await audited(town)) == {"entry_unbalanced"}


async def test_nothing_is_found_while_money_moves_but_what_is_wrong(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages far back are settled, deleted and delivered after all while the audit is at it."""
    monkeypatch.setattr(auditing, "SLICE", 3)
    town = await a_past(store)
    stop = asyncio.Event()

    async def traffic() -> None:
        while not stop.is_set():
            town.ago = 0
            sent = await town.accept(1, 72_500, cost=40_000)
            sold = await town.accept(3, 90_000, upstream=60_000)
            await town.settle(sent)
            await town.settle(sold, delivered=False)
            await town.settle(sold)
            await town.forget(sent)

    work = asyncio.create_task(traffic())
    try:
        for _ in range(5):
            report = await audited(town)
            assert report.differences == []
        await town.store.write(town.move(1, 0, 1))
        assert codes(await audited(town)) == {"balance_differs", "held_differs"}
    finally:
        stop.set()
        await work


async def test_what_moved_behind_the_reader_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late delivery of a message long given back: nothing says beforehand that it could still move."""
    monkeypatch.setattr(auditing, "SLICE", 2)
    town = Town(store, ago=48 * HOUR_MS)
    await town.open(1)
    await town.top_up(1, 10 * EUR)
    old = [await town.accept(1, 10) for _ in range(8)]
    for sent in old:
        await town.settle(sent, delivered=False)
    town.ago = 0
    read = auditing._Account._read_messages

    async def read_then_deliver(self: Any, part: Any) -> None:
        await read(self, part)
        await town.settle(old[1])
        await town.settle(old[5])

    monkeypatch.setattr(auditing._Account, "_read_messages", read_then_deliver)
    assert (await audited(town)).differences == []


async def test_only_the_first_differences_are_told_and_all_are_counted(store: Store) -> None:
    town = Town(store)
    await town.open(1)
    await town.top_up(1, EUR)
    for _ in range(auditing.SHOWN + 5):
        await town.state(await town.accept(1, 10), State.FAILED, HELD)
    report = await audited(town)
    assert (len(report.differences), codes(report)) == (auditing.SHOWN, {"held_for_ever"})
    assert report.found >= auditing.SHOWN


spans = st.lists(st.tuples(st.integers(0, 1_000), st.integers(1, 50)).map(lambda s: (s[0], s[0] + s[1])), max_size=40)


@given(spans, st.integers(1, 10))
def test_merged_spans_cover_the_same_and_are_few(given_spans: list[tuple[int, int]], most: int) -> None:
    found = audit_store.merged(given_spans, most)
    assert len(found) <= most
    assert all(before[1] < after[0] for before, after in pairwise(found))
    covered = {n for after, upto in found for n in range(after, upto)}
    assert covered >= {n for after, upto in given_spans for n in range(after, upto)}
    if len(audit_store.merged(given_spans, 1_000)) <= most:
        assert covered == {n for after, upto in given_spans for n in range(after, upto)}


deeds = st.lists(
    st.tuples(
        st.sampled_from(["top_up", "accept", "sell", "free", "deliver", "fail", "lift", "forget"]),
        st.integers(0, 30),
        st.sampled_from([0, 1_000, HOUR_MS, DAY_MS, 40 * DAY_MS]),
    ),
    max_size=40,
)


async def _live(town: Town, history: list[tuple[str, int, int]]) -> None:
    """Do what is possible of a random history."""
    waiting: list[Any] = []
    ended: list[Any] = []
    for deed, number, ago in history:
        town.ago = ago
        if deed == "top_up":
            await town.top_up(1 + number % 3, number + 1)
        elif deed == "accept":
            waiting.append(await town.accept(1, number, cost=number // 2 or None))
        elif deed == "sell":
            waiting.append(await town.accept(3, number, upstream=number // 3, cost=1))
        elif deed == "free":
            waiting.append(await town.accept(9, None, cost=number))
        elif deed in ("deliver", "fail") and waiting:
            sent = waiting.pop(number % len(waiting))
            await town.settle(sent, delivered=deed == "deliver")
            ended.append(sent)
        elif deed == "lift" and ended and (sent := ended[number % len(ended)]).money == GIVEN_BACK:
            await town.settle(sent)
        elif deed == "forget" and ended:
            await town.forget(ended.pop(number % len(ended)))


@given(deeds)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_history_balances_until_a_micro_unit_is_lost(
    make_sqlite: Callable[[Path], str], tmp_path: Path, history: list[tuple[str, int, int]]
) -> None:
    async def run() -> None:
        store = await open_store(make_sqlite(tmp_path))
        try:
            town = Town(store)
            for account_id, reseller in ((1, 0), (2, 0), (3, 2)):
                await town.open(account_id, credit=1_000_000, reseller=reseller)
            await _live(town, history)
            assert (await audited(town)).differences == []
            await store.write(ledger.MOVE([(1, 1, 0)]))
            assert codes(await audited(town)) == {"balance_differs"}
        finally:
            await store.close()

    asyncio.run(run())
