import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.text import alphabet, pack, unpack
from chappe.text.alphabet import DEFAULT, EXTENSION_TABLE, national_alphabets, quick

ALPHABETS = [DEFAULT] + [a for language in range(1, 14) for a in national_alphabets(language)]


def named(a):
    return f"locking{a.locking}-single{a.single}"


# The places most often wrong in other people's tables (3GPP TS 23.038, 6.2.1).
@pytest.mark.parametrize(
    ("code", "char"),
    [
        *((0x00, "@"), (0x09, "Ç"), (0x0B, "Ø"), (0x10, "Δ"), (0x11, "_"), (0x19, "Θ"), (0x1F, "É"), (0x24, "¤")),
        *((0x27, "'"), (0x40, "¡"), (0x5D, "Ñ"), (0x5F, "§"), (0x60, "¿"), (0x7C, "ö"), (0x7F, "à")),
    ],
)
def test_the_default_alphabet_has_its_known_places(code, char):
    assert DEFAULT.encode(char) == bytes([code])
    assert DEFAULT.decode(bytes([code])) == char


def test_the_default_alphabet_is_one_to_one_over_all_septets():
    codes = bytes(code for code in range(128) if code != 0x1B)
    text = DEFAULT.decode(codes)
    assert len(set(text)) == 127
    assert DEFAULT.encode(text) == codes


def test_the_ten_extension_characters_cost_two_septets():
    assert len(EXTENSION_TABLE) == 10
    for code, char in EXTENSION_TABLE.items():
        assert DEFAULT.encode(char) == bytes([0x1B, code])
        assert DEFAULT.decode(bytes([0x1B, code])) == char


@pytest.mark.parametrize("char", "`\tçêâîôûëïœáíóú’“–…\u00a0«»°•Жم中😀α")
def test_common_characters_outside_the_alphabet_are_refused(char):
    assert DEFAULT.encode(char) is None


def test_an_unknown_extension_code_is_shown_as_the_main_tables_character():
    assert DEFAULT.decode(b"\x1ba\x1b\x00") == "a@"


def test_escape_alone_or_doubled_is_shown_as_a_space():
    assert DEFAULT.decode(b"a\x1b") == "a "
    assert DEFAULT.decode(b"\x1b\x1be") == " e"
    assert DEFAULT.decode(b"\x1b\x1b\x1be") == " €"


def test_an_octet_above_127_is_no_septet():
    with pytest.raises(UnicodeDecodeError):
        DEFAULT.decode(b"ab\xe9")


# Sizes of the printed tables of TS 23.038, annex A, without ESC; Spanish has no locking table.
LOCKING = {1: 127, 3: 127, 4: 114, 5: 120, 6: 127, 7: 120, 8: 120, 9: 116, 10: 110, 11: 102, 12: 120, 13: 127}
SINGLE = {1: 17, 2: 19, 3: 37, 4: 82, 5: 70, 6: 88, 7: 73, 8: 82, 9: 75, 10: 76, 11: 77, 12: 78, 13: 90}


def test_the_national_tables_have_the_size_of_the_printed_ones():
    locking = {n: sum(c != "\ufffd" for c in alphabet(n, 0).table) - 1 for n in LOCKING}
    assert locking == LOCKING
    assert {n: len(alphabet(0, n).extension) for n in SINGLE} == SINGLE
    assert alphabet(2, 0) is DEFAULT


