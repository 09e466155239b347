from __future__ import annotations

import asyncio
import time

import pytest

from chappe.accounts import Account, AccountSettings, BindGuard, Directory, LoginDialect, SmppLogin, hash_password
from chappe.accounts import binds as binds_module
from chappe.accounts.model import may_connect

ACCOUNT = Account(1, "acme", "Acme", "active", None, AccountSettings(), 0)
HASH = hash_password("secret")
PEER = "192.0.2.7"


def login(**fields: object) -> SmppLogin:
    values: dict[str, object] = {
        "id": 2,
        "account_id": 1,
        "system_id": "acme",
        "password_hash": HASH,
        "mode": "live",
        "status": "active",
        "purpose": "transactional",
        "allowed_ips": (),
        "max_binds": 4,
        "rate_per_s": None,
        "window_size": 10,
        "long_password": False,
        "dialect": LoginDialect(),
        "created_at": 0,
    }
    return SmppLogin(**(values | fields))  # type: ignore[arg-type]


def directory(account: Account = ACCOUNT, **fields: object) -> Directory:
    return Directory([account], [], [login(**fields)])


async def test_the_right_password_binds() -> None:
    verdict = await BindGuard().verify(directory(), "acme", "secret", PEER, 0.0)
    assert verdict and verdict.account is ACCOUNT and verdict.login == login() and verdict.delay_s == 0


async def test_unknown_user_and_wrong_password_look_alike() -> None:
    unknown = await BindGuard().verify(directory(), "nobody", "secret", PEER, 0.0)
    wrong = await BindGuard().verify(directory(), "acme", "wrong", PEER, 0.0)
    assert unknown == wrong and not unknown and unknown.reason == "credentials" and unknown.delay_s > 0


async def test_an_unknown_user_costs_what_a_wrong_password_costs() -> None:
    guard = BindGuard()

    async def cost(system_id: str) -> float:
        times = []
        for attempt in range(5):
            start = time.perf_counter()
            await guard.verify(directory(), system_id, f"wrong{attempt}", f"10.0.{attempt}.{len(system_id)}", 0.0)
            times.append(time.perf_counter() - start)
        return min(times)

    unknown, wrong = await cost("nobody"), await cost("acme")
    assert 0.4 < unknown / wrong < 2.5


async def test_two_hundred_binds_cost_one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    real = binds_module.password_matches
    monkeypatch.setattr(binds_module, "password_matches", lambda *a: hashed.append(a) or real(*a))
    guard = BindGuard()
    known = directory()
    for _ in range(200):
        assert await guard.verify(known, "acme", "secret", PEER, 0.0)
    assert len(hashed) == 1
    changed = directory(password_hash=hash_password("changed"))
    assert not await guard.verify(changed, "acme", "secret", PEER, 0.0)  # what was right once is forgotten


async def test_failures_are_delayed_ever_longer_and_forgiven() -> None:
    guard = BindGuard()
    known = directory()
    now, delays = 0.0, []
    for _ in range(9):
        verdict = await guard.verify(known, "acme", "wrong", PEER, now)
        delays.append(verdict.delay_s)
        now += verdict.delay_s
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0] and delays[-1] == binds_module.LONGEST_DELAY_S
    early = await guard.verify(known, "acme", "secret", PEER, now - 1.0)
    assert early.reason == "backoff" and early.delay_s == pytest.approx(1.0)
    assert await guard.verify(known, "acme", "secret", PEER, now)
    assert (await guard.verify(known, "acme", "wrong", PEER, now)).delay_s == 0.5  # success has cleared the count


async def test_one_peer_does_not_lock_out_another() -> None:
    guard = BindGuard()
    for attempt in range(4):
        await guard.verify(directory(), "acme", "wrong", PEER, attempt * 60.0)
    assert await guard.verify(directory(), "acme", "secret", "198.51.100.1", 180.0)


async def test_an_address_that_tries_many_names_has_to_wait() -> None:
    guard = BindGuard()
    for number in range(binds_module.FREE_PER_IP + 1):
        await guard.verify(directory(), f"user{number}", "x", PEER, 0.0)
    assert (await guard.verify(directory(), "acme", "secret", PEER, 0.0)).reason == "backoff"
    assert await guard.verify(directory(), "acme", "secret", PEER, 60.0)


async def test_memory_of_failures_and_successes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binds_module, "WATCHED", 20)
    monkeypatch.setattr(binds_module, "REMEMBERED", 1)
    monkeypatch.setattr(binds_module, "password_matches", lambda stored, password: password == "secret")
    guard = BindGuard()
    for number in range(200):
        await guard.verify(directory(), f"user{number}", "x", f"10.0.0.{number % 250}", 0.0)
    assert len(guard._failures) == 20
    for number in range(3):
        known = directory(password_hash=f"hash{number}")
        assert await guard.verify(known, "acme", "secret", "10.1.1.1", 0.0)
    assert len(guard._right) == 1


async def test_a_flood_of_binds_is_not_queued_without_end() -> None:
    guard = BindGuard()
    flood = [guard.verify(directory(), f"u{n}", "x", f"10.{n}.0.1", 0.0) for n in range(binds_module.MAX_CHECKING + 20)]
    guard._thread.submit(time.sleep, 0.2)
    reasons = [verdict.reason for verdict in await asyncio.gather(*flood)]
    assert reasons.count("busy") == 20


@pytest.mark.parametrize(
    ("account", "fields"),
    [(ACCOUNT, {"status": "suspended"}), (Account(1, "a", "A", "suspended", None, AccountSettings(), 0), {})],
)
async def test_the_suspended_may_not_bind(account: Account, fields: dict[str, object]) -> None:
    guard = BindGuard()
    assert (await guard.verify(directory(account, **fields), "acme", "secret", PEER, 0.0)).reason == "suspended"
    guess = await guard.verify(directory(account, **fields), "acme", "wrong", PEER, 0.0)
    assert guess.reason == "credentials"  # who does not know the password does not learn of it


@pytest.mark.parametrize(
    ("allowed", "peer", "lets_in"),
    [
        ((), "203.0.113.9", True),
        (("192.0.2.0/24",), "192.0.2.7", True),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7/24",), "192.0.2.200", True),
        (("192.0.2.0/24",), "198.51.100.1", False),
        (("192.0.2.0/24",), "::ffff:192.0.2.7", True),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "192.0.2.7", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("nonsense",), "192.0.2.7", False),
        (("nonsense", "192.0.2.7"), "192.0.2.7", True),
        (("0.0.0.0/0",), "not an address", False),
    ],
)
async def test_the_allow_list_fails_closed(allowed: tuple[str, ...], peer: str, lets_in: bool) -> None:
    assert may_connect(login(allowed_ips=allowed), peer) is lets_in
    verdict = await BindGuard().verify(directory(allowed_ips=allowed), "acme", "secret", peer, 0.0)
    assert verdict.reason == ("ok" if lets_in else "address")


async def test_strange_bytes_are_just_wrong() -> None:
    for word in ("", "\0", "\udcff", "x" * 10_000, "ÿ"):
        assert not await BindGuard().verify(directory(), word, word, PEER, 0.0)
