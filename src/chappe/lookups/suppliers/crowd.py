"""Many questions at once, never more than so many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


async def crowd(questions: Sequence[Q], ask: Callable[[Q], Awaitable[A]], width: int) -> list[A]:
    """The answers in the order of the questions, `width` of them asked at a time.

    The first exception ends the others and is raised in an ExceptionGroup; so does being cancelled.
    """
    answers: dict[int, A] = {}
    left = iter(enumerate(questions))

    async def work() -> None:
        for place, question in left:
            answers[place] = await ask(question)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(width, len(questions))):
            group.create_task(work())
    return [answers[place] for place in range(len(questions))]
