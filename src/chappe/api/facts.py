"""How the installation is, asked of the store as seldom as it costs: each answer is used again for a while, and for
twenty times as long as it took to find. So a million waiting rows are counted all the same, and ten people who look
cost one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec import Struct

from chappe import accounts, connectors, consent, fraud, ids, nodes
from chappe.api import store
from chappe.billing import reports
from chappe.events.outbox import Lag
from chappe.messages import Lane
from chappe.nodes import NodeInfo
from chappe.routing import quality
from chappe.routing.quality import RouteAlarm
from chappe.storage.health import StoreHealth, health

if TYPE_CHECKING:
    from chappe.clock import Clock
    from chappe.runtime import Runtime

T = TypeVar("T")

NEWS_S: Final = 1.0
COUNT_S: Final = 2.0
HEALTH_S: Final = 5.0
_SHARE: Final = 20


class Sparing(Generic[T]):
    """The last answer to a question, or a new one if that is `fresh_s` old. Raises what the question raises."""

    def __init__(self, clock: Clock, fresh_s: float, ask: Callable[[], Awaitable[T]]) -> None:
        self._clock = clock
        self._fresh_s = fresh_s
        self._ask = ask
        self._asking = asyncio.Lock()
        self._due = float("-inf")
        self._answer: T

    async def __call__(self) -> T:
        async with self._asking:
            start = self._clock.monotonic()
            if start >= self._due:
                self._answer = await self._ask()
                took = self._clock.monotonic() - start
                self._due = start + max(self._fresh_s, _SHARE * took)
            return self._answer


@dataclass(slots=True)
class LaneCount:
    """A lane of a connector. `oldest_s`: how long its oldest message is overdue."""

    connector: str
    lane: Lane
    waiting: int = 0
    oldest_s: float = 0.0
    sending: int = 0
    scheduled: int = 0


class Backlog(Struct, frozen=True):
    """What waits to be told to somebody, counted up to 100,000, and the age of the oldest."""

    waiting: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """What needs somebody's eye, counted up to 100,000 each."""

    parked_receipts: int
    events_aside: int
    in_doubt: int


@dataclass(frozen=True, slots=True)
class OpenReviews:
    """Texts that wait for a reviewer for too long, and for how many seconds the oldest; None: there is none."""

    number: int
    oldest_s: float | None


class Facts:
    """Each question raises Unavailable."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self.nodes = Sparing(rt.clock, NEWS_S, self._nodes)
        self.lanes = Sparing(rt.clock, COUNT_S, self._lanes)
        self.lags = Sparing(rt.clock, COUNT_S, self._lags)
        self.webhooks = Sparing(rt.clock, COUNT_S, self._webhooks)
        self.customers = Sparing(rt.clock, COUNT_S, self._customers)
        self.held = Sparing(rt.clock, COUNT_S, self._held)
        self.health = Sparing(rt.clock, HEALTH_S, self._health)
        self.usage_late = Sparing(rt.clock, COUNT_S, lambda: reports.late(rt))
        self.reviews = Sparing(rt.clock, COUNT_S, self._reviews)
        self.growths = Sparing(rt.clock, COUNT_S, self._growths)
        self.consents_late = Sparing(rt.clock, COUNT_S, lambda: consent.late(rt))

    def connector_name(self, connector_id: int) -> str:
        connector = connectors.book(self._rt).get(connector_id)
        return connector.name if connector is not None else ids.public("con", connector_id)

    def demoted(self) -> list[RouteAlarm]:
        """The connectors that live quality keeps traffic from; a process that does not route knows of none."""
        try:
            return quality.alarms(self._rt, self.connector_name)
        except KeyError:
            return []

    async def _nodes(self) -> list[NodeInfo]:
        """Those that serve, the oldest first."""
        return [node for node in await nodes.listing(self._rt.store) if node.roles]

    async def _lanes(self) -> list[LaneCount]:
        """Those with messages in the queue."""
        scan, now = self._rt.store.scan, self._rt.clock.now()
        found: defaultdict[tuple[str, Lane], LaneCount] = defaultdict(lambda: LaneCount("", Lane.OTP))

        def of(connector_id: int, lane: int) -> LaneCount:
            name = self.connector_name(connector_id)
            count = found[name, Lane(lane)]
            count.connector, count.lane = name, Lane(lane)
            return count

        for connector_id, lane, number, due_at in await scan(store.WAITING()):
            count = of(connector_id, lane)
            count.waiting += number
            count.oldest_s = max(count.oldest_s, (now - due_at) / 1000)
        for connector_id, lane, number in await scan(store.SENDING()):
            of(connector_id, lane).sending += number
        for connector_id, lane, number in await scan(store.SCHEDULED()):
            of(connector_id, lane).scheduled += number
        return [found[key] for key in sorted(found)]

    async def _growths(self) -> Sequence[fraud.Growth]:
        """Accounts that send far more than ever; a process that does not judge texts knows of none."""
        try:
            return await fraud.growths(self._rt)
        except KeyError:
            return ()

    async def _reviews(self) -> OpenReviews:
        now = self._rt.clock.now()
        since = now - self._rt.settings.alarms.review_h * 3_600_000
        number, oldest = await fraud.oldest_open(self._rt, since)
        return OpenReviews(number, None if oldest is None else (now - oldest) / 1000)

    async def _lags(self) -> dict[str, Lag]:
        """By the name of the reaction."""
        events = self._rt.events
        return {name: await events.lag(name) for name in events.reactions()}

    async def _webhooks(self) -> Backlog:
        now = self._rt.clock.now()
        [(number, due_at)] = await self._rt.store.scan(store.DELIVERIES_DUE({"now": now}))
        return Backlog(number, 0.0 if due_at is None else max(0, now - due_at) / 1000)

    async def _customers(self) -> Backlog:
        [(number, since)] = await self._rt.store.scan(store.CUSTOMERS_WAITING())
        return Backlog(number, 0.0 if since is None else max(0, self._rt.clock.now() - since) / 1000)

    async def _held(self) -> Held:
        scan = self._rt.store.scan
        known = {"accounts": list(accounts.directory(self._rt).accounts)}
        counts = [(await scan(op))[0][0] for op in (store.PARKED(), store.EVENTS_ASIDE(), store.IN_DOUBT(known))]
        return Held(*counts)

    async def _health(self) -> StoreHealth:
        settings = self._rt.settings
        return await health(self._rt.store, settings.database, settings.data_dir)
