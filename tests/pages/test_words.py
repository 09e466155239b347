"""Every language says everything, and a new one is one file."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from chappe.pages.words import Words, choose, languages
from chappe.text import encode


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", sorted(languages()))
def test_a_language_has_every_text_with_the_same_places_for_names(language: str) -> None:
    words, english = languages()[language], languages()["en"]
    assert set(words.texts) == set(english.texts)
    for key, text in english.texts.items():
        assert placeholders(words.texts[key]) == placeholders(text), key
        assert words.texts[key].strip() == words.texts[key] != "", key
    assert words.direction in ("ltr", "rtl")


@pytest.mark.parametrize("language", sorted(languages()))
def test_the_text_message_with_the_code_is_one_segment(language: str) -> None:
    assert encode(languages()[language]("data.sms", code="123456")).segments == 1


def test_the_language_is_the_one_asked_for_or_the_one_the_browser_likes_best() -> None:
    for asked, accepted, chosen in (
        ("", "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("", "de, ru;q=0.5, en;q=0.4", "ru"),
        ("", "en;q=0.1, fr;q=0", "en"),
        ("ru", "fr", "ru"),
        ("xx", "fr", "fr"),
        ("", "", "en"),
        ("", ";;q=,*;q=x,,\x00", "en"),
        ("", "de," * 1000 + "fr", "en"),
    ):
        assert choose(asked, accepted).language == chosen, (asked, accepted)


def test_times_are_told_where_the_person_lives() -> None:
    at = int(datetime(2026, 7, 3, 20, 5, tzinfo=UTC).timestamp() * 1000)
    assert languages()["en"].date(at, ZoneInfo("Europe/Paris")) == "3 July 2026, 22:05"
    assert languages()["fr"].date(at, None) == "3 juillet 2026 à 20:05 UTC"


def test_names_keep_their_direction_in_a_language_that_runs_the_other_way() -> None:
    tree = {"name": "x", "direction": "rtl", "version": "1", "date": "", "months": [], "stop": {"all": "{account}!"}}
    assert Words("xx", tree)("stop.all", account="Acme") == "\u2068Acme\u2069!"
