"""What a text will cost and why, before it is sent."""

from __future__ import annotations

from msgspec import Struct

from chappe.text.alphabet import DEFAULT
from chappe.text.encode import DEFAULT_OPTIONS, Options, choose, cut, data_coding, encoding_of, foreign
from chappe.text.forms import Form, SevenBit, Ucs2
from chappe.text.normalise import Change
from chappe.text.smart import suggest, transliterate
from chappe.text.udh import concat_element, header_length


class Forced(Struct, frozen=True):
    """A character that GSM-7 lacks, and what smart encoding would write; None when it has nothing like it."""

    char: str
    suggestion: str | None


class SmartSaving(Struct, frozen=True):
    """What smart encoding would do to this text."""

    segments: int
    saved: int
    changes: tuple[Change, ...]


class Preview(Struct, frozen=True):
    """Counts in `units`: septets for gsm7, latin1 and ascii, UTF-16 units for ucs2.

    `per_segment` are the units each segment uses, `capacity` what one holds and `left` what is free in the last.
    """

    encoding: str
    data_coding: int
    segments: int
    too_long: bool
    chars: int
    units: int
    per_segment: tuple[int, ...]
    capacity: int
    left: int
    parts: tuple[str, ...]
    text: str
    changes: tuple[Change, ...]
    forced: tuple[Forced, ...]
    smart: SmartSaving | None
    locking: int = 0
    single: int = 0


def preview(text: str, options: Options = DEFAULT_OPTIONS) -> Preview:
    """What `encode` would make of `text`. An empty or a too long text is described, not refused.

    Raises TextError: `encoding_impossible`, `invalid_text`.
    """
    form, clean, changes, forced = choose(text, options)
    pieces = cut(form, clean, options.concat) if clean else []
    used = tuple(form.units(piece) for piece in pieces)
    numbering = (concat_element(0, 0, 0, 16 if options.concat == "udh16" else 8),) if len(pieces) > 1 else ()
    capacity = form.room(header_length((*numbering, *form.shifts)))
    encoding = encoding_of(form)
    return Preview(
        encoding=encoding,
        data_coding=data_coding(encoding, options.message_class),
        segments=len(pieces),
        too_long=len(pieces) > options.max_parts,
        chars=len(clean),
        units=sum(used),
        per_segment=used,
        capacity=capacity,
        left=capacity - used[-1] if used else capacity,
        parts=tuple(pieces),
        text=clean,
        changes=changes,
        forced=tuple(Forced(char, _suggest(char, options)) for char in forced or foreign(clean)),
        smart=_saving(form, clean, len(pieces), options),
        locking=form.alphabet.locking if isinstance(form, SevenBit) else 0,
        single=form.alphabet.single if isinstance(form, SevenBit) else 0,
    )


def _suggest(cluster: str, options: Options) -> str | None:
    becomes = [suggest(char, options.accepted) for char in cluster]
    return None if None in becomes else "".join(char or "" for char in becomes)


def _saving(form: Form, text: str, segments: int, options: Options) -> SmartSaving | None:
    """None when the text is GSM-7 already or cannot become it."""
    if not isinstance(form, Ucs2) or (smart := transliterate(text, options.accepted)) is None:
        return None
    fewer = len(cut(SevenBit(DEFAULT), smart[0], options.concat))
    return SmartSaving(fewer, segments - fewer, smart[1])
