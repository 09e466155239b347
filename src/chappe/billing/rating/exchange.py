"""Rates of exchange come in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chappe.accounts import Change
from chappe.billing.rating import store
from chappe.billing.rating.fx import FxRate, day_text
from chappe.billing.rating.model import FxImport
from chappe.errors import Refused
from chappe.storage import core

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def import_fx(rt: Runtime, actor: str, rates: Iterable[FxRate]) -> FxImport:
    """Add rates; one of the same pair and day is replaced. Raises Refused invalid_value for none at all."""
    found = {rate[:3]: rate for rate in rates}
    if not found:
        raise Refused("invalid_value", "There are no rates of exchange in it.", param="rates")
    days = [rate.day for rate in found.values()]
    sources = sorted({rate.source for rate in found.values()})
    made = FxImport(
        id=rt.ids.next(),
        source=", ".join(sources)[:200],
        rates=len(found),
        first_day=day_text(min(days)),
        last_day=day_text(max(days)),
        created_at=rt.clock.now(),
    )
    change = Change(rt, actor)
    change.create(store.FX_IMPORTS, made)
    change.also(*store.put_fx(sorted(found.values())))
    await change.commit()
    return made


async def fx_rates(
    rt: Runtime,
    *,
    base: str | None = None,
    quote: str | None = None,
    first: int | None = None,
    last: int | None = None,
    limit: int,
    offset: int = 0,
) -> list[FxRate]:
    """What is known, the latest day first, by pair within it; days since 1970-01-01, both ends included."""
    table = store.fx_rates
    query = sa.select(table).order_by(table.c.day.desc(), table.c.base, table.c.quote).limit(limit).offset(offset)
    for column, value in ((table.c.base, base), (table.c.quote, quote)):
        if value is not None:
            query = query.where(column == value)
    if first is not None:
        query = query.where(table.c.day >= first)
    if last is not None:
        query = query.where(table.c.day <= last)
    statement, params = core(query)
    return [FxRate(*row) for row in await rt.store.scan(statement(params))]
