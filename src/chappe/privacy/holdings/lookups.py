"""What was looked up of a number: the results of batches, and what sources have said, which is no account's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from chappe import ids, numbers
from chappe.clock import rfc3339
from chappe.consent import EVERYONES
from chappe.privacy.holdings import store
from chappe.privacy.holdings.contract import Record, Slice
from chappe.privacy.model import Who

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE = 100  # jobs
CHUNKS = 20  # of a job, with 200 numbers each

_decode = msgspec.json.decode
_encode = msgspec.json.encode


class Batches:
    """Look-ups of many numbers: an account's own, number by number."""

    kind = "lookup"
    columns = ("lookup_chunks.numbers", "lookup_chunks.results")

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        async for _chunk, found in _found(rt, who):
            yield [{"job": ids.public("lkj", _chunk["job"]), **report} for _, report in found]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        async for chunk, found in _found(rt, who):
            alias, written, reports = who.alias(chunk["test"]), chunk["numbers"], chunk["results"]
            for place, _ in found:
                written[place] = alias
                if reports is not None:
                    reports[place] = {"given": alias}
            results = None if reports is None else _encode(reports).decode()
            params = {"job": chunk["job"], "chunk": chunk["chunk"]}
            yield len(found), [store.ERASE_CHUNK({**params, "numbers": _encode(written).decode(), "results": results})]


class Cached:
    """Answers that are kept for the next who asks. Anybody's erasure takes them; only the operator is shown them."""

    kind = "lookup_answer"
    columns = ("lookup_cache.digits", "lookup_cache.findings")

    async def read(self, rt: Runtime, who: Who) -> AsyncIterator[list[Record]]:
        if who.account_id != EVERYONES or not who.digits:
            return
        if rows := await rt.store.scan(store.CACHED({"digits": who.digits})):
            yield [
                {"learned_at": rfc3339(learned_at), "findings": None if findings is None else _decode(findings)}
                for _, learned_at, findings in rows
            ]

    async def erase(self, rt: Runtime, who: Who) -> AsyncIterator[Slice]:
        if who.digits and (rows := await rt.store.scan(store.CACHED({"digits": who.digits}))):
            yield len(rows), [store.ERASE_CACHED({"digits": who.digits})]


async def _found(rt: Runtime, who: Who) -> AsyncIterator[tuple[dict[str, Any], list[tuple[int, Record]]]]:
    """The chunks that have the number, and at which places."""
    if not who.digits:
        return
    whose = {"account_id": who.account_id, "tests": list(who.tests), "upto": who.upto, "limit": SLICE}
    after = -1
    while jobs := await rt.store.scan(store.JOBS({**whose, "after": after})):
        for job_id, country, chunks, test in jobs:
            for start in range(-1, chunks, CHUNKS):
                window = {"job": job_id, "after": start, "last": start + CHUNKS, "quoted": who.quoted}
                for place, written, results in await rt.store.scan(store.CHUNKS(window)):
                    chunk = {
                        "job": job_id,
                        "chunk": place,
                        "test": test,
                        "numbers": _decode(written),
                        "results": None if results is None else _decode(results),
                    }
                    if found := _places(chunk, who, country):
                        yield chunk, found
        after = jobs[-1][0]


def _places(chunk: dict[str, Any], who: Who, country: str | None) -> list[tuple[int, Record]]:
    if chunk["results"] is not None:
        return [(n, report) for n, report in enumerate(chunk["results"]) if report.get("number") == who.person]
    return [(n, {"given": one}) for n, one in enumerate(chunk["numbers"]) if _means(one, country, who)]


def _means(written: str, country: str | None, who: Who) -> bool:
    try:
        return numbers.parse(written, country).e164 == who.person
    except numbers.NumberError:
        return False
