"""Messages to a person: text, states and times. What is left of one is what it cost and where it went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from chappe import ids
from chappe.clock import rfc3339
from chappe.messages import Message
from chappe.messages.model import decode_json
from chappe.messages.store import BLANK_FRAMES, message
from chappe.privacy.holdings import store
from chappe.privacy.holdings.contract import Record, Slice
from chappe.privacy.model import Who

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE = 200


class Messages:
    """A message that is not final keeps its recipient: its receipt is matched by it. It is erased when it is final."""

    kind = "message"
    columns = (
        "messages.recipient",
        "messages.text",
        "messages.options",
        "messages.metadata",
        "messages.correlation_id",
        "messages.callback_url",
        "history.request",
        "history.response",
        "content_reviews.sample",
    )

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        params: dict[str, Any] = {**_whose(who), "limit": SLICE}
        after = -1
        while rows := await rt.store.scan(store.MESSAGES({**params, "after": after})):
            found = [message(tuple(row)) for row in rows]
            steps: defaultdict[int, list[Record]] = defaultdict(list)
            for message_id, at, kind in await rt.store.scan(store.STEPS({"ids": [one.id for one in found]})):
                steps[message_id].append({"at": rfc3339(at), "kind": kind})
            yield [_shown(one, steps[one.id]) for one in found]
            after = found[-1].id

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        params = {**_whose(who), "under_way": int(who.under_way), "limit": SLICE}
        while rows := await rt.store.scan(store.FINISHED(params)):
            numbers = [number for number, _ in rows]
            yield (
                len(rows),
                [
                    store.ERASE_SAMPLES({"account_id": who.account_id, "ids": numbers}),
                    store.ERASE_MESSAGES([(number, who.alias(test)) for number, test in rows]),
                    BLANK_FRAMES([(number,) for number in numbers]),
                ],
            )


def _whose(who: Who) -> dict[str, Any]:
    return {"account_id": who.account_id, "person": who.person, "tests": list(who.tests), "upto": who.upto}


def _shown(one: Message, steps: list[Record]) -> Record:
    error = decode_json(one.error) if one.error else {}
    return {
        "id": ids.public("msg", one.id),
        "to": one.recipient,
        "from": one.sender,
        "status": one.state.word,
        "error": error.get("code"),
        "purpose": one.purpose,
        "text": one.text,
        "options": decode_json(one.options) if one.options else {},
        "country": one.country or None,
        "tags": decode_json(one.tags) if one.tags else [],
        "metadata": decode_json(one.metadata) if one.metadata else {},
        "correlation_id": one.correlation_id,
        "callback_url": one.callback_url,
        "created_at": rfc3339(one.created_at),
        "send_at": rfc3339(one.send_at),
        "sent_at": rfc3339(one.sent_at),
        "final_at": rfc3339(one.final_at),
        "test": bool(one.test),
        "steps": steps,
    }
