"""Canary numbers: nobody has them, so that a receipt of delivery for one is made up.

They are the operator's secret: a supplier who knew them would answer as it should. A number within the plan that was
never given out, or a phone of one's own that is known to be off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe import numbers
from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.routing.quality.live import of
from chappe.routing.quality.model import Canary
from chappe.routing.quality.store import CANARIES

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST = 10_000


async def add_canary(rt: Runtime, actor: str, number: str, note: str = "") -> Canary:
    """Raises Refused: number_not_e164 and others of its kind, duplicate_name, invalid_value when there are 10,000."""
    try:
        digits = numbers.parse(number).digits
    except numbers.NumberError as error:
        raise Refused(error.code, error.message, param="number") from None
    known = of(rt).canaries
    made = checked(Canary(rt.ids.next(), f"+{digits}", note, rt.clock.now()))
    if made.number in known:
        raise Refused("duplicate_name", f"{made.number} is a canary number already.", param="number")
    if len(known) >= MOST:
        raise Refused("invalid_value", f"There are {MOST:,} canary numbers, the most there may be.", param="number")
    change = Change(rt, actor)
    change.create(CANARIES, made)
    await change.commit()
    return made


async def remove_canary(rt: Runtime, actor: str, canary_id: int) -> None:
    """What it has shown is kept. Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(CANARIES, found_canary(rt, canary_id))
    await change.commit()


def found_canary(rt: Runtime, canary_id: int) -> Canary:
    """Raises Refused not_found."""
    found = next((one for one in of(rt).canaries.values() if one.id == canary_id), None)
    if found is None:
        raise Refused("not_found", "There is no such canary number.", param="id")
    return found
