from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chappe import accounts, ids
from chappe.accounts import Account
from chappe.billing import reports
from chappe.billing.reports import Entry, Wanted
from chappe.errors import Refused
from chappe.runtime import Runtime
from tests.billing.reports.town import HOUR_MS, Town, now

EUR = 1_000_000


async def booked(rt: Runtime, account_id: int, amount: int, reference: str = "bank 1", **more: Any) -> Entry:
    fields: dict[str, Any] = {"kind": "top_up", "currency": "EUR", "reference": reference} | more
    return await reports.book(rt, "key_test", account_id, amount=amount, **fields)


async def wallet(rt: Runtime, account_id: int) -> int:
    found = await reports.balance(rt, account_id)
    assert found is not None
    return found.wallet


async def refused(work: Any) -> str:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value.code


async def test_what_comes_goes_and_is_given_is_booked_against_its_book(rt: Runtime, town: Town, acme: Account) -> None:
    await town.open(acme.id)
    top_up = await booked(rt, acme.id, 100 * EUR)
    withdrawal = await booked(rt, acme.id, 30 * EUR, "bank 2", kind="withdrawal")
    adjust = await booked(rt, acme.id, -5 * EUR, "ticket 3", kind="adjust", reason="a test too many")
    assert (top_up.wallet, top_up.bank, top_up.revenue) == (100 * EUR, -100 * EUR, 0)
    assert (withdrawal.wallet, withdrawal.bank) == (-30 * EUR, 30 * EUR)
    assert (adjust.wallet, adjust.revenue, adjust.bank, adjust.reason) == (-5 * EUR, 5 * EUR, 0, "a test too many")
    assert await wallet(rt, acme.id) == 65 * EUR
    [last, *_] = await accounts.audit_entries(rt, acme.id, limit=3)
    assert (last.actor, last.action, last.object) == ("key_test", "book", ids.public("led", adjust.id))
    assert last.after == {
        "kind": "adjust",
        "amount": "-5.00",
        "currency": "EUR",
        "reference": "ticket 3",
        "reason": "a test too many",
    }


async def test_the_same_booking_again_is_the_one_that_stands(rt: Runtime, town: Town, acme: Account) -> None:
    await town.open(acme.id)
    first, *others = await asyncio.gather(*(booked(rt, acme.id, 10 * EUR) for _ in range(5)))
    assert all(other == first for other in others)
    assert await wallet(rt, acme.id) == 10 * EUR
    assert await refused(booked(rt, acme.id, 11 * EUR)) == "reference_reused"
    assert await refused(booked(rt, acme.id, 10 * EUR, kind="withdrawal")) == "reference_reused"
    assert len(await accounts.audit_entries(rt, acme.id, limit=50)) == 2  # the account, and one booking


async def test_a_booking_that_cannot_be_is_refused_and_nothing_stays(
    rt: Runtime, town: Town, acme: Account, other: Account
) -> None:
    await town.open(acme.id, credit=EUR)
    assert await refused(booked(rt, other.id, 1)) == "account_not_billed"
    assert await refused(booked(rt, acme.id, 1, currency="USD")) == "currency_mismatch"
    assert await refused(booked(rt, acme.id, EUR + 1, kind="withdrawal")) == "balance_too_low"
    assert await refused(booked(rt, acme.id, -EUR - 1, kind="adjust")) == "balance_too_low"
    for amount, kind in ((0, "top_up"), (-1, "top_up"), (-1, "withdrawal"), (0, "adjust"), (10**16, "top_up")):
        assert await refused(booked(rt, acme.id, amount, kind=kind)) == "invalid_value"
    assert await reports.entries(rt, Wanted(acme.id)) == []
    assert (await booked(rt, acme.id, EUR, kind="withdrawal")).wallet == -EUR  # down to the limit
    found = await reports.balance(rt, acme.id)
    assert found is not None and found.available == 0


async def test_a_booking_is_taken_back_once(rt: Runtime, town: Town, acme: Account) -> None:
    await town.open(acme.id)
    top_up = await booked(rt, acme.id, 10 * EUR)
    undone = [reports.reverse(rt, "key_test", top_up.id, reason="wrong account") for _ in range(4)]
    results = await asyncio.gather(*undone, return_exceptions=True)
    [entry] = [result for result in results if isinstance(result, Entry)]
    assert {error.code for error in results if isinstance(error, Refused)} == {"entry_reversed"}
    assert (entry.kind, entry.books, entry.reverses) == ("top_up", tuple(-one for one in top_up.books), top_up.id)
    assert await wallet(rt, acme.id) == 0
    assert await refused(reports.reverse(rt, "x", entry.id, reason="no")) == "entry_not_reversible"
    assert await refused(reports.reverse(rt, "x", top_up.id, reason="no")) == "entry_reversed"
    assert await refused(reports.reverse(rt, "x", 5, reason="no")) == "not_found"


async def test_what_is_spent_cannot_be_taken_back_and_traffic_never_can(rt: Runtime, town: Town, acme: Account) -> None:
    await town.open(acme.id)
    top_up = await booked(rt, acme.id, EUR)
    await town.accept(acme.id, 1)
    assert await refused(reports.reverse(rt, "x", top_up.id, reason="no")) == "balance_too_low"
    [hold] = await reports.entries(rt, Wanted(acme.id, kind="hold"))
    assert await refused(reports.reverse(rt, "x", hold.id, reason="no")) == "entry_not_reversible"


async def test_entries_are_read_back_by_kind_and_time_page_by_page(rt: Runtime, town: Town, acme: Account) -> None:
    await town.open(acme.id)
    town.ago = 2 * HOUR_MS
    await town.top_up(acme.id, EUR)
    town.ago = 0
    for _ in range(3):
        await town.settle(await town.accept(acme.id, 10, cost=4))
    made = await booked(rt, acme.id, EUR)

    async def kinds(limit: int = 100, before: int | None = None, **more: Any) -> list[str]:
        found = await reports.entries(rt, Wanted(acme.id, **more), limit=limit, before=before)
        return [one.kind for one in found]

    assert await kinds() == ["top_up", *["settle", "hold"] * 3, "top_up"]
    assert await kinds(costs=True) == ["top_up", *["cost", "settle", "hold"] * 3, "top_up"]
    assert await kinds(kind="top_up") == ["top_up"] * 2
    assert await kinds(kind="cost") == []
    assert await kinds(kind="cost", costs=True) == ["cost"] * 3
    assert await kinds(since=now() - HOUR_MS, kind="top_up") == ["top_up"]
    assert await kinds(until=now() - HOUR_MS) == ["top_up"]
    assert await kinds(limit=2, before=made.id) == ["settle", "hold"]
    assert await reports.entries(rt, Wanted(acme.id + 1)) == []
    [first] = await reports.entries(rt, Wanted(acme.id), limit=1)
    assert first == made and abs(first.booked_at - now()) < 60_000
    pages = [page async for page in reports.all_entries(rt, Wanted(acme.id, costs=True))]
    assert [len(page) for page in pages] == [11]


@pytest.mark.parametrize(
    ("text", "value"), [("12.5", 12_500_000), ("0.000001", 1), ("-3", -3_000_000), ("999999999", 999_999_999 * EUR)]
)
def test_amounts_are_read_exactly(text: str, value: int) -> None:
    assert reports.micros(text) == value


@pytest.mark.parametrize("text", ["", "1.", ".5", "1e3", "1,5", "0.0000001", "1000000000", "١", "+1", "--1", " 1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        reports.micros(text)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "amount")
