"""Public shorteners, which anybody may use and operators filter. Dated data: `shorteners.csv`."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from msgspec import Struct, convert


class Shortener(Struct, frozen=True):
    """`checked` is the month in which its source listed it."""

    domain: str
    checked: str
    confidence: str
    source: str


@cache
def shorteners() -> dict[str, Shortener]:
    """All shorteners by domain."""
    with resources.files(__package__).joinpath("shorteners.csv").open(encoding="utf-8") as lines:
        return {row["domain"]: convert(row, Shortener) for row in csv.DictReader(lines)}
