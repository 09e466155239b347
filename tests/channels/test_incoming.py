from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.channels import Inbound, Receipt, Verdict
from chappe.channels.settings import InboundRules, PrefixRule, ReceiptSettings, SmppSettings
from chappe.channels.smpp.incoming import Reader
from chappe.smpp import Pdu, commands, tlv

NOW = 1_800_000_000_000
TEXT = "id:{id} sub:001 dlvrd:001 submit date:2701150755 done date:2701150800 stat:{stat} err:{err} text:hello"


def deliver(text: bytes | str = b"", tlvs: list[tuple[int, bytes]] | None = None, **fields: Any) -> Pdu:
    body = text.encode("latin-1") if isinstance(text, str) else text
    values = {
        "source_addr_ton": 1,
        "source_addr": "33600000001",
        "dest_addr_ton": 5,
        "destination_addr": "Chappe",
        "short_message": body,
        "esm_class": 0,
        "data_coding": 0,
    } | fields
    return Pdu(commands.DELIVER_SM, 0, 1, values, tlvs or [])


def read(pdu: Pdu, **settings: Any) -> Receipt | Inbound:
    return Reader(7, SmppSettings(host="mc", **settings)).read(pdu, b"raw", NOW)


def receipt(
    id: str = "ab12",
    stat: str = "DELIVRD",
    err: str = "000",
    tlvs: list[tuple[int, bytes]] | None = None,
    settings: dict[str, Any] | None = None,
    **fields: Any,
) -> Receipt:
    pdu = deliver(TEXT.format(id=id, stat=stat, err=err), tlvs, **{"esm_class": 0x04} | fields)
    found = read(pdu, **(settings or {}))
    assert isinstance(found, Receipt)
    return found


def inbound(pdu: Pdu, **settings: Any) -> Inbound:
    found = read(pdu, **settings)
    assert isinstance(found, Inbound)
    return found


