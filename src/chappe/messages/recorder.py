"""The recorder: answers and receipts become rows, in batches, one batch at a time.

Being one sequence it needs no locks within a process; between processes the version of a message decides, and the
loser reads again. Suppliers get their acknowledgement after the commit.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from chappe import routing
from chappe.batching import Batcher, Full
from chappe.billing import Moves
from chappe.channels import Outcome, Receipt, SendError, Verdict
from chappe.channels.contract import Done
from chappe.messages import history, prices, store
from chappe.messages.model import UNSENT, PartState, State, encode_json
from chappe.messages.news import error_of, update
from chappe.messages.outcome import Judgement, judge
from chappe.messages.receipts import Candidate, Matching
from chappe.storage import Conflict, Op, Row, StoreError

if TYPE_CHECKING:
    from chappe.events import MessageUpdated
    from chappe.messages.flight import Flight
    from chappe.messages.model import Refusal
    from chappe.messages.pipeline import Pipeline
    from chappe.text import TextError

MAX_BATCH = 500
MAX_WAITING = 50_000
_PAUSE_S = 0.25
_PATIENCE = 10  # times that a batch may be foiled as a whole
RECEIPT_GRACE_MS = 60_000  # after a message's validity, for the receipt that says it expired


@dataclass(slots=True, eq=False)
class Settled:
    """A flight whose fate needs no answer of a link: refused before the wire, or complete already."""

    flight: Flight
    connector_id: int
    outcomes: list[Outcome] = field(default_factory=list)


Item: TypeAlias = Outcome | Receipt | Settled


def _apart(batch: list[Item]) -> list[list[Item]]:
    """Answers, then receipts: where a message has both, the one moves its version, and the other reads it then."""
    answers: list[Item] = [item for item in batch if not isinstance(item, Receipt)]
    receipts: list[Item] = [item for item in batch if isinstance(item, Receipt)]
    return [items for items in (answers, receipts) if items]


@dataclass(slots=True)
class Rows:
    """What one batch writes, statement by statement."""

    moves: Moves
    parts: list[Any] = field(default_factory=list)
    history: list[Any] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    sending: list[Any] = field(default_factory=list)
    failed: list[Any] = field(default_factory=list)
    settle: list[Any] = field(default_factory=list)
    settle_parts: dict[tuple[int, int, int], Any] = field(default_factory=dict)  # the last word on each part
    dequeue: list[Any] = field(default_factory=list)
    requeue: list[Any] = field(default_factory=list)
    park: list[Any] = field(default_factory=list)
    unpark: list[Any] = field(default_factory=list)
    events: list[MessageUpdated] = field(default_factory=list)

    reprice: list[Any] = field(default_factory=list)

    def ops(self) -> list[Op]:
        statements = (
            (store.ADD_PARTS, self.parts),
            (store.MARK_SENDING, self.sending),
            (store.SETTLE_PARTS, list(self.settle_parts.values())),
            (store.DEQUEUE, self.dequeue),
            (store.REQUEUE, self.requeue),
            (store.PARK, self.park),
            (store.UNPARK, self.unpark),
            (store.ADD_HISTORY, self.history),
        )
        # the version of each message must be the one that was read: then its money moves once
        guarded = (
            (store.SETTLE, self.settle),
            (store.REPRICE, self.reprice),
            (store.MARK_SENT, self.sent),
            (store.MARK_FAILED, self.failed),
        )
        ops = [statement(rows, expect=len(rows)) for statement, rows in guarded if rows]
        return ops + [statement(rows) for statement, rows in statements if rows]


class Recorder:
    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._items: Batcher[Item, bool] = Batcher(self._work, max_batch=MAX_BATCH, max_waiting=MAX_WAITING)
        self.matching = Matching(house)

    # -- in ---------------------------------------------------------------------------------------------------------

    def outcome(self, outcome: Outcome, stored: Callable[[object], None] | None = None) -> None:
        """`stored` is called when the answer is in the store, or given up."""
        # windows bound the number of answers, so there is always room for them
        self._items.add(outcome, stored)

    def receipt(self, receipt: Receipt, done: Done) -> None:
        try:
            self._items.add(receipt, lambda result: done(result is True))
        except Full:
            done(False)

    def refused(self, flight: Flight, connector_id: int, error: TextError) -> None:
        """The text cannot be put on this connector's wire."""
        outcome = Outcome(None, connector_id)  # type: ignore[arg-type]
        outcome.error = SendError(error.code, Verdict.NEXT, detail=error.message)
        self._items.add(Settled(flight, connector_id, [outcome]))

    def barred(self, flight: Flight, connector_id: int, refusal: Refusal) -> None:
        """It may not go to this person any more, by whatever connector."""
        outcome = Outcome(None, connector_id)  # type: ignore[arg-type]
        outcome.error = SendError(refusal.code, Verdict.PERMANENT, detail=refusal.message)
        self._items.add(Settled(flight, connector_id, [outcome]))

    def complete(self, flight: Flight, connector_id: int) -> None:
        """Every part was taken in an earlier try."""
        self._items.add(Settled(flight, connector_id))

    def again(self, parked: Row) -> None:
        """Try to match a parked receipt once more."""
        self._items.add(self.matching.unparked(parked))

    async def drain(self) -> None:
        await self._items.drain()

    # -- work -------------------------------------------------------------------------------------------------------

    async def _work(self, items: list[Item]) -> Sequence[bool]:
        """Store them all. While the store is away receipts go back to their supplier, answers are kept."""
        lost: set[int] = set()
        batches, wait = [items], _PAUSE_S
        spent: Mapping[int, int] | None = None  # by a unit that failed, since somebody had moved what it moves
        short: frozenset[int] = frozenset()
        foiled = 0
        while batches:
            batch = batches[0]
            rows = Rows(Moves(self._house.tariffs, short))
            try:
                if spent is not None:
                    short = await self._read_again(batch, spent)
                    rows.moves, spent = Moves(self._house.tariffs, short), None
                await self._record(rows, batch)
                del batches[0]
            except Conflict:
                foiled += 1
                spent = rows.moves.spent()
                # the one that somebody moves all the time must not hold up the others
                batches[:1] = _apart(batch) if foiled < _PATIENCE else [[item] for item in batch]
                await asyncio.sleep(0 if foiled < _PATIENCE else _PAUSE_S)
            except StoreError as error:
                self._house.rt.log.error("answers wait for the store", count=len(batch), error=str(error))
                lost.update(id(item) for item in batch if isinstance(item, Receipt))
                batches[:1] = [part for part in _apart(batch) if not isinstance(part[0], Receipt)]
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)
            except Exception:
                self._house.rt.log.exception("answers could not be understood", count=len(batch))
                del batches[0]
                if len(batch) == 1:
                    lost.add(id(batch[0]))  # its queue row stays: the next start calls it in doubt
                else:
                    lost.update([id(item) for item in batch if not (await self._work([item]))[0]])
        return [id(item) not in lost for item in items]

    async def _read_again(self, batch: list[Item], spent: Mapping[int, int]) -> frozenset[int]:
        """Read the messages of a batch anew. Returns whose wallets cannot pay what the last try would have taken."""
        flights: set[Flight] = {item.flight for item in batch if isinstance(item, Settled)}
        flights |= {item.part.context for item in batch if isinstance(item, Outcome)}  # type: ignore[misc]
        if flights:
            rows = await self._house.rt.store.read(store.GET_MANY({"ids": [f.message.id for f in flights]}))
            fresh = {row[0]: store.message(tuple(row)) for row in rows}
            for flight in flights:
                flight.message = fresh.get(flight.message.id, flight.message)
        return await self._house.wallets.short(spent) if spent else frozenset()

    async def _record(self, rows: Rows, items: list[Item]) -> None:
        try:
            await self._record_once(rows, items)
        except BaseException:
            rows.moves.undo()
            raise

    async def _record_once(self, rows: Rows, items: list[Item]) -> None:
        now = self._house.rt.clock.now()
        answered = [item for item in items if isinstance(item, Outcome)]
        flights: dict[Flight, list[Outcome]] = {}
        landed: list[Flight] = []
        for outcome in answered:
            self._answer(rows, outcome, now)
            flights.setdefault(outcome.part.context, []).append(outcome)  # type: ignore[arg-type]
        for flight, news in flights.items():
            outcomes = flight.answers + news
            if len(outcomes) >= flight.launched:
                self._judge(rows, flight, news[0].connector_id, outcomes, now)
                landed.append(flight)
        for item in items:
            if isinstance(item, Settled):
                self._judge(rows, item.flight, item.connector_id, item.outcomes, now)
                landed.append(item.flight)
        receipts = [item for item in items if isinstance(item, Receipt)]
        if receipts:
            await self.matching.apply(rows, receipts, now)
        await self._write(rows, answered)
        for flight, news in flights.items():
            flight.answers += news
        for flight in landed:
            self._house.dispatcher.landed(flight)
        for outcome in answered:
            self._remember(outcome)

    def _remember(self, outcome: Outcome) -> None:
        """A message of one part that was sent: as it lies in the store now."""
        flight: Flight = outcome.part.context  # type: ignore[assignment]
        message = flight.message
        if outcome.error is None and outcome.part.parts == 1 and outcome.provider_key:
            message.state = State.SENT
            message.version += 1
            part = Candidate(outcome.part.attempt, 1, 1, PartState.SENT, outcome.sent_at, message)
            self.matching.remember(outcome.connector_id, outcome.provider_key, part)

    async def _write(self, rows: Rows, answered: list[Outcome]) -> None:
        ops = rows.ops() + rows.moves.ops(self._house.rt.ids)
        keys: defaultdict[int, list[str]] = defaultdict(list)
        for outcome in answered:
            if outcome.provider_key:
                keys[outcome.connector_id].append(outcome.provider_key)
        # asked in the same unit, so that no receipt slips in between: one may have come before its answer
        early = [store.PARKED({"connector_id": c, "keys": k}) for c, k in keys.items()]
        results = await self._house.rt.events.write(*ops, *early, tell=rows.events)
        for parked in results[len(ops) :]:
            for row in parked:
                self.again(row)
        for connector_id in {row[1] for row in rows.requeue}:
            self._house.dispatcher.queued(connector_id)

    def _answer(self, rows: Rows, outcome: Outcome, now: int) -> None:
        """The row of a part, once the supplier has taken it; a line of history in any case."""
        part = outcome.part
        flight: Flight = part.context  # type: ignore[assignment]
        error = outcome.error
        if error is None:
            rows.parts.append(self._part_row(flight, outcome))
        said: dict[str, Any] = {"connector": self._house.connector_name(outcome.connector_id)}
        if error is None:
            said["provider_id"] = outcome.provider_id
        else:
            said["error"] = error_of(error)
        said["ms"] = outcome.answered_at - outcome.sent_at
        kind = history.IN_DOUBT if error is not None and error.verdict is Verdict.UNKNOWN else history.ANSWERED
        rows.history.append(
            history.step(
                part.message_id,
                self._house.rt.ids.next(),
                outcome.answered_at or now,
                kind,
                said,
                attempt=part.attempt,
                part=part.part,
                request=outcome.request,
                response=outcome.response,
            )
        )

    def _part_row(self, flight: Flight, outcome: Outcome, state: PartState | None = None) -> tuple[Any, ...]:
        part = outcome.part
        if state is None:
            tracked = self._house.tracked(outcome.connector_id)
            state = PartState.SENT if tracked else PartState.UNTRACKED
        return (
            part.message_id,
            part.attempt,
            part.part,
            part.parts,
            outcome.connector_id,
            outcome.provider_id,
            outcome.provider_key,
            int(state),
            None,
            outcome.sent_at,
            flight.message.expires_at + RECEIPT_GRACE_MS,
            None,
        )

    def _judge(self, rows: Rows, flight: Flight, connector_id: int, outcomes: list[Outcome], now: int) -> None:
        house = self._house
        message = flight.message
        if message.state not in UNSENT:  # a receipt, or another node, was quicker
            rows.dequeue.append((message.id, flight.claim))
            return
        verdict = judge(flight, outcomes, house.policy(message.purpose, connector_id))
        match verdict.fate:
            case "sent":
                if connector_id != message.connector_id:
                    rows.reprice.append(prices.rerouted(house, rows.moves, message, connector_id, now))
                rows.moves.settle(message, taken=True, final=False, first=True)
                rows.sent.append((message.id, now, connector_id, flight.attempt, message.money, message.version))
                rows.dequeue.append((message.id, flight.claim))
                message.attempt, message.connector_id, message.sent_at = flight.attempt, connector_id, now
                rows.events.append(update(house, message, State.SENT, now))
            case "retry":
                due = now + round(verdict.after_s * 1000)
                tries = flight.tries if verdict.counts else flight.tries - 1
                self._requeue(rows, flight, connector_id, due, tries=tries)
                self._tell(rows, flight, history.RETRY, verdict, now, due=due)
            case "resent":
                due = message.send_at or message.created_at  # it has queued already: back to its old place
                self._requeue(rows, flight, connector_id, due, tries=flight.tries, doubts=flight.doubts + 1)
                self._tell(rows, flight, history.RETRY, verdict, now, policy="resend")
            case "held":
                doubtful = [o for o in outcomes if o.error is not None and o.error.verdict is Verdict.UNKNOWN]
                rows.parts += [self._part_row(flight, o, PartState.DOUBT) for o in doubtful]
                rows.sending.append((message.id, connector_id, flight.attempt))
                rows.dequeue.append((message.id, flight.claim))
            case "next":
                self._next(rows, flight, connector_id, verdict, now)
            case "failed":
                self._fail(rows, flight, connector_id, verdict.error, now)

    def _next(self, rows: Rows, flight: Flight, connector_id: int, verdict: Judgement, now: int) -> None:
        """The next connector of the route that has not refused this message; given up when there is none."""
        house, message = self._house, flight.message
        tried = [int(c) for c in flight.tried.split(",") if c] + [connector_id]
        following = house.next_connector(message, tried, routing.class_of(verdict.error.code if verdict.error else ""))
        if following is None:
            self._fail(rows, flight, connector_id, verdict.error, now)
            return
        house.quality.refused(connector_id, message.country, message.operator, now)
        tried_now = ",".join(map(str, tried))
        rows.requeue.append((flight.message.id, following.id, now, flight.attempt + 1, 0, 0, tried_now, flight.claim))
        self._tell(rows, flight, history.REROUTED, verdict, now, connector=following.name)

    def _requeue(
        self, rows: Rows, flight: Flight, connector_id: int, due: int, *, tries: int, doubts: int | None = None
    ) -> None:
        doubted = flight.doubts if doubts is None else doubts
        rows.requeue.append(
            (flight.message.id, connector_id, due, flight.attempt, tries, doubted, flight.tried, flight.claim)
        )

    def _fail(self, rows: Rows, flight: Flight, connector_id: int, error: SendError | None, now: int) -> None:
        message = flight.message
        rows.moves.keep(message)
        message.connector_id = connector_id  # it is told and counted as the failure of who refused it last
        told = error_of(error) if error else {"code": "unknown_error"}
        rows.moves.settle(message, taken=False, first=True)
        rows.failed.append((message.id, encode_json(told).decode(), now, message.money, message.version))
        rows.dequeue.append((message.id, flight.claim))
        message.error, message.final_at = encode_json(told).decode(), now
        rows.history.append(
            history.step(message.id, self._house.rt.ids.next(), now, history.FAILED, told, attempt=flight.attempt)
        )
        rows.events.append(update(self._house, message, State.FAILED, now))

    def _tell(self, rows: Rows, flight: Flight, kind: str, verdict: Judgement, now: int, **more: Any) -> None:
        said = {"error": error_of(verdict.error) if verdict.error else None, "tries": flight.tries, **more}
        rows.history.append(
            history.step(flight.message.id, self._house.rt.ids.next(), now, kind, said, attempt=flight.attempt)
        )
