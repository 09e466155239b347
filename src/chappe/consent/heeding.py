"""What a phone wrote about further messages takes effect in the unit that stores it.

STOP forbids what the sender it was written to sends (one-time passwords apart) and the account's marketing; START takes
that back; HELP changes nothing. A text that refuses in a sentence stops marketing until somebody has looked at it.
Replies become due in the same unit.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from chappe import ids
from chappe.consent import store
from chappe.consent.keywords import LONGEST, Meaning
from chappe.consent.model import Cover, Entry, Proof, Purpose
from chappe.consent.recalling import milder
from chappe.consent.recording import Forbidden, record
from chappe.consent.replies import store as table
from chappe.consent.replies.texts import language_of
from chappe.consent.room import persons
from chappe.events import OptOutCreated
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

REPEATED_S = 60.0  # what a person says again within it, and still holds, is not written down again
CONFIRM_WITHIN_MS = 15 * 60_000  # a reply that comes later explains nothing any more
_MOST = 50_000
_MOST_WORDS = 6  # of one person in a batch; who goes on turning it on and off has turned it off

Kind = Literal["stop", "help", "start", "review"]


class Heard(NamedTuple):
    """What a person wrote to a sender of an account. `person` in E.164; `sender` without a plus, `brand` its registered
    name, if it has one; `revoke_all`: their country lets one refusal end everything but one-time passwords; `replies`:
    the sender can answer; `opts_in`: who starts without ever having agreed has agreed thereby."""

    account_id: int
    test: bool
    person: str
    sender: str
    brand: str
    country: str
    text: str
    inbound_id: int
    meaning: Meaning
    revoke_all: bool = False
    replies: bool = True
    opts_in: bool = False


@dataclass(slots=True)
class Heeded:
    """The ops of the unit, which is to wake TOPIC and tell the events; whose messages stop, for `announce` once it is
    committed, and `committed` to call then; what each was taken for, None for nothing; whether replies are due."""

    ops: list[Op] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    events: list[OptOutCreated] = field(default_factory=list)
    kinds: list[Kind | None] = field(default_factory=list)
    replies: bool = False
    _marks: list[tuple[int, str, str]] = field(default_factory=list)
    _lately: Lately | None = None

    def committed(self) -> None:
        if self._lately is not None:
            self._lately.mark(self._marks)


class Lately:
    """Who said what within the last minute, to this process: so that a flood costs little."""

    def __init__(self, rt: Runtime) -> None:
        self._clock = rt.clock
        self._at: OrderedDict[tuple[int, str, str], float] = OrderedDict()

    def said(self, key: int, sender: str, kind: str) -> bool:
        at = self._at.get((key, sender, kind))
        return at is not None and self._clock.monotonic() - at < REPEATED_S

    def mark(self, said: Iterable[tuple[int, str, str]]) -> None:
        for one in said:
            self._at.pop(one, None)
            self._at[one] = self._clock.monotonic()
        while len(self._at) > _MOST:
            self._at.popitem(last=False)


async def heed(rt: Runtime, heard: Sequence[Heard], lately: Lately) -> Heeded:
    """What these words change, in their order. Raises Unavailable."""
    if not heard:
        return Heeded()
    unit = _Unit(rt, lately)
    await unit.look(heard)
    for one in heard:
        unit.take(one)
    return unit.heeded()


class _Said(NamedTuple):
    """An entry, what it forbids, and what of earlier refusals it takes back: (scope, value)."""

    entry: Entry
    forbids: Sequence[Forbidden] = ()
    lifts: Sequence[tuple[str, str]] = ()


class _Unit:
    """The words of a batch, and what the tables have of those who said them."""

    def __init__(self, rt: Runtime, lately: Lately) -> None:
        self._rt, self._lately = rt, lately
        self._now = rt.clock.now()
        self._answered: dict[tuple[int, str, str], int] = {}  # when
        self._refused: defaultdict[int, dict[tuple[str, str], Cover]] = defaultdict(dict)
        self._agreed: defaultdict[int, set[str]] = defaultdict(set)  # to which brands, ever
        self._rounds: list[dict[int, list[_Said]]] = []  # by person key: the words of one person keep their order
        self._replies: list[tuple[object, ...]] = []
        self._marks: list[tuple[int, str, str]] = []
        self._kinds: list[Kind | None] = []

    async def look(self, heard: Sequence[Heard]) -> None:
        keys = sorted({self._key(one) for one in heard})
        for key, what, name, value, cover, at in await self._rt.store.read(table.SAID_BEFORE({"keys": keys})):
            if what == 0:
                self._answered[key, name, value] = at
            elif what == 1:
                self._refused[key][name, value] = cover
            else:
                self._agreed[key].add(name)

    def take(self, one: Heard) -> None:
        key, kind = self._key(one), one.meaning.kind
        if one.meaning.weak and not self._asked(key, one.sender):
            self._kinds.append(None)  # a yes to something else
            return
        self._kinds.append(kind)
        if kind == "start":
            self._restart(key, one)
        elif kind != "help":
            self._refuse(key, one)
        if one.replies and kind != "review":
            self._reply(key, one)

    def heeded(self) -> Heeded:
        made = Heeded(kinds=self._kinds, replies=bool(self._replies), _marks=self._marks, _lately=self._lately)
        for said in self._rounds:
            flat = [(key, one) for key, some in said.items() for one in some]
            recorded = record(self._rt, [one.entry for _, one in flat], [one.forbids for _, one in flat])
            # what is lifted depends on the sender, which `record` does not know
            made.ops += [op for op in recorded.ops if op.statement is not store.LIFT]
            if lifted := [(key, *what) for key, one in flat for what in one.lifts]:
                made.ops.append(table.LIFT_SOME(lifted))
            made.stopped += recorded.stopped
            made.events += recorded.events
        if self._replies:
            made.ops += [table.ADD_REPLIES(self._replies), table.RENEW_REPLIES(self._replies)]
        return made

    # -- words ------------------------------------------------------------------------------------------------------

    def _refuse(self, key: int, one: Heard) -> None:
        forbids = _forbidden(one)
        known = self._refused[key]
        held = ((known.get((what.scope, what.value)), what.covers) for what in forbids)
        if all(had is not None and not milder(had, asked) for had, asked in held) and self._repeats(key, one):
            return
        self._add(key, [_Said(self._entry(one, "withdrawn", "marketing"), forbids)])
        self._marks.append((key, one.sender, one.meaning.kind))
        known.update({(what.scope, what.value): what.covers for what in forbids})

    def _restart(self, key: int, one: Heard) -> None:
        lifts = [("account", ""), ("sender", one.sender), *([("brand", one.brand)] if one.brand else ())]
        held = any(what in self._refused[key] for what in lifts)
        if (not held and self._repeats(key, one)) or self._spoken(key) >= _MOST_WORDS:
            return
        brands = sorted(self._agreed[key] & {"", one.brand}) or ([""] if one.opts_in else [])
        # who never agreed only wants to be written to again
        said = [self._entry(one, "given", "marketing", brand) for brand in brands]
        said = said or [self._entry(one, "given", "service")]
        self._add(key, [_Said(entry, (), lifts) for entry in said])
        self._marks.append((key, one.sender, "start"))
        for what in lifts:
            self._refused[key].pop(what, None)

    def _add(self, key: int, said: list[_Said]) -> None:
        """To the first round in which this person has said nothing yet."""
        spoken = self._spoken(key)
        if spoken == len(self._rounds):
            self._rounds.append({})
        self._rounds[spoken][key] = said

    def _spoken(self, key: int) -> int:
        return sum(key in said for said in self._rounds)

    def _reply(self, key: int, one: Heard) -> None:
        kind, now = one.meaning.kind, self._now
        at = self._answered.get((key, one.sender, kind))
        if at is not None and at + table.EVERY_MS > now:
            return
        self._answered[key, one.sender, kind] = now
        language = language_of(one.meaning.language, one.country)
        whose = (one.account_id, int(one.test), one.person, language, one.country, one.inbound_id)
        times = (now, now, now + CONFIRM_WITHIN_MS)
        self._replies.append((key, one.sender, kind, *whose, table.PENDING, 0, *times))

    # -- inside -----------------------------------------------------------------------------------------------------

    def _key(self, one: Heard) -> int:
        return persons(self._rt).key(one.account_id, one.test, one.person)

    def _asked(self, key: int, sender: str) -> bool:
        """Whether the person was told lately how to come back: then a yes is an answer to that."""
        at = self._answered.get((key, sender, "stop"))
        return at is not None and at + table.EVERY_MS > self._now

    def _repeats(self, key: int, one: Heard) -> bool:
        said = (key, one.sender, one.meaning.kind)
        return said in self._marks or self._lately.said(*said)

    def _entry(self, one: Heard, event: Literal["given", "withdrawn"], purpose: Purpose, brand: str = "") -> Entry:
        note = f"Written to {one.sender}."
        if one.meaning.kind == "review":
            note += " To be looked at: it refuses in a sentence."
        text = one.text[:LONGEST].encode("utf-8", "replace").decode()
        proof = Proof(one.person, wording=text, note=note, reference=ids.public("inb", one.inbound_id))
        # in the order in which they are heard, whatever the clocks of those who brought them say
        return Entry(one.account_id, one.test, event, "sms", purpose, "keyword", self._now, proof, brand)


def _forbidden(one: Heard) -> list[Forbidden]:
    if one.meaning.kind == "review":
        return [Forbidden("account", "", "marketing")]
    brand = [Forbidden("brand", one.brand, "marketing")] if one.brand else []
    account: Cover = "all_but_otp" if one.revoke_all else "marketing"
    return [Forbidden("sender", one.sender, "all_but_otp"), Forbidden("account", "", account), *brand]


__all__ = ["CONFIRM_WITHIN_MS", "REPEATED_S", "Heard", "Heeded", "Lately", "heed"]
