"""Tables of prices, terms and rates of exchange.

The rows of a price list are not a table: each version of a list is one value, written once, so that a list changes as a
whole, every price that ever counted can be read again, and undoing is putting an older version in force.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.billing.rating.fx import FxRate
from chappe.billing.rating.model import ConnectorCard, FxImport, PriceList, Terms
from chappe.storage import Op, insert_many, sql, update_many
from chappe.storage.schema import Bytes, Id, Int, Json, Millis, Small, Text, key, metadata, optional, required

ROOM = "rating"

price_lists = sa.Table(
    "price_lists",
    metadata,
    key("id"),
    required("name", Text),
    required("kind", Text),
    required("currency", Text),
    optional("account_id", Id),  # None: the operator's; else the reseller's who sells by it
    required("charge_on", Text),
    required("description", Text),
    required("conditions", Json),
    required("version", Int),
    required("created_at", Millis),
    sa.Index("price_lists_name", "name", unique=True),
)

versions = sa.Table(
    "price_list_versions",
    metadata,
    key("list_id"),
    key("version", Int),
    required("created_at", Millis),
    required("actor", Text),
    required("note", Text),
    required("row_count", Int),
    required("content", Bytes),  # `contents.packed`
)

previews = sa.Table(  # what an import would make of a list; applied as it is, or forgotten after a day
    "price_list_previews",
    metadata,
    key("id"),
    required("list_id", Id),
    required("digest", Text),
    required("base_version", Int),
    required("created_at", Millis),
    required("row_count", Int),
    required("content", Bytes),
    sa.Index("price_list_previews_digest", "list_id", "digest"),
)

connector_cards = sa.Table(
    "connector_cards",
    metadata,
    key("id"),
    required("connector_id", Id),
    required("price_list_id", Id),
    required("created_at", Millis),
    sa.Index("connector_cards_connector", "connector_id", unique=True),
)

account_terms = sa.Table(
    "account_terms",
    metadata,
    key("id"),
    required("account_id", Id),
    required("currency", Text),
    required("price_list_id", Id),
    optional("reseller_id", Id),
    optional("credit_limit", Id),
    optional("low_balance", Id),
    required("allow_loss", Small),
    required("caps", Json),
    required("conditions", Json),
    required("particulars", Json),
    required("created_at", Millis),
    sa.Index("account_terms_account", "account_id", unique=True),
)

fx_rates = sa.Table(
    "fx_rates",
    metadata,
    key("base", Text),
    key("quote", Text),
    key("day", Int),  # since 1970-01-01, UTC
    required("rate_ppb", Id),
    required("source", Text),
)

fx_imports = sa.Table(
    "fx_imports",
    metadata,
    key("id"),
    required("source", Text),
    required("rates", Int),
    required("first_day", Text),
    required("last_day", Text),
    required("created_at", Millis),
)


class _Lists(Records[PriceList]):
    """Whoever changes a list that has a newer version of its rows gets a conflict, and does not bring the old back."""

    def __init__(self) -> None:
        super().__init__(ROOM, "price_list", "prl", price_lists, PriceList, json=("conditions",))
        others = [column.name for column in price_lists.columns if column.name != "id"]
        self._update = update_many(
            price_lists, ("id",), others, guard="t.version = u.version or t.version = u.version - 1"
        )


LISTS = _Lists()
CARDS = Records(ROOM, "connector_card", "ccd", connector_cards, ConnectorCard)
TERMS = Records(ROOM, "account_terms", "trm", account_terms, Terms, json=("caps", "conditions", "particulars"))
FX_IMPORTS = Records(ROOM, "fx_import", "fxi", fx_imports, FxImport)

ADD_VERSION = insert_many(versions)
VERSIONS = sql(
    "select version, created_at, actor, note, row_count from price_list_versions where list_id = :list_id "
    "order by version desc"
)
CONTENT = sql("select content from price_list_versions where list_id = :list_id and version = :version")
DROP_VERSIONS = sql("delete from price_list_versions where list_id = :list_id")

ADD_PREVIEW = insert_many(previews)
PREVIEW = sql(
    "select base_version, row_count, content from price_list_previews where list_id = :list_id and digest = :digest "
    "order by id desc limit 1"
)
DROP_PREVIEWS = sql("delete from price_list_previews where list_id = :list_id")
DROP_OLD_PREVIEWS = sql("delete from price_list_previews where created_at < :before")

_ADD_FX = insert_many(fx_rates, ignore=True)
_SET_FX = update_many(fx_rates, ("base", "quote", "day"), ("rate_ppb", "source"))
# those since a day, and of each pair the last before where there is none since
FX = sql(
    "select f.base, f.quote, f.day, f.rate_ppb, f.source from fx_rates f join "
    "(select base, quote, max(day) as latest from fx_rates group by base, quote) l "
    "on l.base = f.base and l.quote = f.quote where f.day >= :since or f.day = l.latest"
)
SLICE = 5_000


def put_fx(rates: Sequence[FxRate]) -> list[Op]:
    """Add rates; one of the same pair and day is replaced."""
    ops: list[Op] = []
    for start in range(0, len(rates), SLICE):
        rows = [tuple(rate) for rate in rates[start : start + SLICE]]
        ops += [_SET_FX(rows), _ADD_FX(rows)]
    return ops
