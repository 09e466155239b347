"""The runtime and accounts of these tests, and a town of money on its store."""

from __future__ import annotations

import pytest

from chappe.runtime import Runtime
from tests.accounts.runtime import acme, other, rt
from tests.billing.reports.town import Town

__all__ = ["acme", "other", "rt"]


@pytest.fixture
def town(rt: Runtime) -> Town:
    return Town(rt.store, ago=0)
