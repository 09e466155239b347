import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.text import decode, read_data_coding


@given(st.binary(max_size=300), st.integers(0, 255), st.booleans(), st.sampled_from(["gsm7", "latin1", "ascii"]))
def test_no_octets_of_a_stranger_make_decoding_raise_or_lose_any(data, coding, udhi, default):
    decoded = decode(data, coding, udhi, default)
    assert decoded.udh.raw + decoded.payload == data
    assert (decoded.text is None) == (decoded.binary or decoded.undecodable)
    decode(data, coding, udhi, default, True, True)


@pytest.mark.parametrize(
    ("coding", "octets", "text"),
    [
        (0x00, b"\x00 caf\x05", "@ café"),
        (0x01, b"a@b", "a@b"),
        (0x03, b"caf\xe9", "café"),
        (0x05, "コ".encode("shift_jis"), "コ"),
        (0x06, "Ж".encode("iso8859_5"), "Ж"),
        (0x07, "ש".encode("iso8859_8"), "ש"),
        (0x08, "Ж😀".encode("utf-16-be"), "Ж😀"),
        (0x0E, "한".encode("euc_kr"), "한"),
        (0x10, b"\x00", "@"),
        (0x18, b"\x04\x16", "Ж"),
        (0x50, b"\x00", "@"),
        (0x80, b"\x00", "@"),
        (0xC8, b"\x00", "@"),
        (0xE8, b"\x04\x16", "Ж"),
        (0xF0, b"\x00", "@"),
    ],
)
def test_each_data_coding_has_its_charset(coding, octets, text):
    assert decode(octets, coding).text == text


@pytest.mark.parametrize("coding", [0x02, 0x04, 0x14, 0xF4, 0xF6])
def test_data_is_binary(coding):
    decoded = decode(b"\x00\xff", coding)
    assert (decoded.binary, decoded.text, decoded.payload) == (True, None, b"\x00\xff")


def test_classes_are_told():
    assert [read_data_coding(value).message_class for value in (0x00, 0x10, 0x11, 0x18, 0x58, 0xF2)] == [
        None,
        0,
        1,
        0,
        0,
        2,
    ]


def test_the_senders_dialect_reads_data_coding_0():
    assert decode(b"caf\xe9", 0, default_alphabet="latin1").text == "café"
    assert decode(b"\x16\x04", 8, ucs2_little_endian=True).text == "Ж"
    assert decode(bytes.fromhex("e8329bfd4697d9ec37"), 0, packed=True).text == "hellohello"


def test_what_cannot_be_read_is_kept_and_marked():
    for octets, coding in ((b"caf\xe9", 0), (b"\x04", 8), (b"\xd8\x00", 8), (b"\xff", 0x20)):
        decoded = decode(octets, coding)
        assert (decoded.text, decoded.undecodable, decoded.payload) == (None, True, octets)


def test_a_wrong_data_coding_falls_back_to_the_default_alphabet():
    assert decode(b"caf\xe9", 1, default_alphabet="latin1").text == "café"
    assert decode(b"STOP", 0x0B).text == "STOP"


def test_a_header_is_taken_off_and_its_tables_used():
    decoded = decode(bytes.fromhex("03250101") + b"\x40stanbul", 0, udhi=True)
    assert decoded.text == "İstanbul"
    decoded = decode(bytes.fromhex("03240101") + b"\x1bi", 0, udhi=True)
    assert decoded.text == "ı"


def test_a_malformed_header_is_reported_beside_the_text():
    decoded = decode(b"\x7fSTOP", 0, udhi=True)
    assert decoded.udh.malformed
    assert decoded.payload == b"\x7fSTOP"


def test_a_byte_order_mark_is_dropped():
    assert decode(b"\xfe\xff\x00a", 8).text == "a"
