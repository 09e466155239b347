"""Accept: gather, decide, write. The answer leaves after the commit.

Concurrent calls share one commit. Big calls are cut in slices, so that an OTP goes between two of them; each slice has
its own idempotency row, so a call that broke off in the middle continues there when it is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chappe import fraud
from chappe.batching import Batcher, Full
from chappe.billing import Moves
from chappe.messages import allowed, history, prices, roads, store
from chappe.messages.decide import Decider, Draft
from chappe.messages.model import (
    Accepted,
    IdempotencyKey,
    KeyReused,
    Lane,
    Message,
    Queued,
    Refusal,
    Replay,
    Result,
    Submission,
    decode_json,
    encode_json,
)
from chappe.storage import Conflict, Op, Unavailable

if TYPE_CHECKING:
    from chappe.messages.allowed import Known
    from chappe.messages.pipeline import Pipeline

SLICE = 200
MAX_BATCH = 400
MAX_WAITING = 20_000
_TRIES = 20  # of a unit that others foil: each time one of them came through


@dataclass(slots=True)
class Call:
    """A slice of what one caller submitted."""

    submissions: Sequence[Submission]
    key: IdempotencyKey | None = None


@dataclass(slots=True)
class Slice:
    """The decisions of one call."""

    call: Call
    results: list[Result] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    error: Replay | KeyReused | None = None
    again: Slice | None = None  # the same key stands a few calls before

    def refuse(self, draft: Draft, refusal: Refusal) -> None:
        """It was decided otherwise."""
        self.drafts.remove(draft)
        self.results[self.results.index(draft.accepted)] = refusal


class Acceptor:
    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._decider = Decider(house)
        self._calls: Batcher[Call, Slice] = Batcher(
            self._work, max_batch=MAX_BATCH, max_waiting=MAX_WAITING, weight=lambda call: len(call.submissions)
        )

    async def accept(self, submissions: Sequence[Submission], key: IdempotencyKey | None = None) -> list[Result]:
        """One result a submission, in order. Raises Replay, KeyReused, Unavailable, batching.Full."""
        if self._house.depth >= self._house.rt.settings.limits.queue:
            raise Full
        if len(submissions) <= SLICE:
            done = await self._calls.put(Call(submissions, key))
            if done.error:
                raise done.error
            return done.results
        results: list[Any] = []
        replayed = True
        for n, start in enumerate(range(0, len(submissions), SLICE)):
            slice_key = key and IdempotencyKey(key.account_id, f"{key.key}\x1f{n}", key.digest)
            try:
                done = await self._calls.put(Call(submissions[start : start + SLICE], slice_key))
            except (Full, Unavailable) as error:
                if key or not results:
                    raise  # the same key goes on where this call broke off
                return results + [_turned_away(error)] * (len(submissions) - start)
            if isinstance(done.error, Replay):
                results += done.error.results
            elif done.error:
                raise done.error
            else:
                results += done.results
                replayed = False
        if replayed and key:
            raise Replay(results)
        return results

    def submit(self, submission: Submission, answer: Callable[[Result | BaseException], None]) -> None:
        """See `Pipeline.submit`."""
        if self._house.depth >= self._house.rt.settings.limits.queue:
            raise Full

        def done(result: Slice | BaseException) -> None:
            answer(result if isinstance(result, BaseException) else result.results[0])

        self._calls.add(Call((submission,)), done)

    async def drain(self) -> None:
        """Wait until nothing is in work."""
        await self._calls.drain()

    # -- gather, decide, write --------------------------------------------------------------------------------------

    async def _work(self, calls: list[Call]) -> list[Slice]:
        try:
            return await self._attempt(calls)
        except Conflict:  # somebody used one of the keys, or spent the money: each call for itself, all read again
            return [await self._alone(call) for call in calls]

    async def _alone(self, call: Call) -> Slice:
        for _ in range(_TRIES):
            try:
                return (await self._attempt([call]))[0]
            except Conflict:
                await asyncio.sleep(0)
        raise Unavailable("others spend from the same balance all the time")

    async def _attempt(self, calls: list[Call]) -> list[Slice]:
        now = self._house.rt.clock.now()
        asker = allowed.Asker(self._house.rt)
        asked = [[self._decider.asked(asker, submission, now) for submission in call.submissions] for call in calls]
        known, people = await self._gather([call.key for call in calls if call.key], asked)
        slices, moves = await self._decided(calls, asked, known, people)
        drafts = [draft for piece in slices for draft in piece.drafts]
        keys = [piece for piece in slices if piece.call.key and not piece.error]
        if not drafts and not keys:
            return slices
        house = self._house
        desks = house.dispatcher.reserve(drafts)
        try:
            waiting = any(draft.flight is None for draft in drafts)  # for a desk that may be another node's
            ops = self._write(drafts, keys, now) + moves.ops(house.rt.ids)
            await house.rt.store.write(*ops, wake=("queue",) if waiting else ())
        except BaseException:
            desks.give_back()
            for draft in drafts:
                self._give_back(draft)
            house.wallets.forget(moves.spent())
            raise
        house.wallets.spent(moves.spent())
        house.depth += len(drafts)
        desks.launch(but=_late(drafts, people))
        return slices

    async def _decided(
        self,
        calls: list[Call],
        asked: list[list[roads.Asked | Refusal]],
        known: dict[tuple[int, str], tuple[str, list[Any]]],
        people: Known,
    ) -> tuple[list[Slice], Moves]:
        """The decisions of each call, and what they hold of whose money."""
        here: dict[tuple[int, str], Slice] = {}
        slices = []
        for call, wanted in zip(calls, asked, strict=True):
            piece = Slice(call)
            slices.append(piece)
            if call.key:
                name = (call.key.account_id, call.key.key)
                if name in known:
                    before = known[name]
                    piece.error = Replay(before[1]) if before[0] == call.key.digest else KeyReused()
                    continue
                if name in here:
                    piece.again = here[name]
                    continue
                here[name] = piece
            self._decide_all(piece, wanted, people)
        moves = await self._hold(slices)
        for piece in slices:
            if piece.again is not None and piece.call.key and piece.again.call.key:
                same = piece.again.call.key.digest == piece.call.key.digest
                piece.error = Replay(summary(piece.again.results)) if same else KeyReused()
        return slices, moves

    async def _hold(self, slices: list[Slice]) -> Moves:
        """Hold the price of each, first come, first served; who cannot pay is refused. Looks at the balances only where
        it is not sure that they suffice."""
        house = self._house
        moves = Moves(house.tariffs)
        drafts = [(piece, draft) for piece in slices for draft in piece.drafts]
        for _, draft in drafts:
            moves.hold(draft.message)
        spent = moves.spent()
        if not spent or not (doubtful := house.wallets.uncovered(spent)):
            return moves
        await house.wallets.look(doubtful)
        left = {account_id: house.wallets.available(account_id) for account_id in doubtful}
        moves = Moves(house.tariffs)
        for piece, draft in drafts:
            needs = [(payer, amount) for payer, amount in moves.payers(draft.message) if payer in left]
            poor = next((payer for payer, amount in needs if left[payer] < amount), None)
            if poor is None:
                for payer, amount in needs:
                    left[payer] -= amount
                moves.hold(draft.message)
            else:
                self._give_back(draft)
                piece.refuse(draft, prices.too_poor(house, draft.message, poor, left[poor]))
        return moves

    def _give_back(self, draft: Draft) -> None:
        if draft.passed is not None:
            self._house.gate.give_back(draft.passed)
            draft.passed = None

    async def _gather(
        self, keys: Sequence[IdempotencyKey], asked: list[list[roads.Asked | Refusal]]
    ) -> tuple[dict[tuple[int, str], tuple[str, list[Any]]], Known]:
        """What the tables know of the calls' keys, and of the people who are to be written to."""
        look = allowed.look(
            self._house.rt, [one.asking for some in asked for one in some if not isinstance(one, Refusal)]
        )
        if not keys:
            return {}, await look
        found, people = await asyncio.gather(self._calls_before(keys), look)
        return found, people

    async def _calls_before(self, keys: Sequence[IdempotencyKey]) -> dict[tuple[int, str], tuple[str, list[Any]]]:
        found: dict[tuple[int, str], tuple[str, list[Any]]] = {}
        for account_id in {key.account_id for key in keys}:
            mine = [key.key for key in keys if key.account_id == account_id]
            rows = await self._house.rt.store.read(store.FIND_KEYS({"account_id": account_id, "keys": mine}))
            for name, digest, results in rows:
                found[account_id, name] = (digest, decode_json(results))
        return found

    def _decide_all(self, piece: Slice, asked: list[roads.Asked | Refusal], people: Known) -> None:
        for one in asked:
            verdict = one if isinstance(one, Refusal) else self._decider.decide(one, people)
            if isinstance(verdict, Refusal):
                piece.results.append(verdict)
                continue
            piece.results.append(verdict.accepted)
            if not verdict.dry_run:
                piece.drafts.append(verdict)
                if verdict.asking is not None:
                    allowed.touch(people, verdict.asking, verdict.goes_at)

    def _write(self, drafts: list[Draft], keys: list[Slice], now: int) -> list[Op]:
        ids = self._house.rt.ids
        ops = [
            store.ADD_MESSAGES([message_row(draft.message) for draft in drafts]),
            store.ADD_QUEUE([queue_row(draft, self._house.owner) for draft in drafts]),
            store.ADD_HISTORY(
                [history.step(d.message.id, ids.next(), now, history.ACCEPTED, d.route, attempt=1) for d in drafts]
            ),
        ]
        tags = [(d.message.account_id, tag, d.message.id) for d in drafts for tag in d.tags]
        if tags:
            ops.append(store.ADD_TAGS(tags))
        held = [(d.message.id, d.message.account_id, d.held) for d in drafts if d.held is not None]
        if held:
            ops += fraud.hold(held, now, ids)
        touches = [
            (d.asking.question.person_key, d.message.id, d.goes_at)
            for d in drafts
            if d.asking is not None and d.asking.period
        ]
        if touches:
            ops.append(store.ADD_TOUCHES(touches))
        if keys:
            rows = []
            for piece in keys:
                assert piece.call.key
                key = piece.call.key
                rows.append((key.account_id, key.key, key.digest, encode_json(summary(piece.results)).decode(), now))
            ops.append(store.ADD_KEYS(rows))
        return ops


