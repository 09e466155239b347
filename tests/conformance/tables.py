"""Tables of the conformance suite's own, with every kind of column."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import Store, delete_many, insert_many, sql, update_many
from chappe.storage.schema import Bytes, Id, Int, Json, Small, Text, key, optional, required

metadata = sa.MetaData()

things = sa.Table(
    "things",
    metadata,
    key("id"),
    required("number", Id, 0),
    optional("small", Small),
    optional("medium", Int),
    optional("text", Text),
    optional("json", Json),
    optional("bytes", Bytes),
)
effects = sa.Table("effects", metadata, key("id"), required("note", Text), sa.Index("effects_note", "note"))

ADD = insert_many(things)
ADD_NUMBERS = insert_many(things, ("id", "number"))
ADD_IF_NEW = insert_many(things, ("id", "number"), ignore=True)
SET_NUMBER = update_many(things, ("id",), ("number",))
RAISE = update_many(things, ("id",), (("number", "t.number + u.number"),), guard="t.number < u.medium")
DELETE = delete_many(things, ("id",))
DELETE_LOW = delete_many(things, ("id",), guard="t.number < u.number")
ALL = sql("select id, number, small, medium, text, json, bytes from things order by id")
NUMBERS = sql("select id, number from things order by id")
COUNT = sql("select count(*) from things")

NOTE = insert_many(effects)
NOTES = sql("select note from effects order by id")


async def numbers(store: Store) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in await store.read(NUMBERS())]


async def notes(store: Store) -> list[str]:
    return [row[0] for row in await store.read(NOTES())]
