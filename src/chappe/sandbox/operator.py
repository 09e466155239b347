"""The operator's side of the SMPP connections: who may bind, and what each request is answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from chappe.sandbox.behaviour import Behaviour, seconds, status_code
from chappe.sandbox.deliveries import Delivery, Tlvs
from chappe.sandbox.network import Network, now_ms
from chappe.sandbox.scenario import DELIVERED, Chooser, Scenario
from chappe.sandbox.submits import Address, Log, Submit, Tally
from chappe.sandbox.wheel import Wheel
from chappe.smpp import Bucket, Failure, Pdu, SmeAddress, commands, receipt, status, times, tlv
from chappe.smpp.aio import Connection, Verdict

SYSTEM_ID: Final = "sandbox"
_BEFORE_RESPONSE_S: Final = 0.3  # how far a receipt is ahead of the submit response
_MOST_ON_THE_WAY: Final = 1_000_000
_WITH_CONGESTION: Final = 0x50  # congestion_state came with SMPP 5.0


class Operator:
    """Hears all connections (it is their Handler) and answers by the scenario."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scenario: Scenario, keep: int) -> None:
        self.wheel = Wheel(loop)
        self.network = Network(loop, self.wheel, scenario, keep)
        self.log = Log(keep)
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()  # of submit responses
        self.throttled_until = 0.0
        self.refusing_until = 0.0
        self.refusal = status.ESME_RBINDFAIL
        self._loop = loop
        self._cut: set[Connection] = set()  # closing: what else they sent is not heard
        self._owed: Counter[Connection] = Counter()  # submits without an answer yet
        self._next_id = int(time.time()) << 24  # so that ids are new after a restart
        self.set_scenario(scenario)

    def set_scenario(self, scenario: Scenario) -> None:
        """From the next request on."""
        self.scenario = scenario
        self.network.set_scenario(scenario)
        self._chooser = Chooser(scenario, self.network.chance)
        rate = scenario.submits_per_s
        self._bucket = Bucket(rate, max(1.0, rate), self._loop.time()) if rate else None

    # -- binds

    async def authenticate(self, conn: Connection, bind: Pdu) -> Verdict:
        system_id = bind.fields["system_id"]
        refusal = self._bind_refusal(system_id, bind.fields["password"])
        if refusal != status.ESME_ROK:
            self.counts["binds_refused"] += 1
            return Verdict(refusal)
        self.counts["binds"] += 1
        self._loop.call_soon(self.network.outbox(system_id).join, conn)  # by then the answer to the bind is written
        return Verdict(system_id=SYSTEM_ID, handler=self)

    def _bind_refusal(self, system_id: str, password: str) -> int:
        scenario = self.scenario
        if self._loop.time() < self.refusing_until:
            return self.refusal
        if scenario.refuse_binds:
            return status_code(scenario.refuse_binds) or status.ESME_RBINDFAIL
        if scenario.logins and scenario.logins.get(system_id) != password:
            return status.ESME_RINVPASWD  # of an unknown system_id too
        if scenario.max_binds and len(self.network.outbox(system_id).binds) >= scenario.max_binds:
            return status.ESME_RALYBND
        return status.ESME_ROK

    # -- what connections tell (chappe.smpp.aio.Handler)

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        if conn in self._cut:
            return
        command_id = pdu.command_id
        if command_id in (commands.SUBMIT_SM, commands.DATA_SM):
            self._submit(conn, pdu, raw)
        elif command_id == commands.SUBMIT_MULTI:
            self._submit_multi(conn, pdu, raw)
        elif command_id == commands.QUERY_SM:
            self._query(conn, pdu)
        elif command_id == commands.CANCEL_SM:
            found = self._own(conn, pdu)
            done = found is not None and self.network.cancel(found)
            conn.respond(pdu, status.ESME_ROK if done else status.ESME_RCANCELFAIL)
        elif command_id == commands.REPLACE_SM:
            conn.respond(pdu, status.ESME_ROK if self._replace(conn, pdu) else status.ESME_RREPLACEFAIL)
        else:
            conn.respond(pdu, status.ESME_RINVCMDID)

    def on_response(
        self, conn: Connection, context: Delivery, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        refused = response.command_id == commands.GENERIC_NACK
        code = response.command_status or (status.ESME_RUNKNOWNERR if refused else status.ESME_ROK)
        self.network.outbox(conn.system_id).answered(context, code)

    def on_timeout(self, conn: Connection, context: Delivery, request: Pdu, request_raw: bytes) -> None:
        self.network.outbox(conn.system_id).timed_out(context)

    def on_lost(self, conn: Connection, reason: str, unanswered: list[tuple[Any, Pdu, bytes]]) -> None:
        self._cut.discard(conn)
        self._owed.pop(conn, None)
        self.network.outbox(conn.system_id).lost(conn, [context for context, _, _ in unanswered])

    def on_room(self, conn: Connection) -> None:
        self.network.outbox(conn.system_id).send()

    # -- submits

    def _submit(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        fields = pdu.fields
        destination = (fields["dest_addr_ton"], fields["dest_addr_npi"], fields["destination_addr"])
        submit, tally = self._logged(conn, pdu, raw, destination)
        self._owed[conn] += 1
        submit.status = self._over_limit(conn)
        if submit.status:
            self._respond(conn, pdu, submit)
            return
        submit.status = _read_times(submit, fields)
        behaviour = DELIVERED
        if not submit.status:
            submit.behaviour, behaviour = self._chooser.choose(submit)
            if _meets_fault(tally, behaviour):
                submit.status = status_code(behaviour.status) or status.ESME_ROK
                submit.answer = behaviour.answer
        if submit.status:
            self._after(self._answer_delay(behaviour), self._respond, conn, pdu, submit)
        elif submit.answer == "sent" or behaviour.taken:
            tally.taken += 1
            self.counts["taken"] += 1
            self._name(submit, behaviour)
            self._take(conn, pdu, submit, behaviour)
        else:
            self._fail(conn, submit)

    def _logged(self, conn: Connection, pdu: Pdu, raw: bytes, destination: Address) -> tuple[Submit, Tally]:
        submit = Submit(self.log.count + 1, now_ms(), conn.system_id, pdu, raw, destination)
        return submit, self.log.add(submit)

    def _over_limit(self, conn: Connection) -> int:
        """The status for a submit that is one too many, else ESME_ROK."""
        now, window = self._loop.time(), self.scenario.window
        if self.wheel.waiting > _MOST_ON_THE_WAY:
            return status.ESME_RMSGQFUL
        if now < self.throttled_until or (window and self._owed[conn] > window):
            return status.ESME_RTHROTTLED
        if self._bucket is not None and not self._bucket.take(now):
            return status.ESME_RTHROTTLED
        return status.ESME_ROK

    def _name(self, submit: Submit, behaviour: Behaviour) -> None:
        self._next_id += 1
        if behaviour.message_id != "empty":
            submit.message_id = f"{self._next_id:x}" if behaviour.message_id == "hex" else str(self._next_id)
            self.log.named(submit)

    def _take(self, conn: Connection, pdu: Pdu, submit: Submit, behaviour: Behaviour) -> None:
        """An accepted message: the answer goes first and then it starts, unless the behaviour is about just that."""
        if submit.answer != "sent":
            self.network.accept(submit, behaviour)
            self._fail(conn, submit)
        elif behaviour.when == "before_response":
            self.network.accept(submit, behaviour)
            self.wheel.after(_BEFORE_RESPONSE_S, self._respond, conn, pdu, submit)
        else:
            self._after(self._answer_delay(behaviour), self._answer, conn, pdu, submit, behaviour)

    def _answer_delay(self, behaviour: Behaviour) -> float:
        own = behaviour.answer_after_s
        return seconds(self.scenario.response_delay_s if own is None else own, self.network.chance)

    def _after(self, delay: float, callback: Callable[..., None], *args: Any) -> None:
        if delay > 0:
            self.wheel.after(delay, callback, *args)
        else:
            callback(*args)

    def _answer(self, conn: Connection, pdu: Pdu, submit: Submit, behaviour: Behaviour) -> None:
        self._respond(conn, pdu, submit)
        self.network.accept(submit, behaviour)

    def _respond(self, conn: Connection, pdu: Pdu, submit: Submit) -> None:
        self.statuses[submit.status] += 1
        if conn in self._owed:  # else it is gone
            self._owed[conn] -= 1
        fields = None if submit.status else {"message_id": submit.message_id}
        conn.respond(pdu, submit.status, fields, self._congestion(conn))

    def _congestion(self, conn: Connection) -> Tlvs:
        level = self.scenario.congestion_state
        if level is None or conn.interface_version < _WITH_CONGESTION:
            return []
        return [(tlv.CONGESTION_STATE, bytes((level,)))]

    def _fail(self, conn: Connection, submit: Submit) -> None:
        """No answer; perhaps no connection either, once the answers given before have left."""
        self.counts["unanswered"] += 1
        if submit.answer == "drop":
            self._cut.add(conn)
            conn.close("dropped by the scenario")

    def _submit_multi(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        """Each destination is a message, all under one message_id. Faults of the line do not happen here."""
        refusal = self._over_limit(conn)
        if refusal:
            self.statuses[refusal] += 1
            conn.respond(pdu, refusal)
            return
        self._next_id += 1
        failures: list[Failure] = []
        accepted: list[tuple[Submit, Behaviour]] = []
        for address in pdu.fields["dest_address"]:
            if not isinstance(address, SmeAddress):  # we keep no distribution lists
                failures.append(Failure(0, 0, address.name, status.ESME_RINVDLNAME))
                continue
            submit, tally = self._logged(conn, pdu, raw, (address.ton, address.npi, address.address))
            submit.behaviour, behaviour = self._chooser.choose(submit)
            submit.status = _read_times(submit, pdu.fields)
            if not submit.status and _meets_fault(tally, behaviour):
                submit.status = status_code(behaviour.status) or status.ESME_ROK
            if submit.status:
                failures.append(Failure(*address, submit.status))
                continue
            submit.message_id = str(self._next_id)
            self.log.named(submit)
            tally.taken += 1
            accepted.append((submit, behaviour))
        self.counts["taken"] += len(accepted)
        self.statuses[status.ESME_ROK] += 1
        conn.respond(pdu, fields={"message_id": str(self._next_id), "unsuccess_sme": failures})
        for submit, behaviour in accepted:
            self.network.accept(submit, behaviour)

    # -- questions about messages

    def _own(self, conn: Connection, pdu: Pdu) -> Submit | None:
        found = self.log.find(pdu.fields["message_id"])
        return found if found is not None and found.system_id == conn.system_id else None

    def _query(self, conn: Connection, pdu: Pdu) -> None:
        found = self._own(conn, pdu)
        if found is None:
            return conn.respond(pdu, status.ESME_RQUERYFAIL)
        state = int(receipt.state_of(found.state))
        return conn.respond(pdu, fields={"message_id": found.message_id, "message_state": state})

    def _replace(self, conn: Connection, pdu: Pdu) -> bool:
        found = self._own(conn, pdu)
        if found is None or found.state != "ENROUTE":
            return False
        found.data = found.payload = pdu.fields["short_message"]
        return True


def _read_times(submit: Submit, fields: dict[str, Any]) -> int:
    """Reads schedule and validity, which data_sm does not have; returns the status of what cannot be read."""
    schedule, validity = fields.get("schedule_delivery_time"), fields.get("validity_period")
    refusal = status.ESME_RINVSCHED
    try:
        if schedule:
            submit.not_before = times.parse(schedule, submit.at)
        refusal = status.ESME_RINVEXPIRY
        if validity:
            submit.until = times.parse(validity, submit.at)
    except ValueError:
        return refusal
    return status.ESME_ROK


def _meets_fault(tally: Tally, behaviour: Behaviour) -> bool:
    """Whether this submit meets the fault of its behaviour, or has met it often enough."""
    if behaviour.status == "ESME_ROK" and behaviour.answer == "sent":
        return False
    if behaviour.times and tally.faults >= behaviour.times:
        tally.faults = 0
        return False
    tally.faults += 1
    return True
