from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.text import Forced, Options, encode, preview


def test_a_preview_says_what_forces_ucs2_and_what_smart_encoding_saves():
    shown = preview("l’été, ça va " * 10)
    assert (shown.encoding, shown.segments, shown.capacity, shown.per_segment, shown.left) == (
        "ucs2",
        2,
        67,
        (67, 63),
        4,
    )
    assert shown.forced == (Forced("’", "'"), Forced("ç", "c"))
    assert (shown.smart.segments, shown.smart.saved) == (1, 1)


def test_a_gsm7_preview_counts_septets():
    shown = preview("a€" * 10)
    assert (shown.encoding, shown.units, shown.chars, shown.capacity, shown.left) == ("gsm7", 30, 20, 160, 130)
    assert (shown.forced, shown.smart) == ((), None)


def test_nothing_is_suggested_for_what_has_no_equal():
    shown = preview("ok 👍🏽")
    assert (shown.forced, shown.smart) == ((Forced("👍🏽", None),), None)


def test_empty_and_endless_texts_are_described():
    assert (preview("").segments, preview("").left) == (0, 160)
    shown = preview("a" * 5000)
    assert (shown.segments, shown.too_long) == (33, True)


@settings(deadline=None, max_examples=60)
@given(
    st.text(alphabet="ab€[éçЖ😀’ \u0301", min_size=1, max_size=500),
    st.builds(Options, smart=st.booleans(), concat=st.sampled_from(["udh8", "udh16", "sar"]), max_parts=st.just(255)),
)
def test_a_preview_agrees_with_what_is_sent(text, options):
    shown, sent = preview(text, options), encode(text, options)
    assert (shown.segments, shown.encoding, shown.text, shown.changes) == (
        sent.segments,
        sent.encoding,
        sent.text,
        sent.changes,
    )
    assert shown.parts == tuple(part.text for part in sent.parts)
    assert max(shown.per_segment) <= shown.capacity
