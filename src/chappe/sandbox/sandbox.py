"""The sandbox operator as a whole: it listens, and has moods that come from a scenario or from outside."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from chappe.sandbox.behaviour import status_code
from chappe.sandbox.operator import Operator
from chappe.sandbox.scenario import Event, Scenario
from chappe.smpp import SessionSettings, status
from chappe.smpp.aio import Server, serve

KEEP: Final = 100_000
"""Submits and messages on phones that are kept in full."""

_SETTINGS: Final = SessionSettings(
    window=10_000,  # the scenario's deliver_window is what counts
    max_pending=10_000,
    response_timeout_s=10,  # a deliver_sm unanswered for so long is sent again
    interface_version=0x50,
    long_passwords=True,
)


class Sandbox:
    """A message centre with simulated phones, within a running loop."""

    def __init__(self, scenario: Scenario, keep: int = KEEP) -> None:
        self._loop = asyncio.get_running_loop()
        self.operator = Operator(self._loop, scenario, keep)
        self.host = ""
        self.port = 0
        self._tls: ssl.SSLContext | None = None
        self._server: Server | None = None
        self._absence: asyncio.Task[None] | None = None
        self._timers: dict[int, asyncio.TimerHandle] = {}

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Opens the SMPP port (0: any free one, read `.port`) and starts the scenario's events. Raises OSError."""
        self.host, self._tls = host, tls
        await self._open(port)
        self._plan(self.operator.scenario.events)

    async def _open(self, port: int) -> None:
        authenticate = self.operator.authenticate
        self._server = await serve(self.host, port, authenticate, None, _SETTINGS, self._tls, max_per_ip=10_000)
        self.port = self._server.port

    async def close(self) -> None:
        """Says goodbye to all and stops listening."""
        self._plan(())
        await self._end_absence()
        if self._server is not None:
            await self._server.close(grace=1)
        self.operator.wheel.clear()

    def time(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    # -- moods

    def set_scenario(self, scenario: Scenario) -> None:
        """Replaces the scenario; what is on its way keeps the fate it has."""
        self.operator.set_scenario(scenario)
        self._plan(scenario.events)

    def drop(self, system_id: str | None = None) -> int:
        """Cuts all binds, or those of one customer, without a word; returns how many."""
        outboxes = self.operator.network.outboxes
        chosen = outboxes.values() if system_id is None else filter(None, (outboxes.get(system_id),))
        binds = [conn for outbox in chosen for conn in outbox.binds]
        for conn in binds:
            conn.abort("dropped")
        return len(binds)

    def throttle(self, duration: float) -> None:
        """Every submit reads ESME_RTHROTTLED for so many seconds; 0 ends it."""
        self.operator.throttled_until = self._loop.time() + duration

    def refuse_binds(self, duration: float, command_status: int = status.ESME_RBINDFAIL) -> None:
        """Every bind is refused for so many seconds; 0 ends it."""
        self.operator.refusal = command_status
        self.operator.refusing_until = self._loop.time() + duration

    async def away(self, duration: float) -> None:
        """Cuts all connections and refuses new ones for so many seconds, as a machine that is down; 0 ends it."""
        await self._end_absence()
        gone = asyncio.Event()
        self._absence = asyncio.create_task(self._be_away(duration, gone))
        await gone.wait()

    async def _be_away(self, duration: float, gone: asyncio.Event) -> None:
        server, self._server = self._server, None
        if server is not None:
            for conn in list(server.connections):
                conn.abort("away")
            await server.close(grace=0)
        with _held(self.host, self.port):
            gone.set()
            await asyncio.sleep(duration)
        await self._open(self.port)

    async def _end_absence(self) -> None:
        if self._absence is not None:
            self._absence.cancel()
            with suppress(asyncio.CancelledError):
                await self._absence
            self._absence = None

    def _plan(self, events: tuple[Event, ...]) -> None:
        """Sets the timers of a scenario's events in place of the old ones."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for index, event in enumerate(events):
            self._schedule(index, event)

    def _schedule(self, index: int, event: Event) -> None:
        delay = event.every_s if event.after_s is None else event.after_s
        self._timers[index] = self._loop.call_later(delay or 0, self._happen, index, event)

    def _happen(self, index: int, event: Event) -> None:
        if event.every_s is not None:
            self._schedule(index, event)
        if event.do == "drop":
            self.drop()
        elif event.do == "throttle":
            self.throttle(event.seconds)
        elif event.do == "refuse_binds":
            self.refuse_binds(event.seconds, status_code(event.status) or status.ESME_RBINDFAIL)
        elif self._absence is None or self._absence.done():
            self._absence = asyncio.create_task(self._be_away(event.seconds, asyncio.Event()))

    # -- what there is to see

    def state(self) -> dict[str, Any]:
        """Binds and counters."""
        operator = self.operator
        network = operator.network
        now = self._loop.time()
        return {
            "listening": self._server is not None,
            "throttled_s": round(max(0.0, operator.throttled_until - now), 3),
            "refusing_binds_s": round(max(0.0, operator.refusing_until - now), 3),
            "binds_accepted": operator.counts["binds"],
            "binds_refused": operator.counts["binds_refused"],
            "submits": operator.log.count,
            "taken": operator.counts["taken"],
            "answered": {status.name(code): count for code, count in sorted(operator.statuses.items())},
            "unanswered": operator.counts["unanswered"],
            "phones": {
                "received": network.phones.count,
                "incomplete": network.phones.incomplete,
                "sent": network.sent,
            },
            "receipts": dict(sorted(network.receipts.items())),
            "on_the_way": operator.wheel.waiting,
            "customers": {system_id: outbox.describe() for system_id, outbox in network.outboxes.items()},
        }


@contextmanager
def _held(host: str, port: int) -> Iterator[None]:
    """Keeps a port without listening on it: callers are refused, and no other process is given it meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # it is only a precaution
            holder.bind((host, port))
        yield
