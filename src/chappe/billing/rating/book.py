"""All prices in memory, compiled; on the hot path a quote is one dict access. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from chappe.billing.rating.fx import Fx
from chappe.billing.rating.model import Cap, Conditions, ConnectorCard, PriceList, Quote, Terms, Unpriced, Where
from chappe.billing.rating.rates import Card
from chappe.billing.rating.reckoning import Asked, Reckoning

T = TypeVar("T")

REMEMBERED = 200_000  # answers; then all are worked out again
_EMPTY = Card(())


class Book:
    """One consistent version of the lists, cards, terms and rates of exchange. `cards` are the rows by list."""

    def __init__(
        self,
        lists: Iterable[PriceList] = (),
        cards: Mapping[int, Card] | None = None,
        connector_cards: Iterable[ConnectorCard] = (),
        terms: Iterable[Terms] = (),
        fx: Fx | None = None,
        base_currency: str = "EUR",
    ) -> None:
        self.lists: Mapping[int, PriceList] = {one.id: one for one in lists}
        self.connector_cards = {one.connector_id: one for one in connector_cards}
        self.all_terms = {one.account_id: one for one in terms}
        self.fx = fx or Fx(hub=base_currency)
        self.base_currency = base_currency
        self._cards = dict(cards or {})
        self._known: dict[tuple[Any, ...], tuple[int, int, Any]] = {}

    # -- the hot path ----------------------------------------------------------------------------------------------

    def quote(
        self,
        account_id: int,
        connector_id: int,
        where: Where,
        segments: int,
        at: int,
        roaming: bool | None = None,
        allow_loss: bool = False,
    ) -> Quote | Unpriced:
        """What one message costs whom. `at` is in milliseconds; `allow_loss` is that of the route."""
        key = (account_id, connector_id, where, segments, roaming, allow_loss)
        known = self._known.get(key)
        if known is not None and known[0] <= at < known[1]:
            return known[2]  # type: ignore[no-any-return]
        reckoning = Reckoning(self, Asked(where, segments, at, roaming))
        return self._keep(key, reckoning, reckoning.quote(account_id, connector_id, allow_loss))

    def cost(
        self, connector_id: int, where: Where, segments: int, at: int, roaming: bool | None = None
    ) -> tuple[int, str] | None:
        """What the supplier asks for one message, in which currency; None where that is not known."""
        key = (connector_id, where, segments, roaming)
        known = self._known.get(key)
        if known is not None and known[0] <= at < known[1]:
            return known[2]  # type: ignore[no-any-return]
        reckoning = Reckoning(self, Asked(where, segments, at, roaming))
        found = reckoning.cost(connector_id)
        return self._keep(key, reckoning, None if found is None else (found.amount, found.currency))

    def comparable(self, connector_id: int, where: Where, at: int) -> int | None:
        """What a message of one segment costs us, in the base currency; None where that is not known."""
        key = (connector_id, where)
        known = self._known.get(key)
        if known is not None and known[0] <= at < known[1]:
            return known[2]  # type: ignore[no-any-return]
        reckoning = Reckoning(self, Asked(where, 1, at, None))
        return self._keep(key, reckoning, reckoning.comparable(connector_id, self.base_currency))

    def _keep(self, key: tuple[Any, ...], reckoning: Reckoning, answer: T) -> T:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (reckoning.since, reckoning.until, answer)
        return answer

    def explain(
        self,
        account_id: int,
        connector_id: int,
        where: Where,
        segments: int,
        at: int,
        roaming: bool | None = None,
        allow_loss: bool = False,
    ) -> list[str]:
        """How `quote` comes to its answer: which lists, which rows were tried, and the arithmetic."""
        lines: list[str] = []
        Reckoning(self, Asked(where, segments, at, roaming), lines).quote(account_id, connector_id, allow_loss)
        return lines

    # -- what it knows ---------------------------------------------------------------------------------------------

    def price_list(self, list_id: int) -> PriceList | None:
        return self.lists.get(list_id)

    def named(self, name: str) -> PriceList | None:
        return next((one for one in self.lists.values() if one.name == name), None)

    def card(self, list_id: int) -> Card:
        """The rows of a list."""
        return self._cards.get(list_id, _EMPTY)

    def card_of(self, connector_id: int) -> PriceList | None:
        """The list of a connector's supplier."""
        card = self.connector_cards.get(connector_id)
        return None if card is None else self.lists.get(card.price_list_id)

    def terms(self, account_id: int) -> Terms | None:
        return self.all_terms.get(account_id)

    def customers_of(self, reseller_id: int) -> list[Terms]:
        return [one for one in self.all_terms.values() if one.reseller_id == reseller_id]

    def convert(self, amount: int, source: str, target: str, at: int) -> int | None:
        """Micro-units of one currency in those of another at a moment (ms); None if no rate is known."""
        return self.fx.convert(amount, source, target, at)

    def currency_of(self, account_id: int) -> str | None:
        terms = self.all_terms.get(account_id)
        return None if terms is None else terms.currency

    def reseller_of(self, account_id: int) -> int | None:
        terms = self.all_terms.get(account_id)
        return None if terms is None else terms.reseller_id

    def low_balance(self, account_id: int) -> int | None:
        terms = self.all_terms.get(account_id)
        return None if terms is None else terms.low_balance

    def caps(self, account_id: int) -> tuple[Cap, ...]:
        terms = self.all_terms.get(account_id)
        return () if terms is None else terms.caps

    def all_conditions(self, account_id: int) -> Conditions:
        """What is agreed with an account beside its prices, at any time: its own before its list's."""
        terms = self.all_terms.get(account_id)
        if terms is None:
            return Conditions()
        listed = self.lists.get(terms.price_list_id)
        return terms.conditions.over(listed.conditions) if listed is not None else terms.conditions

    def conditions(self, account_id: int, at: int) -> Conditions:
        """Those in force at a moment; terms go before their list kind by kind."""
        terms = self.all_terms.get(account_id)
        if terms is None:
            return Conditions()
        listed = self.lists.get(terms.price_list_id)
        own = terms.conditions.at(at)
        return own.over(listed.conditions.at(at)) if listed is not None else own
