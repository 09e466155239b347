"""The statements behind lists: which index leads to the newest rows of a search, however long the past is.

Neither database would find it alone. A search for a rare state along the newest messages reads them all; a join of
tags and messages may read either side whole. So a search is a union of branches, each of which reads one index from the
newest end and stops at the limit; or, where another table knows the messages, its ids are fetched in batches, and the
messages by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from chappe.messages.model import State
from chappe.messages.store import FEW, MESSAGE, inbound
from chappe.storage import Statement, sql

FEW_TAGGED = 2_000
BATCH = 1_000
WAITING = frozenset({State.ACCEPTED, State.SCHEDULED, State.QUEUED})  # they have a row in the queue
_MESSAGES = f"select {MESSAGE} from messages m"
_INBOUND = ", ".join(f"m.{c.name}" for c in inbound.columns)
_SPAN = "{0} >= :since and {0} < :before"
_MINE = f"m.account_id = :account_id and {_SPAN.format('m.id')}"
# `offset 0` keeps PostgreSQL from turning it into a join: it is asked for the few rows that come that far
_TAGGED = (
    " and exists (select 1 from message_tags t where t.account_id = :account_id and t.tag = :tag "
    "and t.message_id = m.id limit 1 offset 0)"
)
_OF_TAG = f"from message_tags where account_id = :account_id and tag = :tag and {_SPAN.format('message_id')}"
_NEWEST_IDS = "order by message_id desc limit :limit"

# how many messages have a tag, as far as it matters
COUNT_TAGGED = sql(f"select count(*) from (select 1 {_OF_TAG} limit {FEW_TAGGED}) as tagged", name="count tagged")
OLDEST_TAGGED = sql("select min(message_id) from message_tags where account_id = :account_id and tag = :tag")
TAGGED = sql(f"select message_id {_OF_TAG} {_NEWEST_IDS}", name="tagged")
QUEUED = sql(
    f"select message_id from queue where account_id = :account_id and {_SPAN.format('message_id')} {_NEWEST_IDS}",
    name="queued",
)


@lru_cache(512)
def messages_like(
    states: tuple[State, ...] = (), *, to: bool = False, correlation: bool = False, tag: bool = False
) -> Statement:
    """The newest messages of an account; states of `WAITING` only together with `to` or `correlation`.

    Parameters: account_id, since and before (ids), limit, and recipient, correlation_id, tag as far as asked for.
    """
    tagged = _TAGGED if tag else ""
    if to or correlation:
        same = " and m.recipient = :recipient" if to else ""
        same += " and m.correlation_id = :correlation_id" if correlation else ""
        return _newest([f"{_MESSAGES} where {_MINE}{same}{_among(states)}{tagged}"])
    few = FEW.intersection(states)
    others = [state for state in states if state not in few]
    branches = [f"{_MESSAGES} where {_MINE}{_among(others)}{tagged}"] if others or not states else []
    # the whole list names the partial index, which no database derives from a single state
    branches += [f"{_MESSAGES} where {_MINE} and m.state = {state:d}{_among(FEW)}{tagged}" for state in sorted(few)]
    return _newest(branches)


@lru_cache(512)
def messages_led(states: tuple[State, ...] = (), *, tag: bool = False) -> Statement:
    """Those of the messages `ids` that fit. Parameters: ids, and account_id and tag if asked for."""
    return sql(f"{_MESSAGES} where m.id in each(:ids, bigint){_among(states)}{_TAGGED if tag else ''}", name="led")


@lru_cache(16)
def inbound_like(numbers: int = 0) -> Statement:
    """The newest messages from phones; `numbers` spellings of the number they went to: parameters to0, to1..."""
    source = f"select {_INBOUND} from inbound m where {_MINE}"
    to = [f" and m.recipient = :to{n}" for n in range(numbers)] or [""]
    return _newest([source + one for one in to])


def _newest(branches: Sequence[str]) -> Statement:
    limited = [f"{branch} order by m.id desc limit :limit" for branch in branches]
    if len(limited) == 1:
        return sql(limited[0], name="list")
    union = " union all ".join(f"select * from ({branch}) as b{n}" for n, branch in enumerate(limited))
    return sql(f"{union} order by id desc limit :limit", name="list")


def _among(states: Iterable[State]) -> str:
    numbers = ", ".join(str(int(state)) for state in sorted(states))
    return f" and m.state in ({numbers})" if numbers else ""
