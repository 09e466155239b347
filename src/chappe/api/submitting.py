"""From the words of a request to what the pipeline takes; refuses what only this door can see."""

from __future__ import annotations

import base64
import binascii

import msgspec

from chappe import outgoing
from chappe.api.access import Caller
from chappe.api.house import House
from chappe.api.send_shapes import Common, NewBatch
from chappe.api.shapes import Tlv, moment
from chappe.errors import Refused
from chappe.messages import Submission, Wire
from chappe.messages.model import PLAIN

# what the gateway itself puts on the wire: SMPP 3.4, 5.3.2.22, 5.3.2.23, 5.3.2.24 and 5.3.2.32
_OWN_TLVS = {0x020C: "sar_msg_ref_num", 0x020E: "sar_total_segments", 0x020F: "sar_segment_seqnum"} | {
    0x0424: "message_payload"
}


def submission(house: House, caller: Caller, request: Common, to: str) -> Submission:
    """What the pipeline gets; raises Refused for what only this door can see."""
    if len(to) > 40:
        raise Refused("number_too_long", param="to")
    if request.data is None:
        if request.text is None:
            raise Refused("missing_field", "Give `text`, or `data`.", param="text")
        if request.udh is not None or request.data_coding is not None:
            param = "udh" if request.udh is not None else "data_coding"
            raise Refused("data_invalid", f"{param} goes with `data`, not with `text`.", param=param)
    elif request.text is not None:
        raise Refused("data_invalid", "Give either `text` or `data`.", param="data")
    if request.validity_seconds is not None and request.validity_seconds <= 0:
        raise Refused("validity_invalid", param="validity_seconds")
    if request.callback_url is not None:
        private = house.rt.settings.webhooks.allow_private
        if code := outgoing.check_url(request.callback_url, allow_private=private):
            raise Refused(code, param="callback_url")
    return Submission(
        account_id=caller.account.id,
        to=to,
        sender=request.from_,
        text=request.text,
        purpose=request.purpose,
        wire=_wire(request),
        send_at=None if request.send_at is None else moment(request.send_at, "send_at", "send_at_invalid"),
        validity_s=request.validity_seconds,
        callback_url=request.callback_url,
        correlation_id=request.correlation_id,
        tags=tuple(dict.fromkeys(request.tags)),
        metadata=request.metadata or None,
        test=caller.key.test,
        dry_run=request.dry_run,
    )


def _wire(request: Common) -> Wire:
    if (
        request.data is None
        and request.encoding == "auto"
        and not request.smart_encoding
        and request.message_class is None
        and not (request.protocol_id or request.priority or request.tlvs)
        and request.connector is None
    ):
        return PLAIN
    return Wire(
        encoding=request.encoding,
        smart=request.smart_encoding,
        message_class=request.message_class,
        data=None if request.data is None else _base64(request.data),
        udh=b"" if request.udh is None else _hex(request.udh),
        data_coding=request.data_coding,
        protocol_id=request.protocol_id,
        priority=request.priority,
        tlvs=tuple(_tlv(index, tlv) for index, tlv in enumerate(request.tlvs)),
        connector=request.connector,
    )


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("data_invalid", "data is not base64.", param="data") from None


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused("udh_invalid", "udh is not hex.", param="udh") from None


def _tlv(index: int, tlv: Tlv) -> tuple[int, bytes]:
    tag = int(tlv.tag, 16) if tlv.tag[:2] in ("0x", "0X") else int(tlv.tag)
    if tag > 0xFFFF:
        raise Refused("tlv_invalid", f"{tlv.tag} is no tag: it has 16 bits.", param=f"tlvs[{index}].tag")
    if tag in _OWN_TLVS:
        words = f"{_OWN_TLVS[tag]} is set by the gateway."
        raise Refused("tlv_invalid", words, param=f"tlvs[{index}].tag", action="Leave it out.")
    return tag, bytes.fromhex(tlv.hex)


def check_nothing_shared(request: NewBatch) -> None:
    """With `messages`, a field beside it would be ignored in silence."""
    for info in msgspec.structs.fields(Common):
        if getattr(request, info.name) != getattr(_EMPTY, info.name):
            words = f"`{info.encode_name}` goes into each of `messages`."
            raise Refused("unknown_field", words, param=info.encode_name)


_EMPTY = NewBatch()
