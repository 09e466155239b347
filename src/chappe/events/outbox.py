"""The durable outbox: events commit with the rows that they tell about, reactions hear them after the commit.

Each reaction has a cursor of its own, leased by one node at a time and advanced in the unit of the reaction's effects,
so every event has its effects exactly once, whatever crashes. The lease is guarded by an epoch: who lost it cannot
commit. An idle reaction only reads.

A reaction whose effects are only rows can also act at once: its rows go into the very unit that the event tells about,
which saves the way through the outbox. What it cannot do at once, because it fails or declines, comes to it by the
outbox, in a stream of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog

from chappe.clock import Clock
from chappe.events import store as table
from chappe.events.nouns import Event
from chappe.storage import Conflict, Op, Store, Unavailable

if TYPE_CHECKING:
    from chappe.runtime import Runtime

E = TypeVar("E", bound=Event)
Reaction = Callable[["Runtime", list[E]], Awaitable[list[Op]]]
Wanted = Callable[[E], bool]


@dataclass(slots=True)
class Effects:
    """What a reaction does at once: `ops` for the emitter's unit, `after` to be called once that is committed or
    `undo` if it is not, topics to `wake` then, and the events that it left to the outbox."""

    ops: list[Op] = field(default_factory=list)
    after: Callable[[], None] | None = None
    undo: Callable[[], None] | None = None
    wake: tuple[str, ...] = ()
    left: Sequence[Event] = ()


AtOnce = Callable[["Runtime", list[E]], Effects]

TOPIC = "events"
BATCH = 500
POLL_S = 1.0  # a wake-up may be missed, and PostgreSQL's low-water mark rises without one
FIRST_POLL_S = 0.02
LEASE_S = 8.0
MAX_TRIES = 5
KEEP_S = 10.0  # between two prunings
PRUNE_SLICE = 1_000  # rows a unit: an OTP's commit goes in between
SEEN_S = 3_600.0
ABANDONED_MS = 7 * 86_400_000
_LAG_CAP = 100_000

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("events")


def retry_delay_s(tries: int) -> float:
    """How long a failed event waits: 2 s, 8 s, 32 s, 128 s."""
    return 2.0 * 4.0 ** (tries - 1)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a reaction is behind: events waiting (counted up to 100,000) and the age of the oldest."""

    waiting: int
    age_ms: int


@dataclass(frozen=True, slots=True)
class Aside:
    """An event that a reaction failed on. `due_at` None: it is not tried again unless told."""

    reaction: str
    position: int
    kind: str
    account_id: int
    payload: str
    tries: int
    due_at: int | None
    failed_at: int
    error: str


