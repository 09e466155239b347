"""The room at work: `start(rt)` before `rt.events.start` and `rt.jobs.start`, then `Webhooks.start` where it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.webhooks import jobs, log, on
from chappe.webhooks.book import load
from chappe.webhooks.model import REPLAY
from chappe.webhooks.sender import Sender

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Webhooks:
    """The webhooks of a process. Every process that emits events calls `start(rt)`; those that send, `start()`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return self._sender.in_flight

    @property
    def in_hand(self) -> int:
        """Deliveries leased by this process."""
        return self._sender.in_hand

    def start(self) -> None:
        """Begin to post."""
        self._sender.start()

    async def stop(self) -> None:
        """Finish what is on its way, within ten seconds, and give back the rest."""
        await self._sender.stop()


async def start(rt: Runtime) -> Webhooks:
    """Read the endpoints, register reactions and jobs. Raises Unavailable."""
    snapshot = await load(rt)
    sender = Sender(rt)
    snapshot.on_change(sender.follow)
    on.register(rt, sender)
    jobs.register(rt)
    rt.jobs.register(REPLAY, log.replay_slice)
    return Webhooks(sender)
