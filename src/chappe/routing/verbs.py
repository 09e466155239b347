"""Routes in force: created, changed, deleted, each time as a new version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chappe.errors import Refused
from chappe.routing.checking import Find, check_route
from chappe.routing.editions import Edition, known
from chappe.routing.model import Group, Match, Route
from chappe.routing.room import table
from chappe.routing.shaping import changed, shaped, usual_attempts
from chappe.routing.store import ROUTES

if TYPE_CHECKING:
    from chappe.runtime import Runtime

STEP = 10  # between positions, so that a route can be put between two others


async def create_route(rt: Runtime, actor: str, find: Find, **fields: Any) -> Route:
    """See `new_route` for the fields. Without a position the route comes last. Raises Refused: invalid_value,
    duplicate_name, connector_unknown, operator_unknown, route_without_connectors, route_loop, route_matches_nothing."""
    route = new_route(rt, table(rt).routes, **fields)
    check_route(route, known(rt, find))
    check_name(route, table(rt).routes)
    change = Edition(rt, actor)
    change.create(ROUTES, route)
    await change.commit()
    return route


async def update_route(rt: Runtime, actor: str, find: Find, route_id: int, **fields: Any) -> Route:
    """Change the given fields of a Route. Raises Refused: not_found, and those of `create_route`."""
    before = found_route(rt, route_id)
    after = changed(before, **fields)
    check_route(after, known(rt, find))
    check_name(after, table(rt).routes)
    change = Edition(rt, actor)
    change.update(ROUTES, before, after)
    await change.commit()
    return after


async def delete_route(rt: Runtime, actor: str, route_id: int) -> None:
    """Raises Refused not_found."""
    change = Edition(rt, actor)
    change.delete(ROUTES, found_route(rt, route_id))
    await change.commit()


def found_route(rt: Runtime, route_id: int) -> Route:
    route = table(rt).get(route_id)
    if route is None:
        raise Refused("not_found", "There is no such route.")
    return route


def new_route(
    rt: Runtime,
    among: Iterable[Route],
    *,
    name: str,
    connector_id: int = 0,
    fallback_connector_ids: tuple[int, ...] = (),
    groups: tuple[Group, ...] = (),
    position: int | None = None,
    account_id: int | None = None,
    prefix: str = "",
    purposes: tuple[str, ...] = (),
    senders: tuple[str, ...] = (),
    match: Match | None = None,
    most_attempts: int | None = None,
    max_cost: int | None = None,
    allow_loss: bool = False,
    status: str = "active",
    test: bool = False,
) -> Route:
    """A route in shape, at the end of the others unless a position is given. Raises Refused invalid_value."""
    route = shaped(
        Route(
            id=rt.ids.next(),
            name=name,
            position=max((route.position for route in among), default=0) + STEP if position is None else position,
            account_id=account_id,
            prefix=prefix,
            purposes=tuple(purposes),  # type: ignore[arg-type]  # `shaped` looks at each
            senders=tuple(senders),
            connector_id=connector_id,
            fallback_connector_ids=tuple(fallback_connector_ids),
            status=status,  # type: ignore[arg-type]
            test=test,
            created_at=rt.clock.now(),
            match=match or Match(),
            groups=groups,
            most_attempts=1 if most_attempts is None else most_attempts,
            max_cost=max_cost,
            allow_loss=allow_loss,
        )
    )
    return route if most_attempts is not None else changed(route, most_attempts=usual_attempts(route))


def check_name(route: Route, among: Iterable[Route]) -> None:
    """Raises Refused duplicate_name."""
    if any(other.name == route.name and other.id != route.id for other in among):
        raise Refused("duplicate_name", f"There is already a route {route.name}.", param="name")
