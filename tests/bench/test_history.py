"""A history is what the pipeline would have written: Chappe lists, finds and explains its messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import history, lookups
from bench.databases import Database
from bench.history.story import DAY_MS, RECIPIENTS, Cast, Story
from bench.kit import Failed
from chappe import smpp
from chappe.messages import store
from chappe.messages.model import State

CAST = Cast((1, 2, 3, 4, 5), (11, 12, 13, 14, 15), 7, 8, 10_000, 1_760_000_000_000, 1_760_000_000_000 + 365 * DAY_MS)


def test_rows_fit_their_tables_and_frames_are_frames() -> None:
    chapter = Story(CAST).chapter(9_000, 10_000)
    for table, rows in (
        (store.messages, chapter.messages),
        (store.history, chapter.history),
        (store.message_tags, chapter.tags),
        (store.parts, chapter.parts),
    ):
        assert {len(row) for row in rows} == {len(table.columns)}, table.name
    recipients = {row[0]: row[7] for row in chapter.messages}
    for message_id, _, _, kind, _, _, _, request, response in chapter.history:
        if kind == "answered":
            assert "+" + smpp.decode(request).fields["destination_addr"] == recipients[message_id]
            assert smpp.decode(response).fields["message_id"].isdigit()
        if kind == "receipt":
            told = smpp.receipt.from_pdu(smpp.decode(request))
            assert told is not None and told.id.isdigit()


def test_a_message_is_told_alike_whenever_it_is_asked_for() -> None:
    story = Story(CAST)
    whole = story.chapter(0, 500)
    for i in (0, 17, 499):
        told, row = story.told(i), whole.messages[i]
        assert (told.id, CAST.accounts[told.account]) == (row[0], row[1])
        assert (told.recipient, told.state) == (row[7], row[3])
    assert [row[0] for row in whole.messages] == sorted(row[0] for row in whole.messages)


def test_six_in_ten_have_receipts_and_some_of_everything_happens() -> None:
    chapter = Story(CAST).chapter(0, 10_000)
    reported = {row[0] for row in chapter.history if row[3] == "receipt"}
    assert len(reported) / 10_000 == pytest.approx(0.6, abs=0.03)
    states = {State(row[3]) for row in chapter.messages}
    assert {State.DELIVERED, State.SENT, State.UNDELIVERED, State.EXPIRED, State.FAILED, State.UNCONFIRMED} == states
    assert {row[11] for row in chapter.messages} == {1, 2}
    assert len({row[7] for row in chapter.messages}) > 9_000 < RECIPIENTS
    assert all(row[10] > CAST.ended - 4 * DAY_MS for row in chapter.parts)


def test_chappe_lists_finds_and_explains_what_was_filled_in(store_url: str, tmp_path: Path) -> None:
    kind = "sqlite" if store_url.startswith("sqlite") else "postgres"
    data = tmp_path / "data"
    data.mkdir()
    url = f"sqlite:///{data}/chappe.db" if kind == "sqlite" else store_url
    database = Database(kind, url, data, 0, lambda: 0.0)
    history.fill(database, 2_000, workers=1)
    rows = lookups.measure(database, tmp_path, count=2)
    assert len({row["case"] for row in rows}) == 17
    with pytest.raises(Failed, match="messages"):
        history.fill(database, 10)
