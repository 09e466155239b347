"""Messages that wait for a reviewer: what goes into the unit that takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from chappe.fraud.firewall import store
from chappe.fraud.firewall.review import Held
from chappe.ids import Ids
from chappe.storage import Op

_encode = msgspec.json.Encoder().encode
_SAMPLE = 2_000  # characters
_UNDECIDED = (None, None, None, "", 0, 1)  # until, decided_at, decided_by, note, unsettled, revision


def hold(rows: Sequence[tuple[int, int, Held]], now: int, ids: Ids) -> list[Op]:
    """The ops that open a review for each kind of text, or count for the one that is open; [] for none.

    Rows are (message id, account id, why). The queue's rows of the messages are the caller's to keep back.
    """
    if not rows:
        return []
    counts = Counter((account_id, held.digest, held.sender) for _, account_id, held in rows)
    whys = {(account_id, held.digest, held.sender): held for _, account_id, held in reversed(rows)}
    again, new = [], []
    for key in sorted(counts):  # in one order everywhere, so that two units wait for each other and not in a circle
        held, review_id, found = whys[key], ids.next(), _encode(whys[key].findings).decode()
        sample = held.text[:_SAMPLE]
        again.append((*key, review_id, sample, held.country, held.purpose, found, now))
        new.append((*key, review_id, "open", sample, held.country, held.purpose, found, counts[key], now, *_UNDECIDED))
    waiting = [(message_id, account_id, held.digest, held.sender, 0) for message_id, account_id, held in rows]
    return [
        store.REOPEN(again),
        store.OPEN(new),
        store.HELD_BEFORE([(message_id,) for message_id, _, _ in rows]),
        store.HELD(waiting),
    ]


__all__ = ["hold"]
