from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chappe import accounts
from chappe.accounts import (
    ACCOUNTS,
    KEYS,
    Account,
    AccountSettings,
    Change,
    audit_entries,
    create_account,
    create_key,
    create_login,
    delete_login,
    directory,
    revoke_key,
    update_account,
    update_login,
)
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.secrets import hash_key
from tests.accounts.runtime import start


async def refused(work: object) -> Refused:
    with pytest.raises(Refused) as caught:
        await work  # type: ignore[misc]
    return caught.value


async def test_what_was_written_is_read_back_field_by_field(rt: Runtime, store_url: str, tmp_path: Path) -> None:
    settings = AccountSettings(any_sender=True, rate_per_s=2.5)
    account = await create_account(rt, "test", slug="big", name="Big", default_sender="Big", settings=settings)
    key, _ = await create_key(rt, "test", account.id, name="a", mode="test", scopes=["admin"])
    login, _ = await create_login(
        rt, "test", account.id, system_id="big", allowed_ips=("10.0.0.0/8",), rate_per_s=5.0, long_password=True
    )
    node = await start(store_url, tmp_path)
    assert directory(node).account(account.id) == account
    assert directory(node).by_key_hash(key.hash) == (account, key)
    assert directory(node).login("big") == login
    await node.close()


async def test_a_key_opens_its_account_and_only_its_hash_is_stored(rt: Runtime, acme: Account) -> None:
    key, secret = await create_key(rt, "test", acme.id, name="backend")
    assert secret.startswith("ck_live_") and secret.endswith(key.last4 or "?")
    assert directory(rt).by_key_hash(hash_key(secret)) == (acme, key)
    assert directory(rt).by_key_hash(hash_key(secret + "x")) is None
    assert secret not in repr(directory(rt).by_key_hash(key.hash))


async def test_a_revoked_key_is_still_known_as_revoked(rt: Runtime, acme: Account) -> None:
    key, _ = await create_key(rt, "test", acme.id, name="backend")
    revoked = await revoke_key(rt, "test", acme.id, key.id)
    assert revoked.revoked_at is not None
    assert directory(rt).by_key_hash(key.hash) == (acme, revoked)
    assert await revoke_key(rt, "test", acme.id, key.id) == revoked
    again, _ = await create_key(rt, "test", acme.id, name="backend")  # its name is free again
    assert again.id != key.id


async def test_another_accounts_things_are_not_found(rt: Runtime, acme: Account, other: Account) -> None:
    key, _ = await create_key(rt, "test", acme.id, name="backend")
    login, _ = await create_login(rt, "test", acme.id, system_id="acme")
    assert directory(rt).key(other.id, key.id) is None
    for work in (
        revoke_key(rt, "test", other.id, key.id),
        update_login(rt, "test", other.id, login.id, max_binds=9),
        delete_login(rt, "test", other.id, login.id),
    ):
        error = await refused(work)
        assert (error.code, error.status) == ("not_found", 404)
    assert list(directory(rt).keys(acme.id)) == [key]
    assert list(directory(rt).logins(acme.id)) == [login]


async def test_a_key_grants_no_more_than_it_has(rt: Runtime, acme: Account) -> None:
    small, _ = await create_key(rt, "test", acme.id, name="small", scopes=["keys", "messages:send"])
    error = await refused(create_key(rt, "k", acme.id, name="x", scopes=["messages:send", "admin"], granted_by=small))
    assert (error.code, error.param) == ("scope_missing", "scopes")
    test, _ = await create_key(rt, "test", acme.id, name="test", scopes=["admin"], mode="test")
    assert (await refused(create_key(rt, "k", acme.id, name="y", granted_by=test))).param == "mode"
    admin, _ = await create_key(rt, "test", acme.id, name="admin", scopes=["admin"])
    made, _ = await create_key(rt, "k", acme.id, name="z", scopes=["connectors"], granted_by=admin)
    assert made.may("connectors") and not made.may("routes") and admin.may("routes")


BAD_ACCOUNTS: list[tuple[dict[str, Any], str]] = [
    ({"slug": "A B"}, "slug"),
    ({"name": ""}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"default_sender": ""}, "default_sender"),
    ({"settings": AccountSettings(rate_per_s=-1)}, "settings.rate_per_s"),
]


async def test_a_bad_field_is_named(rt: Runtime) -> None:
    for fields, param in BAD_ACCOUNTS:
        values = {"slug": "ok", "name": "Ok"} | fields
        error = await refused(create_account(rt, "test", **values))  # type: ignore[arg-type]
        assert (error.code, error.param) == ("invalid_value", param)
        assert len(directory(rt).accounts) == 0


async def test_names_are_taken_once(rt: Runtime, acme: Account, other: Account) -> None:
    await create_login(rt, "test", acme.id, system_id="same")
    await create_key(rt, "test", acme.id, name="same")
    assert (await refused(create_account(rt, "test", slug="acme", name="Again"))).code == "duplicate_name"
    assert (await refused(create_login(rt, "test", other.id, system_id="same"))).param == "system_id"
    assert (await refused(create_key(rt, "test", acme.id, name="same"))).status == 409
    await create_key(rt, "test", other.id, name="same")  # of another account


