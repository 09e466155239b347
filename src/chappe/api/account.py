"""The caller's own account, and the audit of what was changed in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import accounts, ids
from chappe.accounts import Account, AccountSettings, AuditEntry, Mode, Scope
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, given, listed, page_of, paged, rfc
from chappe.errors import Refused

resource = Resource("Account", "The account, and who changed what in it.", scope="messages:read", tenant=True)
operator = Resource("Accounts", "All accounts of the installation. For its operator.", scope="accounts")

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["acme"])]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
SenderName = Annotated[str, Meta(min_length=1, max_length=20)]


class AccountOut(Struct, frozen=True, kw_only=True):
    """A tenant. Accounts are suspended, never deleted: their messages outlive them."""

    id: Annotated[str, Meta(examples=["acc_006h3r8k2w0g4"])]
    slug: str
    name: str
    status: Literal["active", "suspended"]
    default_sender: str | None
    settings: AccountSettings
    created_at: Time


class OwnAccount(AccountOut, frozen=True, kw_only=True):
    """The account of the key, and what the key may do."""

    key_id: str
    mode: Mode
    scopes: list[Scope]


class NewAccount(Struct, forbid_unknown_fields=True, kw_only=True):
    """A tenant to be."""

    slug: Slug
    name: Name
    default_sender: SenderName | None = None
    settings: AccountSettings = AccountSettings()


class AccountChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change; `settings` as a whole."""

    name: Name | UnsetType = UNSET
    status: Literal["active", "suspended"] | UnsetType = UNSET
    default_sender: SenderName | UnsetType | None = UNSET
    settings: AccountSettings | UnsetType = UNSET


class AuditOut(Struct, frozen=True, kw_only=True):
    """Who did what to which object; secrets are hidden."""

    id: Annotated[str, Meta(examples=["aud_006h3r8k2w0g4"])]
    at: Time
    actor: Annotated[str, Meta(examples=["key_006h3r8k2w0g4"])]
    action: Annotated[str, Meta(examples=["create", "update", "delete", "revoke"])]
    kind: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Page, forbid_unknown_fields=True, kw_only=True):
    """The audit of one account, or of the whole installation."""

    everything: Annotated[bool, Meta(description="Of all accounts; needs the scope accounts.")] = False


@resource.get("/v1/account")
async def get(call: Call) -> OwnAccount:
    """Show the account, and what the key may do."""
    account = accounts.directory(call.rt).account(call.account_id)
    assert account is not None
    key = call.caller.key
    return OwnAccount(**_fields(account), key_id=call.actor, mode=key.mode, scopes=list(key.scopes))


@resource.get("/v1/audit", scope="audit", errors=("invalid_cursor",))
async def audit(call: Call, query: AuditPage) -> Listed[AuditOut]:
    """List changes of configuration, newest first."""
    if query.everything:
        call.caller.need("accounts")
    whose = None if query.everything else call.account_id
    found = await accounts.audit_entries(call.rt, whose, before_id=after(query, "aud"), limit=query.limit + 1)
    rows, cursor = paged(found, query, "aud", lambda entry: entry.id)
    return listed(map(_entry, rows), cursor)


@operator.get("/v1/accounts", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[AccountOut]:
    """List accounts."""
    everyone = accounts.directory(call.rt).accounts.values()
    return page_of(everyone, query, "acc", _shown, lambda account: account.id)


@operator.get("/v1/accounts/{id:acc}")
async def show(call: Call, id: int) -> AccountOut:
    """Show an account."""
    account = accounts.directory(call.rt).account(id)
    if account is None:
        raise Refused("not_found", "There is no such account.", param="id")
    return _shown(account)


@operator.post(
    "/v1/accounts",
    status=201,
    example={"slug": "acme", "name": "Acme", "default_sender": "Acme", "settings": {"rate_per_s": 50}},
    errors=("duplicate_name",),
)
async def create(call: Call, body: NewAccount) -> AccountOut:
    """Make an account."""
    call.caller.need_live("accounts")
    return _shown(await accounts.create_account(call.rt, call.actor, **given(body)))


@operator.patch("/v1/accounts/{id:acc}", example={"status": "suspended"})
async def update(call: Call, id: int, body: AccountChange) -> AccountOut:
    """Change or suspend an account."""
    call.caller.need_live("accounts")
    return _shown(await accounts.update_account(call.rt, call.actor, id, **given(body)))


def _fields(account: Account) -> dict[str, Any]:
    return {
        "id": ids.public("acc", account.id),
        "slug": account.slug,
        "name": account.name,
        "status": account.status,
        "default_sender": account.default_sender,
        "settings": account.settings,
        "created_at": rfc(account.created_at),
    }


def _shown(account: Account) -> AccountOut:
    return AccountOut(**_fields(account))


def _entry(entry: AuditEntry) -> AuditOut:
    return AuditOut(
        id=ids.public("aud", entry.id),
        at=rfc(entry.at),
        actor=entry.actor,
        action=entry.action,
        kind=entry.kind,
        object=entry.object,
        before=entry.before,
        after=entry.after,
    )
