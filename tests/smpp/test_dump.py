from __future__ import annotations

import json

import pytest
from hypothesis import given

from chappe.smpp import commands, status, tlv
from chappe.smpp.commands import RESPONSE
from chappe.smpp.dump import data_coding, dump, esm_class, redacted_hex, registered_delivery
from chappe.smpp.pdu import Pdu, encode
from tests.smpp.strategies import pdus

SECRET = b"Your code is 123456"


@given(pdus())
def test_every_pdu_can_be_shown(pdu: Pdu) -> None:
    for redact in (False, True):
        json.dumps(dump(pdu, redact))
    frame = encode(pdu)
    shown = redacted_hex(frame)
    assert len(shown) == 2 * len(frame)
    assert all(ours in (theirs, ".") for ours, theirs in zip(shown, frame.hex(), strict=True))


def test_names_and_bits_are_spelt_out() -> None:
    pdu = Pdu(
        commands.DELIVER_SM,
        0,
        7,
        {"source_addr_ton": 5, "dest_addr_npi": 1, "esm_class": 0x44, "data_coding": 8, "registered_delivery": 0x11},
        [(tlv.MESSAGE_STATE, b"\x02"), (0x1400, b"\x01"), (tlv.NETWORK_ERROR_CODE, b"\x03\x00\x0b")],
    )
    shown = dump(pdu)
    assert shown["command"] == "deliver_sm"
    assert shown["fields"]["source_addr_ton"] == "5 (alphanumeric)"
    assert shown["fields"]["dest_addr_npi"] == "1 (E.164)"
    assert shown["fields"]["esm_class"] == "68 (default mode, delivery receipt, UDH)"
    assert shown["fields"]["data_coding"] == "8 (UCS-2)"
    assert shown["fields"]["registered_delivery"] == "17 (receipt on success and failure, intermediate notification)"
    assert shown["tlvs"][0] == {"tag": "0x0427", "name": "message_state", "value": "2 (DELIVERED)"}
    assert shown["tlvs"][1]["name"] == "vendor_0x1400"
    assert shown["tlvs"][2]["value"] == "GSM 11"
    refusal = dump(Pdu(commands.SUBMIT_SM | RESPONSE, status.ESME_RTHROTTLED, 7))
    assert refusal["command_status"] == "0x00000058 ESME_RTHROTTLED"


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (0x00, "message centre default"),
        (0x10, "default alphabet, class 0 (flash)"),
        (0x18, "UCS-2, class 0 (flash)"),
        (0xF0, "default alphabet, class 0 (flash)"),
        (0xF5, "8-bit data, class 1"),
        (0xF2, "default alphabet, class 2 (SIM)"),
        (0xC8, "message waiting, discard the message"),
        (0xE8, "message waiting, store the message, UCS-2"),
        (0x2C, "reserved alphabet, compressed"),
        (0x90, "reserved"),
    ],
)
def test_data_coding_is_spelt_out(value: int, meaning: str) -> None:
    assert data_coding(value) == meaning


@pytest.mark.parametrize("value", range(256))
def test_every_octet_of_bits_has_words(value: int) -> None:
    assert esm_class(value) and registered_delivery(value) and data_coding(value)


def test_texts_and_passwords_are_hidden() -> None:
    message = Pdu(commands.SUBMIT_SM, 0, 1, {"destination_addr": "4860", "short_message": SECRET})
    payload = Pdu(commands.DATA_SM, 0, 1, {}, [(tlv.MESSAGE_PAYLOAD, SECRET), (0x1400, b"pe")])
    bind = Pdu(commands.BIND_TRANSCEIVER, 0, 1, {"system_id": "acme", "password": "hunter2"})
    for pdu, secret in ((message, SECRET), (payload, SECRET), (bind, b"hunter2")):
        shown = json.dumps(dump(pdu, redact=True))
        assert secret.decode() not in shown and secret.hex() not in shown
        digits = redacted_hex(encode(pdu))
        assert secret.hex() not in digits
        assert digits.count("..") == len(secret)
    assert dump(message, redact=True)["fields"]["short_message"] == {"octets": len(SECRET)}
    assert dump(message)["fields"]["short_message"]["text"] == SECRET.decode()
    assert b"acme".hex() in redacted_hex(encode(bind))
    assert b"pe".hex() in redacted_hex(encode(payload))


def test_of_a_receipt_only_the_text_is_hidden() -> None:
    head = b"id:7 stat:DELIVRD err:000 text:"
    pdu = Pdu(commands.DELIVER_SM, 0, 1, {"esm_class": 4, "short_message": head + SECRET})
    assert dump(pdu, redact=True)["fields"]["short_message"]["text"] == head.decode()
    digits = redacted_hex(encode(pdu))
    assert head.hex() in digits
    assert digits.count("..") == len(SECRET)


def test_a_message_that_calls_itself_a_receipt_hides_its_text() -> None:
    pdu = Pdu(commands.DELIVER_SM, 0, 1, {"esm_class": 4, "short_message": SECRET})
    assert redacted_hex(encode(pdu)).count("..") == len(SECRET)


def test_of_what_cannot_be_read_only_the_header_is_shown() -> None:
    frame = encode(Pdu(commands.SUBMIT_SM, 0, 1, {"short_message": SECRET}))
    broken = frame[:3] + bytes((len(frame) - 1,)) + frame[4:-1]
    assert redacted_hex(broken) == broken[:16].hex() + ".." * (len(broken) - 16)
    assert redacted_hex(b"abc") == b"abc".hex()


def test_a_long_password_is_hidden_as_well() -> None:
    bind = Pdu(commands.BIND_RECEIVER, 0, 1, {"password": "correct horse"})
    assert redacted_hex(encode(bind, long_passwords=True)).count("..") == 13
