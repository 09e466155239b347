"""The catalogue of errors, and the one exception with which rooms refuse what a caller asks.

`errors.toml` holds the codes; the API publishes them as they are. Doors translate a `Refused` into their own shape
(an HTTP answer, a command_status, a line on the terminal) and never invent codes of their own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A refusal: what the caller reads, its HTTP status and type, and what to do."""

    code: str
    status: int
    type: str
    message: str
    action: str
    group: str


@dataclass(frozen=True, slots=True)
class DeliveryEntry:
    """Why an accepted message was not delivered; `permanent` says that the same attempt can never succeed."""

    code: str
    group: str
    permanent: bool
    message: str
    action: str


class Detail(NamedTuple):
    """One of several things wrong with a request."""

    param: str
    message: str


def _load() -> tuple[dict[str, CatalogueEntry], dict[str, DeliveryEntry]]:
    raw = tomllib.loads(Path(__file__).with_name("errors.toml").read_text("utf-8"))
    requests = {code: CatalogueEntry(code=code, **entry) for code, entry in raw["request"].items()}
    return requests, {code: DeliveryEntry(code=code, **entry) for code, entry in raw["delivery"].items()}


ERRORS, DELIVERY = _load()


class Refused(Exception):
    """What a caller asked cannot be done, and why: a code of the catalogue, the field, and what to do about it.

    `message` and `action` default to the catalogue's; `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        param: str | None = None,
        action: str | None = None,
        details: Sequence[Detail] = (),
        retry_after: float | None = None,
    ) -> None:
        entry = ERRORS[code]
        self.code = code
        self.type = entry.type
        self.group = entry.group
        self.status = entry.status
        self.message = message or entry.message
        self.action = action or entry.action
        self.param = param
        self.details = tuple(details)
        self.retry_after = retry_after
        super().__init__(f"{self.param}: {self.message}" if self.param else self.message)
