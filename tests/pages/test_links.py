"""Links, seals and limits: what a stranger makes up is refused by arithmetic alone."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.consent import links
from chappe.pages.limits import MOST, PEOPLE, Limit, Pace, neighbourhood
from chappe.pages.seals import Done, Form, seal, unseal
from chappe.pages.visitors import address_of
from chappe.settings import SettingsError, load

SECRET, OTHER = b"s" * 32, b"o" * 32
IDS = st.integers(0, 2**63 - 1)


@given(IDS)
def test_a_link_leads_back_to_its_message_and_is_short(message_id: int) -> None:
    token = links.token(SECRET, message_id)
    assert len(token) == links.LENGTH <= 22
    assert set(token) <= set(string.ascii_letters + string.digits)
    assert links.read(SECRET, token) == message_id
    assert links.read(OTHER, token) is None


@given(IDS, st.integers(0, links.LENGTH - 1), st.sampled_from(string.ascii_letters + string.digits))
def test_a_link_with_another_character_is_none_of_ours(message_id: int, place: int, character: str) -> None:
    token = links.token(SECRET, message_id)
    changed = token[:place] + character + token[place + 1 :]
    assert changed == token or links.read(SECRET, changed) is None


@given(st.text(max_size=40) | st.text(string.ascii_letters + string.digits, min_size=19, max_size=19))
def test_nobody_makes_up_a_link(text: str) -> None:
    assert links.read(SECRET, text) is None


@given(IDS, st.integers(0, 111), st.integers(0, 10**6))
def test_a_seal_holds_what_it_holds_for_its_message_and_its_time(message_id: int, bit: int, at: int) -> None:
    done = Done(at, "sender", 7, (1, 2), ((3, "marketing"),))
    text = seal(SECRET, message_id, done)
    window = {"since": at - 10, "until": at + 10}
    assert unseal(SECRET, message_id, text, Done, **window) == done
    assert unseal(SECRET, message_id ^ 1, text, Done, **window) is None
    assert unseal(OTHER, message_id, text, Done, **window) is None
    assert unseal(SECRET, message_id, text, Form, **window) is None, "a seal of another kind"
    assert unseal(SECRET, message_id, text, Done, since=at + 1, until=at + 9) is None
    assert unseal(SECRET, message_id, text, Done, since=at - 9, until=at - 1) is None
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[bit // 8] ^= 1 << bit % 8
    assert unseal(SECRET, message_id, base64.urlsafe_b64encode(raw).decode(), Done, **window) is None


@given(st.text(max_size=300))
def test_nobody_makes_up_a_seal(text: str) -> None:
    assert unseal(SECRET, 1, text, Done, since=0, until=2**62) is None


def test_who_comes_too_often_waits_and_memory_is_bounded() -> None:
    limit = Limit(Pace(3, 0.5))
    assert [limit.take("a", 10.0) for _ in range(3)] == [0, 0, 0]
    assert limit.take("a", 10.0) == 2.0
    assert limit.take("b", 10.0) == 0
    assert limit.take("a", 12.0) == 0
    assert limit.take("a", 12.0) > 0
    crowded = Limit(PEOPLE)
    for n in range(MOST + 100):
        crowded.take(n, 0.0)
    assert len(crowded) == MOST


def test_an_address_is_the_peers_or_what_our_own_proxy_says() -> None:
    def address(peer: str, *forwarded: bytes) -> str:
        return address_of({"client": (peer, 1), "headers": [(b"x-forwarded-for", value) for value in forwarded]})

    assert address("203.0.113.9") == "203.0.113.9"
    assert address("8.8.8.8", b"1.1.1.1") == "8.8.8.8", "a stranger says what it likes"
    assert address("127.0.0.1", b"6.6.6.6, 9.9.9.9") == "9.9.9.9", "the last one is the proxy's own word"
    assert address("10.0.0.2", b"9.9.9.9", b"2001:4860::1") == "2001:4860::1"
    assert address("10.0.0.2", b"<script>") == "10.0.0.2"
    assert (
        neighbourhood("2001:4860:1:2:3:4:5:6") == neighbourhood("2001:4860:1:2::1") != neighbourhood("2001:4860:1:3::")
    )


def test_the_public_address_is_checked_before_anything_starts() -> None:
    def problem(url: str) -> str:
        with pytest.raises(SettingsError) as refused:
            load(None, {"CHAPPE_PUBLIC_URL": url})
        return str(refused.value)

    for url in (
        "m.example.com",
        "http://m.example.com",
        "ftp://x",
        "https://",
        "https://u:p@x",
        "https://x/?a",
        "https://x y",
    ):
        assert "public_url must begin with https://" in problem(url), url
    for url, kept in (
        ("https://m.example.com/", "https://m.example.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("https://example.com/m/", "https://example.com/m"),
    ):
        assert load(None, {"CHAPPE_PUBLIC_URL": url}).public_url == kept
    assert load(None, {}).public_url is None
