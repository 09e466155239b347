"""Does the ledger still say what was written into it? Asked of the database, or of an export alone.

A chain proves that nothing in it was changed, left out, moved or put in between. That its end was not cut off, or all
of it written anew, is proved by a hash that somebody else has kept (`head`): every later export contains it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chappe import ids
from chappe.consent import store
from chappe.consent.chain import GENESIS, Fault, FaultCode, Head, Walk, canonical, public_of
from chappe.consent.exporting import FORMAT, Header, Line
from chappe.consent.model import Proof
from chappe.consent.persons import Persons
from chappe.consent.room import persons
from chappe.storage import Row

if TYPE_CHECKING:
    from chappe.runtime import Runtime

PAGE: Final = 1_000
MOST_LINE: Final = 256 << 10  # octets of a line of an export
_END: Final = (1 << 63) - 1

Tell = Callable[[int, int], None]
"""How many entries are done, and of how many (0: not known)."""


class Verdict(NamedTuple):
    """Of one chain: how many entries hold, how many of them have their proof, how many were erased, the end that was
    reached, and the first fault, if any."""

    account: str
    test: bool
    entries: int
    proofs: int
    erased: int
    head: Head
    fault: Fault | None


# -- the database --------------------------------------------------------------------------------------------------


async def verify(
    rt: Runtime, account_ids: Collection[int] | None = None, *, unsealed_s: float = 60.0, tell: Tell | None = None
) -> list[Verdict]:
    """All chains, or those of these accounts. An entry that is not sealed after `unsealed_s` seconds is a fault, too.
    Memory is bounded by a page. Raises Unavailable."""
    heads = await _heads(rt)
    chains = sorted({*heads, *[chain async for chain in _chains(rt)]})
    if account_ids is not None:
        chains = [chain for chain in chains if chain[0] in account_ids]
    total = sum(heads[chain].sequence for chain in chains if chain in heads)
    done = 0
    verdicts = []
    for chain in chains:

        def told(entries: int, before: int = done) -> None:
            if tell is not None:
                tell(before + entries, total)

        verdict = await _verify(rt, chain, heads.get(chain), unsealed_s, told)
        if chain not in heads and verdict.entries:  # deleted, or its first entries were sealed a moment ago
            verdict = await _verify(rt, chain, (await _heads(rt)).get(chain), unsealed_s, told)
        done += verdict.entries
        verdicts.append(verdict)
    return verdicts


async def _heads(rt: Runtime) -> dict[tuple[int, int], Head]:
    rows = await rt.store.scan(store.ALL_HEADS())
    return {(account_id, test): Head(sequence, bytes(hash_)) for account_id, test, sequence, hash_ in rows}


async def _chains(rt: Runtime) -> AsyncIterator[tuple[int, int]]:
    """Of entries: a head may have been deleted, as all entries of one may have been."""
    account_id, test = -1, 0
    while rows := await rt.store.scan(store.NEXT_CHAIN({"account_id": account_id, "test": test})):
        account_id, test = rows[0]
        yield account_id, test


async def _verify(
    rt: Runtime, chain: tuple[int, int], head: Head | None, unsealed_s: float, tell: Callable[[int], None]
) -> Verdict:
    """What is sealed meanwhile lies behind `head`, and is not looked at."""
    account_id, test = chain
    walk = Walk(ids.public("acc", account_id), bool(test))
    people = persons(rt)
    span = {"account_id": account_id, "test": test, "until": _END if head is None else head.sequence, "limit": PAGE}
    fault: Fault | None = None
    after = 0
    while fault is None and (rows := await rt.store.scan(store.CHAINED(span | {"after": after}))):
        for row in rows:
            fault = _look(walk, people, row)
            if fault is not None:
                break
        after = rows[-1][12]
        tell(walk.head.sequence)
    if fault is None:
        fault = _end(walk, head) or await _unsealed(rt, chain, unsealed_s)
    return _verdict(walk, fault)


def _look(walk: Walk, people: Persons, row: Row) -> Fault | None:
    sequence, hash_, salt, proof, person_key = row[12:17]
    kept = None if proof is None else proof.encode()
    fault = walk.add(public_of(row, sequence), bytes(hash_ or b""), kept, None if salt is None else bytes(salt))
    if fault is None and kept is not None:
        person = msgspec.json.decode(kept, type=Proof).person
        if people.key(row[1], row[2], person) != person_key:
            return Fault(sequence, "person", f"entry {sequence} is filed under another person than its proof names.")
    return fault


def _end(walk: Walk, head: Head | None) -> Fault | None:
    last = walk.head.sequence
    if head is None:
        return Fault(last, "head", "the end of the chain is not on record.") if last else None
    if last < head.sequence:
        return Fault(last + 1, "cut", f"the chain ends with entry {last} and had {head.sequence}.")
    if walk.head.hash != head.hash:
        return Fault(last, "head", f"the hash of the last entry, {last}, is not the one on record.")
    return None


async def _unsealed(rt: Runtime, chain: tuple[int, int], seconds: float) -> Fault | None:
    now = rt.clock.now()
    before = ids.at(now - round(seconds * 1000))
    [(count, oldest)] = await rt.store.scan(
        store.COUNT_UNSEALED({"account_id": chain[0], "test": chain[1], "before": before})
    )
    if not count:
        return None
    age = (now - ids.millis(oldest)) / 1000
    what = f"{count:,} entries are" if count > 1 else "an entry is"
    return Fault(0, "unsealed", f"{what} not sealed; the oldest was recorded {age:,.0f} s ago.")


# -- an export -----------------------------------------------------------------------------------------------------


def verify_export(
    lines: Iterable[bytes], head: bytes | None = None, tell: Callable[[int], None] | None = None
) -> Verdict:
    """An export, line by line, with nothing else. `head` is the hash of an end that somebody has kept: it has to be
    among the entries. `tell` hears how many octets were read."""
    given = iter(lines)
    first = next(given, b"")
    header = _read_header(first)
    if isinstance(header, Fault):
        return Verdict("", False, 0, 0, 0, Head(), header)
    walk = Walk(header.account, header.test)
    found = head is None or head == GENESIS
    octets = len(first)
    for raw in given:
        line = _read_line(raw, walk.head.sequence + 1)
        fault = line if isinstance(line, Fault) else _add(walk, line)
        if fault is not None:
            return _verdict(walk, fault)
        found = found or walk.head.hash == head
        octets += len(raw)
        if tell is not None and walk.head.sequence % PAGE == 0:
            tell(octets)
    if tell is not None:
        tell(octets)
    return _verdict(walk, _export_end(walk, header, head, found))


def _export_end(walk: Walk, header: Header, head: bytes | None, found: bool) -> Fault | None:
    last = walk.head.sequence
    if last < header.sequence:
        return Fault(last + 1, "cut", f"the file ends with entry {last}; its header promises {header.sequence}.")
    if (last, walk.head.hash.hex()) != (header.sequence, header.hash):
        return Fault(last, "head", f"the last entry, {last}, is not the one that the header names.")
    if not found and head is not None:
        words = f"no entry has the hash {head.hex()}: the ledger was cut off before it, or written anew since."
        return Fault(last, "head", words)
    return None


def _add(walk: Walk, line: Line) -> Fault | None:
    hash_, salt = _octets(line.hash), None if line.salt is None else _octets(line.salt)
    if hash_ is None or (line.salt is not None and salt is None):
        return _unreadable(walk.head.sequence + 1, "a hash or salt is not written in hex")
    return walk.add(line.entry, hash_, None if line.proof is None else canonical(line.proof), salt)


def _read_header(raw: bytes) -> Header | Fault:
    try:
        header = msgspec.json.decode(_text(raw), type=Header)
    except (msgspec.MsgspecError, ValueError) as error:
        return _unreadable(0, f"this is no export of a ledger: its first line is no header ({error})")
    if header.format != FORMAT:
        return _unreadable(0, f"the format is {header.format}, this version reads {FORMAT}")
    return header


def _read_line(raw: bytes, number: int) -> Line | Fault:
    """Only what is written exactly as an export writes it is read: no reader may see another thing in it."""
    try:
        text = _text(raw)
        line = msgspec.json.decode(text, type=Line)
    except (msgspec.MsgspecError, ValueError) as error:
        return _unreadable(number, f"the line is no entry ({error})")
    if canonical(line) != text:
        return _unreadable(number, "the line is not written as canonical JSON")
    return line


def _text(raw: bytes) -> bytes:
    if len(raw) > MOST_LINE:
        raise ValueError(f"longer than {MOST_LINE} octets")
    if not raw.endswith(b"\n"):
        raise ValueError("cut off")
    return raw[:-1]


def _octets(text: str) -> bytes | None:
    """Of lower-case hex."""
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        return None
    return octets if octets.hex() == text else None


def _unreadable(number: int, words: str) -> Fault:
    code: FaultCode = "unreadable"
    return Fault(number, code, f"line {number + 1}: {words}.")


def _verdict(walk: Walk, fault: Fault | None) -> Verdict:
    return Verdict(walk.account, walk.test, walk.head.sequence, walk.proofs, walk.erased, walk.head, fault)
