"""What look-ups have cost an account, as its bills will have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chappe.lookups import store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class DayCost(NamedTuple):
    """What the answers of one source cost on one day (UTC), in micro-units."""

    day: str
    source_id: int
    currency: str
    lookups: int
    cost_micros: int


def decimal(micros: int) -> str:
    """`0.0045` of 4500 millionths."""
    whole, part = divmod(abs(micros), 1_000_000)
    text = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micros < 0 else text


async def costs_by_day(rt: Runtime, account_id: int, since: str, until: str) -> list[DayCost]:
    """The earliest first; `since` and `until` are dates, both included. Raises Unavailable."""
    span = {"account_id": account_id, "since": since, "until": until}
    return [DayCost(*row) for row in await rt.store.scan(store.COSTS_BY_DAY(span))]
