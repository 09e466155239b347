"""Who may bind, how long, and what strangers and misbehaving peers get."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from chappe import accounts
from chappe.accounts import LoginDialect
from chappe.runtime import open_runtime
from chappe.smpp import SessionSettings, commands, decode, status
from chappe.smpp.aio import Bind, BindFailed, client_context, connect
from tests.smpp.aio.test_tls import Authority
from tests.smsc.house import PASSWORD, WIDE, Client, House, open_house, until


async def refused(house: House, login: Any, kind: Any = "transceiver", **options: Any) -> int:
    with pytest.raises(BindFailed) as caught:
        await house.client(login, kind, **options)
    return caught.value.status


async def test_each_kind_of_bind_may_do_what_it_is_for(house: House) -> None:
    login = await house.login()
    sender, receiver = await house.client(login, "transmitter"), await house.client(login, "receiver")
    assert (await sender.submit()).command_status == 0
    await until(lambda: receiver.receipts)
    assert sender.delivered == []
    assert {one.bind_type for one in house.smsc.sessions()} == {"transmitter", "receiver"}


async def test_a_version_5_peer_reads_5_and_all_others_3_4(house: House) -> None:
    login = await house.login()
    for said, told in ((0x33, 0x34), (0x34, 0x34), (0x50, 0x50)):
        client = await house.client(login, version=said)
        assert client.conn.interface_version == told or said == 0x33  # 3.3 has no TLV to read it from


async def test_wrong_passwords_and_unknown_names_read_the_same_and_are_made_to_wait(house: House) -> None:
    login = await house.login()
    started = time.monotonic()
    assert await refused(house, login, password="wrong") == status.ESME_RINVPASWD
    assert time.monotonic() - started > 0.4
    stranger = await house.login(system_id="stranger")
    await accounts.delete_login(house.rt, "test", house.account.id, stranger.id)
    assert await refused(house, stranger) == status.ESME_RINVPASWD


async def test_while_it_waits_no_password_is_looked_at_not_even_the_right_one(house: House) -> None:
    login = await house.login()
    wrong = [asyncio.create_task(refused(house, login, password=f"wrong{n}")) for n in range(2)]
    await until(lambda: house.smsc._guard._failures)
    assert await refused(house, login) == status.ESME_RBINDFAIL
    assert set(await asyncio.gather(*wrong)) <= {status.ESME_RINVPASWD, status.ESME_RBINDFAIL}
    await asyncio.sleep(1.0)
    client = await house.client(login)
    assert client.conn.bound


async def test_an_address_outside_the_allow_list_may_not_bind(house: House) -> None:
    login = await house.login(allowed_ips=("192.0.2.0/24",))
    assert await refused(house, login) == status.ESME_RBINDFAIL
    inside = await house.login(allowed_ips=("127.0.0.0/8",))
    assert (await house.client(inside)).conn.bound


async def test_binds_are_limited_for_each_kind(house: House) -> None:
    login = await house.login(max_binds=2)
    first = await house.client(login)
    await house.client(login)
    assert await refused(house, login) == status.ESME_RALYBND
    assert (await house.client(login, "receiver")).conn.bound
    await first.conn.unbind(1)
    await until(lambda: len(list(house.smsc.sessions())) == 2)
    assert (await house.client(login)).conn.bound


async def test_a_rush_of_binds_does_not_get_past_the_limit(house: House) -> None:
    login = await house.login(max_binds=3)
    results = await asyncio.gather(*(house.client(login) for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(one, Client) for one in results) == 3
    assert {one.status for one in results if isinstance(one, BindFailed)} == {status.ESME_RALYBND}


async def test_a_suspended_login_may_not_bind_and_one_that_gets_suspended_is_unbound(house: House) -> None:
    login, other = await house.login(), await house.login()
    client, neighbour = await house.client(login), await house.client(other)
    await accounts.update_login(house.rt, "test", house.account.id, login.id, status="suspended")
    await until(lambda: client.lost)
    assert client.lost == ["unbound by peer"]
    assert await refused(house, login) == status.ESME_RBINDFAIL
    assert (await neighbour.submit()).command_status == 0
    await accounts.update_account(house.rt, "test", house.account.id, status="suspended")
    await until(lambda: neighbour.lost)
    assert await refused(house, other) == status.ESME_RBINDFAIL


async def test_a_deleted_login_is_unbound(house: House) -> None:
    login = await house.login()
    client = await house.client(login)
    await accounts.delete_login(house.rt, "test", house.account.id, login.id)
    await until(lambda: client.lost)


async def test_changes_of_a_login_reach_its_sessions(house: House) -> None:
    login = await house.login()
    client = await house.client(login)
    changed: dict[str, Any] = {"dialect": LoginDialect(default_alphabet="latin1", plus=True), "rate_per_s": 1.0}
    await accounts.update_login(house.rt, "test", house.account.id, login.id, **changed)
    answer = await client.submit("à côté".encode("latin-1"))
    assert (await house.message(answer)).text == "à côté"
    await until(lambda: client.delivered)
    assert client.delivered[0].fields["source_addr"] == "+33612345678"
    assert (await client.submit(b"again")).command_status == status.ESME_RTHROTTLED


async def test_long_passwords_are_for_those_who_may_have_them(house: House) -> None:
    long = "correct-horse-battery-staple"
    login = await house.login(password=long, long_password=True)
    client = await house.client(login, password=long, settings=SessionSettings(long_passwords=True))
    assert client.conn.bound


async def test_customers_bind_over_tls(sqlite_url: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    own = authority.issue("localhost", x509.DNSName("localhost"))
    house = await open_house(sqlite_url, tmp_path, tls_port=0, tls_cert=own, tls_key=own)
    try:
        login = await house.login()
        client = Client()
        bind = Bind("transceiver", login.system_id, PASSWORD)
        tls = client_context(authority.file)
        client.conn = await connect("127.0.0.1", house.ports.tls or 0, bind, client, WIDE, tls, "localhost")
        assert (await client.submit()).command_status == 0
        assert [one.tls for one in house.smsc.sessions()] == [True]
        client.conn.abort()
    finally:
        await house.close()
        await house.operator.stop()


# -- bad manners


async def raw(house: House) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", house.ports.plain)


async def test_garbage_ends_its_own_connection_and_nobody_elses(house: House) -> None:
    neighbour = await house.client(await house.login())
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 64, b"\xff" * 500, b"\0\0\0\x0f" + b"\0" * 11):
        reader, writer = await raw(house)
        writer.write(garbage)
        async with asyncio.timeout(20):
            answer = await reader.read()
        assert decode(answer).command_id == commands.GENERIC_NACK
        writer.close()
    assert (await neighbour.submit()).command_status == 0


async def test_truncated_and_unknown_requests_of_a_customer_get_an_answer_and_the_session_lives(house: House) -> None:
    client = await house.client(await house.login())
    conn = client.conn
    assert conn._transport is not None
    conn._transport.write(bytes.fromhex("00000014 00000004 00000000 00000777 41424344"))  # submit_sm cut short
    conn._transport.write(bytes.fromhex("00000010 00000999 00000000 00000778"))
    assert (await client.submit()).command_status == 0
    assert (await client.ask(commands.BROADCAST_SM)).command_status == status.ESME_RINVCMDID


async def test_a_request_that_the_bind_does_not_allow_reads_so(house: House) -> None:
    receiver = await house.client(await house.login(), "receiver")
    assert receiver.conn._transport is not None
    frames: list[bytes] = []
    receiver.conn.data_received = frames.append  # type: ignore[method-assign, assignment]
    receiver.conn._transport.write(bytes.fromhex("00000010 00000004 00000000 00000009"))
    await until(lambda: frames)
    answer = decode(frames[0])
    assert (answer.command_id, answer.command_status) == (0x80000004, status.ESME_RINVBNDSTS)


async def test_a_flood_before_the_bind_is_cut_off(house: House) -> None:
    reader, writer = await raw(house)
    submit = bytes.fromhex("00000010 00000004 00000000 00000009")
    writer.write(submit * 1000)
    async with asyncio.timeout(20):
        data = await reader.read()
    assert len(data) < 16 * 1000
    writer.close()


async def test_who_does_not_bind_is_sent_away(sqlite_url: str, tmp_path: Path) -> None:
    settings = SessionSettings(session_init_s=0.2)
    house = await open_house(sqlite_url, tmp_path, settings)
    try:
        reader, writer = await raw(house)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
    finally:
        await house.close()
        await house.operator.stop()


async def test_a_slow_reader_is_dropped_and_its_receipts_wait(sqlite_url: str, tmp_path: Path) -> None:
    """It submits and never reads: what we owe it may not pile up without end."""
    settings = SessionSettings(max_write_buffer=64 * 1024, slow_reader_s=0.5, response_timeout_s=30)
    house = await open_house(sqlite_url, tmp_path, settings)
    try:
        login, other = await house.login(window_size=10_000), await house.login()
        slow, neighbour = await house.client(login), await house.client(other)
        transport: Any = slow.conn._transport
        transport.pause_reading()
        ping = bytes.fromhex("00000010 00000015 00000000 00000001")
        async with asyncio.timeout(20):
            while any(one.system_id == login.system_id for one in house.smsc.sessions()):
                transport.write(ping * 5_000)
                await asyncio.sleep(0.01)
        assert (await neighbour.submit()).command_status == 0
        slow.conn.abort()
        neighbour.conn.abort()
    finally:
        await house.close()
        await house.operator.stop()


async def test_a_login_of_another_process_binds_at_once(any_house: House) -> None:
    node = await open_runtime(any_house.rt.settings)
    await accounts.start(node)
    try:
        for turn in range(5):
            login, password = await accounts.create_login(
                node, "test", any_house.account.id, system_id=f"fresh{turn}", password=PASSWORD
            )
            assert (await any_house.client(login, password=password)).conn.bound
    finally:
        await node.close()
