"""Lint: what it says of a template, by itself and with what the house knows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chappe import accounts, senders
from chappe.messages import lint as linting
from chappe.messages.lint import Checks, Finding, Register, Remark, lint
from chappe.messages.lint_checks import house_checks, pure_checks
from chappe.messages.lint_checks import price as price_of
from chappe.messages.wording import Banned, Demand, Demands
from chappe.templates import Content, Registered, Variable
from tests.messages.conftest import world
from tests.messages.test_money import Shop, shop

__all__ = ["shop", "world"]

NAME = {"name": Variable(example="Ada", max_length=20, alphabet="gsm7")}


def content(body: str = "Hi {{ name }}", **more: Any) -> Content:
    fields: dict[str, Any] = {"bodies": {"default": body}, "variables": NAME, "sender": "Chappe"}
    return Content(**(fields | more))


def found(template: Content, checks: Checks = linting.ALONE, *, infos: bool = False) -> list[Finding]:
    return [one for one in lint(template, checks) if infos or one.severity != "info"]


def only(template: Content, checks: Checks = linting.ALONE) -> Finding:
    [one] = found(template, checks)
    return one


def test_a_sound_template_has_only_its_size_to_tell() -> None:
    [one] = lint(content())
    assert (one.code, one.severity, one.locale) == ("segments", "info", "default")
    assert one.message == "1 segment in GSM7 with the examples, 1 at most."


def test_what_forces_ucs2_is_shown_with_its_replacement_and_saving() -> None:
    one = only(content("It’s for you, {{ name }}." + " x" * 30))
    assert (one.code, one.severity, one.line, one.column) == ("ucs2_forced", "warning", 1, 3)
    assert "right single quotation mark" in one.message
    assert one.suggestion == 'Write "\'" instead. That saves 1 segment.'


def test_a_text_in_another_alphabet_is_no_slip() -> None:
    codes = [one.code for one in lint(content("Привет, {{ name }}"))]
    assert codes == ["ucs2_needed", "segments"]


def test_a_value_that_may_force_ucs2_is_told() -> None:
    told = lint(content(variables={"name": Variable(example="Ada", max_length=20)}))
    assert [(one.code, one.line, one.column) for one in told] == [("segments", None, None), ("ucs2_possible", 1, 7)]
    assert 'alphabet = "gsm7"' in (told[1].suggestion or "")


def test_the_longest_values_overflow_a_segment() -> None:
    one = only(content("x" * 150 + "{{ name }}"))
    assert (one.code, one.message) == ("segments_overflow", "The longest values make 2 segments of 1.")
    long = only(content("x" * 500 + "{{ name }}"), Checks(max_parts=3))
    assert (long.code, long.severity) == ("too_many_segments", "error")
    nearly = only(content("x" * 450 + "{{ name }}"), Checks(max_parts=3))
    assert (nearly.code, nearly.severity) == ("too_many_segments", "warning")


@pytest.mark.parametrize(
    ("body", "code", "line", "column", "words"),
    [
        ("Hi {{ name }", "template_invalid", 1, 4, "no }}"),
        ("Hi\n{{ nmae }}", "template_invalid", 2, 4, "nmae is not declared"),
        ("Hi {{ name | shout }}", "template_invalid", 1, 14, "no filter shout"),
        ("Hi\u200b {{ name }}", "invisible_character", 1, 3, "U+200B zero width space"),
        ("Hi \u202e{{ name }}", "invisible_character", 1, 4, "U+202E"),
    ],
)
def test_slips_are_told_at_their_place(body: str, code: str, line: int, column: int, words: str) -> None:
    one = next(one for one in found(content(body)) if one.code == code)
    assert (one.line, one.column) == (line, column)
    assert words in one.message


def test_joiners_of_other_scripts_and_of_emoji_are_no_slip() -> None:
    assert "invisible_character" not in {
        one.code for one in lint(content("می\u200cخواهم 👨\u200d👩\u200d👧 {{ name }}"))
    }


def test_undeclared_unused_and_unfit_variables_are_told() -> None:
    one = only(content("Hi {{ name }}", variables=NAME | {"rest": Variable(example="x")}))
    assert (one.code, one.message) == ("variable_unused", "No body uses the variable rest.")
    wrong = found(content(variables={"name": Variable(type="code", example="a b")}))
    assert [one.code for one in wrong] == ["example_invalid"]
    [suggested] = [one.suggestion for one in found(content("{{ other }}{{ name }}"))]
    assert suggested == "Add [variables.other]."


def test_missing_languages_and_senders_are_told() -> None:
    told = found(content(bodies={"fr": "Hi {{ name }}"}, sender=None), Checks(locales=("fr-CA", "de", "default")))
    assert [one.code for one in told] == ["locale_missing", "locale_missing", "sender_missing"]
    assert told[1].message == "There is no body for de."


def test_from_a_number_the_text_says_who_writes() -> None:
    one = only(content(sender="33644600001", brand="Chappe"))
    assert (one.code, one.message) == ("sender_name_missing", "The text does not say that it comes from Chappe.")
    assert found(content("Chappe: hi {{ name }}", sender="33644600001", brand="Chappe")) == []


def test_marketing_says_how_to_stop() -> None:
    one = only(content(purpose="marketing"))
    assert one.code == "opt_out_missing"
    assert found(content("Hi {{ name }}, STOP to 36111", purpose="marketing")) == []
    assert found(content("Hi {{ name }}, {{ opt_out_link }}", purpose="marketing")) == []
    assert [one.code for one in found(content("{{ name }}, stop by our shop", purpose="marketing"))] == [
        "opt_out_missing"
    ]


def test_the_law_of_a_country_asks_for_its_wording_and_forbids_words() -> None:
    rule = Demand("opt_out_missing", ("STOP", "STOP SMS"), "any", True, "FR.x", "L34-5 CPCE", "How to stop.", "Add it.")

    def wording(country: str, purpose: str) -> Demands:
        asked = [rule] if (country, purpose) == ("FR", "marketing") else []
        banned = [Banned("casino", True, "charter")] if country in ("FR", "BE") else []
        return Demands(asked, banned=banned)

    checks = Checks(wording=wording)
    told = found(content("Casino, {{ name }}", purpose="marketing", countries=("FR", "BE")), checks)
    assert [(one.code, one.severity, one.line, one.column) for one in told] == [
        ("opt_out_missing", "error", None, None),
        ("word_forbidden", "error", 1, 1),
        ("word_forbidden", "error", 1, 1),
    ]
    assert told[0].message == "FR: How to stop. (L34-5 CPCE)"
    sound = content("Casinos, {{ name }}. Stop", purpose="marketing", countries=("FR",))
    assert found(sound, checks) == []
    elsewhere = content(bodies={"default": "Stop {{ name }}", "fr-CA": "Salut"}, purpose="marketing", countries=("FR",))
    assert {one.code for one in found(elsewhere, checks)} == {"opt_out_missing"}  # fr-CA: by the general check
    assert {one.severity for one in found(elsewhere, checks)} == {"warning"}


NOW = 1_800_000_000_000  # 2027-01-15


def test_the_law_in_force_is_asked_without_a_server() -> None:
    silent = content(purpose="marketing", countries=("FR", "GB"), sender="33644600001", brand="Shop")
    told = found(silent, pure_checks(silent, NOW))
    assert {(one.code, one.severity) for one in told} == {
        ("opt_out_missing", "error"),
        ("sender_name_missing", "error"),
    }
    assert {one.message.partition(":")[0] for one in told if one.code == "opt_out_missing"} == {"FR", "GB"}
    assert all("(" in one.message for one in told)  # the source
    sound = content("Shop: hi {{ name }}. STOP 36111", purpose="marketing", countries=("FR",), brand="Shop")
    assert found(sound, pure_checks(sound, NOW)) == []
    service = content(countries=("FR", "GB"))
    assert found(service, pure_checks(service, NOW)) == []


def test_shorteners_and_strange_domains_are_told() -> None:
    short = content("Hi {{ name }}: https://bit.ly/3xYzAbC")
    [one] = found(short, pure_checks(short, NOW))
    assert (one.code, one.severity, one.line, one.column) == ("link_shortener", "error", 1, 16)
    linked = content("Hi {{ name }}: https://other.example.com/a")
    assert found(linked, pure_checks(linked, NOW)) == []  # nobody said which are ours
    assert found(linked, pure_checks(linked, NOW, domains=("example.com",))) == []
    assert [one.code for one in found(linked, pure_checks(linked, NOW, domains=("shop.fr",)))] == ["link_unlisted"]


def test_a_template_for_india_is_registered_there_and_its_values_are_short() -> None:
    long = content("Hi {{ name }}", countries=("IN",), variables={"name": Variable(example="Ada", max_length=31)})
    told = found(long, pure_checks(long, NOW))
    assert [(one.code, one.severity) for one in told] == [
        ("template_not_registered", "error"),
        ("variable_too_long", "warning"),
    ]
    assert "TRAI" in told[0].message and told[0].suggestion is not None and "registrations.IN" in told[0].suggestion
    known = content(countries=("IN",), registrations={"IN": Registered(template_id="1107160000000012345")})
    assert found(known, pure_checks(known, NOW)) == []
    advised = Checks(register=lambda _country: Register("somebody", False))
    assert [one.severity for one in found(content(countries=("XX",)), advised)] == ["warning"]


def test_numbers_and_links_that_have_to_be_listed_are_told_with_the_rule() -> None:
    registered = {"IN": Registered(template_id="1")}
    call = content("Call +33 6 12 34 56 78, {{ name }}", countries=("IN",), registrations=registered)
    [one] = found(call, pure_checks(call, NOW))
    assert (one.code, one.severity) == ("phone_number", "warning")
    assert "white list" in one.message


def test_the_link_counts_as_long_as_it_will_be_and_is_told_where_there_is_none() -> None:
    linked = content("x" * 120 + "{{ name }} {{ opt_out_link }}", purpose="marketing")
    assert "2 segments" in lint(linked)[0].message, "44 characters, not the 14 of its name"
    told = found(linked, Checks(link=None))
    assert [one.code for one in told if one.severity == "error"] == ["opt_out_link_unavailable"]


def test_what_others_find_in_the_text_is_told_at_its_place_once_for_all_countries() -> None:
    def look(text: str, country: str) -> list[Remark]:
        assert text == "See bit.ly/x, Ada"
        return [Remark("url_shortener", "error", "bit.ly hides where it leads.", "Use your own domain.", "bit.ly/x")]

    one = only(content("See bit.ly/x, {{ name }}", countries=("FR", "BE")), Checks(content=look))
    assert (one.line, one.column, one.message) == (1, 5, "FR, BE: bit.ly hides where it leads.")


async def test_the_house_adds_prices_and_what_speaks_against_a_sender(shop: Shop) -> None:
    await shop.terms()
    rt, house = shop.rt, shop.world.pipeline
    account = accounts.directory(rt).account(shop.world.account_id)
    assert account is not None
    template = content("x" * 150 + "{{ name }}", sender="Acme", countries=("FR",))
    told = lint(template, house_checks(house, account, template))
    price = next(one for one in told if one.code == "price")
    assert price.message == "To FR: 0.05 EUR, 0.10 EUR at most."
    assert not [one for one in told if one.severity == "error"]
    stranger = msgspec.structs.replace(template, sender="Nobody")
    refused = [one for one in lint(stranger, house_checks(house, account, stranger)) if one.severity == "error"]
    assert [one.code for one in refused] == ["sender_not_allowed"]
    assert senders.book(rt).find(account.id, "Acme") is not None
    assert price_of(house, account.id, "ZZ", 1) is None
