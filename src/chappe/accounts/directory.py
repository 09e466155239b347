"""All accounts, keys and logins in memory, as the doors look them up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chappe.accounts.current import snapshot
from chappe.accounts.model import Account, ApiKey, SmppLogin
from chappe.accounts.store import ACCOUNTS, KEYS, LOGINS, ROOM
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class Directory:
    """One consistent version; every look-up is a dict access."""

    def __init__(self, accounts: Sequence[Account], keys: Sequence[ApiKey], logins: Sequence[SmppLogin]) -> None:
        self.accounts = {account.id: account for account in accounts}
        self._by_slug = {account.slug: account for account in accounts}
        self._keys = {key.id: key for key in keys}
        self._by_hash = {key.hash: key for key in keys}
        self._logins = {login.id: login for login in logins}
        self._by_system_id = {login.system_id: login for login in logins}
        self._account_keys: defaultdict[int, list[ApiKey]] = defaultdict(list)
        self._account_logins: defaultdict[int, list[SmppLogin]] = defaultdict(list)
        for key in keys:
            self._account_keys[key.account_id].append(key)
        for login in logins:
            self._account_logins[login.account_id].append(login)

    def account(self, account_id: int) -> Account | None:
        return self.accounts.get(account_id)

    def by_slug(self, slug: str) -> Account | None:
        return self._by_slug.get(slug)

    def by_key_hash(self, key_hash: str) -> tuple[Account, ApiKey] | None:
        """Revoked keys are found too: look at `revoked_at`, so that their holder reads why."""
        key = self._by_hash.get(key_hash)
        return None if key is None else (self.accounts[key.account_id], key)

    def key(self, account_id: int, key_id: int) -> ApiKey | None:
        """None also for a key of another account."""
        key = self._keys.get(key_id)
        return key if key is not None and key.account_id == account_id else None

    def keys(self, account_id: int) -> Sequence[ApiKey]:
        """Revoked ones included, oldest first."""
        return self._account_keys.get(account_id, ())

    def login(self, system_id: str) -> SmppLogin | None:
        return self._by_system_id.get(system_id)

    def login_by_id(self, login_id: int) -> SmppLogin | None:
        return self._logins.get(login_id)

    def logins(self, account_id: int) -> Sequence[SmppLogin]:
        return self._account_logins.get(account_id, ())


async def load(store: Store) -> Directory:
    # accounts last: a key or login read before is then never without its account
    keys, logins = await KEYS.load(store), await LOGINS.load(store)
    return Directory(await ACCOUNTS.load(store), keys, logins)


async def start(rt: Runtime) -> None:
    """Read the room's tables and follow them."""
    await rt.snapshots.add(Snapshot(ROOM, load))


def directory(rt: Runtime) -> Directory:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Directory)
    return value


async def latest(rt: Runtime) -> Directory:
    """The directory after one more look at the tables, for whom this process does not know (yet).

    Takes up to a twentieth of a second; the very same directory comes back when nothing has changed.
    """
    await rt.snapshots.latest()
    return directory(rt)
