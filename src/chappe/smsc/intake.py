"""The intake: what all sessions submit is gathered in batches, accepted, and answered after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from chappe.batching import Batcher, Full
from chappe.messages import Pipeline, Result, Submission
from chappe.storage import Unavailable

MAX_BATCH: Final = 200  # a slice of the pipeline: one unit
MAX_WAITING: Final = 20_000

Answer = Callable[["Sequence[Result] | BaseException"], None]

_log = structlog.get_logger("smsc")


@dataclass(slots=True, eq=False)
class Asked:
    """What one PDU submits, and who is told the results, one a submission, in order; or why there are none."""

    submissions: Sequence[Submission]
    answer: Answer


class Intake:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._batches: Batcher[Asked, Sequence[Result]] = Batcher(
            self._accept, max_batch=MAX_BATCH, max_waiting=MAX_WAITING, weight=lambda asked: len(asked.submissions)
        )

    def take(self, submissions: Sequence[Submission], answer: Answer) -> None:
        """Hand in what one PDU submits; `answer` is called in any case, after the commit if it was taken."""
        try:
            self._batches.add(Asked(submissions, answer), answer)
        except Full as full:
            answer(full)

    async def drain(self) -> None:
        """Until everything handed in is answered."""
        await self._batches.drain()

    async def _accept(self, batch: list[Asked]) -> Sequence[Sequence[Result]]:
        try:
            return await self._accept_all(batch)
        except (Unavailable, Full):
            raise
        except Exception:
            if len(batch) == 1:
                raise
            _log.exception("a submission spoilt its batch, each is tried for itself", count=len(batch))
        results: list[Sequence[Result]] = []
        for asked in batch:
            results.append(await self._accept_one(asked))
        return results

    async def _accept_all(self, batch: list[Asked]) -> list[Sequence[Result]]:
        results = await self._pipeline.accept([one for asked in batch for one in asked.submissions])
        shared: list[Sequence[Result]] = []
        at = 0
        for asked in batch:
            shared.append(results[at : at + len(asked.submissions)])
            at += len(asked.submissions)
        return shared

    async def _accept_one(self, asked: Asked) -> Sequence[Result]:
        """An empty list stands for a failure of our own."""
        try:
            return await self._pipeline.accept(asked.submissions)
        except Exception:
            _log.exception("a submission could not be accepted")
            return []
