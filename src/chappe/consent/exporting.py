"""The ledger of an account as a file: lines of JSON that prove themselves, without a database and without a secret.

The first line is a header, each other an entry with its hash, and with proof and salt unless the person was forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from chappe import ids
from chappe.clock import rfc3339
from chappe.consent import store
from chappe.consent.chain import Public, canonical, public_of
from chappe.consent.sealing import head, seal
from chappe.storage import Row

if TYPE_CHECKING:
    from chappe.runtime import Runtime

FORMAT: Final = "chappe-consents/1"
PAGE: Final = 500


class Header(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which account, when it was written, and the end of the chain: its last number and its hash in hex."""

    format: str
    account: str
    test: bool
    exported_at: str
    sequence: int
    hash: str


class Line(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry. `salt` is hex; `proof` and `salt` are null once the person was forgotten."""

    entry: Public
    hash: str
    proof: dict[str, Any] | None
    salt: str | None


async def export(rt: Runtime, account_id: int, test: bool) -> AsyncIterator[bytes]:
    """The lines, some hundred at a time; what was recorded before is sealed first. Raises Unavailable."""
    await seal(rt)
    end = await head(rt, account_id, test)
    header = Header(
        format=FORMAT,
        account=ids.public("acc", account_id),
        test=test,
        exported_at=rfc3339(rt.clock.now()) or "",
        sequence=end.sequence,
        hash=end.hash.hex(),
    )
    yield canonical(header) + b"\n"
    after = 0
    while after < end.sequence:
        span = {"account_id": account_id, "test": int(test), "after": after, "until": end.sequence, "limit": PAGE}
        rows = await rt.store.scan(store.CHAINED(span))
        if not rows:
            return  # entries are missing: whoever verifies the file will see it
        yield b"".join(canonical(line_of(row)) + b"\n" for row in rows)
        after = rows[-1][12]


def line_of(row: Row) -> Line:
    """Of a row of `store.CHAINED`."""
    sequence, hash_, salt, proof = row[12:16]
    return Line(
        entry=public_of(row, sequence),
        hash=bytes(hash_ or b"").hex(),
        proof=None if proof is None else msgspec.json.decode(proof, type=dict[str, Any]),
        salt=None if salt is None else bytes(salt).hex(),
    )
