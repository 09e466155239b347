"""Everything that is held of a person, as a stream of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from chappe import ids
from chappe.clock import rfc3339
from chappe.consent import EVERYONES
from chappe.privacy.holdings import HOLDINGS
from chappe.privacy.model import NEWEST, Who
from chappe.privacy.persons import accounts_with_data, known_as

if TYPE_CHECKING:
    from chappe.runtime import Runtime

VERSION = 1


async def export(rt: Runtime, account_id: int | None, test: bool, person: str) -> AsyncIterator[dict[str, Any]]:
    """What an account, or with None all of them, holds of a person: JSON-ready, in bounded memory.

    The first record has the kind `export`, the last `end` with counts by kind: without it the export was broken off.
    `test`: only what test keys brought in. `person` as `named` gives it. Raises Unavailable.
    """
    counts: Counter[str] = Counter()
    yield {"kind": "export", "version": VERSION, "person": person, "made_at": rfc3339(rt.clock.now())}
    async for who in of(rt, account_id, person, test=test):
        account = ids.public("acc", who.account_id) if who.account_id != EVERYONES else None
        for holding in HOLDINGS:
            async for page in holding.read(rt, who):
                counts[holding.kind] += len(page)
                for record in page:
                    yield {"kind": holding.kind, "account_id": account, **record}
    yield {"kind": "end", "counts": dict(counts)}


async def count(rt: Runtime, account_id: int | None, test: bool, person: str) -> dict[str, int]:
    """How much is held of a person, by kind. Raises Unavailable."""
    counts: Counter[str] = Counter()
    async for who in of(rt, account_id, person, test=test):
        for holding in HOLDINGS:
            async for page in holding.read(rt, who):
                counts[holding.kind] += len(page)
    return dict(counts)


async def of(
    rt: Runtime,
    account_id: int | None,
    person: str,
    *,
    test: bool = False,
    upto: int = NEWEST,
    under_way: bool = False,
) -> AsyncIterator[Who]:
    """The person as each account knows them that is asked about. Raises Unavailable."""
    if account_id is not None:
        yield known_as(rt, account_id, person, test=test, upto=upto, under_way=under_way)
        return
    async for number in accounts_with_data(rt):
        yield known_as(rt, number, person, test=test, upto=upto, under_way=under_way)
