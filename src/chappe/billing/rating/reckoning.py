"""How a quote comes about, step by step: the same steps give the figures and their explanation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from chappe.billing.rating.amounts import decimal, percent
from chappe.billing.rating.fx import DAY_MS, day_at
from chappe.billing.rating.model import FOREVER, PriceList, Quote, Terms, Unpriced, Where
from chappe.billing.rating.rates import Card, Rate, charge
from chappe.errors import ERRORS


class Tariffs(Protocol):
    """What a quote is worked out from: `book.Book`."""

    @property
    def lists(self) -> Mapping[int, PriceList]: ...

    def card_of(self, connector_id: int) -> PriceList | None: ...

    def card(self, list_id: int) -> Card: ...

    def price_list(self, list_id: int) -> PriceList | None: ...

    def terms(self, account_id: int) -> Terms | None: ...

    def convert(self, amount: int, source: str, target: str, at: int) -> int | None: ...


class Asked(NamedTuple):
    """What a price is asked for. `roaming` None: not known."""

    where: Where
    segments: int
    at: int
    roaming: bool | None


class Money(NamedTuple):
    amount: int
    currency: str

    def __str__(self) -> str:
        return f"{decimal(self.amount)} {self.currency}"


class Reckoning:
    """One quote. It stays the same for moments from `since` up to `until`; `lines` tell how it came about, if asked."""

    def __init__(self, book: Tariffs, asked: Asked, lines: list[str] | None = None) -> None:
        self._book = book
        self._asked = asked
        self._lines = lines
        self.since, self.until = 0, FOREVER

    # -- what the supplier asks ------------------------------------------------------------------------------------

    def cost(self, connector_id: int) -> Money | None:
        """None: the connector has no card, or the card does not go there."""
        supplier = self._book.card_of(connector_id)
        if supplier is None:
            self._say("The connector has no price list of its supplier: the cost is not known.")
            return None
        rate = self._rate(supplier, "The supplier's list")
        if rate is None:
            return None
        amount = charge(rate, self._asked.segments, roaming=self._asked.roaming)
        assert amount is not None  # a supplier's row has an amount, or is not served
        cost = Money(amount, supplier.currency)
        self._say(f"{self._sum(rate, supplier.currency)} = {cost} of cost, owed {_when(supplier)}.")
        return cost

    def comparable(self, connector_id: int, currency: str) -> int | None:
        """The cost in another currency."""
        cost = self.cost(connector_id)
        return None if cost is None else self._convert(cost, currency)

    # -- what the account pays -------------------------------------------------------------------------------------

    def quote(self, account_id: int, connector_id: int, allow_loss: bool) -> Quote | Unpriced:
        book = self._book
        cost = self.cost(connector_id)
        supplier, terms = book.card_of(connector_id), book.terms(account_id)
        amount, currency = cost if cost is not None else (None, None)
        later = supplier is not None and supplier.charge_on == "delivered"
        if terms is None:
            self._say("The account has no terms: nothing is billed.")
            return Quote(None, None, amount, currency, False, later, None)
        if supplier is not None and cost is None and not (allow_loss or terms.allow_loss):
            return self._unpriced("destination_not_priced", f"The supplier's list {supplier.name} has no price for it.")
        reseller = book.terms(terms.reseller_id) if terms.reseller_id is not None else None
        upstream = self._price(reseller, cost, "The reseller's list") if reseller is not None else None
        if isinstance(upstream, Unpriced):
            return upstream
        price = self._price(terms, cost if upstream is None else upstream, "The account's list")
        if isinstance(price, Unpriced):
            return price
        loss = self._loss(terms, reseller, price, upstream, cost, allow_loss)
        if loss is not None:
            return loss
        delivered = book.lists[terms.price_list_id].charge_on == "delivered"
        to_reseller = None if upstream is None else upstream.amount
        return Quote(price.amount, to_reseller, amount, currency, delivered, later, terms.currency)

    def _price(self, terms: Terms, basis: Money | None, whose: str) -> Money | Unpriced:
        """What an account pays; `basis` is what "cost plus" counts from."""
        listed = self._book.price_list(terms.price_list_id)
        if listed is None:
            return self._unpriced("destination_not_priced", "The account's price list is gone.")
        rate = self._rate(listed, whose)
        if rate is None:
            return self._unpriced("destination_not_priced", f"The list {listed.name} has no price for it.")
        counted: int | None = None
        if rate.cost_plus:
            if basis is None:
                words = f"The list {listed.name} says cost plus, and what the supplier asks is not known."
                return self._unpriced("destination_not_priced", words)
            counted = self._convert(basis, terms.currency)
            if counted is None:
                return self._unpriced("fx_rate_missing", f"There is no rate of {basis.currency} in {terms.currency}.")
        amount = charge(rate, self._asked.segments, cost=counted, roaming=self._asked.roaming)
        assert amount is not None  # it is served, and its cost is known if it needs one
        price = Money(amount, terms.currency)
        self._say(f"{self._sum(rate, terms.currency, counted)} = {price}, charged {_when(listed)}.")
        return price

    def _loss(
        self, terms: Terms, reseller: Terms | None, price: Money, upstream: Money | None, cost: Money | None, ok: bool
    ) -> Unpriced | None:
        """Nobody sells below what it costs him, unless his terms (or, `ok`, the route) say so."""
        if upstream is None or reseller is None:
            return None if ok or terms.allow_loss else self._below(price, cost, "the supplier's cost")
        if not terms.allow_loss and (found := self._below(price, upstream, "what its reseller pays")) is not None:
            return found
        return None if ok or reseller.allow_loss else self._below(upstream, cost, "the supplier's cost")

    def _below(self, price: Money, cost: Money | None, what: str) -> Unpriced | None:
        if cost is None:
            return None
        least = self._convert(cost, price.currency)
        if least is None:
            return self._unpriced("fx_rate_missing", f"There is no rate of {cost.currency} in {price.currency}.")
        if price.amount < least:
            words = f"{price} is less than {what}, {Money(least, price.currency)}."
            return self._unpriced("price_below_cost", words)
        self._say(f"{price} is no less than {what}, {Money(least, price.currency)}.")
        return None

    # -- the steps -------------------------------------------------------------------------------------------------

    def _rate(self, listed: PriceList, whose: str) -> Rate | None:
        """The row of a list that counts, None where it does not go there."""
        card, asked = self._book.card(listed.id), self._asked
        found = card.find(asked.where, asked.at)
        self._narrow(found.since, found.until)
        if self._lines is not None:
            self._say(f"{whose} is {listed.name} ({listed.currency}, version {listed.version}, {len(card)} rows).")
            for rate in card.tried(asked.where):
                if rate is found.rate:
                    break
                self._say(f"  Not {spelt(rate)}: it counts {spell_time(rate)}.")
            self._say(f"  Row {spelt(found.rate)}." if found.rate is not None else "  No row fits.")
        if found.rate is not None and not found.rate.served:
            self._say("  The row says that it is not served.")
            return None
        return found.rate

    def _convert(self, money: Money, currency: str) -> int | None:
        if money.currency == currency:
            return money.amount
        day = self._asked.at - self._asked.at % DAY_MS
        self._narrow(day, day + DAY_MS)
        found = self._book.convert(money.amount, money.currency, currency, self._asked.at)
        if found is not None:
            self._say(
                f"{money} is {Money(found, currency)} by the rate of {day_at(self._asked.at)} or the last before."
            )
        return found

    def _sum(self, rate: Rate, currency: str, cost: int | None = None) -> str:
        """The arithmetic in words: `2 segments x 0.0725 EUR`."""
        segments = self._asked.segments
        units = segments if rate.per == "segment" else 1
        times = f"{units} {rate.per}{'s' if units != 1 else ''} x "
        if rate.amount is not None:
            text = times + str(Money(rate.amount, currency))
        else:
            text = f"cost {Money(cost or 0, currency)}"
            text += f" + {percent(rate.percent_ppm)} %" if rate.percent_ppm else ""
            text += f" + {times}{Money(rate.plus, currency)}" if rate.plus else ""
        if rate.roaming and self._asked.roaming:
            text += f" + {times}{Money(rate.roaming, currency)} for roaming"
        return text

    def _unpriced(self, code: str, why: str) -> Unpriced:
        """`why` is for the operator's explanation: the customer reads nothing of costs, lists and resellers."""
        self._say(f"Refused, {code}: {why}")
        where = self._asked.where
        place = where.country + (f" ({where.operator})" if where.operator else "")
        return Unpriced(code, f"{ERRORS[code].message.removesuffix('.')}: {place}.")

    def _narrow(self, since: int, until: int) -> None:
        self.since, self.until = max(self.since, since), min(self.until, until)

    def _say(self, line: str) -> None:
        if self._lines is not None:
            self._lines.append(line)


def _when(listed: PriceList) -> str:
    return "when it is delivered" if listed.charge_on == "delivered" else "when the supplier takes it"


def spelt(rate: Rate) -> str:
    """What a row is for, in words."""
    parts = [rate.country or "any country", f"operator {rate.operator}" if rate.operator else "any operator"]
    parts += [rate.channel, rate.sender_kind or "any sender", rate.purpose or "any purpose"]
    return ", ".join(parts)


def spell_time(rate: Rate) -> str:
    """When a row counts, in words."""
    if rate.valid_from == 0 and rate.valid_to >= FOREVER:
        return "always"
    since = f"from {day_at(rate.valid_from)} on" if rate.valid_from else ""
    until = f"until before {day_at(rate.valid_to)}" if rate.valid_to < FOREVER else ""
    return " ".join(filter(None, (since, until)))
