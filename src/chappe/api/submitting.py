"""From the words of a request to what the pipeline takes; refuses what only this door can see."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from chappe import ids, outgoing
from chappe.api.access import Caller
from chappe.api.house import House
from chappe.api.send_shapes import Common, NewBatch, Recipient, TemplateUse
from chappe.api.shapes import Tlv, moment
from chappe.errors import Refused
from chappe.messages import Submission, Wire
from chappe.messages.composing import Composed, Use, compose
from chappe.messages.model import PLAIN

# what the gateway itself puts on the wire: SMPP 3.4, 5.3.2.22, 5.3.2.23, 5.3.2.24 and 5.3.2.32
_OWN_TLVS = {0x020C: "sar_msg_ref_num", 0x020E: "sar_total_segments", 0x020F: "sar_segment_seqnum"} | {
    0x0424: "message_payload"
}


def submission(
    house: House, caller: Caller, request: Common, to: str, recipient: Recipient | None = None
) -> Submission:
    """What the pipeline gets; raises Refused for what only this door can see. `recipient`: what is this one's own."""
    if len(to) > 40:
        raise Refused("number_too_long", param="to")
    composed = None
    if request.template is not None:
        composed = _composed(house, caller, request, request.template, to, recipient)
    elif recipient is not None and (recipient.variables or recipient.locale is not None):
        raise Refused("missing_field", "Values go with a `template`.", param="template")
    elif request.data is None:
        if request.text is None:
            raise Refused("missing_field", "Give `text`, `template` or `data`.", param="text")
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
    own = recipient or _NOTHING_OWN
    return Submission(
        account_id=caller.account.id,
        to=to,
        sender=request.from_ if composed is None else composed.sender,
        text=request.text if composed is None else composed.text,
        purpose=request.purpose if composed is None else composed.purpose,
        wire=_wire(request, _zone(own.time_zone or request.time_zone), () if composed is None else composed.tlvs),
        send_at=None if request.send_at is None else moment(request.send_at, "send_at", "send_at_invalid"),
        validity_s=request.validity_seconds,
        callback_url=request.callback_url,
        correlation_id=own.correlation_id or request.correlation_id,
        tags=tuple(dict.fromkeys(request.tags)),
        metadata=request.metadata or None,
        test=caller.key.test,
        dry_run=request.dry_run,
        quiet_hours=request.quiet_hours,
        template=None if composed is None else composed.label,
    )


_NOTHING_OWN = Recipient(to="")


def _composed(
    house: House, caller: Caller, request: Common, use: TemplateUse, to: str, recipient: Recipient | None
) -> Composed:
    """The text that a template becomes for this recipient."""
    if request.text is not None or request.data is not None:
        raise Refused("text_ambiguous", param="template")
    if request.udh is not None or request.data_coding is not None:
        param = "udh" if request.udh is not None else "data_coding"
        raise Refused("data_invalid", f"{param} goes with `data`, not with `template`.", param=param)
    if (use.id is None) == (use.name is None):
        raise Refused("missing_field", "Say which template: give either its `id` or its `name`.", param="template.id")
    number = None if use.id is None else ids.parse("tpl", use.id) or 0
    locale, values = use.locale, use.variables
    if recipient is not None:
        locale = recipient.locale or locale
        values = values | recipient.variables if values else recipient.variables
    asked = Use(number, use.name, use.version, locale, values)
    composed = compose(house.rt, caller.account.id, asked, to, request.from_)
    if request.purpose not in ("transactional", composed.purpose):
        words = f"The template is for the purpose {composed.purpose}."
        raise Refused("invalid_value", words, param="purpose", action="Leave purpose out.")
    if composed.tlvs and request.smart_encoding:
        words = "Operators compare the text with its registered template, letter by letter."
        raise Refused("invalid_value", words, param="smart_encoding", action="Leave smart_encoding out.")
    return composed


def _zone(name: str | None) -> str | None:
    if name is not None and not _is_zone(name):
        raise Refused("time_zone_unknown", param="time_zone")
    return name


@lru_cache(maxsize=1_024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder of zones
        return False
    return True


def _wire(request: Common, zone: str | None, tlvs: tuple[tuple[int, bytes], ...]) -> Wire:
    """`tlvs` of a template's registration, but for those that the request gives itself."""
    if (
        zone is None
        and not tlvs
        and request.data is None
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
        tlvs=_tlvs(request, tlvs),
        connector=request.connector,
        zone=zone,
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


def _tlvs(request: Common, registered: tuple[tuple[int, bytes], ...]) -> tuple[tuple[int, bytes], ...]:
    given = tuple(_tlv(index, tlv) for index, tlv in enumerate(request.tlvs))
    if not registered:
        return given
    tags = {tag for tag, _ in given}
    return (*given, *(one for one in registered if one[0] not in tags))


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
