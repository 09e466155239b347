"""What customers ask about messages that they have submitted: query_sm, cancel_sm, replace_sm (SMPP 3.4, 4.8 to 4.10).

Whose account it is decides: an id of another account is an unknown one.
"""

from __future__ import annotations

from typing import Any, Final

from chappe import ids, messages
from chappe.accounts import LoginDialect, SmppLogin
from chappe.errors import Refused
from chappe.messages import Filter, Message, Pipeline, State
from chappe.messages.model import RANK, decode_json
from chappe.smpp import MessageState, Pdu, status, times, tlv
from chappe.smsc.addresses import read_destination, read_source
from chappe.smsc.message_ids import read_id
from chappe.smsc.on import GROUP
from chappe.smsc.refusals import Unfit
from chappe.smsc.states import MESSAGE_STATE, error_number
from chappe.smsc.submit import read_text

_WAITING: Final = (State.ACCEPTED, State.SCHEDULED, State.QUEUED)
_SMPP_50: Final = 0x50
_UCS2: Final = 0x08
_MOST: Final = 500

Fields = dict[str, Any]


class Desk:
    """Answers for one pipeline. Each verb returns the fields of its response; raises Unfit, Refused, StoreError."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._rt = pipeline.rt

    async def query(self, login: SmppLogin, dialect: LoginDialect, pdu: Pdu, interface_version: int) -> Fields:
        """The state of a message; of a submit_multi that of its slowest message."""
        found = await self._found(login, dialect, pdu.fields["message_id"])
        message = min(found, key=lambda one: RANK[one.state])
        state = MESSAGE_STATE[message.state.word]
        if state is MessageState.SCHEDULED and interface_version < _SMPP_50:
            state = MessageState.ENROUTE
        error = decode_json(message.error).get("code") if message.error else None
        return {
            "message_id": pdu.fields["message_id"],
            "final_date": times.format_absolute(message.final_at) if message.final_at else "",
            "message_state": int(state),
            "error_code": error_number(error),
        }

    async def cancel(self, login: SmppLogin, dialect: LoginDialect, pdu: Pdu) -> Fields:
        """Take back the message of this id, or all that wait with these addresses and service_type."""
        fields = pdu.fields
        to = None
        if fields["destination_addr"]:
            to = read_destination(fields["dest_addr_ton"], fields["destination_addr"], dialect)
        if fields["message_id"]:
            found = await self._found(login, dialect, fields["message_id"])
            if len(found) > 1 and to is not None:
                found = [message for message in found if message.recipient == to]
        else:
            found = await self._waiting(login, dialect, fields, to)
        taken = 0
        for message in found:
            try:
                await messages.cancel(self._pipeline, login.account_id, message.id, f"smpp:{login.system_id}")
                taken += 1
            except Refused as refused:
                if refused.code == "not_found" or len(found) == 1:
                    raise
        if not taken:
            raise Unfit(status.ESME_RCANCELFAIL, "No such message waits any more.")
        return {}

    async def replace(self, login: SmppLogin, dialect: LoginDialect, pdu: Pdu) -> Fields:
        """Another text for a message that waits, read in UCS-2 if the first was, else as data_coding 0."""
        fields = pdu.fields
        if fields["schedule_delivery_time"] or fields["validity_period"]:
            raise Unfit(status.ESME_RREPLACEFAIL, "Times cannot be replaced: cancel the message and submit it again.")
        if fields["sm_default_msg_id"]:
            raise Unfit(status.ESME_RINVDFTMSGID, "There are no predefined messages: send the text.")
        found = await self._found(login, dialect, fields["message_id"])
        if len(found) > 1:
            raise Unfit(status.ESME_RREPLACEFAIL, "The messages of a submit_multi cannot be replaced.")
        [message] = found
        octets = fields["short_message"] or pdu.tlv(tlv.MESSAGE_PAYLOAD) or b""
        text, changes = None, {}
        if message.wire.data is not None:
            changes = {"data": octets}
        else:
            text = read_text(octets, _UCS2 if message.wire.encoding == "ucs2" else 0, dialect).text
        await messages.replace(
            self._pipeline,
            login.account_id,
            message.id,
            text=text,
            changes=changes,
            actor=f"smpp:{login.system_id}",
        )
        return {}

    async def _found(self, login: SmppLogin, dialect: LoginDialect, message_id: str) -> list[Message]:
        """The message of an id, or the messages of a submit_multi. Raises Unfit if it is not this account's."""
        number = read_id(dialect.message_id, message_id)
        if number is not None:
            try:
                return [await messages.get(self._rt, login.account_id, number)]
            except Refused:
                pass  # a submit_multi has no message of its own
            group = Filter(account_id=login.account_id, correlation_id=ids.public(GROUP, number), limit=_MOST)
            if found := await messages.listed(self._rt, group):
                return found
        raise Unfit(status.ESME_RINVMSGID, "There is no such message.")

    async def _waiting(self, login: SmppLogin, dialect: LoginDialect, fields: Fields, to: str | None) -> list[Message]:
        sender = read_source(fields["source_addr_ton"], fields["source_addr"], dialect)
        if to is None or sender is None:
            raise Unfit(status.ESME_RCANCELFAIL, "Give the message_id, or source and destination.")
        wanted = Filter(account_id=login.account_id, states=_WAITING, to=to, limit=_MOST)
        service_type = fields["service_type"]
        return [
            message
            for message in await messages.listed(self._rt, wanted)
            if message.login_id == login.id
            and message.sender.removeprefix("+") == sender.removeprefix("+")
            and (not service_type or message.wire.service_type == service_type)
        ]
