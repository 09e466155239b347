import pytest
import regex
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from chappe.text import Options, TextError, decode, encode, encode_binary, normalise, parse_udh
from chappe.text.alphabet import DEFAULT, national_alphabets

FAMILY = "👨‍👩‍👧"
CONCATS = ["udh8", "udh16", "sar", "payload"]

gsm_text = st.text(alphabet=sorted(set(DEFAULT.codes) - set("\r\f")), min_size=1, max_size=700)
pieces = st.sampled_from(
    [
        "a",
        " ",
        "€",
        "[",
        "é",
        "ç",
        "Ж",
        "中",
        "😀",
        FAMILY,
        "👍🏽",
        "❤️",
        "🇫🇷",
        "1️⃣",
        "e\u0301",
        "q\u0303",
        "\u0301",
        "\r\n",
        "क्षि",
        "g̈",
        "\n",
    ]
)
mixed_text = st.one_of(
    st.lists(pieces, min_size=1, max_size=300).map("".join),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
)
options = st.builds(
    Options,
    concat=st.sampled_from(CONCATS),
    max_parts=st.just(255),
    smart=st.booleans(),
    packed=st.booleans(),
    national=st.sampled_from([(), (1,), (2,), (3,), (6,), (1, 2, 3)]),
)


def read_back(encoded, packed=False):
    """The text that a phone shows: every part decoded from its octets."""
    texts = []
    for part in encoded.parts:
        decoded = decode(part.user_data, encoded.data_coding, bool(part.udh), packed=packed)
        assert decoded.text is not None
        texts.append(decoded.text)
    return "".join(texts)


def check_limits(encoded, concat, packed):
    for number, part in enumerate(encoded.parts, 1):
        if concat == "payload":
            assert len(encoded.parts) == 1
            continue
        room = 140 - len(part.udh)
        if concat == "sar" and len(encoded.parts) > 1:
            room = 140 - (len(part.udh) + 5 if part.udh else 6)  # the centre writes the header
            assert part.sar[1:] == (len(encoded.parts), number)
        if encoded.encoding == "ucs2":
            assert len(part.payload) <= room
        else:
            assert len(part.payload) <= (room if packed else room * 8 // 7)
        if concat in ("udh8", "udh16") and len(encoded.parts) > 1:
            found = parse_udh(part.udh)[0].concat
            assert found[1:3] == (len(encoded.parts), number)


def cluster_across(text, at):
    """The cluster that a cut at `at` goes through, or an empty text."""
    start = 0
    for cluster in regex.findall(r"\X", text):
        if start < at < start + len(cluster):
            return cluster
        start += len(cluster)
    return ""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(gsm_text, mixed_text), options, st.integers(0, 1 << 20))
def test_splitting_and_joining_is_the_identity(text, chosen, reference):
    clean = normalise(text)[0]
    assume(clean)
    encoded = encode(text, chosen, reference)
    if encoded.encoding == "ucs2" or not chosen.smart:
        assert encoded.text == clean
    assert "".join(part.text for part in encoded.parts) == encoded.text
    assert read_back(encoded, chosen.packed) == encoded.text
    assert encoded.chars == len(encoded.text)
    check_limits(encoded, chosen.concat, chosen.packed)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mixed_text, st.sampled_from(["udh8", "udh16", "sar"]))
def test_no_part_ends_inside_a_pair_or_a_cluster(text, concat):
    assume(normalise(text)[0])
    encoded = encode(text, Options(concat=concat, max_parts=255))
    room = 66 if concat == "udh16" else 67
    at = 0
    for part in encoded.parts[:-1]:
        at += len(part.text)
        torn = cluster_across(encoded.text, at)
        assert not torn or len(torn.encode("utf-16-be")) // 2 > room
        if encoded.encoding == "gsm7":
            assert not part.payload.endswith(b"\x1b")
        else:
            assert part.payload.decode("utf-16-be") == part.text  # strict: no half pair


@pytest.mark.parametrize(
    ("text", "concat", "sizes"),
    [
        ("a" * 160, "udh8", [160]),
        ("a" * 161, "udh8", [153, 8]),
        ("a" * 306, "udh8", [153, 153]),
        ("a" * 307, "udh8", [153, 153, 1]),
        ("a" * 161, "udh16", [152, 9]),
        ("a" * 161, "sar", [153, 8]),
        ("€" * 80, "udh8", [160]),
        ("€" * 81, "udh8", [152, 10]),  # the pair does not fit in 153
        ("a" * 152 + "€" + "a" * 20, "udh8", [152, 22]),
        ("Ж" * 70, "udh8", [140]),
        ("Ж" * 71, "udh8", [134, 8]),
        ("Ж" * 71, "udh16", [132, 10]),
        ("Ж" * 66 + "😀" + "Ж" * 4, "udh8", [132, 12]),  # the surrogates stay together
        ("Ж" * 62 + FAMILY + "Ж" * 4, "udh8", [124, 24]),
    ],
)
def test_parts_have_the_sizes_of_the_standard(text, concat, sizes):
    encoded = encode(text, Options(concat=concat))
    assert [len(part.payload) for part in encoded.parts] == sizes
    assert encoded.segments == len(sizes)


