from __future__ import annotations

from typing import Any

import pytest

from chappe.billing import reports
from chappe.billing.reports import usage
from chappe.errors import Refused
from chappe.runtime import Runtime
from tests.billing.reports.town import DAY_MS, Town, now


def halves(amount: int, source: str, target: str, at: int) -> int | None:
    """A dollar is half a euro; of nothing else is a rate known."""
    return amount // 2 if (source, target) == ("USD", "EUR") else None


async def test_margins_put_revenue_and_cost_side_by_side_in_one_currency(rt: Runtime, town: Town) -> None:
    for account_id, currency in ((1, "EUR"), (2, "CHF")):
        await town.open(account_id, currency, credit=10**9)
    await town.open(3, "EUR", credit=10**9, reseller=1)
    await town.settle(await town.accept(1, 100, cost=60, connector_id=7))
    await reports.roll_up(rt)
    await town.settle(await town.accept(1, 100, cost=40, connector_id=8))
    await town.settle(await town.accept(2, 70, cost=20, connector_id=8))
    await town.settle(await town.accept(3, 900, upstream=80, cost=20, connector_id=7))
    day = now() // DAY_MS

    async def told(*groups: Any) -> list[tuple[Any, ...]]:
        found = await reports.margins(rt, groups, day, day, base="EUR", convert=halves, resold=[3])
        return [
            (*m.by, m.messages, dict(m.revenue), dict(m.cost), m.revenue_base, m.cost_base, m.margin_base, m.unknown)
            for m in found
        ]

    assert await told("connector") == [
        (7, 2, {"EUR": 180}, {"USD": 80}, 180, 40, 140, set()),
        (8, 2, {"EUR": 100, "CHF": 70}, {"USD": 60}, 100, 30, None, {"CHF"}),
    ]
    assert await told("account") == [
        (1, 3, {"EUR": 280}, {"USD": 120}, 280, 60, 220, set()),
        (2, 1, {"CHF": 70}, {"USD": 20}, 0, 10, None, {"CHF"}),
    ]
    assert [line[:4] for line in await told("day", "country")] == [
        (day, "FR", 4, {"EUR": 280, "CHF": 70}),
    ]
    assert [line[0] for line in await told("operator")] == ["20801"]


async def test_a_report_of_too_many_lines_is_refused(rt: Runtime, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_ROWS", 1)
    await town.open(1, credit=10**9)
    for operator in ("20801", "20810"):
        await town.settle(await town.accept(1, 1, where=("FR", operator)))
    day = now() // DAY_MS
    assert len(await reports.margins(rt, ("country",), day, day, base="EUR", convert=halves)) == 1
    with pytest.raises(Refused) as caught:
        await reports.margins(rt, ("operator",), day, day, base="EUR", convert=halves)
    assert caught.value.code == "report_too_large"
