"""The life of a message as lines that people read, from what `GET /v1/messages/{id}/explain` tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from chappe.clock import parse_rfc3339

Tone = Literal["plain", "good", "wait", "bad"]
Json = Mapping[str, Any]

FINAL = frozenset({"delivered", "read", "undelivered", "failed", "expired", "canceled", "unconfirmed"})
COLOURS: dict[Tone, str] = {"plain": "default", "good": "green", "wait": "yellow", "bad": "red"}
_ENCODINGS = {"gsm7": "GSM-7", "ucs2": "UCS-2", "latin1": "Latin-1", "ascii": "ASCII"}


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened: when (milliseconds since the epoch), what in a word or two, and more about it."""

    at: int
    what: str
    about: str
    tone: Tone = "plain"


def tone_of(status: str) -> Tone:
    """The colour of a state."""
    if status in ("delivered", "read"):
        return "good"
    return "bad" if status in FINAL else "wait" if status == "scheduled" else "plain"


def lines(explanation: Json, *, joined: bool = True) -> list[Line]:
    """The steps of a message, parts that fared alike in one line if `joined`, and its final state if it has one."""
    message, history = explanation["message"], explanation["history"]
    told = [line_of(steps, message) for steps in (together(history) if joined else ([step] for step in history))]
    if message["status"] in FINAL and message["final_at"]:
        about = f"{message['error']['code']}: {message['error']['message']}" if message["error"] else ""
        told = [line for line in told if line.what != message["status"]]
        told.append(Line(_millis(message["final_at"]), message["status"], about, tone_of(message["status"])))
    return sorted(told, key=lambda line: line.at)


def together(history: Iterable[Json]) -> Iterator[list[Json]]:
    """Neighbouring steps that say the same of different parts."""
    for _, steps in groupby(history, key=_alike):
        yield list(steps)


def _alike(step: Json) -> tuple[Any, ...]:
    data = step["data"]
    error = data.get("error") or {}
    kept = data.get("duplicate"), data.get("ignored")
    return step["kind"], step["attempt"], bool(step["part"]), data.get("state"), error.get("code"), kept


def line_of(steps: list[Json], message: Json) -> Line:
    """One line for steps that are alike."""
    first = steps[0]
    kind, data = first["kind"], first["data"]
    error = data.get("error")
    at, which, by = _millis(steps[-1]["at"]), _parts(steps, message), data.get("connector") or "the supplier"
    if kind == "accepted":
        return Line(at, "accepted", _accepted(data))
    if kind == "held":
        return Line(at, "held", _content(data["content"]) if "content" in data else _held(data), "wait")
    if kind == "reviewed":
        return Line(at, "reviewed", f"{data.get('review')} by {data.get('by') or 'nobody'}")
    if kind == "released":
        return Line(at, "its time", f"queued again, to go by {by}")
    if kind == "answered" and error is None:
        took = max(step["data"].get("ms", 0) for step in steps)
        under = f" as {data.get('provider_id') or 'nothing'}" if len(steps) == 1 else ""
        return Line(at, "sent", f"{which}taken by {by}{under}, in {took} ms")
    if kind == "answered":
        return Line(at, "refused", f"{which}{by}: {error_words(error)}", "bad")
    if kind == "in_doubt":
        return Line(at, "in doubt", f"{which}no answer of {by}: it may have been sent", "wait")
    if kind == "retry":
        when = f", at {data['due'][11:23]}" if isinstance(data.get("due"), str) else ""
        return Line(at, "again", f"{error_words(error) if error else 'by policy'}{when}", "wait")
    if kind == "rerouted":
        why = f" after {error['code']}" if error else ""
        return Line(at, "rerouted", f"to {by}{why}", "wait")
    if kind == "receipt":
        return _receipt(at, which, by, data)
    if kind == "canceled":
        return Line(at, "canceled", f"by {data.get('by', 'the customer')}", "bad")
    if kind == "replaced":
        return Line(at, "replaced", f"with another text by {data.get('by', 'the customer')}")
    if kind == "received":
        return Line(at, "received", f"{which}by {by}")
    return Line(at, kind, error_words(data) if data.get("code") else "", "bad" if kind in FINAL else "plain")


def _accepted(data: Json) -> str:
    segments = data.get("segments", 1)
    encoding = encoding_words(data.get("encoding", ""))
    words = [f"{encoding}, {segments} segment{'s' if segments != 1 else ''}, to go by {data.get('connector', '?')}"]
    if data.get("changes"):
        words.append("with " + " ".join(f"{c['original']}→{c['replacement']}" for c in data["changes"]))
    if data.get("forced"):
        words.append("because of " + " ".join(data["forced"]))
    if data.get("reason"):
        words.append(data["reason"])
    if data.get("instead_of"):
        words.append(f"instead of {data['instead_of']}: {data.get('since', 'it is down')}")
    if data.get("template"):
        words.append(f"from the template {data['template']}")
    if data.get("content"):
        words.append(_content(data["content"]))
    if data.get("held_until"):
        words.append(_held(data))
    if data.get("throttled_until"):
        words.append(f"held back until {str(data['throttled_until'])[11:19]} by a throttle")
    return ", ".join(words)


def _held(data: Json) -> str:
    return f"waits until {str(data['held_until'])[:16].replace('T', ' ')} UTC by {data['rule']}"


def _content(data: Json) -> str:
    """What the content firewall had to say."""
    return f"{data['action']} for its text: {', '.join(data['findings'])}"


def _receipt(at: int, which: str, by: str, data: Json) -> Line:
    state = data["state"]
    error = data.get("error")
    words = [f"{which}{state}" + (f" ({error['supplier']})" if error and error.get("supplier") else "")]
    words += ["told before" for _ in range(bool(data.get("duplicate")))]
    words += [data["ignored"]] if data.get("ignored") else []
    tone: Tone = "good" if state == "delivered" else "plain" if state in ("accepted", "enroute", "unknown") else "bad"
    return Line(at, "receipt", f"{by}: {', '.join(words)}", tone)


def _parts(steps: list[Json], message: Json) -> str:
    """`parts 1-3 of 3 `, nothing for a message in one part."""
    total = max(message.get("segments") or 1, message.get("parts") or 1, *(step["part"] for step in steps))
    numbers = sorted({step["part"] for step in steps})
    if total <= 1 or numbers == [0]:
        return ""
    run = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1))
    spelt = f"{numbers[0]}-{numbers[-1]}" if run else " and ".join(map(str, numbers))
    return f"part{'s' if len(numbers) > 1 else ''} {spelt} of {total} "


def encoding_words(encoding: str) -> str:
    """`GSM-7` for `gsm7`."""
    return _ENCODINGS.get(encoding, encoding)


def error_words(error: Json) -> str:
    """A delivery error: our code, and what the supplier said."""
    said = error.get("supplier") or error.get("detail")
    return f"{error['code']}" + (f" ({said})" if said else "")


def _millis(rfc3339: str) -> int:
    return parse_rfc3339(rfc3339)
