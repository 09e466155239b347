"""A month as an invoice that has no number yet: what was gathered, put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from chappe import ids
from chappe.billing import rating
from chappe.billing.closing import store
from chappe.billing.closing.amounts import rounded
from chappe.billing.closing.lines import Agreed, Used, commitment_of, country_name, lines_of
from chappe.billing.closing.model import OPERATOR, Invoice, Line, National, Party, Registered, line, totals
from chappe.billing.closing.months import Month
from chappe.billing.closing.vat import Place, Tax, decide, national_currency
from chappe.billing.rating.model import Particulars, Terms
from chappe.errors import Detail, Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Names = Callable[[int, Month], Awaitable[Sequence[Registered]]]
"""The sender names that an account had registered in a month: `senders` knows, and is a neighbour."""

_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000


async def draft(rt: Runtime, account_id: int, month: Month, names: Names, by: str) -> Invoice | None:
    """The invoice of a month as things stand, None if there is nothing to pay. Writes nothing.

    Raises Refused: account_not_billed, seller_incomplete, customer_incomplete, vat_rate_unknown, fx_rate_missing.
    """
    terms = terms_of(rt, account_id, month)
    seller_id, seller = _seller(rt, terms)
    customer = _customer(terms)
    used = await _used(rt, terms, month)
    agreed = _agreed(rt, terms, month)
    lines = list(lines_of(used, agreed, await names(account_id, month), month, terms.currency))
    charged = sum(one.charged for one in used)
    below = await _sub_accounts(rt, terms, month, charged)
    if below is not None:
        lines.insert(len(used), below)
        charged += below.exact
    if (missing := commitment_of(lines, agreed.conditions, terms.currency)) is not None:
        lines.append(missing)
    if not any(one.exact for one in lines):
        return None
    particulars = terms.particulars
    vat = decide(_place(seller), _place(customer), month.last, particulars.vat_ppm)
    exact, net, tax, gross = totals(tuple(lines), vat, terms.currency)
    now = rt.clock.now()
    return Invoice(
        id=0,
        number="",
        account_id=account_id,
        seller_id=seller_id,
        month=month.code,
        currency=terms.currency,
        issued_at=now,
        due_at=None if terms.credit_limit == 0 else now + particulars.payment_days * _DAY_MS,
        seller=seller,
        customer=customer,
        lines=tuple(lines),
        charged=charged,
        exact=exact,
        net=net,
        vat=vat,
        tax=tax,
        gross=gross,
        by=by,
        national=_national(rt, seller.country, vat, tax, terms.currency, month),
    )


def terms_of(rt: Runtime, account_id: int, month: Month) -> Terms:
    """Raises Refused account_not_billed, also for a month that was over before there were terms."""
    terms = rating.book(rt).terms(account_id)
    if terms is None:
        raise Refused("account_not_billed", param="account_id")
    if terms.created_at >= month.ends:
        words = f"The account has been billed since after {month}."
        raise Refused("account_not_billed", words, param="month", action="Choose a later month.")
    return terms


def _national(rt: Runtime, country: str, vat: Tax, tax: int, currency: str, month: Month) -> National | None:
    """By the rate of the month's end (Directive 2006/112/EC, article 91). Raises Refused fx_rate_missing."""
    own = national_currency(country, month.last)
    if not tax or vat.treatment != "domestic" or own in (None, currency):
        return None
    assert own is not None
    amount = rating.book(rt).convert(tax, currency, own, month.ends - 1)
    if amount is None:
        words = f"The VAT must be shown in {own}: no rate of exchange is known for {month.last}."
        raise Refused("fx_rate_missing", words, param="month")
    return National(own, rounded(amount, own))


# -- who --------------------------------------------------------------------------------------------------------------


