"""The language: what it has, what it refuses and where, and that nothing written in it can run away."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.templates import Content, Fault, Variable, faults, fitted, render, worst
from chappe.templates.filters import ALL
from chappe.templates.language import COMPILED, compiled

VARIABLES = {
    "name": Variable(example="Ada"),
    "count": Variable(type="number", example="2"),
    "day": Variable(type="date", example="2027-01-31"),
    "note": Variable(example="x", optional=True),
}


def made(body: str, **values: Any) -> str:
    given = {"name": "Ada", "count": 2, "day": "2027-01-31", "note": None} | values
    return render(Content(bodies={"default": body}, variables=VARIABLES), given).text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Hi {{ name }}!", "Hi Ada!"),
        ("{% if count == 1 %}one{% elsif count > 1 %}{{ count }} of them{% else %}none{% endif %}", "2 of them"),
        ("{% unless note %}nothing{% endunless %}", "nothing"),
        ("{{ note | default: 'you' }}", "you"),
        ("{% assign who = name | upcase %}{{ who }}", "ADA"),
        ("{{ name | append: '!' | prepend: '¡' }}", "¡Ada!"),
        ("{{ 'a long sentence' | truncate: 9 }}", "a long..."),
        ("{{ 'abc👨‍👩‍👧xyz' | truncate: 6, '' }}", "abc"),
        ("{{ day }} {{ day | date: '%-d.%-m.%y' }} {{ day | date: '%d/%m/%Y' }}", "2027-01-31 31.1.27 31/01/2027"),
        ("{% comment %}{{ nothing }}{% endcomment %}{% # a note %}x", "x"),
        ("{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("{{ 'straße' | upcase }}", "STRAßE"),
        ("{{ ' a ' | strip }}{{ 'xyx' | remove: 'x' }}{{ 'École' | downcase }}{{ 'été' | capitalize }}", "ayécoleÉté"),
    ],
)
def test_it_says_what_a_message_needs(body: str, text: str) -> None:
    assert made(body) == text


@pytest.mark.parametrize(
    ("body", "line", "column", "words"),
    [
        ("Hi\n {{ nmae }}", 2, 5, "nmae is not declared"),
        ("Hi {{ name", 1, 4, "no }}"),
        ("Hi {{ name {{ name }}", 1, 4, "no }}"),
        ("Hi name }}", 1, 9, "closes nothing"),
        ("{% if name %}x", 1, 1, "This if has no endif"),
        ("x{% endif %}", 1, 2, "ends nothing"),
        ("{% unless name %}{% endif %}", 1, 18, "ends nothing"),
        ("{{ name | shout }}", 1, 11, "no filter shout"),
        ("{% for i in (1..3) %}x{% endfor %}", 1, 1, "no tag for"),
        ("{% include 'secrets' %}", 1, 1, "no tag include"),
        ("{% render '/etc/passwd' %}", 1, 1, "no tag render"),
        ("{% raw %}x", 1, 1, "no endraw"),
        ("{{ name.size }}", 1, 4, "single values"),
        ("{{ name[0] }}", 1, 4, "single values"),
        ("{{ (1..9) }}", 1, 4, "not part"),
        ("{{ day | date: '%Q' }}", 1, 10, "codes"),
        ("{{ day | date: name }}", 1, 10, "in quotes"),
        ("{{ name | truncate: 1000000 }}", 1, 11, "from 1 to 1000"),
        ("{{ name | append }}", 1, 11, "append takes 1 arguments"),
        ("{{ name | append: other }}", 1, 19, "other is not declared"),
        ("{{ now }}", 1, 4, "now is not declared"),
    ],
)
def test_what_it_has_not_is_refused_at_its_place(body: str, line: int, column: int, words: str) -> None:
    with pytest.raises(Fault) as refused:
        worst(body, VARIABLES)
    fault = refused.value
    assert fault.code == "template_invalid"
    assert words in fault.message
    assert (fault.line, fault.column) == (line, column), fault.message


def _doubling(times: int) -> str:
    return "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * times + "{{ a }}"


HOSTILE = [
    _doubling(100),
    "{% assign a = name %}" + "{% if a %}{% assign a = a | append: a %}{% endif %}" * 90 + "{{ a }}",
    "{{ name" + " | append: name" * 350 + " }}",
    "{% if name %}" * 200 + "x" + "{% endif %}" * 80,
    "{% if " + " and ".join(["name"] * 600) + " %}x{% endif %}",
    "{{" * 2_400,
    "{%" + " " * 4_900,
    "{% raw %}" * 290,
    "{{ name }}" * 400,
    "{{ " + "9" * 4_900 + " | append: name }}",
    "{{ 'x' | date: '%9999999d' }}",
    "{{ name | append: name }}" * 190,
    "x" * 5_001,
    "{% for a in (1..999999999) %}{% for b in (1..999999999) %}x{% endfor %}{% endfor %}",
    "{{ " + "(" * 2_000 + " }}",
    "{{ name | default: " + "[" * 2_000 + " }}",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_what_loops_or_explodes_is_refused_cheaply(body: str) -> None:
    variables = {"name": Variable(example="x", max_length=1_000)}
    compiled.cache_clear()
    began = time.process_time()
    with pytest.raises(Fault) as refused:
        worst(body, variables)
    assert time.process_time() - began < 0.25
    assert refused.value.code in ("template_invalid", "template_too_long")


def test_compiled_bodies_are_kept_but_not_without_end() -> None:
    compiled.cache_clear()
    first = compiled("Hi 0")
    assert compiled("Hi 0") is first
    for n in range(COMPILED + 1):
        compiled(f"Hi {n}!")
    assert compiled.cache_info().currsize == COMPILED
    assert compiled("Hi 0") is not first


_PIECES = [
    *("{{", "}}", "{%", "%}", "{{ name }}", "{{ name |", "|", " if name ", " endif ", "{% if name %}", "{% endif %}"),
    *("{% else %}", "{% assign a = name %}", "{{ a }}", "{% raw %}", "{% endraw %}", "{% comment %}", "-%}", "{%-"),
    *("{% endcomment %}", "(1..9)", "'", '"', ":", ",", " ", "\n", "é", "9", "a", "[", "]", ".", "#", "{% # x %}"),
    *ALL,
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), max_size=30).map("".join))
def test_any_source_is_taken_or_refused_with_a_fault_and_what_is_taken_renders(source: str) -> None:
    content = Content(bodies={"default": source}, variables=VARIABLES)
    found = faults(content)
    if not found:
        try:
            text = made(source)
        except Fault as fault:  # such as a date filter on a text
            assert fault.code in ("template_invalid", "template_value")
        else:
            assert len(text) <= worst(source, VARIABLES).extent.units


_piece = st.sampled_from(
    ["Hi ", " \n ", "{ x }", "{opt_out_link}", "{{ name }}", "{{- count -}}", "{{ day }}", "{{note}}", "{% # note %}"]
)


@given(st.lists(_piece, max_size=8).map("".join), st.text(max_size=20) | st.none(), st.integers(-5, 10**9))
def test_what_is_joined_is_what_the_library_renders(body: str, name: str | None, count: int) -> None:
    values = fitted(VARIABLES | {"name": Variable(example="x", optional=True)}, {"count": count, "day": "2027-01-31"})
    values["name"] = name
    one = compiled(body)
    assert one.render(values) == one._template.render(**values)
