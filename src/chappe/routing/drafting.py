"""Drafts: routes as somebody proposes them, looked at as a whole before they are published in one step.

A draft is the version that it starts from, and its edits, one for each route and group of accounts that it changes. So
a draft of 10,000 routes that changes two is two rows, and moving it to a newer version keeps its edits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.routing.account_groups import check_members, new_account_group
from chappe.routing.checking import Fault, Find, check_route, check_routes
from chappe.routing.editions import (
    Difference,
    Edition,
    Published,
    differences,
    finish,
    known,
    present,
    published,
    refuse_faulty,
)
from chappe.routing.model import AccountGroup, Draft, Route
from chappe.routing.room import drafts, table
from chappe.routing.shaping import changed
from chappe.routing.store import ADD_EDITS, DRAFTS, DROP_EDITS, EDITS_OF, FORGET_EDITS, IS_OPEN
from chappe.routing.table import Table
from chappe.routing.verbs import STEP, check_name, new_route
from chappe.storage import Conflict

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Proposal:
    """A draft, what it starts from, and what it would put in force."""

    draft: Draft
    base: Published
    after: Published

    @property
    def routes(self) -> list[Route]:
        """In the order of their positions."""
        return sorted(self.after.routes.values(), key=lambda route: (route.position, route.id))

    @property
    def differences(self) -> list[Difference]:
        return differences(self.base, self.after)

    def route(self, route_id: int) -> Route:
        """Raises Refused not_found."""
        if route_id not in self.after.routes:
            raise Refused("not_found", "There is no such route in the draft.")
        return self.after.routes[route_id]


# -- a draft -------------------------------------------------------------------------------------------------------


async def create_draft(rt: Runtime, actor: str, *, name: str, note: str = "") -> Draft:
    """From what is in force. Raises Refused invalid_value."""
    now = rt.clock.now()
    draft = checked(Draft(rt.ids.next(), name, note, table(rt).version, "open", None, actor, now))
    change = Change(rt, actor)
    change.create(DRAFTS, draft)
    await change.commit()
    return draft


async def delete_draft(rt: Runtime, actor: str, draft_id: int) -> None:
    """What it became stays in force. Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(DRAFTS, found_draft(rt, draft_id))
    await change.commit()
    await rt.store.write(FORGET_EDITS({"draft_id": draft_id}))


def found_draft(rt: Runtime, draft_id: int) -> Draft:
    draft = drafts(rt).get(draft_id)
    if draft is None:
        raise Refused("not_found", "There is no such draft.")
    return draft


async def proposal(rt: Runtime, draft_id: int) -> Proposal:
    """Raises Refused not_found."""
    draft = found_draft(rt, draft_id)
    base = await published(rt, draft.base)
    routes, groups = dict(base.routes), dict(base.account_groups)
    for object_id, kind, content in await rt.store.scan(EDITS_OF({"draft_id": draft_id})):
        if kind == "route":
            _edit(routes, object_id, content, Route)
        else:
            _edit(groups, object_id, content, AccountGroup)
    return Proposal(draft, base, Published(draft.base + 1, routes, groups))


async def draft_table(rt: Runtime, draft_id: int) -> Table:
    """The draft compiled, to try messages on. Raises Refused not_found."""
    found = await proposal(rt, draft_id)
    return Table(found.after.routes.values(), found.after.account_groups.values(), found.after.number)


def faults(rt: Runtime, find: Find, found: Proposal) -> list[Fault]:
    """All that is wrong with what it would put in force, errors first."""
    after = found.after
    return check_routes(found.routes, [*after.account_groups.values()], known(rt, find, after))


async def publish_draft(rt: Runtime, actor: str, find: Find, draft_id: int, *, note: str = "") -> Draft:
    """Put it in force, all or nothing. Raises Refused: not_found, draft_closed, routes_faulty, routes_unchanged,
    routes_changed (others published since: rebase it)."""
    found = await proposal(rt, draft_id)
    draft = _open(found.draft)
    if draft.base != table(rt).version:
        raise Refused("routes_changed")
    refuse_faulty(faults(rt, find, found))
    changes = found.differences
    if not changes:
        raise Refused("routes_unchanged")
    words = note or draft.note or f"publish {draft.name}"
    edition = Edition(rt, actor, "publish", note=words, base=draft.base, draft_id=draft.id)
    edition.take(changes)
    after = msgspec.structs.replace(draft, status="published", version=draft.base + 1)
    edition.update(DRAFTS, draft, after, "publish")
    await finish(edition)
    return after


async def rebase_draft(rt: Runtime, actor: str, draft_id: int) -> tuple[Draft, list[Difference]]:
    """Start from what is in force now; the draft's edits stay.

    Returns what others changed of the very routes and groups that it edits: published, the draft's edits win. Raises
    Refused: not_found, draft_closed.
    """
    found, now = await proposal(rt, draft_id), present(rt)
    draft = _open(found.draft)
    edited = {one.object.id for one in found.differences}
    met = [one for one in differences(found.base, now) if one.object.id in edited]
    after = msgspec.structs.replace(draft, base=now.number)
    change = Change(rt, actor)
    change.update(DRAFTS, draft, after, "rebase")
    await change.commit()
    return after, met


