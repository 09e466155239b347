"""A tally as it lies in a row: JSON, which tomorrow's code reads as well, for fields are only added."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from chappe.routing.quality.model import KINDS
from chappe.routing.quality.tally import Tally


class Stored(Struct, omit_defaults=True):
    """`sums` by window, then by what is counted; `delays` and `slots` as pairs."""

    at: int
    epoch: int = 0
    sums: list[list[float]] = []
    delays: list[tuple[int, float]] = []
    slots: list[tuple[int, int, int]] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Stored).decode


def written(tally: Tally) -> str:
    stored = Stored(
        at=tally.at,
        epoch=tally.epoch,
        sums=[[round(value, 5) for value in sums] for sums in tally.sums],
        delays=[(index, round(weight, 4)) for index, weight in tally.delays.items()],
        slots=[(slot, sent, known) for slot, (sent, known) in tally.slots.items()],
    )
    return _encode(stored).decode()


def read(country: str, text: str) -> Tally:
    """Raises msgspec.ValidationError."""
    stored = _decode(text)
    made = Tally(country, stored.at, stored.epoch)
    for scale, sums in enumerate(stored.sums[: len(made.sums)]):
        made.sums[scale] = [*sums[:KINDS], *[0.0] * (KINDS - len(sums))]
    made.delays = dict(stored.delays)
    made.slots = {slot: [sent, known] for slot, sent, known in stored.slots}
    return made
