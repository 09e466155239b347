"""Price lists, the terms of an account, and what else money depends on. Pure.

Amounts are integers of micro-units (0.0725 EUR is 72,500), shares are parts per million, times are milliseconds since
the epoch. What is dated counts from `valid_from` on, up to before `valid_to`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

MOST = 1_000_000_000_000  # micro-units: a million for one message is a slip of the pen
MOST_A_MONTH = 1_000_000_000_000_000
MILLION = 1_000_000
FOREVER = 1 << 62

Micros = Annotated[int, Meta(ge=0, le=MOST)]
Monthly = Annotated[int, Meta(ge=0, le=MOST_A_MONTH)]
Share = Annotated[int, Meta(ge=0, le=MILLION)]
Moment = Annotated[int, Meta(ge=0, le=FOREVER)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
AnyCountry = Annotated[str, Meta(pattern=r"^([A-Z]{2}|001|)$")]  # 001: numbers of no country
AnyOperator = Annotated[str, Meta(pattern=r"^([0-9]{5,6}|)$")]
Line = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]

ChargeOn = Literal["submit", "delivered"]
ListKind = Literal["supplier", "customer"]


class Dated(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something that counts for a time only."""

    valid_from: Moment = 0
    valid_to: Moment = FOREVER

    def holds(self, at: int) -> bool:
        return self.valid_from <= at < self.valid_to


# -- what is agreed beside the price of a message ------------------------------------------------------------------


class Tier(Dated, frozen=True, kw_only=True, omit_defaults=True):
    """From the message `from_messages` + 1 of a month to `country` ("": all together): a `discount_ppm` on the price,
    or `amount` a segment in place of it; exactly one of the two."""

    country: AnyCountry = ""
    from_messages: Annotated[int, Meta(ge=0, le=10**12)]
    discount_ppm: Share | None = None
    amount: Micros | None = None


class Fee(Dated, frozen=True, kw_only=True, omit_defaults=True):
    """`monthly`; `set_up`, once, in the month it begins; `sender_name`, a month for each name registered with an
    operator ("": any) of a country ("": any), the most specific row."""

    kind: Literal["monthly", "set_up", "sender_name"]
    amount: Monthly
    country: AnyCountry = ""
    operator: AnyOperator = ""
    description: Line = ""


class Allowance(Dated, frozen=True, kw_only=True, omit_defaults=True):
    """The first `messages` of a month to `country` ("": to all together) are free."""

    messages: Annotated[int, Meta(ge=1, le=10**12)]
    country: AnyCountry = ""


class Commitment(Dated, frozen=True, kw_only=True, omit_defaults=True):
    """What a month comes to at least, before tax."""

    amount: Monthly


D = TypeVar("D", bound=Dated)


class Conditions(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is agreed beside the price of a message. Kept with a list, and with the terms of an account.

    `tiering` `marginal`: a tier's discount is for the messages within it; `whole`: the tier reached is for all."""

    tiering: Literal["marginal", "whole"] = "marginal"
    tiers: Annotated[tuple[Tier, ...], Meta(max_length=1000)] = ()
    fees: Annotated[tuple[Fee, ...], Meta(max_length=1000)] = ()
    allowances: Annotated[tuple[Allowance, ...], Meta(max_length=1000)] = ()
    commitments: Annotated[tuple[Commitment, ...], Meta(max_length=100)] = ()

    def at(self, moment: int) -> Conditions:
        """Those in force at a moment; for a month: its first."""
        return msgspec.structs.replace(
            self,
            tiers=_holding(self.tiers, moment),
            fees=_holding(self.fees, moment),
            allowances=_holding(self.allowances, moment),
            commitments=_holding(self.commitments, moment),
        )

    def over(self, other: Conditions) -> Conditions:
        """These, and of `other` each kind of which there are none here: terms go before their list."""
        return Conditions(
            tiering=self.tiering if self.tiers else other.tiering,
            tiers=self.tiers or other.tiers,
            fees=self.fees or other.fees,
            allowances=self.allowances or other.allowances,
            commitments=self.commitments or other.commitments,
        )


def _holding(dated: Iterable[D], moment: int) -> tuple[D, ...]:
    return tuple(one for one in dated if one.holds(moment))


# -- records -------------------------------------------------------------------------------------------------------


class PriceList(Struct, frozen=True):
    """What a supplier asks, or what customers pay. Its rates are those of its `version`; 0 has none.

    `account_id` None: the operator's own; else the reseller's who sells by it."""

    id: int
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    kind: ListKind
    currency: Currency
    account_id: int | None
    charge_on: ChargeOn
    description: Line
    conditions: Conditions
    version: int
    created_at: int


class ConnectorCard(Struct, frozen=True):
    """What a connector's supplier asks."""

    id: int
    connector_id: int
    price_list_id: int
    created_at: int


class Cap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most an account may spend on a day (UTC) on `country` ("": on all together)."""

    per_day: Monthly
    country: AnyCountry = ""


class Particulars(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an invoice says of its recipient. `vat_ppm` None: as the law of the case says."""

    legal_name: Line = ""
    address: Annotated[tuple[Line, ...], Meta(max_length=8)] = ()
    country: Annotated[str, Meta(pattern=r"^([A-Z]{2}|)$")] = ""
    vat_id: Annotated[str, Meta(max_length=20, pattern=r"^[A-Z0-9]*$")] = ""
    vat_ppm: Share | None = None
    payment_days: Annotated[int, Meta(ge=0, le=365)] = 14


class Terms(Struct, frozen=True):
    """How an account is billed. Its currency is for ever, and so is its reseller once it has one.

    `credit_limit`: how far below zero its wallet may go, 0 is prepaid, None has no limit. `reseller_id`: the account
    whose customer it is, and which pays the operator for its messages."""

    id: int
    account_id: int
    currency: Currency
    price_list_id: int
    reseller_id: int | None
    credit_limit: Annotated[int, Meta(ge=0, le=MOST_A_MONTH)] | None
    low_balance: Annotated[int, Meta(ge=-MOST_A_MONTH, le=MOST_A_MONTH)] | None
    allow_loss: bool
    caps: Annotated[tuple[Cap, ...], Meta(max_length=300)]
    conditions: Conditions
    particulars: Particulars
    created_at: int


class FxImport(Struct, frozen=True):
    """Rates of exchange that came in together; days as 2026-11-20."""

    id: int
    source: Line
    rates: int
    first_day: str
    last_day: str
    created_at: int


# -- what a message costs ------------------------------------------------------------------------------------------


class Where(NamedTuple):
    """What a price is asked for: an ISO country, MCC-MNC of the operator (None: unknown), and the rest as words."""

    country: str
    operator: str | None
    channel: str
    sender_kind: str
    purpose: str


class Quote(NamedTuple):
    """What one message costs whom, in micro-units.

    `price` None: the account is not billed. `upstream` is what its reseller pays, in the reseller's currency. `cost`
    None: the connector has no card. The two flags: charged when delivered, else when a supplier takes it."""

    price: int | None
    upstream: int | None
    cost: int | None
    cost_currency: str | None
    on_delivery: bool
    cost_on_delivery: bool
    currency: str | None


class Unpriced(NamedTuple):
    """Why there is no quote: `code` is destination_not_priced, price_below_cost or fx_rate_missing. `message` is for
    customers: it names no cost, list or reseller, which `Book.explain` does."""

    code: str
    message: str
