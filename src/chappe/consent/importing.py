"""Consents that were gathered elsewhere, from a table: read to its end first, then recorded slice by slice.

Each row says when its person said it, which makes an import repeatable: what the ledger has already (the same person,
channel, purpose, brand, event and time) is passed over. So an import that was cut short is simply run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from chappe.clock import parse_rfc3339
from chappe.consent import store
from chappe.consent.model import BASES, CHANNELS, Entry, Purpose
from chappe.consent.room import persons
from chappe.consent.statements import Claim, statement
from chappe.consent.storing import record_all
from chappe.errors import Refused
from chappe.tabular import Column, Faults, Source, Table, normalise

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE: Final = 500  # entries in one unit: an OTP's commit goes in between

COLUMNS: Final = (
    Column(
        "person",
        ("to", "phone", "phone number", "msisdn", "mobile", "number", "telephone", "recipient", "email", "e-mail"),
    ),
    Column("event", ("state", "status", "action"), required=False),
    Column("channel", required=False),
    Column("purpose", required=False),
    Column("brand", required=False),
    Column("basis", ("legal basis", "type of consent"), required=False),
    Column("wording", ("text", "consent text", "text shown", "statement"), required=False),
    Column("wording_version", ("version", "text version"), required=False),
    Column("at", ("consented at", "consent date", "opt-in date", "timestamp", "date", "time", "created at")),
    Column("ip", ("ip address",), required=False),
    Column("reference", ("source", "origin", "page", "url", "form"), required=False),
    Column("note", ("comment", "remark"), required=False),
    Column("expires_at", ("expires", "expiry", "valid until"), required=False),
)
NAMES: Final = tuple(column.name for column in COLUMNS)

_EVENTS: Final[Mapping[str, Literal["given", "withdrawn"]]] = {
    **dict.fromkeys(("", "given", "optin", "in", "yes", "true", "1", "granted", "subscribed"), "given"),
    **dict.fromkeys(("withdrawn", "optout", "out", "no", "false", "0", "revoked", "unsubscribed"), "withdrawn"),
}
_DAY: Final = len("2027-01-31")


class Imported(NamedTuple):
    """How many were recorded, and how many the ledger had already."""

    recorded: int = 0
    known: int = 0


class Reading:
    """The rows of a table as entries, once: `for line, cells, entry in reading`. What is wrong with the others is in
    `faults`, whole after the last; `rows` counts all. Memory is that of a row."""

    def __init__(
        self,
        source: Source,
        *,
        account_id: int,
        test: bool,
        actor: str,
        now: int,
        country: str | None = None,
        mapping: Mapping[str, str | int] | None = None,
    ) -> None:
        self._table = Table(source, COLUMNS, mapping=mapping)
        self._by: dict[str, Any] = {
            "account_id": account_id,
            "test": test,
            "source": "import",
            "actor": actor,
            "now": now,
            "country": country,
        }

    @property
    def faults(self) -> Faults:
        return self._table.faults

    @property
    def rows(self) -> int:
        return self._table.rows

    @property
    def octets(self) -> int:
        """Read so far."""
        return self._table.bytes_read

    def __iter__(self) -> Iterator[tuple[int, tuple[str, ...], Entry]]:
        for line, cells in self._table:
            try:
                yield line, cells, statement(_claim(dict(zip(NAMES, cells, strict=True))), **self._by)
            except Refused as error:
                self.faults.add(line, error.param or "", error.code, error.message)


def places(told: Sequence[str]) -> dict[str, str | int]:
    """`person=Phone`, `at=3`: where columns are, by header or place from 1. Raises Refused."""
    found: dict[str, str | int] = {}
    for one in told:
        name, _, place = one.partition("=")
        if name not in NAMES:
            words = f"There is no column {name[:40]!a}; the columns are: {', '.join(NAMES)}."
            raise Refused("invalid_value", words, param="column")
        found[name] = int(place) if place.isdecimal() and len(place) < 5 else place
    return found


def check(reading: Reading, tell: Callable[[int], None] | None = None) -> int:
    """Read a table to its end, for its faults; how many rows are good. For a thread: some 15 microseconds a row."""
    good = 0
    for good, _ in enumerate(reading, 1):
        if tell is not None and good % SLICE == 0:
            tell(reading.octets)
    return good


async def apply(rt: Runtime, reading: Reading, tell: Callable[[int], None] | None = None) -> Imported:
    """Record the good rows, in slices, each whole or not at all. `tell` hears how many are done. Raises Unavailable;
    what was recorded by then stays, and is passed over the next time."""
    done = Imported()
    entries = (entry for _line, _cells, entry in reading)
    while batch := await asyncio.to_thread(_slice, entries):
        new = await _unknown(rt, batch)
        if new:
            await record_all(rt, new)
        done = Imported(done.recorded + len(new), done.known + len(batch) - len(new))
        if tell is not None:
            tell(done.recorded + done.known)
    return done


def _slice(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, SLICE))


async def _unknown(rt: Runtime, batch: Sequence[Entry]) -> list[Entry]:
    """Those that the ledger does not have, each once."""
    people = persons(rt)
    keys = [people.key(one.account_id, one.test, one.proof.person) for one in batch]
    known = set(await rt.store.read(store.SAID({"keys": keys})))
    new = []
    for key, one in zip(keys, batch, strict=True):
        what = (key, one.event, one.channel, one.purpose, one.brand, one.at)
        if what not in known:
            known.add(what)
            new.append(one)
    return new


def _claim(cells: Mapping[str, str]) -> Claim:
    """Raises Refused with the column as `param`."""
    event = _EVENTS.get(normalise(cells["event"]))
    if event is None:
        raise Refused("invalid_value", f"{cells['event'][:40]!a} is neither given nor withdrawn.", param="event")
    at = _moment(cells["at"], "at")
    assert at is not None, "the column is required"
    return Claim(
        person=cells["person"],
        event=event,
        channel=_one_of(CHANNELS, cells, "channel", None),
        purpose=_one_of(get_args(Purpose), cells, "purpose", "marketing"),
        brand=cells["brand"],
        basis=_one_of(BASES, cells, "basis", "express"),
        wording=cells["wording"],
        wording_version=cells["wording_version"],
        at=at,
        ip=cells["ip"],
        reference=cells["reference"],
        note=cells["note"],
        expires_at=_moment(cells["expires_at"], "expires_at"),
    )


def _one_of(allowed: Sequence[str], cells: Mapping[str, str], name: str, default: str | None) -> Any:
    text = cells[name]
    if not text:
        return default
    word = text.lower().replace(" ", "_").replace("-", "_")
    if word not in allowed:
        raise Refused("invalid_value", f"{text[:40]!a} is none of {', '.join(allowed)}.", param=name)
    return word


def _moment(text: str, name: str) -> int | None:
    """A day (its beginning, UTC), or a date and time with an offset."""
    if not text:
        return None
    try:
        if len(text) == _DAY:
            return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
        return parse_rfc3339(text)
    except (ValueError, OverflowError):
        words = f"{text[:40]!a} is no time: write 2027-01-31 or 2027-01-31T09:00:00Z, with the offset."
        raise Refused("invalid_value", words, param=name) from None
