from __future__ import annotations

import base64
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from chappe.webhooks import BadSignature, key_of, new_secret, verify
from chappe.webhooks.signature import sign

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def headers(body: bytes, now: int, *secrets: str, event_id: str = "evt_1") -> dict[str, str]:
    signature = sign([key_of(secret) for secret in secrets], event_id, now, body)
    return {"webhook-id": event_id, "webhook-timestamp": str(now), "webhook-signature": signature}


@given(body=st.text(), key=st.binary(min_size=24, max_size=64))
def test_another_implementation_signs_alike(body: str, key: bytes) -> None:
    secret, now = "whsec_" + base64.b64encode(key).decode(), 1_800_000_000
    theirs = Webhook(secret).sign("evt_1", datetime.fromtimestamp(now, UTC), body)
    assert sign([key_of(secret)], "evt_1", now, body.encode()) == theirs
    verify(
        secret, {"Webhook-Id": "evt_1", "Webhook-Timestamp": str(now), "Webhook-Signature": theirs}, body.encode(), now
    )


def test_another_implementation_accepts_ours_and_no_other_body() -> None:
    now = int(time.time())
    assert Webhook(SECRET).verify(b'{"a":1}', headers(b'{"a":1}', now, SECRET)) == {"a": 1}
    with pytest.raises(BadSignature, match="no signature matches"):
        verify(SECRET, headers(b'{"a":1}', now, SECRET), b'{"a":2}', now)


@pytest.mark.parametrize("place", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_request_without_one_of_the_headers_is_refused_by_name(place: str) -> None:
    given_headers = headers(b"{}", 1_000, SECRET)
    del given_headers[place]
    with pytest.raises(BadSignature, match=place):
        verify(SECRET, given_headers, b"{}", 1_000)


def test_a_changed_id_or_time_is_refused() -> None:
    for change in ({"webhook-id": "evt_2"}, {"webhook-timestamp": "1001"}):
        with pytest.raises(BadSignature, match="no signature"):
            verify(SECRET, headers(b"{}", 1_000, SECRET) | change, b"{}", 1_000)
    with pytest.raises(BadSignature, match="not a number"):
        verify(SECRET, headers(b"{}", 1_000, SECRET) | {"webhook-timestamp": "soon"}, b"{}", 1_000)


def test_five_minutes_are_tolerated_and_no_second_more() -> None:
    told = headers(b"{}", 1_000_000, SECRET)
    verify(SECRET, told, b"{}", 1_000_300)
    verify(SECRET, told, b"{}", 999_700)
    for now in (1_000_301, 999_699):
        with pytest.raises(BadSignature, match="too far"):
            verify(SECRET, told, b"{}", now)


def test_while_a_secret_is_replaced_both_hold_and_foreign_versions_are_passed_over() -> None:
    old, new = new_secret(), new_secret()
    told = headers(b"{}", 1_000, new, old)
    told["webhook-signature"] = "v1a,c29tZXRoaW5n " + told["webhook-signature"]
    verify(old, told, b"{}", 1_000)
    verify(new, told, b"{}", 1_000)
    with pytest.raises(BadSignature):
        verify(new_secret(), told, b"{}", 1_000)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_äö", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_")])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret is whsec_"):
        key_of(secret)


@given(signature=st.text(), stamp=st.text(), body=st.binary())
def test_no_foreign_request_is_taken_nor_does_it_break_verify(signature: str, stamp: str, body: bytes) -> None:
    told = {"webhook-id": "evt_1", "webhook-timestamp": stamp, "webhook-signature": signature}
    with pytest.raises(BadSignature):
        verify(SECRET, told, body, 1_000)
