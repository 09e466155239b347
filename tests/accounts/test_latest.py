"""What another process has made works at once, and knocking with what was never made is cheap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from chappe import accounts, snapshots
from chappe.accounts import Account, BindGuard, create_key, create_login, directory
from chappe.accounts import binds as binds_module
from chappe.runtime import Runtime
from chappe.secrets import hash_key
from tests.accounts.runtime import start
from tests.support.eventually import eventually

PEER = "192.0.2.7"


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen was asked for."""
    monkeypatch.setattr(snapshots, "WATCH_EVERY_S", 60.0)
    monkeypatch.setattr("chappe.accounts.change.TOPIC", "nobody listens")


@pytest.fixture
async def node(rt: Runtime, acme: Account, store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    """Another process on the same store."""
    node = await start(store_url, tmp_path)
    yield node
    await node.close()


async def test_a_key_is_known_at_once(rt: Runtime, node: Runtime, acme: Account) -> None:
    _, secret = await create_key(node, "test", acme.id, name="backend")
    assert directory(rt).by_key_hash(hash_key(secret)) is None
    assert (await accounts.latest(rt)).by_key_hash(hash_key(secret)) is not None


async def test_a_change_tells_the_other_nodes(
    rt: Runtime, node: Runtime, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rt.store.engine == "sqlite":
        pytest.skip("another process hears nothing of it: it watches")
    monkeypatch.setattr("chappe.accounts.change.TOPIC", snapshots.TOPIC)
    _, secret = await create_key(node, "test", acme.id, name="backend")
    await eventually(lambda: directory(rt).by_key_hash(hash_key(secret)) is not None)


async def test_a_login_and_a_new_password_bind_at_once(rt: Runtime, node: Runtime, acme: Account) -> None:
    guard, latest = BindGuard(), partial(accounts.latest, rt)
    login, password = await create_login(node, "test", acme.id, system_id="acme")
    assert await guard.verify(directory(rt), "acme", password, PEER, 0.0, latest)
    await accounts.update_login(node, "test", acme.id, login.id, password="other123")
    assert await guard.verify(directory(rt), "acme", "other123", PEER, 0.0, latest)
    assert (await guard.verify(directory(rt), "acme", password, PEER, 0.0, latest)).reason == "credentials"


async def test_a_peer_that_was_let_in_or_resumed_binds_at_once(rt: Runtime, node: Runtime, acme: Account) -> None:
    guard, latest = BindGuard(), partial(accounts.latest, rt)
    login, password = await create_login(rt, "test", acme.id, system_id="acme", allowed_ips=("198.51.100.1",))
    await node.snapshots.latest()
    await accounts.update_login(node, "test", acme.id, login.id, allowed_ips=(), status="suspended")
    assert (await guard.verify(directory(rt), "acme", password, PEER, 0.0, latest)).reason == "suspended"
    await accounts.update_login(node, "test", acme.id, login.id, status="active")
    assert await guard.verify(directory(rt), "acme", password, PEER, 0.0, latest)


async def test_a_failure_counts_once_however_often_it_is_judged(rt: Runtime, node: Runtime, acme: Account) -> None:
    guard, latest = BindGuard(), partial(accounts.latest, rt)
    await create_login(node, "test", acme.id, system_id="acme")
    assert (await guard.verify(directory(rt), "acme", "wrong", PEER, 0.0, latest)).delay_s == 0.5
    assert (await guard.verify(directory(rt), "acme", "wrong", PEER, 0.5, latest)).delay_s == 1.0
    assert (await guard.verify(directory(rt), "acme", "wrong", PEER, 1.0, latest)).reason == "backoff"


async def test_a_look_gives_a_guesser_no_more_tries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing has been counted yet, no more passwords are looked at than a burst may hold."""
    tried: list[str] = []

    def wrong(_stored: str, password: str) -> bool:
        tried.append(password)
        return False

    monkeypatch.setattr(binds_module, "password_matches", wrong)
    known = accounts.Directory([], [], [])
    held = asyncio.Event()

    async def slow() -> accounts.Directory:
        await held.wait()
        return known

    guard = BindGuard()
    guesses = [
        asyncio.create_task(guard.verify(known, "acme", f"guess{n}", PEER, 0.0, slow))
        for n in range(binds_module.MAX_CHECKING + 40)
    ]
    await eventually(lambda: len(tried) == binds_module.MAX_CHECKING)
    assert (await guard.verify(known, "acme", "guess", PEER, 0.0, slow)).reason == "busy"
    held.set()
    verdicts = await asyncio.gather(*guesses)
    assert [one.reason for one in verdicts].count("busy") == 40
    assert len(tried) == binds_module.MAX_CHECKING


async def test_an_unknown_user_and_a_wrong_password_cost_the_same_work(
    rt: Runtime, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also right after a change elsewhere, when both are judged once more."""
    await create_login(rt, "test", acme.id, system_id="acme")
    hashed: list[str] = []
    real = binds_module.password_matches
    monkeypatch.setattr(binds_module, "password_matches", lambda *a: hashed.append(a[0]) or real(*a))
    guard = BindGuard()

    async def changed() -> accounts.Directory:
        await accounts.update_account(rt, "test", acme.id, name=f"Acme {len(costs)}")
        return directory(rt)

    costs: list[int] = []
    for system_id in ("acme", "nobody"):
        hashed.clear()
        verdict = await guard.verify(directory(rt), system_id, "wrong", f"10.0.0.{len(system_id)}", 0.0, changed)
        assert verdict.reason == "credentials"
        costs.append(len(hashed))
    assert costs == [2, 2]
