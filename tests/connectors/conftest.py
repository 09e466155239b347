"""The runtime and accounts of these tests."""

from tests.accounts.runtime import acme, other, rt

__all__ = ["acme", "other", "rt"]
