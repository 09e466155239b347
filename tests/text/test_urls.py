"""Links in texts: every trick is seen through, and no text takes long."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chappe.text.domains import ascii_host, ip_address, is_top_level, registrable
from chappe.text.urls import find_links

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202e\u2066\U000e0041"

# (text, host, registered domain, disguises)
SEEN = [
    ("Go to example.com now", "example.com", "example.com", ()),
    ("https://www.Example.co.uk/a?b=1, ok", "www.example.co.uk", "example.co.uk", ()),
    ("(see shop.example.fr/x).", "shop.example.fr", "example.fr", ()),
    ("hxxp://evil.com/x", "evil.com", "evil.com", ("scheme",)),
    ("hXXps[:]//evil.com", "evil.com", "evil.com", ("scheme",)),
    ("http:\\\\evil.com", "evil.com", "evil.com", ("scheme",)),
    ("exa mple dot com", "mple.com", "mple.com", ("dot",)),
    ("paypal[.]com", "paypal.com", "paypal.com", ("dot",)),
    ("paypal (punkt) de", "paypal.de", "paypal.de", ("dot",)),
    ("example .com", "example.com", "example.com", ("dot",)),
    ("пример точка рф", "xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai", ("dot",)),
    ("ex\u200bam\u2060ple.com", "example.com", "example.com", ("invisible",)),
    ("example.com\u200bfoo", "example.com", "example.com", ("invisible",)),
    ("ｅｘａｍｐｌｅ．ｃｏｍ", "example.com", "example.com", ("compatibility",)),
    ("𝐞𝐱𝐚𝐦𝐩𝐥𝐞.com", "example.com", "example.com", ("compatibility",)),
    ("example。com", "example.com", "example.com", ()),
    ("http://0x7f.1/", "127.0.0.1", "127.0.0.1", ("ip",)),
    ("http://2130706433", "127.0.0.1", "127.0.0.1", ("ip",)),
    ("192.168.1.1/login", "192.168.1.1", "192.168.1.1", ("ip",)),
    ("http://[::1]:8080/x", "::1", "::1", ("port", "ip")),
    ("https://paypal.com@evil.com/login", "evil.com", "evil.com", ("userinfo",)),
    ("paypal.com@evil.com/login", "evil.com", "evil.com", ("userinfo",)),
    ("https://user:pw@h.fr:81/x", "h.fr", "h.fr", ("userinfo", "port")),
    ("http://ex%61mple.com", "example.com", "example.com", ("percent",)),
    ("раураl.com", "xn--l-7sba6dbr.com", "xn--l-7sba6dbr.com", ("mixed_scripts",)),
    ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai", ("punycode",)),
    ("пример.рф", "xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai", ()),
    ("请访问example.com查看", "example.com", "example.com", ()),
    ("http://localhost", "localhost", "localhost", ()),
    ("747723 is your code.\n\n@example.com #747723", "example.com", "example.com", ()),
    ("www.example.com.Merci", "www.example.com", "example.com", ()),
    ("\u200fexample.com\u200f", "example.com", "example.com", ()),
    ("example.com:443/x", "example.com", "example.com", ()),
]


@pytest.mark.parametrize(("text", "host", "domain", "disguises"), SEEN)
def test_links_are_found_through_their_disguises(text: str, host: str, domain: str, disguises: tuple[str, ...]) -> None:
    (link,) = find_links(text)
    assert (link.host, link.domain, link.disguises) == (host, domain, disguises)
    assert text[link.start : link.end] == link.written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "Hello.Thanks. Merci",
        "On 12.05.2026 at 18.30, v1.2.3, EUR 1.234,50",
        "au point de vue",
        "C'est fini. Info au 3 rue X",
        "file.txt and photo.jpeg",
        "http://",
        "https://@",
        "300.1.2.3",
        "co.uk",
        "a" * 64 + ".com",
        "ok...com",
        "访问。公司",
    ],
)
def test_what_is_no_link_is_none(text: str) -> None:
    assert find_links(text) == ()


def test_a_mail_address_is_told_from_a_link_and_its_user_is_none() -> None:
    (link,) = find_links("Write to john.it@acme.com please")
    assert (link.kind, link.host, link.written) == ("mail", "acme.com", "john.it@acme.com")


def test_links_end_where_people_see_their_end() -> None:
    written = [link.written for link in find_links("A (https://a.fr/x), b.fr/y. «c.fr/z» d.fr!")]
    assert written == ["https://a.fr/x", "b.fr/y", "c.fr/z", "d.fr"]


HOSTS = st.sampled_from(["example.com", "www.shop.example.co.uk", "пример.рф", "xn--e1afmkfd.xn--p1ai", "a-b.fr"])


@given(HOSTS, st.sampled_from(["", "https://", "hxxp://"]), st.sampled_from(["", "/x?y=1"]), st.data())
def test_zero_width_characters_never_hide_a_link(host: str, scheme: str, path: str, data: st.DataObject) -> None:
    plain = f"Now: {scheme}{host}{path} or later"
    places = data.draw(st.lists(st.tuples(st.integers(0, len(plain)), st.sampled_from(ZERO_WIDTH)), max_size=12))
    text = plain
    for place, char in sorted(places, reverse=True):
        text = text[:place] + char + text[place:]
    (link,) = find_links(text)
    assert link.host == ascii_host(host)


@given(HOSTS, st.sampled_from(ZERO_WIDTH), st.sampled_from(["word", "слово", "1"]))
def test_what_follows_behind_a_zero_width_character_hides_no_link(host: str, char: str, word: str) -> None:
    (link,) = find_links(f"Now: {host}{char}{word}")
    assert link.host == ascii_host(host) and "invisible" in link.disguises


PIECES = st.lists(
    st.sampled_from(["a", "com", "fr", ".", "/", "://", "http", "hxxp", "@", "-", "_", " ", "\u200b", "dot", "[", "]"])
    | st.sampled_from([":", "8", "%61", "。", "公", "ﷺ", "ａ", "я", "\u202e", "\n", "(", ")", "?"]),
    max_size=24,
)


@given(PIECES)
@example(["a", ".", "com", "@", "a", ".", "fr"])
def test_a_link_found_is_found_again_in_what_was_found(pieces: list[str]) -> None:
    text = "".join(pieces)
    links = find_links(text)
    for link, following in zip(links, [*links[1:], None], strict=False):
        assert text[link.start : link.end] == link.written
        assert following is None or link.end <= following.start
        again = find_links(link.written)
        assert [one.host for one in again[:1]] == [link.host], link


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    for link in find_links(text):
        assert text[link.start : link.end] == link.written and link.host


@settings(max_examples=40, deadline=None)
@given(PIECES.filter(bool))
@example(["a"])
@example(["@"])
@example(["a", "@"])
@example(["http", "://"])
@example([" "])
@example(["a", " ", ".", " "])
@example(["["])
@example(["\u200b"])
@example(["a", "\u200b", "."])
def test_no_text_of_fifty_thousand_characters_takes_long(pieces: list[str]) -> None:
    fragment = "".join(pieces)
    text = (fragment * (50_000 // len(fragment) + 1))[:50_000]
    start = perf_counter()
    find_links(text)
    assert perf_counter() - start < 3  # usually below 0.2; a search that walks back takes minutes


def test_hosts_are_brought_into_one_form() -> None:
    assert ascii_host("BÜCHER.example.") == "xn--bcher-kva.example"
    assert ascii_host("a..b") is ascii_host("-a.fr") is ascii_host("a" * 64) is ascii_host("") is None
    assert registrable("a.b.example.co.uk") == "example.co.uk" and registrable("co.uk") is None
    assert is_top_level("COM") and is_top_level("рф") and not is_top_level("jpeg") and not is_top_level("co.uk")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("256.1.1.1", None),
        ("1.2.3.4.5", None),
        ("4294967296", None),
        ("08.1.1.1", None),
        ("[::ffff:1.2.3.4]", "::ffff:1.2.3.4"),
        ("[zz]", None),
        ("example.com", None),
        ("１", None),
    ],
)
def test_addresses_are_read_in_all_their_spellings(host: str, address: str | None) -> None:
    found = ip_address(host)
    assert found == address or (address == "::ffff:1.2.3.4" and found == "::ffff:102:304")
