"""Identifiers, times and secrets."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe import ids, logs
from chappe.clock import FakeClock, parse_rfc3339, rfc3339
from chappe.ids import Ids
from chappe.secrets import HIDDEN, Vault, hash_key, load_master_key, new_api_key, redact
from chappe.settings import Log

numbers = st.integers(0, (1 << 63) - 1)


def test_ids_rise_and_tell_their_time() -> None:
    before = time.time_ns() // 1_000_000
    made = [Ids(7).next() for _ in range(3)]
    some = Ids(7)
    many = [some.next() for _ in range(20_000)]  # more than one millisecond holds
    assert many == sorted(set(many))
    assert before <= ids.millis(made[0]) <= time.time_ns() // 1_000_000
    assert all(number < 1 << 63 for number in many)


def test_ids_of_different_nodes_and_threads_never_meet() -> None:
    makers = [Ids(node) for node in (0, 1, 255)]
    made: list[int] = []

    def make(maker: Ids) -> None:
        made.extend([maker.next() for _ in range(5_000)])

    threads = [threading.Thread(target=make, args=(maker,)) for maker in makers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 30_000


def test_ids_rise_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    some = Ids()
    first = some.next()
    monkeypatch.setattr("time.time_ns", lambda: 1_600_000_000_000_000_000)
    assert some.next() > first


def test_a_range_of_time_is_a_range_of_ids() -> None:
    now = time.time_ns() // 1_000_000
    number = Ids(3).next()
    assert ids.at(now - 1000) <= number < ids.at(now + 5000)
    assert ids.millis(ids.at(now)) == now


@given(numbers)
def test_a_public_id_is_read_back(number: int) -> None:
    text = ids.public("msg", number)
    assert len(text) == 17
    assert ids.parse("msg", text) == number
    assert ids.parse("evt", text) is None


@given(numbers, numbers)
def test_public_ids_sort_like_their_numbers(a: int, b: int) -> None:
    assert (a < b) == (ids.public("x", a) < ids.public("x", b))


@given(st.text(max_size=20))
def test_any_other_text_is_no_id(text: str) -> None:
    number = ids.parse("msg", "msg_" + text)
    assert number is None or ids.public("msg", number) == "msg_" + text


@given(st.integers(0, 4_000_000_000_000))
def test_times_are_read_back(millis: int) -> None:
    text = rfc3339(millis)
    assert text is not None and text.endswith("Z")
    assert parse_rfc3339(text) == millis


@pytest.mark.parametrize(
    "text", ["2026-11-21T22:04:05", "2026-11-21", "yesterday", "", "2026-13-01T00:00:00Z", "12:00:00Z"]
)
def test_a_time_without_offset_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_offsets_are_understood_and_fake_time_moves_when_told() -> None:
    assert parse_rfc3339("2026-11-21T23:04:05+01:00") == parse_rfc3339("2026-11-21T22:04:05Z")
    clock = FakeClock(1_000)
    clock.advance(1.5)
    assert (clock.now(), clock.monotonic()) == (2_500, 2.5)


@given(st.text())
def test_a_sealed_secret_opens_with_its_key_only(text: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in text):
        return
    sealed = Vault(b"one").encrypt(text)
    assert len(text) < 4 or text not in sealed
    assert Vault(b"one").decrypt(sealed) == text
    with pytest.raises(ValueError, match="another secret_key"):
        Vault(b"two").decrypt(sealed)


@pytest.mark.parametrize("sealed", ["", "v1:", "v1:AAAA", "v1:not base64!", "plain", "v1:" + "A" * 60])
def test_what_is_no_sealed_secret_is_refused(sealed: str) -> None:
    with pytest.raises(ValueError):
        Vault(b"one").decrypt(sealed)


def test_the_same_text_is_sealed_differently_each_time() -> None:
    vault = Vault(b"one")
    assert vault.encrypt("a") != vault.encrypt("a")


def test_an_empty_or_lost_key_file_is_not_taken_for_a_key(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_bytes(b"\n")
    with pytest.raises(ValueError, match="empty"):
        load_master_key(None, tmp_path)


def test_api_keys_are_typed_and_hashed() -> None:
    key = new_api_key("live")
    assert key.startswith("ck_live_") and len(key) > 50 and key != new_api_key("live")
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_secrets_are_hidden_at_any_depth() -> None:
    value = {"name": "x", "password": "p", "list": [{"api_key": "k", "n": 1}], "token": None, "Authorization": "Bearer"}
    hidden = {"name": "x", "password": HIDDEN, "list": [{"api_key": HIDDEN, "n": 1}], "token": None}
    assert redact(value) == hidden | {"Authorization": HIDDEN}


@pytest.mark.parametrize("format", ["console", "json"])
def test_logs_hide_secrets_and_local_variables(capsys: pytest.CaptureFixture[str], format: str) -> None:
    import structlog

    before = structlog.get_config()
    logs.configure(Log(format=format))  # type: ignore[arg-type]
    try:
        secret_local = "hunter" + "2"
        try:
            raise ValueError("no")
        except ValueError:
            structlog.get_logger("test").exception("failed", password=secret_local)
    finally:
        structlog.configure(**before)
    shown = capsys.readouterr().err
    assert "failed" in shown and "ValueError" in shown and HIDDEN in shown
    assert "hunter2" not in shown
