"""API keys of an account."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from chappe import accounts, ids
from chappe.accounts import DEFAULT_SCOPES, ApiKey, Mode, Scope
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, maybe_rfc, page_of, rfc

resource = Resource(
    "Keys",
    "API keys: shown once, stored as a hash, limited by scopes, revoked for good.",
    scope="keys",
    tenant=True,
)


class NewKey(Struct, forbid_unknown_fields=True, kw_only=True):
    """A key never gets more than the one that makes it has."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    mode: Mode = "live"
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=20)] = DEFAULT_SCOPES


class KeyOut(Struct, frozen=True, kw_only=True):
    """An API key without its secret."""

    id: Annotated[str, Meta(examples=["key_006h3r8k2w0g4"])]
    name: str
    mode: Mode
    scopes: list[Scope]
    last4: Annotated[str, Meta(description="The last characters of the secret.")] | None
    created_at: Time
    revoked_at: Time | None


class CreatedKey(KeyOut, frozen=True, kw_only=True):
    """A new key; its secret is shown now and never again."""

    key: Annotated[str, Meta(examples=["ck_live_..."])]


@resource.get("/v1/keys", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[KeyOut]:
    """List keys, revoked ones included."""
    return page_of(accounts.directory(call.rt).keys(call.account_id), query, "key", _shown, lambda key: key.id)


@resource.get("/v1/keys/{id:key}")
async def get(call: Call, id: int) -> KeyOut:
    """Show a key."""
    key = accounts.directory(call.rt).key(call.account_id, id)
    if key is None:
        raise missing("key")
    return _shown(key)


@resource.post(
    "/v1/keys",
    status=201,
    example={"name": "shop", "mode": "test", "scopes": ["messages:send", "messages:read"]},
    errors=("duplicate_name",),
)
async def create(call: Call, body: NewKey) -> CreatedKey:
    """Make a key."""
    key, secret = await accounts.create_key(
        call.rt,
        call.actor,
        call.account_id,
        name=body.name,
        mode=body.mode,
        scopes=body.scopes,
        granted_by=call.caller.key,
    )
    return CreatedKey(**_fields(key), key=secret)


@resource.post("/v1/keys/{id:key}/revoke")
async def revoke(call: Call, id: int) -> KeyOut:
    """Revoke a key for good; revoking twice is no error."""
    key = accounts.directory(call.rt).key(call.account_id, id)
    if key is not None and key.mode == "live":
        call.caller.need_live("live keys")
    return _shown(await accounts.revoke_key(call.rt, call.actor, call.account_id, id))


def _fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": ids.public("key", key.id),
        "name": key.name,
        "mode": key.mode,
        "scopes": list(key.scopes),
        "last4": key.last4,
        "created_at": rfc(key.created_at),
        "revoked_at": maybe_rfc(key.revoked_at),
    }


def _shown(key: ApiKey) -> KeyOut:
    return KeyOut(**_fields(key))
