"""Waiting in tests: as short as possible, never for ever."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE_S: Final = 20.0  # costs nothing when all is well, and a busy machine is no failure


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within_s: float = PATIENCE_S) -> None:
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
