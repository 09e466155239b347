"""The bound: no rendering with values of the declared lengths takes more segments than it says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chappe.templates import Content, Fault, Variable, render, segments, worst
from chappe.templates.language import MAX_OUTPUT
from chappe.text import preview

_FIXED = [
    *("Hello ", "été ", "ça va ", "[1] ", "€ ", "Привет ", "👍", "\u0301", "नमस्ते ", "🇫", "e", "\r\n", "‘x’ ", "x" * 60),
    *("ê" * 30, "{% comment %}{{ z }}{% endcomment %}", "\u200d", "👩"),
]
_FILTERS = [
    *("upcase", "downcase", "capitalize", "strip", "append: 'ß€'", "prepend: n", "default: 'ŉ[['", "remove: 'a'"),
    *("truncate: 12", "truncate: 7, '…'", "append: u", "upcase | downcase | upcase"),
]
_NAMES = ["u", "g", "n", "c", "l"]
VARIABLES = {
    "u": Variable(example="x", max_length=37),
    "g": Variable(example="x", max_length=50, alphabet="gsm7"),
    "n": Variable(type="number", example="1"),
    "c": Variable(type="code", example="1", max_length=20),
    "l": Variable(type="url", example="https://a", max_length=40),
}

outputs = st.builds(
    lambda name, filters: "{{ " + " | ".join([name, *filters]) + " }}",
    st.sampled_from(_NAMES),
    st.lists(st.sampled_from(_FILTERS), max_size=2),
)
assigns = outputs.map(lambda out: out.replace("{{", "{% assign a =").replace("}}", "%}") + "{{ a }}{{ a }}")
plain = st.sampled_from(_FIXED) | outputs | assigns
branches = st.builds(
    lambda name, yes, no: f"{{% if {name} == '1' %}}{yes}{{% else %}}{no}{{% endif %}}",
    st.sampled_from(_NAMES),
    plain,
    plain,
)
bodies = st.lists(plain | branches, min_size=1, max_size=8).map("".join)
texts = st.text(
    st.sampled_from("aé[€ßÇàŉ1 ΐ") | st.sampled_from("ж😀\u0301👨\u200d👩🇫🇷नस्त") | st.characters(), max_size=37
)
values = st.fixed_dictionaries(
    {
        "u": texts
        | st.just("1")
        | st.sampled_from(["👩‍👩‍👧‍👦", "😀", "é", "ΐ", "[", "ж"]).map(lambda one: one * (37 // (2 * len(one)))),
        "g": st.text(st.sampled_from("aé[€ßÇàΔñ ç"), max_size=50) | st.just("[" * 25),
        "n": st.integers(-99_999_999_999, 999_999_999_999),
        "c": st.text(st.sampled_from("Aa1-"), min_size=1, max_size=20),
        "l": st.text(st.sampled_from("a~[/"), min_size=1, max_size=20).map(lambda rest: "https://" + rest),
    }
)


@settings(max_examples=700, deadline=None)
@given(bodies, values)
def test_no_rendering_takes_more_segments_than_the_bound(body: str, given: dict[str, Any]) -> None:
    bound = worst(body, VARIABLES)
    try:
        text = render(Content(bodies={"default": body}, variables=VARIABLES), given).text
    except Fault as fault:
        assert fault.code == "template_value"
        assume(False)
    assert len(text.encode()) <= MAX_OUTPUT
    shown = preview(text)
    extent = bound.extent
    assert shown.units <= (extent.septets if shown.encoding == "gsm7" else extent.units)
    assert shown.segments <= segments(extent), (text, extent)


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 130 + "{{ c }}", 1),
        ("x" * 141 + "{{ c }}", 2),
        ("ж" * 70, 1),
        ("ж" * 134, 2),
        ("ж" * 50 + "{{ c }}", 1),
        ("x" * 110 + "{{ g }}", 1),
        ("x" * 111 + "{{ g }}", 2),
        ("x" * 33 + "{{ u }}", 1),
    ],
)
def test_the_bound_is_exact_where_it_can_be(body: str, most: int) -> None:
    assert segments(worst(body, VARIABLES).extent) == most


@pytest.mark.parametrize("link", ["{{ opt_out_link }}", "{opt_out_link}"])
def test_an_opt_out_link_counts_as_long_as_it_may_become(link: str) -> None:
    bound = worst("x" * 100 + link, VARIABLES)
    assert (bound.extent.septets, bound.fixed, bound.linked, bound.used) == (160, False, True, {})
    assert segments(worst("x" * 101 + link, VARIABLES).extent) == 2
    made = render(Content(bodies={"default": f"Stop: {link}"}, variables={}), {})
    assert made.text == "Stop: {opt_out_link}"


@pytest.mark.parametrize(
    "body",
    [
        "{{ opt_out_link | upcase }}",
        "{{ u | append: opt_out_link }}",
        "{% if opt_out_link %}x{% endif %}",
        "{% assign opt_out_link = u %}",
        "{% assign x = opt_out_link %}{{ x | truncate: 5 }}",
    ],
)
def test_nothing_can_cut_or_change_the_link(body: str) -> None:
    with pytest.raises(Fault) as raised:
        worst(body, VARIABLES)
    assert (raised.value.code, raised.value.variable) == ("template_invalid", "opt_out_link")


def test_of_branches_the_longer_counts() -> None:
    body = "{% if n > 1 %}" + "x" * 100 + "{% elsif n > 0 %}" + "x" * 170 + "{% endif %}"
    bound = worst(body, VARIABLES)
    assert (bound.extent.septets, segments(bound.extent), bound.fixed) == (170, 2, False)


def test_what_is_used_is_known_with_its_place() -> None:
    bound = worst("{% if n > 1 %}\n{{ u | append: c }}{% endif %}", VARIABLES)
    assert bound.used == {"n": (1, 7), "u": (2, 4), "c": (2, 16)}
