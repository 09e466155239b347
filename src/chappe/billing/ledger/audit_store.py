"""The statements of the audit. Each reads one moment: what one of them compares cannot move in between."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from chappe import ids
from chappe.billing.ledger.model import CHARGED, HELD
from chappe.billing.ledger.store import BOOKS
from chappe.billing.ledger.store import HELD as HELD_NOW
from chappe.storage import Statement, sql

END = (1 << 63) - 1
_DAY = f"(((id >> 21) + {ids.EPOCH}) / 86400000)"  # ids hold milliseconds above 21 bits
_BOOKS = ", ".join(BOOKS)
_SUMS = ", ".join(f"cast(sum({book}) as bigint)" for book in BOOKS)

NEXT_ACCOUNT = {
    table: sql(f"select min(account_id) from {table} where account_id > :after", name=f"next account of {table}")
    for table in ("messages", "ledger_entries", "balances")
}
FIRST_DAY = sql("select min(day) from usage", name="first day of usage")
FIRST_ENTRY = sql("select min(id) from ledger_entries where account_id = :account_id", name="first entry")
BALANCE = sql("select currency from balances where account_id = :account_id", name="currency of balance")


def _sum(condition: str, amount: str) -> str:
    return f"cast(coalesce(sum(case when {condition} then {amount} else 0 end), 0) as bigint)"


def slices(final: Collection[int]) -> Statement:
    """Up to `limit` messages of an account, after :after and up to :upto: how many, the last id, what is held and
    charged for them by their account and by its reseller, how many hold money; final ones that do, unfinished ones with
    a price that neither hold nor were charged; the last unfinished one without a price."""
    ended = f"state in ({', '.join(map(str, sorted(final)))})"
    held, charged = f"(money & 3) = {HELD}", f"(money & 3) = {CHARGED}"
    return sql(
        f"""select count(*), max(id), {_sum(held, "price")}, {_sum(charged, "price")},
        {_sum(f"{held} and upstream is not null", "upstream")},
        {_sum(f"{charged} and upstream is not null", "upstream")}, {_sum(held, "1")},
        {_sum(f"{held} and {ended}", "1")},
        {_sum(f"price is not null and not {held} and not {charged} and not {ended}", "1")},
        max(case when price is null and not {ended} then id end)
        from (
            select id, state, price, upstream, money from messages
            where account_id = :account_id and test = 0 and id > :after and id <= :upto order by id limit :limit
        ) as slice""",
        name="slice of messages",
    )


def wrong(final: Collection[int]) -> Statement:
    """The first messages of an account, after :after and up to :upto, whose money does not fit their state."""
    ended = f"state in ({', '.join(map(str, sorted(final)))})"
    return sql(
        f"""select id, state, money from messages where account_id = :account_id and test = 0
        and id > :after and id <= :upto and ((money & 3) = {HELD} and {ended}
        or price is not null and (money & 3) not in ({HELD}, {CHARGED}) and not {ended}) order by id limit :limit""",
        name="wrong messages",
    )


# entries by day, kind and currency: how many, how many messages, the last id, how many do not balance, the books
ENTRIES = sql(
    f"""select {_DAY}, kind, currency, count(*), max(id), {_sum(f"{' + '.join(BOOKS)} <> 0", "1")}, {_SUMS}
    from (
        select id, kind, currency, {_BOOKS} from ledger_entries
        where account_id = :account_id and id > :after and id <= :upto order by id limit :limit
    ) as slice group by {_DAY}, kind, currency""",
    name="slice of entries",
)


def at_once(spans: Iterable[tuple[int, int, int, bool]]) -> Statement:
    """What may move, at one moment: the balance (wallet, held), what was forgotten, the entries after :after (wallet,
    held, settled revenue), and what the messages in `spans` hold and were charged.

    A span is (account, after, up to, whether its reseller's part). Rows are (what, a, b, c).
    """
    values = ", ".join(f"({account}, {after}, {upto}, {int(upstream)})" for account, after, upto, upstream in spans)
    amount = "(case when r.column4 = 1 then m.upstream else m.price end)"
    return sql(
        f"""select 'balance', b.wallet, cast({HELD_NOW} as bigint), 0 from balances b where b.account_id = :account_id
        union all select 'forgotten', charged, 0, 0 from ledger_forgotten where account_id = :account_id
        union all select 'entries', cast(coalesce(sum(wallet), 0) as bigint), cast(coalesce(sum(held), 0) as bigint),
            {_sum("kind = 'settle'", "revenue")}
            from ledger_entries where account_id = :account_id and id > :after
        union all select 'messages', {_sum(f"(m.money & 3) = {HELD} and {amount} is not null", amount)},
            {_sum(f"(m.money & 3) = {CHARGED} and {amount} is not null", amount)}, 0
            from (values {values}) as r cross join messages m
            where m.account_id = r.column1 and m.id > r.column2 and m.id <= r.column3 and m.test = 0""",
        name="books at once",
    )


# usage with its news, and the entries after :after, by day: charged and cost by their currencies
USAGE = sql(
    f"""select 'used', day, currency, cost_currency, cast(sum(charged) as bigint), cast(sum(cost) as bigint) from (
        select day, currency, cost_currency, charged, cost from usage
        where day in each(:days, int) and account_id = :account_id and tag = ''
        union all select day, currency, cost_currency, charged, cost from usage_news
        where account_id = :account_id and tag = ''
    ) as used group by day, currency, cost_currency
    union all
    select kind, {_DAY}, currency, currency, cast(sum(revenue) as bigint), cast(sum(payable) as bigint)
    from ledger_entries where account_id = :account_id and id > :after and kind in ('settle', 'cost')
    group by kind, {_DAY}, currency""",
    name="usage at once",
)


# each series of invoices and credit notes: its last number, and how many papers bear one of its numbers
SERIES = sql(
    """select seller_id, series, last,
    (select count(*) from invoices i where i.seller_id = s.seller_id and i.number like s.series || '-%')
    + (select count(*) from credit_notes c where c.seller_id = s.seller_id and c.number like s.series || '-%')
    from invoice_series s order by seller_id, series""",
    name="series of invoices",
)


def merged(spans: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Spans that touch become one, and at most `most` remain: the narrowest gaps are filled."""
    found: list[tuple[int, int]] = []
    for after, upto in sorted(spans):
        if found and after <= found[-1][1]:
            found[-1] = (found[-1][0], max(upto, found[-1][1]))
        else:
            found.append((after, upto))
    while len(found) > most:
        place = min(range(len(found) - 1), key=lambda n: found[n + 1][0] - found[n][1])
        found[place : place + 2] = [(found[place][0], found[place + 1][1])]
    return found
