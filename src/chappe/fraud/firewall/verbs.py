"""Policies set and reset, reviews decided: each with its audit entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.fraud.firewall.policy import Layer, Policies, PolicyLayer, check_codes, check_own
from chappe.fraud.firewall.review import DAYS, MAY, Decided, Review
from chappe.fraud.firewall.store import POLICIES, REVIEWS

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_DAY_MS = 86_400_000


async def set_layer(
    rt: Runtime, actor: str, known: Policies, account_id: int, layer: Layer, *, by_operator: bool
) -> None:
    """In force on this node at once, on the others within half a second.

    Raises Refused: invalid_value, scope_missing for an account that asks for less than its operator.
    """
    check_codes(layer)
    if not by_operator:
        check_own(known.given(account_id), layer)
    before = known.layer(account_id, by_operator=by_operator)
    change = Change(rt, actor)
    if before is not None:
        change.update(
            POLICIES, before, checked(msgspec.structs.replace(before, layer=layer, changed_at=rt.clock.now()))
        )
    else:
        change.create(POLICIES, checked(PolicyLayer(rt.ids.next(), account_id, by_operator, layer, rt.clock.now())))
    await change.commit()


async def drop_layer(rt: Runtime, actor: str, known: Policies, account_id: int, *, by_operator: bool) -> None:
    """Back to what lies below it; nothing happens if there is none."""
    before = known.layer(account_id, by_operator=by_operator)
    if before is not None:
        change = Change(rt, actor)
        change.delete(POLICIES, before)
        await change.commit()


async def decide_review(
    rt: Runtime, actor: str, review: Review, state: Decided, *, days: int = DAYS, note: str = ""
) -> Review:
    """Remembered for `days`. What waits is let go or fails by and by: see `messages.reviews`.

    Raises Refused: review_state, conflict when somebody else has decided meanwhile.
    """
    if review.state not in MAY[state]:
        raise Refused("review_state", f"The review is {review.state}: it cannot become {state}.", param="id")
    now = rt.clock.now()
    after = checked(
        msgspec.structs.replace(
            review,
            state=state,
            until=None if state == "withdrawn" else now + days * _DAY_MS,
            decided_at=now,
            decided_by=actor,
            note=note,
            unsettled=True,
            revision=review.revision + 1,
        )
    )
    change = Change(rt, actor)
    change.update(REVIEWS, review, after, action=state)
    await change.commit()
    return after


async def found_review(rt: Runtime, review_id: int, account_id: int | None = None) -> Review:
    """Raises Refused not_found, also for another account's."""
    found = await REVIEWS.one(rt.store, review_id)
    if found is None or account_id not in (None, found.account_id):
        raise Refused("not_found", "There is no such review.", param="id")
    return found


async def reviews(rt: Runtime, account_id: int | None, state: str | None, before: int, limit: int) -> list[Review]:
    """Those with ids below `before`, newest first: of an account, or of all. Raises Unavailable."""
    return await REVIEWS.listed(rt.store, account_id, state, before, limit)


__all__ = ["decide_review", "drop_layer", "found_review", "reviews", "set_layer"]
