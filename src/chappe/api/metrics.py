"""Metrics for Prometheus: requests as they come, queues and links as they are when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from chappe import ids
from chappe.api import store
from chappe.api.answers import Answer
from chappe.api.house import House
from chappe.messages import Lane, State
from chappe.messages.model import Queued
from chappe.storage import Unavailable

FRESH_S = 5.0  # the store is asked no more often
RECENT_S = 60
_LINK_STATES = ("starting", "up", "degraded", "down", "stopped", "refused")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One registry an app. Children of labels are kept, so that a request costs two increments."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._requests = Counter(
            "chappe_http_requests", "Requests by route and status.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "chappe_http_request_seconds", "Time to answer.", ["route"], registry=self._registry, buckets=_BUCKETS
        )
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}
        self._stored: list[Metric] = []
        self._due = 0.0
        self._asking = asyncio.Lock()
        self._registry.register(self)

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a template, never a path: its values are few."""
        known = self._children.get((route, status))
        if known is None:
            known = (self._requests.labels(route, str(status)), self._seconds.labels(route))
            self._children[route, status] = known
        known[0].inc()
        known[1].observe(seconds)

    async def page(self) -> Answer:
        await self._refresh()
        return Answer(200, generate_latest(self._registry), ((b"content-type", CONTENT_TYPE_LATEST.encode()),))

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return [*self._stored, *self._links(), *self._work()]

    # -- what the store knows --------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Ask the store unless it was asked a moment ago; a slow one is asked less often."""
        clock = self._house.rt.clock
        async with self._asking:
            start = clock.monotonic()
            if start < self._due:
                return
            try:
                self._stored = [
                    *await self._queues(),
                    *await self._recent(),
                    *await self._webhooks(),
                    *await self._lag(),
                ]
            except Unavailable:
                self._stored = []
            took = clock.monotonic() - start
            self._due = start + max(FRESH_S, 20 * took)

    async def _queues(self) -> list[Metric]:
        rt = self._house.rt
        now = rt.clock.now()
        waiting = GaugeMetricFamily(
            "chappe_queue_messages", "Messages in the queue.", labels=["connector", "lane", "state"]
        )
        oldest = GaugeMetricFamily(
            "chappe_queue_oldest_seconds", "How long the oldest message is overdue.", labels=["connector", "lane"]
        )
        for connector_id, lane, state, count, due_at in await rt.store.scan(store.WAITING()):
            name, lane_name = self._name(connector_id), Lane(lane).name.lower()
            waiting.add_metric([name, lane_name, Queued(state).name.lower()], count)
            if state == Queued.WAITING:
                oldest.add_metric([name, lane_name], max(0, now - due_at) / 1000)
        return [waiting, oldest]

    async def _recent(self) -> list[Metric]:
        rt = self._house.rt
        count = GaugeMetricFamily(
            "chappe_recent_messages",
            "Messages accepted in the last minute, by their state now.",
            labels=["state", "connector"],
        )
        seconds = GaugeMetricFamily(
            "chappe_submit_seconds",
            "Mean time from acceptance to the supplier's answer, of those accepted in the last minute.",
            labels=["state", "connector"],
        )
        since = ids.at(rt.clock.now() - RECENT_S * 1000)
        for state, connector_id, number, mean in await rt.store.scan(store.RECENT({"since": since})):
            labels = [State(state).word, self._name(connector_id)]
            count.add_metric(labels, number)
            if mean is not None:
                seconds.add_metric(labels, max(0.0, (float(mean) - ids.EPOCH) / 1000))
        return [count, seconds]

    async def _webhooks(self) -> list[Metric]:
        rt = self._house.rt
        [(number, due_at)] = await rt.store.scan(store.DELIVERIES_DUE({"now": rt.clock.now()}))
        due = GaugeMetricFamily("chappe_webhook_deliveries_due", "Deliveries that are due (at most 100,000 counted).")
        due.add_metric([], number)
        lag = GaugeMetricFamily("chappe_webhook_lag_seconds", "How long the oldest delivery is overdue.")
        lag.add_metric([], 0 if due_at is None else (rt.clock.now() - due_at) / 1000)
        return [due, lag]

    async def _lag(self) -> list[Metric]:
        events = self._house.rt.events
        waiting = GaugeMetricFamily("chappe_events_waiting", "Events a reaction has not heard.", labels=["reaction"])
        age = GaugeMetricFamily("chappe_events_lag_seconds", "Age of the oldest of them.", labels=["reaction"])
        for name in events.reactions():
            lag = await events.lag(name)
            waiting.add_metric([name], lag.waiting)
            age.add_metric([name], lag.age_ms / 1000)
        return [waiting, age]

    # -- what this process knows -----------------------------------------------------------------------------------

    def _links(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("chappe_link_binds_up", "Binds that are up.", labels=["connector"])
        wanted = GaugeMetricFamily("chappe_link_binds_wanted", "Binds that should be up.", labels=["connector"])
        flying = GaugeMetricFamily("chappe_link_in_flight", "Unanswered submits.", labels=["connector"])
        state = GaugeMetricFamily("chappe_link_state", "1 for the state it is in.", labels=["connector", "state"])
        for desk in list(self._house.pipeline.dispatcher.desks.values()):
            name = desk.connector.name
            status = desk.status if desk.link is None else desk.link.status()
            up.add_metric([name], status.binds_up)
            wanted.add_metric([name], status.binds_wanted)
            flying.add_metric([name], status.in_flight)
            for word in _LINK_STATES:
                state.add_metric([name, word], int(word == status.state))
        yield from (up, wanted, flying, state)

    def _work(self) -> Iterator[Metric]:
        webhooks = self._house.webhooks
        flying = GaugeMetricFamily("chappe_webhook_in_flight", "Webhook requests on their way.")
        flying.add_metric([], webhooks.in_flight)
        yield flying

    def _name(self, connector_id: int) -> str:
        return self._house.pipeline.connector_name(connector_id) or ids.public("con", connector_id)
