"""The control API: what can be seen and done from outside."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from chappe import text
from chappe.smpp import Pdu, commands, decode, status, tlv
from chappe.smpp.aio import BindFailed


async def test_the_front_page_lists_every_route(operator: Any):
    async with aiohttp.ClientSession() as session, session.get(operator.url + "/") as response:
        page = await response.text()
    for path in ("state", "messages", "submits", "submits/counts", "scenario", "mo", "drop", "away", "throttle"):
        assert f"/{path}" in page


async def test_messages_are_listed_by_phone_sender_and_since(operator: Any, customer: Any):
    for to, words in (("33612100001", b"one"), ("33612100002", b"two"), ("33612100001", b"three")):
        await customer.send(to, words, source_addr=customer.system_id)
        await customer.until(lambda: customer.receipts)
        await asyncio.sleep(0.05)

    async def listed(query: str) -> list[str]:
        page = await operator.get("/messages?" + query)
        return [item["text"] for item in page["data"] if item["from"] == customer.system_id]

    assert await listed("to=33612100001") == await listed("to=%2B33612100001") == ["one", "three"]
    assert await listed(f"from={customer.system_id}") == ["one", "two", "three"]
    page = await operator.get(f"/messages?from={customer.system_id}&limit=1")
    assert page["has_more"] is True and len(page["data"]) == 1
    assert await listed(f"since={page['data'][0]['number']}&from={customer.system_id}") == ["two", "three"]
    assert await listed("to=33612100003") == []


async def long_text(customer: Any, to: str, words: str, options: text.Options) -> int:
    encoded = text.encode(words, options, reference=77)
    for part in reversed(encoded.parts):
        tlvs = []
        if part.sar:
            names = (tlv.SAR_MSG_REF_NUM, tlv.SAR_TOTAL_SEGMENTS, tlv.SAR_SEGMENT_SEQNUM)
            tlvs = [(tag, tlv.pack(tag, number)) for tag, number in zip(names, part.sar, strict=True)]
        fields = {"esm_class": 0x40 if part.udh else 0, "data_coding": encoded.data_coding}
        short = part.user_data if options.concat != "payload" else b""
        tlvs += [(tlv.MESSAGE_PAYLOAD, part.user_data)] if options.concat == "payload" else []
        assert (await customer.send(to, short, tlvs=tlvs, **fields)).command_status == 0
    return len(encoded.parts)


@pytest.mark.parametrize("concat", ["udh8", "udh16", "sar", "payload"])
@pytest.mark.parametrize("words", ["Long €[text] " * 30, "Длинный 👍 " * 20])
async def test_long_messages_are_put_together_in_every_form(concat: Any, words: str, operator: Any, customer: Any):
    to = f"33612{abs(hash((concat, words))) % 10**6:06}"
    parts = await long_text(customer, to, words, text.Options(concat=concat))
    await customer.until(lambda: len(customer.receipts) == parts)
    received = (await operator.get(f"/messages?to={to}"))["data"]
    assert [(item["text"], item["segments"]) for item in received] == [(words, parts)]


async def test_binary_messages_keep_their_octets(operator: Any, customer: Any):
    await customer.send("33612100009", b"\x06\x05\x04\x15\x81\x00\x00\xca\xfe", esm_class=0x40, data_coding=4)
    await customer.until(lambda: customer.receipts)
    (received,) = (await operator.get("/messages?to=33612100009"))["data"]
    assert (received["text"], received["payload"], received["encoding"]) == (None, "cafe", "binary")
    assert received["parts"][0]["udh"] == "06050415810000"


async def test_what_was_not_delivered_is_on_no_phone(operator: Any, customer: Any):
    for number in ("33619555002", "33619555007", "33619555040", "33619555014"):
        await customer.send(number)
    await customer.until(lambda: len(customer.receipts) == 3)
    for number in ("33619555002", "33619555007", "33619555040", "33619555014"):
        assert (await operator.get(f"/messages?to={number}"))["data"] == []
    await customer.send("33619555016")  # nobody is told, but it arrives
    await asyncio.sleep(0.1)
    assert len((await operator.get("/messages?to=33619555016"))["data"]) == 1


async def test_every_submit_is_logged_with_its_answer_and_octets(operator: Any, customer: Any):
    await customer.send("33612555040", b"Refuse me", tlvs=[(0x1400, b"dlt"), (0x0204, b"\x00\x07")])
    (submit,) = (await operator.get(f"/submits?system_id={customer.system_id}"))["data"]
    assert (submit["status"], submit["behaviour"], submit["message_id"]) == (
        "ESME_RINVDSTADR",
        "invalid_destination",
        "",
    )
    assert submit["tlvs"] == {"vendor_0x1400": b"dlt".hex(), "user_message_reference": 7}
    assert submit["fields"]["short_message"] == b"Refuse me".hex()
    assert decode(bytes.fromhex(submit["raw"])).fields["destination_addr"] == "33612555040"
    later = await operator.get(f"/submits?system_id={customer.system_id}&since={submit['number']}")
    assert later == {"data": [], "has_more": False}


async def test_duplicates_are_counted_by_content_or_reference(operator: Any, customer: Any):
    to = "33612100777"
    for words in (b"a", b"b", b"a"):
        await customer.send(to, words)
    for words in (b"c", b"d"):
        await customer.send(to, words, tlvs=[(0x0204, b"\x12\x34")])
    for reference in (1, 2):  # the same part of the same text, numbered anew
        await customer.send(to, bytes((5, 0, 3, reference, 2, 1)) + b"e", esm_class=0x40)
    counts = (await operator.get(f"/submits/counts?to={to}"))["data"]
    assert [(c["text"], c["reference"], c["submits"], c["taken"]) for c in counts] == [
        ("a", None, 2, 2),
        ("b", None, 1, 1),
        ("c", 0x1234, 2, 2),
        ("e", None, 2, 2),
    ]
    assert len((await operator.get(f"/submits/counts?to={to}&min=2"))["data"]) == 3


async def test_a_phone_sends_text_in_every_form(operator: Any, customer: Any):
    words = "Long €[text] " * 30
    forms = {"udh8": 4, "udh16": 4, "sar": 4, "payload": 1}
    for concat, parts in forms.items():
        customer.deliveries.clear()
        body = {"from": "+33612000001", "to": "36123", "text": words, "concat": concat, "system_id": customer.system_id}
        answer = await operator.post("/mo", body)
        count = answer["parts"]
        assert (count > 1) == (parts > 1)
        await customer.until(lambda count=count: len(customer.messages) == count)
        first = customer.messages[0]
        assert (first.fields["source_addr"], first.fields["source_addr_ton"]) == ("33612000001", 1)
        assert (first.fields["destination_addr"], first.fields["dest_addr_ton"]) == ("36123", 3)
        if concat == "payload":
            assert first.fields["short_message"] == b""
            assert text.decode(first.tlv(tlv.MESSAGE_PAYLOAD), 0).text == words
        elif concat == "sar":
            assert [pdu.tlv(tlv.SAR_SEGMENT_SEQNUM)[0] for pdu in customer.messages] == list(range(1, count + 1))
        else:
            assert [
                text.parse_udh(pdu.fields["short_message"])[0].concat.sequence for pdu in customer.messages
            ] == list(range(1, count + 1))


async def test_a_phone_sends_octets_and_tlvs(operator: Any, customer: Any):
    body = {
        "from": "33612000001",
        "to": "Acme",
        "system_id": customer.system_id,
        "data": "cafe",
        "udh": "06050415810000",
        "data_coding": 4,
        "esm_class": 128,
        "tlvs": {"0x1401": "616263", "language_indicator": "01"},
    }
    await operator.post("/mo", body)
    await customer.until(lambda: customer.messages)
    pdu = customer.messages[0]
    assert pdu.fields["short_message"] == b"\x06\x05\x04\x15\x81\x00\x00\xca\xfe"
    assert (pdu.fields["esm_class"], pdu.fields["data_coding"]) == (0xC0, 4)
    assert pdu.tlvs == [(0x1401, b"abc"), (0x020D, b"\x01")]


async def test_a_message_from_a_phone_waits_for_its_customer(operator: Any, stranger: Any):
    await operator.post("/mo", {"from": "33612000001", "to": "1", "text": "hi", "system_id": stranger.system_id})
    await stranger.bind()
    await stranger.until(lambda: stranger.messages)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/mo", {"from": "1", "to": "2"}, "Give either text or data"),
        ("/mo", {"from": "1", "to": "2", "text": ""}, "empty"),
        ("/mo", {"from": "1", "to": "2", "data": "xy"}, "not hexadecimal"),
        ("/mo", {"from": "1" * 21, "to": "2", "text": "x"}, "source_addr holds a NUL or more than 20"),
        ("/mo", {"from": "Łódź", "to": "2", "text": "x"}, "That fits no deliver_sm"),
        ("/mo", {"from": "1", "to": "2", "data": "00" * 70_000}, "That fits no deliver_sm"),
        ("/mo", {"from": "1", "to": "2", "text": "x", "tlvs": {"nonsense": ""}}, "no TLV's name"),
        ("/mo", {"from": "1", "to": "2", "text": "x", "colour": 1}, "unknown field `colour`"),
        ("/mo", "{", "The body does not fit"),
        ("/away", {}, "missing required field `seconds`"),
        ("/throttle", {"seconds": -1}, ">= 0"),
        ("/refuse_binds", {"seconds": 1, "status": "ESME_ROK"}, "no status to refuse with"),
        ("/scenario", "x = 1", "unknown field `x`"),
    ],
)
async def test_wrong_requests_say_what_is_wrong(path: str, body: Any, says: str, operator: Any, customer: Any):
    if path == "/mo" and isinstance(body, dict):
        body = {"system_id": customer.system_id} | body
    answer = await operator.post(path, body, status=400)
    assert says in answer["error"]["message"]


async def test_wrong_queries_and_paths_say_so(operator: Any):
    async with aiohttp.ClientSession() as session:
        async with session.get(operator.url + "/messages?since=x") as response:
            assert response.status == 400 and "since" in (await response.json())["error"]["message"]
        async with session.get(operator.url + "/nothing") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "http_404")
        async with session.get(operator.url + "/drop") as response:
            assert response.status == 405


async def test_a_wrong_scenario_changes_nothing(operator: Any):
    before = await operator.get("/scenario")
    answer = await operator.post("/scenario", '[[rules]]\ndo = "x"\n[[rules]]\ndo = "y"', status=400)
    assert len(answer["error"]["problems"]) == 2
    assert await operator.get("/scenario") == before
    await operator.post("/scenario", json.dumps(before))  # what it shows is what it takes
    assert await operator.get("/scenario") == before


async def test_drop_cuts_the_binds_of_one_customer(operator: Any, customer: Any):
    other = type(customer)(operator)
    await other.bind()
    assert await operator.post("/drop", {"system_id": customer.system_id}) == {"dropped": 1}
    await customer.until(lambda: customer.lost)
    assert other.binds[0].bound
    assert (await operator.post("/drop", ""))["dropped"] >= 1
    await other.until(lambda: other.lost)


async def test_away_refuses_connections_and_comes_back_on_the_same_port(operator: Any, customer: Any):
    customer.acknowledge = lambda pdu: None
    await customer.send("33612000001")
    await customer.until(lambda: customer.receipts)
    seen = await operator.post("/away", {"seconds": 30})
    assert seen["listening"] is False
    await customer.until(lambda: customer.lost)
    with pytest.raises(ConnectionRefusedError):
        await customer.bind()
    await operator.post("/away", {"seconds": 0})
    customer.acknowledge = lambda pdu: 0
    async with asyncio.timeout(20):
        while not (await operator.get("/state"))["listening"]:
            await asyncio.sleep(0.02)
    await customer.bind()
    await customer.until(lambda: len(customer.receipts) == 2)  # the unacknowledged one again


async def test_throttle_and_refuse_binds_end_by_themselves_or_at_once(operator: Any, customer: Any):
    await operator.post("/throttle", {"seconds": 0.5})
    assert (await customer.send("33612000001")).command_status == status.ESME_RTHROTTLED
    await asyncio.sleep(0.5)
    assert (await customer.send("33612000001")).command_status == 0
    await operator.post("/refuse_binds", {"seconds": 60, "status": "ESME_RALYBND"})
    with pytest.raises(BindFailed, match="ESME_RALYBND"):
        await customer.bind()
    await operator.post("/refuse_binds", {"seconds": 0})
    await customer.bind()


async def test_state_counts_what_happened(operator: Any, customer: Any):
    before = await operator.get("/state")
    for number in ("33612000001", "33612555045", "33612555071"):
        await customer.send(number)
    await customer.until(lambda: len(customer.deliveries) == 3)
    await asyncio.sleep(0.05)
    after = await operator.get("/state")
    assert after["submits"] - before["submits"] == 3
    assert after["taken"] - before["taken"] == 2
    assert after["answered"]["ESME_RSYSERR"] - before["answered"].get("ESME_RSYSERR", 0) == 1
    assert after["phones"]["sent"] - before["phones"]["sent"] == 1
    mine = after["customers"][customer.system_id]
    assert mine["deliveries"]["receipts_acknowledged"] == 2 and mine["deliveries"]["mo_acknowledged"] == 1
    assert mine["binds"][0]["type"] == "transceiver"


async def test_an_alert_or_response_out_of_turn_does_no_harm(operator: Any, customer: Any):
    customer.acknowledge = lambda pdu: status.ESME_RINVDSTADR if not customer.messages else 0
    await customer.send("33612000001")
    await customer.until(lambda: len(customer.receipts) == 2)
    assert (await customer.request(Pdu(commands.QUERY_SM, fields={}))).command_status == status.ESME_RQUERYFAIL
