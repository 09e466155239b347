"""Batches: in order, one at a time, and every item gets an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.batching import Batcher, Full


class Work:
    """Doubles numbers, remembers its batches; waits while the gate is closed."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0

    async def __call__(self, items: list[int]) -> list[int]:
        self.running += 1
        assert self.running == 1
        self.batches.append(items)
        await self.gate.wait()
        await asyncio.sleep(0)
        self.running -= 1
        if 13 in items:
            raise ValueError("thirteen")
        return [2 * item for item in items]


async def test_what_arrives_during_one_batch_makes_up_the_next() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work)
    first = asyncio.create_task(batcher.put(0))
    work.gate.clear()
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(batcher.put(n)) for n in range(1, 6)]
    await asyncio.sleep(0.01)
    assert len(batcher) == 5
    work.gate.set()
    assert await asyncio.gather(first, *rest) == [0, 2, 4, 6, 8, 10]
    assert work.batches == [[0], [1, 2, 3, 4, 5]]


@given(st.lists(st.integers(1, 8), max_size=40), st.integers(1, 10))
def test_batches_keep_the_order_and_the_limit(weights: list[int], max_batch: int) -> None:
    async def run() -> None:
        batches: list[list[int]] = []

        async def work(items: list[int]) -> list[int]:
            batches.append(items)
            await asyncio.sleep(0)
            return items

        batcher: Batcher[int, int] = Batcher(work, max_batch=max_batch, weight=lambda n: weights[n])
        results = await asyncio.gather(*(batcher.put(n) for n in range(len(weights))))
        assert results == list(range(len(weights)))
        assert [n for batch in batches for n in batch] == list(range(len(weights)))
        assert all(len(batch) == 1 or sum(weights[n] for n in batch) <= max_batch for batch in batches)
        assert len(batcher) == 0

    asyncio.run(run())


async def test_a_failing_batch_answers_its_items_and_the_next_goes_on() -> None:
    batcher: Batcher[int, int] = Batcher(Work(), max_batch=2)
    outcomes = await asyncio.gather(*(batcher.put(n) for n in (1, 13, 3, 4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError, int, int]


async def test_a_wrong_number_of_results_is_an_answer_too() -> None:
    async def careless(items: list[int]) -> Sequence[int]:
        return items[1:]

    with pytest.raises(RuntimeError, match="0 results for 1 items"):
        await Batcher(careless).put(1)


async def test_an_answer_that_raises_keeps_nobody_else_waiting() -> None:
    batcher: Batcher[int, int] = Batcher(Work())
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context["exception"]))
    got: list[object] = []

    def broken(_result: object) -> None:
        raise ValueError("answer")

    batcher.add(1, broken)
    batcher.add(2, got.append)
    batcher.add(3)
    await batcher.drain()
    assert got == [4]
    assert [str(complaint) for complaint in complaints] == ["answer"]


async def test_more_than_may_wait_is_refused() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work, max_waiting=10, weight=lambda n: n)
    work.gate.clear()
    batcher.add(1)
    await asyncio.sleep(0.01)  # in work, it does not wait any more
    batcher.add(7)
    with pytest.raises(Full):
        batcher.add(4)
    batcher.add(3)
    work.gate.set()
    await batcher.drain()
    batcher.add(50)  # alone it passes, else it never could
    await batcher.drain()
    assert work.batches == [[1], [7, 3], [50]]


async def test_a_caller_that_gives_up_harms_nobody() -> None:
    work = Work()
    batcher: Batcher[int, int] = Batcher(work)
    work.gate.clear()
    gone, stays = asyncio.create_task(batcher.put(1)), asyncio.create_task(batcher.put(2))
    await asyncio.sleep(0.01)
    gone.cancel()
    work.gate.set()
    assert await stays == 4
