from __future__ import annotations

from typing import Any

import pytest

from chappe.channels.settings import AddressRules, PrefixRule, SmppSettings, TlvRule
from chappe.channels.smpp.outgoing import Composer
from chappe.smpp import Pdu, commands, decode, encode, tlv
from tests.channels.runner import part

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z


def composed(settings: dict[str, Any] | None = None, options: dict[str, Any] | None = None, **fields: Any) -> Pdu:
    """The PDU of a part, once over the wire."""
    composer = Composer(SmppSettings(host="mc", **(settings or {}), **(options or {})))
    return decode(encode(composer.compose(part(**fields), NOW)))


def test_a_plain_text_goes_out_as_submit_sm_with_a_receipt_asked_for() -> None:
    pdu = composed()
    assert pdu.command_id == commands.SUBMIT_SM
    assert pdu.fields["short_message"] == b"hello"
    assert (pdu.fields["source_addr_ton"], pdu.fields["source_addr_npi"], pdu.fields["source_addr"]) == (5, 0, "Chappe")
    assert (pdu.fields["dest_addr_ton"], pdu.fields["dest_addr_npi"]) == (1, 1)
    assert pdu.fields["destination_addr"] == "33600000001"
    assert pdu.fields["registered_delivery"] == 1
    assert (pdu.fields["esm_class"], pdu.fields["data_coding"], pdu.fields["validity_period"]) == (0, 0, "")
    assert pdu.tlvs == []


@pytest.mark.parametrize(("settings", "fields"), [({"receipts": False}, {}), ({}, {"receipt": False})])
def test_no_receipt_is_asked_for_when_nobody_wants_one(settings: dict[str, Any], fields: dict[str, Any]) -> None:
    assert composed(settings, **fields).fields["registered_delivery"] == 0


def test_what_the_part_says_of_the_wire_is_kept() -> None:
    pdu = composed(esm_class=0x80, protocol_id=0x41, priority=2, data_coding=8, service_type="WAP")
    assert [pdu.fields[name] for name in ("esm_class", "protocol_id", "priority_flag", "data_coding")] == [
        0x80,
        0x41,
        2,
        8,
    ]
    assert pdu.fields["service_type"] == "WAP"


def test_the_connector_has_a_service_type_that_a_part_may_override() -> None:
    assert composed({"service_type": "CMT"}).fields["service_type"] == "CMT"
    assert composed({"service_type": "CMT"}, service_type="VMN").fields["service_type"] == "VMN"


def test_every_part_with_a_header_has_the_udhi_bit() -> None:
    udh = b"\x05\x00\x03\x07\x02\x01"
    pdu = composed(udh=udh)
    assert pdu.fields["esm_class"] == 0x40
    assert pdu.fields["short_message"] == udh + b"hello"


def test_sar_travels_as_tlvs_and_without_a_header() -> None:
    pdu = composed(sar=(0x1234, 3, 2))
    assert pdu.tlv(tlv.SAR_MSG_REF_NUM) == b"\x12\x34"
    assert pdu.tlv(tlv.SAR_TOTAL_SEGMENTS) == b"\x03"
    assert pdu.tlv(tlv.SAR_SEGMENT_SEQNUM) == b"\x02"
    assert pdu.fields["esm_class"] == 0


@pytest.mark.parametrize("fields", [{"in_payload_tlv": True}, {"payload": b"x" * 255}])
def test_a_long_text_goes_into_message_payload(fields: dict[str, Any]) -> None:
    pdu = composed(**fields)
    assert pdu.fields["short_message"] == b""
    assert pdu.tlv(tlv.MESSAGE_PAYLOAD) == fields.get("payload", b"hello")


def test_254_octets_still_fit_the_short_message() -> None:
    assert composed(payload=b"x" * 254).fields["short_message"] == b"x" * 254


def test_the_deadline_is_an_absolute_time_in_utc() -> None:
    assert composed(deadline=NOW + 300_000).fields["validity_period"] == "270115080500000+"


def test_the_deadline_may_be_written_as_a_duration() -> None:
    relative = {"relative_validity": True}
    assert composed(options=relative, deadline=NOW + 300_000).fields["validity_period"] == "000000000500000R"
    assert composed(options=relative, deadline=NOW - 5).fields["validity_period"] == "000000000001000R"
    assert composed(options=relative, deadline=NOW + 90 * 86_400_000).fields["validity_period"] == "000031000000000R"


def test_a_supplier_that_refuses_long_validities_gets_its_longest() -> None:
    pdu = composed({"validity_max_s": 60}, deadline=NOW + 300_000)
    assert pdu.fields["validity_period"] == "270115080100000+"


def test_the_connectors_tlvs_are_added_where_the_part_has_none_of_its_own() -> None:
    rules = (TlvRule(tag="0x1400", text="1101", nul=True), TlvRule(tag="0x1401", hex="0aff"))
    pdu = composed({"tlvs": rules}, tlvs=((0x1401, b"mine"),))
    assert pdu.tlvs == [(0x1401, b"mine"), (0x1400, b"1101\0")]


def test_addresses_follow_the_connectors_rules() -> None:
    rules = AddressRules(prefixes=(PrefixRule(prefix="33", replace="0"),))
    pdu = composed({"destination": rules, "source": AddressRules(plus=True)}, sender="33700000000")
    assert (pdu.fields["dest_addr_ton"], pdu.fields["destination_addr"]) == (2, "0600000001")
    assert pdu.fields["source_addr"] == "+33700000000"


def test_data_sm_carries_text_and_life_time_in_tlvs() -> None:
    pdu = composed(options={"data_sm": True}, deadline=NOW + 90_000, udh=b"\x01\x00", data_coding=4)
    assert pdu.command_id == commands.DATA_SM
    assert pdu.tlv(tlv.MESSAGE_PAYLOAD) == b"\x01\x00hello"
    assert pdu.tlv(tlv.TAGS["qos_time_to_live"]) == (90).to_bytes(4, "big")
    assert (pdu.fields["esm_class"], pdu.fields["data_coding"], pdu.fields["registered_delivery"]) == (0x40, 4, 1)


def test_many_senders_do_not_mix() -> None:
    composer = Composer(SmppSettings(host="mc"))
    for number in [*range(5000), 3, 4999]:
        pdu = composer.compose(part(sender=f"Shop {number}"), NOW)
        assert pdu.fields["source_addr"] == f"Shop {number}"
