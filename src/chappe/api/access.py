"""Who asks: the API key, what it may do, and how many messages a second its account may hand in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chappe import accounts, ids
from chappe.accounts import OPERATOR_SCOPES, Account, ApiKey, Directory
from chappe.errors import Refused
from chappe.secrets import hash_key

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_BUCKETS = 10_000


@dataclass(slots=True, frozen=True)
class Caller:
    """An account and the key that speaks for it."""

    account: Account
    key: ApiKey

    @property
    def actor(self) -> str:
        """As the audit log names it."""
        return ids.public("key", self.key.id)

    def need(self, scope: str) -> None:
        """Raises Refused scope_missing."""
        if not self.key.may(scope):
            raise Refused("scope_missing", f"The API key lacks the scope {scope}.")

    def need_live(self, what: str) -> None:
        """A test key must not reach what live traffic depends on."""
        if self.key.test:
            raise Refused("scope_missing", f"A test key cannot change {what}.", action="Use a live key.")


class Gate:
    """Reads `Authorization: Bearer ck_...`; the look-up of a known key is a dict access."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float]) -> None:
        self._rt = rt
        self._monotonic = monotonic
        self._buckets: dict[int, Bucket] = {}

    async def caller(self, authorization: bytes) -> Caller:
        """Raises Refused: unauthenticated, key_revoked, account_suspended. Malformed and unknown keys read the same."""
        key_hash = _hash(authorization)
        directory = accounts.directory(self._rt)
        try:
            return _admit(directory, key_hash)
        except Refused:
            newer = await accounts.latest(self._rt)  # another process may have made the key a moment ago
            if newer is directory:
                raise
            return _admit(newer, key_hash)

    def known(self, authorization: bytes) -> Caller | None:
        """The caller of a key that is in order, by what is in memory; None for any other."""
        try:
            return _admit(accounts.directory(self._rt), _hash(authorization))
        except Refused:
            return None

    def spend(self, account: Account, messages: int) -> None:
        """Count messages against the account's rate; raises Refused rate_limited."""
        rate = account.settings.rate_per_s
        if rate is None:
            return
        bucket = self._buckets.get(account.id)
        if bucket is None or bucket.rate != rate:
            if len(self._buckets) >= _BUCKETS:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[account.id] = Bucket(rate, self._monotonic())
        wait = bucket.take(messages, self._monotonic())
        if wait > 0:
            raise Refused("rate_limited", f"The account may send {rate:g} messages a second.", retry_after=wait)


def _hash(authorization: bytes) -> str:
    kind, _, token = authorization.partition(b" ")
    if kind.lower() != b"bearer":
        raise Refused("unauthenticated")
    return hash_key(token.strip().decode("latin-1"))


def _admit(directory: Directory, key_hash: str) -> Caller:
    found = directory.by_key_hash(key_hash)
    if found is None:
        raise Refused("unauthenticated")
    account, key = found
    if key.revoked_at is not None:
        raise Refused("key_revoked")
    if not account.active:
        raise Refused("account_suspended")
    return Caller(account, key)


class Bucket:
    """A second's worth of messages may come at once. A batch is let in whole and paid for afterwards."""

    __slots__ = ("_left", "_seen", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._left = max(rate, 1.0)
        self._seen = now

    def take(self, count: int, now: float) -> float:
        """0 when they may pass, else the seconds to wait."""
        self._left = min(max(self.rate, 1.0), self._left + (now - self._seen) * self.rate)
        self._seen = now
        if self._left < 1.0:
            return (1.0 - self._left) / self.rate
        self._left -= count
        return 0.0


def is_operator(scope: str | None) -> bool:
    return scope in OPERATOR_SCOPES
