"""Route quality: how each connector does at each place, learnt from its messages; whom to choose; whom to demote; and
whether receipts tell the truth.

`start(rt)` gives the `Quality` of this process, `of(rt)` finds it again. docs/explanation/route-quality.md tells how it
works, and what its limits are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.routing.quality import jobs, learn
from chappe.routing.quality.canaries import add_canary, found_canary, remove_canary
from chappe.routing.quality.jobs import alarms, lift
from chappe.routing.quality.learn import converted
from chappe.routing.quality.live import Quality, Tracked, load, of
from chappe.routing.quality.model import (
    EVERYWHERE,
    Canary,
    Conversion,
    Demotion,
    Estimate,
    RouteAlarm,
    Share,
    place_of,
)
from chappe.routing.quality.reading import Line, Suspect, log, suspects, unconverted
from chappe.routing.quality.truth import Canaries, Item, Truth

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime, tracked: Tracked = lambda _connector_id: True) -> Quality:
    """Read what is known and begin to learn; before `rt.events.start` and `rt.jobs.start`. Close what it gives before
    the runtime. `tracked` tells whether a connector's supplier sends receipts. Raises Unavailable."""
    live = await load(rt, tracked)
    learn.register(rt, live)
    jobs.register(rt)
    return live


__all__ = [
    "EVERYWHERE",
    "Canaries",
    "Canary",
    "Conversion",
    "Demotion",
    "Estimate",
    "Item",
    "Line",
    "Quality",
    "RouteAlarm",
    "Share",
    "Suspect",
    "Truth",
    "add_canary",
    "alarms",
    "converted",
    "found_canary",
    "lift",
    "log",
    "of",
    "place_of",
    "remove_canary",
    "start",
    "suspects",
    "unconverted",
]
