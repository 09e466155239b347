"""What accounts may still spend, as far as this process knows: a hint that spares the look, never the last word.

The last word has the database, which lets no wallet go below its limit. Whoever is about to turn a message away looks
there first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from chappe.billing.ledger import store
from chappe.storage import Store

MOST_KNOWN = 100_000


class Wallets:
    """One a process."""

    def __init__(self, engine: Store) -> None:
        self._store = engine
        self._available: dict[int, int] = {}

    def uncovered(self, spent: Mapping[int, int]) -> list[int]:
        """The accounts of which it is not sure that they can pay so much."""
        known = self._available
        return [account_id for account_id, amount in spent.items() if known.get(account_id, -1) < amount]

    def available(self, account_id: int) -> int:
        """Micro-units, the credit limit included; 0 for an account without a balance."""
        return self._available.get(account_id, 0)

    async def look(self, accounts: Collection[int]) -> None:
        """Read what they have. Raises Unavailable."""
        if len(self._available) > MOST_KNOWN:
            self._available.clear()
        found = await self._store.read(store.BALANCES({"ids": list(accounts)}))
        self._available |= dict.fromkeys(accounts, 0)
        self._available |= {account_id: wallet + limit for account_id, _, wallet, _, limit in found}

    def forget(self, accounts: Collection[int]) -> None:
        """Somebody else has spent meanwhile."""
        for account_id in accounts:
            self._available.pop(account_id, None)

    def spent(self, amounts: Mapping[int, int]) -> None:
        """A unit was committed."""
        for account_id, amount in amounts.items():
            if account_id in self._available:
                self._available[account_id] -= amount

    async def short(self, amounts: Mapping[int, int]) -> frozenset[int]:
        """Those who cannot pay so much, by a look at the store. Raises Unavailable."""
        await self.look(amounts)
        return frozenset(self.uncovered(amounts))
