"""From a text to the parts that go on the wire: choose one encoding for the whole message, then cut and number.

The order of choice: GSM-7, a national table if the route allows it, smart encoding if wanted, UCS-2. Parts are counted
by cutting the text for real: a part may hold 152 of 153 septets when an ESC pair or an emoji does not fit.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from chappe.text.alphabet import DEFAULT, national_alphabets, quick
from chappe.text.errors import TextError
from chappe.text.forms import OCTETS, Form, SevenBit, Ucs2, one_by_one
from chappe.text.normalise import Change, clusters, normalise
from chappe.text.smart import transliterate
from chappe.text.udh import Element, build_udh, concat_element, header_length, read_whole_udh

Encoding = Literal["auto", "gsm7", "ucs2", "latin1", "ascii"]
Concatenation = Literal["udh8", "udh16", "sar", "payload"]
Sar = tuple[int, int, int]

_CHARSETS = {"latin1": "latin-1", "ascii": "ascii"}
_DATA_CODING = {"gsm7": 0x00, "ascii": 0x01, "latin1": 0x03, "ucs2": 0x08}  # SMPP 3.4, 5.2.19
_MAX_TOTAL = 255  # the total of a concatenation is one octet


class Options(Struct, frozen=True):
    """How a text may be encoded: what the customer asks and what the route can carry.

    `smart` allows replacements that read the same; `accepted` adds lossy ones (`turkish`, `cyrillic`). `national` lists
    language identifiers of TS 23.038 that the route carries. `message_class` 0 is a flash message. `packed` is for
    message centres that want septets packed in octets.
    """

    encoding: Encoding = "auto"
    smart: bool = False
    national: tuple[int, ...] = ()
    concat: Concatenation = "udh8"
    max_parts: int = 10
    message_class: int | None = None
    packed: bool = False
    accepted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks = (
            (
                "encoding",
                self.encoding in ("auto", "gsm7", "ucs2", "latin1", "ascii"),
                "auto, gsm7, ucs2, latin1, ascii",
            ),
            ("national", all(1 <= language <= 13 for language in self.national), "language identifiers 1 to 13"),
            ("concat", self.concat in ("udh8", "udh16", "sar", "payload"), "udh8, udh16, sar, payload"),
            ("max_parts", 1 <= self.max_parts <= _MAX_TOTAL, "1 to 255"),
            ("message_class", self.message_class in (None, 0, 1, 2, 3), "0 to 3"),
            ("accepted", set(self.accepted) <= {"turkish", "cyrillic"}, "turkish, cyrillic"),
        )
        for param, sound, allowed in checks:
            if not sound:
                raise TextError("invalid_option", f"{param} takes {allowed}.", param)


class Part(Struct, frozen=True, gc=False):
    """One message on the wire. `payload` excludes `udh`, which starts with its length octet or is empty.

    `sar` is (reference, total, sequence) when the parts are numbered by sar_* parameters.
    """

    payload: bytes
    text: str = ""
    udh: bytes = b""
    sar: Sar | None = None

    @property
    def user_data(self) -> bytes:
        return self.udh + self.payload


class Encoded(Struct, frozen=True, gc=False):
    """A text ready to send.

    `encoding` is gsm7, ucs2, latin1, ascii or binary; `locking` and `single` name the national tables used (0: none).
    `segments` is what is counted and priced, also where one message_payload carries all; `units` are septets, UTF-16
    units or octets. `forced` has the characters that cost the message its GSM-7, each once, in order.
    """

    encoding: str
    data_coding: int
    parts: tuple[Part, ...]
    segments: int
    chars: int
    units: int
    text: str
    changes: tuple[Change, ...] = ()
    forced: tuple[str, ...] = ()
    locking: int = 0
    single: int = 0


DEFAULT_OPTIONS = Options()


def encode(text: str, options: Options = DEFAULT_OPTIONS, reference: int = 0) -> Encoded:
    """The parts of `text`; `reference` numbers them and is cut to the bits of the kind of concatenation.

    Raises TextError: `text_empty`, `text_too_long`, `encoding_impossible`, `invalid_text`.
    """
    if options.encoding in ("auto", "gsm7") and not options.packed:
        septets = quick(text)  # nearly every message: one part of GSM-7
        if septets and len(septets) <= 160:
            coding = data_coding("gsm7", options.message_class)
            return Encoded("gsm7", coding, (Part(septets, text),), 1, len(text), len(septets), text)
    form, text, changes, forced = choose(text, options)
    if not text:
        raise TextError("text_empty", "The text is empty: give at least one visible character.")
    pieces = cut(form, text, options.concat)
    if len(pieces) > options.max_parts:
        message = f"The text takes {len(pieces)} segments and the limit is {options.max_parts}: shorten it."
        raise TextError("text_too_long", message)
    encoding = encoding_of(form)
    return Encoded(
        encoding=encoding,
        data_coding=data_coding(encoding, options.message_class),
        parts=_number(form, text, pieces, options.concat, reference),
        segments=len(pieces),
        chars=len(text),
        units=form.units(text),
        text=text,
        changes=changes,
        forced=forced,
        locking=form.alphabet.locking if isinstance(form, SevenBit) else 0,
        single=form.alphabet.single if isinstance(form, SevenBit) else 0,
    )


def data_coding(encoding: str, message_class: int | None) -> int:
    """data_coding of an encoding, with a class where one is asked (TS 23.038, 4)."""
    if message_class is None:
        return 0x04 if encoding == "binary" else _DATA_CODING[encoding]
    if encoding == "binary":
        return 0xF4 | message_class
    if encoding in _CHARSETS:
        message = f"A message class (flash) cannot be told with {encoding}: use auto, gsm7 or ucs2."
        raise TextError("encoding_impossible", message, "message_class")
    return (0x18 if encoding == "ucs2" else 0x10) | message_class


def encoding_of(form: Form) -> str:
    """The name of a form as customers see it."""
    if isinstance(form, Ucs2):
        return "ucs2"
    return {None: "gsm7", "latin-1": "latin1", "ascii": "ascii"}[form.charset]


def choose(text: str, options: Options) -> tuple[Form, str, tuple[Change, ...], tuple[str, ...]]:
    """(form, text, changes, forced) of the whole message."""
    text, changes = (text, ()) if quick(text) is not None else normalise(text)
    if options.encoding == "ucs2":
        return Ucs2(), text, changes, ()
    if options.encoding in _CHARSETS:
        return *_octet_form(text, options.encoding, changes), foreign(text)
    if DEFAULT.encode(text) is not None:
        return SevenBit(DEFAULT, packed=options.packed), text, changes, ()
    if (form := _national_form(text, options)) is not None:
        return form, text, changes, ()
    if options.smart and (smart := transliterate(text, options.accepted)) is not None:
        return SevenBit(DEFAULT, packed=options.packed), smart[0], changes + smart[1], ()
    forced = foreign(text)
    if options.encoding == "gsm7":
        raise _impossible("GSM-7", forced)
    return Ucs2(), text, changes, forced


def _octet_form(text: str, encoding: str, changes: tuple[Change, ...]) -> tuple[Form, str, tuple[Change, ...]]:
    """Latin-1 or ASCII, which the centre turns into GSM-7 if it can; if it cannot, UCS-2 keeps the count right."""
    charset = _CHARSETS[encoding]
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        alien = tuple(dict.fromkeys(c for c in clusters(text) if not _fits(c, charset)))
        raise _impossible(encoding, alien) from None
    return (SevenBit(DEFAULT, charset) if DEFAULT.encode(text) is not None else Ucs2()), text, changes


def _fits(cluster: str, charset: str) -> bool:
    return ord(max(cluster)) < (128 if charset == "ascii" else 256)


def _national_form(text: str, options: Options) -> Form | None:
    """The allowed national tables that make the fewest segments, then the fewest septets with their header."""
    forms = [
        SevenBit(alphabet, packed=options.packed)
        for language in options.national
        for alphabet in national_alphabets(language)
        if alphabet.encode(text) is not None
    ]
    price = {id(form): (len(cut(form, text, options.concat)), form.units(text) - form.room(0)) for form in forms}
    return min(forms, key=lambda form: (price[id(form)], header_length(form.shifts)), default=None)


def _impossible(encoding: str, chars: tuple[str, ...]) -> TextError:
    named = " ".join(chars[:10]) + (" ..." if len(chars) > 10 else "")
    return TextError(
        "encoding_impossible", f"{encoding} has no code for: {named}. Remove them or use auto.", "encoding"
    )


def foreign(text: str) -> tuple[str, ...]:
    """The characters that GSM-7 lacks, as a reader sees them, each once, in order."""
    codes = DEFAULT.codes
    alien = set(text) - codes.keys()
    if not alien:
        return ()
    seen = dict.fromkeys(text if one_by_one(text) else clusters(text))
    return tuple(cluster for cluster in seen if not alien.isdisjoint(cluster))


def cut(form: Form, text: str, concat: Concatenation) -> list[str]:
    """The text of each part. sar_* and message_payload are cut as the centre will: with an 8-bit header."""
    if form.units(text) <= form.room(header_length(form.shifts)):
        return [text]
    numbering = concat_element(0, 0, 0, 16 if concat == "udh16" else 8)
    return form.split(text, form.room(header_length((numbering, *form.shifts))))


def _number(form: Form, text: str, pieces: list[str], concat: Concatenation, reference: int) -> tuple[Part, ...]:
    shifts = form.shifts
    if len(pieces) == 1 or concat == "payload":
        udh = build_udh(shifts)
        return (Part(form.octets(text, len(udh)), text, udh),)
    parts = []
    for sequence, piece in enumerate(pieces, 1):
        udh = _part_udh(shifts, reference, len(pieces), sequence, concat)
        sar = (reference & 0xFFFF, len(pieces), sequence) if concat == "sar" else None
        parts.append(Part(form.octets(piece, len(udh)), piece, udh, sar))
    return tuple(parts)


def _part_udh(elements: tuple[Element, ...], reference: int, total: int, sequence: int, concat: Concatenation) -> bytes:
    if concat in ("udh8", "udh16") and total <= _MAX_TOTAL:
        bits = 16 if concat == "udh16" else 8
        return build_udh((concat_element(reference, total, sequence, bits), *elements))
    return build_udh(elements)


def encode_binary(
    data: bytes,
    udh: bytes = b"",
    *,
    message_class: int | None = None,
    concat: Concatenation = "udh8",
    max_parts: int = 10,
    reference: int = 0,
) -> Encoded:
    """Octets in parts of at most 140 with their header; a concatenation joins the elements of the given `udh`.

    A `udh` that numbers its part already passes as it is. Raises TextError: `text_empty`, `text_too_long`,
    `invalid_udh`.
    """
    elements = read_whole_udh(udh)
    if not data and not elements:
        raise TextError("text_empty", "The message has neither data nor a header.", "data")
    pieces = [data]
    if len(udh) + len(data) > OCTETS:
        numbered = header_length((*elements, concat_element(0, 0, 0, 16 if concat == "udh16" else 8)))
        room = OCTETS - numbered
        if room < 1:
            raise TextError("invalid_udh", "The header leaves no room for data.", "udh")
        pieces = [data[at : at + room] for at in range(0, len(data), room)]
        if any(element.id in (0x00, 0x08) for element in elements):
            raise TextError(
                "text_too_long", f"A part that is numbered already holds {OCTETS - len(udh)} octets.", "data"
            )
    if len(pieces) > max_parts:
        message = f"The data takes {len(pieces)} segments and the limit is {max_parts}: shorten it."
        raise TextError("text_too_long", message, "data")
    if len(pieces) == 1 or concat == "payload":
        parts: tuple[Part, ...] = (Part(data, udh=udh),)
    else:
        total = len(pieces)
        parts = tuple(
            Part(
                piece,
                udh=_part_udh(elements, reference, total, sequence, concat),
                sar=(reference & 0xFFFF, total, sequence) if concat == "sar" else None,
            )
            for sequence, piece in enumerate(pieces, 1)
        )
    return Encoded("binary", data_coding("binary", message_class), parts, len(pieces), 0, len(data), "")
