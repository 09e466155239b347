"""Lines of a life, from what the API explains."""

from __future__ import annotations

from typing import Any

import pytest

from chappe.cli.timeline import lines


def step(second: int, kind: str, part: int = 0, **data: Any) -> dict[str, Any]:
    at = f"2027-01-31T09:00:{second:02}.000Z"
    return {"at": at, "kind": kind, "attempt": 1, "part": part, "data": {"connector": "acme", **data}}


def told(*steps: dict[str, Any], status: str = "delivered", segments: int = 1, joined: bool = True) -> list[str]:
    error = None if status == "delivered" else {"code": "absent_subscriber", "message": "The phone is off."}
    final_at = None if status == "sent" else "2027-01-31T09:00:59.000Z"
    message = {"status": status, "final_at": final_at, "error": error, "segments": segments}
    made = lines({"message": message, "history": list(steps)}, joined=joined)
    return [f"{line.what}: {line.about}" for line in made]


def test_parts_that_fared_alike_are_one_line_and_others_are_not() -> None:
    steps = [step(1, "answered", part, provider_id=str(part), ms=part) for part in (1, 2, 3)]
    steps += [step(2, "receipt", 1, state="delivered"), step(3, "receipt", 3, state="delivered")]
    steps += [step(4, "receipt", 2, state="undelivered", error={"code": "absent_subscriber", "supplier": "err:060"})]
    assert told(*steps, status="undelivered", segments=3) == [
        "sent: parts 1-3 of 3 taken by acme, in 3 ms",
        "receipt: acme: parts 1 and 3 of 3 delivered",
        "receipt: acme: part 2 of 3 undelivered (err:060)",
        "undelivered: absent_subscriber: The phone is off.",
    ]
    assert len(told(*steps, segments=3, joined=False)) == 7


@pytest.mark.parametrize(
    "data, words",
    [
        ({"kind": "in_doubt", "part": 1}, "in doubt: no answer of acme: it may have been sent"),
        (
            {"kind": "retry", "error": {"code": "throttled", "supplier": "0x58"}, "due": "2027-01-31T09:00:07.500Z"},
            "again: throttled (0x58), at 09:00:07.500",
        ),
        ({"kind": "retry", "policy": "resend", "error": None}, "again: by policy"),
        (
            {"kind": "rerouted", "error": {"code": "supplier_unreachable"}},
            "rerouted: to acme after supplier_unreachable",
        ),
        (
            {"kind": "receipt", "part": 1, "state": "delivered", "duplicate": True},
            "receipt: acme: delivered, told before",
        ),
        ({"kind": "receipt", "part": 1, "state": "enroute"}, "receipt: acme: enroute"),
        (
            {"kind": "answered", "part": 1, "error": {"code": "destination_rejected", "supplier": "0xB"}},
            "refused: acme: destination_rejected (0xB)",
        ),
        ({"kind": "released"}, "its time: queued again, to go by acme"),
        ({"kind": "replaced", "by": "smpp:acme"}, "replaced: with another text by smpp:acme"),
        ({"kind": "a step of a later version"}, "a step of a later version: "),
    ],
)
def test_every_kind_of_step_has_words(data: dict[str, Any], words: str) -> None:
    fields = dict(data)
    kind, part = fields.pop("kind"), fields.pop("part", 0)
    assert told(step(1, kind, part, **fields), status="sent") == [words]


def test_what_was_done_to_the_text_is_told() -> None:
    changes = [{"original": "œ", "replacement": "oe"}, {"original": "ê", "replacement": "e"}]
    [line] = told(step(1, "accepted", encoding="gsm7", segments=1, changes=changes), status="sent")
    assert line == "accepted: GSM-7, 1 segment, to go by acme, with œ→oe ê→e"
    [line] = told(step(1, "accepted", encoding="ucs2", segments=2, forced=["ê"]), status="sent")
    assert line == "accepted: UCS-2, 2 segments, to go by acme, because of ê"


def test_a_final_state_without_receipt_is_told_once() -> None:
    failed = step(3, "failed", code="absent_subscriber", permanent=True)
    assert told(failed, status="failed") == ["failed: absent_subscriber: The phone is off."]
