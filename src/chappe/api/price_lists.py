"""Price lists: what suppliers ask and customers pay; imports with a preview; the list that a customer reads."""

from __future__ import annotations

import asyncio
import base64
import binascii
import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import accounts, connectors, ids, numbers
from chappe.api.answers import Answer
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, given, listed, moment, page_of, rfc
from chappe.billing import rating
from chappe.billing.rating import FOREVER, Conditions, ConnectorCard, PriceList, Rate, Step, Unpriced, Where, decimal
from chappe.errors import Refused
from chappe.flaws import refusal
from chappe.tabular import Faults

resource = Resource(
    "Price lists",
    "What suppliers ask and what customers pay, by country, operator, channel, kind of sender, purpose and date. A "
    "list changes as a whole: look at a preview, then put exactly that in force. For the operator.",
    scope="rates",
)
cards = Resource(
    "Connector cards",
    "Which supplier's price list says what a connector costs. For the operator.",
    scope="rates",
)
own = Resource("Prices", "What the account pays.", scope="billing", tenant=True)

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["standard-eur"])]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["EUR"])]
Description = Annotated[str, Meta(max_length=200)]
AccountId = Annotated[str, Meta(description="The reseller who sells by it; null is the operator's own.")] | None
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,7}(\.[0-9]{1,6})?$", examples=["0.0725"])]
Country = Annotated[str, Meta(pattern=r"^([A-Z]{2}|001)$", description="ISO 3166-1 alpha-2.", examples=["FR"])]
Operator = Annotated[str, Meta(pattern=r"^[0-9]{5,6}$", description="MCC and MNC.", examples=["20810"])]
MccMnc = Annotated[str, Meta(pattern=r"^[0-9]{5,6}$")]
Kind = Literal["supplier", "customer"]
ChargeOn = Annotated[
    Literal["submit", "delivered"], Meta(description="When a message is charged: taken by a supplier, or delivered.")
]
Mode = Annotated[
    Literal["replace", "merge"],
    Meta(description="`replace`: the list is what the file says; `merge`: only what the file names changes."),
]
When = Annotated[str, Meta(description="RFC 3339.", examples=["2027-01-31T00:00:00Z"])]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SHOWN = 500  # differences in one answer
_SLICE = 1000


class TierShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Past `from_messages` of a month to a country (null: to all together): a discount, or another amount a segment."""

    country: Country | None = None
    from_messages: Annotated[int, Meta(ge=0, le=10**12)]
    discount_percent: Annotated[str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?$")] | None = None
    amount: Amount | None = None
    valid_from: When | None = None
    valid_to: When | None = None


class FeeShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A fee: each month, once, or each month for each name that is registered with an operator."""

    kind: Literal["monthly", "set_up", "sender_name"]
    amount: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]
    country: Country | None = None
    operator: Operator | None = None
    description: Description = ""
    valid_from: When | None = None
    valid_to: When | None = None


class AllowanceShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The first messages of a month to a country (null: to all together) are free."""

    messages: Annotated[int, Meta(ge=1, le=10**12)]
    country: Country | None = None
    valid_from: When | None = None
    valid_to: When | None = None


class CommitmentShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a month comes to at least, before tax."""

    amount: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]
    valid_from: When | None = None
    valid_to: When | None = None


class ConditionsShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is agreed beside the price of a message. `marginal`: a tier's discount is for the messages within it."""

    tiering: Literal["marginal", "whole"] = "marginal"
    tiers: Annotated[list[TierShape], Meta(max_length=1000)] = []
    fees: Annotated[list[FeeShape], Meta(max_length=1000)] = []
    allowances: Annotated[list[AllowanceShape], Meta(max_length=1000)] = []
    commitments: Annotated[list[CommitmentShape], Meta(max_length=100)] = []


class NewPriceList(Struct, forbid_unknown_fields=True, kw_only=True):
    """A list to be; its rates come by an import."""

    name: Name
    kind: Kind
    currency: Currency
    account_id: AccountId = None
    charge_on: ChargeOn = "submit"
    description: Description = ""
    conditions: ConditionsShape = ConditionsShape()


class PriceListChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change; kind, currency and owner stay."""

    name: Name | UnsetType = UNSET
    charge_on: ChargeOn | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    conditions: ConditionsShape | UnsetType = UNSET


class PriceListOut(Struct, frozen=True, kw_only=True):
    """A price list. `version` counts its imports; 0 has no rates yet."""

    id: Annotated[str, Meta(examples=["prl_006h3r8k2w0g4"])]
    name: str
    kind: Kind
    currency: str
    account_id: str | None
    charge_on: Literal["submit", "delivered"]
    description: str
    conditions: ConditionsShape
    version: int
    rows: int
    created_at: Time


class RateOut(Struct, frozen=True, kw_only=True):
    """A row: null fits anything. `amount` null with `served`: the supplier's cost, and `plus` and `percent` on it."""

    country: str | None
    operator: str | None
    operator_name: str | None
    channel: str
    sender_kind: str | None
    purpose: str | None
    per: Literal["segment", "message"]
    served: bool
    amount: str | None
    plus: str | None
    percent: str | None
    roaming: str
    valid_from: Time | None
    valid_to: Time | None


class RateQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Which rows."""

    country: Country | None = None
    version: (
        Annotated[int, Meta(ge=1, le=2**31 - 1, description="An earlier version; else the one in force.")] | None
    ) = None


class VersionQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which version."""

    version: (
        Annotated[int, Meta(ge=1, le=2**31 - 1, description="An earlier version; else the one in force.")] | None
    ) = None


Cell = Annotated[str, Meta(max_length=200)]


class PreviewQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """How a file is read, and what it does to the list."""

    mode: Mode = "replace"
    valid_from: (
        Annotated[
            str,
            Meta(
                description="RFC 3339: from when on the file counts. What counts until then stays; without it a "
                "`replace` is for all times, past ones too."
            ),
        ]
        | None
    ) = None
    sheet: Annotated[str, Meta(max_length=100, description="Of a workbook; else its first.")] | None = None
    column: Annotated[
        tuple[Annotated[str, Meta(max_length=120, pattern=r"^[a-z_]+=.+$")], ...],
        Meta(max_length=20, description="`amount=New rate`: where a column is, by header or position from 1."),
    ] = ()


class NewRates(Struct, forbid_unknown_fields=True, kw_only=True):
    """Rows as JSON: cells by the names of columns, as they would stand in a file. More than 10,000 come as a file."""

    rows: Annotated[list[dict[Annotated[str, Meta(max_length=30)], Cell]], Meta(max_length=10_000)]


class RateFile(Struct):
    """A file, not read yet."""

    data: bytes


class RateFault(Struct, frozen=True, kw_only=True):
    """What is wrong; line 0 is the file as a whole."""

    line: int
    column: str | None
    code: str
    message: str


class RateStep(Struct, frozen=True, kw_only=True):
    """Another price for a stretch of time."""

    kind: Literal["added", "changed", "removed"]
    country: str | None
    operator: str | None
    channel: str
    sender_kind: str | None
    purpose: str | None
    valid_from: Time | None
    valid_to: Time | None
    old: Annotated[str, Meta(examples=["0.07 a segment"])] | None
    new: Annotated[str, Meta(examples=["0.075 a segment"])] | None
    percent: Annotated[str, Meta(description="How much more it is.", examples=["7.14"])] | None


class RatesPreviewOut(Struct, frozen=True, kw_only=True):
    """What an import would change. With faults there is no `preview_digest`, and nothing can be imported."""

    preview_digest: str | None
    rows: Annotated[int, Meta(description="Of the list afterwards.")]
    added: int
    changed: int
    removed: int
    changes: Annotated[list[RateStep], Meta(description="The first 500.")]
    faults: Annotated[list[RateFault], Meta(description="The first 100.")]
    fault_counts: dict[str, int]


class RateImport(Struct, forbid_unknown_fields=True, kw_only=True):
    """Put in force what a preview has shown, exactly."""

    preview_digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    note: Annotated[str, Meta(max_length=200)] = ""


class Restoring(Struct, forbid_unknown_fields=True, kw_only=True):
    """Put an older version in force again."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    note: Annotated[str, Meta(max_length=200)] = ""


class PriceVersionOut(Struct, frozen=True, kw_only=True):
    """A version of a list's rates."""

    version: int
    created_at: Time
    actor: str
    note: str
    rows: int


