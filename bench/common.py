"""What the programs that make load share: options, percentiles, figures as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

STATS_EVERY_S = 0.1


def options(parser: ArgumentParser, **defaults: Any) -> Namespace:
    """`--some-name` for each default, of its type. `{n}` in texts counts up."""
    for name, default in defaults.items():
        kind = str if default is None else type(default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    return parser.parse_args()


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {"n": 0}
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {name: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in at.items()}
    return {"n": len(ordered)} | found


def load(work: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> None:
    """Run a program that ends by itself and prints its figures."""
    gc.disable()  # nothing here lives in cycles, and its pauses would be measured
    print(json.dumps(uvloop.run(work())))


def sink(start: Callable[[], Awaitable[None]], figures: Callable[[], dict[str, Any]], stats: str | None) -> None:
    """Run a program until SIGTERM; it writes its figures to a file ten times a second while they change."""

    async def run() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await start()
        told: dict[str, Any] | None = None
        while not stopping.is_set():
            now = figures()
            if stats is not None and now != told:
                _replace(Path(stats), json.dumps(now))
                told = dict(now)
            try:
                async with asyncio.timeout(STATS_EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                continue

    gc.disable()
    uvloop.run(run())


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)
