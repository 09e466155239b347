"""Accept: gather, decide, write. The answer leaves after the commit.

Concurrent calls share one commit. Big calls are cut in slices, so that an OTP goes between two of them; each slice has
its own idempotency row, so a call that broke off in the middle continues there when it is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chappe import law, numbers, senders
from chappe.batching import Batcher, Full
from chappe.billing import Moves, agreed
from chappe.errors import Refused
from chappe.messages import allowed, history, prices, roads, store, wire
from chappe.messages.loops import LoopGuard
from chappe.messages.model import (
    LANE_OF,
    PLAIN,
    REPLY,
    Accepted,
    IdempotencyKey,
    KeyReused,
    Lane,
    Message,
    Queued,
    Refusal,
    Replay,
    Result,
    State,
    Submission,
    decode_json,
    encode_json,
)
from chappe.numbers import NumberError
from chappe.storage import Conflict, Op, Unavailable
from chappe.text import Encoded

if TYPE_CHECKING:
    from chappe.messages.allowed import Asking, Known
    from chappe.messages.flight import Flight
    from chappe.messages.pipeline import Pipeline
    from chappe.routing.throttles import Passed

SLICE = 200
MAX_BATCH = 400
MAX_WAITING = 20_000
_DAY_MS = 86_400_000
LATE_MS = 5 * 60_000  # a send_at this little in the past means now: clocks differ
SHORTEST_S, LONGEST_S = 5, 7 * 86_400
_TRIES = 20  # of a unit that others foil: each time one of them came through


@dataclass(slots=True)
class Call:
    """A slice of what one caller submitted."""

    submissions: Sequence[Submission]
    key: IdempotencyKey | None = None


@dataclass(slots=True, eq=False)
class Draft:
    """An accepted submission before it is written. `flight` is set when it goes straight to the wire; `passed` is what
    the throttles said: when it may leave, and what it took of them."""

    message: Message
    encoded: Encoded
    accepted: Accepted
    route: dict[str, Any]
    tags: tuple[str, ...]
    passed: Passed | None = None
    asking: Asking | None = None
    dry_run: bool = False
    flight: Flight | None = None

    @property
    def due(self) -> int | None:
        """When it may leave; None: at once."""
        return self.message.send_at or (self.passed.due if self.passed is not None else None)


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
        self._loops = LoopGuard()
        self._sticky: dict[tuple[Any, ...], int] = {}
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
        asked = [[self._asked(submission, now) for submission in call.submissions] for call in calls]
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
            verdict = one if isinstance(one, Refusal) else self._decide(one, people)
            if isinstance(verdict, Refusal):
                piece.results.append(verdict)
                continue
            piece.results.append(verdict.accepted)
            if not verdict.dry_run:
                piece.drafts.append(verdict)
                if verdict.asking is not None:
                    allowed.touch(people, verdict.asking, verdict.due or verdict.accepted.created_at)

    def _asked(self, submission: Submission, now: int) -> roads.Asked | Refusal:
        """What can be said of a submission without asking a table; its refusal, or what is to be asked about it."""
        house = self._house
        account = house.accounts.account(submission.account_id)
        if account is None or account.status != "active":
            return Refusal("account_suspended", "This account may not send. Ask your operator.")
        try:
            number = numbers.parse(submission.to)
        except NumberError as error:
            return Refusal(error.code, error.message, "to")
        if not numbers.is_textable(number):
            return Refusal("number_not_mobile", f"{number.e164} is a {number.line_type} line: it takes no SMS.", "to")
        times = self._times(submission, now)
        if isinstance(times, Refusal):
            return times
        book, country, purpose = house.senders, number.country, submission.purpose
        sender = senders.choose(book, account, submission.sender, country, number.digits, now, purpose)
        if isinstance(sender, Refused):
            return Refusal(sender.code, sender.message, "from")
        if not sender:
            return Refusal("sender_required", "Say `from`, or give the account a default sender.", "from")
        if refusal := senders.check(book, account, sender, country, now, purpose):
            return Refusal(refusal.code, refusal.message, "from")
        if kind := wire.blocked(submission.wire):
            return Refusal("content_blocked", f"Messages of this kind ({kind}) are not carried.", "data")
        message_id, asking = house.rt.ids.next(), None
        if submission.origin != REPLY:
            asking = allowed.asking(
                house.rt,
                account,
                number,
                country=country,
                purpose=purpose,
                sender=sender,
                test=submission.test,
                at=times[0] or now,
                message_id=message_id,
                zone=submission.wire.zone,
            )
        return roads.Asked(submission, number, sender, message_id, now, *times, asking)

    def _decide(self, asked: roads.Asked, people: Known) -> Draft | Refusal:
        """Everything else that can refuse a message but its price, and its road if nothing does."""
        house, submission = self._house, asked.submission
        judged = None if asked.asking is None else allowed.judge(people, asked.asking)
        if isinstance(judged, Refusal):
            return judged
        if judged is not None:
            later = self._later(asked, judged)
            if isinstance(later, Refusal):
                return later
            asked = later
        road = roads.choose(house, asked, self._first(asked))
        if isinstance(road, Refusal):
            return road
        if self._loops.looping(submission, asked.number.digits, asked.sender, asked.now):
            if road.passed is not None:
                house.gate.give_back(road.passed)
            return Refusal("loop_detected", "The same text went to this number too often within a minute.", "text")
        return self._draft(asked, road, judged)

    def _later(self, asked: roads.Asked, wait: law.Wait) -> roads.Asked | Refusal:
        """The law lets it go later. A validity that the customer named runs from when the message was to be sent."""
        submission, words = asked.submission, allowed.waits(wait.until, wait.rule)
        if submission.quiet_hours == "refuse":
            return Refusal("quiet_hours", words, "to", retry_after=(wait.until - asked.now) / 1000)
        expires_at = asked.expires_at
        if submission.validity_s is None:
            expires_at += wait.until - (asked.send_at or asked.now)
        elif expires_at <= wait.until:
            return Refusal("quiet_hours", f"It would expire before it may go. {words}", "validity_seconds")
        return asked._replace(send_at=wait.until, expires_at=expires_at)

    def _times(self, submission: Submission, now: int) -> tuple[int | None, int] | Refusal:
        send_at = submission.send_at
        if send_at is not None:
            if send_at < now - LATE_MS:
                return Refusal("send_at_past", "send_at is in the past. Leave it out to send now.", "send_at")
            days = self._house.rt.settings.limits.schedule_days
            if send_at > now + days * _DAY_MS:
                return Refusal("send_at_too_far", f"send_at is more than {days} days away.", "send_at")
            if send_at <= now:
                send_at = None
        validity = submission.validity_s or getattr(self._house.rt.settings.validity_s, submission.purpose)
        if not SHORTEST_S <= validity <= LONGEST_S:
            words = f"validity_seconds must be between {SHORTEST_S} and {LONGEST_S}."
            return Refusal("validity_invalid", words, "validity_seconds")
        return send_at, (send_at or now) + validity * 1000

    def _first(self, asked: roads.Asked) -> Callable[[int], int] | None:
        """Parts that a customer cut itself stay together: the connector that the first of them took."""
        group = own_concatenation(asked.submission)
        if group is None:
            return None
        key = (asked.submission.account_id, asked.sender, asked.number.digits, group)

        def first(connector_id: int) -> int:
            known = self._sticky.pop(key, connector_id)
            self._sticky[key] = known
            if len(self._sticky) > 10_000:
                del self._sticky[next(iter(self._sticky))]
            return known

        return first

    def _draft(self, asked: roads.Asked, road: roads.Road, wait: law.Wait | None) -> Draft:
        submission, number, sender, message_id, now, send_at, expires_at, asking = asked
        connector, encoded, quote = road.connector, road.encoded, road.quote
        state = State.QUEUED if send_at is None else State.SCHEDULED
        options = submission.wire
        text = encoded.text if options.data is None else None
        message = Message(
            id=message_id,
            account_id=submission.account_id,
            test=int(submission.test),
            state=state,
            version=0,
            purpose=submission.purpose,
            lane=LANE_OF[submission.purpose],
            recipient=number.e164,
            sender=sender,
            text=text,
            encoding=encoded.encoding,
            segments=encoded.segments,
            options=None if options is PLAIN or options == PLAIN else encode_json(options).decode(),
            correlation_id=submission.correlation_id,
            tags=encode_json(submission.tags).decode() if submission.tags else None,
            metadata=encode_json(submission.metadata).decode() if submission.metadata else None,
            callback_url=submission.callback_url,
            origin=submission.origin,
            login_id=submission.login_id,
            receipts=submission.receipts,
            send_at=send_at,
            expires_at=expires_at,
            connector_id=connector.id,
            attempt=1,
            error=None,
            sent_at=None,
            final_at=None,
            country=number.country or "",
            operator=road.operator,
            route_id=road.decision.route_id or None,
            price=quote.price,
            upstream=quote.upstream,
            cost=quote.cost,
            cost_currency=quote.cost_currency,
            money=agreed(quote.price, on_delivery=quote.on_delivery, cost_on_delivery=quote.cost_on_delivery),
        )
        accepted = Accepted(
            id=message_id,
            state=state,
            to=number.e164,
            sender=sender,
            connector_id=connector.id,
            encoding=encoded.encoding,
            segments=encoded.segments,
            chars=encoded.chars,
            text=text,
            changes=encoded.changes,
            forced=encoded.forced,
            send_at=send_at,
            expires_at=expires_at,
            country=number.country or "",
            created_at=now,
            price=quote.price,
            currency=quote.currency,
            held_by=None if wait is None else wait.rule.name,
        )
        told = self._told(road)
        if wait is not None:
            told["held"] = {"rule": wait.rule.name, "until": wait.until, "note": wait.rule.note}
        if submission.template is not None:
            told["template"] = submission.template
        return Draft(message, encoded, accepted, told, submission.tags, road.passed, asking, submission.dry_run)

    def _told(self, road: roads.Road) -> dict[str, Any]:
        """What history says of the decision."""
        connector, decision, encoded = road.connector, road.decision, road.encoded
        told = {
            "route": decision.route_id,
            "reason": decision.reason,
            "connector": connector.name,
            "encoding": encoded.encoding,
            "segments": encoded.segments,
        }
        if road.order != (connector.id,):
            told["connectors"] = list(road.order)
        if connector.id != road.order[0]:
            told["instead_of"] = self._house.connector_name(road.order[0])
            told["since"] = road.passed_over or "it is down"
        if encoded.changes:
            told["changes"] = encoded.changes
        if encoded.forced:
            told["forced"] = encoded.forced
        if road.passed is not None and road.passed.due is not None:
            told["throttled_until"] = road.passed.due
        return told

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
        touches = [(a.question.person_key, a.message_id, due or now) for a, due in _counted(drafts)]
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


def _counted(drafts: Sequence[Draft]) -> list[tuple[Asking, int | None]]:
    """Those that count for how many their person may get, and when they may leave."""
    return [(draft.asking, draft.due) for draft in drafts if draft.asking is not None and draft.asking.period]


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
    scheduled = message.send_at is not None
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


def own_concatenation(submission: Submission) -> Any:
    """What ties together the parts that the customer cut itself: its UDH reference or SAR number; None if whole."""
    options = submission.wire
    if options.sar is not None:
        return options.sar[:2]
    return options.udh[:-1] if options.data is not None and options.udh else None


__all__ = ["Acceptor", "Call", "Draft", "Lane"]
