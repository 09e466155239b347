"""Terms: how an account is billed, in which currency, on which credit, by which list."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import ids
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.price_lists import ConditionsShape, account_of, list_number, read_conditions, show_conditions
from chappe.api.shapes import Listed, Page, Time, given, page_of, rfc
from chappe.billing import rating
from chappe.billing.rating import Cap, Particulars, Terms, decimal

resource = Resource(
    "Account terms",
    "How an account is billed. An account without terms is not billed; its currency is for ever. For the operator.",
    scope="rates",
)

ListId = Annotated[str, Meta(description="A list of prices for customers.", examples=["prl_006h3r8k2w0g4"])]
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["100.00"])]
Signed = Annotated[str, Meta(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["20.00"])]
Credit = Annotated[Amount, Meta(description="How far below zero the balance may go: 0 is prepaid, null has no limit.")]
Low = Annotated[Signed, Meta(description="Below which `balance.low` is told.")]
AllowLoss = Annotated[bool, Meta(description="Send even where the price is less than the cost.")]


class CapShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The most that is spent on a day (UTC) on a country; null: on all together."""

    per_day: Amount
    country: Annotated[str, Meta(pattern=r"^([A-Z]{2}|001)$")] | None = None


Line = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ParticularsShape(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What an invoice says of its recipient. `vat_percent` null: as the law of the case says."""

    legal_name: Line = ""
    address: Annotated[list[Line], Meta(max_length=8)] = []
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    vat_id: Annotated[str, Meta(max_length=20, pattern=r"^[A-Z0-9]*$")] = ""
    vat_percent: Annotated[str, Meta(pattern=r"^[0-9]{1,2}(\.[0-9]{1,4})?$", examples=["20"])] | None = None
    payment_days: Annotated[int, Meta(ge=0, le=365)] = 14


class NewTerms(Struct, forbid_unknown_fields=True, kw_only=True):
    """Terms to be. `reseller_id`: the account whose customer it is, and which pays the operator for its messages."""

    account_id: Annotated[str, Meta(examples=["acc_006h3r8k2w0g4"])]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$", examples=["EUR"])]
    price_list_id: ListId
    reseller_id: str | None = None
    credit_limit: Credit | None = "0"
    low_balance: Low | None = None
    allow_loss: AllowLoss = False
    caps: Annotated[list[CapShape], Meta(max_length=300)] = []
    conditions: ConditionsShape = ConditionsShape()
    particulars: ParticularsShape = ParticularsShape()


class TermsChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change."""

    price_list_id: ListId | UnsetType = UNSET
    reseller_id: str | UnsetType | None = UNSET
    credit_limit: Credit | UnsetType | None = UNSET
    low_balance: Low | UnsetType | None = UNSET
    allow_loss: AllowLoss | UnsetType = UNSET
    caps: Annotated[list[CapShape], Meta(max_length=300)] | UnsetType = UNSET
    conditions: ConditionsShape | UnsetType = UNSET
    particulars: ParticularsShape | UnsetType = UNSET


class TermsOut(Struct, frozen=True, kw_only=True):
    """How an account is billed."""

    id: Annotated[str, Meta(examples=["trm_006h3r8k2w0g4"])]
    account_id: str
    currency: str
    price_list_id: str
    reseller_id: str | None
    credit_limit: str | None
    low_balance: str | None
    allow_loss: bool
    caps: list[CapShape]
    conditions: ConditionsShape
    particulars: ParticularsShape
    created_at: Time


@resource.get("/v1/account_terms", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[TermsOut]:
    """List terms."""
    return page_of(rating.book(call.rt).all_terms.values(), query, "trm", _shown, lambda one: one.id)


@resource.get("/v1/account_terms/{id:trm}")
async def get(call: Call, id: int) -> TermsOut:
    """Show terms."""
    return _shown(rating.found_terms(call.rt, id))


@resource.post(
    "/v1/account_terms",
    status=201,
    example={"account_id": "acc_006h3r8k2w0g4", "currency": "EUR", "price_list_id": "prl_006h3r8k2w0g4"},
    errors=("duplicate_name", "conflict"),
)
async def create(call: Call, body: NewTerms) -> TermsOut:
    """Agree terms with an account: it is billed from now on."""
    call.caller.need_live("terms")
    whose = account_of(call, body.account_id)
    assert whose is not None
    fields = _fields(call, given(body) | {"account_id": whose})
    return _shown(await rating.create_terms(call.rt, call.actor, **fields))


@resource.patch("/v1/account_terms/{id:trm}", example={"credit_limit": "500"})
async def update(call: Call, id: int, body: TermsChange) -> TermsOut:
    """Change terms. The account, its currency, and its reseller once it has one, stay."""
    call.caller.need_live("terms")
    return _shown(await rating.update_terms(call.rt, call.actor, id, **_fields(call, given(body))))


def _fields(call: Call, plain: dict[str, Any]) -> dict[str, Any]:
    """What was written, as it is kept."""
    readers: dict[str, Any] = {
        "price_list_id": list_number,
        "reseller_id": lambda text: account_of(call, text, "reseller_id"),
        "credit_limit": rating.micros,
        "low_balance": rating.micros,
        "caps": lambda caps: tuple(_cap(cap) for cap in caps),
        "conditions": read_conditions,
        "particulars": _read_particulars,
    }
    return {name: readers[name](v) if name in readers and v is not None else v for name, v in plain.items()}


def _cap(shape: CapShape) -> Cap:
    return Cap(per_day=rating.micros(shape.per_day), country=shape.country or "")


def _read_particulars(shape: ParticularsShape) -> Particulars:
    vat = None if shape.vat_percent is None else rating.micros(shape.vat_percent) // 100
    return Particulars(
        legal_name=shape.legal_name,
        address=tuple(shape.address),
        country=shape.country or "",
        vat_id=shape.vat_id,
        vat_ppm=vat,
        payment_days=shape.payment_days,
    )


def _shown(terms: Terms) -> TermsOut:
    told = terms.particulars
    return TermsOut(
        id=ids.public("trm", terms.id),
        account_id=ids.public("acc", terms.account_id),
        currency=terms.currency,
        price_list_id=ids.public("prl", terms.price_list_id),
        reseller_id=None if terms.reseller_id is None else ids.public("acc", terms.reseller_id),
        credit_limit=None if terms.credit_limit is None else decimal(terms.credit_limit),
        low_balance=None if terms.low_balance is None else decimal(terms.low_balance),
        allow_loss=terms.allow_loss,
        caps=[CapShape(per_day=decimal(cap.per_day), country=cap.country or None) for cap in terms.caps],
        conditions=show_conditions(terms.conditions),
        particulars=ParticularsShape(
            legal_name=told.legal_name,
            address=list(told.address),
            country=told.country or None,
            vat_id=told.vat_id,
            vat_percent=None if told.vat_ppm is None else rating.percent(told.vat_ppm),
            payment_days=told.payment_days,
        ),
        created_at=rfc(terms.created_at),
    )
