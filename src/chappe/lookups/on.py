"""What this room does when it hears of messages: a network that does not know a subscriber knows better than what is
remembered of the number, which may have been ported or given up since."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from chappe.events import Effects, MessageUpdated
from chappe.lookups import store
from chappe.lookups.cache import Cache
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

REACTION: Final = "lookups.forget"
CODES: Final = frozenset({"unknown_subscriber", "illegal_subscriber", "not_provisioned"})


def register(rt: Runtime, cache: Cache) -> None:
    """Hear of messages, before `rt.events.start`."""
    rt.events.on(
        MessageUpdated,
        REACTION,
        partial(hear, cache),
        wanted=lambda event: event.error is not None and event.error.get("code") in CODES,
        at_once=partial(hear_at_once, cache),
    )


def hear_at_once(cache: Cache, _rt: Runtime, events: list[MessageUpdated]) -> Effects:
    digits = [event.to[1:] for event in events]
    return Effects([store.FORGET({"digits": digits})], after=partial(cache.drop, digits))


async def hear(cache: Cache, _rt: Runtime, events: list[MessageUpdated]) -> list[Op]:
    """The same by the outbox, for what could not be done at once."""
    digits = [event.to[1:] for event in events]
    cache.drop(digits)
    return [store.FORGET({"digits": digits})]
