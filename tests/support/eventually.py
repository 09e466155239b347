"""Waiting in tests: as short as possible, never for ever."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within_s: float = 10.0) -> None:
    """Return as soon as the condition holds; fail the test if it does not within that time."""
    deadline = time.monotonic() + within_s
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, f"still not so after {within_s:g} s"
        await asyncio.sleep(0.01)
