"""Metrics for Prometheus: requests as they come, queues and links as they are when somebody asks."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from chappe import ids
from chappe.api import store
from chappe.api.alarms import KINDS, alarms
from chappe.api.answers import Answer
from chappe.api.facts import Sparing
from chappe.api.house import House
from chappe.messages import State
from chappe.storage import Row, Unavailable

FRESH_S = 5.0
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
        self._ask_recent = Sparing(house.rt.clock, FRESH_S, self._read_recent)
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
        """What cannot be asked now is left out."""
        stored: list[Metric] = []
        for ask in (self._queues, self._recent, self._webhooks, self._lag, self._health, self._alarms):
            try:
                stored += await ask()
            except Unavailable:
                continue
        self._stored = stored

    async def _queues(self) -> list[Metric]:
        waiting = GaugeMetricFamily(
            "chappe_queue_messages", "Messages in the queue.", labels=["connector", "lane", "state"]
        )
        oldest = GaugeMetricFamily(
            "chappe_queue_oldest_seconds", "How long the oldest message is overdue.", labels=["connector", "lane"]
        )
        for count in await self._house.facts.lanes():
            labels = [count.connector, count.lane.name.lower()]
            for state in ("waiting", "sending", "scheduled"):
                if number := getattr(count, state):
                    waiting.add_metric([*labels, state], number)
            if count.waiting:
                oldest.add_metric(labels, max(0.0, count.oldest_s))
        return [waiting, oldest]

    async def _recent(self) -> list[Metric]:
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
        for state, connector_id, number, mean in await self._ask_recent():
            labels = [State(state).word, self._house.facts.connector_name(connector_id)]
            count.add_metric(labels, number)
            if mean is not None:
                seconds.add_metric(labels, max(0.0, (float(mean) - ids.EPOCH) / 1000))
        return [count, seconds]

    async def _read_recent(self) -> list[Row]:
        rt = self._house.rt
        return await rt.store.scan(store.RECENT({"since": ids.at(rt.clock.now() - RECENT_S * 1000)}))

    async def _webhooks(self) -> list[Metric]:
        found = await self._house.facts.webhooks()
        due = GaugeMetricFamily("chappe_webhook_deliveries_due", "Deliveries that are due (at most 100,000 counted).")
        due.add_metric([], found.waiting)
        lag = GaugeMetricFamily("chappe_webhook_lag_seconds", "How long the oldest delivery is overdue.")
        lag.add_metric([], found.oldest_s)
        return [due, lag]

    async def _lag(self) -> list[Metric]:
        waiting = GaugeMetricFamily("chappe_events_waiting", "Events a reaction has not heard.", labels=["reaction"])
        age = GaugeMetricFamily("chappe_events_lag_seconds", "Age of the oldest of them.", labels=["reaction"])
        for name, lag in (await self._house.facts.lags()).items():
            waiting.add_metric([name], lag.waiting)
            age.add_metric([name], lag.age_ms / 1000)
        return [waiting, age]

    async def _health(self) -> list[Metric]:
        found = await self._house.facts.health()
        snapshot = found.oldest_snapshot
        plain = (
            ("chappe_store_bytes", "Size of the database.", found.size_bytes),
            ("chappe_disk_free_bytes", "Free on the disk of data_dir.", found.disk_free_bytes),
            ("chappe_wal_waiting_bytes", "Of SQLite's log, what waits for a checkpoint.", found.wal_waiting_bytes),
            (
                "chappe_oldest_snapshot_seconds",
                "Age of the oldest open transaction.",
                snapshot.age_s if snapshot else 0,
            ),
            ("chappe_clock_ahead_seconds", "Our clock before the database's.", found.clock_ahead_s),
        )
        dead = GaugeMetricFamily("chappe_dead_rows", "Rows that are gone and not yet removed.", labels=["table"])
        for table in found.tables:
            dead.add_metric([table.name], table.dead)
        return [*(GaugeMetricFamily(name, words, value=value) for name, words, value in plain), dead]

    async def _alarms(self) -> list[Metric]:
        found = Counted(alarm.kind for alarm in await alarms(self._house.facts, self._house.rt.settings.alarms))
        family = GaugeMetricFamily("chappe_alarms", "Alarms of this kind.", labels=["kind"])
        for kind in KINDS:
            family.add_metric([kind], found[kind])
        return [family]

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
