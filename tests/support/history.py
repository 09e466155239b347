"""A believable past for a store: messages, their steps, tags and parts, spread over months, by the real statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from chappe import ids
from chappe.messages import store as rows
from chappe.messages.model import PartState, Queued, State
from chappe.storage import Op, Store

SLICE = 2_000
DAY_MS = 86_400_000
STATES = (
    *(State.DELIVERED,) * 80,
    *(State.UNDELIVERED,) * 8,
    *(State.SENT,) * 6,
    *(State.UNCONFIRMED,) * 4,
    State.EXPIRED,
    State.FAILED,
)
TAGS = ("spring", "summer", "login", "parcel")
FRAME = bytes(range(1, 121))


async def fill(
    store: Store, accounts: Sequence[int], count: int, *, now: int, days: int = 365, seed: int = 1, first: int = 0
) -> list[int]:
    """Write `count` messages of the last `days` days, evenly spread; gives their ids, rising.

    A fifth has tags, each hundredth a correlation id that ten share; those of the last day are at the supplier still.
    """
    random = Random(seed)
    made: list[int] = []
    since = now - days * DAY_MS
    for start in range(first, count, SLICE):
        numbers = [
            ids.at(since + n * days * DAY_MS // count) + n % 4096 for n in range(start, min(start + SLICE, count))
        ]
        await store.write(*_ops(random, numbers, accounts, now))
        made += numbers
    return made


async def queue(store: Store, numbers: Sequence[int], account_id: int, *, due_at: int) -> None:
    """Put messages into the queue, scheduled."""
    entries = [
        (n, account_id, 7, 1, int(Queued.SCHEDULED), due_at, due_at + DAY_MS, 1, 0, 0, "", 0, 0) for n in numbers
    ]
    await store.write(rows.ADD_QUEUE(entries))


def _ops(random: Random, numbers: Sequence[int], accounts: Sequence[int], now: int) -> Iterator[Op]:
    messages: list[Any] = []
    steps: list[Any] = []
    tags: list[Any] = []
    parts: list[Any] = []
    for number in numbers:
        at = ids.millis(number)
        account = random.choice(accounts)
        fresh = at > now - DAY_MS
        state = State.SENT if fresh else random.choice(STATES)
        tag = random.choice(TAGS) if random.random() < 0.2 else None
        correlation = f"call-{number % 9973}" if random.random() < 0.01 else None
        recipient = f"+3361{random.randrange(10**7):07d}"
        final = None if state is State.SENT else at + 4_000
        messages.append(
            tuple(
                {
                    **dict.fromkeys(rows.messages.columns.keys()),
                    "id": number,
                    "account_id": account,
                    "test": 0,
                    "state": int(state),
                    "version": 3,
                    "purpose": "transactional",
                    "lane": 1,
                    "recipient": recipient,
                    "sender": "Acme",
                    "text": "Votre colis arrive demain.",
                    "encoding": "gsm7",
                    "segments": 1,
                    "correlation_id": correlation,
                    "tags": f'["{tag}"]' if tag else None,
                    "origin": "api",
                    "receipts": 0,
                    "expires_at": at + DAY_MS,
                    "connector_id": 7,
                    "attempt": 1,
                    "sent_at": at + 300,
                    "final_at": final,
                    "country": "FR",
                    "money": 0,
                }.values()
            )
        )
        if tag:
            tags.append((account, tag, number))
        if fresh:
            parts.append((number, 1, 1, 1, 7, f"p{number}", f"p{number}", int(PartState.SENT), None, at, now, None))
        for n, kind in enumerate(("accepted", "answered", "receipt")):
            steps.append((number, number + n, at + 100 * n, kind, 1, 1, '{"connector":"main"}', FRAME, FRAME))
    yield rows.ADD_MESSAGES(messages)
    yield rows.ADD_HISTORY(steps)
    yield rows.ADD_TAGS(tags)
    yield rows.ADD_PARTS(parts)
