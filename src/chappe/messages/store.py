"""Tables and hot statements of the pipeline.

Live rows (queue, parts that wait for receipts, parked receipts, idempotency keys) lie apart from the record (messages,
history, inbound), which is keyed by time-sortable ids and grows at its end only.
"""

from __future__ import annotations

import sqlalchemy as sa

from chappe.billing.ledger.model import CHARGED
from chappe.messages.model import UNSENT, Message, Queued, State
from chappe.storage import Statement, delete_many, insert_many, sql, update_many
from chappe.storage.once import sql_once
from chappe.storage.schema import (
    Bytes,
    Id,
    Int,
    Json,
    Millis,
    Small,
    Text,
    key,
    metadata,
    optional,
    partial_index,
    required,
)

FEW = frozenset(State) - {State.ACCEPTED, State.SCHEDULED, State.QUEUED, State.DELIVERED}
_FEW = ", ".join(str(int(state)) for state in sorted(FEW))

messages = sa.Table(
    "messages",
    metadata,
    key("id"),
    required("account_id", Id),
    required("test", Small),
    required("state", Small),
    required("version", Int),
    required("purpose", Text),
    required("lane", Small),
    required("recipient", Text),
    required("sender", Text),
    optional("text", Text),
    required("encoding", Text),
    required("segments", Small),
    optional("options", Json),
    optional("correlation_id", Text),
    optional("tags", Json),
    optional("metadata", Json),
    optional("callback_url", Text),
    required("origin", Text),
    optional("login_id", Id),
    required("receipts", Small),
    optional("send_at", Millis),
    required("expires_at", Millis),
    required("connector_id", Id),
    required("attempt", Small),
    optional("error", Json),
    optional("sent_at", Millis),
    optional("final_at", Millis),
    required("country", Text),
    optional("operator", Text),  # MCC and MNC, after portability
    optional("route_id", Id),
    optional("price", Id),  # micro-units of its account's currency; null: not billed
    optional("upstream", Id),  # what its reseller pays, of the reseller's currency
    optional("cost", Id),
    optional("cost_currency", Text),
    required("money", Small, 0),  # billing.ledger.model: held, charged, given back; by which contracts
    sa.Index("messages_account", "account_id", "id"),
    sa.Index("messages_recipient", "account_id", "recipient", "id"),
    partial_index("messages_thread", "account_id", "correlation_id", "id", where="correlation_id is not null"),
    # what is not on its way and not delivered: what else people search for is found otherwise (search.py)
    partial_index("messages_few", "account_id", "state", "id", where=f"state in ({_FEW})"),
)

message_tags = sa.Table(
    "message_tags",
    metadata,
    key("account_id"),
    key("tag", Text),
    key("message_id"),
    sa.Index("message_tags_message", "message_id"),
)

queue = sa.Table(
    "queue",
    metadata,
    key("message_id"),
    required("account_id", Id),
    required("connector_id", Id),
    required("lane", Small),
    required("state", Small),
    required("due_at", Millis),
    required("expires_at", Millis),
    required("attempt", Small),
    required("tries", Small),
    required("doubts", Small),
    required("tried", Text),  # connectors that refused it for good, comma-separated
    required("owner", Id),  # the process that may have it on the wire
    required("claim", Id),
    partial_index("queue_waiting", "connector_id", "lane", "due_at", "message_id", where="state = 0"),
    partial_index("queue_scheduled", "due_at", where="state = 1"),
    partial_index("queue_sending", "claim", where="state = 2"),
    sa.Index("queue_expiry", "expires_at"),
)

parts = sa.Table(
    "parts",
    metadata,
    key("message_id"),
    key("attempt", Small),
    key("part", Small),
    required("total", Small),
    required("connector_id", Id),
    required("provider_id", Text),
    required("provider_key", Text),
    required("state", Small),
    optional("error", Json),
    required("sent_at", Millis),
    required("deadline", Millis),
    optional("final_at", Millis),
    sa.Index("parts_provider", "connector_id", "provider_key"),
    partial_index("parts_deadline", "deadline", where="state in (0, 3)"),
)

history = sa.Table(
    "history",
    metadata,
    key("message_id"),
    key("id"),
    required("at", Millis),
    required("kind", Text),
    required("attempt", Small),
    required("part", Small),
    optional("data", Json),
    optional("request", Bytes),
    optional("response", Bytes),
    sqlite_with_rowid=False,
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    key("account_id"),
    key("key", Text),
    required("digest", Text),
    required("results", Json),
    required("created_at", Millis),
    sa.Index("idempotency_age", "created_at"),
)

