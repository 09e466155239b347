"""Copies of the configuration tables in memory. They follow the tables at once on a node that is told of a change, and
within half a second on every other.

Whoever is about to turn somebody away for what the copy does not hold asks for `latest` first: a key works as soon as
it is made, whichever process made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import sqlalchemy as sa
import structlog

from chappe.storage import Op, Store, Unavailable, sql
from chappe.storage.schema import Text, key, metadata, required

T = TypeVar("T")

_log = structlog.get_logger("snapshots")

config_versions = sa.Table("config_versions", metadata, key("name", Text), required("version", sa.BigInteger()))

_VERSIONS = sql("select name, version from config_versions")
_BUMP = sql(
    "insert into config_versions (name, version) values (:name, 1) "
    "on conflict (name) do update set version = config_versions.version + 1"
)
TOPIC = "settings"  # that units which bump a version should wake
WATCH_EVERY_S = 0.5
LOOK_EVERY_S = 0.05  # however many ask for the latest: a flood of wrong keys costs twenty small reads a second
LOOK_PATIENCE_S = 1.0  # of those who ask, while the store is away


def bump(name: str) -> Op:
    """Goes into every unit that changes the tables behind the snapshot `name`."""
    return _BUMP({"name": name})


class Snapshot(Generic[T]):
    """What a room keeps in memory of its tables; replaced as a whole, so a reader sees one consistent version."""

    def __init__(self, name: str, load: Callable[[Store], Awaitable[T]]) -> None:
        self.name = name
        self.version = -1
        self._load = load
        self._value: T | None = None
        self._loading = asyncio.Lock()  # the load that began last must also end last
        self._listeners: list[Callable[[T], None]] = []

    @property
    def value(self) -> T:
        assert self._value is not None, f"{self.name} is not loaded"
        return self._value

    def on_change(self, listener: Callable[[T], None]) -> None:
        self._listeners.append(listener)

    async def refresh(self, store: Store) -> T:
        async with self._loading:
            self._value = value = await self._load(store)
        for listener in self._listeners:
            listener(value)
        return value


class Snapshots:
    """All snapshots of a process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._all: dict[str, Snapshot[object]] = {}
        self._asked = asyncio.Event()
        self._looked = asyncio.Event()  # set by the next look that begins, once it has ended
        store.listen(TOPIC, self._asked.set)

    async def add(self, snapshot: Snapshot[T]) -> Snapshot[T]:
        self._all[snapshot.name] = snapshot  # type: ignore[assignment]
        versions = await self._versions()
        await snapshot.refresh(self._store)
        snapshot.version = versions.get(snapshot.name, 0)
        return snapshot

    def named(self, name: str) -> Snapshot[object]:
        """The snapshot of that name. Raises KeyError if it was not added."""
        return self._all[name]

    @property
    def seen(self) -> int:
        """Grows whenever a change has reached this process."""
        return sum(snapshot.version for snapshot in self._all.values())

    async def check(self) -> None:
        """Reload what has changed since the last look."""
        for name, version in (await self._versions()).items():
            snapshot = self._all.get(name)
            if snapshot is not None and snapshot.version != version:
                await snapshot.refresh(self._store)
                snapshot.version = version

    async def latest(self) -> None:
        """Return after a look that began after this call: what was committed before it is in the snapshots now.

        One look serves all who asked before it began. While the store is away nothing changes; never raises.
        """
        looked = self._looked
        self._asked.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_PATIENCE_S):
                await looked.wait()

    async def watch(self) -> None:
        """Look every half second, and as soon as somebody asks."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_S - LOOK_EVERY_S):
                    await self._asked.wait()
            self._asked.clear()
            looked, self._looked = self._looked, asyncio.Event()
            try:
                await self.check()
            except Unavailable:
                pass  # the last known settings serve until the database is back
            except Exception:
                _log.exception("a snapshot could not be loaded")
            finally:
                looked.set()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _versions(self) -> dict[str, int]:
        return {row[0]: row[1] for row in await self._store.read(_VERSIONS())}
