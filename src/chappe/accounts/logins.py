"""SMPP logins of customers: created, changed, deleted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts.change import Change
from chappe.accounts.directory import directory
from chappe.accounts.model import LoginDialect, SmppLogin, check_networks, check_password, checked
from chappe.accounts.passwords import hash_password, new_password
from chappe.accounts.store import LOGINS
from chappe.accounts.tenants import found_account
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_DEFAULTS: dict[str, Any] = {
    "mode": "live",
    "status": "active",
    "purpose": "transactional",
    "allowed_ips": (),
    "max_binds": 4,
    "rate_per_s": None,
    "window_size": 50,
    "long_password": False,
    "dialect": LoginDialect(),
}


async def create_login(
    rt: Runtime, actor: str, account_id: int, *, system_id: str, password: str | None = None, **fields: Any
) -> tuple[SmppLogin, str]:
    """Make a login; `fields` are those of SmppLogin. The second value is the password, made up if none is given.

    Raises Refused: not_found, invalid_value, duplicate_name.
    """
    found_account(rt, account_id)
    merged = _DEFAULTS | fields
    password = new_password() if password is None else password
    check_password(password, long_password=merged["long_password"])
    password_hash = await asyncio.to_thread(hash_password, password)
    login = checked(
        SmppLogin(
            id=rt.ids.next(),
            account_id=account_id,
            system_id=system_id,
            password_hash=password_hash,
            created_at=rt.clock.now(),
            **merged,
        )
    )
    check_networks(login.allowed_ips)
    if directory(rt).login(system_id):
        raise Refused("duplicate_name", f"The system_id {system_id} is taken.", param="system_id")
    change = Change(rt, actor)
    change.create(LOGINS, login)
    await change.commit()
    return login, password


async def update_login(
    rt: Runtime, actor: str, account_id: int, login_id: int, *, password: str | None = None, **fields: Any
) -> SmppLogin:
    """Change the given fields. Raises Refused: not_found (also for another account's), invalid_value."""
    before = found_login(rt, account_id, login_id)
    after = msgspec.structs.replace(before, **fields)
    if password is not None:
        check_password(password, long_password=after.long_password)
        after = msgspec.structs.replace(after, password_hash=await asyncio.to_thread(hash_password, password))
    after = checked(after)
    check_networks(after.allowed_ips)
    change = Change(rt, actor)
    change.update(LOGINS, before, after)
    await change.commit()
    return after


async def delete_login(rt: Runtime, actor: str, account_id: int, login_id: int) -> None:
    """Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(LOGINS, found_login(rt, account_id, login_id))
    await change.commit()


def found_login(rt: Runtime, account_id: int, login_id: int) -> SmppLogin:
    login = directory(rt).login_by_id(login_id)
    if login is None or login.account_id != account_id:
        raise Refused("not_found", "There is no such SMPP login.")
    return login
