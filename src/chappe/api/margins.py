"""What messages earn: revenue and cost by route, supplier, customer, country, operator or day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from chappe.api.house import Call
from chappe.api.lookups import Amount, Money
from chappe.api.operations import Resource
from chappe.api.tables import CSV, Day, Format, csv_answer
from chappe.api.usage import day_text, days, dimensions, shown
from chappe.billing import rating, reports
from chappe.billing.ledger import decimal

resource = Resource(
    "Margins",
    "Revenue and cost of messages, each in its own currency and in the installation's, by the rate of their day. A "
    "reseller stands for its customers, at what it pays. For the operator.",
    scope="rates",
)

_DIMENSIONS = ("route", "connector", "account", "country", "operator", "day")
_NAMES = "|".join(_DIMENSIONS)
GroupBy = Annotated[
    str, Meta(pattern=f"^({_NAMES})(,({_NAMES}))*$", description="Dimensions; several with commas between them.")
]


class MarginQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """By default the last thirty days, by connector."""

    group_by: tuple[GroupBy, ...] = ()
    since: Annotated[Day, Meta(description="The first day.")] | None = None
    until: Annotated[Day, Meta(description="The last day; today if it is left out.")] | None = None
    format: Format = "json"


class BaseMargin(Struct, frozen=True, kw_only=True):
    """In the installation's currency. `margin` is null while amounts lack an exchange rate: `unknown` names their
    currencies, and they are in neither sum."""

    currency: str
    revenue: Amount
    cost: Amount
    margin: Amount | None
    percent: Annotated[float, Meta(description="The margin's share of the revenue.")] | None
    unknown: list[str]


class MarginLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was earned, with the dimensions that were asked for."""

    day: str | None = None
    country: Annotated[str, Meta(description="ISO 3166-1 alpha-2.")] | None = None
    operator: Annotated[str, Meta(description="MCC and MNC, after portability.")] | None = None
    connector: str | None = None
    route: Annotated[str, Meta(examples=["rte_006h3r8k2w0g4"])] | None = None
    account: Annotated[str, Meta(examples=["acc_006h3r8k2w0g4"])] | None = None
    messages: int
    segments: int
    delivered: int
    failed: int
    revenue: list[Money]
    cost: list[Money]
    base: BaseMargin


class MarginReport(Struct, frozen=True, kw_only=True):
    """In the order of the dimensions."""

    since: str
    until: str
    group_by: list[str]
    data: list[MarginLine]


@resource.get("/v1/margins", errors=("report_too_large",), also=(CSV,))
async def get(call: Call, query: MarginQuery) -> MarginReport:
    """Show what was earned."""
    groups: Any = dimensions(query.group_by) or ("connector",)
    first, last = days(call, query.since, query.until)
    book = rating.book(call.rt)
    resold = [account_id for account_id in book.all_terms if book.reseller_of(account_id) is not None]
    found = await reports.margins(
        call.rt, groups, first, last, base=book.base_currency, convert=book.convert, resold=resold
    )
    lines = [_line(call, groups, one, book.base_currency) for one in found]
    if query.format == "csv":
        return csv_answer("margins", [*groups, *_COLUMNS], (_cells(groups, one) for one in lines))  # type: ignore[return-value]
    return MarginReport(since=day_text(first), until=day_text(last), group_by=list(groups), data=lines)


def _line(call: Call, groups: Sequence[str], one: reports.Margin, base: str) -> MarginLine:
    margin = one.margin_base
    return MarginLine(
        **{name: shown(call, name, value) for name, value in zip(groups, one.by, strict=True)},
        messages=one.messages,
        segments=one.segments,
        delivered=one.delivered,
        failed=one.failed,
        revenue=_money(one.revenue),
        cost=_money(one.cost),
        base=BaseMargin(
            currency=base,
            revenue=decimal(one.revenue_base),
            cost=decimal(one.cost_base),
            margin=None if margin is None else decimal(margin),
            percent=None if margin is None or not one.revenue_base else round(100 * margin / one.revenue_base, 2),
            unknown=sorted(one.unknown),
        ),
    )


def _money(by_currency: Mapping[str, int]) -> list[Money]:
    return [Money(decimal(amount), currency) for currency, amount in sorted(by_currency.items())]


_COLUMNS = (
    *("messages", "segments", "delivered", "failed", "revenue", "cost", "base_currency", "base_revenue", "base_cost"),
    *("base_margin", "percent", "unknown"),
)


def _cells(groups: Sequence[str], line: MarginLine) -> list[Any]:
    base = line.base
    sums = [" + ".join(f"{one.amount} {one.currency}" for one in side) for side in (line.revenue, line.cost)]
    counts = [line.messages, line.segments, line.delivered, line.failed]
    own = [base.currency, base.revenue, base.cost, base.margin, base.percent, " ".join(base.unknown)]
    return [*(getattr(line, name) for name in groups), *counts, *sums, *own]
