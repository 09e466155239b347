"""What recipients read, in their language: one file of `words/` each. Who asks for none that is there reads English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

FALLBACK = "en"
_ISOLATE, _POP = "\u2068", "\u2069"  # what is put in reads in its own direction (Unicode UAX 9)
_MOST_RANGES = 20  # of an Accept-Language that is read


class Words:
    """A language. `words("stop.all", account="Acme")` gives its text."""

    def __init__(self, language: str, tree: Mapping[str, Any]) -> None:
        self.language = language
        self.name: str = tree["name"]
        self.direction: str = tree["direction"]
        self.version = f"{language}/{tree['version']}"
        self.texts = {
            f"{group}.{key}": str(text)
            for group, texts in tree.items()
            if isinstance(texts, dict)
            for key, text in texts.items()
        }
        self._date: str = tree["date"]
        self._months: list[str] = tree["months"]

    def __call__(self, key: str, **values: str) -> str:
        if self.direction == "rtl":
            values = {name: f"{_ISOLATE}{value}{_POP}" for name, value in values.items()}
        return self.texts[key].format_map(values)

    def date(self, millis: int, zone: ZoneInfo | None) -> str:
        """A time as people say it where they live; where that is unknown, in UTC, which is then said."""
        when = datetime.fromtimestamp(millis / 1000, zone or UTC)
        told = self._date.format(
            day=when.day,
            month=self._months[when.month - 1],
            year=when.year,
            hour=f"{when.hour:02}",
            minute=f"{when.minute:02}",
        )
        return told if zone else f"{told} UTC"


@cache
def languages() -> dict[str, Words]:
    """All there are, by their tag."""
    files = sorted(resources.files(__package__).joinpath("words").iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".toml"): Words(file.name.removesuffix(".toml"), tomllib.loads(file.read_text("utf-8")))
        for file in files
        if file.name.endswith(".toml")
    }


def choose(asked: str, accepted: str) -> Words:
    """By what the address asks for (`?lang=`), else by what the browser prefers (Accept-Language: RFC 9110, 12.5.4)."""
    known = languages()
    if asked in known:
        return known[asked]
    wanted: list[tuple[float, int, str]] = []
    for place, one in enumerate(accepted.split(",")[:_MOST_RANGES]):
        tag, _, rest = one.strip().partition(";")
        name, _, quality = rest.strip().partition("=")
        try:
            weight = float(quality) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if 0 < weight <= 1:
            wanted.append((-weight, place, tag.strip().lower().partition("-")[0]))
    return next((known[tag] for _, _, tag in sorted(wanted) if tag in known), known[FALLBACK])
