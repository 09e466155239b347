"""One login on this node: its sessions, its rate, and what each of their requests becomes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from chappe import ids
from chappe.accounts import SmppLogin
from chappe.errors import Refused
from chappe.messages import Accepted, Refusal, Result, Submission
from chappe.smpp import Bucket, Failure, Pdu, SmeAddress, commands, status, tlv
from chappe.smpp.aio import Connection
from chappe.smsc.addresses import read_destination
from chappe.smsc.courier import Courier
from chappe.smsc.intake import Intake
from chappe.smsc.manage import Desk
from chappe.smsc.message_ids import write_id
from chappe.smsc.on import GROUP
from chappe.smsc.outbox import Flight
from chappe.smsc.refusals import Unfit, of_exception, status_of
from chappe.smsc.submit import read, read_common

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST_DESTINATIONS: Final = 254  # SMPP 3.4, 4.5.1
_SMPP_50: Final = 0x50
_REASON: Final = tlv.TAGS["additional_status_info_text"]
_MOST_REASON: Final = 255

_log = structlog.get_logger("smsc")


class Customer:
    """Hears all sessions of a login (it is their Handler)."""

    def __init__(self, rt: Runtime, login: SmppLogin, intake: Intake, desk: Desk, courier: Courier) -> None:
        self._rt = rt
        self._intake = intake
        self._desk = desk
        self._courier = courier
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bucket: Bucket | None = None
        self.sessions: set[Connection] = set()
        self.follow(login)
        self._work: dict[int, Callable[[Connection, Pdu], None]] = {
            commands.SUBMIT_SM: self._submit,
            commands.DATA_SM: self._submit,
            commands.SUBMIT_MULTI: self._submit_multi,
            commands.QUERY_SM: self._query,
            commands.CANCEL_SM: self._cancel,
            commands.REPLACE_SM: self._replace,
        }

    def follow(self, login: SmppLogin) -> None:
        """Take over what was changed of the login."""
        rate = login.rate_per_s
        if rate is None:
            self._bucket = None
        elif self._bucket is None or self._bucket.rate != rate:
            self._bucket = Bucket(rate, max(1.0, rate), self._loop.time())
        self.login = login
        self.dialect = login.dialect
        self._courier.speak(login.id, self.dialect)

    def join(self, conn: Connection) -> None:
        """A session is bound."""
        self.sessions.add(conn)
        if conn.can_send:
            self._courier.join(self.login.id, self.dialect, conn)

    def binds(self, bind_type: str) -> int:
        """How many sessions of that type there are."""
        return sum(session.bind_type == bind_type for session in self.sessions)

    # -- chappe.smpp.aio.Handler ------------------------------------------------------------------------------------

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        work = self._work.get(pdu.command_id)
        if work is None:  # broadcast_sm and its kin: there are no cells here
            conn.respond(pdu, status.ESME_RINVCMDID)
            return
        try:
            work(conn, pdu)
        except Unfit as unfit:
            self._refuse(conn, pdu, unfit)

    def on_response(
        self, conn: Connection, context: Flight, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        nack = response.command_id == commands.GENERIC_NACK
        self._courier.answered(context, response.command_status or (status.ESME_RUNKNOWNERR if nack else 0))

    def on_timeout(self, conn: Connection, context: Flight, request: Pdu, request_raw: bytes) -> None:
        self._courier.unanswered(context, "no answer in time")

    def on_lost(self, conn: Connection, reason: str, unanswered: list[tuple[Any, Pdu, bytes]]) -> None:
        self.sessions.discard(conn)
        for flight, _, _ in unanswered:
            self._courier.unanswered(flight, f"the session ended: {reason}", at_once=True)
        self._courier.leave(self.login.id, conn)
        _log.info("unbound", login=self.login.system_id, peer=conn.peer[0], reason=reason)

    def on_room(self, conn: Connection) -> None:
        self._courier.roomy(self.login.id)

    # -- submissions ------------------------------------------------------------------------------------------------

    def _submit(self, conn: Connection, pdu: Pdu) -> None:
        if self._bucket is not None and not self._bucket.take(self._loop.time()):
            raise Unfit(status.ESME_RTHROTTLED, f"At most {self.login.rate_per_s:g} messages a second.")
        submission = read(pdu, self.login, self.dialect, self._rt.clock.now())
        self._intake.take((submission,), partial(self._submitted, conn, pdu))

    def _submitted(self, conn: Connection, pdu: Pdu, results: Sequence[Result] | BaseException) -> None:
        unfit = _unfit(conn, results)
        if unfit is not None:
            self._refuse(conn, pdu, unfit)
            return
        [accepted] = results  # type: ignore[misc]
        conn.respond(pdu, fields={"message_id": write_id(self.dialect.message_id, accepted.id)})  # type: ignore[union-attr]

    def _submit_multi(self, conn: Connection, pdu: Pdu) -> None:
        """Many destinations, one message_id, whose messages share a correlation id."""
        given = pdu.fields["dest_address"]
        wanted = [address for address in given if isinstance(address, SmeAddress)]
        if not 1 <= len(given) <= MOST_DESTINATIONS:
            raise Unfit(status.ESME_RINVNUMDESTS, f"A submit_multi has 1 to {MOST_DESTINATIONS} destinations.")
        if len(wanted) < len(given):
            raise Unfit(status.ESME_RINVDLNAME, "There are no distribution lists here.")
        group = self._rt.ids.next()
        granted = len(wanted)
        if self._bucket is not None:
            granted = self._bucket.take_up_to(granted, self._loop.time())
        failures = [Failure(*address, status.ESME_RTHROTTLED) for address in wanted[granted:]]
        asked: list[tuple[SmeAddress, Submission]] = []
        now = self._rt.clock.now()
        common = read_common(pdu, self.login, self.dialect, now, "", ids.public(GROUP, group))
        for address in wanted[:granted]:
            try:
                to = read_destination(address.ton, address.address, self.dialect)
                asked.append((address, replace(common, to=to)))
            except Unfit as unfit:
                failures.append(Failure(*address, unfit.status))
        if not asked:
            raise Unfit(failures[0].status, "No destination can be sent to.")
        answer = partial(self._multi_submitted, conn, pdu, group, [address for address, _ in asked], failures)
        self._intake.take([submission for _, submission in asked], answer)

    def _multi_submitted(
        self,
        conn: Connection,
        pdu: Pdu,
        group: int,
        addresses: list[SmeAddress],
        failures: list[Failure],
        results: Sequence[Result] | BaseException,
    ) -> None:
        if isinstance(results, BaseException) or not results:
            self._refuse(conn, pdu, _failure(results))
            return
        for address, result in zip(addresses, results, strict=True):
            if isinstance(result, Refusal):
                failures.append(Failure(*address, status_of(result.code, conn.interface_version)))
        if not any(isinstance(result, Accepted) for result in results):
            self._refuse(conn, pdu, _unfit(conn, results[:1]) or _failure(results))
            return
        message_id = write_id(self.dialect.message_id, group)
        conn.respond(pdu, fields={"message_id": message_id, "unsuccess_sme": failures})

    # -- questions about messages -----------------------------------------------------------------------------------

    def _query(self, conn: Connection, pdu: Pdu) -> None:
        self._spawn(conn, pdu, self._desk.query(self.login, self.dialect, pdu, conn.interface_version))

    def _cancel(self, conn: Connection, pdu: Pdu) -> None:
        self._spawn(conn, pdu, self._desk.cancel(self.login, self.dialect, pdu))

    def _replace(self, conn: Connection, pdu: Pdu) -> None:
        self._spawn(conn, pdu, self._desk.replace(self.login, self.dialect, pdu))

    def _spawn(self, conn: Connection, pdu: Pdu, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """The session bounds how many of these are under way."""
        task = self._loop.create_task(self._answered(conn, pdu, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, conn: Connection, pdu: Pdu, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        try:
            conn.respond(pdu, fields=await work)
        except Unfit as unfit:
            self._refuse(conn, pdu, unfit)
        except Refused as refused:
            self._refuse(conn, pdu, Unfit(status_of(refused.code, conn.interface_version), refused.message))
        except Exception as error:
            _log.warning("request failed", command=pdu.name, error=repr(error))
            self._refuse(conn, pdu, of_exception(error))

    def _refuse(self, conn: Connection, pdu: Pdu, unfit: Unfit) -> None:
        """Answer with a status, and with the reason in words where the peer understands them."""
        version = conn.interface_version
        told = version >= _SMPP_50 or pdu.command_id == commands.DATA_SM or self.dialect.reasons
        tlvs = [(_REASON, unfit.reason.encode("ascii", "replace")[:_MOST_REASON] + b"\0")]
        conn.respond(pdu, unfit.status, tlvs=tlvs if told and unfit.reason else ())

    async def drain(self) -> None:
        """Until all questions are answered."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _unfit(conn: Connection, results: Sequence[Result] | BaseException) -> Unfit | None:
    """What a lone submission is refused with, None if it was accepted."""
    if isinstance(results, BaseException) or not results:
        return _failure(results)
    result = results[0]
    if isinstance(result, Refusal):
        return Unfit(status_of(result.code, conn.interface_version), result.message)
    return None


def _failure(results: Sequence[Result] | BaseException) -> Unfit:
    if isinstance(results, BaseException):
        return of_exception(results)
    return Unfit(status.ESME_RSYSERR, "Something went wrong on our side: try again later.")
