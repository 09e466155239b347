"""The cases: what goes in, and when a message has gone all the way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.installation import KEY, PASSWORD, Installation, Kit, Sink

TEXT = "Hello, this is message {n}."
PATIENCE_S = 60.0


@dataclass
class Run:
    """One run. `whole_s` lasts until the last message has gone all the way, `accept_s` until the last is accepted."""

    count: int
    accept_s: float
    whole_s: float
    cpu_us: float
    """CPU of Chappe a message."""
    store_cpu_us: float
    """CPU of the database server a message."""
    p50_ms: float
    p99_ms: float
    rss_mb: float

    @property
    def whole_per_s(self) -> float:
        return self.count / self.whole_s

    @property
    def accept_per_s(self) -> float:
        return self.count / self.accept_s


class Case:
    name = ""
    words = ""

    def __init__(self, kit: Kit, folder: Path, database: str, store_cpu: Callable[[], float]) -> None:
        self.kit = kit
        self._store_cpu = store_cpu
        self._first = 33_610_000_000
        self.operator = Sink(kit, "sink", folder)
        self.chappe = Installation(folder, database, self.operator.port)

    async def start(self) -> None:
        await self.chappe.start()

    def stop(self) -> None:
        self.chappe.stop()
        self.operator.stop()

    async def run(self, count: int) -> Run:
        """Send `count` messages to numbers that no run before has used."""
        base, self._first = self._first, self._first + count
        cpu, store_cpu = self.chappe.cpu_s, self._store_cpu()
        began, accepted, ended, took = await self.send(base, count)
        return Run(
            count=count,
            accept_s=accepted - began,
            whole_s=ended - began,
            cpu_us=(self.chappe.cpu_s - cpu) / count * 1e6,
            store_cpu_us=(self._store_cpu() - store_cpu) / count * 1e6,
            p50_ms=took["p50"],
            p99_ms=took["p99"],
            rss_mb=self.chappe.serve.rss / 2**20,
        )

    async def send(self, base: int, count: int) -> tuple[float, float, float, dict[str, float]]:
        """Moments of the start, the last acceptance and the end, and the latencies of acceptance."""
        raise NotImplementedError


class HttpToWebhook(Case):
    name = "http"
    words = "HTTP -> SMPP -> receipt -> webhook, 32 connections, one message a request"

    async def start(self) -> None:
        await super().start()
        self.hooks = Sink(self.kit, "httpsink", self.chappe.folder, match='"type":"message.delivered"', uniq="id")
        url = f"http://127.0.0.1:{self.chappe.serve.ready['http']}/v1/webhook_endpoints"
        wanted = {"url": f"http://127.0.0.1:{self.hooks.port}/", "events": ["message.delivered"]}
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession() as http, http.post(url, json=wanted, headers=headers) as answer:
            if answer.status != 201:
                raise RuntimeError(await answer.text())

    def stop(self) -> None:
        super().stop()
        self.hooks.stop()

    async def send(self, base: int, count: int) -> tuple[float, float, float, dict[str, float]]:
        before = self.hooks.figures().get("uniq", 0)
        figures = await asyncio.to_thread(
            self.kit.run,
            "httpload",
            port=self.chappe.serve.ready["http"],
            path="/v1/messages",
            body=json.dumps({"to": "+{n}", "text": TEXT}),
            header=f"Authorization: Bearer {KEY}",
            conns=32,
            count=count,
            base=base,
        )
        _all_ok(figures, count)
        deadline = time.monotonic() + PATIENCE_S
        while (now := self.hooks.figures()).get("uniq", 0) < before + count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{now.get('uniq', 0) - before} of {count} webhooks came")
            await asyncio.sleep(0.02)
        return figures["t_start"], figures["t_last"], now["t_last_match"], figures["lat_ms"]


class SmppToReceipt(Case):
    name = "smpp"
    words = "SMPP -> SMPP -> receipt, 2 sessions with a window of 50"

    async def send(self, base: int, count: int) -> tuple[float, float, float, dict[str, float]]:
        figures = await asyncio.to_thread(
            self.kit.run,
            "load",
            port=self.chappe.serve.ready["smpp"],
            user="bench",
            sessions=2,
            window=50,
            count=count,
            dlr=1,
            src="Bench",
            dst_base=base,
            text=TEXT,
            **{"pass": PASSWORD},
        )
        _all_ok(figures, count)
        if figures["dlr"] != count:
            raise RuntimeError(f"{figures['dlr']} of {count} receipts came")
        return figures["t_start"], figures["t_last_resp"], figures["t_last_dlr"], figures["resp_ms"]


def _all_ok(figures: dict[str, Any], count: int) -> None:
    if figures["ok"] != count:
        raise RuntimeError(f"{figures['ok']} of {count} were accepted: {figures}")


CASES: tuple[type[Case], ...] = (HttpToWebhook, SmppToReceipt)
