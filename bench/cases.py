"""The cases: what goes in, and when a message has gone all the way. Each run proves that none was lost or doubled."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bench.databases import Database
from bench.installation import KEY, PASSWORD, SERVE, Installation
from bench.kit import Failed, Figures, Kit, Sink, free_port, together

TEXT = "Hello, this is message {n}."
ITEM = json.dumps({"to": "+{n}", "text": TEXT})
FIRST = 33_610_000_000  # numbers that texts may go to; each run goes on where the last ended
NUMBERS = 89_000_000
PATIENCE_S = 60.0
DOUBLES_S = 0.3  # how long we listen on for what must not come
WARM_UP = 1_000
TO_MEASURE = 5_000  # messages that tell the highest rate, for half of it
FRESH_S = 5.5  # metrics are at most five seconds old
PROBES = 50
PROBE_EVERY_S = 0.1
DELIVERED = '"type":"message.delivered"'


@dataclass
class Run:
    """One run of a case. CPU is that of one message, in us; latencies are from submit to answer, in ms."""

    count: int
    accept_rate: float
    """Messages accepted a second."""
    rate: float
    """Messages a second from the first request until the last had gone all the way."""
    cpu_us: float
    store_cpu_us: float
    load_cpu_us: float
    """What made the load and took the messages."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    rss_mib: float
    load_per_s: float = 0.0
    """The rate that was offered; 0: as much as was taken."""


@dataclass
class Sent:
    """What a case saw of its own run: moments of the start, the last acceptance, the end."""

    began: float
    accepted: float
    ended: float
    latency: dict[str, float]
    load_cpu_s: float


