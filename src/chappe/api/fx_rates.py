"""Rates of exchange, by day."""

from __future__ import annotations

import asyncio
from typing import Annotated

from msgspec import Meta, Struct

from chappe import ids
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.price_lists import cursor_at, place_of
from chappe.api.shapes import Listed, Page, Time, listed, rfc
from chappe.billing import rating
from chappe.billing.rating import FxRate
from chappe.errors import Detail, Refused

resource = Resource(
    "FX rates",
    "What one currency was worth in another, by day: costs in other currencies than prices are compared by them. "
    "A conversion takes the rate of its day, or the last before. For the operator.",
    scope="rates",
)

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["USD"])]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2026-11-20"])]


class FxQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Which rates."""

    base: Currency | None = None
    quote: Currency | None = None
    since: Annotated[Day, Meta(description="The first day.")] | None = None
    until: Annotated[Day, Meta(description="The last day.")] | None = None


class FxFileQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """How a file is read whose rows do not say it."""

    base: Annotated[Currency, Meta(description="Of a file with a column a currency.")] = "EUR"
    source: Annotated[str, Meta(min_length=1, max_length=200, description="Who published it.")] = (
        "ECB euro foreign exchange reference rates"
    )


class FxRateShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One `base` is `rate` `quote`."""

    base: Currency
    quote: Currency
    day: Day
    rate: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,12})?$", examples=["1.0823"])]
    source: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class NewFxRates(Struct, forbid_unknown_fields=True, kw_only=True):
    """Rates to add; one of the same currencies and day is replaced. More than 500 come as CSV."""

    rates: Annotated[list[FxRateShape], Meta(min_length=1, max_length=500)]


class FxFile(Struct):
    """A CSV file, not read yet."""

    data: bytes


class FxImportOut(Struct, frozen=True, kw_only=True):
    """Rates that came in together."""

    id: Annotated[str, Meta(examples=["fxi_006h3r8k2w0g4"])]
    rates: int
    first_day: str
    last_day: str
    source: str
    created_at: Time


@resource.get("/v1/fx_rates", errors=("invalid_cursor",))
async def list_(call: Call, query: FxQuery) -> Listed[FxRateShape]:
    """List rates of exchange, the latest day first."""
    start = place_of(query.cursor)
    found = await rating.fx_rates(
        call.rt,
        base=query.base,
        quote=query.quote,
        first=None if query.since is None else _day(query.since, "since"),
        last=None if query.until is None else _day(query.until, "until"),
        limit=query.limit + 1,
        offset=start,
    )
    cursor = cursor_at(start + query.limit) if len(found) > query.limit else None
    return listed(map(_shown, found[: query.limit]), cursor)


@resource.post(
    "/v1/fx_rates",
    status=201,
    example={
        "rates": [{"base": "EUR", "quote": "USD", "day": "2026-11-20", "rate": "1.0823", "source": "treasury desk"}]
    },
    errors=("csv_invalid", "conflict"),
    reads={"text/csv": FxFile},
)
async def create(call: Call, query: FxFileQuery, body: NewFxRates) -> FxImportOut:
    """Add rates of exchange.

    As JSON, or as `text/csv`: a row a rate (`day,base,quote,rate,source`), or the European Central Bank's reference
    rates as it publishes them, a column a currency. With a fault nothing is added.
    """
    call.caller.need_live("rates of exchange")
    if isinstance(body, FxFile):
        rates = await asyncio.to_thread(_from_file, body.data, query)
    else:
        rates = [_rate(one, f"rates[{index}]") for index, one in enumerate(body.rates)]
    made = await rating.import_fx(call.rt, call.actor, rates)
    return FxImportOut(
        id=ids.public("fxi", made.id),
        rates=made.rates,
        first_day=made.first_day,
        last_day=made.last_day,
        source=made.source,
        created_at=rfc(made.created_at),
    )


def _from_file(data: bytes, query: FxFileQuery) -> list[FxRate]:
    rates, faults = rating.read_fx(data, base=query.base, source=query.source)
    if len(faults):
        details = [Detail(f"line {one.line}" if one.line else "file", one.message) for one in faults]
        raise Refused("csv_invalid", f"{details[0].param}: {details[0].message}", details=details)
    return rates


def _rate(shape: FxRateShape, param: str) -> FxRate:
    if shape.base == shape.quote:
        raise Refused("invalid_value", f"{shape.base} in {shape.quote} says nothing.", param=f"{param}.quote")
    try:
        ppb = rating.ppb_of(shape.rate)
    except ValueError as error:
        raise Refused("invalid_value", f"{shape.rate}: {error}.", param=f"{param}.rate") from None
    return FxRate(shape.base, shape.quote, _day(shape.day, f"{param}.day"), ppb, shape.source)


def _day(text: str, param: str) -> int:
    try:
        return rating.day_of(text)
    except ValueError:
        raise Refused("invalid_value", f"{text} is no day: write it like 2026-11-20.", param=param) from None


def _shown(rate: FxRate) -> FxRateShape:
    return FxRateShape(
        base=rate.base,
        quote=rate.quote,
        day=rating.day_text(rate.day),
        rate=rating.ppb_text(rate.rate_ppb),
        source=rate.source,
    )
