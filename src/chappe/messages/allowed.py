"""May a message go to this person, and when? Consent, law and how many they get, asked for a batch at once: when
messages are accepted, when their time comes, and when they are about to leave.

`look` reads what the tables have, `judge` decides. A judgement is of the moment of its look: who launches a message
asks `Known.stale` first, since the person may have refused meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chappe import accounts, consent, ids, law, numbers, senders
from chappe.clock import rfc3339
from chappe.consent import Question
from chappe.messages import store
from chappe.messages.model import REPLY, Message, Refusal
from chappe.numbers import Number, NumberError

if TYPE_CHECKING:
    from chappe.accounts import Account
    from chappe.runtime import Runtime

VERDICTS = law.Verdicts()  # pure, so the process may share them


class Asking(NamedTuple):
    """One message about which to ask: the question for `consent`, where the person may live, and what holds for the
    account beside the law. `message_id` is passed over when earlier ones are counted."""

    question: Question
    zones: tuple[str, ...]
    own: law.Own
    test: bool
    message_id: int
    period: int  # how far back messages are counted, in milliseconds; 0: not at all


class Known(NamedTuple):
    """What the tables have of the persons of a batch. `touched`: when messages that count were, or will be, sent."""

    mark: int
    stops: consent.Stops
    found: consent.Found
    touched: Mapping[int, list[tuple[int, int]]]

    @property
    def fresh(self) -> bool:
        """Nobody at all has refused since."""
        return self.stops.mark() == self.mark

    def stale(self, question: Question) -> bool:
        """Whether the person may have refused since."""
        return self.stops.since(self.mark, (question.person_key, question.everyones_key))


Judgement = Refusal | law.Wait | None
"""Why not, when, or that nothing speaks against it."""


class Asker:
    """Says what is to be asked about each message of a batch. Short-lived: it holds the rooms as they are now."""

    def __init__(self, rt: Runtime) -> None:
        self._accounts, self._senders = accounts.directory(rt), senders.book(rt)
        self._keys, self._own = consent.persons(rt).keys, law.book(rt).own

    def about(
        self,
        account: Account,
        number: Number | str,
        country: str,
        purpose: str,
        sender: str,
        test: bool | int,
        at: int,
        message_id: int,
        zone: str | None = None,
        channel: str = "sms",
    ) -> Asking:
        """`number` parsed, or in E.164 as it is stored; `at` when it would go, in milliseconds."""
        address = number if isinstance(number, str) else number.e164
        keys, own = self._keys(account.id, consent.EVERYONES, test, address), self._own(account.id)
        brand, recorded = self._brand(account.id, sender), account.settings.consent == "recorded"
        question = Question(*keys, channel, purpose, sender, brand, country, at, recorded)
        zones = (zone,) if zone else _zones(number, country)
        return Asking(question, zones, own, bool(test), message_id, law.cap_period(country, purpose, own))

    def stored(self, m: Message, at: int) -> Asking | None:
        """About a message that was accepted; None for one that needs nobody's leave."""
        account = self._accounts.account(m.account_id)
        if account is None or m.origin == REPLY:
            return None
        zone = m.wire.zone if m.options is not None else None
        return self.about(account, m.recipient, m.country, m.purpose, m.sender, m.test, at, m.id, zone)

    def _brand(self, account_id: int, address: str) -> str:
        """The name of the brand that a sender is registered under, if any."""
        book = self._senders
        sender = book.find(account_id, address) if book.brands else None
        brand = None if sender is None else book.campaign(sender)[1]
        return "" if brand is None else brand.details.display_name


async def look(rt: Runtime, batch: Iterable[Asking | None]) -> Known:
    """Ask the tables about a batch: one question, and one more if any message is counted. Raises Unavailable."""
    asked = [one for one in batch if one is not None]
    stops = consent.stops(rt)
    mark = stops.mark()
    found = await consent.look(rt, [one.question for one in asked])
    counted = [one for one in asked if one.period]
    touched: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    if counted:
        keys = list({one.question.person_key for one in counted})
        since = min(one.question.at - one.period for one in counted)
        for key, message_id, at in await rt.store.read(store.TOUCHED({"keys": keys, "since": since})):
            touched[key].append((message_id, at))
    return Known(mark, stops, found, touched)


def judge(known: Known, asking: Asking) -> Judgement:
    """The hours of test messages are not kept, so that they can be tried at any."""
    question = asking.question
    no = consent.decide(known.found, question)
    if no is not None:
        return Refusal(no.code, no.message, "to")
    if asking.period:
        earlier = [
            at for message_id, at in known.touched.get(question.person_key, ()) if message_id < asking.message_id
        ]
        free = law.frequency(question.country, question.purpose, earlier, question.at, own=asking.own)
        if isinstance(free, law.Wait):
            words = f"This person has had as many as they may ({free.rule.note}) until {_when(free.until)}."
            return Refusal("frequency_capped", words, "to", retry_after=(free.until - question.at) / 1000)
    if asking.test:
        return None
    verdict = VERDICTS(question.country, question.purpose, asking.zones, question.at, None, asking.own)
    if isinstance(verdict, law.Now):
        return None
    if isinstance(verdict, law.Wait):
        return verdict
    return Refusal("quiet_hours", verdict.message, "to")


def touch(known: Known, asking: Asking, at: int) -> None:
    """A message was taken: those behind it in the batch count it too."""
    if asking.period:
        known.touched[asking.question.person_key].append((asking.message_id, at))


async def may_send(
    rt: Runtime,
    account_id: int,
    test: bool,
    recipients: Sequence[str],
    *,
    purpose: str = "marketing",
    sender: str | None = None,
    channel: str = "sms",
    at: int | None = None,
) -> list[Refusal | None]:
    """For each recipient None, which is yes, or why not; `at` in milliseconds, now if it is None. Nothing is counted.
    `quiet_hours` says from when on. Raises Unavailable."""
    account = accounts.directory(rt).account(account_id)
    assert account is not None
    now = rt.clock.now() if at is None else at
    answers: list[Refusal | None] = []
    batch: list[Asking | None] = []
    asker = Asker(rt)
    for recipient in recipients:
        try:
            number = numbers.parse(recipient)
        except NumberError as error:
            answers.append(Refusal(error.code, error.message, "to"))
            batch.append(None)
            continue
        found = senders.choose(senders.book(rt), account, sender, number.country or "", number.digits, now, purpose)
        name = found if isinstance(found, str) else ""
        answers.append(None)
        country, before = number.country or "", ids.at(now + 1)
        batch.append(asker.about(account, number, country, purpose, name, test, now, before, channel=channel))
    known = await look(rt, batch)
    for n, one in enumerate(batch):
        if one is not None:
            answers[n] = _answer(judge(known, one))
    return answers


def waits(until: int, rule: law.Rule) -> str:
    return f"Messages of this kind may not go before {_when(until)}: {rule.note} ({rule.name})"


def _answer(judgement: Judgement) -> Refusal | None:
    if isinstance(judgement, law.Wait):
        return Refusal("quiet_hours", waits(judgement.until, judgement.rule), "to")
    return judgement


def _zones(number: Number | str, country: str) -> tuple[str, ...]:
    """Where the person may live; none means that the country tells it."""
    if len(law.zones_of(country)) < 2:
        return ()
    return law.zones(number if isinstance(number, Number) else numbers.parse(number))


def _when(millis: int) -> str:
    return str(rfc3339(millis))[:16].replace("T", " ") + " UTC"
