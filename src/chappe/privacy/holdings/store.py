"""The statements that find and take away what is kept of a person, in the tables of all rooms.

`:person` is the address as it is stored, `:quoted` the same as a value in JSON. A window is (after, last].
"""

from __future__ import annotations

from chappe.consent.replies.store import DROPPED, replies
from chappe.consent.store import consents, entries, suppressions
from chappe.messages.model import FINAL
from chappe.messages.store import MESSAGE, inbound, messages
from chappe.storage import sql, update_many

_FINAL = ", ".join(str(int(state)) for state in FINAL)
_MINE = "account_id = :account_id and test in each(:tests, bigint)"

# -- messages --------------------------------------------------------------------------------------------------------
_TO = "m.account_id = :account_id and m.recipient = :person and m.test in each(:tests, bigint)"
MESSAGES = sql(
    f"select {MESSAGE} from messages m where {_TO} and m.id > :after and m.id <= :upto order by m.id limit :limit",
    name="messages of a person",
)
STEPS = sql(
    "select message_id, at, kind from history where message_id in each(:ids, bigint) order by message_id, id",
    name="steps of a person",
)
FINISHED = sql(
    f"select m.id, m.test from messages m where {_TO} and m.id <= :upto and (m.state in ({_FINAL}) "
    "or :under_way::bigint = 1) order by m.id limit :limit",
    name="finished messages of a person",
)
UNDER_WAY = sql(
    f"select count(*) from messages m where {_TO} and m.id <= :upto and m.state not in ({_FINAL})",
    name="messages of a person under way",
)
CANCELABLE = sql(
    f"select m.id from messages m join queue q on q.message_id = m.id where {_TO} and m.id <= :upto "
    "and q.state in (0, 1) and m.id > :after order by m.id limit :limit",
    name="cancelable messages of a person",
)
_GONE = (("text", "null"), ("options", "null"), ("metadata", "null"), ("correlation_id", "null"))
# of those that a reviewer was to look at: the beginning of a text
ERASE_SAMPLES = sql(
    """update content_reviews set sample = '' where account_id = :account_id and sample <> '' and (digest, sender) in (
        select h.digest, h.sender from content_held h join messages m on m.id = h.message_id
        where h.message_id in each(:ids, bigint)
        and substr(m.text, 1, length(content_reviews.sample)) = content_reviews.sample
    )""",
    name="erase samples",
)
ERASE_MESSAGES = update_many(messages, ("id",), ("recipient", *_GONE, ("callback_url", "null")))

# -- what phones sent ------------------------------------------------------------------------------------------------
INBOUND_WINDOW = sql(
    "select max(id) from (select id from inbound where account_id = :account_id and id > :after and id <= :upto "
    "order by id limit :limit) as w",
    name="window of inbound",
)
_INBOUND = ", ".join(inbound.columns.keys())
INBOUND = sql(
    f"select {_INBOUND} from inbound where {_MINE} and id > :after and id <= :last and source = :person order by id",
    name="inbound of a person",
)
ERASE_INBOUND = update_many(inbound, ("id",), ("source", ("text", "null"), ("payload", "null")))
INBOUND_PARTS = sql(
    "select distinct connector_id, source, recipient, reference, total from inbound_parts", name="parts from phones"
)

# -- receipts that nobody knows --------------------------------------------------------------------------------------
PARKED_WINDOW = sql(
    "select max(id) from (select id from parked_receipts where id > :after order by id limit :limit) as w",
    name="window of parked receipts",
)
PARKED = sql(
    "select id, received_at, receipt from parked_receipts where id > :after and id <= :last "
    "and replace(receipt, :tail, '') <> receipt order by id",
    name="parked receipts of a person",
)

