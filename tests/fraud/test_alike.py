"""What is found in a text does not depend on whether another with other numbers was judged before."""

from __future__ import annotations

import re
from typing import Any

import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chappe.fraud.content import Brand, Brands
from chappe.fraud.content.alike import alike
from chappe.fraud.firewall.judging import Check, Firewall

BRANDS = Brands([Brand("Bet 365"), Brand("La Poste"), Brand("1 Oreal")])
WORDS = (
    *("Hello", "order", "code", "pin", "Votre colis", "frais", "to", "au", "Envoyez", "call", "SMS", "bank", "blocked"),
    *("Mum", "new phone", "tax refund", "Bet", "La", "Poste", "https://example.com/", "example.com", "10.0.0.1", "€"),
    *("%", "bit.ly/", "naïve", "STOP"),
    *("\N{ZERO WIDTH SPACE}", "\N{SOFT HYPHEN}", "\N{ARABIC-INDIC DIGIT FOUR}"),
)
NUMBERS = st.one_of(
    st.integers(0, 99).map(str),
    st.sampled_from(
        ["81200", "82005", "36111", "365", "1", "0", "118218", "06 12 34 56 78", "0899123456", "+33612345678"]
    ),
    st.integers(100, 10**9).map(str),
)
GAPS = st.sampled_from(["", " ", " ", ", ", ". ", ":", "-", "\n", "("])
TEXTS = st.lists(st.tuples(st.one_of(st.sampled_from(WORDS), NUMBERS), GAPS))


def text_of(pieces: list[tuple[str, str]]) -> str:
    return "".join(word + gap for word, gap in pieces)


def judged(firewall: Firewall, text: str, purpose: str) -> Any:
    made = firewall.judge(1, text, "Acme", "FR", purpose, 0, brands=BRANDS)
    return made.action, [(one.code, one.start, one.end, one.what) for one in made.findings]


@settings(max_examples=400, deadline=None)
@given(TEXTS.map(text_of), st.lists(NUMBERS, min_size=1, max_size=6), st.sampled_from(["otp", "marketing"]))
@example("Envoyez SMS au 11111 pour gagner", ["81200"], "marketing")
@example("Envoyez SMS au 81200 pour gagner", ["11111"], "marketing")
@example("Bet 365 today", ["111"], "marketing")
@example("Your code is 1234", ["123456"], "marketing")
def test_a_text_is_judged_by_its_own_numbers(text: str, others: list[str], purpose: str) -> None:
    numbers = iter(others * 50)
    other = re.sub(r"[0-9]+", lambda _: next(numbers), text)[:1500]
    after = Firewall(structlog.get_logger(), lambda _: None)
    judged(after, other, purpose)
    judged(after, re.sub("[0-9]", "0", text), purpose)
    alone = Firewall(structlog.get_logger(), lambda _: None)
    alone.checks.append(nothing())  # then nothing is taken for alike
    assert judged(after, text, purpose) == judged(alone, text, purpose)


def nothing() -> Any:
    return Check("nothing", lambda _: ())


def test_numbers_that_mean_nothing_are_blanked() -> None:
    assert alike("Order 4711 costs 12 EUR", BRANDS) == "Order 0000 costs 00 EUR"
    for text in ("Call 4711", "example.com 12", "06 12 34 56 78", "Bet 365", "A4 paper", "8\N{ZERO WIDTH SPACE}1200"):
        assert alike(text, BRANDS) == text
