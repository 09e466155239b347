"""SMPP logins: with which an account's own SMPP clients bind to us."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import accounts, ids
from chappe.accounts import LoginDialect, Mode, SmppLogin
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, given, page_of, rfc

resource = Resource(
    "SMPP logins",
    "Accounts of the SMPP server, for customers who submit by SMPP.",
    scope="smpp",
    tenant=True,
)

SystemId = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,15}$", examples=["shop"])]
Password = Annotated[str, Meta(min_length=1, max_length=64)]
Networks = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=50)], ...], Meta(max_length=100)]
Binds = Annotated[int, Meta(ge=1, le=1000, description="Binds at the same time.")]
Rate = Annotated[float, Meta(gt=0, le=100_000, description="Messages a second.")]
Window = Annotated[int, Meta(ge=1, le=10_000, description="Unanswered PDUs each way.")]


class NewLogin(Struct, forbid_unknown_fields=True, kw_only=True):
    """A login; what is left out gets its default."""

    system_id: SystemId
    password: Annotated[Password, Meta(description="Made up if left out; at most 8 characters in SMPP.")] | None = None
    mode: Mode = "live"
    purpose: Purpose = "transactional"
    allowed_ips: Annotated[Networks, Meta(description="Addresses and networks; none lets any in.")] = ()
    max_binds: Binds = 4
    rate_per_s: Rate | None = None
    window_size: Window = 50
    long_password: Annotated[bool, Meta(description="Allow up to 64 characters.")] = False
    dialect: LoginDialect = LoginDialect()


class LoginChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change."""

    password: Password | UnsetType = UNSET
    status: Literal["active", "suspended"] | UnsetType = UNSET
    purpose: Purpose | UnsetType = UNSET
    allowed_ips: Networks | UnsetType = UNSET
    max_binds: Binds | UnsetType = UNSET
    rate_per_s: Rate | UnsetType | None = UNSET
    window_size: Window | UnsetType = UNSET
    long_password: bool | UnsetType = UNSET
    dialect: LoginDialect | UnsetType = UNSET


class LoginOut(Struct, frozen=True, kw_only=True):
    """A login without its password."""

    id: Annotated[str, Meta(examples=["smp_006h3r8k2w0g4"])]
    system_id: str
    mode: Mode
    status: Literal["active", "suspended"]
    purpose: Purpose
    allowed_ips: list[str]
    max_binds: int
    rate_per_s: float | None
    window_size: int
    long_password: bool
    dialect: LoginDialect
    created_at: Time


class CreatedLogin(LoginOut, frozen=True, kw_only=True):
    """A new login; its password is shown now and never again."""

    password: str


@resource.get("/v1/smpp_logins", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[LoginOut]:
    """List SMPP logins."""
    return page_of(accounts.directory(call.rt).logins(call.account_id), query, "smp", _shown, lambda login: login.id)


@resource.get("/v1/smpp_logins/{id:smp}")
async def get(call: Call, id: int) -> LoginOut:
    """Show an SMPP login."""
    return _shown(_found(call, id))


@resource.post(
    "/v1/smpp_logins",
    status=201,
    example={"system_id": "shop", "mode": "test", "allowed_ips": ["192.0.2.0/24"]},
    errors=("duplicate_name",),
)
async def create(call: Call, body: NewLogin) -> CreatedLogin:
    """Make an SMPP login."""
    if body.mode == "live":
        call.caller.need_live("live logins")
    login, password = await accounts.create_login(call.rt, call.actor, call.account_id, **given(body))
    return CreatedLogin(**_fields(login), password=password)


@resource.patch("/v1/smpp_logins/{id:smp}", example={"status": "suspended"})
async def update(call: Call, id: int, body: LoginChange) -> LoginOut:
    """Change an SMPP login."""
    _guard(call, _found(call, id))
    return _shown(await accounts.update_login(call.rt, call.actor, call.account_id, id, **given(body)))


@resource.delete("/v1/smpp_logins/{id:smp}")
async def delete(call: Call, id: int) -> None:
    """Delete an SMPP login."""
    _guard(call, _found(call, id))
    await accounts.delete_login(call.rt, call.actor, call.account_id, id)


def _found(call: Call, id: int) -> SmppLogin:
    login = accounts.directory(call.rt).login_by_id(id)
    if login is None or login.account_id != call.account_id:
        raise missing("SMPP login")
    return login


def _guard(call: Call, login: SmppLogin) -> None:
    if not login.test:
        call.caller.need_live("live logins")


def _fields(login: SmppLogin) -> dict[str, Any]:
    return {
        "id": ids.public("smp", login.id),
        "system_id": login.system_id,
        "mode": login.mode,
        "status": login.status,
        "purpose": login.purpose,
        "allowed_ips": list(login.allowed_ips),
        "max_binds": login.max_binds,
        "rate_per_s": login.rate_per_s,
        "window_size": login.window_size,
        "long_password": login.long_password,
        "dialect": login.dialect,
        "created_at": rfc(login.created_at),
    }


def _shown(login: SmppLogin) -> LoginOut:
    return LoginOut(**_fields(login))
