"""What was used, by day and dimension: added up by one node from what the units have counted, and read back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from chappe import ids
from chappe.billing.ledger import store as ledger
from chappe.billing.reports import store
from chappe.errors import Refused
from chappe.storage import Conflict

if TYPE_CHECKING:
    from chappe.runtime import Runtime

DAY_MS: Final = 86_400_000
EVERY_S: Final = 5.0
SLICE: Final = 5_000  # rows in one unit
MOST_SLICES: Final = 100  # in one run: then others have their turn
LATE_S: Final = 60.0
MOST_DAYS: Final = 400  # in one report
MOST_ROWS: Final = 100_000

Dimension = Literal["day", "country", "operator", "tag", "sender", "purpose", "connector", "route", "account"]
COLUMN: Final[dict[Dimension, str]] = {
    "day": "day",
    "country": "country",
    "operator": "operator",
    "tag": "tag",
    "sender": "sender",
    "purpose": "purpose",
    "connector": "connector_id",
    "route": "route_id",
    "account": "account_id",
}
_KEY = len(ledger.DIMENSIONS)
_SHOWN = ("messages", "segments", "delivered", "failed", "charged")


@dataclass(frozen=True, slots=True)
class Used:
    """A line of a report: `by` holds the values of the dimensions asked for; `charged` is micro-units of `currency`."""

    by: tuple[Any, ...]
    currency: str
    messages: int
    segments: int
    delivered: int
    failed: int
    charged: int


# -- rolling up ----------------------------------------------------------------------------------------------------


async def roll_up(rt: Runtime) -> int:
    """Add the news to `usage`, slice by slice; gives how many rows. Each is added exactly once, whoever else tries and
    whatever crashes: the very rows that were read are deleted in the unit that adds them, or nothing happens.

    They are not read by a mark: on PostgreSQL a lower id may be committed later. Raises Unavailable.
    """
    done = 0
    for _ in range(MOST_SLICES):
        rows = await rt.store.scan(ledger.USAGE_NEWS({"limit": SLICE}))
        if not rows:
            break
        sums = _sums(rows)
        try:
            await rt.store.write(
                ledger.ADD_USAGE([(*key, *counts) for key, counts in sums.items()]),
                ledger.DROP_USAGE_NEWS([(row[0],) for row in rows], expect=len(rows)),
            )
        except Conflict:  # another node is at it
            break
        done += len(rows)
        if len(rows) < SLICE:
            break
    return done


def _sums(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], list[int]]:
    """By their dimensions; rows are (id, dimensions, counts)."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        key, counts = tuple(row[1 : 1 + _KEY]), row[1 + _KEY :]
        known = found.get(key)
        if known is None:
            found[key] = list(counts)
        else:
            for place, count in enumerate(counts):
                known[place] += count
    return dict(sorted(found.items()))


async def lag_s(rt: Runtime) -> float:
    """How old the oldest news is that is not in `usage` yet. Raises Unavailable."""
    [(oldest,)] = await rt.store.scan(store.OLDEST_NEWS())
    return 0.0 if oldest is None else max(0.0, (rt.clock.now() - ids.millis(oldest)) / 1000)


async def late(rt: Runtime) -> str | None:
    """Words for an alarm, when usage is not rolled up any more."""
    lag = await lag_s(rt)
    return f"usage of {lag:.0f} s ago is not added up yet" if lag > LATE_S else None


# -- reading -------------------------------------------------------------------------------------------------------


async def used(
    rt: Runtime, account_id: int, groups: Sequence[Dimension], first: int, last: int, *, limit: int
) -> list[Used]:
    """What an account used from day to day (since 1970, both included), by `groups` and currency, in their order; at
    most `limit` lines. What it cost us is not among it. Raises Refused: invalid_value, report_too_large."""
    tags = "tag" in groups
    if tags and not set(groups) <= {"tag", "day"}:
        raise Refused("invalid_value", "Tags are counted by day only, apart from other dimensions.", param="group_by")
    check_span(first, last)
    by = tuple(dict.fromkeys(COLUMN[name] for name in groups))
    statement = store.usage_by((*by, "currency"), _SHOWN, tags=tags, one=True)
    params = {"days": store.days(first, last), "account_id": account_id, "limit": limit}
    rows = await rt.store.scan(statement(params))
    width = len(by)
    return [Used(tuple(row[:width]), *row[width:]) for row in rows]


async def used_by_all(
    rt: Runtime, groups: Sequence[Dimension], first: int, last: int, resold: Collection[int]
) -> list[tuple[Any, ...]]:
    """What all used, by `groups`, then day, currency and currency of the cost: messages, segments, delivered, failed,
    charged, cost. `resold` accounts pay their reseller, who stands for them. Raises Refused report_too_large."""
    check_span(first, last)
    by = tuple(COLUMN[name] for name in groups)
    counts = ledger.COUNTS
    columns = tuple(dict.fromkeys([*by, "day", "currency", "cost_currency"]))
    statement = store.usage_by(columns, counts, tags=False, one=False)
    params = {"days": store.days(first, last), "resold": list(resold), "limit": MOST_ROWS + 1}
    rows = await rt.store.scan(statement(params))
    if len(rows) > MOST_ROWS:
        raise Refused("report_too_large", param="since")
    places = [columns.index(name) for name in (*by, "day", "currency", "cost_currency")]
    return [(*(row[place] for place in places), *row[len(columns) :]) for row in rows]


def check_span(first: int, last: int) -> None:
    """Raises Refused."""
    if last < first:
        raise Refused("invalid_value", "The last day lies before the first.", param="until")
    if last - first >= MOST_DAYS:
        raise Refused("report_too_large", f"A report tells of at most {MOST_DAYS} days.", param="since")
