"""A person's data: whose, where, who looked at it, and what was erased. Pure.

A *person* is an address as it is stored: a number in E.164, or `mail:`, `push:`, `alias:` and a name. What an account
holds of a person is found by the address; what is left after an erasure has a keyed hash in its place, the *alias*.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct

NEWEST: Final = (1 << 63) - 1  # as an id: no end
_ALIAS: Final = "erased:"
_BITS: Final = (1 << 64) - 1

Action = Literal["export", "erase", "proof", "person", "search", "page"]
"""Why somebody saw personal data: all of a person exported or erased, the proof of a consent, what a person said or
refused, messages searched by their recipient, a page on which a person sees what is held of them."""
ACTIONS: tuple[Action, ...] = get_args(Action)

Status = Literal["running", "waiting", "finished"]


class Who(Struct, frozen=True):
    """A person as one account knows them. `keys` are the keyed hashes of live and of test data, `tests` which of the
    two is meant; what is younger than `upto` (an id) is left alone. `under_way`: also messages that are not final."""

    account_id: int
    person: str
    keys: tuple[int, int]
    tests: tuple[int, ...] = (0, 1)
    upto: int = NEWEST
    under_way: bool = False

    @property
    def quoted(self) -> str:
        """As a value in JSON."""
        return msgspec.json.encode(self.person).decode()

    @property
    def digits(self) -> str:
        """Of a number, without its plus; empty for other addresses."""
        return self.person[1:] if self.person[:1] == "+" else ""

    @property
    def hashes(self) -> list[int]:
        return [self.keys[test] for test in self.tests]

    def alias(self, test: int = 0) -> str:
        """What stands in the place of the address once it is erased."""
        return alias(self.keys[test])


class Erasure(Struct, frozen=True):
    """That a person was forgotten, by whom, why, and how much was held: a row of `erasures` without the person.

    `account_id` 0: by the operator, of all accounts. `waiting`: some of their messages are still on their way.
    `suppress`: they are not to be written to again. `counts`: what was erased, by kind.
    """

    id: int
    account_id: int
    test: bool
    person_key: int
    reason: str
    actor: str
    suppress: bool
    status: Status
    passes: int
    counts: dict[str, int]
    created_at: int
    moved_at: int
    finished_at: int | None


class Access(Struct, frozen=True):
    """Who saw what of whom: a row of `access_log`. `count` None: an export that was broken off."""

    id: int
    account_id: int
    at: int
    actor: str
    action: Action
    person_key: int | None
    count: int | None


def alias(key: int) -> str:
    """The address of somebody who was forgotten: the same for all that is left of them in an account."""
    return _ALIAS + hex_of(key)


def hex_of(key: int) -> str:
    """A person's keyed hash as it is shown."""
    return f"{key & _BITS:016x}"
