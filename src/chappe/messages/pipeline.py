"""The pipeline as one object: what its parts share, and how it starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from chappe import accounts, connectors, routing, senders
from chappe.channels import Connector, Link, Outgoing, Sink
from chappe.messages import retention, routes, sweep, wire
from chappe.messages.accept import Acceptor
from chappe.messages.dispatch import Dispatcher
from chappe.messages.flight import Flight
from chappe.messages.inbound import Inbox
from chappe.messages.model import IdempotencyKey, Message, Result, Submission
from chappe.messages.recorder import Recorder
from chappe.runtime import Runtime
from chappe.storage import StoreError

OpenLink = Callable[[Connector, Sink], Link]
_RESCUE_EVERY_S = 10.0
_TIDY_EVERY_S = 600.0
_FORGET_EVERY_S = 3600.0
_STOP_WITHIN_S = 15.0  # if the store is away longer, the next start finds what is left in doubt


class Pipeline:
    """`alone` says that no other process serves this store: then whatever another has on the wire is an orphan."""

    def __init__(self, rt: Runtime, open_link: OpenLink, *, alone: bool = False) -> None:
        self.rt = rt
        self.open_link = open_link
        self.owner = rt.node.incarnation
        self.alone = alone
        self.dispatcher = Dispatcher(self)
        self.recorder = Recorder(self)
        self.inbox = Inbox(self)
        self.acceptor = Acceptor(self)
        self.depth = 0  # of the queue, about: counted now and then, added to by accept
        self.blanked: dict[str, int] = {}  # up to which id texts were forgotten since the start
        self._tasks: set[asyncio.Future[object]] = set()

    @property
    def accounts(self) -> accounts.Directory:
        return accounts.directory(self.rt)

    @property
    def connectors(self) -> connectors.Book:
        return connectors.book(self.rt)

    @property
    def routes(self) -> routing.Table:
        return routing.table(self.rt)

    @property
    def senders(self) -> senders.Book:
        return senders.book(self.rt)

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Call in doubt what an earlier process left on the wire, then open the links and start the sweepers."""
        await sweep.orphans(self)
        await sweep.measure(self)
        await self._follow()
        accounts.snapshot(self.rt, connectors.ROOM).on_change(lambda _book: self._spawn(self._follow()))
        self.rt.store.listen("queue", self.dispatcher.wake_all)
        self._spawn(self._every(sweep.EVERY_S, sweep.slices))
        self._spawn(self._every(sweep.PARKED_EVERY_S, sweep.match_parked))
        self._spawn(self._every(sweep.PARKED_EVERY_S, sweep.measure))
        self._spawn(self._every(sweep.PARKED_EVERY_S, lambda house: house.inbox.sweep()))
        self._spawn(self._every(_RESCUE_EVERY_S, sweep.rescue))
        self._spawn(self._every(_RESCUE_EVERY_S, sweep.orphans))
        self._spawn(self._every(_RESCUE_EVERY_S, sweep.return_unclaimed))
        self._spawn(self._every(_TIDY_EVERY_S, sweep.tidy))
        self._spawn(self._every(_FORGET_EVERY_S, retention.forget))

    async def stop(self) -> None:
        """Unbind from the suppliers, then store what they still said."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.acceptor.drain()
        await self.dispatcher.stop()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await self.recorder.drain()
                await self.inbox.drain()
        except TimeoutError:
            self.rt.log.error("answers could not be stored before the stop")

    async def accept(self, submissions: Sequence[Submission], key: IdempotencyKey | None = None) -> list[Result]:
        """Take messages for delivery: one result a submission, in order, after the commit.

        Raises Replay and KeyReused for idempotency keys seen before, Unavailable and batching.Full when the store is
        away or too much waits.
        """
        return await self.acceptor.accept(submissions, key)

    # -- what the parts ask -----------------------------------------------------------------------------------------

    def connector_name(self, connector_id: int) -> str:
        connector = self.connectors.get(connector_id)
        return connector.name if connector else ""

    def active(self, connector_id: int) -> bool:
        connector = self.connectors.get(connector_id)
        return connector is not None and connector.status == "active"

    def tracked(self, connector_id: int) -> bool:
        """Whether this supplier sends receipts."""
        connector = self.connectors.get(connector_id)
        return connector is not None and connector.settings.receipts

    def policy(self, purpose: str, connector_id: int) -> str:
        """What becomes of a message in doubt: hold or resend."""
        connector = self.connectors.get(connector_id)
        override = getattr(connector.settings.in_doubt, purpose) if connector else None
        chosen: str = override or getattr(self.rt.settings.in_doubt, purpose)
        return chosen

    def parts(self, flight: Flight, connector: Connector | None) -> list[Outgoing]:
        """What goes on the wire for a flight. Raises TextError if this connector cannot carry it."""
        message = flight.message
        encoded = wire.encode(message.text, message.wire, connector, message.id, self.rt.settings.max_parts)
        return wire.parts_of(message, encoded, flight.attempt, flight)

    def next_connector(self, message: Message, tried: Sequence[int]) -> Connector | None:
        return routes.following(self, message, tried)

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        await self.dispatcher.follow(list(self.connectors))

    def _spawn(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _every(self, seconds: float, work: Callable[[Pipeline], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work(self)
            except StoreError as error:
                self.rt.log.warning("sweeper waits for the store", work=str(work), error=str(error))
            except Exception:  # a sweeper that dies would leave its state without one
                self.rt.log.exception("sweeper failed", work=str(work))