class Events:
    """The outbox of a process. Every process that emits registers the same reactions, also if it does not run them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._workers: dict[str, _Worker] = {}
        self._wanted: dict[type[Event], list[Wanted[Any] | None]] = {}
        self._at_once: dict[type[Event], list[tuple[str, AtOnce[Any], Wanted[Any] | None]]] = {}
        self._rt: Runtime | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def on(
        self,
        event: type[E],
        name: str,
        reaction: Reaction[E],
        *,
        wanted: Wanted[E] | None = None,
        at_once: AtOnce[E] | None = None,
        from_start: bool = False,
        max_batch: int = BATCH,
    ) -> None:
        """Register a reaction under a name that stays its own for ever.

        `reaction(rt, events)` returns the ops of its effects, which commit with the cursor's advance. It may be called
        again for the same events (a lost lease, a conflict): effects outside the store belong into jobs. `wanted`
        keeps events that nobody waits for out of the outbox. A new reaction hears what comes from now on, or with
        `from_start` also what is still kept. `at_once(rt, events)` tries the same without the outbox, in `write`.
        """
        if name in self._workers:
            raise ValueError(f"there are two reactions named {name}")
        stream = kind_of(event) if at_once is None else own_stream(event, name)
        self._workers[name] = _Worker(
            self._store, self._clock, self._owner, event, stream, name, reaction, from_start, max_batch
        )
        self._workers[name].wanted = wanted
        if at_once is None:
            self._wanted.setdefault(event, []).append(wanted)
        else:
            self._at_once.setdefault(event, []).append((name, at_once, wanted))

    async def write(self, *ops: Op, tell: Sequence[Event], wake: Sequence[str] = ()) -> list[Any]:
        """Commit `ops` and what the events cause, or neither; the results of `ops`. Raises what `Store.write` does."""
        effects, rows = self._act(tell)
        caused = [op for effect in effects for op in effect.ops]
        topics = {*wake, *(topic for effect in effects for topic in effect.wake)}
        if rows:
            caused.append(table.EMIT(rows))
            topics.add(TOPIC)
        try:
            results = await self._store.write(*ops, *caused, wake=topics)
        except BaseException:
            for effect in effects:
                _follow_up(effect.undo)
            raise
        for effect in effects:
            _follow_up(effect.after)
        return results[: len(ops)]

    def emit(self, events: Sequence[Event]) -> list[Op]:
        """The ops (none or one) that put the events into a unit, whose `wake` should name TOPIC: for callers who put
        a unit together that others write."""
        now = self._clock.now()
        rows = self._rows(events, now)
        for event in events:
            for name, _, wanted in self._at_once.get(type(event), ()):
                if wanted is None or wanted(event):
                    rows.append(_row(own_stream(type(event), name), event, now))
        return [table.EMIT(rows)] if rows else []

    def _act(self, events: Sequence[Event]) -> tuple[list[Effects], list[_Row]]:
        """What the reactions do at once, and the rows of the outbox for all that is left."""
        now = self._clock.now()
        effects: list[Effects] = []
        rows = self._rows(events, now)
        for kind in dict.fromkeys(map(type, events)) if self._at_once else ():
            for name, at_once, wanted in self._at_once.get(kind, ()):
                mine = [event for event in events if type(event) is kind and (wanted is None or wanted(event))]
                left: Sequence[Event] = mine
                if mine and self._rt is not None:
                    try:
                        effect = at_once(self._rt, mine)
                        effects.append(effect)
                        left = effect.left
                    except Exception as error:  # the emitter does not suffer for it
                        _log.warning("reaction failed at once, trying by the outbox", reaction=name, error=repr(error))
                rows += [_row(own_stream(kind, name), event, now) for event in left]
        return effects, rows

    def _rows(self, events: Sequence[Event], now: int) -> list[_Row]:
        """The rows for the reactions that hear everything by the outbox."""
        return [
            _row(kind_of(type(event)), event, now)
            for event in events
            if any(wanted is None or wanted(event) for wanted in self._wanted.get(type(event), ()))
        ]

    async def start(self, rt: Runtime) -> None:
        """Begin to react. Raises Unavailable."""
        [(newest,)] = await self._store.read(table.BEYOND())
        if newest is not None:
            _log.warning("the database was restored from another server: the outbox is renumbered")
            await self._store.write(table.PULL_EVENTS({"newest": newest}), table.PULL_CURSORS({"newest": newest}))
        await self.register(rt)
        self._store.listen(TOPIC, self._wake)
        self._tasks = [asyncio.create_task(worker.run(rt, self._stopping)) for worker in self._workers.values()]
        self._tasks.append(asyncio.create_task(self._keep()))

    async def register(self, rt: Runtime) -> None:
        """Make the cursors of new reactions, so that events are kept for them, and let them act at once: enough for a
        process that only emits. Raises Unavailable."""
        self._rt = rt
        for worker in self._workers.values():
            await worker.register()

    async def stop(self) -> None:
        """Finish the batches in work and give the leases back."""
        self._stopping.set()
        self._wake()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks = []
            with suppress(Unavailable):  # then the leases end by themselves
                await self._store.write(table.RELEASE({"owner": self._owner}))

    async def lag(self, name: str) -> Lag:
        """How far the reaction of that name is behind."""
        [(waiting, age)] = await self._store.scan(table.LAG({"name": name, "limit": _LAG_CAP}))
        return Lag(waiting, max(0, age))

    def reactions(self) -> list[str]:
        """The names of all reactions, for metrics."""
        return list(self._workers)

    async def aside(self, limit: int = 100) -> list[Aside]:
        """The events set aside, newest failure first."""
        return [Aside(*row) for row in await self._store.scan(table.ASIDE_LIST({"limit": limit}))]

    async def retry(self, reaction: str, position: int) -> None:
        """Give an event that was set aside its tries again. Raises Conflict if there is none."""
        params = {"name": reaction, "position": position, "now": self._clock.now()}
        await self._store.write(table.ASIDE_RETRY(params, expect=1), wake=(TOPIC,))

    async def prune(self) -> int:
        """Delete the events that every reaction of their kind has passed; returns how many."""
        total = 0
        for kind, tx, position in await self._store.read(table.OLDEST_CURSORS({"abandoned": ABANDONED_MS})):
            passed = {"kind": kind, "tx": tx, "position": position}
            if not await self._store.read(table.FIRST_PASSED(passed)):
                continue
            deleted = PRUNE_SLICE
            while deleted == PRUNE_SLICE and not self._stopping.is_set():
                [deleted] = await self._store.write(table.PRUNE(passed | {"limit": PRUNE_SLICE}))
                total += deleted
        return total

    def _wake(self) -> None:
        for worker in self._workers.values():
            worker.wake.set()

    async def _keep(self) -> None:
        seen = self._clock.monotonic()
        while not await _rest(self._stopping, KEEP_S):
            try:
                if self._clock.monotonic() - seen > SEEN_S:
                    await self._store.write(table.SEEN({"names": list(self._workers)}))
                    seen = self._clock.monotonic()
                await self.prune()
            except Unavailable as error:
                _log.warning("pruning failed", reason=error.reason)


def kind_of(event: type[Event]) -> str:
    """The name of an event's stream: its tag."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def _follow_up(step: Callable[[], None] | None) -> None:
    """Its failure must not look like one of the commit: what is in the store is found there, when its lease ends."""
    if step is None:
        return
    try:
        step()
    except Exception:
        _log.exception("a reaction failed after its unit")


