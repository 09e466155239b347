"""Asking one source that is not on this machine: in requests of its size, so many at once, each within its time.

Whoever asks for a number that is asked for already waits for the same answer. A source that fails or is late says
`unavailable`, and is left alone for a while after several failures in a row: a look-up never fails because of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from chappe.channels.settings import Breaker
from chappe.channels.smpp.circuit import Circuit
from chappe.clock import Clock
from chappe.lookups.model import Told
from chappe.lookups.suppliers.verdict import failure, is_misconfigured

Ask = Callable[[Sequence[str]], Awaitable[list[Told]]]
"""Told once for each of the digits (E.164 without +), in their order."""


class Remote(NamedTuple):
    """A source as it is asked: how many numbers fit in one request, and the seconds after which nobody waits any longer
    for an answer to one."""

    ask: Ask
    request_size: int
    patience_s: float


BREAKER: Final = Breaker(failures=5, open_s=15.0, open_max_s=300.0)
MAX_FLYING: Final = 20_000
"""Numbers that one source may owe an answer for; more are told at once that it is unavailable."""

_ENDED = Told("unavailable", reason="this process is stopping")
_FULL = Told("unavailable", reason="too many numbers wait for this source")


class Answer(NamedTuple):
    """What came of a question; `ours`: it was asked for us, so it is ours to pay and to remember."""

    told: Told
    ours: bool


class Asker:
    """The questions on their way to one source. Make it inside a running loop, `close` it at the end."""

    def __init__(self, name: str, remote: Remote, concurrency: int, clock: Clock, log: Any) -> None:
        self.trouble: str | None = None
        """Why the last question came to nothing; None if it did not."""
        self._name, self._remote, self._clock, self._log = name, remote, clock, log
        self._room = asyncio.Semaphore(concurrency)
        self._circuit = Circuit(BREAKER)
        self._flying: dict[str, asyncio.Future[Told]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def resting(self) -> bool:
        """Whether it is left alone at the moment."""
        return self._circuit.is_open(self._clock.monotonic())

    @asynccontextmanager
    async def ask(self, digits: Sequence[str]) -> AsyncIterator[dict[str, Answer]]:
        """An answer for each number; never raises of itself. Whoever asks for the same before the block has ended gets
        these answers too: time to write them down."""
        new = [number for number in dict.fromkeys(digits) if number not in self._flying]
        room = max(0, MAX_FLYING - len(self._flying))
        found = {number: Answer(_FULL, False) for number in new[room:]}
        loop = asyncio.get_running_loop()
        ours: dict[str, asyncio.Future[Told]] = {number: loop.create_future() for number in new[:room]}
        self._flying |= ours
        try:
            self._send(ours)
            waiting = {number: self._flying[number] for number in digits if number not in found}
            if waiting:
                await asyncio.wait(waiting.values())  # unlike gather it cancels nothing of others
            yield found | {number: Answer(told.result(), number in ours) for number, told in waiting.items()}
        finally:
            for number in ours:
                del self._flying[number]

    def _send(self, ours: dict[str, asyncio.Future[Told]]) -> None:
        """In requests of the source's size."""
        numbers = list(ours)
        for start in range(0, len(numbers), self._remote.request_size):
            part = {number: ours[number] for number in numbers[start : start + self._remote.request_size]}
            task = asyncio.get_running_loop().create_task(self._fly(part))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fly(self, part: dict[str, asyncio.Future[Told]]) -> None:
        told = [_ENDED] * len(part)
        try:
            async with self._room:
                told = await self._told(list(part))
        finally:
            for future, answer in zip(part.values(), told, strict=True):
                future.set_result(answer)

    async def _told(self, part: list[str]) -> list[Told]:
        if not self._circuit.room(self._clock.monotonic()):
            return [Told("unavailable", reason="left alone for a while after it failed several times")] * len(part)
        self._circuit.sent()
        try:
            async with asyncio.timeout(self._remote.patience_s):
                told = await self._remote.ask(part)
            if len(told) != len(part):
                raise ValueError(f"{len(told)} answers to {len(part)} questions")
        except TimeoutError:
            told = [Told("unavailable", reason=f"timeout: no answer within {self._remote.patience_s:g} s")] * len(part)
        except Exception as error:
            # its message and traceback may quote the request, which has credentials in it
            self._log.error("a look-up source stumbled", source=self._name, error=type(error).__name__)
            told = [Told("unavailable", reason=f"failed: {type(error).__name__}")] * len(part)
        self._judge(told)
        return told

    def _judge(self, told: list[Told]) -> None:
        """A source that refuses this very number works."""
        now = self._clock.monotonic()
        if not all(one.outcome == "unavailable" and failure(one) != "rejected" for one in told):
            self._circuit.succeeded()
            self.trouble = None
            return
        self._circuit.failed(now)
        reason = told[0].reason
        if self.trouble is None or is_misconfigured(told[0]) != self.trouble.startswith("misconfigured"):
            level = self._log.error if is_misconfigured(told[0]) else self._log.warning
            level("a look-up source fails", source=self._name, reason=reason)
        self.trouble = reason
