"""Routes as they are proposed, and every version that was in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chappe import ids, routing
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.route_shapes import (
    AccountGroupOut,
    Name,
    NewRoute,
    RouteChange,
    RouteOut,
    account_group_out,
    account_numbers,
    fields,
    route_out,
    worded,
)
from chappe.api.routes import REFUSALS
from chappe.api.shapes import Listed, Page, Time, after, given, listed, page_of, paged, rfc
from chappe.connectors import book
from chappe.errors import Refused
from chappe.routing import Difference, Draft, Proposal, Route, Version

resource = Resource(
    "Route drafts",
    "Many changes of routes at once: edited, compared, tried (`/v1/routes/explain` takes a `draft_id`) and published "
    "together. A draft starts from the version in force; when others publish meanwhile it must be rebased first.",
    scope="routes",
)
history = Resource(
    "Route versions",
    "Every change of the routes in force, who made it, when and why. Any version can be brought back.",
    scope="routes",
)

Note = Annotated[str, Meta(max_length=1000, description="Why.")]


class NewDraft(Struct, forbid_unknown_fields=True, kw_only=True):
    """A draft to be, of what is in force now."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["autumn prices"])]
    note: Note = ""


class GroupMembers(Struct, forbid_unknown_fields=True, kw_only=True):
    """A group of accounts as the draft has it."""

    name: Name
    account_ids: Annotated[tuple[str, ...], Meta(max_length=100_000)] = ()


class DraftChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """`account_groups` are all that the draft has: one that is not named goes."""

    account_groups: Annotated[tuple[GroupMembers, ...], Meta(max_length=10_000)]


class Order(Struct, forbid_unknown_fields=True, kw_only=True):
    """These routes come first, in this order; that of all others stays."""

    route_ids: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100_000)]


