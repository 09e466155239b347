"""What customers submit, and what the operator gets of it."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from chappe.accounts import LoginDialect
from chappe.messages import State
from chappe.smpp import Pdu, SmeAddress, commands, status, times, tlv
from chappe.smpp.commands import DistributionList
from tests.smsc.house import PHONE, House, submit_fields, until

REASON = tlv.TAGS["additional_status_info_text"]
OTHER_PHONE = "33612345679"


def reason(answer: Pdu) -> str:
    return (answer.tlv(REASON) or b"").rstrip(b"\0").decode()


async def arrived(house: House, count: int = 1) -> list[Pdu]:
    await until(lambda: len(house.operator.submits) >= count)
    return house.operator.submits


async def test_a_text_reaches_the_operator_and_its_receipt_comes_back(any_house: House) -> None:
    house = any_house
    client = await house.client(await house.login())
    answer = await client.submit(b"Bonjour")
    assert answer.command_status == 0
    await until(lambda: client.receipts)
    [receipt] = client.receipts
    assert receipt.id == answer.fields["message_id"]
    assert (receipt.stat, receipt.err, receipt.text) == ("DELIVRD", "000", "Bonjour")
    assert (receipt.handset, receipt.sender) == (PHONE, "Acme")
    [submit] = house.operator.submits
    assert submit.fields["short_message"] == b"Bonjour"
    await until(lambda: not house.smsc._courier.in_flight)
    assert await house.queued() == []


async def test_hundreds_submitted_at_once_are_all_answered_and_each_gets_one_receipt(house: House) -> None:
    client = await house.client(await house.login(window_size=1000))
    asked = [
        client.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"number %d" % n, destination_addr=f"3361234{n:04d}")))
        for n in range(600)
    ]
    answers = await asyncio.gather(*asked)
    assert [answer.command_status for answer in answers] == [0] * 600
    ids = [answer.fields["message_id"] for answer in answers]
    assert len(set(ids)) == 600
    await until(lambda: len(client.receipts) >= 600, 20)
    assert sorted(one.id for one in client.receipts) == sorted(ids)


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"destination_addr": "33999"}, status.ESME_RINVDSTADR),
    ({"destination_addr": ""}, status.ESME_RINVDSTADR),
    ({"destination_addr": "33140506070"}, status.ESME_RINVDSTADR),  # a fixed line
    ({"dest_addr_ton": 5}, status.ESME_RINVDSTTON),
    ({"dest_addr_ton": 2, "destination_addr": "0612345678"}, status.ESME_RINVDSTTON),
    ({"source_addr": "Stranger"}, status.ESME_RINVSRCADR),
    ({"octets": b""}, status.ESME_RINVMSGLEN),
    ({"octets": b"\xff\xfe"}, status.ESME_RSUBMITFAIL),  # no septets
    ({"esm_class": 0x04}, status.ESME_RINVESMCLASS),
    ({"esm_class": 0x20}, status.ESME_RINVESMCLASS),
    ({"esm_class": 0x40, "octets": b"\x7fxx"}, status.ESME_RINVESMCLASS),
    ({"sm_default_msg_id": 3}, status.ESME_RINVDFTMSGID),
    ({"replace_if_present_flag": 2}, status.ESME_RINVREPFLAG),
    ({"priority_flag": 9}, status.ESME_RINVPRTFLG),
    ({"schedule_delivery_time": "tomorrow"}, status.ESME_RINVSCHED),
    ({"schedule_delivery_time": "200101000000000+"}, status.ESME_RINVSCHED),
    ({"validity_period": "999999999999999+"}, status.ESME_RINVEXPIRY),
    ({"validity_period": "200101000000000+"}, status.ESME_RINVEXPIRY),
    ({"protocol_id": 0x40}, status.ESME_RSUBMITFAIL),  # silent: content_blocked
]


async def test_what_cannot_be_sent_is_refused_with_a_status_and_words(house: House) -> None:
    login = await house.login()
    client = await house.client(login)
    house.speak(login, LoginDialect(reasons=True))
    for change, expected in REFUSED:
        answer = await client.submit(**{"octets": b"x"} | change)
        assert status.name(answer.command_status) == status.name(expected), change
        assert reason(answer), change
    assert house.operator.submits == []


async def test_a_text_of_too_many_parts_is_refused(house: House) -> None:
    client = await house.client(await house.login(), version=0x50)
    answer = await client.submit(b"", [(tlv.MESSAGE_PAYLOAD, b"x" * 4000)])
    assert answer.command_status == status.ESME_RINVMSGLEN
    assert "segments" in reason(answer)


async def test_the_reason_in_words_is_for_peers_that_know_the_tlv(house: House) -> None:
    login = await house.login()
    old, usual, young = [await house.client(login, version=version) for version in (0x33, 0x34, 0x50)]
    for client in (old, usual):
        answer = await client.submit(protocol_id=0x40)
        assert (answer.command_status, answer.tlvs, answer.fields) == (status.ESME_RSUBMITFAIL, [], {})
    answer = await young.submit(protocol_id=0x40)
    assert (answer.command_status, bool(reason(answer))) == (status.ESME_RPROHIBITED, True)
    fields = submit_fields(destination_addr="33999")
    del fields["short_message"]
    assert reason(await usual.ask(commands.DATA_SM, [(tlv.MESSAGE_PAYLOAD, b"x")], **fields))
    house.speak(login, LoginDialect(reasons=True))
    assert reason(await usual.submit(protocol_id=0x40))
    assert not reason(await old.submit(protocol_id=0x40))


async def test_an_unknown_route_is_refused_for_a_test_login_and_its_test_route_is_used(house: House) -> None:
    client = await house.client(await house.login(mode="test"))
    message = await house.message(await client.submit())
    assert message.test == 1
    assert house.pipeline.connector_name(message.connector_id) == "test"


# -- alphabets


TEXTS: list[tuple[Any, bytes, int, str]] = [
    ("gsm7", b"caf\x05 \x1b\x65", 0, "café €"),
    ("gsm7", "café".encode("latin-1"), 3, "café"),
    ("gsm7", b"plain [x]", 1, "plain [x]"),
    ("gsm7", "zażółć".encode("utf-16-be"), 8, "zażółć"),
    ("gsm7", "привет".encode("iso8859-5"), 6, "привет"),
    ("latin1", "café".encode("latin-1"), 0, "café"),
    ("latin1", "zażółć".encode("utf-16-be"), 8, "zażółć"),
    ("ascii", b"[x]", 0, "[x]"),
    ("gsm7_packed", bytes.fromhex("e8329bfd06"), 0, "hello"),
]


async def test_texts_are_read_in_the_logins_alphabet(house: House) -> None:
    clients = {}
    for alphabet, octets, data_coding, text in TEXTS:
        if alphabet not in clients:
            clients[alphabet] = await house.client(await house.login(LoginDialect(default_alphabet=alphabet)))
        answer = await clients[alphabet].submit(octets, data_coding=data_coding)
        assert answer.command_status == 0, reason(answer)
        assert (await house.message(answer)).text == text


async def test_ucs2_stays_ucs2_and_flash_stays_flash(house: House) -> None:
    client = await house.client(await house.login())
    await client.submit("abc".encode("utf-16-be"), data_coding=8)
    await client.submit(b"look", data_coding=0x10)
    ucs2, flash = await arrived(house, 2)
    assert (ucs2.fields["data_coding"], ucs2.fields["short_message"]) == (8, "abc".encode("utf-16-be"))
    assert (flash.fields["data_coding"], flash.fields["short_message"]) == (0x10, b"look")


async def test_a_long_payload_is_cut_for_the_operator_and_gets_one_receipt(house: House) -> None:
    client = await house.client(await house.login())
    answer = await client.submit(b"", [(tlv.MESSAGE_PAYLOAD, b"0123456789" * 40)])
    parts = await arrived(house, 3)
    assert [part.fields["esm_class"] for part in parts] == [0x40] * 3
    await until(lambda: client.receipts)
    await asyncio.sleep(0.1)
    assert [one.id for one in client.receipts] == [answer.fields["message_id"]]


# -- what the customer cut itself


async def test_parts_with_a_header_pass_octet_for_octet_and_get_a_receipt_each(house: House) -> None:
    client = await house.client(await house.login())
    parts = [b"\x05\x00\x03\x2a\x02" + bytes((n,)) + bytes(range(65, 65 + n + 20)) for n in (1, 2)]
    answers = [
        await client.submit(part, esm_class=0x40, data_coding=coding)
        for part, coding in zip(parts, (0, 8), strict=True)
    ]
    assert [answer.command_status for answer in answers] == [0, 0]
    submits = await arrived(house, 2)
    assert [submit.fields["short_message"] for submit in submits] == parts
    assert [submit.fields["esm_class"] for submit in submits] == [0x40, 0x40]
    assert [submit.fields["data_coding"] for submit in submits] == [0, 8]
    await until(lambda: len(client.receipts) == 2)
    assert {one.id for one in client.receipts} == {answer.fields["message_id"] for answer in answers}


async def test_parts_numbered_by_sar_pass_with_their_numbers(house: House) -> None:
    client = await house.client(await house.login())
    sar = [(tlv.SAR_MSG_REF_NUM, b"\x01\x02"), (tlv.SAR_TOTAL_SEGMENTS, b"\x02"), (tlv.SAR_SEGMENT_SEQNUM, b"\x01")]
    assert (await client.submit(b"first half", sar)).command_status == 0
    [submit] = await arrived(house)
    assert submit.fields["short_message"] == b"first half"
    assert [pair for pair in submit.tlvs if pair in sar] == sar
    sar[2] = (tlv.SAR_SEGMENT_SEQNUM, b"\x03")
    assert (await client.submit(b"third of two", sar)).command_status == status.ESME_RINVOPTPARAMVAL


async def test_a_part_whose_coding_0_is_latin1_says_so_to_the_operator(house: House) -> None:
    client = await house.client(await house.login(LoginDialect(default_alphabet="latin1")))
    part = b"\x05\x00\x03\x2a\x02\x01caf\xe9"
    await client.submit(part, esm_class=0x40)
    [submit] = await arrived(house)
    assert (submit.fields["short_message"], submit.fields["data_coding"]) == (part, 3)


async def test_binary_and_message_waiting_pass_with_their_coding(house: House) -> None:
    client = await house.client(await house.login())
    sent = [(bytes(range(140)), 0x02), (bytes(range(1, 141)), 0x04), (b"plain", 0xC8), (bytes(range(2, 142)), 0xF5)]
    for octets, data_coding in sent:
        answer = await client.submit(octets, data_coding=data_coding)
        assert answer.command_status == 0, reason(answer)
    submits = await arrived(house, len(sent))
    assert [(submit.fields["short_message"], submit.fields["data_coding"]) for submit in submits] == sent


async def test_long_binary_is_cut_and_an_overlong_part_is_refused(house: House) -> None:
    client = await house.client(await house.login())
    assert (await client.submit(bytes(200), data_coding=0x02)).command_status == 0
    parts = await arrived(house, 2)
    assert b"".join(part.fields["short_message"][6:] for part in parts) == bytes(200)
    header = b"\x05\x00\x03\x2a\x02\x01"
    for octets, coding in ((header + b"x" * 154, 0), (header + bytes(136), 8), (header + bytes(135), 0xF5)):
        answer = await client.submit(octets, esm_class=0x40, data_coding=coding)
        assert answer.command_status == status.ESME_RINVMSGLEN
    assert (await client.submit(header + b"x" * 153, esm_class=0x40)).command_status == 0


# -- fields that travel


async def test_tlvs_travel_and_the_reference_comes_back_with_the_receipt(house: House) -> None:
    client = await house.client(await house.login())
    tlvs = [(tlv.USER_MESSAGE_REFERENCE, b"\x12\x34"), (0x1400, b"entity"), (0x1401, b"template")]
    await client.submit(b"x", tlvs, protocol_id=0x41, priority_flag=2, esm_class=0x80, service_type="CMT")
    [submit] = await arrived(house)
    assert [pair for pair in submit.tlvs if pair in tlvs] == tlvs
    fields = submit.fields
    assert (fields["protocol_id"], fields["priority_flag"], fields["service_type"]) == (0x41, 2, "CMT")
    assert fields["esm_class"] == 0x80
    await until(lambda: client.delivered)
    assert client.delivered[0].tlv(tlv.USER_MESSAGE_REFERENCE) == b"\x12\x34"


async def test_times_are_absolute_or_relative(house: House) -> None:
    client = await house.client(await house.login())
    now = house.rt.clock.now()
    later = times.format_absolute(now + 3_600_000)
    message = await house.message(await client.submit(schedule_delivery_time=later, validity_period=""))
    assert message.state is State.SCHEDULED
    assert abs((message.send_at or 0) - now - 3_600_000) < 1000
    message = await house.message(await client.submit(b"two", validity_period="000000001000000R"))
    assert abs(message.expires_at - now - 600_000) < 5000
    message = await house.message(
        await client.submit(b"three", schedule_delivery_time="000000010000000R", validity_period="000001000000000R")
    )
    assert abs(message.expires_at - now - 86_400_000) < 5000
    message = await house.message(await client.submit(b"four", validity_period="000030000000000R"))
    assert abs(message.expires_at - message.created_at - 7 * 86_400_000) < 1000  # cut to the longest there is


async def test_data_sm_is_a_submission_too(house: House) -> None:
    client = await house.client(await house.login())
    fields = submit_fields()
    del fields["short_message"]
    ttl = (tlv.TAGS["qos_time_to_live"], (600).to_bytes(4, "big"))
    answer = await client.ask(commands.DATA_SM, [(tlv.MESSAGE_PAYLOAD, b"by data sm"), ttl], **fields)
    assert answer.command_status == 0
    message = await house.message(answer)
    assert message.text == "by data sm"
    assert abs(message.expires_at - message.created_at - 600_000) < 1000
    await until(lambda: client.receipts)
    assert client.receipts[0].id == answer.fields["message_id"]


# -- many destinations


def multi_fields(*addresses: Any) -> dict[str, Any]:
    fields = submit_fields()
    for name in ("dest_addr_ton", "dest_addr_npi", "destination_addr"):
        del fields[name]
    return fields | {"dest_address": list(addresses)}


async def test_submit_multi_lists_what_failed_and_its_receipts_share_the_id(house: House) -> None:
    client = await house.client(await house.login())
    to = [SmeAddress(1, 1, PHONE), SmeAddress(1, 1, "33999"), SmeAddress(1, 1, OTHER_PHONE), SmeAddress(5, 0, "Bob")]
    answer = await client.ask(commands.SUBMIT_MULTI, **multi_fields(*to))
    assert answer.command_status == 0
    failed = {(one.address, one.status) for one in answer.fields["unsuccess_sme"]}
    assert failed == {("33999", status.ESME_RINVDSTADR), ("Bob", status.ESME_RINVDSTTON)}
    await until(lambda: len(client.receipts) == 2)
    assert {one.id for one in client.receipts} == {answer.fields["message_id"]}
    assert {one.handset for one in client.receipts} == {PHONE, OTHER_PHONE}
    query = await client.ask(commands.QUERY_SM, message_id=answer.fields["message_id"], source_addr="Acme")
    assert query.fields["message_state"] == 2


async def test_submit_multi_without_a_good_destination_is_refused(house: House) -> None:
    client = await house.client(await house.login())
    answer = await client.ask(commands.SUBMIT_MULTI, **multi_fields(SmeAddress(1, 1, "33999")))
    assert answer.command_status == status.ESME_RINVDSTADR
    answer = await client.ask(commands.SUBMIT_MULTI, **multi_fields(SmeAddress(5, 0, "Bob")))
    assert answer.command_status == status.ESME_RINVDSTTON
    answer = await client.ask(commands.SUBMIT_MULTI, **multi_fields(DistributionList("friends")))
    assert answer.command_status == status.ESME_RINVDLNAME
    answer = await client.ask(commands.SUBMIT_MULTI, **multi_fields())
    assert answer.command_status == status.ESME_RINVNUMDESTS
    answer = await client.ask(commands.SUBMIT_MULTI, **multi_fields(*[SmeAddress(1, 1, PHONE)] * 255))
    assert answer.command_status == status.ESME_RINVNUMDESTS


# -- limits


async def test_beyond_the_rate_a_customer_reads_throttled_and_others_do_not(house: House) -> None:
    slow, other = await house.client(await house.login(rate_per_s=10.0)), await house.client(await house.login())
    asked = [slow.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"%d" % n))) for n in range(40)]
    beside = [other.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"-%d" % n))) for n in range(40)]
    answers = [answer.command_status for answer in await asyncio.gather(*asked)]
    assert 10 <= answers.count(0) <= 15
    assert answers.count(status.ESME_RTHROTTLED) == 40 - answers.count(0)
    assert all(answer.command_status == 0 for answer in await asyncio.gather(*beside))


async def test_the_rate_counts_the_destinations_of_submit_multi(house: House) -> None:
    client = await house.client(await house.login(rate_per_s=3.0))
    to = [SmeAddress(1, 1, f"3361234567{n}") for n in range(8)]
    answer = await client.ask(commands.SUBMIT_MULTI, **multi_fields(*to))
    assert [one.status for one in answer.fields["unsuccess_sme"]] == [status.ESME_RTHROTTLED] * 5


async def test_beyond_the_window_a_customer_reads_throttled(house: House) -> None:
    client = await house.client(await house.login(window_size=5))
    asked = [client.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"%d" % n))) for n in range(50)]
    answers = [answer.command_status for answer in await asyncio.gather(*asked)]
    assert set(answers) == {0, status.ESME_RTHROTTLED}
    assert (await client.submit(b"later")).command_status == 0


# -- the store


async def test_no_answer_leaves_while_the_write_lock_is_held(house: House) -> None:
    client = await house.client(await house.login())
    intruder = sqlite3.connect(house.rt.settings.data_dir / "chappe.db", isolation_level=None)
    intruder.execute("begin immediate")
    try:
        asked = [client.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"%d" % n))) for n in range(10)]
        _, waiting = await asyncio.wait(asked, timeout=0.5)
        assert len(waiting) == 10
        assert house.operator.submits == []
    finally:
        intruder.execute("rollback")
        intruder.close()
    assert [answer.command_status for answer in await asyncio.gather(*asked)] == [0] * 10


async def test_a_store_that_stays_away_is_told_and_service_resumes(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr(house.rt.store, "_patience_s", 0.1)
    client = await house.client(await house.login())
    intruder = sqlite3.connect(house.rt.settings.data_dir / "chappe.db", isolation_level=None)
    intruder.execute("begin immediate")
    try:
        answer = await client.submit()
        assert answer.command_status == status.ESME_RSYSERR
    finally:
        intruder.execute("rollback")
        intruder.close()
    assert (await client.submit()).command_status == 0


async def test_a_backlog_is_told_as_a_full_queue(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr(house.smsc._intake._batches, "_max_waiting", 3)
    client = await house.client(await house.login())
    intruder = sqlite3.connect(house.rt.settings.data_dir / "chappe.db", isolation_level=None)
    intruder.execute("begin immediate")
    first = client.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"first")))
    await asyncio.sleep(0.1)  # it is in work now, what follows waits
    asked = [client.send(Pdu(commands.SUBMIT_SM, fields=submit_fields(b"%d" % n))) for n in range(10)]
    done, _ = await asyncio.wait(asked, timeout=0.3)
    assert {answer.result().command_status for answer in done} == {status.ESME_RMSGQFUL}
    assert len(done) == 7
    intruder.execute("rollback")
    intruder.close()
    answers = await asyncio.gather(first, *asked)
    assert sorted(answer.command_status for answer in answers) == [0] * 4 + [status.ESME_RMSGQFUL] * 7