parked_receipts = sa.Table(
    "parked_receipts",
    metadata,
    key("id"),
    required("connector_id", Id),
    required("provider_key", Text),
    required("received_at", Millis),
    required("reason", Text),
    required("receipt", Json),
    optional("raw", Bytes),
    sa.Index("parked_receipts_key", "connector_id", "provider_key"),
)

inbound = sa.Table(
    "inbound",
    metadata,
    key("id"),
    required("account_id", Id),  # 0: nobody's number, visible to the operator
    required("connector_id", Id),
    required("test", Small),
    required("source", Text),
    required("recipient", Text),
    optional("text", Text),
    optional("payload", Bytes),
    required("udh", Bytes),
    required("data_coding", Small),
    required("parts", Small),
    required("missing", Small),  # parts of a long message that never came
    required("received_at", Millis),
    sa.Index("inbound_account", "account_id", "id"),
    sa.Index("inbound_recipient", "account_id", "recipient", "id"),
)

inbound_parts = sa.Table(
    "inbound_parts",
    metadata,
    key("connector_id"),
    key("source", Text),
    key("recipient", Text),
    key("reference", Int),
    key("total", Small),
    key("sequence", Small),
    required("received_at", Millis),
    optional("text", Text),
    required("payload", Bytes),
    required("udh", Bytes),
    required("data_coding", Small),
    required("raw", Bytes),
    sa.Index("inbound_parts_age", "received_at"),
)

touches = sa.Table(  # when a person gets a message that counts for how many they may get
    "message_touches",
    metadata,
    key("person_key"),
    key("message_id"),
    required("at", Millis),
    sa.Index("message_touches_age", "at"),
    sqlite_with_rowid=False,
)

retention_marks = sa.Table(  # up to which message texts were forgotten
    "retention_marks",
    metadata,
    key("name", Text),
    required("upto", Id),
)

retention_late = sa.Table(  # messages that still waited when their text was to be forgotten
    "retention_late",
    metadata,
    key("message_id"),
)

MESSAGE = ", ".join(f"m.{c.name}" for c in messages.columns)


_STATES = tuple(State)  # by their numbers, which are their places


def message(row: tuple[object, ...], start: int = 0) -> Message:
    """The message in a row whose columns from `start` are `MESSAGE`."""
    made = Message(*row[start : start + len(messages.columns)])  # type: ignore[arg-type]
    made.state = _STATES[made.state]
    return made


_UNSENT = f"t.state in ({', '.join(f'{state:d}' for state in UNSENT)})"


_SAME = "t.version = u.version"  # else somebody moved it since it was read, and perhaps its money


def _closing(state: State) -> Statement:
    """Ends messages that no supplier has taken: rows of (id, error, final_at, money, version)."""
    to = (("state", str(int(state))), "error", "final_at", "money", ("version", "t.version + 1"))
    return update_many(messages, ("id",), to, f"{_UNSENT} and {_SAME}")


# -- accept --------------------------------------------------------------------------------------------------------
ADD_MESSAGES = insert_many(messages)
ADD_TAGS = insert_many(message_tags)
ADD_QUEUE = insert_many(queue)
ADD_HISTORY = insert_many(history)
ADD_KEYS = insert_many(idempotency)
ADD_TOUCHES = insert_many(touches)
# of messages that went or will: what was refused, taken back or came too late has reached nobody
TOUCHED = sql(
    f"""select t.person_key, t.message_id, t.at from message_touches t join messages m on m.id = t.message_id
    where t.person_key in each(:keys, bigint) and t.at > :since
    and (m.sent_at is not null or m.state not in ({State.FAILED:d}, {State.CANCELED:d}, {State.EXPIRED:d}))""",
    name="touched",
)
PRUNE_TOUCHES = sql(
    """delete from message_touches where (person_key, message_id) in (
        select person_key, message_id from message_touches where at < :before limit :limit
    )""",
    name="prune touches",
)
FIND_KEYS = sql(
    "select key, digest, results from idempotency where account_id = :account_id and key in each(:keys, text)"
)

