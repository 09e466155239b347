"""What waits for reviews: read and written by the pipeline, which carries out what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chappe.fraud.firewall import store
from chappe.fraud.firewall.review import Review
from chappe.fraud.firewall.store import REVIEWS
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def unsettled(rt: Runtime, limit: int) -> list[Review]:
    """Decided, and messages may still wait for it. Raises Unavailable."""
    return await REVIEWS.unsettled(rt.store, limit)


async def open_reviews(rt: Runtime, after: int, limit: int) -> list[Review]:
    """Those with ids above `after`, the oldest first. Raises Unavailable."""
    return await REVIEWS.open(rt.store, after, limit)


async def held_of(rt: Runtime, review: Review, limit: int, *, let_go: bool = False) -> list[int]:
    """Messages that wait for a review, the oldest first; with `let_go`, also those that an approval has let go and
    that may not be sent yet. Raises Unavailable."""
    bind = {**review.key, "settled": [0, 1] if let_go else [0], "limit": limit}
    return [row[0] for row in await rt.store.read(store.HELD_OF(bind))]


async def waiting(rt: Runtime, review: Review) -> int:
    """How many messages wait for a review. Raises Unavailable."""
    [(count,)] = await rt.store.scan(store.COUNT_HELD(review.key))
    return int(count)


async def in_review(rt: Runtime, message_id: int) -> tuple[int, str] | None:
    """The review that a message waits for (id, state). Raises Unavailable."""
    rows = await rt.store.read(store.HELD_IN_REVIEW({"message_id": message_id}))
    return (rows[0][0], rows[0][1]) if rows else None


async def oldest_open(rt: Runtime, before: int) -> tuple[int, int | None]:
    """(how many reviews are open since before a moment, when the oldest was opened). Raises Unavailable."""
    [(count, opened_at)] = await rt.store.scan(store.OLDEST_OPEN({"before": before}))
    return count, opened_at


def let_go(message_ids: Sequence[int]) -> list[Op]:
    """They are on their way, as long as nobody takes the approval back. Of two that let them go one conflicts."""
    return [store.LET_GO([(one,) for one in message_ids], expect=len(message_ids))] if message_ids else []


def drop_held(message_ids: Sequence[int]) -> list[Op]:
    """They do not wait any more."""
    return [store.NO_LONGER_HELD([(one,) for one in message_ids])] if message_ids else []


def settled(review: Review) -> Op:
    """Nothing waits for it any more."""
    return store.SETTLED([(review.account_id, review.digest, review.sender, review.revision)])


def end_review(review: Review, now: int) -> Op:
    """Nobody decided until its last message had gone; nothing happens if another came meanwhile."""
    key = (review.account_id, review.digest, review.sender)
    return store.EXPIRED([(*key, now, review.count, review.revision)])


async def let_go_after(rt: Runtime, after: int, limit: int) -> list[int]:
    """Messages that approvals let go, by their ids. Raises Unavailable."""
    return [row[0] for row in await rt.store.scan(store.LET_GO_SLICE({"after": after, "limit": limit}))]


__all__ = [
    "drop_held",
    "end_review",
    "held_of",
    "in_review",
    "let_go",
    "let_go_after",
    "oldest_open",
    "open_reviews",
    "settled",
    "unsettled",
    "waiting",
]
