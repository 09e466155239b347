"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
from typing import Literal

from msgspec import Struct

from chappe.api import store
from chappe.api.answers import Answer, answer
from chappe.api.house import House
from chappe.storage import StoreError

PATIENCE_S = 2.0
_REMEMBERED_S = 1.0  # so that a hasty prober does not make the store write for it


class Alive(Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Ready(Struct, frozen=True):
    """Whether this node can take messages, and if not, why."""

    status: Literal["ready", "not_ready"]
    reasons: list[str]
    node: str
    roles: list[str]


class Readiness:
    """The store takes a write within two seconds, the configuration is in memory, and what else must be up is."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._probe: asyncio.Task[str | None] | None = None
        self._told: tuple[float, str | None] | None = None

    async def alive(self) -> Answer:
        return answer(Alive("ok"))

    async def ready(self) -> Answer:
        reasons = [reason for reason in (await self._store(), *self._checks()) if reason]
        node = self._house.rt.node
        told = Ready("not_ready" if reasons else "ready", reasons, node.name, list(node.roles))
        return answer(told, 503 if reasons else 200)

    def _checks(self) -> list[str | None]:
        return [check() for check in self._house.checks.values()]

    async def _store(self) -> str | None:
        now = self._house.rt.clock.monotonic()
        if self._told is not None and now - self._told[0] < _REMEMBERED_S:
            return self._told[1]
        if self._probe is None or self._probe.done():  # one at a time, however long the store is away
            self._probe = asyncio.create_task(self._write())
        done, _ = await asyncio.wait([self._probe], timeout=PATIENCE_S)
        reason = self._probe.result() if done else f"The store has not taken a write within {PATIENCE_S:g} seconds."
        self._told = (now, reason)
        return reason

    async def _write(self) -> str | None:
        rt = self._house.rt
        try:
            await rt.store.write(store.PROBE({"node": rt.node.number, "at": rt.clock.now()}))
        except StoreError as error:
            return f"The store cannot be written: {error}"
        return None
