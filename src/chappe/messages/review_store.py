"""Statements behind reviews: messages that wait for one."""

from __future__ import annotations

from chappe.messages.model import Queued
from chappe.messages.store import MESSAGE, queue
from chappe.storage import sql, update_many

# not those that a dispatcher has claimed: they may be on the wire
STILL_WAITING = sql(
    f"""select {MESSAGE} from queue q join messages m on m.id = q.message_id
    where q.message_id in each(:ids, bigint) and q.state in ({Queued.WAITING:d}, {Queued.SCHEDULED:d})
    order by m.id""",
    name="still waiting",
)
QUEUED_AMONG = sql("select message_id from queue where message_id in each(:ids, bigint)", name="queued among")
# only a row that is still kept back: an earlier slice, or the customer, may have been there
RELEASE_HELD = update_many(queue, ("message_id",), ("due_at",), f"t.state = {Queued.SCHEDULED:d}")