# -- its edits -----------------------------------------------------------------------------------------------------


async def add_route(rt: Runtime, find: Find, draft_id: int, **fields: Any) -> Route:
    """Raises Refused: not_found, draft_closed, and those of `create_route`."""
    found = await proposal(rt, draft_id)
    route = new_route(rt, found.routes, **fields)
    _check(rt, find, found, route)
    await _write(rt, found, routes={route.id: route})
    return route


async def change_route(rt: Runtime, find: Find, draft_id: int, route_id: int, **fields: Any) -> Route:
    """Raises Refused: not_found, draft_closed, and those of `update_route`."""
    found = await proposal(rt, draft_id)
    route = changed(found.route(route_id), **fields)
    _check(rt, find, found, route)
    await _write(rt, found, routes={route.id: route})
    return route


async def drop_route(rt: Runtime, draft_id: int, route_id: int) -> None:
    """Raises Refused: not_found, draft_closed."""
    found = await proposal(rt, draft_id)
    await _write(rt, found, routes={found.route(route_id).id: None})


async def reorder(rt: Runtime, draft_id: int, route_ids: Sequence[int]) -> list[Route]:
    """Put these routes in this order, before all others, whose order stays. Raises Refused: not_found, draft_closed,
    invalid_value for one that comes twice."""
    found = await proposal(rt, draft_id)
    if len(set(route_ids)) != len(route_ids):
        raise Refused("invalid_value", "A route comes twice.", param="route_ids")
    first = [found.route(route_id) for route_id in route_ids]
    rest = [route for route in found.routes if route.id not in set(route_ids)]
    placed = [msgspec.structs.replace(route, position=STEP * at) for at, route in enumerate((*first, *rest), start=1)]
    await _write(rt, found, routes={route.id: route for route in placed})
    return placed


async def set_account_groups(
    rt: Runtime, draft_id: int, wanted: Sequence[tuple[str, Sequence[int]]]
) -> list[AccountGroup]:
    """The draft's groups of accounts, all of them. Raises Refused: not_found, draft_closed, invalid_value,
    duplicate_name, in_use by a route of the draft."""
    found = await proposal(rt, draft_id)
    before = {group.name: group for group in found.after.account_groups.values()}
    after: dict[str, AccountGroup] = {}
    for at, (name, account_ids) in enumerate(wanted):
        if name in after:
            raise Refused("duplicate_name", f"There are two groups {name}.", param=f"account_groups[{at}].name")
        after[name] = _account_group(rt, before.get(name), name, account_ids, at)
    for name in before.keys() - after.keys():
        if users := [route.name for route in found.routes if name in route.match.account_groups]:
            words = f"The group {name} is used by the route {', '.join(users[:5])}."
            raise Refused("in_use", words, param="account_groups")
    edits: dict[int, AccountGroup | None] = {group.id: None for group in before.values()}
    await _write(rt, found, groups=edits | {group.id: group for group in after.values()})
    return list(after.values())


def _account_group(
    rt: Runtime, before: AccountGroup | None, name: str, account_ids: Sequence[int], at: int
) -> AccountGroup:
    try:
        if before is None:
            return new_account_group(rt, name, account_ids)
        after = msgspec.structs.replace(before, account_ids=tuple(dict.fromkeys(account_ids)))
        check_members(rt, after)
        return after
    except Refused as error:
        param = f"account_groups[{at}].{error.param}"
        raise Refused(error.code, error.message, param=param, action=error.action) from None


def _check(rt: Runtime, find: Find, found: Proposal, route: Route) -> None:
    check_route(route, known(rt, find, found.after))
    check_name(route, found.after.routes.values())


def _open(draft: Draft) -> Draft:
    if draft.status != "open":
        raise Refused("draft_closed")
    return draft


async def _write(
    rt: Runtime,
    found: Proposal,
    *,
    routes: Mapping[int, Route | None] | None = None,
    groups: Mapping[int, AccountGroup | None] | None = None,
) -> None:
    """Keep what differs from the base; an edit that leads back to it goes."""
    draft = _open(found.draft)
    rows = [
        *_rows(draft.id, "route", routes or {}, found.base.routes),
        *_rows(draft.id, "account_group", groups or {}, found.base.account_groups),
    ]
    named = [(draft.id, number) for number in (*(routes or {}), *(groups or {}))]
    ops = [IS_OPEN({"id": draft.id}, expect=1)]
    ops += [DROP_EDITS(named)] if named else []
    ops += [ADD_EDITS(rows)] if rows else []
    try:
        await rt.store.write(*ops)
    except Conflict:
        raise Refused("draft_closed") from None


def _rows(
    draft_id: int, kind: str, edits: Mapping[int, Any], base: Mapping[int, Any]
) -> Iterable[tuple[int, int, str, str | None]]:
    for number, value in edits.items():
        if value != base.get(number):
            yield draft_id, number, kind, None if value is None else _encode(value).decode()


def _edit(values: dict[int, Any], object_id: int, content: str | None, kind: type[Any]) -> None:
    if content is None:
        values.pop(object_id, None)
    else:
        values[object_id] = msgspec.json.decode(content, type=kind)
