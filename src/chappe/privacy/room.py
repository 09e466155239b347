"""The room in memory: looks at personal data that are not stored yet, and its chores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chappe import accounts
from chappe.privacy import access
from chappe.privacy.erasing import ERASE, LONGEST_S, MAX_TRIES, run
from chappe.privacy.model import Action
from chappe.snapshots import Snapshot
from chappe.storage import Op, Store

if TYPE_CHECKING:
    from chappe.messages import Pipeline
    from chappe.runtime import Runtime

ROOM = "privacy"


async def start(rt: Runtime, house: Pipeline) -> None:
    """After the pipeline is made and before `rt.jobs.start`. Raises Unavailable."""
    await open_log(rt)

    async def erase(_rt: Runtime, payload: dict[str, Any]) -> list[Op] | None:
        return await run(house, payload)

    rt.jobs.register(ERASE, erase, max_tries=MAX_TRIES, timeout_s=LONGEST_S)
    rt.jobs.every("privacy.forget", access.FORGET_EVERY_S, access.forget)


async def open_log(rt: Runtime) -> None:
    """Enough for a process that only asks. Raises Unavailable."""
    waiting = access.Waiting(rt)

    async def load(_store: Store) -> access.Waiting:
        return waiting

    await rt.snapshots.add(Snapshot(ROOM, load))
    waiting.start()
    rt.at_close(waiting.close)


def saw(
    rt: Runtime,
    account_id: int,
    actor: str,
    action: Action,
    person: str | None = None,
    *,
    test: bool = False,
    count: int = 1,
) -> None:
    """Write down within a second who saw what. Raises batching.Full: then nothing may be shown."""
    log = accounts.snapshot(rt, ROOM).value
    assert isinstance(log, access.Waiting)
    log.add(access.entry(rt, account_id, actor, action, person, test, count))


async def flush(rt: Runtime) -> None:
    """Store the looks that wait. Raises Unavailable."""
    log = accounts.snapshot(rt, ROOM).value
    assert isinstance(log, access.Waiting)
    await log.flush()