# -- dispatch ------------------------------------------------------------------------------------------------------
# behind a `Mark`
_BEHIND = "(due_at, message_id) > (:since_due::bigint, :since_id::bigint)"
CLAIM = sql_once(
    f"""update queue set state = {Queued.SENDING:d}, owner = :owner, claim = :claim
    where message_id in once(
        select message_id from queue
        where connector_id = :connector_id and state = {Queued.WAITING:d} and lane = :lane and due_at <= :now
        and {_BEHIND} and expires_at > :now
        order by due_at, message_id limit :room skip_locked()
    )once""",
    name="claim",
)
CLAIMED = sql(
    f"""select q.connector_id, q.attempt, q.tries, q.doubts, q.tried, {MESSAGE}, q.due_at
    from queue q join messages m on m.id = q.message_id
    where q.claim = :claim and q.state = {Queued.SENDING:d}
    order by q.lane, q.due_at, q.message_id""",
    name="claimed",
)
HOLD_BACK = update_many(
    queue,
    ("message_id",),
    (("state", str(int(Queued.WAITING))), "due_at", ("owner", "0"), ("claim", "0")),
    "t.claim = u.claim",
)
PUT_BACK = update_many(
    queue, ("message_id",), (("state", str(int(Queued.WAITING))), ("owner", "0"), ("claim", "0")), "t.claim = u.claim"
)
SENT_PARTS = sql("select message_id, attempt, part from parts where message_id in each(:ids, bigint)")
NEXT_DUE = sql(
    f"""select due_at from queue
    where connector_id = :connector_id and lane = :lane and state = {Queued.WAITING:d} and {_BEHIND}
    order by due_at, message_id limit 1""",
    name="next due",
)
# claims are time-sortable ids: those of before a moment
CLAIMED_BEFORE = sql(
    f"""select message_id, claim from queue
    where state = {Queued.SENDING:d} and owner = :owner and claim < :before order by claim limit :limit""",
    name="claimed before",
)
ORPHANS = sql(
    f"""select q.connector_id, q.attempt, q.tries, q.doubts, q.tried, {MESSAGE}
    from queue q join messages m on m.id = q.message_id
    where q.state = {Queued.SENDING:d} and q.owner not in each(:alive, bigint)
    limit :limit""",
    name="orphans",
)

# -- answers -------------------------------------------------------------------------------------------------------
ADD_PARTS = insert_many(parts, ignore=True)
MARK_SENT = update_many(
    messages,
    ("id",),
    (("state", str(int(State.SENT))), "sent_at", "connector_id", "attempt", "money", ("version", "t.version + 1")),
    f"{_UNSENT} and {_SAME}",
)
REPRICE = update_many(
    messages, ("id",), ("operator", "route_id", "price", "upstream", "cost", "cost_currency", "money"), _SAME
)
MARK_SENDING = update_many(
    messages,
    ("id",),
    (("state", str(int(State.SENDING))), "connector_id", "attempt", ("version", "t.version + 1")),
    f"t.state in ({State.ACCEPTED:d}, {State.SCHEDULED:d}, {State.QUEUED:d})",
)
MARK_FAILED = _closing(State.FAILED)
MARK_EXPIRED = _closing(State.EXPIRED)
SETTLE = update_many(messages, ("id",), ("state", "error", "final_at", "money", ("version", "t.version + 1")), _SAME)
DEQUEUE = delete_many(queue, ("message_id",), "t.claim in (0, u.claim)")  # as for REQUEUE; 0: it waits for another try
REQUEUE = update_many(
    queue,
    ("message_id",),
    (
        ("state", str(int(Queued.WAITING))),
        "connector_id",
        "due_at",
        "attempt",
        "tries",
        "doubts",
        "tried",
        ("owner", "0"),
        ("claim", "0"),
    ),
    "t.claim = u.claim",  # a node that was taken for dead must not call back what another sends by now
)

# -- receipts ------------------------------------------------------------------------------------------------------
PARTS_BY_KEY = sql(
    f"""select p.provider_key, p.attempt, p.part, p.total, p.state, p.sent_at, {MESSAGE}
    from parts p join messages m on m.id = p.message_id
    where p.connector_id = :connector_id and p.provider_key in each(:keys, text)""",
    name="parts by key",
)
DOUBTFUL = sql(
    f"""select p.provider_key, p.attempt, p.part, p.total, p.state, p.sent_at, {MESSAGE}
    from parts p join messages m on m.id = p.message_id
    where p.state = 3 and p.deadline > :now and p.connector_id = :connector_id limit 1000""",
    name="doubtful",
)
ADOPT = update_many(parts, ("message_id", "attempt", "part"), ("provider_id", "provider_key"), "t.state = 3")
PARTS_OF = sql("select message_id, attempt, part, state from parts where message_id in each(:ids, bigint)")
SETTLE_PARTS = update_many(parts, ("message_id", "attempt", "part"), ("state", "error", "final_at"))
PARK = insert_many(parked_receipts)
PARKED = sql(
    """select id, connector_id, provider_key, received_at, reason, receipt, raw from parked_receipts
    where connector_id = :connector_id and provider_key in each(:keys, text)""",
    name="parked",
)
PARKED_SINCE = sql(
    """select id, connector_id, provider_key, received_at, reason, receipt, raw from parked_receipts
    where id > :after order by id limit :limit""",
    name="parked since",
)
UNPARK = delete_many(parked_receipts, ("id",))

