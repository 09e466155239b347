"""The room in memory: the domains and policies of all accounts, what was decided on review, and the firewall that goes
by them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from chappe.accounts import directory, snapshot
from chappe.fraud.firewall import counting, store
from chappe.fraud.firewall.judging import Firewall
from chappe.fraud.firewall.policy import FirewallPolicy, Policies, day_limit
from chappe.fraud.firewall.review import Decisions
from chappe.fraud.model import Domains
from chappe.fraud.store import DOMAINS, ROOM
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_FORGET_EVERY_S = 3_600.0
_FORGET_AFTER_MS = 180 * 86_400_000  # reviews, behind their decision
_SLICE = 1_000


class Room(NamedTuple):
    """What this process holds."""

    domains: Domains
    policies: Policies
    firewall: Firewall


async def start(rt: Runtime) -> None:
    """Read the room's tables and follow them. Raises Unavailable."""
    firewall = Firewall(rt.log, lambda account_id: _created_at(rt, account_id))

    async def load(found: Store) -> Room:
        room = Room(Domains(await DOMAINS.load(found)), Policies(await store.POLICIES.load(found)), firewall)
        firewall.follow(room.policies, room.domains)
        return room

    async def load_decisions(found: Store) -> Decisions:
        rows = await found.scan(store.DECIDED({"now": rt.clock.now()}))
        firewall.decisions = Decisions(
            map(tuple, rows), [(row[0], row[1]) for row in await found.scan(store.APPROVED())]
        )
        return firewall.decisions

    await rt.snapshots.add(Snapshot(ROOM, load))
    await rt.snapshots.add(Snapshot(store.REVIEWS_ROOM, load_decisions))
    rt.jobs.every("fraud.forget", _FORGET_EVERY_S, _forget)
    counted = counting.Counting(firewall)
    keeper = asyncio.create_task(counted.keep(rt), name="counts of the content firewall")

    async def end() -> None:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await counted.close(rt)

    rt.at_close(end)


def domains(rt: Runtime) -> Domains:
    return _room(rt).domains


def policies(rt: Runtime) -> Policies:
    return _room(rt).policies


def policy_of(rt: Runtime, account_id: int) -> FirewallPolicy:
    """What is in force for an account."""
    return _room(rt).policies.of(account_id)


def firewall(rt: Runtime) -> Firewall:
    return _room(rt).firewall


async def growths(rt: Runtime) -> list[counting.Growth]:
    """The accounts that send conspicuously more today than in the month before. Raises Unavailable."""
    return await counting.growths(rt, _room(rt).firewall)


def warm_up_limit(rt: Runtime, account_id: int, created_at: int, now: int) -> tuple[str, int, str] | None:
    """How many parts a new account may send today, as (name, limit, period); None: as many as it likes."""
    warm_up = policy_of(rt, account_id).warm_up
    most = None if warm_up is None else day_limit(warm_up, created_at, now)
    return None if most is None else ("warm-up", most, "day")


def _room(rt: Runtime) -> Room:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Room)
    return value


def _created_at(rt: Runtime, account_id: int) -> int | None:
    account = directory(rt).account(account_id)
    return None if account is None else account.created_at


async def _forget(rt: Runtime) -> None:
    """Reviews that nobody needs any more, and old counts. Raises Unavailable."""
    now = rt.clock.now()
    bind = {"before": now - _FORGET_AFTER_MS, "now": now, "limit": _SLICE}
    await rt.store.write(
        store.FORGET(bind),
        store.FORGET_COUNTS({"before": now // counting.DAY_MS - counting.KEPT_DAYS}),
    )
