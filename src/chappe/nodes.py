"""Each process on a store has a number of its own, leased on the database's clock: ids are made with it."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

import sqlalchemy as sa
import structlog

from chappe.ids import NODES, Ids
from chappe.storage import Conflict, Store, Unavailable, sql
from chappe.storage.schema import Int, Millis, Text, key, metadata, required

LEASE_S = 60.0
RENEW_S = 10.0

nodes = sa.Table(
    "nodes",
    metadata,
    key("node", Int),
    required("name", Text),
    required("token", Text),
    required("lease_until", Millis),
    required("started_at", Millis),
)

_ALIVE = sql("select token from nodes where lease_until > db_now()")
_TAKEN = sql("select node from nodes where lease_until > db_now()")
_LEASE = sql(
    "insert into nodes (node, name, token, lease_until, started_at) "
    "values (:node, :name, :token, db_now() + :lease::bigint, db_now()) on conflict (node) do update "
    "set name = excluded.name, token = excluded.token, lease_until = excluded.lease_until, "
    "started_at = excluded.started_at where nodes.lease_until <= db_now()"
)
_RENEW = sql("update nodes set lease_until = db_now() + :lease::bigint where node = :node and token = :token")
_RELEASE = sql("delete from nodes where node = :node and token = :token")

_log = structlog.get_logger("nodes")


class NoNodeLeft(Exception):
    """All 256 numbers are leased to other processes."""


class Node:
    """This process's number, kept as long as `keep` runs."""

    def __init__(self, store: Store, ids: Ids, name: str) -> None:
        self._store = store
        self._ids = ids
        self.name = name
        self.number = -1
        self._token = secrets.token_hex(8)

    @property
    def incarnation(self) -> int:
        """This run of the process, as rows that it owns name it."""
        return _incarnation(self._token)

    async def alive(self) -> list[int]:
        """The incarnations of all processes whose lease holds; our own is among them whatever the lease."""
        rows = await self._store.read(_ALIVE())
        return [self.incarnation, *(_incarnation(row[0]) for row in rows)]

    async def lease(self) -> None:
        """Take a free number for our ids. Raises NoNodeLeft or Unavailable."""
        lease = round(LEASE_S * 1000)
        while True:
            taken = {row[0] for row in await self._store.read(_TAKEN())}
            free = [number for number in range(NODES) if number not in taken]
            if not free:
                raise NoNodeLeft
            # not the lowest: a paused process that has not noticed its end may still make ids with it
            number = secrets.choice(free)
            params = {"node": number, "name": self.name, "token": self._token, "lease": lease}
            try:
                await self._store.write(_LEASE(params, expect=1))
            except Conflict:
                continue  # another process was faster
            self.number = number
            self._ids.move(number)
            return

    async def keep(self) -> None:
        """Renew the lease for ever; move to another number where it was lost."""
        while True:
            await asyncio.sleep(RENEW_S)
            params = {"node": self.number, "token": self._token, "lease": round(LEASE_S * 1000)}
            try:
                [renewed] = await self._store.write(_RENEW(params))
                if not renewed:
                    _log.warning("the node number was lost while this process slept", node=self.number)
                    await self.lease()
            except Unavailable:
                continue  # nobody else can take it while the store is away
            except NoNodeLeft:
                _log.error("no node number is free")

    async def release(self) -> None:
        with suppress(Unavailable):  # then the lease ends by itself
            await self._store.write(_RELEASE({"node": self.number, "token": self._token}))


def _incarnation(token: str) -> int:
    return int(token, 16) >> 1  # 63 bits: the store's integers are signed
