"""What lies behind the operator's SMPP server: messages travel, phones receive and answer, receipts come back."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from chappe.sandbox.behaviour import FINAL, Behaviour, Delay, seconds
from chappe.sandbox.deliveries import FromPhone, ReceiptFor, from_octets, from_text
from chappe.sandbox.outbox import Outbox
from chappe.sandbox.phones import Phones, Received
from chappe.sandbox.scenario import Scenario
from chappe.sandbox.submits import Submit
from chappe.sandbox.wheel import Wheel
from chappe.text import Options


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Network:
    """Takes accepted messages to their end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel, scenario: Scenario, keep: int) -> None:
        self.scenario = scenario
        self.chance = random.Random(scenario.seed)
        self.phones = Phones(keep)
        self.outboxes: dict[str, Outbox] = {}
        self.receipts: Counter[str] = Counter()  # by state
        self.sent = 0  # by phones
        self._loop = loop
        self._wheel = wheel
        self._reference = 0

    def set_scenario(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.chance = random.Random(scenario.seed)
        for outbox in self.outboxes.values():
            outbox.scenario = scenario

    def outbox(self, system_id: str) -> Outbox:
        """The queue of a customer; it stays when the last bind goes."""
        outbox = self.outboxes.get(system_id)
        if outbox is None:
            outbox = self.outboxes[system_id] = Outbox(self._loop, self._wheel, self.scenario)
        return outbox

    def accept(self, submit: Submit, behaviour: Behaviour) -> None:
        """A message is on its way."""
        submit.state = "ENROUTE"
        delay = self._first_delay(submit, behaviour)
        if submit.not_before is not None:
            delay += max(0, submit.not_before - submit.at) / 1000
        if delay > 0:
            self._wheel.after(delay, self._reach, submit, behaviour, 0)
        else:
            self._reach(submit, behaviour, 0)

    def _first_delay(self, submit: Submit, behaviour: Behaviour) -> float:
        scenario = self.scenario
        if behaviour.when == "before_response":
            return 0
        if behaviour.when == "validity":
            if submit.until is None:
                return scenario.max_validity_s
            return min(max(0, submit.until - submit.at) / 1000, scenario.max_validity_s)
        late = behaviour.when == "late"
        return self._seconds(behaviour.receipt_after_s, scenario.late_receipt_s if late else scenario.receipt_delay_s)

    def _seconds(self, own: Delay | None, usual: Delay) -> float:
        return seconds(usual if own is None else own, self.chance)

    def _reach(self, submit: Submit, behaviour: Behaviour, step: int) -> None:
        """The message comes to its next state."""
        if submit.canceled:
            return
        stat = behaviour.states[step] if behaviour.states else "DELIVRD"
        submit.state = stat
        if stat == "DELIVRD":
            received = self.phones.receive(submit, now_ms())
            if received is not None and behaviour.reply:
                reply_after = seconds(self.scenario.reply_delay_s, self.chance)
                self._wheel.after(reply_after, self._reply, received, behaviour)
        if behaviour.states and wants_receipt(submit.registered_delivery, stat):
            self._report(submit, behaviour, stat)
        if step + 1 < len(behaviour.states):
            delay = self._seconds(behaviour.receipt_after_s, self.scenario.receipt_delay_s)
            self._wheel.after(delay, self._reach, submit, behaviour, step + 1)

    def _report(self, submit: Submit, behaviour: Behaviour, stat: str) -> None:
        outbox, at = self.outbox(submit.system_id), now_ms()
        for _ in range(behaviour.copies):
            self.receipts[stat] += 1
            outbox.put(ReceiptFor(self._loop.time(), submit, behaviour, stat, at))

    def cancel(self, submit: Submit) -> bool:
        """Deletes a message that is still on its way (cancel_sm); False when it is too late."""
        if submit.state in FINAL or not submit.state:
            return False
        submit.state = "DELETED"
        submit.canceled = True
        if wants_receipt(submit.registered_delivery, "DELETED"):
            self._report(submit, Behaviour(), "DELETED")
        return True

    def _reply(self, received: Received, behaviour: Behaviour) -> None:
        submit = received.parts[0]
        words = behaviour.reply.replace("{text}", received.read().text or "")
        phone, customer = submit.destination, submit.source
        since = self._loop.time()
        if behaviour.reply_form == "latin1":
            octets = words.encode("latin-1", "replace")
            self.send(submit.system_id, [from_octets(since, phone, customer, octets, 0)])
            return
        with suppress(ValueError):  # an empty text cannot be echoed
            order = "in_order" if behaviour.reply_form == "plain" else behaviour.reply_form
            options = Options(max_parts=255)
            self.send(submit.system_id, from_text(since, phone, customer, words, options, self.next_reference(), order))

    def next_reference(self) -> int:
        """Numbers the long messages of phones."""
        self._reference = (self._reference + 1) & 0xFFFF
        return self._reference

    def send(self, system_id: str, messages: Sequence[FromPhone]) -> None:
        """Messages of phones go to a customer."""
        self.sent += len(messages)
        for message in messages:
            self.outbox(system_id).put(message)


def wants_receipt(registered_delivery: int, stat: str) -> bool:
    """What the customer asked for (SMPP 3.4, 5.2.17; SMPP 5.0, 4.7.21): all receipts, only failures, only successes.

    Intermediate states are reported to all who want a receipt: a magic number has asked for them.
    """
    asked = registered_delivery & 0x03
    if asked == 0x02:
        return stat not in ("DELIVRD", "ACCEPTD", "ENROUTE")
    return asked == 0x01 or (asked == 0x03 and stat == "DELIVRD")