def _seller(rt: Runtime, terms: Terms) -> tuple[int, Party]:
    """A customer of a reseller is invoiced by the reseller, everybody else by the operator."""
    if terms.reseller_id is None:
        own = rt.settings.billing.seller
        address = [part.strip() for part in own.address.splitlines()]
        seller = _party(own.name, address, own.country, own.vat_id, own.payment)
        _complete(seller, "seller_incomplete", "billing.seller.")
        return OPERATOR, seller
    theirs = rating.book(rt).terms(terms.reseller_id)
    if theirs is None:
        raise Refused("seller_incomplete", "The reseller of this account has no terms.", param="reseller_id")
    seller = _of(theirs.particulars)
    _complete(seller, "seller_incomplete", "particulars.")
    return terms.reseller_id, seller


def _customer(terms: Terms) -> Party:
    customer = _of(terms.particulars)
    _complete(customer, "customer_incomplete", "particulars.")
    return customer


def _of(particulars: Particulars) -> Party:
    return _party(particulars.legal_name, particulars.address, particulars.country, particulars.vat_id)


def _party(name: str, address: Iterable[str], country: str, vat_id: str, payment: str = "") -> Party:
    lines = [one for one in address if one]
    if lines and country:
        lines.append(country_name(country))
    return Party(name, tuple(lines), country, vat_id or None, payment or None)


def _complete(party: Party, code: str, where: str) -> None:
    """Directive 2006/112/EC, article 226 (5): the full name and address of both."""
    fields = (("name", party.name), ("address", party.address), ("country", party.country))
    if where == "particulars.":
        fields = (("legal_name", party.name), *fields[1:])
    missing = [Detail(where + name, f"{where}{name} is missing.") for name, value in fields if not value]
    if missing:
        raise Refused(code, missing[0].message, param=missing[0].param, details=missing)


def _place(party: Party) -> Place:
    return Place(party.country, party.vat_id)


# -- what -------------------------------------------------------------------------------------------------------------


async def _used(rt: Runtime, terms: Terms, month: Month) -> list[Used]:
    """What was used, by country, operator and purpose. Day by day: no read is long."""
    sums: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for day in month.days:
        bind = {"day": day, "account_id": terms.account_id, "currency": terms.currency}
        for country, operator, purpose, *counts in await rt.store.scan(store.USED(bind)):
            total = sums[country, operator, purpose]
            for place, count in enumerate(counts):
                total[place] += int(count)
    listed = rating.book(rt).price_list(terms.price_list_id)
    on_delivery = listed is not None and listed.charge_on == "delivered"
    return [_used_of(place, counts, on_delivery) for place, counts in sorted(sums.items())]


def _used_of(place: tuple[str, str, str], counts: Sequence[int], on_delivery: bool) -> Used:
    """Where delivery is charged, the parts that count are those of what was delivered, as far as averages tell."""
    messages, parts, delivered, charged = counts
    if on_delivery and messages:
        parts = (parts * delivered + messages // 2) // messages
        messages = delivered
    return Used(*place, messages, parts, charged)


def _agreed(rt: Runtime, terms: Terms, month: Month) -> Agreed:
    book = rating.book(rt)

    def begins(valid_from: int) -> bool:
        """What is agreed from the beginning begins with the terms."""
        return month.starts <= max(valid_from, terms.created_at) < month.ends

    ever = book.all_conditions(terms.account_id)
    set_up = tuple(fee for fee in ever.fees if fee.kind == "set_up" and begins(fee.valid_from))
    return Agreed(book.conditions(terms.account_id, month.starts), set_up)


async def _sub_accounts(rt: Runtime, terms: Terms, month: Month, own: int) -> Line | None:
    """What a reseller has paid for the messages of its customers: what its wallet was charged beside its own. Hour by
    hour, since a busy account has an entry for each commit."""
    below = rating.book(rt).customers_of(terms.account_id)
    if not below:
        return None
    charged = 0
    for start in range(month.starts, month.ends, _HOUR_MS):
        span = {"account_id": terms.account_id, "since": ids.at(start), "until": ids.at(start + _HOUR_MS)}
        [(amount,)] = await rt.store.scan(store.CHARGED(span))
        charged += int(amount or 0)
    messages = 0
    for one in below:
        messages += sum(used.messages for used in await _used(rt, one, month))
    text = f"Messages of {len(below)} sub-account" + ("s" if len(below) > 1 else "")
    return line("sub_accounts", text, charged - own, terms.currency, quantity=messages, unit="message")