async def test_two_nodes_creating_the_same_name_leave_one(rt: Runtime, store_url: str, tmp_path: Path) -> None:
    node = await start(store_url, tmp_path)
    await create_account(rt, "test", slug="acme", name="One")
    error = await refused(create_account(node, "test", slug="acme", name="Two"))  # it has not heard of the first yet
    assert error.code == "conflict"
    await node.snapshots.check()
    assert [account.name for account in directory(node).accounts.values()] == ["One"]
    await node.close()


async def test_every_change_leaves_an_audit_entry_without_secrets(rt: Runtime, acme: Account) -> None:
    key, secret = await create_key(rt, "key_1", acme.id, name="backend")
    login, password = await create_login(rt, "key_1", acme.id, system_id="acme")
    await update_login(rt, "key_2", acme.id, login.id, max_binds=7, password="other123")
    await update_account(rt, "cli:root", acme.id, status="suspended")
    await revoke_key(rt, "key_1", acme.id, key.id)
    await delete_login(rt, "key_1", acme.id, login.id)
    entries = (await audit_entries(rt, acme.id))[::-1]
    assert [(entry.actor, entry.action, entry.kind) for entry in entries] == [
        ("test", "create", "account"),
        ("key_1", "create", "api_key"),
        ("key_1", "create", "smpp_login"),
        ("key_2", "update", "smpp_login"),
        ("cli:root", "update", "account"),
        ("key_1", "revoke", "api_key"),
        ("key_1", "delete", "smpp_login"),
    ]
    assert entries[3].before == {"max_binds": 4, "password_hash": "***"}
    assert entries[3].after == {"max_binds": 7, "password_hash": "***"}
    assert entries[4].after == {"status": "suspended"}
    assert entries[1].object == KEYS.public(key.id)
    told = repr(entries)
    assert not any(text in told for text in (secret, key.hash, password, "other123", "argon2"))
    assert [e.action for e in await audit_entries(rt, acme.id, limit=2)] == ["delete", "revoke"]
    assert len(await audit_entries(rt, acme.id, before_id=entries[2].id)) == 2


async def test_a_failed_change_leaves_neither_rows_nor_audit(rt: Runtime, acme: Account) -> None:
    change = Change(rt, "test")
    fine = Account(
        id=5, slug="fine", name="Fine", status="active", default_sender=None, settings=AccountSettings(), created_at=1
    )
    twin = Account(
        id=6, slug="acme", name="Twin", status="active", default_sender=None, settings=AccountSettings(), created_at=1
    )
    change.create(ACCOUNTS, fine)
    change.create(ACCOUNTS, twin)
    assert (await refused(change.commit())).code == "conflict"
    assert [account.slug for account in await ACCOUNTS.load(rt.store)] == ["acme"]
    assert len(await audit_entries(rt)) == 1


async def test_updating_to_the_same_writes_nothing(rt: Runtime, acme: Account) -> None:
    await update_account(rt, "test", acme.id, name="Acme")
    assert len(await audit_entries(rt)) == 1


async def test_another_node_hears_of_a_change(rt: Runtime, store_url: str, tmp_path: Path) -> None:
    node = await start(store_url, tmp_path)
    account = await create_account(rt, "test", slug="late", name="Late")
    async with asyncio.timeout(20):
        while directory(node).account(account.id) is None:
            await asyncio.sleep(0.05)
    await node.close()


BAD_LOGINS: list[tuple[dict[str, Any], str]] = [
    ({"password": "too long!"}, "password"),
    ({"password": ""}, "password"),
    ({"password": "pässword"}, "password"),
    ({"system_id": "sixteen_letters_"}, "system_id"),
    ({"system_id": ""}, "system_id"),
    ({"allowed_ips": ("10.0.0.1", "nowhere")}, "allowed_ips[1]"),
    ({"max_binds": 0}, "max_binds"),
    ({"purpose": "spam"}, "purpose"),
]


async def test_a_bad_login_names_its_field(rt: Runtime, acme: Account) -> None:
    for fields, param in BAD_LOGINS:
        values = {"system_id": "ok"} | fields
        error = await refused(create_login(rt, "test", acme.id, **values))  # type: ignore[arg-type]
        assert (error.code, error.param) == ("invalid_value", param)


async def test_a_long_password_needs_the_logins_leave(rt: Runtime, acme: Account) -> None:
    login, password = await create_login(
        rt, "test", acme.id, system_id="long", long_password=True, password="a much longer one".replace(" ", "_")
    )
    assert len(password) == 17 and accounts.password_matches(login.password_hash, password)
    made, password = await create_login(rt, "test", acme.id, system_id="made")
    assert len(password) == 8 and accounts.password_matches(made.password_hash, password)