# -- sweepers ------------------------------------------------------------------------------------------------------
OVERDUE = sql(
    f"""select q.message_id, {MESSAGE} from queue q join messages m on m.id = q.message_id
    where q.expires_at <= :now and q.state in ({Queued.WAITING:d}, {Queued.SCHEDULED:d})
    order by q.expires_at limit :limit""",
    name="overdue",
)
TAKE_WAITING = delete_many(queue, ("message_id",), f"t.state in ({Queued.WAITING:d}, {Queued.SCHEDULED:d})")
UNANSWERED = sql(
    f"""select p.attempt, p.part, p.state, {MESSAGE} from parts p join messages m on m.id = p.message_id
    where p.state in (0, 3) and p.deadline <= :now order by p.deadline limit :limit""",
    name="unanswered",
)
DUE_SCHEDULED = sql(
    f"""select {MESSAGE} from queue q join messages m on m.id = q.message_id
    where q.state = {Queued.SCHEDULED:d} and q.due_at <= :now order by q.due_at limit :limit""",
    name="due scheduled",
)
RELEASE = update_many(
    queue,
    ("message_id",),
    ("connector_id", "due_at", ("state", str(int(Queued.WAITING)))),
    f"t.state = {Queued.SCHEDULED:d}",
)
POSTPONE = update_many(queue, ("message_id",), ("due_at",), f"t.state = {Queued.SCHEDULED:d}")
MARK_QUEUED = update_many(
    messages,
    ("id",),
    (("state", str(int(State.QUEUED))), "connector_id", ("version", "t.version + 1")),
    f"t.state in ({State.ACCEPTED:d}, {State.SCHEDULED:d}) and {_SAME}",
)
STRANDED = sql(
    f"""select q.attempt, q.tried, {MESSAGE} from queue q join messages m on m.id = q.message_id
    where q.connector_id = :connector_id and q.state = {Queued.WAITING:d} and q.due_at <= :now
    order by q.lane, q.due_at limit :limit""",
    name="stranded",
)
QUEUED_FOR = sql(f"select distinct connector_id from queue where state = {Queued.WAITING:d}")
MOVE = update_many(
    queue,
    ("message_id",),
    ("connector_id", "attempt", "tried", ("tries", "0")),
    f"t.state = {Queued.WAITING:d}",
)

LAST_SENT = sql(
    """select account_id, max(id) from messages
    where account_id in each(:accounts, bigint) and recipient = :person and id > :after and sender in each(:names, text)
    group by account_id order by 2 desc limit 1""",
    name="last sent from there",
)

# -- inbound -------------------------------------------------------------------------------------------------------
ADD_INBOUND = insert_many(inbound)
ADD_INBOUND_PARTS = insert_many(inbound_parts, ignore=True)
INBOUND_PARTS = sql(
    """select sequence, received_at, text, payload, udh, data_coding, raw from inbound_parts
    where connector_id = :connector_id and source = :source and recipient = :recipient
    and reference = :reference and total = :total order by sequence""",
    name="inbound parts",
)
DROP_INBOUND_PARTS = delete_many(inbound_parts, ("connector_id", "source", "recipient", "reference", "total"))
COMPLETE_INBOUND = sql(
    """select connector_id, source, recipient, reference, total, min(received_at), count(*) from inbound_parts
    group by connector_id, source, recipient, reference, total
    having count(*) >= total or min(received_at) < :before limit :limit""",
    name="complete inbound",
)

