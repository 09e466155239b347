"""Many numbers at once: a job of up to 100,000, worked off in chunks that survive a crash.

A chunk's results and the progress are one unit. A chunk that was broken off is looked up again, perhaps on another
node; what was written down of it is found in the cache. A crash loses the answers of one chunk at most.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from chappe.errors import Refused
from chappe.jobs import TOPIC
from chappe.lookups import store
from chappe.lookups.report import Field, Report
from chappe.lookups.room import chain
from chappe.storage import Conflict, Op, core

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST_NUMBERS: Final = 100_000
MOST_OPEN: Final = 20  # jobs of one account that have not ended
CHUNK: Final = 200
RUN: Final = "lookups.run"
TURN_S: Final = 20.0  # then others get the hand that a job runs on
LONGEST_S: Final = 3_600.0  # of a turn; a chunk of a slow source may take minutes

Status = Literal["queued", "running", "finished", "canceled", "failed"]

_encode = msgspec.json.Encoder().encode
_reports = msgspec.json.Decoder(list[Report])
_texts = msgspec.json.Decoder(list[str])
_fields = msgspec.json.Decoder(tuple[Field, ...])


class Job(Struct, frozen=True):
    """A row of `lookup_jobs`. `invalid` counts the numbers looked at so far that cannot exist."""

    id: int
    account_id: int
    status: Status
    test: bool
    fields: tuple[Field, ...]
    max_age_s: int | None
    country: str | None
    total: int
    done: int
    invalid: int
    chunks: int
    error: str | None
    created_at: int
    moved_at: int
    finished_at: int | None

    @property
    def ended(self) -> bool:
        return self.status not in ("queued", "running")


async def create_job(
    rt: Runtime,
    account_id: int,
    numbers: Sequence[str],
    fields: Sequence[Field],
    *,
    country: str | None = None,
    max_age_s: int | None = None,
    test: bool = False,
) -> Job:
    """A job that begins at once. Raises Refused: batch_empty, batch_too_large, rate_limited."""
    check_numbers(numbers)
    open_ = sum(not job.ended for job in await jobs_of(rt, account_id, limit=500))
    if open_ >= MOST_OPEN:
        raise Refused("rate_limited", f"{open_} batches of this account are under way.", retry_after=60)
    now = rt.clock.now()
    parts = [list(numbers[start : start + CHUNK]) for start in range(0, len(numbers), CHUNK)]
    job = Job(
        id=rt.ids.next(),
        account_id=account_id,
        status="queued",
        test=test,
        fields=tuple(fields),
        max_age_s=max_age_s,
        country=country,
        total=len(numbers),
        done=0,
        invalid=0,
        chunks=len(parts),
        error=None,
        created_at=now,
        moved_at=now,
        finished_at=None,
    )
    await rt.store.write(
        store.ADD_JOB([_row(job)]),
        store.ADD_CHUNKS([(job.id, place, _encode(part).decode()) for place, part in enumerate(parts)]),
        rt.jobs.enqueue(RUN, {"job": job.id}),
        wake=(TOPIC,),
    )
    return job


def check_numbers(numbers: Sequence[str]) -> None:
    """Raises Refused: batch_empty, batch_too_large."""
    if not numbers:
        raise Refused("batch_empty", "There is no number to look up.", param="numbers", action="Give at least one.")
    if len(numbers) > MOST_NUMBERS:
        words = f"{len(numbers)} numbers; {MOST_NUMBERS} are allowed in one batch."
        raise Refused("batch_too_large", words, param="numbers")


async def job_of(rt: Runtime, account_id: int, job_id: int) -> Job:
    """Raises Refused not_found, also for a job of another account."""
    job = await _job(rt, job_id)
    if job is None or job.account_id != account_id:
        raise Refused("not_found", "There is no such batch look-up.")
    return job


async def jobs_of(rt: Runtime, account_id: int, *, before: int | None = None, limit: int = 50) -> list[Job]:
    """The newest first."""
    query = sa.select(store.jobs).where(store.jobs.c.account_id == account_id)
    if before is not None:
        query = query.where(store.jobs.c.id < before)
    statement, params = core(query.order_by(store.jobs.c.id.desc()).limit(limit))
    return [_of(row) for row in await rt.store.scan(statement(params))]


async def costs_of(rt: Runtime, jobs: Sequence[Job]) -> dict[int, dict[str, int]]:
    """What each job has cost so far: micro-units by currency."""
    found: dict[int, dict[str, int]] = {job.id: {} for job in jobs}
    if found:
        for job_id, currency, micros in await rt.store.scan(store.COSTS_OF_JOBS({"jobs": list(found)})):
            found[job_id][currency] = micros
    return found


async def cancel_job(rt: Runtime, account_id: int, job_id: int) -> Job:
    """What is done stays. Raises Refused: not_found, job_ended."""
    await job_of(rt, account_id, job_id)
    try:
        await rt.store.write(_end(rt, job_id, "canceled", expect=1))
    except Conflict:
        raise Refused("job_ended") from None
    return await job_of(rt, account_id, job_id)


async def results(rt: Runtime, job: Job) -> AsyncIterator[list[Report]]:
    """What is known so far, in the order of the numbers, a chunk at a time."""
    for place in range(job.chunks):
        rows = await rt.store.scan(store.CHUNK({"id": job.id, "chunk": place}))
        if rows and rows[0][0] is not None:
            yield _reports.decode(rows[0][0])


# -- at work -------------------------------------------------------------------------------------------------------


async def run(rt: Runtime, payload: dict[str, int]) -> list[Op] | None:
    """A turn of a job: chunk after chunk, then the rest is left to another turn."""
    job = await _job(rt, payload["job"])
    if job is None or job.ended:
        return None
    await rt.store.write(store.BEGIN({"id": job.id, "now": rt.clock.now()}))
    until = rt.clock.monotonic() + TURN_S
    place = 0
    while rt.clock.monotonic() < until:
        rows = await rt.store.scan(store.OPEN_CHUNK({"id": job.id, "since": place}))
        if not rows:
            return [_end(rt, job.id, "finished")]
        place = rows[0][0]
        if not await _work(rt, job, place, _texts.decode(rows[0][1])):
            return None
    return [rt.jobs.enqueue(RUN, payload)]


async def _work(rt: Runtime, job: Job, place: int, numbers: list[str]) -> bool:
    """One chunk; whether the job goes on."""
    reports = await chain(rt).look(
        numbers,
        job.fields,
        account_id=job.account_id,
        job_id=job.id,
        country=job.country,
        max_age_s=job.max_age_s,
        test=job.test,
    )
    invalid = sum(report.valid is False for report in reports)
    progress = {"id": job.id, "done": len(numbers), "invalid": invalid, "now": rt.clock.now()}
    answer = {"id": job.id, "chunk": place, "results": _encode(reports).decode()}
    try:
        await rt.store.write(store.ANSWER_CHUNK(answer, expect=1), store.ADVANCE(progress, expect=1))
    except Conflict:  # canceled meanwhile; or a node that was given up has finished the chunk after all
        now = await _job(rt, job.id)
        return now is not None and not now.ended
    return True


def _end(rt: Runtime, job_id: int, status: Status, error: str | None = None, *, expect: int | None = None) -> Op:
    return store.END({"id": job_id, "status": status, "now": rt.clock.now(), "error": error}, expect=expect)


async def fail_stuck(rt: Runtime, before: int) -> None:
    """Jobs that have not moved since then are given up: their work failed too often."""
    for (job_id,) in await rt.store.scan(store.STUCK({"before": before})):
        await rt.store.write(_end(rt, job_id, "failed", "It could not go on for a day."))


# -- rows ----------------------------------------------------------------------------------------------------------


async def _job(rt: Runtime, job_id: int) -> Job | None:
    rows = await rt.store.scan(store.ONE_JOB({"id": job_id}))
    return _of(rows[0]) if rows else None


def _of(row: Sequence[Any]) -> Job:
    values = dict(zip(Job.__struct_fields__, row, strict=True))
    return Job(**values | {"test": bool(values["test"]), "fields": _fields.decode(values["fields"])})


def _row(job: Job) -> tuple[Any, ...]:
    plain = {name: getattr(job, name) for name in job.__struct_fields__}
    return tuple((plain | {"test": int(job.test), "fields": _encode(job.fields).decode()}).values())
