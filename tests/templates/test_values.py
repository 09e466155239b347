"""Values: what each type takes, and how long it may be."""

from __future__ import annotations

from typing import Any

import pytest

from chappe.templates import Content, Fault, Variable, fit, fitted, localised, render


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("text", "Zoë", "Zoë"),
        ("text", "e\u0301te\u0301\u200b", "été"),
        ("number", 12, "12"),
        ("number", 1e-7, "0.0000001"),
        ("number", "3.50", "3.50"),
        ("date", "2027-01-31", "2027-01-31"),
        ("date", "2027-01-31T18:30:00Z", "2027-01-31 18:30"),
        ("money", "12.50 EUR", "12.50 EUR"),
        ("url", "https://example.com/a?b=1", "https://example.com/a?b=1"),
        ("code", "482-913", "482-913"),
    ],
)
def test_each_type_takes_its_values(kind: Any, value: object, text: str) -> None:
    assert str(fit("v", Variable(type=kind, example="x"), value)) == text


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", 5),
        ("text", True),
        ("text", "\ud800"),
        ("number", "1e5"),
        ("number", float("nan")),
        ("number", 1e300),
        ("number", True),
        ("date", "31/01/2027"),
        ("date", "2027-13-01"),
        ("money", "12,50 EUR"),
        ("money", "12.50"),
        ("url", "javascript:alert(1)"),
        ("url", "https://example.com/é"),
        ("url", "https://a b"),
        ("code", "12 34"),
        ("text", "x" * 41),
        ("text", "€" * 21),
        ("text", "😀" * 21),
        ("text", "e" + "\u0323\u0316" * 12),
    ],
)
def test_what_is_none_of_a_type_or_too_long_is_refused_by_name(kind: Any, value: object) -> None:
    with pytest.raises(Fault) as refused:
        fit("v", Variable(type=kind, example="x"), value)
    assert (refused.value.code, refused.value.variable) == ("template_value", "v")


def test_a_gsm7_text_loses_its_accents_or_is_refused() -> None:
    variable = Variable(example="x", alphabet="gsm7")
    assert fit("v", variable, "François") == "Francois"
    with pytest.raises(Fault, match="GSM-7 lacks"):
        fit("v", variable, "Иван")


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(Fault, match="no number"):
        fit("v", Variable(type="number", example="1"), 10**5_000)


def test_a_missing_and_an_unknown_value_are_errors() -> None:
    variables = {"name": Variable(example="x"), "note": Variable(example="x", optional=True)}
    assert fitted(variables, {"name": "a"}) == {"name": "a", "note": None}
    with pytest.raises(Fault, match="name is missing"):
        fitted(variables, {})
    with pytest.raises(Fault, match="no variable nmae"):
        fitted(variables, {"name": "a", "nmae": "b"})


@pytest.mark.parametrize(
    ("asked", "locale"),
    [
        ("fr-CA", "fr-CA"),
        ("fr_CA", "fr-CA"),
        ("fr-BE", "fr"),
        ("sr-Latn-RS", "sr-Latn"),
        ("de", "default"),
        (None, "default"),
    ],
)
def test_a_language_falls_back_to_its_nearest(asked: str | None, locale: str) -> None:
    bodies = {one: one for one in ("default", "fr", "fr-CA", "sr-Latn")}
    content = Content(bodies=bodies)
    assert localised(content, asked) == locale
    assert render(content, {}, asked).locale == locale


def test_without_a_default_a_language_that_is_missing_is_an_error() -> None:
    with pytest.raises(Fault) as refused:
        render(Content(bodies={"fr": "x"}), {}, "de")
    assert refused.value.code == "template_locale"