# -- retention -----------------------------------------------------------------------------------------------------
MARKS = sql("select upto from retention_marks where name = :name")
MARK = sql(
    "insert into retention_marks (name, upto) values (:name, :upto) on conflict (name) do update "
    "set upto = excluded.upto where excluded.upto > retention_marks.upto"
)
LATE = insert_many(retention_late, ignore=True)
NO_LONGER_LATE = delete_many(retention_late, ("message_id",))
LATE_DONE = sql(
    "select message_id from retention_late l where not exists "
    "(select 1 from queue q where q.message_id = l.message_id) order by message_id limit :limit"
)
NEXT_ACCOUNT = sql("select min(account_id) from messages where account_id > :after")
NEXT_INBOUND_ACCOUNT = sql("select min(account_id) from inbound where account_id > :after")
# what still waits is kept, however old: it was accepted, and is forgotten when it is done
_CHARGED = f"(money & 3) = {CHARGED:d} and test = 0"
OLD_OF = sql(
    f"select id, case when {_CHARGED} then price else 0 end, case when {_CHARGED} then upstream end from messages m "
    "where account_id = :account_id and id > :after and id < :before "
    "and not exists (select 1 from queue q where q.message_id = m.id) order by id limit :limit"
)
CHARGED_IN = sql(  # what the messages of a month came to, before it goes
    f"select account_id, sum(price), sum(upstream) from messages where id >= :since and id < :until and {_CHARGED} "
    "group by account_id",
    name="charged in",
)
OLD_INBOUND_OF = sql(
    "select id from inbound where account_id = :account_id and id > :after and id < :before order by id limit :limit"
)
WAITING_IN = sql("select 1 from queue where message_id >= :since and message_id < :until limit 1")
DELETE_MESSAGES = delete_many(messages, ("id",))
DELETE_HISTORY = delete_many(history, ("message_id",))
DELETE_PARTS = delete_many(parts, ("message_id",))
DELETE_TAGS = delete_many(message_tags, ("message_id",))
DELETE_INBOUND = delete_many(inbound, ("id",))
BLANK_MESSAGES = update_many(messages, ("id",), (("text", "null"), ("options", "null")), "t.text is not null")
BLANK_INBOUND = update_many(inbound, ("id",), (("text", "null"), ("payload", "null")))
BLANK_FRAMES = update_many(
    history,
    ("message_id",),
    (("request", "null"), ("response", "null")),
    "t.request is not null or t.response is not null",
)


def _slice_of(table: sa.Table) -> Statement:
    """Deletes rows of messages made in [since, until), some at a time."""
    which = "message_id >= :since and message_id < :until order by message_id limit :limit"
    chosen = f"select distinct message_id from (select message_id from {table.name} where {which}) as found"
    return sql(f"delete from {table.name} where message_id in ({chosen})", name=f"slice of {table.name}")


OLDEST_PARTS = sql(
    """select message_id, attempt, part, deadline < :before and state not in (0, 3) from parts
    where message_id > :after order by message_id, attempt, part limit :limit""",
    name="oldest parts",
)
DROP_PARTS = delete_many(parts, ("message_id", "attempt", "part"))
SLICE_OF_KEYS = sql(
    "delete from idempotency where (account_id, key) in (select account_id, key from idempotency "
    "where created_at < :before order by created_at limit :limit)",
    name="slice of keys",
)
SLICE_OF_PARKED = sql(
    "delete from parked_receipts where id in "
    "(select id from parked_receipts where id < :before order by id limit :limit)",
    name="slice of parked",
)
SLICE_OF_TAGS = _slice_of(message_tags)
SLICE_OF_PARTS = _slice_of(parts)

# -- simulation ----------------------------------------------------------------------------------------------------
SAMPLE = sql(
    f"select {MESSAGE} from messages m where m.id >= :since and m.id < :until and m.test = 0 "
    "order by m.id limit :limit",
    name="sample",
)

# -- by hand -------------------------------------------------------------------------------------------------------
GET = sql(f"select {MESSAGE} from messages m where m.id = :id")
GET_MANY = sql(f"select {MESSAGE} from messages m where m.id in each(:ids, bigint)")
HISTORY = sql(
    """select id, at, kind, attempt, part, data, request, response from history
    where message_id = :message_id order by id"""
)
PARTS = sql(
    """select attempt, part, connector_id, provider_id, state, error, sent_at, final_at from parts
    where message_id = :message_id order by attempt, part"""
)
REWRITE = update_many(
    messages, ("id",), ("text", "encoding", "segments", "options", ("version", "t.version + 1")), _SAME
)
# touches the row that a dispatcher would claim, so that only one of the two gets it
HOLD_WAITING = update_many(
    queue, ("message_id",), (("claim", "0"),), f"t.state in ({Queued.WAITING:d}, {Queued.SCHEDULED:d})"
)
MARK_CANCELED = _closing(State.CANCELED)
DEPTH = sql("select count(*) from queue")
BACKLOG = sql("select connector_id, lane, state, count(*), min(due_at) from queue group by connector_id, lane, state")
