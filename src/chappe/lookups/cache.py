"""What sources have said of numbers, kept in a table for all nodes, with the numbers seen lately in memory.

Numbers are personal data: a row goes when its source's longest time is over, and after `retention.lookup_days` at the
latest. Of an IMSI only a keyed hash is kept, of the source's raw answer nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chappe.lookups import store
from chappe.lookups.model import Findings, Told
from chappe.lookups.sources import Source
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

IN_MEMORY: Final = 50_000  # numbers
MEMORY_S: Final = 60.0  # then the table is asked again: another node may have learnt, or forgotten
_SLICE: Final = 1_000
_DAY_S: Final = 86_400

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Findings).decode


class Known(NamedTuple):
    """An answer that was kept. `findings` None: the source does not cover the number."""

    learned_at: int
    findings: Findings | None


class Learned(NamedTuple):
    """An answer to keep."""

    digits: str
    source: Source
    told: Told
    at: int


BySource = dict[int, Known]


class Cache:
    """One a process."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._key = hashlib.sha256(b"chappe imsi\0" + rt.settings.master_key()).digest()
        self._memory: OrderedDict[str, tuple[float, BySource]] = OrderedDict()

    async def known(self, digits: Iterable[str]) -> dict[str, BySource]:
        """What is kept of these numbers, by source, however old. Raises Unavailable."""
        now = self._rt.clock.monotonic()
        found: dict[str, BySource] = {}
        unseen: list[str] = []
        for number in dict.fromkeys(digits):
            held = self._memory.get(number)
            if held is not None and now - held[0] < MEMORY_S:
                found[number] = held[1]
            else:
                unseen.append(number)
        for start in range(0, len(unseen), _SLICE):
            rows = await self._rt.store.read(
                store.KNOWN({"digits": unseen[start : start + _SLICE], "now": self._rt.clock.now()})
            )
            read: dict[str, BySource] = {}
            for number, source_id, learned_at, findings in rows:
                read.setdefault(number, {})[source_id] = Known(
                    learned_at, None if findings is None else _decode(findings)
                )
            for number, by_source in read.items():
                self._remember(number, now, by_source)
            found |= read
        return found

    def keep(self, learned: Sequence[Learned]) -> list[Op]:
        """The ops that keep these answers; call `learned` after their commit. A source that was unavailable has said
        nothing."""
        rows = [self._row(one) for one in sorted(learned, key=lambda one: (one.digits, one.source.id)) if _kept(one)]
        if not rows:
            return []
        return [store.OUTDATE([row[:2] for row in rows]), store.LEARN(rows)]

    def learned(self, learned: Sequence[Learned], known: Mapping[str, BySource]) -> None:
        """Have these answers in memory, beside what was `known` of their numbers."""
        now = self._rt.clock.monotonic()
        for one in filter(_kept, learned):
            held = self._memory.get(one.digits)
            before = held[1] if held is not None else known.get(one.digits, {})
            findings = None if one.told.findings is None else self._clean(one.told.findings)
            self._remember(
                one.digits, now if held is None else held[0], before | {one.source.id: Known(one.at, findings)}
            )

    async def forget(self, digits: Sequence[str]) -> None:
        """Whatever is kept of these numbers: a network has just said that it knows better. Other nodes may still
        answer from memory for a minute. Raises Unavailable."""
        await self._rt.store.write(store.FORGET({"digits": list(digits)}))
        self.drop(digits)

    def drop(self, digits: Sequence[str]) -> None:
        """Have them no more in memory."""
        for number in digits:
            self._memory.pop(number, None)

    def hashed(self, imsi: str) -> str:
        """The same subscriber's hash is the same, as long as the installation keeps its secret key."""
        return hmac.new(self._key, imsi.encode(), hashlib.sha256).hexdigest()[:32]

    def _clean(self, findings: Findings) -> Findings:
        imsi = None if findings.imsi is None else self.hashed(findings.imsi)
        return msgspec.structs.replace(findings, imsi=imsi, raw=b"")

    def _row(self, one: Learned) -> tuple[Any, ...]:
        kept_s = min(one.source.cache.longest_s, self._rt.settings.retention.lookup_days * _DAY_S)
        findings = one.told.findings
        text = None if findings is None else _encode(self._clean(findings)).decode()
        return one.digits, one.source.id, one.at, one.at + kept_s * 1000, text

    def _remember(self, number: str, now: float, by_source: BySource) -> None:
        self._memory[number] = (now, by_source)
        self._memory.move_to_end(number)
        while len(self._memory) > IN_MEMORY:
            self._memory.popitem(last=False)


def _kept(one: Learned) -> bool:
    return one.told.outcome != "unavailable" and one.source.cache.longest_s > 0
