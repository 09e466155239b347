from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chappe.accounts import audit_entries
from chappe.channels.settings import SmppSettings
from chappe.connectors import CONNECTORS, SmppCredentials, book, create_connector, delete_connector, update_connector
from chappe.errors import Refused
from chappe.runtime import Runtime
from tests.accounts.runtime import start

HOST = {"host": "smpp.example.net"}
CREDENTIALS = {"system_id": "chappe", "password": "hunter2!"}


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def test_a_connector_comes_back_with_its_credentials_on_every_node(
    rt: Runtime, store_url: str, tmp_path: Path
) -> None:
    settings = HOST | {
        "port": 3550,
        "tls": {},
        "binds": 3,
        "rate_per_s": 50,
        "source": {"plus": True, "prefixes": [{"prefix": "33", "replace": "0"}], "ton": 1},
        "status_map": {"0x0401": {"verdict": "throttle"}, "1026": {"verdict": "permanent", "code": "barred"}},
        "tlvs": [{"tag": "0x1400", "text": "1234", "nul": True}],
        "receipt": {"id_mode": "both_hex", "err_map": {"0a1": "absent_subscriber"}},
        "in_doubt": {"otp": "resend"},
    }
    made = await create_connector(rt, "test", name="orange", settings=settings, credentials=CREDENTIALS)
    node = await start(store_url, tmp_path)
    assert book(node).by_name("orange") == book(rt).get(made.id) == made
    assert made.credentials == SmppCredentials("chappe", "hunter2!")
    assert made.settings.status_rule(0x401).verdict == "throttle"  # type: ignore[union-attr]
    assert made.settings.status_rule(0x402).code == "barred"  # type: ignore[union-attr]
    assert made.settings.status_rule(0x403) is None
    assert made.settings.tlvs[0].value == b"1234\0"
    await node.close()


async def test_the_password_is_nowhere_in_clear(rt: Runtime, store_url: str) -> None:
    made = await create_connector(rt, "test", name="orange", settings=HOST, credentials=CREDENTIALS)
    await update_connector(rt, "test", made.id, credentials=CREDENTIALS | {"password": "hunter3!"})
    rows = repr(await CONNECTORS.load(rt.store))
    told = repr(await audit_entries(rt)) + repr(made) + str(made.credentials) + rows
    assert "hunter" not in told and "chappe" in repr(made.credentials)
    assert book(rt).by_name("orange").credentials.password == "hunter3!"  # type: ignore[union-attr]
    if store_url.startswith("sqlite"):
        folder = Path(store_url.removeprefix("sqlite:///")).parent
        assert not any(b"hunter" in path.read_bytes() for path in folder.glob("chappe.db*"))


async def test_a_lost_secret_key_closes_only_what_it_sealed(rt: Runtime, store_url: str, tmp_path: Path) -> None:
    await create_connector(rt, "test", name="old", settings=HOST, credentials=CREDENTIALS)
    node = await start(store_url, tmp_path, secret_key="another")
    assert book(node).by_name("old") is None and "secret_key" in book(node).sealed["old"]
    made = await create_connector(node, "test", name="new", settings=HOST, credentials=CREDENTIALS)
    assert book(node).get(made.id) == made
    old = next(stored for stored in book(node).stored.values() if stored.name == "old")
    await update_connector(node, "test", old.id, credentials=CREDENTIALS)
    assert book(node).by_name("old") is not None and not book(node).sealed
    await node.close()


async def test_an_update_changes_what_is_given(rt: Runtime) -> None:
    made = await create_connector(
        rt, "test", name="orange", settings=HOST | {"port": 3000, "binds": 2}, credentials=CREDENTIALS
    )
    after = await update_connector(rt, "key_1", made.id, status="stopped", settings={"port": 4000})
    assert (after.status, after.settings.port, after.settings.binds) == ("stopped", 4000, 2)
    assert after.credentials == made.credentials and not after.active
    [entry, _] = await audit_entries(rt)
    assert entry.before is not None and entry.before["settings"]["port"] == 3000
    assert entry.after is not None and entry.after["status"] == "stopped"


async def test_a_connector_in_use_stays(rt: Runtime) -> None:
    made = await create_connector(rt, "test", name="orange", settings=HOST, credentials=CREDENTIALS)
    assert (await refused(delete_connector(rt, "test", made.id, ["route fr"]))).code == "in_use"
    await delete_connector(rt, "test", made.id)
    assert len(book(rt)) == 0
    assert (await refused(delete_connector(rt, "test", made.id))).code == "not_found"
    assert (await refused(update_connector(rt, "test", made.id, status="active"))).code == "not_found"


BAD_CONNECTORS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "a b"}, "invalid_value", "name"),
    ({"name": "taken"}, "duplicate_name", "name"),
    ({"channel": "pigeon"}, "invalid_value", "channel"),
    ({"status": "paused"}, "invalid_value", "status"),
    ({"settings": {}}, "missing_field", "settings.host"),
    ({"settings": HOST | {"prot": 1}}, "unknown_field", "settings.prot"),
    ({"settings": HOST | {"port": "2775"}}, "invalid_type", "settings.port"),
    ({"settings": HOST | {"port": 0}}, "invalid_value", "settings.port"),
    ({"settings": HOST | {"source": {"ton": 300}}}, "invalid_value", "settings.source.ton"),
    ({"settings": HOST | {"receipt": {"err_map": {"1": "nope"}}}}, "invalid_value", "settings.receipt"),
    ({"settings": HOST | {"tlvs": [{"tag": "0x1", "hex": "0"}]}}, "invalid_value", "settings.tlvs[0].hex"),
    ({"settings": HOST | {"tlvs": [{"tag": "0x10000", "hex": ""}]}}, "invalid_value", "settings.tlvs[0]"),
    ({"settings": HOST | {"encodings": []}}, "invalid_value", "settings"),
    ({"settings": HOST | {"reconnect_min_s": 100}}, "invalid_value", "settings"),
    ({"settings": HOST | {"tls": {"cert_file": "a.pem"}}}, "invalid_value", "settings.tls"),
    ({"credentials": {"password": "x"}}, "missing_field", "credentials.system_id"),
]


async def test_what_is_wrong_is_named(rt: Runtime) -> None:
    await create_connector(rt, "test", name="taken", settings=HOST, credentials=CREDENTIALS)
    for fields, code, param in BAD_CONNECTORS:
        values: dict[str, Any] = {"name": "ok", "settings": HOST, "credentials": CREDENTIALS} | fields
        error = await refused(create_connector(rt, "test", **values))
        assert (error.code, error.param) == (code, param)
        assert len(book(rt)) == 1


async def test_nodes_follow_each_other(rt: Runtime, store_url: str, tmp_path: Path) -> None:
    node = await start(store_url, tmp_path)
    await create_connector(rt, "test", name="orange", settings=HOST, credentials=CREDENTIALS)
    async with asyncio.timeout(20):
        while book(node).by_name("orange") is None:
            await asyncio.sleep(0.05)
    await node.close()


def test_defaults_are_left_out_and_come_back() -> None:
    plain = {"host": "h", "rate_per_s": 5.0, "breaker": {"failures": 3}}
    settings = msgspec.convert(plain, SmppSettings)
    assert msgspec.to_builtins(settings) == plain