def test_a_receipt_tells_id_state_handset_and_time() -> None:
    found = receipt(id="00AB12")
    assert (found.provider_id, found.provider_key) == ("00AB12", "ab12")
    assert (found.state, found.final, found.error) == ("delivered", True, None)
    assert (found.destination, found.raw, found.connector_id, found.received_at) == ("33600000001", b"raw", 7, NOW)
    assert found.done_at == round(datetime(2027, 1, 15, 8, 0, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("stat", "state", "final"),
    [
        ("DELIVRD", "delivered", True),
        ("EXPIRED", "expired", True),
        ("DELETED", "deleted", True),
        ("UNDELIV", "undelivered", True),
        ("FAILED", "undelivered", True),
        ("REJECTD", "rejected", True),
        ("SKIPPED", "undelivered", True),
        ("ACCEPTD", "accepted", False),
        ("UNKNOWN", "unknown", False),
        ("WHATEVR", "unknown", False),
        ("ENROUTE", "enroute", False),
        ("BUFFERD", "enroute", False),
        ("ACKED", "enroute", False),
    ],
)
def test_states_have_one_vocabulary(stat: str, state: str, final: bool) -> None:
    found = receipt(stat=stat, err="")
    assert (found.state, found.final) == (state, final)
    assert (found.error is None) == (state == "delivered" or not final)


@pytest.mark.parametrize(
    ("stat", "err", "code", "verdict"),
    [
        ("UNDELIV", "001", "unknown_subscriber", Verdict.PERMANENT),
        ("UNDELIV", "013", "barred", Verdict.PERMANENT),
        ("UNDELIV", "009", "illegal_subscriber", Verdict.PERMANENT),
        ("UNDELIV", "011", "not_provisioned", Verdict.PERMANENT),
        ("UNDELIV", "061", "absent_subscriber", Verdict.RETRY),
        ("UNDELIV", "031", "handset_busy", Verdict.RETRY),
        ("UNDELIV", "052", "memory_full", Verdict.RETRY),
        ("UNDELIV", "034", "supplier_error", Verdict.RETRY),
        ("UNDELIV", "954", "unknown_error", Verdict.RETRY),
        ("UNDELIV", "0xff", "unknown_error", Verdict.RETRY),
        ("EXPIRED", "000", "validity_expired", Verdict.RETRY),
        ("EXPIRED", "060", "absent_subscriber", Verdict.RETRY),
        ("REJECTD", "000", "supplier_rejected", Verdict.PERMANENT),
        ("DELETED", "000", "supplier_rejected", Verdict.PERMANENT),
    ],
)
def test_a_failure_says_why_and_for_how_long(stat: str, err: str, code: str, verdict: Verdict) -> None:
    error = receipt(stat=stat, err=err).error
    assert error is not None
    assert (error.code, error.verdict, error.supplier) == (code, verdict, f"{stat} err:{err}")


def test_a_suppliers_own_numbers_are_mapped_first() -> None:
    settings = {"receipt": ReceiptSettings(err_map={"a7": "content_rejected", "1": "absent_subscriber"})}
    first = receipt(stat="UNDELIV", err="0A7", settings=settings).error
    second = receipt(stat="UNDELIV", err="001", settings=settings).error
    assert first is not None and first.code == "content_rejected"
    assert second is not None and (second.code, second.verdict) == ("absent_subscriber", Verdict.RETRY)


def test_an_error_number_with_delivrd_is_no_error() -> None:
    assert receipt(err="002").error is None


def test_tlvs_without_a_text_are_a_receipt() -> None:
    tlvs = [
        (tlv.RECEIPTED_MESSAGE_ID, b"77\0"),
        (tlv.MESSAGE_STATE, b"\x05"),
        (tlv.NETWORK_ERROR_CODE, b"\x03\x00\x0d"),
    ]
    found = read(deliver(b"", tlvs, esm_class=0x04))
    assert isinstance(found, Receipt)
    assert (found.provider_key, found.state, found.final) == ("77", "undelivered", True)
    assert found.error is not None and found.error.code == "barred"


def test_a_text_in_message_payload_is_a_receipt() -> None:
    payload = TEXT.format(id="x1", stat="DELIVRD", err="000").encode()
    found = read(deliver(b"", [(tlv.MESSAGE_PAYLOAD, payload)], esm_class=0x04))
    assert isinstance(found, Receipt) and found.provider_key == "x1"


def test_data_sm_brings_receipts_as_well() -> None:
    payload = TEXT.format(id="x2", stat="DELIVRD", err="000").encode()
    fields = {"source_addr": "33600000001", "destination_addr": "Chappe", "esm_class": 0x04, "data_coding": 0}
    found = read(Pdu(commands.DATA_SM, 0, 1, fields, [(tlv.MESSAGE_PAYLOAD, payload)]))
    assert isinstance(found, Receipt) and found.provider_key == "x2"


@pytest.mark.parametrize(
    ("id_mode", "in_response", "in_receipt"),
    [
        ("string", "000A1b", "a1B"),
        ("resp_hex_receipt_dec", "1F4", "0000000500"),
        ("resp_dec_receipt_hex", "500", "1f4"),
        ("both_hex", "0001F4", "1f4"),
        ("both_dec", "0500", "500"),
        ("resp_hex_receipt_dec", "DE0B6B3A7640000", "1000000000000000000"),
    ],
)
def test_both_sides_of_a_supplier_agree_on_the_id(id_mode: str, in_response: str, in_receipt: str) -> None:
    settings: dict[str, Any] = {"receipt": ReceiptSettings(id_mode=id_mode)}  # type: ignore[arg-type]
    reader = Reader(7, SmppSettings(host="mc", **settings))
    assert receipt(id=in_receipt, settings=settings).provider_key == reader.key(in_response, "response")


def test_the_connector_says_which_id_wins() -> None:
    tlvs = [(tlv.RECEIPTED_MESSAGE_ID, b"tlv\0")]
    assert receipt(id="text", tlvs=tlvs).provider_key == "tlv"
    settings = {"receipt": ReceiptSettings(id_from="text")}
    assert receipt(id="text", tlvs=tlvs, settings=settings).provider_key == "text"


def test_a_receipt_with_a_header_is_still_a_receipt() -> None:
    text = b"\x05\x00\x03\x01\x01\x01" + TEXT.format(id="x3", stat="DELIVRD", err="000").encode()
    found = read(deliver(text, esm_class=0x44))
    assert isinstance(found, Receipt) and found.provider_key == "x3"


def test_an_intermediate_notification_is_never_final() -> None:
    found = receipt(stat="UNDELIV", err="060", esm_class=0x20)
    assert (found.final, found.error) == (False, None)


def test_the_suppliers_clock_may_be_elsewhere() -> None:
    found = receipt(settings={"receipt": ReceiptSettings(timezone_minutes=60)})
    assert found.done_at == round(datetime(2027, 1, 15, 7, 0, tzinfo=UTC).timestamp() * 1000)


def test_swapped_addresses_and_national_numbers_come_back_as_the_handset() -> None:
    rules = InboundRules(prefixes=(PrefixRule(prefix="0", replace="33"),))
    found = receipt(source_addr="0600000001", settings={"inbound_source": rules})
    assert found.destination == "33600000001"
    swapped = {"receipt": ReceiptSettings(swapped_addresses=True), "inbound_destination": rules}
    found = receipt(
        source_addr="Chappe", source_addr_ton=5, destination_addr="0600000001", dest_addr_ton=2, settings=swapped
    )
    assert found.destination == "33600000001"


def test_a_receipt_without_an_id_is_kept_as_one() -> None:
    found = read(deliver(b"\xff\xfe nonsense", esm_class=0x04))
    assert isinstance(found, Receipt)
    assert (found.provider_id, found.provider_key, found.state, found.final) == ("", "", "unknown", False)
    assert found.raw == b"raw"


def test_a_subscriber_cannot_forge_a_receipt() -> None:
    forged = TEXT.format(id="ab12", stat="DELIVRD", err="000")
    assert inbound(deliver(forged)).text == forged
    with_tlvs = deliver(forged, [(tlv.RECEIPTED_MESSAGE_ID, b"ab12\0"), (tlv.MESSAGE_STATE, b"\x02")])
    assert isinstance(read(with_tlvs), Inbound)


def test_a_dialect_may_take_plain_texts_for_receipts() -> None:
    settings = {"receipt": ReceiptSettings(plain_text_receipts=True)}
    assert isinstance(receipt(esm_class=0, settings=settings), Receipt)
    assert inbound(deliver("id: what about it?"), **settings).text == "id: what about it?"


@pytest.mark.parametrize(
    ("octets", "data_coding", "settings", "text"),
    [
        (b"STOP \x1b\x65", 0x00, {}, "STOP €"),
        ("déjà".encode("latin-1"), 0x00, {"default_alphabet": "latin1"}, "déjà"),
        ("déjà".encode("latin-1"), 0x03, {}, "déjà"),
        (b"plain", 0x00, {"default_alphabet": "ascii"}, "plain"),
        ("Привет 😀".encode("utf-16-be"), 0x08, {}, "Привет 😀"),
        ("Привет".encode("utf-16-le"), 0x08, {"ucs2_little_endian": True}, "Привет"),
        (bytes.fromhex("e8329bfd4697d9ec37"), 0x00, {"default_alphabet": "gsm7_packed"}, "hellohello"),
        (b"\x01\x02\x03", 0x04, {}, None),
        (b"\xd8", 0x08, {}, None),
        (b"", 0x00, {}, ""),
    ],
)
def test_a_reply_is_read_in_the_suppliers_alphabet(
    octets: bytes, data_coding: int, settings: dict[str, Any], text: str | None
) -> None:
    found = inbound(deliver(octets, data_coding=data_coding), **settings)
    assert found.text == text
    assert found.data_coding == data_coding
    assert found.raw == b"raw"
    if text is None:
        assert found.payload == octets


@pytest.mark.parametrize(
    ("pdu", "concat", "udh"),
    [
        (deliver(b"\x05\x00\x03\x2a\x03\x02hi", esm_class=0x40), (0x2A, 3, 2), b"\x05\x00\x03\x2a\x03\x02"),
        (deliver(b"\x06\x08\x04\x12\x34\x03\x02hi", esm_class=0x40), (0x1234, 3, 2), b"\x06\x08\x04\x12\x34\x03\x02"),
        (
            deliver(
                b"hi",
                [(tlv.SAR_MSG_REF_NUM, b"\0\7"), (tlv.SAR_TOTAL_SEGMENTS, b"\2"), (tlv.SAR_SEGMENT_SEQNUM, b"\1")],
            ),
            (7, 2, 1),
            b"",
        ),
        (deliver(b"hi", [(tlv.SAR_MSG_REF_NUM, b"\0\7")]), None, b""),
        (deliver(b"", [(tlv.MESSAGE_PAYLOAD, b"hi")]), None, b""),
        (deliver(b"hi"), None, b""),
    ],
)
def test_parts_of_long_replies_say_where_they_stand(pdu: Pdu, concat: tuple[int, int, int] | None, udh: bytes) -> None:
    found = inbound(pdu)
    assert (found.concat, found.udh, found.payload, found.text) == (concat, udh, b"hi", "hi")


def test_a_reply_keeps_unknown_tlvs_and_not_its_own_text() -> None:
    found = inbound(deliver(b"", [(0x1400, b"x"), (tlv.MESSAGE_PAYLOAD, b"hi")]))
    assert found.tlvs == ((0x1400, b"x"),)


def test_the_addresses_of_a_reply_are_written_back() -> None:
    rules = {
        "inbound_source": InboundRules(prefixes=(PrefixRule(prefix="0", replace="33"),)),
        "inbound_destination": InboundRules(prefixes=(PrefixRule(prefix="99", replace=""),)),
    }
    found = inbound(deliver(b"hi", source_addr="0600000001", destination_addr="9936000", dest_addr_ton=0), **rules)
    assert (found.source, found.destination) == ("33600000001", "36000")
    assert inbound(deliver(b"hi", source_addr="+33600000001")).source == "33600000001"


@given(
    st.binary(max_size=254),
    st.integers(0, 255),
    st.integers(0, 255),
    st.lists(st.tuples(st.sampled_from([*tlv.TABLE, 0x1400]), st.binary(max_size=40)), max_size=5),
    st.text(st.characters(max_codepoint=255, exclude_characters="\0"), max_size=20),
)
def test_no_octets_of_a_stranger_raise(
    text: bytes, esm_class: int, data_coding: int, tlvs: list[tuple[int, bytes]], address: str
) -> None:
    pdu = deliver(text, tlvs, esm_class=esm_class, data_coding=data_coding, source_addr=address)
    for plain in (False, True):
        found = read(pdu, receipt=ReceiptSettings(plain_text_receipts=plain))
        assert found.raw == b"raw"
