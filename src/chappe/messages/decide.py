"""What becomes of a submission: a refusal, said at once or after its people were asked about, or the draft of a message
with its road.

`asked` needs no table, `decide` what was read of the people. Neither writes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chappe import consent, fraud, law, numbers, senders
from chappe.billing import agreed
from chappe.errors import Refused
from chappe.messages import allowed, roads, wire, wording
from chappe.messages.content import content_verdict
from chappe.messages.loops import LoopGuard
from chappe.messages.model import LANE_OF, PLAIN, REPLY, Accepted, Message, Refusal, State, Submission, encode_json
from chappe.messages.reviews import held_until
from chappe.numbers import NumberError
from chappe.text import Encoded

if TYPE_CHECKING:
    from chappe.messages.allowed import Asker, Asking, Known
    from chappe.messages.flight import Flight
    from chappe.messages.pipeline import Pipeline
    from chappe.routing.throttles import Passed

_DAY_MS = 86_400_000
LATE_MS = 5 * 60_000  # a send_at this little in the past means now: clocks differ
SHORTEST_S, LONGEST_S = 5, 7 * 86_400


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
    held: fraud.Held | None = None
    flight: Flight | None = None

    @property
    def goes_at(self) -> int:
        """When it goes if nothing holds it up: what is counted for its person."""
        return self.message.send_at or self.accepted.created_at

    @property
    def due(self) -> int | None:
        """When it may leave; None: at once. What is held for a reviewer leaves when they say so."""
        if self.held is not None:
            return held_until(self.message.expires_at)
        return self.message.send_at or (self.passed.due if self.passed is not None else None)


class Decider:
    """Remembers what went to whom lately, and which connector took the first part of what a customer cut itself."""

    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self._loops = LoopGuard()
        self._sticky: dict[tuple[Any, ...], int] = {}

    def asked(self, asker: Asker, submission: Submission, now: int) -> roads.Asked | Refusal:
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
            asking = asker.about(
                account,
                number,
                country,
                purpose,
                sender,
                submission.test,
                times[0] or now,
                message_id,
                submission.wire.zone,
            )
        return roads.Asked(submission, number, sender, message_id, now, *times, asking)

    def decide(self, asked: roads.Asked, people: Known) -> Draft | Refusal:
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
        content = content_verdict(house, submission, asked.number, asked.sender, submission.text, asked.now)
        if isinstance(content, Refusal):
            return content
        country = asked.number.country
        if refusal := wording.refusal(house, submission, country, submission.text, asked.now, sender=asked.sender):
            return refusal
        linked = self._linked(asked)
        if isinstance(linked, Refusal):
            return linked
        road = roads.choose(house, linked, self._first(asked))
        if isinstance(road, Refusal):
            return road
        if self._loops.looping(submission, asked.number.digits, asked.sender, asked.now):
            if road.passed is not None:
                house.gate.give_back(road.passed)
            return Refusal("loop_detected", "The same text went to this number too often within a minute.", "text")
        return self._draft(linked, road, judged, content)

    def _lacking(self, asked: roads.Asked) -> list[str]:
        """The rules whose wording marketing lacks, where its account is only warned."""
        submission = asked.submission
        account = self._house.accounts.account(submission.account_id)
        if submission.purpose != "marketing" or account is None or account.settings.wording != "warn":
            return []
        country, text = asked.number.country, submission.text
        found = wording.missing_in(self._house, submission, country, text, asked.now, sender=asked.sender)
        return [one.rule for one in found if one.sure]

    def _linked(self, asked: roads.Asked) -> roads.Asked | Refusal:
        """With the link by which this person can refuse, if its text asks for it."""
        submission = asked.submission
        if submission.text is None or consent.OPT_OUT_LINK not in submission.text:
            return asked
        link = consent.opt_out_link(self._house.rt, asked.message_id)
        if link is None:
            return Refusal("opt_out_link_unavailable", "public_url is not set: there is no page to link to.", "text")
        text = submission.text.replace(consent.OPT_OUT_LINK, link)
        return asked._replace(submission=replace(submission, text=text))

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

    def _draft(
        self, asked: roads.Asked, road: roads.Road, wait: law.Wait | None, content: fraud.Held | fraud.Noted | None
    ) -> Draft:
        submission = asked.submission
        held = content if isinstance(content, fraud.Held) else None
        message = _message(asked, road, scheduled=asked.send_at is not None or held is not None)
        accepted = _accepted(message, road, asked.now, None if wait is None else wait.rule.name)
        told = self._told(road)
        if wait is not None:
            told |= {"rule": wait.rule.name, "held_until": wait.until}
        if submission.template is not None:
            told["template"] = submission.template
        lacking = self._lacking(asked)
        if lacking:
            told["wording"] = lacking
        if content is not None:
            told["content"] = content.told
        passed, dry_run = road.passed, submission.dry_run
        return Draft(message, road.encoded, accepted, told, submission.tags, passed, asked.asking, dry_run, held)

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


def _message(asked: roads.Asked, road: roads.Road, *, scheduled: bool) -> Message:
    submission, number, sender, message_id, _now, send_at, expires_at, _asking = asked
    connector, encoded, quote = road.connector, road.encoded, road.quote
    options = submission.wire
    return Message(
        id=message_id,
        account_id=submission.account_id,
        test=int(submission.test),
        state=State.SCHEDULED if scheduled else State.QUEUED,
        version=0,
        purpose=submission.purpose,
        lane=LANE_OF[submission.purpose],
        recipient=number.e164,
        sender=sender,
        text=encoded.text if options.data is None else None,
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


def _accepted(message: Message, road: roads.Road, now: int, held_by: str | None) -> Accepted:
    encoded = road.encoded
    return Accepted(
        id=message.id,
        state=message.state,
        to=message.recipient,
        sender=message.sender,
        connector_id=message.connector_id,
        encoding=message.encoding,
        segments=message.segments,
        chars=encoded.chars,
        text=message.text,
        changes=encoded.changes,
        forced=encoded.forced,
        send_at=message.send_at,
        expires_at=message.expires_at,
        country=message.country,
        created_at=now,
        price=message.price,
        currency=road.quote.currency,
        held_by=held_by,
    )


def own_concatenation(submission: Submission) -> Any:
    """What ties together the parts that the customer cut itself: its UDH reference or SAR number; None if whole."""
    options = submission.wire
    if options.sar is not None:
        return options.sar[:2]
    return options.udh[:-1] if options.data is not None and options.udh else None
