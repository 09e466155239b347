"""Receipts and messages from phones, on their way to customers: kept until they are acknowledged."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chappe import ids, smsc, text
from chappe.accounts import LoginDialect
from chappe.errors import Refused
from chappe.runtime import open_runtime
from chappe.smpp import MessageState, Pdu, SessionSettings, SmeAddress, commands, receipt, status, tlv
from chappe.smsc import Kind, keep
from chappe.storage import sql
from tests.smsc.house import NUMBER, PHONE, Client, House, open_house, submit_fields, until

HURRY = sql("update smsc_deliveries set due_at = 0 where due_at is not null")
DUE_AGAIN = sql("update smsc_deliveries set due_at = 0, error = null where tries < 12")


async def rows(house: House, count: int) -> list[tuple[Any, ...]]:
    """The queue, once it has so many rows."""
    async with asyncio.timeout(20):
        while len(found := await house.queued()) != count:
            await asyncio.sleep(0.01)
    return found


async def many(client: Any, count: int) -> list[str]:
    """Submit that many; their ids."""
    asked = [
        client.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"%d" % n, destination_addr=f"3361234{n:04d}")))
        for n in range(count)
    ]
    answers = await asyncio.gather(*asked)
    assert {answer.command_status for answer in answers} == {0}
    return [answer.fields["message_id"] for answer in answers]


# -- waiting and coming back


async def test_receipts_wait_while_the_customer_is_away_and_come_when_it_is_back(any_house: House) -> None:
    house = any_house
    login = await house.login()
    sender = await house.client(login, "transmitter")
    ids = await many(sender, 20)
    await rows(house, 20)
    assert [(one.waiting, one.aside) for one in await smsc.waiting(house.rt, house.account.id)] == [(20, 0)]
    receiver = await house.client(login, "receiver")
    await until(lambda: len(receiver.receipts) == 20)
    assert {one.id for one in receiver.receipts} == set(ids)
    await rows(house, 0)
    assert await smsc.waiting(house.rt, house.account.id) == []


async def test_what_is_not_acknowledged_comes_again(sqlite_url: str, tmp_path: Path) -> None:
    settings = SessionSettings(response_timeout_s=0.2)
    house = await open_house(sqlite_url, tmp_path, settings)
    try:
        client = await house.client(await house.login(), verdict=lambda pdu: None)
        await client.submit()
        await until(lambda: client.delivered)
        async with asyncio.timeout(20):
            while not (found := (await house.queued())[0])[3]:
                await asyncio.sleep(0.02)
        assert (found[2], found[3]) == (1, "no answer in time")
        assert found[1] > house.rt.clock.now() + 3_000  # after a while
        client.verdict = lambda pdu: 0
        await house.rt.store.write(HURRY(), wake=("smsc",))
        await until(lambda: len(client.delivered) == 2)
        await rows(house, 0)
        client.conn.abort()
    finally:
        await house.close()
        await house.operator.stop()


async def test_what_a_lost_session_left_unanswered_goes_to_the_next_at_once(house: House) -> None:
    login = await house.login(window_size=5)
    deaf = await house.client(login, verdict=lambda pdu: None)
    sender = await house.client(login, "transmitter")
    ids = [(await sender.submit(b"%d" % n)).fields["message_id"] for n in range(12)]
    await until(lambda: len(deaf.delivered) == 5)
    await rows(house, 12)
    deaf.conn.abort()
    client = await house.client(login)
    await until(lambda: len(client.receipts) == 12)
    assert {one.id for one in client.receipts} == set(ids)
    await rows(house, 0)


async def test_answers_decide_what_becomes_of_a_delivery(house: House) -> None:
    verdicts = {
        f"3361234000{n}": code
        for n, code in enumerate((0, status.ESME_RX_T_APPN, status.ESME_RX_P_APPN, status.ESME_RTHROTTLED))
    }
    client = await house.client(
        await house.login(), verdict=lambda pdu: verdicts[str(pdu.fields["source_addr"])] if verdicts else 0
    )
    await many(client, 4)
    await until(lambda: len(client.delivered) == 4)
    async with asyncio.timeout(20):
        while len(found := await house.queued()) != 3 or not all(row[3] for row in found):
            await asyncio.sleep(0.01)
    now = house.rt.clock.now()
    assert {(row[3], row[1] is None) for row in found} == {
        ("ESME_RX_T_APPN", False),
        ("ESME_RX_P_APPN", True),
        ("ESME_RTHROTTLED", False),
    }
    assert all(now + 3_000 < row[1] < now + 6_000 for row in found if row[1] is not None)
    verdicts.clear()
    await house.rt.store.write(HURRY(), wake=("smsc",))
    await until(lambda: len(client.delivered) == 6)
    [aside] = await smsc.asides(house.rt, house.account.id, client_login(house))
    assert (aside.kind, aside.tries, aside.error) == (Kind.RECEIPT, 1, "ESME_RX_P_APPN")


def client_login(house: House) -> int:
    return next(iter(house.smsc._customers))


async def test_after_three_days_of_failures_a_delivery_is_set_aside(house: House) -> None:
    client = await house.client(await house.login(), verdict=lambda pdu: status.ESME_RX_T_APPN)
    await client.submit()
    [found] = await rows(house, 1)
    for tries in range(1, 13):
        async with asyncio.timeout(20):
            while (found := (await house.queued())[0])[2] < tries or not found[3]:
                await asyncio.sleep(0.005)
            await until(lambda: not house.smsc._courier.in_flight)
        await house.rt.store.write(DUE_AGAIN(), wake=("smsc",))
    assert found[1:3] == (None, 12)
    assert len(client.delivered) == 12


async def test_deliveries_take_turns_over_the_sessions_and_never_exceed_a_window(house: House) -> None:
    login = await house.login(window_size=4)
    held: list[tuple[Any, Pdu]] = []
    clients = [await house.client(login, "receiver", verdict=lambda pdu: None) for _ in range(3)]
    sender = await house.client(login, "transmitter")
    for n in range(30):
        await sender.submit(b"%d" % n)
    await until(lambda: all(len(client.delivered) == 4 for client in clients))
    await asyncio.sleep(0.1)
    assert [len(client.delivered) for client in clients] == [4, 4, 4]
    assert house.smsc._courier.in_flight == 12
    for client in clients:
        client.verdict = lambda pdu: 0
        held += [(client, pdu) for pdu in client.delivered]
    for client, pdu in held:
        client.conn.respond(pdu)
    await rows(house, 0)
    assert sum(len(client.delivered) for client in clients) == 30
    assert min(len(client.delivered) for client in clients) > 5


async def test_no_delivery_is_forgotten_while_the_store_is_away(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr(house.rt.store, "_patience_s", 0.1)
    client = await house.client(await house.login(), verdict=lambda pdu: None)
    await client.submit()
    await until(lambda: client.delivered)
    intruder = sqlite3.connect(house.rt.settings.data_dir / "chappe.db", isolation_level=None)
    intruder.execute("begin immediate")
    client.conn.respond(client.delivered[0])
    await asyncio.sleep(0.4)
    assert house.smsc._courier.in_flight == 1
    intruder.execute("rollback")
    intruder.close()
    await rows(house, 0)
    assert len(client.delivered) == 1


# -- what is asked for


ASKED = [
    (0, MessageState.DELIVERED, []),
    (1, MessageState.DELIVERED, ["DELIVRD"]),
    (1, MessageState.UNDELIVERABLE, ["UNDELIV"]),
    (2, MessageState.DELIVERED, []),
    (2, MessageState.EXPIRED, ["EXPIRED"]),
    (3, MessageState.UNDELIVERABLE, []),
    (0x11, MessageState.DELIVERED, ["DELIVRD", "ENROUTE"]),
]


async def test_registered_delivery_says_which_receipts_come(house: House) -> None:
    client = await house.client(await house.login())
    for n, (registered_delivery, fate, stats) in enumerate(ASKED):
        house.operator.fate = fate
        client.delivered.clear()
        await client.submit(b"%d" % n, registered_delivery=registered_delivery)
        mark = (await client.submit(b"mark %d" % n)).fields["message_id"]
        await until(partial(settled, client, mark, len(stats)))
        found = [one for one in client.receipts if one.id != mark]
        assert sorted(one.stat for one in found) == stats, registered_delivery
        assert all(one.intermediate == (one.stat == "ENROUTE") for one in found)


def settled(client: Client, mark: str, others: int) -> bool:
    """The marked message and so many others have been told of."""
    ids = [one.id for one in client.receipts]
    return mark in ids and len(ids) > others


async def test_failures_name_their_reason_in_numbers(house: House) -> None:
    house.operator.fate, house.operator.err = MessageState.UNDELIVERABLE, "001"
    client = await house.client(await house.login())
    await client.submit()
    house.operator.status = status.ESME_RINVDSTADR
    await client.submit(b"other")
    await until(lambda: len(client.receipts) == 2)
    gone, rejected = sorted(client.receipts, key=lambda one: one.stat, reverse=True)
    assert (gone.stat, gone.err, gone.network_error) == ("UNDELIV", "001", (3, 1))
    assert (rejected.stat, rejected.err, rejected.network_error) == ("REJECTD", "201", (8, 201))


async def test_receipts_are_written_in_the_logins_dialect(house: House) -> None:
    told = LoginDialect(receipt_dates=14, receipt_timezone_minutes=120, receipt_tlvs=False, plus=True, ton_npi=False)
    client = await house.client(await house.login(told))
    await client.submit()
    await until(lambda: client.delivered)
    [pdu] = client.delivered
    assert pdu.tlvs == []
    assert pdu.fields["source_addr"] == "+" + PHONE
    assert (pdu.fields["source_addr_ton"], pdu.fields["dest_addr_ton"], pdu.fields["dest_addr_npi"]) == (0, 0, 0)
    found = receipt.parse_text(pdu.fields["short_message"], 120)
    assert found is not None and found.done_at == 1_700_000_040_000  # as the operator told it, to the minute
    assert b"submit date:20" in pdu.fields["short_message"]


async def test_ids_take_the_form_that_the_login_wants(house: House) -> None:
    login = await house.login()
    client = await house.client(login)
    house.speak(login, LoginDialect(message_id="hex_upper", receipt_id="decimal"))
    answer = await client.submit()
    await until(lambda: client.delivered)
    number = int(answer.fields["message_id"], 16)
    assert answer.fields["message_id"] == f"{number:X}"
    [pdu] = client.delivered
    assert b"id:%d " % number in pdu.fields["short_message"]
    assert (pdu.tlv(tlv.RECEIPTED_MESSAGE_ID) or b"").rstrip(b"\0") == b"%X" % number
    query = await client.ask(commands.QUERY_SM, message_id=answer.fields["message_id"].lower(), source_addr="Acme")
    assert query.command_status == 0


# -- messages from phones


async def test_a_phones_message_comes_in_the_logins_alphabet(house: House) -> None:
    gsm = await house.client(await house.login())
    latin = await house.client(await house.login(LoginDialect(default_alphabet="latin1")))
    packed = await house.client(await house.login(LoginDialect(default_alphabet="gsm7_packed")))
    house.operator.reply(b"\x05t\x05 \x1b\x65")  # été €, but for the first letter
    await until(lambda: gsm.delivered and latin.delivered and packed.delivered)
    for client in (gsm, latin, packed):
        [pdu] = client.delivered
        fields = pdu.fields
        assert (fields["source_addr"], fields["destination_addr"], fields["esm_class"]) == (PHONE, NUMBER, 0)
        assert (fields["source_addr_ton"], fields["source_addr_npi"]) == (1, 1)
    assert (gsm.delivered[0].fields["short_message"], gsm.delivered[0].fields["data_coding"]) == (
        b"\x05t\x05 \x1b\x65",
        0,
    )
    assert text.unpack(packed.delivered[0].fields["short_message"]) == b"\x05t\x05 \x1b\x65"
    # Latin-1 has no euro sign
    assert (latin.delivered[0].fields["short_message"], latin.delivered[0].fields["data_coding"]) == (
        "été €".encode("utf-16-be"),
        8,
    )
    house.operator.reply(b"\x05t\x05")
    await until(lambda: len(latin.delivered) == 2)
    assert (latin.delivered[1].fields["short_message"], latin.delivered[1].fields["data_coding"]) == (b"\xe9t\xe9", 0)


async def test_an_empty_message_of_a_phone_comes_empty(house: House) -> None:
    client = await house.client(await house.login())
    house.operator.reply(b"")
    await until(lambda: client.delivered)
    assert client.delivered[0].fields["short_message"] == b""


async def test_a_long_message_of_a_phone_comes_in_parts_that_are_all_acknowledged(house: House) -> None:
    login = await house.login(window_size=1)
    client = await house.client(login, "receiver")
    words = "Жизнь прекрасна! " * 12
    octets = words.encode("utf-16-be")
    for n, at in enumerate(range(0, len(octets), 132), 1):
        udh = b"\x05\x00\x03\x2a" + bytes((-(-len(octets) // 132), n))
        house.operator.reply(udh + octets[at : at + 132], esm_class=0x40, data_coding=8)
    await until(lambda: len(client.delivered) == 4)
    assert {pdu.fields["esm_class"] for pdu in client.delivered} == {0x40}
    stored = [
        text.StoredPart(pdu.fields["short_message"][5], 4, pdu.fields["short_message"], 8, True)
        for pdu in client.delivered
    ]
    joined = text.join(stored)
    assert joined is not None and joined.text == words
    await rows(house, 0)


async def test_a_long_message_comes_whole_where_the_login_wants_it_so(house: House) -> None:
    login = await house.login()
    client, old = await house.client(login, "receiver"), await house.client(login, "receiver", version=0x33)
    house.speak(login, LoginDialect(long_messages="payload"))
    for n in (1, 2):
        house.operator.reply(b"\x05\x00\x03\x2a\x02" + bytes((n,)) + b"x" * 153, esm_class=0x40)
    await until(lambda: len(client.delivered) + len(old.delivered) == 2)  # the old one knows no message_payload
    await old.conn.unbind(1)
    await until(lambda: len(list(house.smsc.sessions())) == 1)
    client.delivered.clear()
    for n in (1, 2):
        house.operator.reply(b"\x05\x00\x03\x2b\x02" + bytes((n,)) + b"y" * 153, esm_class=0x40)
    await until(lambda: client.delivered)
    assert client.delivered[0].tlv(tlv.MESSAGE_PAYLOAD) == b"y" * 306


async def test_binary_of_a_phone_comes_as_it_is(house: House) -> None:
    client = await house.client(await house.login())
    octets = b"\x06\x05\x04\x0b\x84\x23\xf0" + bytes(range(100))
    house.operator.reply(octets, esm_class=0x40, data_coding=4)
    await until(lambda: client.delivered)
    fields = client.delivered[0].fields
    assert (fields["short_message"], fields["esm_class"], fields["data_coding"]) == (octets, 0x40, 4)


async def test_only_logins_that_may_hear_of_phones_do(house: House) -> None:
    live, test = await house.client(await house.login()), await house.client(await house.login(mode="test"))
    await house.login(status="suspended")
    other = await house.tenant("other")
    stranger = await house.client(await house.login(account_id=other.id))
    house.operator.reply(b"hello")
    await until(lambda: live.delivered)
    await rows(house, 0)
    assert test.delivered == [] and stranger.delivered == []


async def test_a_phone_is_acknowledged_while_the_customer_is_away_and_its_message_kept(house: House) -> None:
    login = await house.login()
    house.operator.reply(b"anybody there?")
    await until(lambda: house.operator.acknowledged)
    await rows(house, 1)
    client = await house.client(login, "receiver")
    await until(lambda: client.delivered)
    assert client.delivered[0].fields["short_message"] == b"anybody there?"


# -- by hand


async def test_a_replay_tells_everything_of_a_time_again_and_what_waits_not_twice(house: House) -> None:
    login, other = await house.login(), await house.login()
    client, neighbour = await house.client(login), await house.client(other, "transmitter")
    before = house.rt.clock.now()
    await asyncio.sleep(0.005)
    ids = await many(client, 3)
    multi: dict[str, Any] = {"dest_address": [SmeAddress(1, 1, "33612999999")]}
    fields = {
        k: v for k, v in submit_fields().items() if k not in ("dest_addr_ton", "dest_addr_npi", "destination_addr")
    }
    ids.append((await client.ask(commands.SUBMIT_MULTI, **fields, **multi)).fields["message_id"])
    reference = (tlv.USER_MESSAGE_REFERENCE, b"\0\x07")
    ids.append((await client.submit(b"referred", [reference])).fields["message_id"])
    await client.submit(b"no receipt, please", registered_delivery=0)
    await neighbour.submit(b"somebody else's")
    house.operator.reply(b"from a phone")
    await until(lambda: len(client.delivered) == 6)
    await until(lambda: not house.smsc._courier.in_flight)
    client.delivered.clear()
    after = house.rt.clock.now() + 1
    assert await smsc.replay(house.rt, house.account.id, login.id, before, after) == 6
    await until(lambda: len(client.delivered) == 6)
    assert {one.id for one in client.receipts} == set(ids)
    assert sum(pdu.tlv(tlv.USER_MESSAGE_REFERENCE) == b"\0\x07" for pdu in client.delivered) == 1
    assert sum(pdu.fields["short_message"] == b"from a phone" for pdu in client.delivered) == 1
    await until(lambda: not house.smsc._courier.in_flight)
    assert await smsc.replay(house.rt, house.account.id, login.id, before - 60_000, before) == 0
    await client.conn.unbind(1)
    assert await smsc.replay(house.rt, house.account.id, login.id, before, after) == 6
    assert await smsc.replay(house.rt, house.account.id, login.id, before, after) == 0


async def test_a_replay_goes_over_many_pages(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr(keep, "PAGE", 7)
    client = await house.client(await house.login())
    before = house.rt.clock.now() - 1
    ids = await many(client, 30)
    await until(lambda: len(client.receipts) == 30)
    await until(lambda: not house.smsc._courier.in_flight)
    client.delivered.clear()
    assert await smsc.replay(house.rt, house.account.id, client_login(house), before, before + 60_000) == 30
    await until(lambda: len(client.receipts) == 30)
    assert {one.id for one in client.receipts} == set(ids)


async def test_what_was_set_aside_is_tried_again_by_a_replay(house: House) -> None:
    client = await house.client(await house.login(), verdict=lambda pdu: status.ESME_RX_R_APPN)
    before = house.rt.clock.now() - 1
    await client.submit()
    login_id = client_login(house)
    async with asyncio.timeout(20):
        while not await smsc.asides(house.rt, house.account.id, login_id):
            await asyncio.sleep(0.01)
    client.verdict = lambda pdu: 0
    assert await smsc.replay(house.rt, house.account.id, login_id, before, before + 60_000) == 1
    await rows(house, 0)
    assert len(client.delivered) == 2


async def test_another_accounts_queue_is_an_unknown_one(house: House) -> None:
    other = await house.tenant("other")
    login = await house.login()
    for ask in (
        lambda: smsc.replay(house.rt, other.id, login.id, 0, 1),
        lambda: smsc.asides(house.rt, other.id, login.id),
    ):
        with pytest.raises(Refused) as caught:
            await ask()
        assert caught.value.code == "not_found"
    assert await smsc.waiting(house.rt, other.id) == []


async def test_what_nobody_fetches_is_forgotten_after_the_retention(house: House) -> None:
    sender = await house.client(await house.login(), "transmitter")
    await sender.submit()
    await rows(house, 1)
    await smsc.prune(house.rt)
    await rows(house, 1)
    old = ids.at(house.rt.clock.now() - 31 * 86_400_000)
    await house.rt.store.write(sql("update smsc_deliveries set id = :id")({"id": old}))
    await smsc.prune(house.rt)
    await rows(house, 0)


# -- nodes


async def test_any_node_with_a_session_of_the_login_delivers_and_each_receipt_once(
    postgres_url: str, tmp_path: Path
) -> None:
    first = await open_house(postgres_url, tmp_path)
    second = House(await open_runtime(first.rt.settings), first.operator)
    await second.open(alone=False)
    try:
        login = await first.login()
        await second.rt.snapshots.check()
        sender = await first.client(login, "transmitter")
        receivers = [await second.client(login, "receiver"), await first.client(login, "receiver")]
        ids = await many(sender, 40)
        await until(lambda: sum(len(one.receipts) for one in receivers) == 40, 10)
        await asyncio.sleep(0.3)
        assert sorted(one.id for client in receivers for one in client.receipts) == sorted(ids)
        await receivers[1].conn.unbind(1)
        await until(lambda: len(list(first.smsc.sessions())) == 1)
        ids = [(await sender.submit(b"other %d" % n)).fields["message_id"] for n in range(5)]
        await until(lambda: set(ids) <= {one.id for one in receivers[0].receipts}, 10)
        for client in (*first.clients, *second.clients):
            client.conn.abort()
    finally:
        await second.close()
        await first.close()
        await first.operator.stop()


async def test_what_a_dead_node_held_is_delivered_by_another_when_its_lease_ends(
    postgres_url: str, tmp_path: Path
) -> None:
    house = await open_house(postgres_url, tmp_path)
    try:
        login = await house.login()
        sender = await house.client(login, "transmitter")
        await many(sender, 3)
        await rows(house, 3)
        # a node that died held these: one lease is over, the others are not
        dead = sql(
            "update smsc_deliveries set owner = 7, tries = 1, lease_until = case when id = :id then 1 else 9e15 end"
        )
        [first, *_] = await house.queued()
        await house.rt.store.write(dead({"id": first[0]}))
        client = await house.client(login, "receiver")
        await until(lambda: client.receipts)
        await rows(house, 2)
        assert len(client.receipts) == 1
        for one in house.clients:
            one.conn.abort()
    finally:
        await house.close()
        await house.operator.stop()


async def test_a_stopped_server_answers_what_it_was_asked_and_gives_back_the_rest(house: House) -> None:
    login = await house.login()
    client = await house.client(login, verdict=lambda pdu: None)
    intruder = sqlite3.connect(house.rt.settings.data_dir / "chappe.db", isolation_level=None)
    intruder.execute("begin immediate")
    asked = [client.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"%d" % n))) for n in range(20)]
    [conn] = house.smsc._customers[login.id].sessions
    await until(lambda: conn.session.pending == 20)
    stopping = asyncio.create_task(house.smsc.stop(0.3))
    await asyncio.sleep(0.1)
    intruder.execute("rollback")
    intruder.close()
    await stopping
    assert client.lost == ["unbound by peer"]
    assert {(await answer).command_status for answer in asked} == {0}
    async with asyncio.timeout(20):
        while await house.rt.store.read(sql("select 1 from smsc_deliveries where lease_until > 0")()):
            await asyncio.sleep(0.01)
