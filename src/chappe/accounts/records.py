"""How a configuration value lies in its table: every field of a Struct is the column of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import sqlalchemy as sa

from chappe import ids
from chappe.storage import Op, Store, delete_many, insert_many, sql, update_many


class Record(Protocol):
    """A frozen Struct with an id."""

    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=Record)

_encode = msgspec.json.Encoder(order="sorted").encode


def _to_json(value: Any) -> str:
    return _encode(value).decode()


class Records(Generic[R]):
    """The statements of one table of configuration.

    `room` names the snapshot that the table feeds, `kind` the object in audit entries, `prefix` its public ids.
    `json` names the columns that hold JSON, `secret` those that audit entries and lists must not show.
    """

    def __init__(
        self,
        room: str,
        kind: str,
        prefix: str,
        table: sa.Table,
        struct: type[R],
        *,
        json: Sequence[str] = (),
        secret: Sequence[str] = (),
    ) -> None:
        fields = {field.name: field.type for field in msgspec.structs.fields(struct)}  # type: ignore[arg-type]
        assert list(fields) == [column.name for column in table.columns], f"{table.name} and {struct.__name__} differ"
        self.room, self.kind, self.prefix, self.secret = room, kind, prefix, frozenset(secret)
        self._struct = struct
        self._names = list(fields)
        self._write: dict[str, Callable[[Any], Any]] = {name: _to_json for name in json}
        self._read: dict[int, Callable[[Any], Any]] = {}
        for index, (name, kind_) in enumerate(fields.items()):
            if name in json:
                self._read[index] = msgspec.json.Decoder(kind_).decode
            elif kind_ is bool:
                self._write[name], self._read[index] = int, bool
        others = [name for name in fields if name != "id"]
        self._insert = insert_many(table)
        self._update = update_many(table, ("id",), others)
        self._delete = delete_many(table, ("id",))
        self._all = sql(f"select {', '.join(fields)} from {table.name} order by id")

    def insert(self, values: Sequence[R]) -> Op:
        return self._insert([self._row(value) for value in values], expect=len(values))

    def update(self, values: Sequence[R]) -> Op:
        """Conflict when one of them is no longer there."""
        return self._update([self._row(value) for value in values], expect=len(values))

    def delete(self, values: Sequence[R]) -> Op:
        return self._delete([(value.id,) for value in values], expect=len(values))

    async def load(self, store: Store) -> list[R]:
        """All rows, oldest first."""
        return [self._value(row) for row in await store.scan(self._all())]

    def public(self, number: int) -> str:
        return ids.public(self.prefix, number)

    def _row(self, value: R) -> tuple[Any, ...]:
        write = self._write
        plain = ((name, getattr(value, name)) for name in self._names)
        return tuple(write[name](item) if name in write else item for name, item in plain)

    def _value(self, row: Iterable[Any]) -> R:
        values = list(row)
        for index, read in self._read.items():
            values[index] = read(values[index])
        return self._struct(*values)
