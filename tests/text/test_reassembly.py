import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.text import (
    Concat,
    Options,
    Reassembly,
    StoredPart,
    belongs,
    encode,
    encode_binary,
    join,
    missing,
    reassembly_key,
)


def stored(encoded):
    total = len(encoded.parts)
    return [
        StoredPart(number, total, part.user_data, encoded.data_coding, bool(part.udh))
        for number, part in enumerate(encoded.parts, 1)
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.text(alphabet="aé€[Ж😀中 ", min_size=180, max_size=600),
    st.sampled_from(["udh8", "udh16", "sar"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_parts_in_any_order_with_duplicates_make_the_message(text, concat, packed, shuffler):
    parts = stored(encode(text, Options(concat=concat, max_parts=255, packed=packed), 9))
    arriving = parts + shuffler.sample(parts, len(parts) // 2)
    shuffler.shuffle(arriving)
    state = Reassembly(now=0.0)
    whole = [found for part in arriving if (found := state.add(part, 1.0, packed=packed))]
    assert [found.text for found in whole] == [text]


def test_nothing_comes_out_while_a_part_is_missing():
    parts = stored(encode("a" * 400))
    state = Reassembly(now=0.0)
    assert state.add(parts[2], 1.0) is None
    assert state.add(parts[0], 2.0) is None
    assert missing(state.parts.values()) == (2,)
    assert not state.expired(61.0, 60.0)
    assert state.expired(62.0, 60.0)
    assert join(state.parts.values()).text == "a" * (153 + 94)


def test_foreign_cuts_through_pairs_are_healed():
    octets = ("Ж" * 66 + "😀" + "Ж").encode("utf-16-be")
    parts = [StoredPart(1, 2, octets[:134], 8, False), StoredPart(2, 2, octets[134:], 8, False)]
    assert join(parts).text == "Ж" * 66 + "😀" + "Ж"
    septets = b"a" * 152 + b"\x1be"
    parts = [StoredPart(1, 2, septets[:153], 0, False), StoredPart(2, 2, septets[153:], 0, False)]
    assert join(parts).text == "a" * 152 + "€"


def test_parts_of_different_alphabets_are_read_one_by_one():
    parts = [StoredPart(2, 2, "Ж".encode("utf-16-be"), 8, False), StoredPart(1, 2, b"a", 0, False)]
    assert join(parts).text == "aЖ"


def test_binary_parts_join_their_octets():
    data = bytes(range(256)) * 2
    encoded = encode_binary(data, bytes.fromhex("0605040b8423f0"))
    found = join(reversed(stored(encoded)))
    assert (found.payload, found.binary, found.udh.ports) == (data, True, (2948, 9200))


def test_a_reference_used_again_is_another_message():
    first, second = StoredPart(1, 2, b"old", 0, False), StoredPart(2, 2, b"new", 0, False)
    assert belongs(second, [first])
    assert belongs(first, [first])
    assert not belongs(first._replace(user_data=b"new"), [first])
    assert not belongs(second._replace(total=3), [first])
    assert not belongs(second._replace(sequence=3), [first])
    state = Reassembly(0.0)
    state.add(first, 0.0)
    with pytest.raises(ValueError):
        state.add(second._replace(total=3), 0.0)


def test_nothing_stored_is_nothing():
    assert join([]) is None
    assert missing([]) == ()


def test_keys_tell_people_and_references_apart():
    keys = {
        reassembly_key("c", source, "s", Concat(reference, 2, 1, bits))
        for source in "ab"
        for reference in (1, 2)
        for bits in (8, 16)
    }
    assert len(keys) == 8
    assert random.Random(1).choice(sorted(keys)).connector == "c"
