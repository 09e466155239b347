"""The ledger: double entry, append-only, one transaction an account and unit; and what the pipeline moves."""

from __future__ import annotations

from chappe.billing.ledger.model import CHARGED, GIVEN_BACK, HELD, agreed, decimal, state_of
from chappe.billing.ledger.moves import Billed, Moves, Parties

__all__ = ["CHARGED", "GIVEN_BACK", "HELD", "Billed", "Moves", "Parties", "agreed", "decimal", "state_of"]
