from __future__ import annotations

from importlib import import_module

import pytest

from chappe.billing import reports
from chappe.billing.ledger import store as ledger
from chappe.billing.reports import low
from chappe.events import BalanceLow
from chappe.messages.model import State
from chappe.runtime import Runtime
from chappe.storage import Op
from tests.billing.reports.town import DAY_MS, Town

EUR = 1_000_000


async def test_a_balance_tells_what_is_there_what_is_held_and_what_was_spent(rt: Runtime, town: Town) -> None:
    assert await reports.balance(rt, 1) is None
    await town.open(1, credit=5 * EUR)
    await town.top_up(1, 10 * EUR)
    await town.accept(1, 70_000)
    await town.settle(await town.accept(1, 30_000))
    await reports.roll_up(rt)
    await town.settle(await town.accept(1, 20_000))  # not added up yet
    town.ago = 70 * DAY_MS
    await town.settle(await town.accept(1, 10_000))
    found = await reports.balance(rt, 1)
    assert found is not None
    assert (found.wallet, found.held, found.available) == (9_870_000, 70_000, 14_870_000)
    assert (found.spent_today, found.spent_this_month, found.currency) == (50_000, 50_000, "EUR")


async def test_no_credit_limit_is_no_number(rt: Runtime, town: Town) -> None:
    await town.open(1, credit=ledger.NO_LIMIT)
    found = await reports.balance(rt, 1)
    assert found is not None
    assert (found.credit_limit, found.available, found.wallet) == (None, None, 0)


async def test_holds_are_found_page_by_page_however_rare_they_are(
    rt: Runtime, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("chappe.billing.reports.balance")
    monkeypatch.setattr(module, "SPAN", 4)
    monkeypatch.setattr(module, "MOST_LOOKS", 2)
    for account_id in (1, 2):
        await town.open(account_id, credit=EUR)
    held = []
    for number in range(30):
        sent = await town.accept(1, 10 + number)
        if number in (3, 17, 18):
            held.append(sent.id)
        else:
            await town.settle(sent, delivered=number % 2 == 0)
        await town.accept(2, 1)
        await town.accept(1, 5, test=True)
    found: list[reports.Hold] = []
    cursor: int | None = None
    pages = 0
    while True:
        page, cursor = await reports.holds(rt, 1, before=cursor, limit=1)
        found += page
        pages += 1
        assert len(page) <= 1 and pages < 40
        if cursor is None:
            break
    assert [one.message_id for one in found] == sorted(held, reverse=True)
    assert (found[0].amount, found[0].state, found[0].country) == (28, int(State.QUEUED), "FR")
    assert await reports.holds(rt, 3, before=None, limit=5) == ([], None)


class Heard:
    """What was told of balances."""

    def __init__(self, rt: Runtime) -> None:
        self.events: list[BalanceLow] = []

        async def hear(_rt: Runtime, events: list[BalanceLow]) -> list[Op]:
            return []

        rt.events.on(BalanceLow, "test.low", hear, wanted=self._keep)

    def _keep(self, event: BalanceLow) -> bool:
        self.events.append(event)
        return True

    def take(self) -> list[tuple[int, int, int]]:
        taken, self.events = [(e.account_id, e.wallet + e.credit_limit, e.threshold) for e in self.events], []
        return taken


async def test_a_low_balance_is_told_once_until_it_has_risen(rt: Runtime, town: Town) -> None:
    heard = Heard(rt)
    await town.open(1, credit=2 * EUR)
    await town.open(2)
    await town.open(3, credit=ledger.NO_LIMIT)
    await town.top_up(1, 10 * EUR)
    thresholds = {1: 5 * EUR, 3: 5 * EUR}

    async def look() -> int:
        return await low.look(rt, thresholds.get)

    assert (await look(), heard.take()) == (0, [])
    await town.accept(1, 8 * EUR)  # 4 are left, with the credit
    assert (await look(), heard.take()) == (1, [(1, 4 * EUR, 5 * EUR)])
    await town.accept(1, EUR)
    assert (await look(), heard.take()) == (0, [])
    await town.top_up(1, 2 * EUR)  # 5: no longer below
    assert (await look(), heard.take()) == (0, [])
    await town.accept(1, 1)
    assert (await look(), heard.take()) == (1, [(1, 5 * EUR - 1, 5 * EUR)])
    thresholds.pop(1)
    assert await look() == 0
    thresholds[1] = 6 * EUR
    assert (await look(), heard.take()) == (1, [(1, 5 * EUR - 1, 6 * EUR)])


async def test_two_nodes_that_look_at_once_tell_it_once(rt: Runtime, town: Town) -> None:
    heard = Heard(rt)
    await town.open(1)
    rows = await rt.store.scan(low.store.STANDINGS())
    assert await low.look(rt, lambda _: 1) == 1

    class Late:
        """A node that read the balances before the first one marked them."""

        clock, events = rt.clock, rt.events

        class store:
            scan = staticmethod(lambda _op: _given(rows))
            write = rt.store.write

    assert await low.look(Late, lambda _: 1) == 0  # type: ignore[arg-type]
    assert len(await rt.store.scan(low.store.STANDINGS())) == 1
    assert len(heard.take()) == 2  # asked for twice, and written once: the second unit failed as a whole


async def _given(rows: object) -> object:
    return rows
