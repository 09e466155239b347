"""Which addresses may be called, judged by their text."""

from __future__ import annotations

import pytest

from chappe.outgoing import INVALID, PRIVATE, check_url, is_public


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "193.0.6.139", "2606:4700::1111", "2a00:1450:4001::1", "100.63.0.1", "172.32.0.1"]
)
def test_public_addresses_pass(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.9.9.9",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "1.2.3",
        "localhost",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "fec0::1",
        "100::1",
        "3fff::1",
        "5f00::1",
        "2606:4700::1111%1",
    ],
)
def test_all_other_addresses_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.org/hook?a=1#b", None),
        ("http://example.org:8080", None),
        ("https://8.8.8.8/x", None),
        ("https://[2606:4700::1111]/x", None),
        ("https://bücher.example/x", None),
        ("ftp://example.org/", INVALID),
        ("file:///etc/passwd", INVALID),
        ("example.org/x", INVALID),
        ("https://", INVALID),
        ("https://user:secret@example.org/", INVALID),
        ("https://example.org:0/", INVALID),
        ("https://example.org:99999/", INVALID),
        ("https://exam ple.org/", INVALID),
        ("https://example.org/\r\nX: y", INVALID),
        ("https://[::1/", INVALID),
        ("https://example.org/" + "x" * 2048, INVALID),
        ("http://127.0.0.1/", PRIVATE),
        ("http://169.254.169.254/latest/meta-data", PRIVATE),
        ("http://[::1]:9/", PRIVATE),
        ("http://[::ffff:10.0.0.1]/", PRIVATE),
        ("http://localhost/", PRIVATE),
        ("http://LOCALHOST./", PRIVATE),
        ("http://db.internal/", PRIVATE),
        ("http://printer.local/", PRIVATE),
    ],
)
def test_urls_are_judged_by_their_text(url: str, code: str | None) -> None:
    assert check_url(url) == code


def test_an_operator_may_allow_private_urls_but_no_invalid_ones() -> None:
    assert check_url("http://127.0.0.1:8080/x", allow_private=True) is None
    assert check_url("gopher://127.0.0.1/", allow_private=True) == INVALID
