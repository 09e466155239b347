"""Adjustments: made and deleted. An account may make the law stricter for itself; only the operator loosens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe import numbers
from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.law.own import MOST, Adjustment, AdjustmentKind, check
from chappe.law.room import book
from chappe.law.rules import Purpose
from chappe.law.store import ADJUSTMENTS

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_adjustment(
    rt: Runtime,
    actor: str,
    account_id: int | None,
    *,
    kind: AdjustmentKind,
    value: str,
    country: str | None = None,
    purpose: Purpose = "any",
    reason: str = "",
    by_operator: bool = False,
) -> Adjustment:
    """In force on this node at once, on the others within half a second. `account_id` None is for every account.

    Raises Refused: invalid_value, scope_missing for what only the operator may do, conflict for too many.
    """
    if not by_operator and (kind == "waiver" or account_id is None):
        raise Refused("scope_missing", "Only the operator waives a rule, or sets one for all.", param="kind")
    made = checked(
        Adjustment(
            id=rt.ids.next(),
            account_id=account_id,
            country=country,
            purpose=purpose,
            kind=kind,
            value=value,
            reason=reason,
            by_operator=by_operator,
            created_at=rt.clock.now(),
        )
    )
    if country is not None and numbers.country(country) is None:
        raise Refused("invalid_value", f"There is no country {country}.", param="country")
    if kind == "waiver" and not reason:
        raise Refused("invalid_value", "Say why the rule is not kept.", param="reason")
    wrong = check(made)
    if wrong is not None:
        raise Refused("invalid_value", wrong, param="value")
    _check_room(rt, made)
    change = Change(rt, actor)
    change.create(ADJUSTMENTS, made)
    await change.commit()
    return made


async def delete_adjustment(rt: Runtime, actor: str, adjustment: Adjustment, *, by_operator: bool = False) -> None:
    """Raises Refused scope_missing for one that the operator made."""
    if adjustment.by_operator and not by_operator:
        raise Refused("scope_missing", "The operator made it, and only the operator deletes it.")
    change = Change(rt, actor)
    change.delete(ADJUSTMENTS, adjustment)
    await change.commit()


def found_adjustment(rt: Runtime, account_id: int, adjustment_id: int) -> Adjustment:
    """One that holds for the account. Raises Refused not_found."""
    found = book(rt).adjustments.get(adjustment_id)
    if found is None or found.account_id not in (None, account_id):
        raise Refused("not_found", "There is no such adjustment.", param="id")
    return found


def _check_room(rt: Runtime, made: Adjustment) -> None:
    same = [one for one in book(rt).adjustments.values() if one.account_id == made.account_id]
    if len(same) >= MOST:
        raise Refused("conflict", f"There are {MOST} adjustments already.", action="Delete one that is not needed.")
    for one in same:
        if (one.kind, one.value, one.country, one.purpose) == (made.kind, made.value, made.country, made.purpose):
            raise Refused("conflict", "There is such an adjustment already.", param="value")