def test_a_cluster_longer_than_a_part_is_cut_between_characters():
    zalgo = "Ж" + "\u0301" * 100
    encoded = encode(zalgo, Options())
    assert [len(part.payload) for part in encoded.parts] == [134, 68]
    assert read_back(encoded) == zalgo


def test_message_payload_carries_all_in_one_and_counts_the_segments():
    encoded = encode("a" * 400, Options(concat="payload"), 7)
    assert (len(encoded.parts), encoded.segments, encoded.parts[0].udh) == (1, 3, b"")
    assert len(encoded.parts[0].payload) == 400


def test_references_number_the_parts():
    encoded = encode("a" * 200, Options(), 0x1FE)
    assert [part.udh.hex() for part in encoded.parts] == ["050003fe0201", "050003fe0202"]
    encoded = encode("a" * 200, Options(concat="udh16"), 0x1FE)
    assert [part.udh.hex() for part in encoded.parts] == ["06080401fe0201", "06080401fe0202"]
    assert [part.sar for part in encode("a" * 200, Options(concat="sar"), 0x1FE).parts] == [
        (0x1FE, 2, 1),
        (0x1FE, 2, 2),
    ]


def test_one_foreign_character_costs_the_message_its_gsm7_and_is_named():
    encoded = encode("L'été à la plage, ça va ? 👍🏽 ça", Options())
    assert (encoded.encoding, encoded.data_coding, encoded.forced) == ("ucs2", 8, ("ç", "👍🏽"))
    assert encode("L'été à la plage £$¥@_[]", Options()).forced == ()


def test_decomposed_accents_are_composed_and_listed():
    encoded = encode("e\u0301te\u0301\r\nok\u200b", Options())
    assert (encoded.encoding, encoded.text) == ("gsm7", "été\nok")
    assert {(c.original, c.replacement, c.count) for c in encoded.changes} == {
        ("e\u0301", "é", 2),
        ("\r\n", "\n", 1),
        ("\u200b", "", 1),
    }


def test_smart_encoding_lists_what_it_changed():
    encoded = encode("“Ça va” … l’œuf – ok", Options(smart=True))
    assert encoded.text == '"Ça va" ... l\'oeuf - ok'
    assert encoded.encoding == "gsm7"
    assert ("…", "...", 1, "smart") in {(c.original, c.replacement, c.count, c.kind) for c in encoded.changes}


def test_smart_encoding_leaves_a_text_that_stays_ucs2_alone():
    encoded = encode("ça 😀", Options(smart=True))
    assert (encoded.text, encoded.changes, encoded.encoding) == ("ça 😀", (), "ucs2")


def test_forced_ucs2_is_not_transliterated():
    encoded = encode("ça", Options(encoding="ucs2", smart=True))
    assert (encoded.text, encoded.encoding) == ("ça", "ucs2")


@pytest.mark.parametrize(
    ("text", "national", "tables", "sizes"),
    [
        ("İstanbul'da ışık", (1, 2, 3), (1, 0), [16]),
        ("ı" + "a" * 150, (1,), (0, 1), [152]),  # one pair is cheaper than none only if it fits: same header
        ("información rápida", (1, 2), (0, 2), [20]),
        ("coração não", (3,), (3, 0), [11]),
        ("नमस्ते OTP 123", (6,), (6, 6), None),
    ],
)
def test_national_tables_are_used_where_the_route_allows(text, national, tables, sizes):
    encoded = encode(text, Options(national=national))
    assert encoded.encoding == "gsm7"
    if sizes:
        assert [len(part.payload) for part in encoded.parts] in (sizes, [sizes[0] - 1])
    header = parse_udh(encoded.parts[0].udh)[0]
    assert (header.locking, header.single) == (encoded.locking, encoded.single)
    assert read_back(encoded) == text
    assert encode(text, Options()).encoding == "ucs2"


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 13), st.sampled_from(CONCATS), st.booleans())
def test_every_language_comes_back_through_its_tables(data, language, concat, packed):
    chars = sorted(set().union(*(a.codes for a in national_alphabets(language))) - set("\r\f"))
    text = normalise(data.draw(st.text(alphabet=chars, min_size=1, max_size=400)))[0]
    assume(text)
    encoded = encode(text, Options(national=(language,), concat=concat, max_parts=255, packed=packed))
    assert read_back(encoded, packed) == text
    check_limits(encoded, concat, packed)