class Publishing(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why; else the note of the draft."""

    note: Note = ""


class DraftOut(Struct, frozen=True, kw_only=True):
    """A draft. `base_version` is what it starts from, `stale` says that others published since, `version` is what it
    became."""

    id: Annotated[str, Meta(examples=["rdr_006h3r8k2w0g4"])]
    name: str
    note: str
    status: Literal["open", "published"]
    base_version: int
    stale: bool
    version: int | None
    created_by: str
    created_at: Time


class FaultOut(Struct, frozen=True):
    """Something wrong: an error keeps a draft from being published, a warning may be meant so."""

    level: Literal["error", "warning"]
    code: str
    id: str
    name: str
    param: str | None
    message: str


class RouteDifference(Struct, frozen=True, kw_only=True):
    """What becomes of a route; `fields` are those that differ."""

    action: Literal["create", "update", "delete"]
    name: str
    fields: list[str]
    before: RouteOut | None
    after: RouteOut | None


class AccountGroupDifference(Struct, frozen=True, kw_only=True):
    """What becomes of a group of accounts."""

    action: Literal["create", "update", "delete"]
    name: str
    before: AccountGroupOut | None
    after: AccountGroupOut | None


class Differences(Struct, frozen=True, kw_only=True):
    """What changes between two sets of routes."""

    routes: list[RouteDifference]
    account_groups: list[AccountGroupDifference]


class DiffOut(Struct, frozen=True, kw_only=True):
    """What a draft would change, and what is wrong with the result."""

    base_version: int
    published_version: int
    stale: bool
    changes: Differences
    faults: list[FaultOut]


class RebasedOut(Struct, frozen=True, kw_only=True):
    """The draft, and what others changed of the very routes that it edits: published, the draft's edits win."""

    draft: DraftOut
    conflicts: Differences


class VersionOut(Struct, frozen=True, kw_only=True):
    """A version; `changes` is how many routes and groups of accounts it changed."""

    number: Annotated[int, Meta(examples=[3])]
    kind: Annotated[
        Literal["change", "apply", "publish", "restore"],
        Meta(description="A change by itself, a file applied, a draft published, an earlier version brought back."),
    ]
    by: str
    note: str
    published_at: Time
    draft_id: str | None
    restored: int | None
    changes: int


class VersionDetail(VersionOut, frozen=True, kw_only=True):
    """A version with what it changed."""

    differences: Differences


# -- drafts --------------------------------------------------------------------------------------------------------


@resource.get("/v1/route_drafts", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[DraftOut]:
    """List drafts, newest first."""
    drafts = routing.drafts(call.rt).values()
    return page_of(drafts, query, "rdr", lambda draft: _draft(call, draft), lambda draft: draft.id)


@resource.get("/v1/route_drafts/{id:rdr}")
async def get(call: Call, id: int) -> DraftOut:
    """Show a draft."""
    return _draft(call, routing.found_draft(call.rt, id))


@resource.post("/v1/route_drafts", status=201, example={"name": "autumn prices"})
async def create(call: Call, body: NewDraft) -> DraftOut:
    """Make a draft of what is in force."""
    call.caller.need_live("routes")
    return _draft(call, await routing.create_draft(call.rt, call.actor, name=body.name, note=body.note))


@resource.delete("/v1/route_drafts/{id:rdr}")
async def delete(call: Call, id: int) -> None:
    """Delete a draft; what it became stays in force."""
    call.caller.need_live("routes")
    await routing.delete_draft(call.rt, call.actor, id)


@resource.get("/v1/route_drafts/{id:rdr}/routes", errors=("invalid_cursor",))
async def routes(call: Call, id: int, query: Page) -> Listed[RouteOut]:
    """List the routes that the draft would put in force, newest first."""
    found = await routing.proposal(call.rt, id)
    return page_of(found.routes, query, "rte", lambda route: route_out(call, route), lambda route: route.id)


@resource.post(
    "/v1/route_drafts/{id:rdr}/routes",
    status=201,
    example={"name": "france", "match": {"countries": ["FR"]}, "connector": "acme-1"},
    errors=("draft_closed", *REFUSALS),
)
async def add(call: Call, id: int, body: NewRoute) -> RouteOut:
    """Add a route to a draft."""
    call.caller.need_live("routes")
    told = given(body)
    work = routing.add_route(call.rt, book(call.rt).get, id, **fields(call, told))
    return route_out(call, await worded(told, work))


@resource.patch(
    "/v1/route_drafts/{id:rdr}/routes/{route:rte}", example={"status": "stopped"}, errors=("draft_closed", *REFUSALS)
)
async def change(call: Call, id: int, route: int, body: RouteChange) -> RouteOut:
    """Change a route in a draft."""
    call.caller.need_live("routes")
    told = given(body)
    work = routing.change_route(call.rt, book(call.rt).get, id, route, **fields(call, told))
    return route_out(call, await worded(told, work))


@resource.delete("/v1/route_drafts/{id:rdr}/routes/{route:rte}", errors=("draft_closed",))
async def drop(call: Call, id: int, route: int) -> None:
    """Delete a route from a draft."""
    call.caller.need_live("routes")
    await routing.drop_route(call.rt, id, route)


@resource.post(
    "/v1/route_drafts/{id:rdr}/order", example={"route_ids": ["rte_006h3r8k2w0g4"]}, errors=("draft_closed",)
)
async def order(call: Call, id: int, body: Order) -> DraftOut:
    """Put routes of a draft in another order."""
    call.caller.need_live("routes")
    numbers = [ids.parse("rte", text) for text in body.route_ids]
    for at, number in enumerate(numbers):
        if number is None:
            raise Refused("invalid_value", "There is no such route.", param=f"route_ids[{at}]")
    await routing.reorder(call.rt, id, [number for number in numbers if number is not None])
    return _draft(call, routing.found_draft(call.rt, id))


@resource.get("/v1/route_drafts/{id:rdr}/account_groups")
async def account_groups(call: Call, id: int) -> Listed[AccountGroupOut]:
    """List the account groups that the draft would put in force."""
    found = await routing.proposal(call.rt, id)
    return listed((account_group_out(group) for group in found.after.account_groups.values()), None)


@resource.patch(
    "/v1/route_drafts/{id:rdr}",
    example={"account_groups": [{"name": "gold"}]},
    errors=("draft_closed", "duplicate_name", "in_use"),
)
async def update(call: Call, id: int, body: DraftChange) -> DraftOut:
    """Set the account groups of a draft."""
    call.caller.need_live("routes")
    wanted = [
        (group.name, account_numbers(call, group.account_ids, f"account_groups[{at}].account_ids"))
        for at, group in enumerate(body.account_groups)
    ]
    await routing.set_account_groups(call.rt, id, wanted)
    return _draft(call, routing.found_draft(call.rt, id))


@resource.get("/v1/route_drafts/{id:rdr}/diff")
async def diff(call: Call, id: int) -> DiffOut:
    """Show what a draft would change, and what is wrong with it."""
    found = await routing.proposal(call.rt, id)
    return DiffOut(
        base_version=found.draft.base,
        published_version=routing.table(call.rt).version,
        stale=_stale(call, found.draft),
        changes=_differences(call, found.differences),
        faults=_faults(call, found),
    )


@resource.post(
    "/v1/route_drafts/{id:rdr}/publish",
    example={"note": "cheaper to France"},
    errors=("draft_closed", "routes_faulty", "routes_changed", "routes_unchanged"),
)
async def publish(call: Call, id: int, body: Publishing) -> DraftOut:
    """Put a draft in force, all or nothing."""
    call.caller.need_live("routes")
    return _draft(call, await routing.publish_draft(call.rt, call.actor, book(call.rt).get, id, note=body.note))


@resource.post("/v1/route_drafts/{id:rdr}/rebase", errors=("draft_closed",))
async def rebase(call: Call, id: int) -> RebasedOut:
    """Let a draft start from what is in force now; its edits stay."""
    call.caller.need_live("routes")
    draft, met = await routing.rebase_draft(call.rt, call.actor, id)
    return RebasedOut(draft=_draft(call, draft), conflicts=_differences(call, met))


# -- versions ------------------------------------------------------------------------------------------------------


@history.get("/v1/route_versions", errors=("invalid_cursor",))
async def list_versions(call: Call, query: Page) -> Listed[VersionOut]:
    """List versions, newest first."""
    found = await routing.versions(call.rt, before=after(query, "rtv"), limit=query.limit + 1)
    rows, cursor = paged(found, query, "rtv", lambda version: version.id)
    return listed((VersionOut(**_version(version)) for version in rows), cursor)


@history.get("/v1/route_versions/{n:number}")
async def show_version(call: Call, n: str) -> VersionDetail:
    """Show a version and what it changed."""
    version = await routing.found_version(call.rt, _number(n))
    changed = [routing.difference_of(step) for step in version.content]
    return VersionDetail(**_version(version), differences=_differences(call, changed))


@history.post(
    "/v1/route_versions/{n:number}/restore",
    example={"note": "too few delivered"},
    errors=("routes_faulty", "routes_changed", "routes_unchanged"),
)
async def restore(call: Call, n: str, body: Publishing) -> VersionOut:
    """Bring back what was in force in a version, as a new one; 0 is what was there before the first."""
    call.caller.need_live("routes")
    made = await routing.restore(call.rt, call.actor, book(call.rt).get, _number(n), note=body.note)
    return VersionOut(**_version(made))


# -- shown ---------------------------------------------------------------------------------------------------------


def _number(text: str) -> int:
    """Of a version, as it stands in the path."""
    if not (text.isascii() and text.isdigit()):
        raise Refused("not_found", "There is no such version.", param="n")
    return int(text)


def _draft(call: Call, draft: Draft) -> DraftOut:
    return DraftOut(
        id=ids.public("rdr", draft.id),
        name=draft.name,
        note=draft.note,
        status=draft.status,
        base_version=draft.base,
        stale=_stale(call, draft),
        version=draft.version,
        created_by=draft.created_by,
        created_at=rfc(draft.created_at),
    )


def _stale(call: Call, draft: Draft) -> bool:
    return draft.status == "open" and draft.base != routing.table(call.rt).version


def _version(version: Version) -> dict[str, Any]:
    return {
        "number": version.id,
        "kind": version.kind,
        "by": version.actor,
        "note": version.note,
        "published_at": rfc(version.published_at),
        "draft_id": None if version.draft_id is None else ids.public("rdr", version.draft_id),
        "restored": version.restored,
        "changes": version.changes,
    }


def _differences(call: Call, found: Sequence[Difference]) -> Differences:
    routes, groups = [], []
    for one in found:
        if isinstance(one.object, Route):
            routes.append(_route_difference(call, one))
        else:
            before, after = (None if value is None else account_group_out(value) for value in (one.before, one.after))
            groups.append(AccountGroupDifference(action=one.action, name=one.object.name, before=before, after=after))
    return Differences(routes=routes, account_groups=groups)


def _route_difference(call: Call, one: Difference) -> RouteDifference:
    before, after = (None if value is None else route_out(call, value) for value in (one.before, one.after))
    names: list[str] = []
    if before is not None and after is not None:
        names = [name for name in RouteOut.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    return RouteDifference(action=one.action, name=one.object.name, fields=names, before=before, after=after)


def _faults(call: Call, found: Proposal) -> list[FaultOut]:
    return [
        FaultOut(
            fault.level,
            fault.code,
            ids.public("rte" if fault.object_id in found.after.routes else "agr", fault.object_id),
            fault.name,
            fault.param,
            fault.message,
        )
        for fault in routing.faults(call.rt, book(call.rt).get, found)
    ]
