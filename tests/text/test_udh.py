import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.text import Element, TextError, build_udh, concat_info, parse_udh, port_udh
from chappe.text.udh import concat_element, header_length, read_whole_udh

elements = st.lists(st.builds(Element, st.integers(0, 255), st.binary(max_size=12)), max_size=9)


def header(text):
    return parse_udh(bytes.fromhex(text))[0]


@given(elements, st.binary(max_size=100))
def test_a_header_comes_back_with_its_unknown_elements(given_elements, payload):
    udh = build_udh(given_elements)
    if not udh:
        return
    parsed, rest = parse_udh(udh + payload)
    assert (parsed.elements, rest, parsed.raw, parsed.malformed) == (tuple(given_elements), payload, udh, None)
    assert header_length(given_elements) == len(udh)


@given(st.binary(max_size=200))
def test_no_octets_make_the_parser_raise_or_lose_any(data):
    udh, payload = parse_udh(data)
    assert udh.raw + payload == data
    assert udh.concat is None or 1 <= udh.concat.sequence <= udh.concat.total
    _ = (udh.ports, udh.locking, udh.single)


@pytest.mark.parametrize("text", ["", "05", "0500", "060003010201", "03000301", "0200ff", "0100"])
def test_a_malformed_header_is_reported(text):
    assert header(text).malformed


def test_both_kinds_of_concatenation_are_read():
    assert concat_info(header("050003a50302")) == (0xA5, 3, 2, 8)
    assert concat_info(header("060804a5b60302")) == (0xA5B6, 3, 2, 16)


@pytest.mark.parametrize("text", ["050003a50300", "050003a50304", "050003a50001", "0400020101"])
def test_a_sequence_outside_its_total_is_ignored(text):
    assert concat_info(header(text)) is None


def test_the_last_of_repeated_elements_counts():
    assert concat_info(header("0a0003010201" + "0003020202")) == (2, 2, 2, 8)


def test_sar_parameters_number_a_part_without_header():
    assert concat_info(parse_udh(b"\0")[0], (0x1234, 4, 4)) == (0x1234, 4, 4, 16)
    assert concat_info(parse_udh(b"\0")[0], (1, 4, 5)) is None


def test_ports_are_destination_then_source():
    assert port_udh(2948, 9200) == bytes.fromhex("0605040b8423f0")
    assert parse_udh(port_udh(2948, 9200))[0].ports == (2948, 9200)
    assert header("040402f0f1").ports == (0xF0, 0xF1)
    with pytest.raises(TextError) as error:
        port_udh(70000)
    assert error.value.code == "invalid_udh"


def test_references_are_cut_to_their_bits():
    assert concat_element(0x12345, 2, 1, 8).data == b"\x45\x02\x01"
    assert concat_element(0x12345, 2, 1, 16).data == b"\x23\x45\x02\x01"


@pytest.mark.parametrize("text", ["05000301", "0500030102010203", "02000101"])
def test_a_customers_header_is_refused_unless_whole(text):
    with pytest.raises(TextError):
        read_whole_udh(bytes.fromhex(text))


def test_a_header_beyond_a_message_is_refused():
    with pytest.raises(TextError):
        build_udh([Element(0x70, bytes(138))])