def test_shifts_take_their_place_in_every_part():
    encoded = encode("ş" * 300, Options(national=(1,)))
    assert [len(part.payload) for part in encoded.parts] == [149, 149, 2]  # concat and one shift
    assert {part.udh[-3:] for part in encoded.parts} == {b"\x25\x01\x01"}


def test_latin1_is_cut_as_the_gsm7_it_becomes():
    encoded = encode("é" * 161, Options(encoding="latin1"))
    assert (encoded.encoding, encoded.data_coding) == ("latin1", 3)
    assert [part.payload for part in encoded.parts] == ["é".encode("latin-1") * 153, "é".encode("latin-1") * 8]
    encoded = encode("[" * 100, Options(encoding="ascii"))
    assert (encoded.data_coding, [len(part.payload) for part in encoded.parts]) == (1, [76, 24])


def test_latin1_that_the_network_cannot_carry_goes_as_ucs2():
    encoded = encode("forêt", Options(encoding="latin1"))
    assert (encoded.encoding, encoded.forced) == ("ucs2", ("ê",))


@pytest.mark.parametrize(
    ("encoding", "text", "named"), [("gsm7", "a ç Ж", "ç Ж"), ("latin1", "é€", "€"), ("ascii", "é", "é")]
)
def test_an_impossible_encoding_names_the_characters(encoding, text, named):
    with pytest.raises(TextError) as error:
        encode(text, Options(encoding=encoding))
    assert (error.value.code, error.value.param) == ("encoding_impossible", "encoding")
    assert named in error.value.message


@pytest.mark.parametrize(
    ("encoding", "text", "message_class", "coding"),
    [
        ("auto", "a", 0, 0x10),
        ("auto", "Ж", 0, 0x18),
        ("gsm7", "a", 1, 0x11),
        ("auto", "a", None, 0),
        ("auto", "Ж", None, 8),
    ],
)
def test_a_class_shows_in_data_coding(encoding, text, message_class, coding):
    assert encode(text, Options(encoding=encoding, message_class=message_class)).data_coding == coding


def test_latin1_cannot_flash():
    with pytest.raises(TextError) as error:
        encode("a", Options(encoding="latin1", message_class=0))
    assert error.value.param == "message_class"


@pytest.mark.parametrize("text", ["", "\u200b", "\x00\x07"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(TextError) as error:
        encode(text)
    assert error.value.code == "text_empty"


def test_a_text_too_long_says_how_long():
    with pytest.raises(TextError) as error:
        encode("a" * 500, Options(max_parts=3))
    assert error.value.code == "text_too_long"
    assert "4 segments" in error.value.message
    assert "limit is 3" in error.value.message


def test_a_lone_surrogate_is_refused_and_a_split_pair_is_joined():
    with pytest.raises(TextError) as error:
        encode("a\ud83d")
    assert error.value.code == "invalid_text"
    assert encode("\ud83d\ude00").text == "😀"


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoding": "utf8"},
        {"concat": "udh"},
        {"max_parts": 0},
        {"max_parts": 256},
        {"message_class": 4},
        {"national": (14,)},
        {"accepted": ("klingon",)},
    ],
)
def test_a_wrong_option_is_named(wrong):
    with pytest.raises(TextError) as error:
        Options(**wrong)
    assert error.value.code == "invalid_option"
    assert error.value.param in wrong


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=1500), st.sampled_from(CONCATS), st.booleans(), st.integers(0, 1 << 17))
def test_binary_data_comes_back(data, concat, ported, reference):
    udh = bytes.fromhex("0605040b8423f0") if ported else b""
    encoded = encode_binary(data, udh, concat=concat, max_parts=255, reference=reference)
    assert b"".join(part.payload for part in encoded.parts) == data
    assert encoded.data_coding == 4
    for part in encoded.parts:
        header = parse_udh(part.udh)[0] if part.udh else None
        assert not ported or header.ports == (2948, 9200)
        assert concat == "payload" or len(part.user_data) <= 140
        assert decode(part.user_data, 4, bool(part.udh)).payload == part.payload


def test_a_part_that_is_numbered_already_passes_as_it_is():
    udh = bytes.fromhex("050003a50302")
    assert encode_binary(b"x" * 134, udh).parts[0].user_data == udh + b"x" * 134
    with pytest.raises(TextError) as error:
        encode_binary(b"x" * 135, udh)
    assert error.value.code == "text_too_long"


def test_binary_refuses_a_malformed_header_and_nothing_at_all():
    for data, udh, code in (
        (b"x", b"\x09\x00", "invalid_udh"),
        (b"", b"", "text_empty"),
        (b"x" * 9999, b"", "text_too_long"),
    ):
        with pytest.raises(TextError) as error:
            encode_binary(data, udh)
        assert error.value.code == code


def test_binary_classes():
    assert encode_binary(b"x", message_class=1).data_coding == 0xF5
