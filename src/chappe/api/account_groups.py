"""Groups of accounts: customers under one name, which routes use."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from chappe import routing
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.route_shapes import AccountGroupOut, Name, account_group_out, account_numbers
from chappe.api.shapes import Listed, Page, page_of

resource = Resource("Account groups", "Customers under one name, which routes use. For the operator.", scope="routes")

Members = Annotated[tuple[str, ...], Meta(max_length=100_000, description="Ids of accounts.")]


class NewAccountGroup(Struct, forbid_unknown_fields=True, kw_only=True):
    """A group to be."""

    name: Name
    account_ids: Members = ()


class AccountGroupChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """Other members, all of them."""

    account_ids: Members


@resource.get("/v1/account_groups", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[AccountGroupOut]:
    """List account groups, newest first."""
    groups = routing.table(call.rt).account_groups.values()
    return page_of(groups, query, "agr", account_group_out, lambda group: group.id)


@resource.get("/v1/account_groups/{id:agr}")
async def get(call: Call, id: int) -> AccountGroupOut:
    """Show an account group."""
    return account_group_out(routing.found_group(call.rt, id))


@resource.post("/v1/account_groups", status=201, example={"name": "gold"}, errors=("duplicate_name",))
async def create(call: Call, body: NewAccountGroup) -> AccountGroupOut:
    """Make an account group."""
    call.caller.need_live("routes")
    members = account_numbers(call, body.account_ids, "account_ids")
    made = await routing.create_account_group(call.rt, call.actor, name=body.name, account_ids=members)
    return account_group_out(made)


@resource.patch("/v1/account_groups/{id:agr}", example={"account_ids": []})
async def update(call: Call, id: int, body: AccountGroupChange) -> AccountGroupOut:
    """Change who is in an account group."""
    call.caller.need_live("routes")
    members = account_numbers(call, body.account_ids, "account_ids")
    return account_group_out(await routing.update_account_group(call.rt, call.actor, id, members))


@resource.delete("/v1/account_groups/{id:agr}", errors=("in_use",))
async def delete(call: Call, id: int) -> None:
    """Delete an account group that no route names."""
    call.caller.need_live("routes")
    await routing.delete_account_group(call.rt, call.actor, id)
