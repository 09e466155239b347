"""What the commands share: percentiles, the pace of an open loop, figures as JSON, the life of a sink."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import time
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

STATS_EVERY_S = 0.1
TICK_S = 0.001
_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    if last < 0:
        return {"n": 0}
    found = {name: round(1000 * ordered[min(last, int(share * len(ordered)))], 3) for name, share in _SHARES.items()}
    return {"n": len(ordered)} | found


class Latencies:
    """Times of answers, all together and by windows of time."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._all = array("d")
        self._windows: list[dict[str, float]] = []
        self._began = self._from = 0.0
        self._first = 0

    def begin(self, now: float) -> None:
        self._began = self._from = now

    def add(self, took: float, now: float) -> None:
        if self._window_s and now - self._from >= self._window_s:
            self._close()
            self._from += self._window_s * ((now - self._from) // self._window_s)
        self._all.append(took)

    def _close(self) -> None:
        if len(self._all) > self._first:
            at = round(self._from - self._began, 1)
            self._windows.append({"t": at} | percentiles(self._all[self._first :]))
            self._first = len(self._all)

    @property
    def total(self) -> dict[str, float]:
        return percentiles(self._all)

    @property
    def windows(self) -> list[dict[str, float]]:
        """Those that are over; the last, begun one would not be comparable."""
        return self._windows


class Pace:
    """Moments of an open loop: `due(now)` says how many are to leave, `moment(n)` when the nth should have left.

    Latency counts from that moment, so that what waits because the server is slow is not left out.
    """

    def __init__(self, rate: float, count: int) -> None:
        self._rate = rate
        self._count = count
        self._began = 0.0

    def begin(self, now: float) -> None:
        self._began = now

    def due(self, now: float) -> int:
        if not self._rate:
            return self._count
        return min(self._count, int((now - self._began) * self._rate) + 1)

    def moment(self, n: int, now: float) -> float:
        return self._began + n / self._rate if self._rate else now


def load(work: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> int:
    """Run a command that ends by itself and prints its figures; the exit status is 0 when `whole` is true in them."""
    gc.disable()  # nothing here lives in cycles, and its pauses would be measured
    figures = uvloop.run(work())
    print(json.dumps(figures | {"cpu_s": round(time.process_time(), 3)}))
    return 0 if figures["whole"] else 1


def sink(start: Callable[[], Awaitable[None]], figures: Callable[[], dict[str, Any]], stats: str | None) -> int:
    """Run a command until SIGTERM; it writes its figures to a file ten times a second."""

    async def run() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await start()
        while not stopping.is_set():
            if stats is not None:
                _replace(Path(stats), json.dumps(figures() | {"cpu_s": round(time.process_time(), 3)}))
            try:
                async with asyncio.timeout(STATS_EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                continue

    gc.disable()
    uvloop.run(run())
    return 0


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)
