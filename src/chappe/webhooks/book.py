"""All endpoints in memory, with the keys that sign for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hmac import HMAC
from typing import TYPE_CHECKING, cast

import structlog

from chappe.accounts import snapshot
from chappe.secrets import Vault
from chappe.snapshots import Snapshot
from chappe.storage import Store
from chappe.webhooks.model import EVENT_TYPES, CallbackSecret, Endpoint, EventType
from chappe.webhooks.signature import key_of, prepared
from chappe.webhooks.store import CALLBACK_SECRETS, ENDPOINTS, ROOM

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_log = structlog.get_logger("webhooks")


class Keys:
    """The keys of one endpoint: the secret, and while it is being replaced the one before."""

    __slots__ = ("_both", "_now", "_until")

    def __init__(self, holder: Endpoint | CallbackSecret, vault: Vault) -> None:
        """Raises ValueError when the secret key is another one than at sealing."""
        self._now = [prepared(key_of(vault.decrypt(holder.secret)))]
        previous = () if holder.previous_secret is None else (holder.previous_secret,)
        self._both = self._now + [prepared(key_of(vault.decrypt(secret))) for secret in previous]
        self._until = holder.previous_until or 0

    def at(self, now: int) -> Sequence[HMAC]:
        """The keys that sign at this moment, ready for `signature`."""
        return self._both if now < self._until else self._now


class Book:
    """One consistent version; every look-up is a dict access."""

    def __init__(self, endpoints: Iterable[Endpoint], callbacks: Iterable[CallbackSecret], vault: Vault) -> None:
        self.endpoints = {endpoint.id: endpoint for endpoint in endpoints}
        self.callbacks = {secret.id: secret for secret in callbacks}
        self._accounts: defaultdict[int, list[Endpoint]] = defaultdict(list)
        self._wanting: defaultdict[tuple[int, EventType, bool], list[Endpoint]] = defaultdict(list)
        self._keys: dict[int, Keys] = {}
        self._callback_keys: dict[int, Keys] = {}
        for endpoint in self.endpoints.values():
            self._accounts[endpoint.account_id].append(endpoint)
            for kind in EVENT_TYPES:
                for test in (False, True):
                    if endpoint.wants(kind, test):
                        self._wanting[endpoint.account_id, kind, test].append(endpoint)
            _open(self._keys, endpoint, vault)
        for secret in self.callbacks.values():
            _open(self._callback_keys, secret, vault)

    def of(self, account_id: int) -> Sequence[Endpoint]:
        return self._accounts.get(account_id, ())

    def get(self, account_id: int, endpoint_id: int) -> Endpoint | None:
        """None also for an endpoint of another account."""
        endpoint = self.endpoints.get(endpoint_id)
        return endpoint if endpoint is not None and endpoint.account_id == account_id else None

    def wanting(self, account_id: int, kind: EventType, test: bool) -> Sequence[Endpoint]:
        """The endpoints that such an event is kept for, paused ones too."""
        return self._wanting.get((account_id, kind, test), ())

    def keys(self, account_id: int, endpoint_id: int) -> Keys | None:
        """None where nothing can be signed: an unknown endpoint, or a secret that this secret_key does not open."""
        return self._keys.get(endpoint_id) if endpoint_id else self._callback_keys.get(account_id)


def _open(keys: dict[int, Keys], holder: Endpoint | CallbackSecret, vault: Vault) -> None:
    """One lost secret stops nobody else's webhooks."""
    try:
        keys[holder.id] = Keys(holder, vault)
    except ValueError as error:
        _log.error("a webhook secret cannot be opened", id=holder.id, reason=str(error))


async def load(rt: Runtime) -> Snapshot[Book]:
    """Read the room's tables and follow them; once for a process, whoever asks."""

    async def read(store: Store) -> Book:
        return Book(await ENDPOINTS.load(store), await CALLBACK_SECRETS.load(store), rt.vault)

    try:
        return cast("Snapshot[Book]", snapshot(rt, ROOM))
    except KeyError:
        return await rt.snapshots.add(Snapshot(ROOM, read))


def book(rt: Runtime) -> Book:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Book)
    return value
