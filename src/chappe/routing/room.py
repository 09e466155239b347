"""The room's memory: the compiled routes, and which drafts there are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from chappe.accounts import snapshot
from chappe.routing.model import Draft
from chappe.routing.store import ACCOUNT_GROUPS, DRAFTS, DRAFTS_ROOM, LATEST_VERSION, ROOM, ROUTES
from chappe.routing.table import Table
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime) -> None:
    """Read the room's tables and follow them."""
    await rt.snapshots.add(Snapshot(ROOM, _load))
    await rt.snapshots.add(Snapshot(DRAFTS_ROOM, _load_drafts))


def table(rt: Runtime) -> Table:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Table)
    return value


def drafts(rt: Runtime) -> Mapping[int, Draft]:
    """All drafts by id, published ones too."""
    value = snapshot(rt, DRAFTS_ROOM).value
    assert isinstance(value, dict)
    return value


async def _load(store: Store) -> Table:
    [[version]] = await store.read(LATEST_VERSION())  # first: then the routes are at least of that version
    groups, routes = await ACCOUNT_GROUPS.load(store), await ROUTES.load(store)
    return await asyncio.to_thread(Table, routes, groups, version)  # 10,000 routes take a while


async def _load_drafts(store: Store) -> dict[int, Draft]:
    return {draft.id: draft for draft in await DRAFTS.load(store)}