class PriceVersionList(Struct, frozen=True):
    """The newest first."""

    data: list[PriceVersionOut]


class NewCard(Struct, forbid_unknown_fields=True, kw_only=True):
    """The list of a connector's supplier, in place of the one before."""

    connector: Annotated[str, Meta(max_length=63, description="The name of a connector.", examples=["acme-1"])]
    price_list_id: str


class CardOut(Struct, frozen=True, kw_only=True):
    """What a connector's supplier asks. `connector` is null when it is gone."""

    id: Annotated[str, Meta(examples=["ccd_006h3r8k2w0g4"])]
    connector: str | None
    price_list_id: str
    price_list: str | None
    created_at: Time


class PriceQuestion(Struct, forbid_unknown_fields=True, kw_only=True):
    """What would one message cost whom?"""

    account_id: str
    connector: Annotated[str, Meta(max_length=63, examples=["acme-1"])]
    country: Country
    operator: Operator | None = None
    channel: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "sms"
    sender_kind: Literal["alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc"] = "alphanumeric"
    purpose: Purpose = "transactional"
    segments: Annotated[int, Meta(ge=1, le=255)] = 1
    at: When | None = None
    roaming: bool | None = None


class QuoteOut(Struct, frozen=True, kw_only=True):
    """What it costs whom, or why it is not sent, and how that comes about."""

    currency: str | None
    price: str | None
    upstream: Annotated[str, Meta(description="What the account's reseller pays, in the reseller's currency.")] | None
    cost: str | None
    cost_currency: str | None
    refused: Annotated[str, Meta(examples=["price_below_cost"])] | None
    explanation: list[str]


class OwnPrices(Struct, frozen=True, kw_only=True):
    """The prices of the account, now and to come."""

    currency: str | None
    charge_on: Literal["submit", "delivered"] | None
    data: list[RateOut]
    next_cursor: str | None
    has_more: bool


# -- lists ---------------------------------------------------------------------------------------------------------


