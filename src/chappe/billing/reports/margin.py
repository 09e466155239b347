"""What was earned: revenue and cost side by side, by any dimension, each in its own currency and in the house's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from chappe.billing.reports.usage import DAY_MS, Dimension, used_by_all

if TYPE_CHECKING:
    from chappe.runtime import Runtime

DIMENSIONS: Final[tuple[Dimension, ...]] = ("route", "connector", "account", "country", "operator", "day")

Convert = Callable[[int, str, str, int], int | None]
"""`convert(micros, from, to, at)`: in the other currency by the rate of that time; None where there is none."""


@dataclass(slots=True)
class Margin:
    """A line: sums of micro-units by currency. `revenue_base` and `cost_base` are in the house's currency; what could
    not be converted is not in them, and its currencies stand in `unknown`."""

    by: tuple[Any, ...]
    messages: int = 0
    segments: int = 0
    delivered: int = 0
    failed: int = 0
    revenue: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    cost: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    revenue_base: int = 0
    cost_base: int = 0
    unknown: set[str] = field(default_factory=set)

    @property
    def margin_base(self) -> int | None:
        """None while an amount is missing from it."""
        return None if self.unknown else self.revenue_base - self.cost_base


async def margins(
    rt: Runtime,
    groups: Sequence[Dimension],
    first: int,
    last: int,
    *,
    base: str,
    convert: Convert,
    resold: Collection[int] = (),
) -> list[Margin]:
    """From day to day (since 1970, both included), in the order of `groups`. Amounts are converted by the rate of their
    day. `resold` accounts are customers of a reseller, which pays us for them and stands in their place. Raises
    Refused."""
    width = len(groups)
    found: dict[tuple[Any, ...], Margin] = {}
    for row in await used_by_all(rt, groups, first, last, resold):
        by, (day, currency, cost_currency), counts = tuple(row[:width]), row[width : width + 3], row[width + 3 :]
        line = found.get(by)
        if line is None:
            line = found[by] = Margin(by)
        messages, segments, delivered, failed, charged, cost = counts
        line.messages += messages
        line.segments += segments
        line.delivered += delivered
        line.failed += failed
        at = day * DAY_MS
        if charged:
            line.revenue[currency] += charged
            line.revenue_base += _base(line, charged, currency, base, at, convert)
        if cost:
            line.cost[cost_currency] += cost
            line.cost_base += _base(line, cost, cost_currency, base, at, convert)
    return [found[by] for by in sorted(found)]


def _base(line: Margin, amount: int, currency: str, base: str, at: int, convert: Convert) -> int:
    """In the house's currency; 0, and a word of it, where there is no rate."""
    told = amount if currency == base else convert(amount, currency, base, at)
    if told is None:
        line.unknown.add(currency)
        return 0
    return told