def own_stream(event: type[Event], reaction: str) -> str:
    """The name of the stream of what a reaction could not do at once."""
    return f"{kind_of(event)}@{reaction}"


_Row = tuple[str, int, int, str]


def _row(stream: str, event: Event, now: int) -> _Row:
    return (stream, event.account_id, now, _encode(event).decode())


async def _rest(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait that long, or less if the process stops, which is the answer."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True


@dataclass(slots=True)
class _Lease:
    tx: int
    position: int
    epoch: int
    until: float  # on the local monotonic clock, measured from before the claim


class _Worker:
    """One reaction at work."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        owner: str,
        event: type[E],
        stream: str,
        name: str,
        reaction: Reaction[E],
        from_start: bool,
        max_batch: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._name = name
        self._kind = stream
        self._decode = msgspec.json.Decoder(event).decode
        self._reaction: Reaction[Any] = reaction
        self._from_start = from_start
        self._max_batch = max_batch
        self._lease: _Lease | None = None
        self._asides_at = 0.0
        self._pause_s = POLL_S
        self.wanted: Wanted[Any] | None = None
        self.wake = asyncio.Event()

    async def register(self) -> None:
        params = {"name": self._name, "kind": self._kind, "at_end": 0 if self._from_start else 1}
        await self._store.write(table.REGISTER(params))

    async def run(self, rt: Runtime, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            self.wake.clear()
            try:
                reacted = await self._step(rt)
                if await self._retry_asides(rt) or reacted:
                    self._pause_s = FIRST_POLL_S
                    continue
            except Unavailable as error:
                self._lease = None  # the cursor may have moved all the same: look again
                _log.warning("reaction waits for the store", reaction=self._name, reason=error.reason)
                await _rest(stopping, POLL_S)
            except Exception:
                self._lease = None
                _log.exception("reaction stumbled", reaction=self._name)
                await _rest(stopping, POLL_S)
            else:
                await self._sleep()

    async def _sleep(self) -> None:
        """Until the next wake-up or poll. After a wake-up the polls are close at first: an older transaction may have
        hidden the event from us, and it will wake nobody when it ends.
        """
        try:
            async with asyncio.timeout(self._pause_s):
                await self.wake.wait()
            self._pause_s = FIRST_POLL_S
        except TimeoutError:
            self._pause_s = min(2 * self._pause_s, POLL_S)

    # -- the stream -------------------------------------------------------------------------------------------------

    async def _step(self, rt: Runtime) -> bool:
        """React to one batch; False if there is none, or another node holds the lease."""
        lease = self._lease if self._lease and self._clock.monotonic() < self._lease.until else await self._claim()
        if lease is None:
            return False
        self._lease = lease
        params = {"kind": self._kind, "tx": lease.tx, "position": lease.position, "limit": self._max_batch}
        rows = await self._store.read(table.AFTER(params))
        if not rows:
            return False
        try:
            await self._commit(rows, await self._react(rt, [row[3] for row in rows]))
        except Unavailable:
            raise
        except Exception as error:
            if await self._lost():
                return False
            _log.warning("reaction failed, trying one by one", reaction=self._name, events=len(rows), error=repr(error))
            await self._one_by_one(rt, rows)
        return True

    async def _claim(self) -> _Lease | None:
        """Take the lease if there is something to do with it."""
        self._lease = None
        [(tx, position, free)] = await self._store.read(table.LOOK({"name": self._name, "owner": self._owner}))
        after = {"kind": self._kind, "tx": tx, "position": position}
        if not free or not await self._store.read(table.ANY_AFTER(after)):
            return None
        until = self._clock.monotonic() + LEASE_S
        params = {"name": self._name, "owner": self._owner, "lease": round(LEASE_S * 1000)}
        [rows] = await self._store.write(table.CLAIM(params))
        if not rows:
            return None
        tx, position, epoch = rows[0]
        return _Lease(tx, position, epoch, until)

    async def _lost(self) -> bool:
        """Whether another node took the lease, so that its epoch is not ours any more."""
        lease = self._lease
        assert lease is not None
        try:
            await self._commit([], [])
        except Conflict:
            self._lease = None
            return True
        return False

    async def _react(self, rt: Runtime, payloads: list[str]) -> list[Op]:
        events = [self._decode(payload) for payload in payloads]
        if self.wanted is not None:
            events = [event for event in events if self.wanted(event)]
        if not events:
            return []
        async with asyncio.timeout(LEASE_S):
            return await self._reaction(rt, events)

    async def _commit(self, rows: Sequence[Sequence[Any]], effects: list[Op]) -> None:
        """Write the effects and move the cursor behind the rows, or neither."""
        lease = self._lease
        assert lease is not None
        tx, position = (rows[-1][0], rows[-1][1]) if rows else (lease.tx, lease.position)
        until = self._clock.monotonic() + LEASE_S
        advance = table.ADVANCE(
            {
                "name": self._name,
                "owner": self._owner,
                "epoch": lease.epoch,
                "tx": tx,
                "position": position,
                "lease": round(LEASE_S * 1000),
            },
            expect=1,
        )
        await self._store.write(*effects, advance)
        lease.tx, lease.position, lease.until = tx, position, until

    # -- failures ---------------------------------------------------------------------------------------------------

    async def _one_by_one(self, rt: Runtime, rows: Sequence[Sequence[Any]]) -> None:
        """After a failed batch: each event for itself; who fails is set aside, so that the others go on."""
        for row in rows:
            try:
                await self._commit([row], await self._react(rt, [row[3]]))
            except Unavailable:
                raise
            except Exception as error:
                if await self._lost():
                    return
                _log.warning("event set aside", reaction=self._name, position=row[1], error=repr(error))
                now = self._clock.now()
                due = now + round(retry_delay_s(1) * 1000)
                aside = (self._name, row[1], self._kind, row[2], row[3], 1, due, now, repr(error))
                await self._commit([row], [table.SET_ASIDE([aside])])

    async def _retry_asides(self, rt: Runtime) -> bool:
        """Try the events set aside whose time has come. No lease: their deletion, guarded by `tries`, is the proof."""
        if self._clock.monotonic() - self._asides_at < POLL_S:
            return False
        self._asides_at = self._clock.monotonic()
        params = {"name": self._name, "now": self._clock.now(), "limit": self._max_batch}
        rows = await self._store.read(table.ASIDE_DUE(params))
        for position, _account, payload, tries in rows:
            done = table.ASIDE_DONE([(self._name, position, tries)], expect=1)
            try:
                await self._store.write(*await self._react(rt, [payload]), done)
            except Unavailable:
                raise
            except Exception as error:
                await self._failed_again(position, tries, error)
        return bool(rows)

    async def _failed_again(self, position: int, tries: int, error: Exception) -> None:
        now = self._clock.now()
        given_up = tries + 1 >= MAX_TRIES
        if given_up:
            _log.error("event given up", reaction=self._name, position=position, error=repr(error))
        params = {
            "name": self._name,
            "position": position,
            "tries": tries,
            "now": now,
            "due_at": None if given_up else now + round(retry_delay_s(tries + 1) * 1000),
            "error": repr(error),
        }
        await self._store.write(table.ASIDE_FAILED(params))
