"""What rooms are given by hand: settings, store, clock, ids, events, jobs, vault, HTTP client, snapshots, log."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from chappe.clock import Clock
from chappe.events import Events
from chappe.ids import Ids
from chappe.jobs import Jobs
from chappe.nodes import Node
from chappe.outgoing import Outgoing
from chappe.secrets import Vault
from chappe.settings import Settings
from chappe.snapshots import Snapshots
from chappe.storage import Store, open_store, sqlite_path


@dataclass(slots=True)
class Runtime:
    """The ground under a process's feet; one for each process, never global."""

    settings: Settings
    store: Store
    clock: Clock
    ids: Ids
    events: Events
    jobs: Jobs
    vault: Vault
    http: Outgoing
    snapshots: Snapshots
    node: Node
    log: Any
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _endings: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def at_close(self, ending: Callable[[], Awaitable[None]]) -> None:
        """Have a room put away what it holds, before the store is closed; the last that came goes first."""
        self._endings.append(ending)

    async def close(self) -> None:
        """Stop what runs, in the order that loses nothing; may be called twice."""
        await self.jobs.stop()
        await self.events.stop()
        while self._endings:
            await self._endings.pop()()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks:
            await self.node.release()
            await self.http.close()
            await self.store.close()


async def open_runtime(settings: Settings, *, clock: Clock | None = None, roles: Sequence[str] = ()) -> Runtime:
    """Open an already migrated store and lease a node number. Events and jobs wait for `start(rt)`. `roles` are those
    of a serving process, which others may wait for; a command has none.

    Raises Unavailable, SettingsError or NoNodeLeft.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    vault = Vault(settings.master_key())
    clock = clock or Clock()
    ids = Ids()
    store = await open_store(settings.database)
    fenced = sqlite_path(settings.database) is None  # else the process that serves it has a lock of its own
    node = Node(store, ids, f"{socket.gethostname()}:{os.getpid()}", roles=roles, fenced=fenced)
    try:
        await node.lease()
    except BaseException:
        await store.close()
        raise
    snapshots = Snapshots(store)
    return Runtime(
        settings=settings,
        store=store,
        clock=clock,
        ids=ids,
        events=Events(store, clock),
        jobs=Jobs(store, clock, ids),
        vault=vault,
        http=Outgoing(allow_private=settings.webhooks.allow_private),
        snapshots=snapshots,
        node=node,
        log=structlog.get_logger("chappe"),
        _tasks=[asyncio.create_task(node.keep()), asyncio.create_task(snapshots.watch())],
    )
