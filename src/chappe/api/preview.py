"""Preview: what a text will cost and why, before it is sent."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe import text as texts
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import ChangeOut
from chappe.errors import Refused
from chappe.text import Options, TextError

resource = Resource(
    "Preview",
    "Encoding, segments and the characters that cost a text its GSM-7, without sending it.",
    scope="messages:send",
)


class NewPreview(Struct, forbid_unknown_fields=True, kw_only=True):
    """The text, and how it would be sent."""

    text: Annotated[str, Meta(max_length=50_000)]
    encoding: Literal["auto", "gsm7", "ucs2", "latin1", "ascii"] = "auto"
    smart_encoding: bool = False


class ForcedOut(Struct, frozen=True):
    """A character that GSM-7 lacks, and what smart encoding would write instead."""

    char: str
    suggestion: str | None


class SmartOut(Struct, frozen=True):
    """What smart encoding would do to this text."""

    segments: int
    saved: int
    changes: list[ChangeOut]


class PreviewOut(Struct, frozen=True, kw_only=True):
    """Counts are in septets for gsm7, latin1 and ascii, in UTF-16 units for ucs2."""

    encoding: str
    segments: int
    too_long: Annotated[bool, Meta(description="More segments than this installation allows.")]
    characters: int
    units: int
    per_segment: Annotated[list[int], Meta(description="Units that each segment uses.")]
    capacity: Annotated[int, Meta(description="Units that a segment holds.")]
    left: Annotated[int, Meta(description="Units that are free in the last segment.")]
    parts: Annotated[list[str], Meta(description="The text of each segment.")]
    text: Annotated[str, Meta(description="The text as it would be sent.")]
    changes: list[ChangeOut]
    forced_ucs2: list[ForcedOut]
    smart: Annotated[SmartOut, Meta(description="null where smart encoding changes nothing or cannot help.")] | None


@resource.post("/v1/preview", example={"text": "Déjà vu — à bientôt…"}, errors=("encoding_impossible", "invalid_text"))
async def preview(call: Call, body: NewPreview) -> PreviewOut:
    """Preview a text."""
    options = Options(encoding=body.encoding, smart=body.smart_encoding, max_parts=call.rt.settings.max_parts)
    try:
        shown = texts.preview(body.text, options)
    except TextError as error:
        raise Refused(error.code, error.message, param=error.param or "text") from None
    return PreviewOut(
        encoding=shown.encoding,
        segments=shown.segments,
        too_long=shown.too_long,
        characters=shown.chars,
        units=shown.units,
        per_segment=list(shown.per_segment),
        capacity=shown.capacity,
        left=shown.left,
        parts=list(shown.parts),
        text=shown.text,
        changes=_changes(shown.changes),
        forced_ucs2=[ForcedOut(forced.char, forced.suggestion) for forced in shown.forced],
        smart=_smart(shown.smart),
    )


def _smart(saving: texts.SmartSaving | None) -> SmartOut | None:
    return None if saving is None else SmartOut(saving.segments, saving.saved, _changes(saving.changes))


def _changes(changes: tuple[texts.Change, ...]) -> list[ChangeOut]:
    return [ChangeOut(c.original, c.replacement, c.count, c.kind) for c in changes]  # type: ignore[arg-type]