@pytest.mark.parametrize(
    ("locking", "single", "septets", "text"),
    [
        (1, 0, b"\x04\x07\x0b\x0c\x1c\x1d\x40\x60", "€ıĞğŞşİç"),
        (0, 1, b"\x1bG\x1bI\x1bS\x1bc\x1bg\x1bi\x1bs", "ĞİŞçğış"),
        (0, 2, b"\x1b\x09\x1bA\x1bI\x1bO\x1bU\x1ba\x1bi\x1bo\x1bu", "çÁÍÓÚáíóú"),
        (3, 0, b"\x04\x06\x07\x08\x09\x0b\x0c\x0e\x0f\x12\x13\x14\x15\x16\x17", "êúíóçÔôÁáªÇÀ∞^\\"),
        (3, 0, b"\x18\x19\x1a\x1c\x1d\x1e\x24\x40\x5b\x5c\x5d\x60\x7b\x7c\x7d", "€Ó|ÂâÊºÍÃÕÚ~ãõ`"),
        (0, 3, b"\x1b\x05\x1b\x1f\x1ba\x1b\x7f", "êÊÂâ"),
        (3, 3, b"\x1b\x12\x1b\x13\x1b\x15\x1b\x16\x1b\x17\x1b\x18\x1b\x19", "ΦΓΩΠΨΣΘ"),
        (6, 6, b"\x2c\x0fA\x1bA", ",\u090f\u092dA"),  # Hindi
        (7, 0, b"\x23\x24\x25", "ಠಡಢ"),  # Kannada, where later prints repeat another letter at 24
        (9, 0, b"\x47", "\u0b33"),  # Oriya
        (0, 11, b"\x1b\x1c\x1b\x24\x1b\x25", "௦௮௯"),  # Tamil digits
        (0, 12, b"\x1b\x22\x1b\x23\x1be", "౬౭€"),  # Telugu
        (13, 13, b"\x00\x01\x1b\x1c\x1b?", "\u0627\u0622\u06f0\u06d4"),  # Urdu
    ],
)
def test_national_tables_have_their_known_places(locking, single, septets, text):
    assert alphabet(locking, single).decode(septets) == text
    assert alphabet(locking, single).encode(text) == septets


@pytest.mark.parametrize("a", ALPHABETS, ids=named)
def test_every_character_of_every_table_comes_back(a):
    assert len(a.codes) >= 100
    for char, codes in a.codes.items():
        assert a.decode(codes) == char
        assert len(codes) == 1 or (len(codes) == 2 and codes[0] == 0x1B)


@pytest.mark.parametrize("language", range(4, 14))
def test_indic_tables_reach_capital_letters_and_digits_of_both_scripts(language):
    both = national_alphabets(language)[-1]
    assert both.encode("OTP 123456, ABC-xyz") is not None
    digits = [char for char in both.codes if char.isdecimal() and not char.isascii()]
    assert len(digits) == 10


def test_unknown_languages_mean_the_default():
    assert alphabet(99, 200) is not None
    assert alphabet(99, 200).encode("[é]") == DEFAULT.encode("[é]")
    assert national_alphabets(99) == ()


@given(st.text(alphabet=sorted(DEFAULT.codes.keys() | {"ç", "`", "Ж", "\u0091", "\x9b"})))
def test_the_quick_way_agrees_with_the_tables(text):
    slow = b"".join(DEFAULT.codes[c] for c in text) if all(c in DEFAULT.codes for c in text) else None
    assert DEFAULT.encode(text) == slow
    assert quick(text) in (None, slow)


@given(st.lists(st.integers(0, 127)).map(bytes), st.integers(0, 20))
def test_packing_and_unpacking_gives_the_same_septets(septets, header):
    packed = pack(septets, header)
    assert len(packed) == ((-header * 8 % 7 + 7 * len(septets) + 7) // 8 if septets else 0)
    if not septets.endswith(b"\r"):
        assert unpack(packed, header) == septets


def test_packing_is_that_of_the_specification():
    assert pack(b"hellohello") == bytes.fromhex("e8329bfd4697d9ec37")
    assert pack(b"1234567") == bytes.fromhex("31d98c56b3dd1a")  # seven spare bits hold CR


@given(st.binary(max_size=200), st.integers(0, 140))
def test_unpacking_anything_gives_septets(octets, header):
    assert all(septet < 128 for septet in unpack(octets, header))
