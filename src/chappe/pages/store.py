"""The codes that show that somebody has the phone in hand: one a person, hashed, counted by day."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import sql
from chappe.storage.schema import Bytes, Id, Millis, Small, key, metadata, required

codes = sa.Table(
    "page_codes",
    metadata,
    key("person_key"),
    required("digest", Bytes),
    required("expires_at", Millis),
    required("tries", Small),
    required("day", Id),  # since the epoch
    required("sent", Small),  # on that day
    sa.Index("page_codes_expiry", "expires_at"),
)

ISSUE = sql(
    """insert into page_codes (person_key, digest, expires_at, tries, day, sent)
    values (:key, :digest, :expires_at, 0, :day, 1)
    on conflict (person_key) do update set digest = excluded.digest, expires_at = excluded.expires_at, tries = 0,
    day = excluded.day, sent = case when page_codes.day = excluded.day then page_codes.sent + 1 else 1 end
    where page_codes.day <> excluded.day or page_codes.sent < :most""",
    name="issue code",
)
# counted in the unit that looks, and before it: two that guess at once are two guesses
TRY = sql(
    "update page_codes set tries = tries + 1 where person_key = :key and expires_at > :now and tries < 100",
    name="try code",
)
USE = sql(
    """update page_codes set expires_at = 0 where person_key = :key and digest = :digest and expires_at > :now
    and tries <= :most""",
    name="use code",
)
FORGET = sql(
    """delete from page_codes where person_key in
    (select person_key from page_codes where expires_at < :before and day < :day order by expires_at limit :limit)""",
    name="forget codes",
)
