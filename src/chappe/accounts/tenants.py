"""Accounts: created, changed, suspended. They are never deleted: their messages outlive them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts.change import Change
from chappe.accounts.directory import directory
from chappe.accounts.model import Account, AccountSettings, checked
from chappe.accounts.store import ACCOUNTS
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_account(
    rt: Runtime,
    actor: str,
    *,
    slug: str,
    name: str,
    default_sender: str | None = None,
    settings: AccountSettings | None = None,
) -> Account:
    """Raises Refused: invalid_value, duplicate_name."""
    account = checked(
        Account(
            id=rt.ids.next(),
            slug=slug,
            name=name,
            status="active",
            default_sender=default_sender,
            settings=settings or AccountSettings(),
            created_at=rt.clock.now(),
        )
    )
    if directory(rt).by_slug(slug):
        raise Refused("duplicate_name", f"There is already an account {slug}.", param="slug")
    change = Change(rt, actor)
    change.create(ACCOUNTS, account)
    await change.commit()
    return account


async def update_account(rt: Runtime, actor: str, account_id: int, **fields: Any) -> Account:
    """Change name, status, default_sender or settings. Raises Refused: not_found, invalid_value."""
    before = found_account(rt, account_id)
    after = checked(msgspec.structs.replace(before, **fields))
    change = Change(rt, actor)
    change.update(ACCOUNTS, before, after)
    await change.commit()
    return after


def found_account(rt: Runtime, account_id: int) -> Account:
    """Raises Refused not_found."""
    account = directory(rt).account(account_id)
    if account is None:
        raise Refused("not_found", "There is no such account.")
    return account
