"""Customers with other people's software: smpplib (Python), smpp34 (Rust, 3.4) and rusmppyc (Rust, 5.0).

Each sends, is refused with a reason in a TLV, and gets its receipt with the id that it was answered with.
"""

from __future__ import annotations

import asyncio
from typing import Any

import rusmppyc
import smpp34
import smpplib.client
import smpplib.exceptions
from rusmppyc.exceptions import RusmppycException

from chappe.smpp import receipt, status
from tests.smsc.house import PASSWORD, PHONE, House, until


async def test_smpplib(house: House) -> None:
    login = await house.login()
    peer = smpplib.client.Client("127.0.0.1", house.ports.plain, allow_unknown_opt_params=True, timeout=5)
    sent: list[Any] = []
    received: list[Any] = []
    peer.set_message_sent_handler(lambda pdu, **_: sent.append(pdu))
    peer.set_message_received_handler(lambda pdu, **_: received.append(pdu))
    common = {"source_addr_ton": 5, "source_addr": "Acme", "dest_addr_ton": 1, "dest_addr_npi": 1}

    def talk() -> None:
        peer.connect()
        peer.bind_transceiver(system_id=login.system_id, password=PASSWORD)
        peer.send_message(**common, destination_addr=PHONE, short_message=b"Bonjour", registered_delivery=True)
        while not (sent and received):
            peer.read_once()
        peer.send_message(**common, destination_addr="33999", short_message=b"nobody")
        try:
            peer.read_once()
        except smpplib.exceptions.PDUError as error:
            sent.append(error)
        peer.unbind()
        peer.disconnect()

    await asyncio.wait_for(asyncio.to_thread(talk), 15)
    answer, refusal = sent
    assert received[0].receipted_message_id.strip(b"\0") == answer.message_id.strip(b"\0")
    found = receipt.parse_text(received[0].short_message)
    assert found is not None and found.id.encode() == answer.message_id.strip(b"\0")
    assert status.ESME_RINVDSTADR in refusal.args


async def test_smpp34(house: House) -> None:
    login = await house.login()
    client = smpp34.Client("127.0.0.1", house.ports.plain, login.system_id, PASSWORD, bind_type="TRX")
    async with asyncio.timeout(15):
        smsc = await client.connect()
        number: dict[str, Any] = {"source_addr": "Acme", "source_addr_ton": 5, "dest_addr_ton": 1, "dest_addr_npi": 1}
        answer = await smsc.submit_sm(PHONE, b"Bonjour", registered_delivery=1, **number)
        assert answer.is_success
        event: Any = await smsc.next()
        found = receipt.parse_text(event.short_message)
        assert found is not None and (found.id, found.stat) == (answer.message_id, "DELIVRD")
        refused = await smsc.submit_sm("33999", b"nobody", **number)
        assert (refused.is_success, refused.command_status) == (False, status.ESME_RINVDSTADR)
        many = await asyncio.gather(*(smsc.submit_sm(PHONE, b"number %d" % n, **number) for n in range(40)))
        assert all(one.is_success for one in many)
        await client.stop()


async def test_rusmppyc(house: House) -> None:
    login = await house.login()
    async with asyncio.timeout(15):
        client, events = await rusmppyc.Client.connect(f"smpp://127.0.0.1:{house.ports.plain}")
        five = rusmppyc.InterfaceVersion.Smpp5_0()
        bound = await client.bind_transceiver(system_id=login.system_id, password=PASSWORD, interface_version=five)
        assert "Smpp5_0" in str(bound.sc_interface_version)
        number: dict[str, Any] = {
            "source_addr_ton": rusmppyc.Ton.Alphanumeric(),
            "source_addr": "Acme",
            "dest_addr_ton": rusmppyc.Ton.International(),
            "registered_delivery": rusmppyc.RegisteredDelivery.request_all(),
        }
        answer = await client.submit_sm(**number, destination_addr=PHONE, short_message=b"Bonjour")
        message_id = bytes(answer.message_id).strip(b"\0").decode()
        try:
            await client.submit_sm(**number, destination_addr="33999", short_message=b"nobody")
            raise AssertionError("it was not refused")
        except RusmppycException as refused:
            assert "EsmeRinvdstadr" in str(refused)
        ids = []
        async for event in events:
            assert isinstance(event, rusmppyc.Event.Incoming)
            pdu: Any = event._0.pdu
            deliver = pdu._0
            await client.deliver_sm_resp(event._0.sequence_number, "")
            found = receipt.parse_text(bytes(deliver.short_message))
            assert found is not None
            ids.append((found.id, found.stat))
            if found.stat == "DELIVRD":
                break
        assert (message_id, "DELIVRD") in ids
        await until(lambda: not house.smsc._courier.in_flight)
        await client.unbind()
        await client.closed()