@resource.get("/v1/price_lists", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[PriceListOut]:
    """List price lists."""
    lists = rating.book(call.rt).lists.values()
    return page_of(lists, query, "prl", lambda one: _shown(call, one), lambda one: one.id)


@resource.get("/v1/price_lists/{id:prl}")
async def get(call: Call, id: int) -> PriceListOut:
    """Show a price list."""
    return _shown(call, rating.found_list(call.rt, id))


@resource.post(
    "/v1/price_lists",
    status=201,
    example={"name": "standard-eur", "kind": "customer", "currency": "EUR"},
    errors=("duplicate_name",),
)
async def create(call: Call, body: NewPriceList) -> PriceListOut:
    """Make a price list."""
    call.caller.need_live("prices")
    made = await rating.create_list(
        call.rt,
        call.actor,
        name=body.name,
        kind=body.kind,
        currency=body.currency,
        account_id=account_of(call, body.account_id),
        charge_on=body.charge_on,
        description=body.description,
        conditions=read_conditions(body.conditions),
    )
    return _shown(call, made)


@resource.patch("/v1/price_lists/{id:prl}", example={"charge_on": "delivered"}, errors=("duplicate_name",))
async def update(call: Call, id: int, body: PriceListChange) -> PriceListOut:
    """Change a price list."""
    call.caller.need_live("prices")
    fields = given(body)
    if "conditions" in fields:
        fields["conditions"] = read_conditions(fields["conditions"])
    return _shown(call, await rating.update_list(call.rt, call.actor, id, **fields))


@resource.delete("/v1/price_lists/{id:prl}", errors=("in_use",))
async def delete(call: Call, id: int) -> None:
    """Remove a price list that nobody uses."""
    call.caller.need_live("prices")
    await rating.delete_list(call.rt, call.actor, id)


# -- rates ---------------------------------------------------------------------------------------------------------


@resource.get("/v1/price_lists/{id:prl}/rates", errors=("invalid_cursor",))
async def rates(call: Call, id: int, query: RateQuery) -> Listed[RateOut]:
    """List the rates of a price list, by country and operator."""
    card = await rating.card_of_version(call.rt, id, query.version)
    rows, cursor = _rows(iter(card), query, query.country)
    return listed(map(rate_out, rows), cursor)


@resource.get("/v1/price_lists/{id:prl}/export", media=("text/csv",))
async def export(call: Call, id: int, query: VersionQuery) -> Answer:
    """Download a price list as CSV, as an import takes it."""
    found = rating.found_list(call.rt, id)
    card = await rating.card_of_version(call.rt, id, query.version)
    return csv_answer(found.name, _csv_lines(list(card), found.currency))


@resource.post(
    "/v1/price_lists/{id:prl}/rates/preview",
    example={"rows": [{"country": "FR", "operator": "Orange", "amount": "0.0725"}]},
    reads={"text/csv": RateFile, XLSX: RateFile, "application/octet-stream": RateFile},
)
async def preview(call: Call, id: int, query: PreviewQuery, body: NewRates) -> RatesPreviewOut:
    """Show what an import would change.

    The rows come as CSV of any layout, as an Excel workbook, or as JSON. Columns are found by their headers: country,
    operator (name or MCC-MNC), channel, sender_kind, purpose, per, amount, plus, percent, roaming, currency,
    valid_from, valid_to. Nothing is in force until the digest is imported.
    """
    call.caller.need_live("prices")
    found = rating.found_list(call.rt, id)
    since = moment(query.valid_from, "valid_from") if query.valid_from is not None else None
    if isinstance(body, RateFile):
        read = await _read(found, body.data, query, since or 0)
    else:
        _check_names(body.rows)
        read = await asyncio.to_thread(rating.read_rows, body.rows, found.kind, found.currency, valid_from=since or 0)
    seen = await rating.preview(call.rt, id, read, mode=query.mode, since=since)
    return _preview_out(seen)


@resource.post(
    "/v1/price_lists/{id:prl}/rates/import",
    example={"preview_digest": "0" * 64, "note": "notice of 2027-01-15"},
    errors=("preview_outdated", "conflict"),
)
async def import_(call: Call, id: int, body: RateImport) -> PriceListOut:
    """Put in force exactly what a preview has shown."""
    call.caller.need_live("prices")
    return _shown(call, await rating.apply_preview(call.rt, call.actor, id, body.preview_digest, body.note))


@resource.get("/v1/price_lists/{id:prl}/versions")
async def versions(call: Call, id: int) -> PriceVersionList:
    """List the versions of a price list."""
    found = await rating.versions(call.rt, id)
    return PriceVersionList(
        [
            PriceVersionOut(
                version=one.number, created_at=rfc(one.created_at), actor=one.actor, note=one.note, rows=one.rows
            )
            for one in found
        ]
    )


@resource.post("/v1/price_lists/{id:prl}/restore", example={"version": 1}, errors=("conflict",))
async def restore(call: Call, id: int, body: Restoring) -> PriceListOut:
    """Put an older version in force again, as a new one."""
    call.caller.need_live("prices")
    return _shown(call, await rating.restore(call.rt, call.actor, id, body.version, body.note))


@resource.post(
    "/v1/price_lists/explain",
    example={"account_id": "acc_006h3r8k2w0g4", "connector": "acme-1", "country": "FR", "segments": 2},
    errors=("connector_unknown",),
)
async def explain(call: Call, body: PriceQuestion) -> QuoteOut:
    """Tell what one message would cost whom, and how that comes about."""
    whose = account_of(call, body.account_id)
    assert whose is not None
    by = _connector(call, body.connector)
    where = Where(body.country, body.operator, body.channel, body.sender_kind, body.purpose)
    at = moment(body.at, "at") if body.at is not None else call.rt.clock.now()
    book = rating.book(call.rt)
    quote = book.quote(whose, by, where, body.segments, at, body.roaming)
    lines = book.explain(whose, by, where, body.segments, at, body.roaming)
    if isinstance(quote, Unpriced):
        return QuoteOut(
            currency=None,
            price=None,
            upstream=None,
            cost=None,
            cost_currency=None,
            refused=quote.code,
            explanation=lines,
        )
    return QuoteOut(
        currency=quote.currency,
        price=_maybe(quote.price),
        upstream=_maybe(quote.upstream),
        cost=_maybe(quote.cost),
        cost_currency=quote.cost_currency,
        refused=None,
        explanation=lines,
    )


# -- cards ---------------------------------------------------------------------------------------------------------


@cards.get("/v1/connector_cards", errors=("invalid_cursor",))
async def list_cards(call: Call, query: Page) -> Listed[CardOut]:
    """List cards."""
    found = rating.book(call.rt).connector_cards.values()
    return page_of(found, query, "ccd", lambda one: _card(call, one), lambda one: one.id)


@cards.get("/v1/connector_cards/{id:ccd}")
async def show_card(call: Call, id: int) -> CardOut:
    """Show a card."""
    return _card(call, rating.found_card(call.rt, id))


@cards.post(
    "/v1/connector_cards",
    status=201,
    example={"connector": "acme-1", "price_list_id": "prl_006h3r8k2w0g4"},
    errors=("connector_unknown", "conflict"),
)
async def set_card(call: Call, body: NewCard) -> CardOut:
    """Set the card of a connector."""
    call.caller.need_live("prices")
    number = list_number(body.price_list_id)
    made = await rating.set_card(call.rt, call.actor, _connector(call, body.connector), number)
    return _card(call, made)


@cards.delete("/v1/connector_cards/{id:ccd}")
async def delete_card(call: Call, id: int) -> None:
    """Remove a card: what the connector costs is not known from then on."""
    call.caller.need_live("prices")
    await rating.delete_card(call.rt, call.actor, id)


# -- what a customer reads -----------------------------------------------------------------------------------------


class PriceQuery(Page, forbid_unknown_fields=True, kw_only=True):
    """Which prices."""

    country: Country | None = None


@own.get("/v1/prices", errors=("invalid_cursor",))
async def prices(call: Call, query: PriceQuery) -> OwnPrices:
    """Show what the account pays, now and to come.

    An account that is not billed has no prices.
    """
    book, now = rating.book(call.rt), call.rt.clock.now()
    terms = book.terms(call.account_id)
    found = None if terms is None else book.price_list(terms.price_list_id)
    if found is None:
        return OwnPrices(currency=None, charge_on=None, data=[], next_cursor=None, has_more=False)
    current = (rate for rate in book.card(found.id) if rate.valid_to > now)
    rows, cursor = _rows(current, query, query.country)
    shown = [rate_out(rate) for rate in rows]
    return OwnPrices(
        currency=found.currency,
        charge_on=found.charge_on,
        data=shown,
        next_cursor=cursor,
        has_more=cursor is not None,
    )


@own.get("/v1/prices/export", media=("text/csv",))
async def export_prices(call: Call) -> Answer:
    """Download what the account pays as CSV."""
    book, now = rating.book(call.rt), call.rt.clock.now()
    terms = book.terms(call.account_id)
    found = None if terms is None else book.price_list(terms.price_list_id)
    rows = [] if found is None else [rate for rate in book.card(found.id) if rate.valid_to > now]
    return csv_answer("prices", _csv_lines(rows, found.currency if found is not None else ""))


# -- translating ---------------------------------------------------------------------------------------------------


def account_of(call: Call, text: str | None, param: str = "account_id") -> int | None:
    """The number of an account that there is. Raises Refused."""
    if text is None:
        return None
    number = ids.parse("acc", text)
    if number is None or accounts.directory(call.rt).account(number) is None:
        raise Refused("invalid_value", "There is no such account.", param=param)
    return number


def list_number(text: str) -> int:
    number = ids.parse("prl", text)
    if number is None:
        raise Refused("invalid_value", "There is no such price list.", param="price_list_id")
    return number


def read_conditions(shape: ConditionsShape, param: str = "conditions") -> Conditions:
    """Conditions as they are kept; raises Refused."""

    def fields(one: Any, place: str) -> dict[str, Any]:
        plain = {name: value for name, value in msgspec.structs.asdict(one).items() if value is not None}
        for name in ("valid_from", "valid_to"):
            if name in plain:
                plain[name] = moment(plain[name], f"{param}.{place}.{name}")
        if "amount" in plain:
            plain["amount"] = rating.micros(plain["amount"])
        if "discount_percent" in plain:
            plain["discount_ppm"] = rating.micros(plain.pop("discount_percent")) // 100
        return plain

    def all_of(name: str) -> list[dict[str, Any]]:
        return [fields(one, f"{name}[{index}]") for index, one in enumerate(getattr(shape, name))]

    names = ("tiers", "fees", "allowances", "commitments")
    plain = {"tiering": shape.tiering} | {name: all_of(name) for name in names}
    try:
        return msgspec.convert(plain, Conditions)
    except msgspec.ValidationError as error:
        found = refusal(error, Conditions)
        place = f"{param}.{found.param}".replace("discount_ppm", "discount_percent")
        raise Refused(found.code, found.message, param=place) from None


def show_conditions(kept: Conditions) -> ConditionsShape:
    def fields(one: Any) -> dict[str, Any]:
        plain = {name: value for name, value in msgspec.structs.asdict(one).items() if value not in ("", None)}
        since, until = plain.pop("valid_from"), plain.pop("valid_to")
        plain |= ({"valid_from": rfc(since)} if since else {}) | ({"valid_to": rfc(until)} if until < FOREVER else {})
        if "amount" in plain:
            plain["amount"] = decimal(plain["amount"])
        if "discount_ppm" in plain:
            plain["discount_percent"] = rating.percent(plain.pop("discount_ppm"))
        return plain

    return ConditionsShape(
        tiering=kept.tiering,
        tiers=[TierShape(**fields(one)) for one in kept.tiers],
        fees=[FeeShape(**fields(one)) for one in kept.fees],
        allowances=[AllowanceShape(**fields(one)) for one in kept.allowances],
        commitments=[CommitmentShape(**fields(one)) for one in kept.commitments],
    )


def rate_out(rate: Rate) -> RateOut:
    holder = numbers.operators().get(rate.operator) if rate.operator else None
    return RateOut(
        country=rate.country or None,
        operator=rate.operator or None,
        operator_name=None if holder is None else holder.brand,
        channel=rate.channel,
        sender_kind=rate.sender_kind or None,
        purpose=rate.purpose or None,
        per=rate.per,
        served=rate.served,
        amount=_maybe(rate.amount),
        plus=_maybe(rate.plus),
        percent=None if rate.percent_ppm is None else rating.percent(rate.percent_ppm),
        roaming=decimal(rate.roaming),
        valid_from=rfc(rate.valid_from) if rate.valid_from else None,
        valid_to=rfc(rate.valid_to) if rate.valid_to < FOREVER else None,
    )


def _rows(rates: Iterator[Rate], page: Page, country: str | None) -> tuple[list[Rate], str | None]:
    """A page of rows in their order; the cursor is the place of the next."""
    start = place_of(page.cursor)
    fitting = (rate for rate in rates if country is None or rate.country == country)
    rows = list(islice(fitting, start, start + page.limit + 1))
    more = len(rows) > page.limit
    return rows[: page.limit], cursor_at(start + page.limit) if more else None


def cursor_at(place: int) -> str:
    """The cursor of a list that is in an order of its own, by place."""
    return base64.urlsafe_b64encode(b"%d" % place).decode().rstrip("=")


def place_of(cursor: str | None) -> int:
    """Raises Refused invalid_cursor."""
    if cursor is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        text = b""
    if not text.isdigit() or len(text) > 9 or cursor_at(int(text)) != cursor:
        raise Refused("invalid_cursor", param="cursor")
    return int(text)


async def _read(found: PriceList, data: bytes, query: PreviewQuery, valid_from: int) -> rating.Read:
    rows = await rating.csv_of(data, query.sheet)
    if not isinstance(rows, bytes):
        faults = Faults()
        faults.add(*rows)
        return rating.Read([], [], faults)
    mapping: dict[str, str | int] = {}
    for entry in query.column:
        name, _, place = entry.partition("=")
        if name not in rating.COLUMNS:
            words = f"There is no column {name}; the columns are: {', '.join(rating.COLUMNS)}."
            raise Refused("invalid_value", words, param="column")
        mapping[name] = int(place) if place.isdecimal() and len(place) < 5 else place
    return await asyncio.to_thread(
        rating.read_rates, rows, found.kind, found.currency, mapping=mapping, valid_from=valid_from
    )


def _check_names(rows: Iterable[Mapping[str, str]]) -> None:
    for index, row in enumerate(rows):
        for name in row:
            if name not in rating.COLUMNS:
                words = f"There is no column {name}; the columns are: {', '.join(rating.COLUMNS)}."
                raise Refused("unknown_field", words, param=f"rows[{index}].{name}")


def _preview_out(seen: rating.Preview) -> RatesPreviewOut:
    kinds = [step.kind for step in seen.steps]
    return RatesPreviewOut(
        preview_digest=seen.digest,
        rows=seen.rows,
        added=kinds.count("added"),
        changed=kinds.count("changed"),
        removed=kinds.count("removed"),
        changes=[_step(step) for step in seen.steps[:_SHOWN]],
        faults=[
            RateFault(line=one.line, column=one.column or None, code=one.code, message=one.message)
            for one in seen.faults
        ],
        fault_counts=dict(sorted(seen.faults.counts.items())),
    )


def _step(step: Step) -> RateStep:
    channel, country, operator, sender_kind, purpose = step.key
    return RateStep(
        kind=step.kind,
        country=country or None,
        operator=operator or None,
        channel=channel,
        sender_kind=sender_kind or None,
        purpose=purpose or None,
        valid_from=rfc(step.since) if step.since else None,
        valid_to=rfc(step.until) if step.until < FOREVER else None,
        old=_spelt(step.old),
        new=_spelt(step.new),
        percent=rating.change_percent(step.old, step.new),
    )


def _spelt(rate: Rate | None) -> str | None:
    """A price in words: `0.0725 a segment`, `cost + 0.02 a message`, `not served`."""
    if rate is None:
        return None
    if not rate.served:
        return "not served"
    if rate.amount is not None:
        text = f"{decimal(rate.amount)} a {rate.per}"
    else:
        text = "cost" + (f" + {rating.percent(rate.percent_ppm)} %" if rate.percent_ppm else "")
        text += f" + {decimal(rate.plus)} a {rate.per}" if rate.plus else ""
    return text + (f", {decimal(rate.roaming)} more when roaming" if rate.roaming else "")


_HEADER = (
    *("country", "operator", "operator_name", "channel", "sender_kind", "purpose", "per", "amount", "plus", "percent"),
    *("roaming", "currency", "valid_from", "valid_to"),
)


async def _csv_lines(rows: list[Rate], currency: str) -> AsyncIterator[bytes]:
    yield (",".join(_HEADER) + "\r\n").encode()
    for start in range(0, len(rows), _SLICE):
        text = io.StringIO()
        writer = csv.writer(text)
        for rate in rows[start : start + _SLICE]:
            shown = msgspec.structs.asdict(rate_out(rate)) | {"currency": currency}
            shown["amount"] = shown["amount"] if shown["amount"] or rate.served else "not served"
            shown["operator"] = shown["operator"] or ""
            writer.writerow(["" if shown[name] is None else shown[name] for name in _HEADER])
        yield text.getvalue().encode()
        await asyncio.sleep(0)  # a list may have 100,000 rows


def csv_answer(name: str, chunks: AsyncIterator[bytes]) -> Answer:
    filename = f"attachment; filename={name}.csv".encode()
    return Answer(200, b"", ((b"content-type", b"text/csv"), (b"content-disposition", filename)), chunks=chunks)


def _connector(call: Call, name: str) -> int:
    connector = connectors.book(call.rt).by_name(name)
    if connector is None:
        raise Refused("connector_unknown", f"There is no connector {name}.", param="connector")
    return connector.id


def _card(call: Call, card: ConnectorCard) -> CardOut:
    connector = connectors.book(call.rt).get(card.connector_id)
    found = rating.book(call.rt).price_list(card.price_list_id)
    return CardOut(
        id=ids.public("ccd", card.id),
        connector=None if connector is None else connector.name,
        price_list_id=ids.public("prl", card.price_list_id),
        price_list=None if found is None else found.name,
        created_at=rfc(card.created_at),
    )


def _shown(call: Call, one: PriceList) -> PriceListOut:
    return PriceListOut(
        id=ids.public("prl", one.id),
        name=one.name,
        kind=one.kind,
        currency=one.currency,
        account_id=None if one.account_id is None else ids.public("acc", one.account_id),
        charge_on=one.charge_on,
        description=one.description,
        conditions=show_conditions(one.conditions),
        version=one.version,
        rows=len(rating.book(call.rt).card(one.id)),
        created_at=rfc(one.created_at),
    )


def _maybe(amount: int | None) -> str | None:
    return None if amount is None else decimal(amount)
