"""PDFs of what was issued, made when somebody asks for one: by a process of its own, one at a time."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from chappe.billing.closing.layout import sheet
from chappe.billing.closing.model import CreditNote, Invoice
from chappe.errors import Refused

LONGEST_S: Final = 60.0  # a thousand lines take some seconds
MAX_WAITING: Final = 20
_PAPER: Final = str(Path(__file__).with_name("paper.py"))
_encode = msgspec.json.Encoder().encode


class _Turns:
    def __init__(self) -> None:
        self.one = asyncio.Semaphore(1)
        self.waiting = 0


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def pdf(paper: Invoice | CreditNote) -> bytes:
    """The same octets for the same paper. Raises Refused queue_full; RuntimeError when it cannot be made."""
    turns = _turns.setdefault(asyncio.get_running_loop(), _Turns())
    if turns.waiting >= MAX_WAITING:
        raise Refused("queue_full", "Too many documents are being made.", retry_after=5)
    turns.waiting += 1
    try:
        async with turns.one:
            return await _made(_encode(sheet(paper)))
    finally:
        turns.waiting -= 1


async def _made(told: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", _PAPER, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(LONGEST_S):
            made, complaint = await process.communicate(told)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the PDF could not be made: {complaint.decode(errors='replace')[-500:]}")
    return made
