"""API keys: shown once, stored as a hash, limited by scopes, revoked for good."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from chappe.accounts.change import Change
from chappe.accounts.directory import directory
from chappe.accounts.model import DEFAULT_SCOPES, ApiKey, Mode, checked
from chappe.accounts.store import KEYS
from chappe.accounts.tenants import found_account
from chappe.errors import Refused
from chappe.secrets import hash_key, new_api_key

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_key(
    rt: Runtime,
    actor: str,
    account_id: int,
    *,
    name: str,
    mode: Mode = "live",
    scopes: Sequence[str] = DEFAULT_SCOPES,
    granted_by: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; the second value is the secret, which nobody can read again.

    A key made with another key (`granted_by`) never gets more than that one has: no scope of its own accord, and no
    live key from a test key. Raises Refused: not_found, invalid_value, duplicate_name, scope_missing.
    """
    found_account(rt, account_id)
    secret = new_api_key(mode)
    key = checked(
        ApiKey(
            id=rt.ids.next(),
            account_id=account_id,
            name=name,
            hash=hash_key(secret),
            last4=secret[-4:],
            mode=mode,
            scopes=tuple(dict.fromkeys(scopes)),  # type: ignore[arg-type]  # `checked` looks at each
            created_at=rt.clock.now(),
            revoked_at=None,
        )
    )
    if granted_by is not None:
        _check_grant(key.scopes, key.mode, granted_by)
    if any(other.name == name and other.revoked_at is None for other in directory(rt).keys(account_id)):
        raise Refused("duplicate_name", f"There is already a key {name}.", param="name")
    change = Change(rt, actor)
    change.create(KEYS, key)
    await change.commit()
    return key, secret


async def revoke_key(rt: Runtime, actor: str, account_id: int, key_id: int) -> ApiKey:
    """From the commit on nobody gets in with it. Revoking twice is no error. Raises Refused not_found."""
    key = directory(rt).key(account_id, key_id)
    if key is None:
        raise Refused("not_found", "There is no such key.")
    if key.revoked_at is not None:
        return key
    revoked = msgspec.structs.replace(key, revoked_at=rt.clock.now())
    change = Change(rt, actor)
    change.update(KEYS, key, revoked, "revoke")
    await change.commit()
    return revoked


def _check_grant(scopes: Collection[str], mode: Mode, granted_by: ApiKey) -> None:
    missing = [scope for scope in scopes if not granted_by.may(scope)]
    if missing:
        raise Refused("scope_missing", f"Your key may not grant {', '.join(missing)}.", param="scopes")
    if granted_by.test and mode == "live":
        raise Refused("scope_missing", "A test key cannot make a live key.", param="mode")
