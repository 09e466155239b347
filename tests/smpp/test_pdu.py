from __future__ import annotations

import struct

import pytest
from hypothesis import given

from chappe.smpp import commands, status, tlv
from chappe.smpp.commands import RESPONSE, DistributionList, Failure, SmeAddress
from chappe.smpp.pdu import Pdu, PduError, decode, encode
from tests.smpp.strategies import pdus


@given(pdus())
def test_what_is_encoded_decodes_to_the_same(pdu: Pdu) -> None:
    frame = encode(pdu)
    assert decode(frame) == pdu
    assert encode(decode(frame)) == frame


@pytest.mark.parametrize("command_id", sorted(commands.LAYOUTS))
def test_absent_fields_are_empty_or_zero(command_id: int) -> None:
    pdu = decode(encode(Pdu(command_id, 0, 1)))
    assert set(pdu.fields) == {field.name for field in commands.LAYOUTS[command_id]}
    assert not any(pdu.fields.values())


def test_a_submit_sm_has_the_octets_of_the_specification() -> None:
    frame = encode(
        Pdu(
            commands.SUBMIT_SM,
            sequence_number=0x12345,
            fields={
                "source_addr_ton": 5,
                "source_addr": "Chappe",
                "dest_addr_ton": 1,
                "dest_addr_npi": 1,
                "destination_addr": "48600100200",
                "esm_class": 0x40,
                "validity_period": "000000001000000R",
                "registered_delivery": 1,
                "data_coding": 8,
                "short_message": b"\x05\x00\x03\x07\x02\x01\x04\x17",
            },
            tlvs=[(0x1400, b"pe")],
        )
    )
    body = (
        b"\0"
        b"\x05\x00Chappe\0"
        b"\x01\x0148600100200\0"
        b"\x40\x00\x00"
        b"\0"
        b"000000001000000R\0"
        b"\x01\x00\x08\x00"
        b"\x08\x05\x00\x03\x07\x02\x01\x04\x17"
        b"\x14\x00\x00\x02pe"
    )
    assert frame == struct.pack(">4I", 16 + len(body), 4, 0, 0x12345) + body


def test_a_submit_multi_and_its_failures_have_the_octets_of_the_specification() -> None:
    destinations = [SmeAddress(1, 1, "4860"), DistributionList("staff")]
    frame = encode(Pdu(commands.SUBMIT_MULTI, 0, 1, {"dest_address": destinations}))
    assert b"\x02\x01\x01\x014860\0\x02staff\0" in frame
    frame = encode(
        Pdu(
            commands.SUBMIT_MULTI | RESPONSE,
            0,
            1,
            {"message_id": "7", "unsuccess_sme": [Failure(1, 1, "4860", status.ESME_RINVDSTADR)]},
        )
    )
    assert frame[16:] == b"7\0\x01\x01\x014860\0\x00\x00\x00\x0b"


def test_a_refusal_may_come_without_a_body() -> None:
    for command_id in commands.LAYOUTS:
        if command_id >= RESPONSE:
            pdu = decode(struct.pack(">4I", 16, command_id, status.ESME_RTHROTTLED, 9))
            assert (pdu.command_id, pdu.command_status, pdu.sequence_number) == (command_id, 0x58, 9)
            assert pdu.fields == {}


def test_a_refusal_is_sent_without_a_body() -> None:
    assert len(encode(Pdu(commands.SUBMIT_SM | RESPONSE, status.ESME_RSYSERR, 1))) == 16


def test_a_refusal_may_come_with_a_body_even_a_broken_one() -> None:
    head = struct.pack(">4I", 20, commands.SUBMIT_SM | RESPONSE, status.ESME_RSYSERR, 9)
    assert decode(head + b"abc\0").fields == {"message_id": "abc"}
    assert decode(head + b"abcd").fields == {}


@pytest.mark.parametrize(
    ("command_id", "name"),
    [
        (commands.SUBMIT_SM, "message_id"),
        (commands.DELIVER_SM, "message_id"),
        (commands.DATA_SM, "message_id"),
        (commands.BIND_TRANSCEIVER, "system_id"),
    ],
)
def test_an_acceptance_without_a_body_has_an_empty_string(command_id: int, name: str) -> None:
    assert decode(struct.pack(">4I", 16, command_id | RESPONSE, 0, 9)).fields == {name: ""}


def test_an_answer_that_has_to_say_something_does_not_come_without_a_body() -> None:
    with pytest.raises(PduError):
        decode(struct.pack(">4I", 16, commands.QUERY_SM | RESPONSE, 0, 9))


def test_what_is_logged_holds_neither_text_nor_password() -> None:
    pdu = Pdu(commands.SUBMIT_SM, fields={"short_message": b"123456"}, tlvs=[(tlv.MESSAGE_PAYLOAD, b"123456")])
    assert "123456" not in repr(pdu)


def test_repeated_and_unknown_tlvs_are_kept_in_their_order() -> None:
    tlvs = [(0x9999, b""), (0x0381, b"1234"), (0x0381, b"5678"), (tlv.MESSAGE_STATE, b"wrong size")]
    pdu = decode(encode(Pdu(commands.DELIVER_SM, 0, 1, {}, tlvs)))
    assert pdu.tlvs == tlvs
    assert pdu.tlv(0x0381) == b"1234"
    assert pdu.tlv(0x0424) is None


