"""What can go wrong between a room and its tables, in the three ways a caller can act on."""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of the store."""


class Conflict(StoreError):
    """A conditional write met other rows than expected, or a key exists: nothing was written. Gather again."""


class Invalid(StoreError):
    """A value that a column cannot hold, or a statement that the database cannot read: trying again will not help."""


class Unavailable(StoreError):
    """The database is away, locked, full or overloaded. `unknown`: the commit may have happened all the same."""

    def __init__(self, reason: str, *, unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unknown = unknown
