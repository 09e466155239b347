"""Tables of templates and their versions."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.storage import Op, Statement, Store, sql, update_many
from chappe.storage.schema import Id, Int, Json, Millis, Text, key, metadata, optional, required
from chappe.templates.model import Template, Version

ROOM = "templates"

templates = sa.Table(
    "templates",
    metadata,
    key("id"),
    required("account_id", Id),
    required("name", Text),
    required("latest", Int),
    optional("live", Int),
    required("created_at", Millis),
    required("revision", Int),
    sa.Index("templates_name", "account_id", "name", unique=True),
)

versions = sa.Table(
    "template_versions",
    metadata,
    key("id"),
    required("account_id", Id),
    required("template_id", Id),
    required("number", Int),
    required("status", Text),
    required("content", Json),
    optional("reason", Text),
    optional("decided_by", Text),
    required("created_at", Millis),
    required("changed_at", Millis),
    required("revision", Int),
    sa.Index("template_versions_number", "template_id", "number", unique=True),
)

_COLUMNS = ", ".join(f"v.{column.name}" for column in versions.columns)
_CURRENT = sql(
    f"select {_COLUMNS} from template_versions v join templates t on t.id = v.template_id "
    "where v.number = t.latest or v.number = t.live order by v.id"
)
_HISTORY = sql(
    f"select {_COLUMNS} from template_versions v "
    "where v.account_id = :account_id and v.template_id = :template_id order by v.number desc limit :limit"
)
_FORGET = sql("delete from template_versions where account_id = :account_id and template_id = :template_id")
MOST_SHOWN = 500


def _guarded(table: sa.Table) -> Statement:
    """Of two who change a row at the same time the second gets a conflict, not the last word."""
    others = [column.name for column in table.columns if column.name != "id"]
    return update_many(table, ("id",), others, guard="t.revision = u.revision - 1")


class _Templates(Records[Template]):
    def __init__(self) -> None:
        super().__init__(ROOM, "template", "tpl", templates, Template)
        self._update = _guarded(templates)


class _Versions(Records[Version]):
    """In memory are the latest and the live version of each template; the others stay in the store."""

    def __init__(self) -> None:
        super().__init__(ROOM, "template_version", "tpv", versions, Version, json=("content",))
        self._update = _guarded(versions)

    async def load(self, store: Store) -> list[Version]:
        return [self._value(row) for row in await store.scan(_CURRENT())]

    async def history(self, store: Store, template: Template) -> list[Version]:
        """All versions of a template, newest first."""
        bind = {"account_id": template.account_id, "template_id": template.id, "limit": MOST_SHOWN}
        return [self._value(row) for row in await store.scan(_HISTORY(bind))]


TEMPLATES = _Templates()
VERSIONS = _Versions()


def forget(template: Template) -> Op:
    """Goes into the unit that deletes a template: all its versions."""
    return _FORGET({"account_id": template.account_id, "template_id": template.id})
