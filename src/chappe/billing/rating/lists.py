"""Price lists: made, changed, removed, and which of them is the card of a connector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked, directory
from chappe.billing.rating import store
from chappe.billing.rating.model import (
    ChargeOn,
    Conditions,
    ConnectorCard,
    Dated,
    ListKind,
    PriceList,
)
from chappe.billing.rating.room import book
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_list(
    rt: Runtime,
    actor: str,
    *,
    name: str,
    kind: ListKind,
    currency: str,
    account_id: int | None = None,
    charge_on: ChargeOn = "submit",
    description: str = "",
    conditions: Conditions | None = None,
) -> PriceList:
    """A list without rates. `account_id`: of the reseller who sells by it. Raises Refused: invalid_value,
    duplicate_name."""
    made = checked(
        PriceList(
            id=rt.ids.next(),
            name=name,
            kind=kind,
            currency=currency,
            account_id=account_id,
            charge_on=charge_on,
            description=description,
            conditions=conditions or Conditions(),
            version=0,
            created_at=rt.clock.now(),
        )
    )
    check_conditions(made.conditions)
    if account_id is not None:
        if directory(rt).account(account_id) is None:
            raise Refused("invalid_value", "There is no such account.", param="account_id")
        if kind == "supplier":
            raise Refused("invalid_value", "A supplier's list is the operator's own.", param="account_id")
    _check_name(rt, made)
    change = Change(rt, actor)
    change.create(store.LISTS, made)
    await change.commit()
    return made


async def update_list(rt: Runtime, actor: str, list_id: int, **fields: Any) -> PriceList:
    """Change name, charge_on, description or conditions: what a list is and its currency stay. Raises Refused:
    not_found, and those of `create_list`."""
    before = found_list(rt, list_id)
    after = checked(msgspec.structs.replace(before, **fields))
    check_conditions(after.conditions)
    _check_name(rt, after)
    change = Change(rt, actor)
    change.update(store.LISTS, before, after)
    await change.commit()
    return after


async def delete_list(rt: Runtime, actor: str, list_id: int) -> None:
    """With all its versions. Raises Refused: not_found, in_use."""
    known, before = book(rt), found_list(rt, list_id)
    if any(card.price_list_id == list_id for card in known.connector_cards.values()):
        raise Refused("in_use", "A connector has this list as its card.")
    if any(terms.price_list_id == list_id for terms in known.all_terms.values()):
        raise Refused("in_use", "An account pays by this list.")
    change = Change(rt, actor)
    change.delete(store.LISTS, before)
    change.also(store.DROP_PREVIEWS({"list_id": list_id}), store.DROP_VERSIONS({"list_id": list_id}))
    await change.commit()


async def set_card(rt: Runtime, actor: str, connector_id: int, list_id: int) -> ConnectorCard:
    """Say what a connector's supplier asks; the caller knows that there is such a connector. Raises Refused:
    invalid_value."""
    listed = book(rt).price_list(list_id)
    if listed is None or listed.kind != "supplier":
        raise Refused("invalid_value", "There is no such list of a supplier.", param="price_list_id")
    before = book(rt).connector_cards.get(connector_id)
    change = Change(rt, actor)
    if before is None:
        after = ConnectorCard(rt.ids.next(), connector_id, list_id, rt.clock.now())
        change.create(store.CARDS, after)
    else:
        after = msgspec.structs.replace(before, price_list_id=list_id)
        change.update(store.CARDS, before, after)
    await change.commit()
    return after


async def delete_card(rt: Runtime, actor: str, card_id: int) -> None:
    """From then on the cost of the connector is not known. Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(store.CARDS, found_card(rt, card_id))
    await change.commit()


def found_list(rt: Runtime, list_id: int) -> PriceList:
    """Raises Refused not_found."""
    found = book(rt).price_list(list_id)
    if found is None:
        raise Refused("not_found", "There is no such price list.", param="id")
    return found


def found_card(rt: Runtime, card_id: int) -> ConnectorCard:
    """Raises Refused not_found."""
    found = next((card for card in book(rt).connector_cards.values() if card.id == card_id), None)
    if found is None:
        raise Refused("not_found", "There is no such card.", param="id")
    return found


def _check_name(rt: Runtime, listed: PriceList) -> None:
    other = book(rt).named(listed.name)
    if other is not None and other.id != listed.id:
        raise Refused("duplicate_name", f"There is already a price list {listed.name}.", param="name")


def check_conditions(conditions: Conditions, param: str = "conditions") -> None:
    """Raises Refused for a tier that says nothing or two things, and for two at the same time for the same."""
    for index, tier in enumerate(conditions.tiers):
        if (tier.discount_ppm is None) == (tier.amount is None):
            words = "A tier has either a discount or an amount."
            raise Refused("invalid_value", words, param=f"{param}.tiers[{index}]")
    for index, fee in enumerate(conditions.fees):
        if fee.kind != "sender_name" and (fee.country or fee.operator):
            words = "Only the fee of a sender's name is for a country or an operator."
            raise Refused("invalid_value", words, param=f"{param}.fees[{index}]")
    _check_times(conditions.tiers, [(t.country, t.from_messages) for t in conditions.tiers], f"{param}.tiers")
    fees = [(f.kind, f.country, f.operator, f.description) for f in conditions.fees]
    _check_times(conditions.fees, fees, f"{param}.fees")
    _check_times(conditions.allowances, [a.country for a in conditions.allowances], f"{param}.allowances")
    _check_times(conditions.commitments, [None for _ in conditions.commitments], f"{param}.commitments")


def _check_times(dated: Sequence[Dated], whats: Sequence[Any], param: str) -> None:
    for index, one in enumerate(dated):
        if one.valid_to <= one.valid_from:
            raise Refused("invalid_value", "It ends before it begins.", param=f"{param}[{index}]")
    for what, times in Counter(whats).items():
        if times > 1:
            same = sorted((index for index, one in enumerate(whats) if one == what), key=lambda n: dated[n].valid_from)
            for early, late in pairwise(same):
                if dated[late].valid_from < dated[early].valid_to:
                    words = "The same is there twice at the same time."
                    raise Refused("invalid_value", words, param=f"{param}[{max(early, late)}]")