def _late(drafts: Sequence[Draft], people: Known) -> frozenset[int]:
    """The messages of people who refused after they were asked about."""
    if people.fresh:
        return frozenset()
    asked = ((draft.message.id, draft.asking) for draft in drafts)
    return frozenset(id for id, asking in asked if asking is not None and people.stale(asking.question))


def _turned_away(error: Full | Unavailable) -> Refusal:
    """The rest of a batch whose first slices are committed."""
    if isinstance(error, Full):
        return Refusal("queue_full", "Too many messages wait. Send this one again later.")
    return Refusal("storage_unavailable", "The database did not answer. Send this one again later.")


def message_row(m: Message) -> tuple[Any, ...]:
    """The columns of `messages`, in their order."""
    return (
        m.id,
        m.account_id,
        m.test,
        int(m.state),
        m.version,
        m.purpose,
        m.lane,
        m.recipient,
        m.sender,
        m.text,
        m.encoding,
        m.segments,
        m.options,
        m.correlation_id,
        m.tags,
        m.metadata,
        m.callback_url,
        m.origin,
        m.login_id,
        m.receipts,
        m.send_at,
        m.expires_at,
        m.connector_id,
        m.attempt,
        m.error,
        m.sent_at,
        m.final_at,
        m.country,
        m.operator,
        m.route_id,
        m.price,
        m.upstream,
        m.cost,
        m.cost_currency,
        m.money,
    )


def queue_row(draft: Draft, owner: int) -> tuple[Any, ...]:
    """The columns of `queue`: on the wire at once, waiting, or scheduled (routed again when its time comes)."""
    message, flight = draft.message, draft.flight
    scheduled = message.send_at is not None or draft.held is not None
    state = Queued.SCHEDULED if scheduled else Queued.WAITING if flight is None else Queued.SENDING
    return (
        message.id,
        message.account_id,
        message.connector_id,
        message.lane,
        int(state),
        draft.due or draft.accepted.created_at,
        message.expires_at,
        message.attempt,
        1 if flight else 0,
        0,
        "",
        owner if flight else 0,
        flight.claim if flight else 0,
    )


def summary(results: Sequence[Result]) -> list[Any]:
    """What a replay needs: the id of each accepted item, code, message and field of each refused one."""
    return [r.id if isinstance(r, Accepted) else [r.code, r.message, r.param] for r in results]


__all__ = ["Acceptor", "Call", "Lane"]