# -- consents and refusals -------------------------------------------------------------------------------------------
_ENTRY = "id, event, channel, purpose, brand, basis, source, at, expires_at, proof, salt, commitment, sequence, hash"
ENTRIES = sql(
    f"select {_ENTRY}, test from consent_entries where person_key in each(:keys, bigint) and id > :after "
    "and id <= :upto order by id limit :limit",
    name="entries of a person",
)
PROOFS = sql(
    "select id from consent_entries where person_key in each(:keys, bigint) and id <= :upto "
    "and (proof is not null or salt is not null) order by id limit :limit",
    name="proofs of a person",
)
ERASE_PROOFS = update_many(entries, ("id",), (("proof", "null"), ("salt", "null")))
_CONSENT = "channel, purpose, brand, state, basis, source, at, expires_at, entry_id, test"
CONSENTS = sql(
    f"select person_key, {_CONSENT} from consents where person_key in each(:keys, bigint) and entry_id <= :upto "
    "and person is not null order by entry_id limit :limit",
    name="consents of a person",
)
# without its proof it is none
DROP_CONSENTS = sql(
    "delete from consents where person_key in each(:keys, bigint) and entry_id <= :upto and state = 'given'",
    name="drop consents",
)
ERASE_CONSENTS = update_many(consents, ("person_key",), (("person", "null"),), "t.entry_id <= u.entry_id")
_REFUSAL = "id, channel, scope, value, covers, reason, source, list_name, note, created_at, expires_at, test"
REFUSALS = sql(
    f"select {_REFUSAL} from suppressions where person_key in each(:keys, bigint) and id > :after and id <= :upto "
    "order by id limit :limit",
    name="refusals of a person",
)
NAMED_REFUSALS = sql(
    "select id from suppressions where person_key in each(:keys, bigint) and id <= :upto "
    "and (person is not null or note <> '') order by id limit :limit",
    name="named refusals of a person",
)
ERASE_REFUSALS = update_many(suppressions, ("id",), (("person", "null"), ("note", "''")))
REPLIES = sql(
    "select person_key, sender, kind, language, asked_at, test from consent_replies "
    "where person_key in each(:keys, bigint) and person is not null and inbound_id <= :upto "
    "order by person_key, sender, kind limit :limit",
    name="replies to a person",
)
ERASE_REPLIES = update_many(
    replies, ("person_key", "sender", "kind"), (("person", "null"), ("state", str(DROPPED))), "t.person is not null"
)

# -- what is told to customers ---------------------------------------------------------------------------------------
HOOKS_WINDOW = sql(
    "select max(id) from (select id from webhook_deliveries where account_id = :account_id and id > :after "
    "order by id limit :limit) as w",
    name="window of deliveries",
)
HOOKS = sql(
    "select id, type, state, body, created_at, finished_at from webhook_deliveries where account_id = :account_id "
    "and id > :after and id <= :last and replace(body, :quoted, '') <> body order by id",
    name="deliveries about a person",
)
# what still waits is not posted any more: 3 is `dropped`
ERASE_HOOK = sql(
    "update webhook_deliveries set body = :body, state = case when state = 0 then 3 else state end, "
    "finished_at = coalesce(finished_at, :now::bigint) where id = :id",
    name="erase delivery",
)
ERASE_ANSWERS = sql(
    "update webhook_attempts set response = null where delivery_id in each(:ids, bigint) and response is not null",
    name="erase answers",
)
SESSIONS_WINDOW = sql(
    "select max(id) from (select id from smsc_deliveries where id > :after order by id limit :limit) as w",
    name="window of smsc deliveries",
)
SESSIONS = sql(
    "select id, kind, data, created_at from smsc_deliveries where account_id = :account_id and id > :after "
    "and id <= :last and replace(data, :quoted, '') <> data order by id",
    name="smsc deliveries about a person",
)
ERASE_SESSIONS = sql("delete from smsc_deliveries where id in each(:ids, bigint)", name="erase smsc deliveries")
EVENTS_WINDOW = sql(
    "select max(position) from (select position from events where position > :after order by position limit :limit) "
    "as w",
    name="window of events",
)
EVENTS = sql(
    "select position, payload from events where position > :after and position <= :last "
    "and account_id = :account_id and replace(payload, :quoted, '') <> payload order by position",
    name="events about a person",
)
ERASE_EVENT = sql("update events set payload = :payload where position = :position", name="erase event")
ASIDE = sql(
    "select reaction, position, payload from events_aside where account_id = :account_id "
    "and (reaction, position) > (:reaction, :position) and replace(payload, :quoted, '') <> payload "
    "order by reaction, position limit :limit",
    name="events aside about a person",
)
ERASE_ASIDE = sql(
    "update events_aside set payload = :payload where reaction = :reaction and position = :position",
    name="erase event aside",
)

# -- look-ups --------------------------------------------------------------------------------------------------------
CACHED = sql(
    "select source_id, learned_at, findings from lookup_cache where digits = :digits order by source_id",
    name="cached of a person",
)
ERASE_CACHED = sql("delete from lookup_cache where digits = :digits", name="erase cached")
JOBS = sql(
    f"select id, country, chunks, test from lookup_jobs where {_MINE} and id > :after and id <= :upto "
    "order by id limit :limit",
    name="jobs of an account",
)
CHUNKS = sql(
    "select chunk, numbers, results from lookup_chunks where job_id = :job and chunk > :after and chunk <= :last "
    "and (results is null or replace(results, :quoted, '') <> results) order by chunk",
    name="chunks of a person",
)
ERASE_CHUNK = sql(
    "update lookup_chunks set numbers = :numbers, results = :results where job_id = :job and chunk = :chunk",
    name="erase in chunk",
)
