"""The timer wheel, by the loop's own clock."""

from __future__ import annotations

import asyncio

import pytest

from chappe.sandbox.wheel import SLOT, Wheel


async def test_calls_come_in_time_and_never_early():
    loop = asyncio.get_running_loop()
    wheel, called = Wheel(loop), []
    for delay in (0.05, 0.0, 0.02, 0.05):
        wheel.after(delay, lambda due: called.append((due, loop.time())), loop.time() + delay)
    assert wheel.waiting == 4
    async with asyncio.timeout(20):
        while wheel.waiting:
            await asyncio.sleep(0.01)
    assert [due for due, _ in called] == sorted(due for due, _ in called)
    assert all(0 <= at - due < 1 + SLOT for due, at in called)


async def test_a_flood_leaves_the_loop_alive():
    wheel, called, turns = Wheel(asyncio.get_running_loop()), [], 0
    for number in range(5000):
        wheel.after(0.01, called.append, number)
    while len(called) < 5000:
        turns += 1
        await asyncio.sleep(0)
    assert called == list(range(5000))
    assert turns > 5  # others had their turn in between


async def test_a_call_that_fails_costs_no_other():
    loop = asyncio.get_running_loop()
    reported: list[dict[str, object]] = []
    loop.set_exception_handler(lambda loop, context: reported.append(context))
    wheel, called = Wheel(loop), []
    wheel.after(0, lambda: 1 / 0)
    wheel.after(0, called.append, 1)
    await asyncio.sleep(0.05)
    assert called == [1] and isinstance(reported[0]["exception"], ZeroDivisionError)


async def test_calls_made_by_calls_come_later():
    loop = asyncio.get_running_loop()
    wheel, called = Wheel(loop), []

    def again(left: int) -> None:
        called.append(left)
        if left:
            wheel.after(0, again, left - 1)

    again(3)
    await asyncio.sleep(0.15)
    assert called == [3, 2, 1, 0]


async def test_what_is_cleared_does_not_come():
    wheel = Wheel(asyncio.get_running_loop())
    wheel.after(0, pytest.fail, "it came")
    wheel.clear()
    await asyncio.sleep(0.03)
    assert wheel.waiting == 0
