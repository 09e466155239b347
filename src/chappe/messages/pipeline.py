"""The pipeline as one object: what its parts share, and how it starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence

from chappe import accounts, billing, connectors, consent, lookups, nodes, numbers, routing, senders
from chappe.channels import Connector, Link, LinkStatus, Outgoing, Sink
from chappe.messages import orphans, reviews, roads, sweep, wire
from chappe.messages.accept import Acceptor
from chappe.messages.binds import Binds
from chappe.messages.dispatch import Dispatcher
from chappe.messages.flight import Flight
from chappe.messages.inbound import Inbox
from chappe.messages.model import IdempotencyKey, Message, Result, Submission
from chappe.messages.recorder import Recorder
from chappe.routing import quality, throttles
from chappe.runtime import Runtime
from chappe.storage import Conflict, StoreError

OpenLink = Callable[[Connector, Sink, Collection[int] | None], Link]
"""Given the slots of the connector's binds that are ours; None: all."""
_RESCUE_EVERY_S = 10.0
_PRUNE_EVERY_S = 600.0
_STOP_WITHIN_S = 15.0  # if the store is away longer, the next start finds what is left in doubt


class Pipeline:
    """`alone` says that no other process serves this store: then all binds are ours without a lease, and whatever
    another has on the wire is an orphan. `dispatch`: this process holds links and works through the queue; else it
    accepts, and others send."""

    def __init__(self, rt: Runtime, open_link: OpenLink, *, alone: bool = False, dispatch: bool = True) -> None:
        self.rt = rt
        self.open_link = open_link
        self.owner = rt.node.incarnation
        self.alone = alone
        self.dispatches = dispatch
        self.leases = None if alone else connectors.Leases(rt)
        self._binds = None if self.leases is None else Binds(self, self.leases)
        self.dispatcher = Dispatcher(self)
        self.recorder = Recorder(self)
        self.inbox = Inbox(self)
        self.wallets = billing.Wallets(rt.store)
        self.gate = throttles.gate(rt)
        self.quality = quality.of(rt)
        self._own_data = lookups.chain(rt).data
        self.acceptor = Acceptor(self)
        self.depth = 0  # of the queue, about: counted now and then, added to by accept
        self.adopting = asyncio.Lock()
        self._following = self._stopping = False
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

    @property
    def tariffs(self) -> billing.Book:
        return billing.book(self.rt)

    def operator_of(self, number: numbers.Number) -> str | None:
        """The network (MCC and MNC) that serves a number, as far as this machine knows without asking anybody."""
        return self._own_data.operator(number)

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Call in doubt what an earlier process left on the wire, then open the links and start the sweepers."""
        self.rt.node.counters, self.rt.node.gauges = self._counters, self._gauges
        await self.gate.open(self.rt)
        self._spawn(self.gate.keep(self.rt))
        await sweep.measure(self)
        self._spawn(self._every(sweep.PARKED_EVERY_S, sweep.measure))
        if not self.dispatches:
            await self._follow()
            return
        await orphans.adopt(self)
        if not self.alone:
            self.rt.node.watch(self._lease_lost, self._lease_back)
            self.rt.store.listen(nodes.TOPIC, self._nodes_changed)
        await self._follow()
        accounts.snapshot(self.rt, connectors.ROOM).on_change(lambda _book: self._spawn(self._follow()))
        self.rt.store.listen("queue", self.dispatcher.wake_all)
        consent.stops(self.rt).on_stop(self.dispatcher.withhold)
        self._spawn(self._every(sweep.EVERY_S, sweep.slices))
        self._spawn(self._every(sweep.PARKED_EVERY_S, sweep.match_parked))
        self._spawn(self._every(sweep.PARKED_EVERY_S, lambda house: house.inbox.sweep()))
        self._spawn(self._every(sweep.PARKED_EVERY_S, reviews.settle))
        self._spawn(self._every(reviews.TIDY_EVERY_S, reviews.tidy))
        self._spawn(self._every(_RESCUE_EVERY_S, sweep.rescue))
        self._spawn(self._every(_RESCUE_EVERY_S if self.alone else orphans.EVERY_S, orphans.adopt))
        self._spawn(self._every(_RESCUE_EVERY_S, sweep.return_unclaimed))
        self._spawn(self._every(_PRUNE_EVERY_S, sweep.prune_touches))

    async def stop(self) -> None:
        """Unbind from the suppliers, then store what they still said."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.acceptor.drain()
        try:
            await self.gate.close(self.rt)
        except StoreError as error:
            self.rt.log.warning("what throttles have counted last is not kept", error=str(error))
        if self._binds is not None:
            await self._binds.stop()
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

    def submit(self, submission: Submission, answer: Callable[[Result | BaseException], None]) -> None:
        """`accept` for one message without a key and without a task: `answer` gets its result, or what was raised,
        after the commit. Raises batching.Full."""
        self.acceptor.submit(submission, answer)

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

    def next_connector(self, message: Message, tried: Sequence[int], error: str) -> Connector | None:
        """Where it goes after an error of that class at the last of `tried`."""
        return roads.following(self, message, tried, error=error)

    def link(self, connector_id: int) -> LinkStatus | None:
        """How a connector's binds are, on all nodes; None while it is stopped."""
        connector = self.connectors.get(connector_id)
        desk = self.dispatcher.desks.get(connector_id)
        here = None if desk is None else desk.status if desk.link is None else desk.link.status()
        if self.leases is None or connector is None or not connector.active:
            if here is not None:
                here.binds = [{"node": self.rt.node.name, **bind} for bind in here.binds]
            return here
        told = self.leases.status(connector)
        if here is not None:
            told.in_flight = here.in_flight
        return told

    def binds_changed(self) -> None:
        """A link is in another state than before."""
        if self._binds is not None:
            self._binds.wake()

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """The links as the connectors are now."""
        if self._binds is None:
            await self.dispatcher.follow(list(self.connectors))
        elif self._following:
            self._binds.wake()
        else:
            self._following = True
            await self._binds.start()

    def _nodes_changed(self) -> None:
        """One may have died."""
        if not self._stopping:
            self._spawn(self._once(orphans.adopt))

    def _lease_lost(self) -> None:
        self.dispatcher.drop()

    def _lease_back(self, anew: bool) -> None:
        self.owner = self.rt.node.incarnation
        self.dispatcher.resume(anew=anew)
        self.binds_changed()

    def _counters(self) -> Mapping[str, int]:
        return self.dispatcher.counters

    def _gauges(self) -> Mapping[str, float]:
        links = [desk.link.status() for desk in self.dispatcher.desks.values() if desk.link is not None]
        return {
            "binds": sum(len(desk.slots) for desk in self.dispatcher.desks.values()),
            "binds_up": sum(link.binds_up for link in links),
            "in_flight": sum(link.in_flight for link in links),
            "queue": self.depth,
        }

    def _spawn(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _every(self, seconds: float, work: Callable[[Pipeline], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._once(work)

    async def _once(self, work: Callable[[Pipeline], Awaitable[object]]) -> None:
        try:
            await work(self)
        except Conflict:
            return  # a neighbour was quicker
        except StoreError as error:
            self.rt.log.warning("sweeper waits for the store", work=str(work), error=str(error))
        except Exception:  # a sweeper that dies would leave its state without one
            self.rt.log.exception("sweeper failed", work=str(work))
