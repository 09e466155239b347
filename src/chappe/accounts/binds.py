"""Who may bind: the password of an SMPP login, its allow-list, and a back-off that makes guessing slow.

A right password costs argon2 once; then a keyed hash of it is remembered, so that 200 binds after a restart do not
burn the processor. Unknown users cost what wrong passwords cost and read the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from chappe.accounts.directory import Directory
from chappe.accounts.model import Account, SmppLogin, may_connect
from chappe.accounts.passwords import NOBODY, password_matches

Reason = Literal["ok", "credentials", "address", "suspended", "backoff", "busy"]

REMEMBERED = 1_000  # passwords that were right
WATCHED = 10_000  # (system_id, ip) pairs with failures; the longest unseen is forgotten first
FORGIVEN_AFTER_S = 900.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
FREE_PER_IP = 10  # failures of one address over all its system_ids before it has to wait as well
MAX_CHECKING = 64  # binds whose password is being looked at
_MAY_BE_OLD = frozenset({"credentials", "address", "suspended"})  # what a newer directory may see otherwise


@dataclass(frozen=True, slots=True)
class Verdict:
    """`login` and `account` are set if the bind is allowed. The answer must wait `delay_s` in any case."""

    reason: Reason
    login: SmppLogin | None = None
    account: Account | None = None
    delay_s: float = 0.0

    def __bool__(self) -> bool:
        return self.reason == "ok"


@dataclass(slots=True)
class _Failures:
    count: int
    until: float  # no password is looked at before
    last: float


class BindGuard:
    """One for an SMPP server. `now` is a monotonic time in seconds."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="argon2")
        self._checking = 0

    async def verify(
        self,
        directory: Directory,
        system_id: str,
        password: str,
        ip: str,
        now: float,
        latest: Callable[[], Awaitable[Directory]] | None = None,
    ) -> Verdict:
        """Whether this peer may bind as `system_id`. Never raises for what a stranger sends.

        Before it refuses it asks `latest` for a directory that is not half a second old, and judges by that.
        """
        wait = max(self._wait((system_id, ip), now), self._wait(("", ip), now))
        if wait > 0:
            return Verdict("backoff", delay_s=min(wait, LONGEST_DELAY_S))
        if self._checking >= MAX_CHECKING and not self._is_remembered(directory.login(system_id), password):
            return Verdict("busy")
        self._checking += 1  # until the failure counts: the look gives a guesser no more tries at once
        try:
            verdict = await self._judge(directory, system_id, password, ip)
            if latest is not None and verdict.reason in _MAY_BE_OLD:
                newer = await latest()
                if newer is not directory:
                    verdict = await self._judge(newer, system_id, password, ip)
        finally:
            self._checking -= 1
        if verdict.reason in ("credentials", "address"):
            return Verdict(verdict.reason, delay_s=self._fail(system_id, ip, now))
        self._failures.pop((system_id, ip), None)
        return verdict

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _judge(self, directory: Directory, system_id: str, password: str, ip: str) -> Verdict:
        """By one directory; nothing is counted yet."""
        login = directory.login(system_id)
        matches = await self._matches(login, password)
        if login is None or not matches:
            return Verdict("credentials")
        if not may_connect(login, ip):
            return Verdict("address")
        account = directory.account(login.account_id)
        if account is None or not account.active or login.status != "active":
            return Verdict("suspended")
        return Verdict("ok", login, account)

    async def _matches(self, login: SmppLogin | None, password: str) -> bool:
        mark = self._mark(login, password)
        if mark in self._right:
            self._right.move_to_end(mark)
            return True
        stored = login.password_hash if login else NOBODY
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._thread, password_matches, stored, password)
        if matches and login:
            self._right[mark] = None
            if len(self._right) > REMEMBERED:
                self._right.popitem(last=False)
        return matches

    def _is_remembered(self, login: SmppLogin | None, password: str) -> bool:
        return self._mark(login, password) in self._right

    def _mark(self, login: SmppLogin | None, password: str) -> bytes:
        stored = login.password_hash if login else NOBODY
        return hmac.digest(self._secret, f"{stored}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _wait(self, who: tuple[str, str], now: float) -> float:
        failures = self._failures.get(who)
        return 0.0 if failures is None else failures.until - now

    def _fail(self, system_id: str, ip: str, now: float) -> float:
        return max(self._count((system_id, ip), 0, now), self._count(("", ip), FREE_PER_IP, now))

    def _count(self, who: tuple[str, str], free: int, now: float) -> float:
        known = self._failures.pop(who, None)
        count = 1 if known is None or now - known.last > FORGIVEN_AFTER_S else known.count + 1
        over = count - free
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(over - 1, 10)) if over > 0 else 0.0
        self._failures[who] = _Failures(count, now + delay, now)
        if len(self._failures) > WATCHED:
            self._failures.popitem(last=False)
        return delay