def _patched(octets: bytes, tail: bytes) -> bytes:
    """A submit_sm body cut to `octets` from its start, then `tail`, with the right length in front."""
    return struct.pack(">4I", 16 + len(octets) + len(tail), commands.SUBMIT_SM, 0, 5) + octets + tail


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (_patched(b"", b"TOOLONG\0"), status.ESME_RINVSERTYP),
        (_patched(b"\0\x01\x01", b"1" * 21), status.ESME_RINVSRCADR),
        (_patched(b"\0\x01\x01\0\x01\x01", b"1" * 40), status.ESME_RINVDSTADR),
        (_patched(b"\0\0\0\0\0\0\0\0\0\0", b"1" * 17), status.ESME_RINVSCHED),
        (_patched(b"\0\0\0\0\0\0\0\0\0\0\0", b"1" * 17), status.ESME_RINVEXPIRY),
        (_patched(b"\0" * 16, b"\x05abcd"), status.ESME_RINVMSGLEN),
        (_patched(b"\0" * 10, b""), status.ESME_RINVSCHED),
        (_patched(b"\0\0", b""), status.ESME_RINVCMDLEN),
        (_patched(b"\0" * 17, b"\x04\x24\x00"), status.ESME_RINVOPTPARSTREAM),
        (_patched(b"\0" * 17, b"\x04\x24\x00\x05abcd"), status.ESME_RINVPARLEN),
    ],
)
def test_a_broken_structure_is_named_by_its_status(frame: bytes, code: int) -> None:
    with pytest.raises(PduError) as caught:
        decode(frame)
    error = caught.value
    assert (error.command_status, error.command_id, error.sequence_number, error.fatal) == (code, 4, 5, False)


def test_an_unknown_destination_flag_is_refused() -> None:
    body = b"\0\0\0\0\x01\x03"
    with pytest.raises(PduError) as caught:
        decode(struct.pack(">4I", 16 + len(body), commands.SUBMIT_MULTI, 0, 5) + body)
    assert caught.value.command_status == status.ESME_RINVDESTFLAG


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(PduError) as caught:
        decode(struct.pack(">4I", 16, 0x01000001, 0, 5))
    assert caught.value.command_status == status.ESME_RINVCMDID


@pytest.mark.parametrize(
    "frame", [b"", b"\0" * 15, struct.pack(">4I", 17, 0x15, 0, 1), struct.pack(">4I", 3, 0x15, 0, 1)]
)
def test_a_wrong_command_length_is_fatal(frame: bytes) -> None:
    with pytest.raises(PduError) as caught:
        decode(frame)
    assert caught.value.fatal


@pytest.mark.parametrize(
    "fields",
    [
        {"source_addr": "1" * 21},
        {"source_addr": "a\0b"},
        {"source_addr": "Łódź"},
        {"esm_class": 256},
        {"esm_class": -1},
        {"short_message": b"x" * 256},
        {"source_address": "a name that the specification does not have"},
    ],
)
def test_what_does_not_fit_is_not_sent(fields: dict[str, object]) -> None:
    with pytest.raises(PduError):
        encode(Pdu(commands.SUBMIT_SM, 0, 1, fields))


def test_a_tlv_that_does_not_fit_is_not_sent() -> None:
    with pytest.raises(PduError):
        encode(Pdu(commands.SUBMIT_SM, 0, 1, {}, [(tlv.MESSAGE_PAYLOAD, b"x" * 65536)]))
    with pytest.raises(PduError):
        encode(Pdu(commands.SUBMIT_SM, 0, 1, {}, [(0x10000, b"")]))


def test_a_failure_status_beyond_32_bits_is_not_sent() -> None:
    with pytest.raises(PduError):
        encode(Pdu(commands.SUBMIT_MULTI | RESPONSE, 0, 1, {"unsuccess_sme": [Failure(0, 0, "", 1 << 32)]}))


def test_254_and_255_octets_of_text_pass() -> None:
    for size in (254, 255):
        text = bytes(range(size))
        assert decode(encode(Pdu(commands.DELIVER_SM, 0, 1, {"short_message": text}))).fields["short_message"] == text


def test_a_long_password_passes_only_when_it_is_permitted() -> None:
    bind = Pdu(commands.BIND_TRANSCEIVER, 0, 1, {"system_id": "acme", "password": "nine char"})
    with pytest.raises(PduError) as caught:
        encode(bind)
    assert caught.value.command_status == status.ESME_RINVPASWD
    frame = encode(bind, long_passwords=True)
    assert decode(frame, long_passwords=True).fields["password"] == "nine char"
    with pytest.raises(PduError):
        decode(frame)


def test_a_string_is_lossless_in_every_octet() -> None:
    name = "".join(map(chr, range(1, 21)))
    for part in (name, "".join(map(chr, range(236, 256)))):
        assert decode(encode(Pdu(commands.SUBMIT_SM, 0, 1, {"source_addr": part}))).fields["source_addr"] == part
