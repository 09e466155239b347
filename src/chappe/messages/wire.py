"""From a message to the parts a connector carries, and the other way round for what was asked of the wire."""

from __future__ import annotations

from functools import lru_cache

from chappe import text as texts
from chappe.channels import Connector, Outgoing
from chappe.messages.model import Message, Wire, reference
from chappe.text import Encoded, Options, TextError

_UDHI = 0x40  # SMPP 3.4, 5.2.12


@lru_cache(maxsize=4096)
def _options(
    encoding: str,
    smart: bool,
    message_class: int | None,
    national: tuple[int, ...],
    concat: str,
    most: int,
    packed: bool,
) -> Options:
    return Options(
        encoding=encoding,  # type: ignore[arg-type]
        smart=smart,
        message_class=message_class,
        national=national,
        concat=concat,  # type: ignore[arg-type]
        max_parts=most,
        packed=packed,
    )


def options_for(wire: Wire, connector: Connector | None, max_parts: int) -> Options:
    """What the customer asked for, within what the connector carries."""
    if connector is None:
        return _options(wire.encoding, wire.smart, wire.message_class, (), "udh8", max_parts, False)
    settings = connector.settings
    return _options(
        wire.encoding,
        wire.smart,
        wire.message_class,
        settings.national,
        settings.concat,
        min(max_parts, settings.max_parts),
        settings.default_alphabet == "gsm7_packed",
    )


def encode(text: str | None, wire: Wire, connector: Connector | None, message_id: int, max_parts: int) -> Encoded:
    """The parts of a message on this connector. Raises TextError."""
    if wire.data is None:
        return texts.encode(text or "", options_for(wire, connector, max_parts), reference(message_id))
    if wire.sar is not None or wire.data_coding not in (None, 4):
        # the customer encoded and numbered this part itself: it passes as it is
        part = texts.Part(wire.data, udh=wire.udh, sar=wire.sar)
        return Encoded("binary", wire.data_coding or 0, (part,), 1, 0, len(wire.data), "")
    concat: texts.Concatenation = connector.settings.concat if connector else "udh8"
    return texts.encode_binary(
        wire.data,
        wire.udh,
        message_class=wire.message_class,
        concat=concat,
        max_parts=max_parts,
        reference=reference(message_id),
    )


def blocked(wire: Wire) -> str | None:
    """The kind of content that no customer may send (silent SMS, SIM commands, WAP push), None if there is none."""
    if wire.protocol_id == 0 and not wire.udh and not wire.data_coding:
        return None
    return texts.policy(wire.protocol_id, wire.data_coding or 0, wire.udh)


def parts_of(message: Message, encoded: Encoded, attempt: int, context: object) -> list[Outgoing]:
    """What the link is asked to send, part 1 first."""
    wire = message.wire
    total = len(encoded.parts)
    coding = encoded.data_coding if wire.data_coding is None else wire.data_coding
    return [
        Outgoing(
            message_id=message.id,
            attempt=attempt,
            part=number,
            parts=total,
            sender=message.sender,
            destination=message.recipient[1:],
            payload=part.payload,
            udh=part.udh,
            sar=part.sar,
            data_coding=coding,
            esm_class=wire.esm_class | (_UDHI if part.udh else 0),
            protocol_id=wire.protocol_id,
            priority=wire.priority,
            deadline=message.expires_at,
            in_payload_tlv=encoded.segments > total,
            service_type=wire.service_type,
            tlvs=wire.tlvs,
            context=context,
        )
        for number, part in enumerate(encoded.parts, 1)
    ]


__all__ = ["TextError", "blocked", "encode", "options_for", "parts_of"]
