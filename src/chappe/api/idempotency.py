"""`Idempotency-Key` for every POST but the messages', whose keys commit with them (see `chappe.messages`).

A key is written before the work and its answer after it. A refusal frees the key, for nothing was done; a request that
a crash broke off may be taken over after a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chappe.api import store
from chappe.api.answers import JSON, Answer
from chappe.errors import Refused
from chappe.storage import Conflict

if TYPE_CHECKING:
    from chappe.api.house import Call
    from chappe.runtime import Runtime

REPLAYED = (b"idempotent-replay", b"true")
MAX_KEY = 255
KEPT_MS = 24 * 3_600_000
BROKEN_OFF_MS = 60_000
SWEEP_S = 3_600.0


def checked_key(raw: bytes) -> str:
    """1 to 255 printable ASCII characters; raises Refused idempotency_key_invalid."""
    if not 1 <= len(raw) <= MAX_KEY or not all(0x20 <= octet <= 0x7E for octet in raw):
        raise Refused("idempotency_key_invalid", param="Idempotency-Key")
    return raw.decode("ascii")


def digest_of(address: str, test: bool, body: bytes) -> str:
    """What a call said: its address, its mode and its body."""
    mode = "test" if test else "live"
    return hashlib.sha256(f"{address}\0{mode}\0".encode("utf-8", "surrogatepass") + body).hexdigest()


def running() -> Refused:
    return Refused("idempotency_in_progress", retry_after=1)


@dataclass(slots=True, frozen=True)
class Told:
    """A key with what the call said."""

    account_id: int
    key: str
    digest: str

    @classmethod
    def of(cls, call: Call, key: bytes, address: str, body: bytes) -> Told:
        whose = f"{address}\0{call.account_id}"
        return cls(call.caller.account.id, checked_key(key), digest_of(whose, call.test, body))


async def once(rt: Runtime, told: Told, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do the work unless it was done: then its answer comes again. Raises Refused."""
    if (before := await _begin(rt, told)) is not None:
        return before
    name = {"account_id": told.account_id, "key": told.key}
    try:
        done = await work()
    except BaseException:
        await rt.store.write(store.ABANDON(name))
        raise
    if done.chunks is not None:  # a stream is not kept: who asks again gets it again
        await rt.store.write(store.ABANDON(name))
        return done
    sealed = rt.vault.encrypt(done.body.decode())
    await rt.store.write(store.FINISH({**name, "status": done.status, "body": sealed}))
    return done


async def _begin(rt: Runtime, told: Told) -> Answer | None:
    """Take the key, or give the answer that it got. Raises Refused: in progress, reused."""
    now = rt.clock.now()
    try:
        await rt.store.write(store.BEGIN([(told.account_id, told.key, told.digest, None, None, now)]))
        return None
    except Conflict:
        pass
    name = {"account_id": told.account_id, "key": told.key}
    rows = await rt.store.read(store.FIND(name))
    if not rows:
        raise running()  # it was given up a moment ago
    digest, status, body, seen = rows[0]
    if digest != told.digest:
        raise Refused("idempotency_key_reused", param="Idempotency-Key")
    if status is not None:
        return Answer(status, rt.vault.decrypt(body).encode(), (JSON, REPLAYED) if status != 204 else (REPLAYED,))
    if now - seen < BROKEN_OFF_MS:
        raise running()
    try:
        await rt.store.write(store.RESUME({**name, "now": now, "seen": seen}, expect=1))
    except Conflict:
        raise running() from None
    return None


async def forget(rt: Runtime) -> None:
    """Keys live for a day."""
    await rt.store.write(store.FORGET({"before": rt.clock.now() - KEPT_MS}))
