"""The statements with which accounts forget earlier than others."""

from __future__ import annotations

from chappe.storage import sql

# the second column: it still waits
OLD_OF = sql(
    "select id, (select 1 from queue q where q.message_id = m.id) from messages m "
    "where account_id = :account_id and id > :after and id < :before order by id limit :limit",
    name="old messages of an account",
)
OLD_INBOUND_OF = sql(
    "select id, null from inbound where account_id = :account_id and id > :after and id < :before "
    "order by id limit :limit",
    name="old inbound of an account",
)
# what an opt-out link needs when its message is gone
LINKED = sql(
    "select id, account_id, test, recipient, sender, sent_at from messages where id in each(:ids, bigint) "
    "and sent_at > :since",
    name="links of messages",
)
LINKED_IN = sql(
    "select id, account_id, test, recipient, sender, sent_at from messages where id > :after and id < :until "
    "and sent_at > :since order by id limit :limit",
    name="links of a month",
)
