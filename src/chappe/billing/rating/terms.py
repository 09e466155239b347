"""The terms of accounts: agreed, changed; never removed, for the money that moved by them stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked, directory
from chappe.billing.ledger.store import NO_LIMIT, OPEN_BALANCE, SET_LIMIT
from chappe.billing.rating import store
from chappe.billing.rating.book import Book
from chappe.billing.rating.lists import check_conditions
from chappe.billing.rating.model import Cap, Conditions, Particulars, Terms
from chappe.billing.rating.room import book
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_terms(
    rt: Runtime,
    actor: str,
    account_id: int,
    *,
    currency: str,
    price_list_id: int,
    reseller_id: int | None = None,
    credit_limit: int | None = 0,
    low_balance: int | None = None,
    allow_loss: bool = False,
    caps: tuple[Cap, ...] = (),
    conditions: Conditions | None = None,
    particulars: Particulars | None = None,
) -> Terms:
    """Bill an account from now on, and open its balance in the same unit. Raises Refused: invalid_value,
    duplicate_name."""
    made = checked(
        Terms(
            id=rt.ids.next(),
            account_id=account_id,
            currency=currency,
            price_list_id=price_list_id,
            reseller_id=reseller_id,
            credit_limit=credit_limit,
            low_balance=low_balance,
            allow_loss=allow_loss,
            caps=tuple(caps),
            conditions=conditions or Conditions(),
            particulars=particulars or Particulars(),
            created_at=rt.clock.now(),
        )
    )
    if directory(rt).account(account_id) is None:
        raise Refused("invalid_value", "There is no such account.", param="account_id")
    if book(rt).terms(account_id) is not None:
        raise Refused("duplicate_name", "The account has terms already.", param="account_id", action="Change those.")
    check_terms(book(rt), made)
    change = Change(rt, actor)
    change.create(store.TERMS, made)
    limit = _limit(made)
    change.also(OPEN_BALANCE([(account_id, currency, 0, 0, limit)]), SET_LIMIT([(account_id, limit)], expect=1))
    await change.commit()
    return made


async def update_terms(rt: Runtime, actor: str, terms_id: int, **fields: Any) -> Terms:
    """Change anything but the account, the currency, and a reseller once there is one. Raises Refused: not_found,
    invalid_value."""
    before = found_terms(rt, terms_id)
    after = checked(msgspec.structs.replace(before, **fields))
    if after.currency != before.currency:
        words = f"The account's books are in {before.currency}, for ever."
        raise Refused("invalid_value", words, param="currency")
    if before.reseller_id is not None and after.reseller_id != before.reseller_id:
        words = "The account is its reseller's customer, for ever: what it holds was taken from both."
        raise Refused("invalid_value", words, param="reseller_id")
    check_terms(book(rt), after)
    change = Change(rt, actor)
    change.update(store.TERMS, before, after)
    if after.credit_limit != before.credit_limit:
        change.also(SET_LIMIT([(after.account_id, _limit(after))], expect=1))
    await change.commit()
    return after


def found_terms(rt: Runtime, terms_id: int) -> Terms:
    """Raises Refused not_found."""
    found = next((one for one in book(rt).all_terms.values() if one.id == terms_id), None)
    if found is None:
        raise Refused("not_found", "There are no such terms.", param="id")
    return found


def check_terms(known: Book, terms: Terms) -> None:
    """Raises Refused for terms by which nothing could be billed."""
    check_conditions(terms.conditions)
    if len({cap.country for cap in terms.caps}) < len(terms.caps):
        raise Refused("invalid_value", "A country has two caps.", param="caps")
    if terms.reseller_id is not None:
        _check_reseller(known, terms)
    listed = known.price_list(terms.price_list_id)
    if listed is None or listed.kind != "customer":
        raise Refused("invalid_value", "There is no such list of prices for customers.", param="price_list_id")
    if listed.account_id != terms.reseller_id:
        whose = "the operator's own" if terms.reseller_id is None else "its reseller's"
        raise Refused("invalid_value", f"The account pays by a list of {whose}.", param="price_list_id")
    if listed.currency != terms.currency:
        words = f"The list is in {listed.currency}, the account pays in {terms.currency}."
        raise Refused("invalid_value", words, param="price_list_id")


def _check_reseller(known: Book, terms: Terms) -> None:
    assert terms.reseller_id is not None
    if terms.reseller_id == terms.account_id:
        raise Refused("invalid_value", "An account is not its own reseller.", param="reseller_id")
    reseller = known.terms(terms.reseller_id)
    if reseller is None:
        words = "The reseller has no terms itself: nobody would pay for the messages."
        raise Refused("invalid_value", words, param="reseller_id", action="Agree terms with the reseller first.")
    if reseller.reseller_id is not None or known.customers_of(terms.account_id):
        raise Refused(
            "invalid_value", "Between an account and the operator there is one reseller.", param="reseller_id"
        )


def _limit(terms: Terms) -> int:
    return NO_LIMIT if terms.credit_limit is None else terms.credit_limit
