"""One change of configuration: the rows, who changed what, and the word to every node, all in one unit."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts.current import snapshot
from chappe.accounts.records import Record, Records
from chappe.accounts.store import AUDIT
from chappe.errors import Refused
from chappe.secrets import HIDDEN, redact
from chappe.snapshots import TOPIC, bump
from chappe.storage import Conflict, Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_encode = msgspec.json.Encoder(order="sorted").encode
_Rows = defaultdict[Records[Any], list[Any]]


class Change:
    """Collects creations, updates and deletions; `commit` writes them all or none.

    Every row leaves an audit entry by `actor` ("key_..." or "cli:root"), secrets hidden. After the commit this process
    sees the new configuration at once, the others within half a second.
    """

    def __init__(self, rt: Runtime, actor: str) -> None:
        self._rt = rt
        self._actor = actor
        self._deleted: _Rows = defaultdict(list)
        self._updated: _Rows = defaultdict(list)
        self._created: _Rows = defaultdict(list)
        self._audit: list[tuple[Any, ...]] = []
        self._also: list[Op] = []

    def __len__(self) -> int:
        return len(self._audit)

    def create(self, records: Records[Any], value: Record) -> None:
        self._created[records].append(value)
        self._note(records, "create", value, None, _plain(records, value))

    def update(self, records: Records[Any], before: Record, after: Record, action: str = "update") -> None:
        """Nothing happens if they are equal."""
        if before == after:
            return
        self._updated[records].append(after)
        old, new = _differences(_fields(before), _fields(after))
        self._note(records, action, after, _hide(records, old), _hide(records, new))

    def delete(self, records: Records[Any], value: Record) -> None:
        self._deleted[records].append(value)
        self._note(records, "delete", value, _plain(records, value), None)

    def also(self, *ops: Op) -> None:
        """What else belongs to the change, at the end of its unit. It is written only beside what is audited."""
        self._also += ops

    async def commit(self) -> None:
        """Raises Refused `conflict` when somebody else was faster, Unavailable when nothing can be written."""
        if not self._audit:
            return
        rooms = {r.room: None for rows in (self._deleted, self._updated, self._created) for r in rows}
        ops: list[Op] = [bump(room) for room in rooms]  # first: changes of one room wait for each other here
        ops += [records.delete(rows) for records, rows in self._deleted.items()]
        ops += [records.update(rows) for records, rows in self._updated.items()]
        ops += [records.insert(rows) for records, rows in self._created.items()]
        ops.append(AUDIT(self._audit, expect=len(self._audit)))
        ops += self._also
        try:
            await self._rt.store.write(*ops, wake=(TOPIC,))
        except Conflict:
            raise Refused("conflict") from None
        for room in rooms:
            await snapshot(self._rt, room).refresh(self._rt.store)

    def _note(self, records: Records[Any], action: str, value: Record, before: Any, after: Any) -> None:
        rt = self._rt
        account_id = value.id if records.kind == "account" else getattr(value, "account_id", None)
        name = records.public(value.id)
        row = (rt.ids.next(), account_id, rt.clock.now(), self._actor, action, records.kind, name)
        self._audit.append((*row, _json(before), _json(after)))


def _fields(value: Record) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain


def _differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only the fields that differ."""
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return {n: before[n] for n in changed if n in before}, {n: after[n] for n in changed if n in after}


def _hide(records: Records[Any], plain: dict[str, Any]) -> dict[str, Any]:
    hidden: dict[str, Any] = redact({name: HIDDEN if name in records.secret else v for name, v in plain.items()})
    return hidden


def _plain(records: Records[Any], value: Record) -> dict[str, Any]:
    return _hide(records, _fields(value))


def _json(value: Any) -> str | None:
    return None if value is None else _encode(value).decode()
