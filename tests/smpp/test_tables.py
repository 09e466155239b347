"""The tables hold everything that the two specifications name, and agree with each other."""

from __future__ import annotations

import pytest

from chappe.smpp import commands, status, tlv
from chappe.smpp.commands import RESPONSE, Shape
from chappe.smpp.status import Verdict


@pytest.mark.parametrize(
    ("command_id", "name"),
    [
        (0x00000001, "bind_receiver"),
        (0x00000002, "bind_transmitter"),
        (0x00000003, "query_sm"),
        (0x00000004, "submit_sm"),
        (0x00000005, "deliver_sm"),
        (0x00000006, "unbind"),
        (0x00000007, "replace_sm"),
        (0x00000008, "cancel_sm"),
        (0x00000009, "bind_transceiver"),
        (0x0000000B, "outbind"),
        (0x00000015, "enquire_link"),
        (0x00000021, "submit_multi"),
        (0x00000102, "alert_notification"),
        (0x00000103, "data_sm"),
        (0x00000111, "broadcast_sm"),
        (0x00000112, "query_broadcast_sm"),
        (0x00000113, "cancel_broadcast_sm"),
    ],
)
def test_every_command_has_its_number_its_fields_and_its_response(command_id: int, name: str) -> None:
    assert commands.name(command_id) == name
    assert getattr(commands, name.upper()) == command_id
    assert command_id in commands.LAYOUTS
    assert (command_id | RESPONSE in commands.LAYOUTS) is (command_id not in commands.UNANSWERED)
    if command_id not in commands.UNANSWERED:
        assert commands.name(command_id | RESPONSE) == f"{name}_resp"


def test_there_are_no_other_commands() -> None:
    requests = {command_id for command_id in commands.LAYOUTS if command_id < RESPONSE}
    assert len(requests) == 17
    assert commands.name(commands.GENERIC_NACK) == "generic_nack"
    assert commands.name(0x01000001) == "auth_acc"
    assert commands.name(0x77) == "unknown_0x00000077"


@pytest.mark.parametrize(
    ("command_id", "names"),
    [
        (commands.BIND_TRANSCEIVER, "system_id password system_type interface_version addr_ton addr_npi address_range"),
        (
            commands.SUBMIT_SM,
            "service_type source_addr_ton source_addr_npi source_addr dest_addr_ton dest_addr_npi destination_addr "
            "esm_class protocol_id priority_flag schedule_delivery_time validity_period registered_delivery "
            "replace_if_present_flag data_coding sm_default_msg_id short_message",
        ),
        (commands.QUERY_SM, "message_id source_addr_ton source_addr_npi source_addr"),
        (commands.QUERY_SM | RESPONSE, "message_id final_date message_state error_code"),
        (
            commands.CANCEL_SM,
            "service_type message_id source_addr_ton source_addr_npi source_addr "
            "dest_addr_ton dest_addr_npi destination_addr",
        ),
        (
            commands.REPLACE_SM,
            "message_id source_addr_ton source_addr_npi source_addr schedule_delivery_time validity_period "
            "registered_delivery sm_default_msg_id short_message",
        ),
        (
            commands.DATA_SM,
            "service_type source_addr_ton source_addr_npi source_addr dest_addr_ton dest_addr_npi destination_addr "
            "esm_class registered_delivery data_coding",
        ),
        (
            commands.BROADCAST_SM,
            "service_type source_addr_ton source_addr_npi source_addr message_id priority_flag schedule_delivery_time "
            "validity_period replace_if_present_flag data_coding sm_default_msg_id",
        ),
        (commands.CANCEL_BROADCAST_SM, "service_type message_id source_addr_ton source_addr_npi source_addr"),
    ],
)
def test_fields_stand_in_the_order_of_the_specification(command_id: int, names: str) -> None:
    assert [field.name for field in commands.LAYOUTS[command_id]] == names.split()


def test_sizes_count_the_closing_nul() -> None:
    sizes = {(command_id, field.name): field.size for command_id, row in commands.LAYOUTS.items() for field in row}
    assert sizes[commands.BIND_RECEIVER, "system_id"] == 16
    assert sizes[commands.BIND_RECEIVER, "password"] == 9
    assert sizes[commands.BIND_RECEIVER, "system_type"] == 13
    assert sizes[commands.BIND_RECEIVER, "address_range"] == 41
    assert sizes[commands.SUBMIT_SM, "service_type"] == 6
    assert sizes[commands.SUBMIT_SM, "source_addr"] == 21
    assert sizes[commands.DATA_SM, "source_addr"] == sizes[commands.DATA_SM, "destination_addr"] == 65
    assert sizes[commands.SUBMIT_SM | RESPONSE, "message_id"] == 65
    assert all(field.size > 1 for row in commands.LAYOUTS.values() for field in row if field.shape is Shape.STRING)