class Case:
    """Started once, run some times. `step` is called as work goes on, for a progress bar."""

    name: ClassVar[str]
    words: ClassVar[str]
    receipts: ClassVar[bool] = True
    webhooks: ClassVar[bool] = False
    runs: ClassVar[int | None] = None
    """How often it is run, where it is not for the user to say."""
    serve: ClassVar[tuple[str, ...]] = SERVE
    most: ClassVar[int | None] = None
    """How many messages are enough."""

    def __init__(
        self,
        kit: Kit,
        scratch: Path,
        database: Database,
        nodes: int = 1,
        settings: Mapping[str, str] | None = None,
        *,
        billed: bool = False,
    ) -> None:
        self.kit = kit
        self.database = database
        self.scratch = scratch
        self.chappe = Installation(database, scratch, nodes, settings, self.serve, billed=billed)
        self.sinks: list[Sink] = []
        self.rate = 0.0
        self._next = FIRST + int(time.time() * 10) % NUMBERS  # other numbers than the last time on this store

    def start(self) -> None:
        self.operator = self._sink("sink", dlr_max_ms=50)
        self.chappe.start(self.operator.port, receipts=self.receipts)
        if self.database.history:
            self._settle()
        if self.webhooks:
            self.hooks = self._sink("httpsink", match=DELIVERED, uniq="id")
            self.chappe.tell_webhooks_to(self.hooks.port)
        self.run(min(WARM_UP, self.most or WARM_UP))

    def stop(self) -> None:
        self.chappe.stop_in_order() if self.database.history else self.chappe.stop()
        for sink in self.sinks:
            sink.stop()

    def run(self, count: int) -> Run:
        count = min(count, self.most or count)
        base = self.numbers(count)
        before = self.chappe.cpu_s(), self.database.cpu_s(), self._sinks_cpu_s(), self.operator.count("submits")
        sent = self.send(base, count)
        time.sleep(DOUBLES_S)
        self.verify(before[3] + count)
        return Run(
            count=count,
            accept_rate=count / (sent.accepted - sent.began),
            rate=count / (sent.ended - sent.began),
            cpu_us=(self.chappe.cpu_s() - before[0]) / count * 1e6,
            store_cpu_us=(self.database.cpu_s() - before[1]) / count * 1e6,
            load_cpu_us=(self._sinks_cpu_s() - before[2] + sent.load_cpu_s) / count * 1e6,
            p50_ms=sent.latency["p50"],
            p90_ms=sent.latency["p90"],
            p99_ms=sent.latency["p99"],
            rss_mib=self.chappe.rss_mib(),
            load_per_s=self.rate,
        )

    def send(self, base: int, count: int) -> Sent:
        """Send to `count` numbers from `base` on and wait until all have gone all the way. Raises Failed."""
        raise NotImplementedError

    def verify(self, submits: int) -> None:
        """Raises Failed unless the operator got every message once."""
        if (got := self.operator.count("submits")) != submits:
            raise Failed(f"{got - submits:+} submits at the operator")

    def numbers(self, count: int) -> int:
        """The first of so many numbers that were not used a while."""
        if self._next + count > FIRST + NUMBERS:
            self._next = FIRST
        base, self._next = self._next, self._next + count
        return base

    def patience_s(self, count: int) -> float:
        """When a load that does not end is given up."""
        return 300 + 2 * count / (self.rate or 100)

    def _settle(self) -> None:
        """Until nothing is left of an earlier run that was broken off."""
        deadline = time.monotonic() + PATIENCE_S
        while left := self.chappe.waiting():
            if time.monotonic() > deadline:
                raise Failed(f"{left} messages of an earlier run do not leave")
            time.sleep(FRESH_S)

    def _sink(self, program: str, **options: Any) -> Sink:
        self.sinks.append(Sink(self.kit, program, self.scratch, **options))
        return self.sinks[-1]

    def _sinks_cpu_s(self) -> float:
        return sum(float(sink.figures().get("cpu_s", 0.0)) for sink in self.sinks)

    def _shares(self, base: int, count: int) -> list[tuple[int, int, int]]:
        """What each node gets: its number, the first recipient, how many."""
        nodes = len(self.chappe.nodes)
        cuts = [count * n // nodes for n in range(nodes + 1)]
        return [(n, base + cuts[n], cuts[n + 1] - cuts[n]) for n in range(nodes)]


class Http(Case):
    name = "http"
    words = "HTTP, one message a request, 32 connections -> SMPP -> receipt -> signed webhook"
    webhooks = True
    conns: ClassVar[int] = 32
    options: ClassVar[dict[str, object]] = {"path": "/v1/messages", "body": ITEM}

    def send(self, base: int, count: int) -> Sent:
        done = self.end(count)
        figures = self.load(base, count)
        return Sent(figures["t_start"], figures["t_last"], done(), figures["latency"], figures["cpu_s"])

    def load(self, base: int, count: int, **more: object) -> Figures:
        """Figures of the load, all of it accepted. Raises Failed."""
        options = self.options | more | {"header": f"Authorization: Bearer {KEY}"}
        nodes = len(self.chappe.nodes)
        batch = int(str(self.options.get("batch", 1)))
        programs = [
            (
                "httpload",
                options
                | {"port": self.chappe.port("http", node), "conns": self.conns // nodes, "count": share, "base": first}
                | ({"rate": self.rate / nodes / batch} if self.rate else {}),
            )
            for node, first, share in self._shares(base, count)
        ]
        figures = together(self.kit.run(*programs, within_s=self.patience_s(count)), "lat_ms")
        if figures["ok"] != figures["requests"]:
            raise Failed(f"{figures['ok']} of {figures['requests']} requests were accepted: {figures}")
        return figures

    def end(self, count: int) -> Callable[[], float]:
        """Called before the start; what it gives waits for the last message's end and tells its moment."""
        wanted = self.hooks.count("uniq") + count
        return lambda: until(self.hooks, "uniq", wanted, "t_last_match")


class HttpBatch(Http):
    name = "http-batch"
    words = "HTTP in batches of 100, 4 connections -> SMPP -> receipt -> signed webhook"
    conns = 4
    options: ClassVar[dict[str, object]] = {
        "path": "/v1/messages/batch",
        "body": '{"messages": [{items}]}',
        "item": ITEM,
        "batch": 100,
        "expect": '"refused":0',
    }


class HttpAccept(Http):
    name = "http-accept"
    words = "HTTP, one message a request, 32 connections -> SMPP, no receipt, no webhook"
    receipts = False
    webhooks = False

    def end(self, count: int) -> Callable[[], float]:
        wanted = self.operator.count("submits") + count
        return lambda: until(self.operator, "submits", wanted, "t_last")


class Smpp(Case):
    name = "smpp"
    words = "SMPP, 2 sessions with a window of 50 -> SMPP -> receipt -> deliver_sm"
    window: ClassVar[int] = 50

    def send(self, base: int, count: int) -> Sent:
        nodes = len(self.chappe.nodes)
        common: dict[str, object] = {"pass": PASSWORD, "window": self.window, "dlr": 1, "src": "Bench", "text": TEXT}
        programs = [
            (
                "load",
                common
                | {"port": self.chappe.port("smpp", node), "user": f"bench{node}", "sessions": 2 // nodes}
                | {"count": share, "dst_base": first}
                | ({"rate": self.rate / nodes} if self.rate else {}),
            )
            for node, first, share in self._shares(base, count)
        ]
        figures = together(self.kit.run(*programs, within_s=self.patience_s(count)), "resp_ms")
        if figures["ok"] != count or figures["dlr"] != count or figures["dlr_dup"]:
            raise Failed(f"{count} messages, {figures['ok']} accepted, {figures['dlr']} receipts: {figures}")
        return Sent(
            figures["t_start"], figures["t_last_resp"], figures["t_last_dlr"], figures["latency"], figures["cpu_s"]
        )


class HalfLoad(Case):
    """Mixed into a case: an open loop at half of what the case reaches."""

    def start(self) -> None:
        super().start()
        self.rate = self.run(TO_MEASURE).rate / 2


class HttpHalf(HalfLoad, Http):
    name = "http-half"
    words = "http as an open loop at half of its highest rate"
    conns = 256


class SmppHalf(HalfLoad, Smpp):
    name = "smpp-half"
    words = "smpp as an open loop at half of its highest rate"
    window = 200


class Idle(Case):
    """Probes on an idle system. The latencies are those from the request's start to the submit_sm at the operator."""

    name = "idle"
    words = "an idle system: HTTP request -> submit_sm at the operator"
    receipts = False
    most = PROBES

    def send(self, base: int, count: int) -> Sent:
        link = http.client.HTTPConnection("127.0.0.1", self.chappe.port("http"), timeout=10)
        link.connect()
        took = []
        began = time.monotonic()
        for n in range(count):
            time.sleep(PROBE_EVERY_S)
            wanted = self.operator.count("submits") + 1
            body = ITEM.replace("{n}", str(base + n))
            start = time.monotonic()
            link.request("POST", "/v1/messages", body, {"Authorization": f"Bearer {KEY}"} | JSON)
            answer = link.getresponse()
            if answer.status != 202:
                raise Failed(f"{answer.status} {answer.read()!r}")
            answer.read()
            took.append(1000 * (until(self.operator, "submits", wanted, "t_last") - start))
        link.close()
        took.sort()
        ended = time.monotonic()
        latency = {"p50": took[count // 2], "p90": took[count * 9 // 10], "p99": took[count * 99 // 100]}
        return Sent(began, ended, ended, latency, 0.0)


class Waiting(Http):
    """A million messages for a supplier that is away; then it comes back and gets them all."""

    name = "waiting"
    words = (
        "memory with {waiting} messages waiting for a supplier that is away (then it takes them all, and is counted)"
    )
    receipts = False
    webhooks = False
    runs = 1
    conns = 4
    waiting: ClassVar[int] = 1_000_000
    options: ClassVar[dict[str, object]] = HttpBatch.options | {"batch": 1000, "stall": 120}

    def start(self) -> None:
        self._port = free_port()
        self.chappe.start(self._port, receipts=False)

    def run(self, count: int) -> Run:
        count = self.waiting
        cpu, store_cpu = self.chappe.cpu_s(), self.database.cpu_s()
        figures = self.load(self.numbers(count), count)
        time.sleep(FRESH_S)
        if (waits := self.chappe.waiting()) != count:
            raise Failed(f"{waits} of {count} messages wait")
        rss, cpu, store_cpu = self.chappe.rss_mib(), self.chappe.cpu_s() - cpu, self.database.cpu_s() - store_cpu
        self.operator = Sink(self.kit, "sink", self.scratch, port=self._port)
        self.sinks.append(self.operator)
        end = until(self.operator, "submits", count, "t_last", patience_s=PATIENCE_S + count / 200)
        time.sleep(DOUBLES_S)
        self.verify(count)
        return Run(
            count=count,
            accept_rate=count / (figures["t_last"] - figures["t_start"]),
            rate=count / (end - self.operator.figures()["t_first"]),
            cpu_us=cpu / count * 1e6,
            store_cpu_us=store_cpu / count * 1e6,
            load_cpu_us=figures["cpu_s"] / count * 1e6,
            p50_ms=figures["latency"]["p50"],
            p90_ms=figures["latency"]["p90"],
            p99_ms=figures["latency"]["p99"],
            rss_mib=rss,
        )


def until(sink: Sink, name: str, wanted: int, moment: str, patience_s: float = PATIENCE_S) -> float:
    """Wait until a sink has counted so many; the moment of the last one. Raises Failed when no more come."""
    seen, since = -1, time.monotonic()
    while (figures := sink.figures()).get(name, 0) < wanted:
        if figures.get(name, 0) != seen:
            seen, since = figures.get(name, 0), time.monotonic()
        if time.monotonic() - since > patience_s:
            raise Failed(f"{wanted - max(seen, 0)} of {wanted} did not come ({name})")
        time.sleep(0.02)
    return float(figures[moment])


JSON = {"Content-Type": "application/json"}
CASES: tuple[type[Case], ...] = (Http, HttpBatch, HttpAccept, Smpp, HttpHalf, SmppHalf, Idle, Waiting)
Progress = Callable[[], Any]
