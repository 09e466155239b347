"""After the storm: was every promise kept, and was nothing done twice in silence?"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from chappe import ids
from chappe.messages import State
from chappe.messages.model import FINAL, PartState, Queued
from tests.acceptance.traffic import Promises, number_of
from tests.acceptance.world import World

LEAST_FINAL = tuple(int(state) for state in FINAL)
_SHOWN = 10


class Audit:
    """`open_matters` shrinks to nothing as the system comes to rest; `faults` has to be empty at once."""

    def __init__(self, world: World, promises: Promises) -> None:
        self.world = world
        self.promises = promises

    async def settle(self, within_s: float) -> None:
        """Wait until everything that was promised has happened."""
        left: list[str] = []
        began = time.monotonic()

        async def settled() -> bool:
            nonlocal left
            before, left = left, await self.open_matters()
            if not left:
                took = time.monotonic() - began
                sys.stderr.write(f"settled after {took:.1f} s, last of all: {'; '.join(before)}\n")
            return not left

        try:
            await self.world.until(settled, within_s)
        except AssertionError:
            told = [f"not settled after {within_s:g} s:", *left, *await self._open_stories()]
            raise AssertionError("\n".join(told)) from None

    # -- what has to come ------------------------------------------------------------------------------------------

    async def open_matters(self) -> list[str]:
        world = self.world
        states = dict(await world.rows("select id, state from messages"))
        doubtful = await self._in_doubt()
        promised = self.promises.by_http | self.promises.by_smpp
        lost = [public for public in promised if number_of(public) not in states]
        open_ = [n for n, state in states.items() if state not in LEAST_FINAL and n not in doubtful]
        found = _tell("accepted and not in the store", lost)
        found += _tell("not final", [ids.public("msg", n) for n in open_])
        found += await self._remains()
        found += await self._operator_waits()
        if found:  # the rest reads all that the operator and the customers have seen
            return found
        found += await self._unreflected()
        found += await self._unheard(states)
        found += await self._lost_replies()
        return found

    async def _in_doubt(self) -> set[int]:
        """Messages that wait for a receipt because their answer was lost: explained, and closed by their deadline."""
        rows = await self.world.rows(f"select message_id from parts where state = {PartState.DOUBT:d}")
        return {row[0] for row in rows}

    async def _remains(self) -> list[str]:
        """Rows that have to go or to be done."""
        found = []
        for name, condition in (
            ("queue", ""),
            ("parts", f"where state = {PartState.SENT:d}"),
            ("inbound_parts", "where received_at < 0"),
            ("smsc_deliveries", ""),
            ("webhook_deliveries", "where state = 0"),
            ("events_aside", ""),
        ):
            count = await self.world.value(f"select count(*) from {name} {condition}")
            if count:
                found.append(f"{count} rows in {name} {condition}")
        return found

    async def _operator_waits(self) -> list[str]:
        state = await self.world.ask("/state")
        deliveries = state["customers"]["chappe"]["deliveries"]
        waits = state["on_the_way"] + deliveries["waiting"] + deliveries["unacknowledged"]
        return [f"{waits} receipts and messages still at the operator"] if waits else []

    async def _unreflected(self) -> list[str]:
        """Every receipt the operator got rid of is on its part, in the history, or parked for all to see."""
        known = {row[0] for row in await self.world.rows("select provider_key from parked_receipts")}
        closed = f"state in ({PartState.DELIVERED:d}, {PartState.FAILED:d})"
        known |= {row[0] for row in await self.world.rows(f"select provider_id from parts where {closed}")}
        rows = await self.world.rows("select data from history where kind = 'receipt'")
        known |= {json.loads(row[0])["provider_id"] for row in rows}
        taken = [s for s in await self.world.all("/submits") if s["message_id"]]
        return _tell("receipts without effect", [s["message_id"] for s in taken if s["message_id"] not in known])

    async def _unheard(self, states: dict[int, int]) -> list[str]:
        """Customers were told of every final state: by webhook all of them, by receipt those sent by SMPP."""
        heard, receipts = self.world.hooks.heard, self.promises.receipts
        silent = []
        for number, state in states.items():
            public = ids.public("msg", number)
            if state in LEAST_FINAL and f"message.{State(state).word}" not in heard.get(public, ()):
                silent.append(f"{public} {State(state).word}")
        untold = [
            public
            for public in self.promises.by_smpp
            if states.get(number_of(public)) in LEAST_FINAL and not receipts[public]
        ]
        silent = [f"{one} ({await self._deliveries(one.split()[0])})" for one in silent[:3]] + silent[3:]
        return _tell("final, but no webhook", silent) + _tell("final, but no receipt by SMPP", untold)

    async def _deliveries(self, public: str) -> str:
        """What became of the webhooks of a message."""
        columns = "d.type, d.state, d.tries, d.due_at, d.owner, d.lease_until, a.at, a.status, a.error"
        rows = await self.world.rows(
            f"select {columns} from webhook_deliveries d left join webhook_attempts a on a.delivery_id = d.id "
            f"where d.body like '%{public}%' order by d.id, a.number"
        )
        return "; ".join(map(str, rows)) or "no row"

    async def _lost_replies(self) -> list[str]:
        stored = {row[0] for row in await self.world.rows("select text from inbound where account_id <> 0")}
        lost = [text for text in self.promises.from_phones if text not in stored]
        short = [text for text in self.promises.from_phones if len(text) < 150]
        unheard = set(short) - set(self.promises.heard) if self.promises.by_smpp else set()
        return _tell("from phones, lost", lost) + _tell("from phones, not heard by SMPP", unheard)

    # -- what must not be -------------------------------------------------------------------------------------------

    async def faults(self) -> list[str]:
        found = _tell("refused", self.promises.refused)
        found += _tell("webhooks with a wrong signature", self.world.hooks.forged)
        found += await self._doubled_calls()
        found += await self._sent_twice()
        return found

    async def _doubled_calls(self) -> list[str]:
        """One message for each idempotency key, however often the call was repeated."""
        rows = await self.world.rows(
            "select correlation_id from messages where correlation_id is not null group by correlation_id "
            "having count(*) > 1"
        )
        return _tell("accepted twice under one key", [row[0] for row in rows])

    async def _sent_twice(self) -> list[str]:
        """Whatever reached a phone twice has a history that says why."""
        counts = (await self.world.ask("/submits/counts?limit=100000"))["data"]
        twice = [c for c in counts if c["taken"] > 1]
        explained = await self.resent()
        unexplained = ["+" + c["to"] for c in twice if "+" + c["to"] not in explained]
        return _tell("sent twice without a word", [await self.story(to) for to in unexplained[:3]])

    async def _open_stories(self) -> list[str]:
        """Of the first messages that have no end."""
        rows = await self.world.rows(
            "select m.id, m.state, m.recipient, q.* from messages m left join queue q on q.message_id = m.id "
            f"where m.state not in ({', '.join(map(str, LEAST_FINAL))}) order by m.id limit 3"
        )
        return [f"{row} at {time.time():.3f}\n{await self.story(row[2])}" for row in rows]

    async def story(self, to: str) -> str:
        """All that is known of what was sent to a number."""
        rows = await self.world.rows(
            "select h.message_id, h.at, h.kind, h.attempt, h.part, h.data from history h "
            f"join messages m on m.id = h.message_id where m.recipient = '{to}' order by h.at, h.id"
        )
        submits = (await self.world.ask(f"/submits?to={to[1:]}"))["data"]
        seen = [f"submit {s['at']} {s['sequence_number']} {s['part']} {s['status']} {s['message_id']}" for s in submits]
        return "\n".join([to, *(str(row) for row in rows), *seen])

    async def resent(self) -> Counter[str]:
        """Recipients whose message was in doubt and sent again by policy, with how often."""
        rows = await self.world.rows(
            "select m.recipient, h.kind, h.data from history h join messages m on m.id = h.message_id "
            "where h.kind in ('in_doubt', 'retry')"
        )
        kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for recipient, kind, data in rows:
            if kind == "in_doubt" or json.loads(data).get("policy") == "resend":
                kinds[recipient][kind] += 1
        return Counter({to: seen["retry"] for to, seen in kinds.items() if seen["in_doubt"] and seen["retry"]})

    async def on_the_wire(self) -> int:
        """Messages that a process which just died may have had on the wire. Ask before the next one starts."""
        count: int = await self.world.value(f"select count(*) from queue where state = {Queued.SENDING:d}")
        return count


def _tell(what: str, items: Iterable[Any]) -> list[str]:
    shown = [str(item)[:4000] for item in items]
    if not shown:
        return []
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return [f"{what}: {len(shown)}: {', '.join(shown[:_SHOWN])}{more}"]
