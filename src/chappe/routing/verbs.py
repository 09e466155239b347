"""Routes: created, changed, deleted; and the compiled table in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from chappe.accounts import Change, checked, snapshot
from chappe.errors import Refused
from chappe.routing.model import Route, Table
from chappe.routing.store import ROOM, ROUTES
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Target(Protocol):
    """What a route must know of a connector."""

    @property
    def name(self) -> str: ...

    @property
    def test(self) -> bool: ...


Find = Callable[[int], Target | None]
"""Looks a connector up by its id; the caller brings it, for neighbours do not know each other."""

STEP = 10  # between positions, so that a route can be put between two others


async def start(rt: Runtime) -> None:
    """Read the room's table and follow it."""

    async def load(store: Store) -> Table:
        return Table(await ROUTES.load(store))

    await rt.snapshots.add(Snapshot(ROOM, load))


def table(rt: Runtime) -> Table:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Table)
    return value


async def create_route(
    rt: Runtime,
    actor: str,
    find: Find,
    *,
    name: str,
    connector_id: int,
    position: int | None = None,
    account_id: int | None = None,
    prefix: str = "",
    purposes: tuple[str, ...] = (),
    senders: tuple[str, ...] = (),
    fallback_connector_ids: tuple[int, ...] = (),
    status: str = "active",
    test: bool = False,
) -> Route:
    """Without a position the route comes last. Raises Refused: invalid_value, connector_unknown, duplicate_name."""
    known = table(rt)
    route = checked(
        Route(
            id=rt.ids.next(),
            name=name,
            position=position if position is not None else _last(known) + STEP,
            account_id=account_id,
            prefix=prefix.removeprefix("+"),
            purposes=tuple(purposes),  # type: ignore[arg-type]  # `checked` looks at each
            senders=tuple(senders),
            connector_id=connector_id,
            fallback_connector_ids=tuple(fallback_connector_ids),
            status=status,  # type: ignore[arg-type]
            test=test,
            created_at=rt.clock.now(),
        )
    )
    check_targets(route, find)
    if known.by_name(name):
        raise Refused("duplicate_name", f"There is already a route {name}.", param="name")
    change = Change(rt, actor)
    change.create(ROUTES, route)
    await change.commit()
    return route


async def update_route(rt: Runtime, actor: str, find: Find, route_id: int, **fields: Any) -> Route:
    """Change the given fields of a Route. Raises Refused: not_found, and those of `create_route`."""
    before = found_route(rt, route_id)
    after = checked(msgspec.structs.replace(before, **fields))
    check_targets(after, find)
    other = table(rt).by_name(after.name)
    if other is not None and other.id != route_id:
        raise Refused("duplicate_name", f"There is already a route {after.name}.", param="name")
    change = Change(rt, actor)
    change.update(ROUTES, before, after)
    await change.commit()
    return after


async def delete_route(rt: Runtime, actor: str, route_id: int) -> None:
    """Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(ROUTES, found_route(rt, route_id))
    await change.commit()


def check_targets(route: Route, find: Find) -> None:
    """Every connector exists and carries what the route carries: test traffic never reaches a real supplier."""
    for index, connector_id in enumerate((route.connector_id, *route.fallback_connector_ids)):
        param = "connector_id" if index == 0 else f"fallback_connector_ids[{index - 1}]"
        connector = find(connector_id)
        if connector is None:
            raise Refused("connector_unknown", param=param)
        if connector.test != route.test:
            kinds = ("test", "live") if connector.test else ("live", "test")
            message = f"The connector {connector.name} is a {kinds[0]} one and the route carries {kinds[1]} traffic."
            raise Refused("connector_unknown", message, param=param)


def found_route(rt: Runtime, route_id: int) -> Route:
    route = table(rt).get(route_id)
    if route is None:
        raise Refused("not_found", "There is no such route.")
    return route


def _last(known: Table) -> int:
    return known.routes[-1].position if known.routes else 0
