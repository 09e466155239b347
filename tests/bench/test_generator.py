"""The programs that make the load, against each other and against Chappe's own codec."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases import until
from bench.generator import frames
from bench.generator.common import Latencies, Pace
from bench.kit import Failed, Kit, Sink
from chappe import smpp

FIRST = 33_610_000_000


def test_a_submit_is_what_the_codec_reads() -> None:
    raw = frames.Submits("Bench", "100% of {n}", receipts=True).fill(7, FIRST)
    pdu = smpp.decode(raw)
    assert (pdu.command_id, pdu.sequence_number) == (smpp.commands.SUBMIT_SM, 7)
    assert pdu.fields["source_addr"] == "Bench"
    assert pdu.fields["destination_addr"] == str(FIRST)
    assert pdu.fields["registered_delivery"] == 1
    assert pdu.fields["short_message"] == b"100%% of %d" % FIRST


def test_a_receipt_is_what_the_codec_reads() -> None:
    submit = frames.Submits("Bench", "Hello {n}", receipts=True).fill(7, FIRST)
    source, destination, registered = frames.submitted(b"before" + submit, 6)
    body = frames.Receipts().body(source, destination, b"0000000042")
    told = smpp.receipt.from_pdu(smpp.decode(frames.frame(frames.DELIVER_SM, 3, body)))
    assert registered == 1
    assert told is not None
    assert (told.id, told.state) == ("0000000042", smpp.MessageState.DELIVERED)


@pytest.mark.parametrize("rate", [0.0, 2000.0])
def test_every_message_is_accepted_and_reported_once(tmp_path: Path, rate: float) -> None:
    sink = Sink(Kit(), "sink", tmp_path, dlr_max_ms=20)
    try:
        options = {"port": sink.port, "sessions": 2, "window": 20, "count": 1000, "dlr": 1, "rate": rate}
        [figures] = Kit().run(("load", options), within_s=30)
        until(sink, "dlr_ok", 1000, "t_last")
        assert sink.count("submits") == 1000
    finally:
        sink.stop()
    assert figures["whole"]
    assert (figures["ok"], figures["dlr"], figures["dlr_dup"], figures["dlr_unmatched"]) == (1000, 1000, 0, 0)
    assert figures["resp_ms"]["n"] == 1000
    if rate:
        assert figures["t_last_resp"] - figures["t_start"] > 0.45


def test_requests_are_filled_in_and_counted_once(tmp_path: Path) -> None:
    sink = Sink(Kit(), "httpsink", tmp_path, match='"kind":"a"', uniq="to")
    try:
        one = {"port": sink.port, "body": '{"kind":"a","to":"+{n}"}', "conns": 4, "count": 500, "base": FIRST}
        batch = {"port": sink.port, "body": "[{items}]", "item": '{"to":"+{n}"}', "batch": 100, "count": 250}
        got = {"port": sink.port, "method": "GET", "path": "/?to={n}", "conns": 2, "count": 10, "base": FIRST}
        figures = Kit().run(("httpload", one), ("httpload", batch), ("httpload", got), within_s=30)
        until(sink, "hits", 513, "t_last")
        told = sink.figures()
    finally:
        sink.stop()
    assert [one["ok"] for one in figures] == [500, 3, 10]
    assert (told["hits"], told["match"], told["uniq"]) == (513, 500, 500)


def test_a_load_that_is_not_taken_fails(tmp_path: Path) -> None:
    sink = Sink(Kit(), "httpsink", tmp_path)
    try:
        with pytest.raises(Failed):
            Kit().run(("httpload", {"port": sink.port, "count": 10, "expect": "thanks"}), within_s=30)
    finally:
        sink.stop()


def test_latency_counts_from_the_moment_at_which_a_request_was_due() -> None:
    pace = Pace(rate=100.0, count=50)
    pace.begin(1000.0)
    assert [pace.due(moment) for moment in (1000.0, 1000.101, 1009.0)] == [1, 11, 50]
    assert pace.moment(10, 1000.3) == 1000.1


def test_latencies_are_also_told_by_windows() -> None:
    latencies = Latencies(window_s=10.0)
    latencies.begin(100.0)
    for second in range(25):
        latencies.add(0.001 if second < 10 else 0.003, 100.0 + second)
    told = [(window["t"], window["n"], window["p99"]) for window in latencies.windows]
    assert told == [(0.0, 10, 1.0), (10.0, 10, 3.0)]
    assert latencies.total["n"] == 25
