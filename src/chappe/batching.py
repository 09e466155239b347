"""Batches without a timer: what arrives while one batch is in work makes up the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
Answer = Callable[["R | BaseException"], None]


class Full(Exception):
    """More items wait than the batcher may hold."""


class Batcher(Generic[T, R]):
    """Runs `work(items) -> results` (one result an item, in order) for one batch at a time.

    `weight` of an item counts against `max_batch` and `max_waiting`. When `work` raises, every item of the batch gets
    the exception as its answer.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Awaitable[Sequence[R]]],
        *,
        max_batch: int = 500,
        max_waiting: int = 20_000,
        weight: Callable[[T], int] = lambda _item: 1,
    ) -> None:
        self._work = work
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._weight = weight
        self._items: deque[tuple[T, Answer[R] | None]] = deque()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """The weight that waits."""
        return self._waiting

    def add(self, item: T, answer: Answer[R] | None = None) -> None:
        """Queue an item; `answer` is called with its result or its exception. Raises Full."""
        weight = self._weight(item)
        if self._waiting and self._waiting + weight > self._max_waiting:
            raise Full
        self._waiting += weight
        self._items.append((item, answer))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def put(self, item: T) -> R:
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        def answer(result: R | BaseException) -> None:
            if future.done():
                return
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.add(item, answer)
        return await future

    async def drain(self) -> None:
        """Wait until nothing is in work."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._items:
                batch = self._take()
                results = await self._attempt([item for item, _ in batch])
                for (_, answer), result in zip(batch, results, strict=True):
                    if answer is not None:
                        _tell(answer, result)
        finally:
            self._task = None

    def _take(self) -> list[tuple[T, Answer[R] | None]]:
        batch = [self._items.popleft()]
        total = self._weight(batch[0][0])
        while self._items and total + self._weight(self._items[0][0]) <= self._max_batch:
            batch.append(self._items.popleft())
            total += self._weight(batch[-1][0])
        self._waiting -= total
        return batch

    async def _attempt(self, items: list[T]) -> Sequence[R | BaseException]:
        try:
            results = await self._work(items)
            if len(results) != len(items):
                raise RuntimeError(f"{len(results)} results for {len(items)} items")
            return results
        except Exception as error:  # the answer of every caller, none of whom may wait for ever
            return [error] * len(items)


def _tell(answer: Answer[R], result: R | BaseException) -> None:
    try:
        answer(result)
    except Exception as error:  # the others are told all the same
        asyncio.get_running_loop().call_exception_handler({"message": "an answer failed", "exception": error})