@pytest.mark.parametrize(
    ("code", "name", "verdict", "stop"),
    [
        (0x00, "ESME_ROK", Verdict.OK, False),
        (0x01, "ESME_RINVMSGLEN", Verdict.BUG, False),
        (0x04, "ESME_RINVBNDSTS", Verdict.BIND, False),
        (0x05, "ESME_RALYBND", Verdict.BIND, False),
        (0x08, "ESME_RSYSERR", Verdict.RETRY, False),
        (0x0A, "ESME_RINVSRCADR", Verdict.PERMANENT, False),
        (0x0B, "ESME_RINVDSTADR", Verdict.PERMANENT, False),
        (0x0D, "ESME_RBINDFAIL", Verdict.BIND, False),
        (0x0E, "ESME_RINVPASWD", Verdict.BIND, True),
        (0x0F, "ESME_RINVSYSID", Verdict.BIND, True),
        (0x14, "ESME_RMSGQFUL", Verdict.THROTTLE, False),
        (0x45, "ESME_RSUBMITFAIL", Verdict.RETRY, False),
        (0x53, "ESME_RINVSYSTYP", Verdict.BIND, True),
        (0x58, "ESME_RTHROTTLED", Verdict.THROTTLE, False),
        (0x64, "ESME_RX_T_APPN", Verdict.RETRY, False),
        (0x65, "ESME_RX_P_APPN", Verdict.PERMANENT, False),
        (0xC4, "ESME_RINVOPTPARAMVAL", Verdict.BUG, False),
        (0xFE, "ESME_RDELIVERYFAILURE", Verdict.PERMANENT, False),
        (0xFF, "ESME_RUNKNOWNERR", Verdict.RETRY, False),
        (0x101, "ESME_RPROHIBITED", Verdict.PERMANENT, False),
        (0x112, "ESME_RINVBCASTCHANIND", Verdict.BUG, False),
    ],
)
def test_a_status_says_what_to_do(code: int, name: str, verdict: Verdict, stop: bool) -> None:
    row = status.lookup(code)
    assert (row.code, row.name, row.verdict, row.stop) == (code, name, verdict, stop)
    assert status.name(code) == name


def test_all_codes_of_both_specifications_are_there() -> None:
    v34 = [*range(0x00, 0x09), *range(0x0A, 0x10), 0x11, 0x13, 0x14, 0x15, 0x33, 0x34, 0x40]
    v34 += [*range(0x42, 0x46), 0x48, 0x49, 0x50, 0x51, 0x53, 0x54, 0x55, 0x58, *range(0x61, 0x68)]
    v34 += [*range(0xC0, 0xC5), 0xFE, 0xFF]
    assert sorted(status.TABLE) == v34 + list(range(0x100, 0x113))


def test_a_vendor_code_is_worth_a_few_tries() -> None:
    for code in (0x400, 0x4FF, 0x7777):
        row = status.lookup(code)
        assert (row.verdict, row.tries, row.name) == (Verdict.RETRY, status.FEW_TRIES, f"0x{code:08X}")


def test_all_tags_of_both_specifications_are_there() -> None:
    tags = [*range(0x05, 0x09), *range(0x0D, 0x11), 0x17, 0x19, 0x1D, 0x1E, 0x30, *range(0x201, 0x206)]
    tags += [*range(0x20A, 0x211), 0x302, 0x303, 0x304, 0x381, *range(0x420, 0x429), 0x501, *range(0x600, 0x60C)]
    tags += [*range(0x60D, 0x614), 0x1201, 0x1203, 0x1204, 0x130C, 0x1380, 0x1383]
    assert sorted(tlv.TABLE) == tags
    assert tlv.TAGS["message_payload"] == 0x0424
    assert tlv.TAGS["dest_addr_np_country"] == 0x0613


def test_tags_without_a_row_have_a_name_all_the_same() -> None:
    assert tlv.name(0x1400) == "vendor_0x1400"
    assert tlv.name(0x8081) == "0x8081"


@pytest.mark.parametrize(
    ("name", "value", "raw"),
    [
        ("message_state", 2, b"\x02"),
        ("sar_msg_ref_num", 258, b"\x01\x02"),
        ("qos_time_to_live", 3600, b"\x00\x00\x0e\x10"),
        ("receipted_message_id", "abc", b"abc\0"),
        ("message_payload", b"\x00text", b"\x00text"),
        ("network_error_code", b"\x03\x00\x0b", b"\x03\x00\x0b"),
    ],
)
def test_a_value_is_packed_and_unpacked_by_its_row(name: str, value: int | str | bytes, raw: bytes) -> None:
    tag = tlv.TAGS[name]
    assert tlv.pack(tag, value) == raw
    assert tlv.unpack(tag, raw) == value


def test_values_of_an_odd_size_are_kept_as_they_came() -> None:
    assert tlv.unpack(tlv.MESSAGE_STATE, b"\x00\x02") == b"\x00\x02"
    assert tlv.unpack(tlv.RECEIPTED_MESSAGE_ID, b"no nul") == "no nul"
    assert tlv.unpack(tlv.RECEIPTED_MESSAGE_ID, b"x" * 70) == b"x" * 70
    assert tlv.unpack(tlv.RECEIPTED_MESSAGE_ID, b"a\0b\0") == b"a\0b\0"
    assert tlv.unpack(0x1400, b"1234") == b"1234"


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (tlv.MESSAGE_STATE, 256),
        (tlv.MESSAGE_STATE, -1),
        (tlv.MESSAGE_STATE, "two"),
        (tlv.RECEIPTED_MESSAGE_ID, "x" * 65),
        (tlv.RECEIPTED_MESSAGE_ID, "a\0b"),
        (tlv.MESSAGE_PAYLOAD, b"x" * 65536),
        (0x1400, 7),
    ],
)
def test_a_value_that_does_not_fit_its_row_is_refused(tag: int, value: int | str | bytes) -> None:
    with pytest.raises(ValueError):
        tlv.pack(tag, value)
