"""The server's end of the process that writes an embedded store (`storage.writer`)."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from chappe.storage import writer
from chappe.storage.errors import Conflict, Invalid, StoreError, Unavailable
from chappe.storage.statements import Op

_log = structlog.get_logger("storage")

MAX_WAITING: Final = 2_000  # units; more are refused at once, so that memory stays bounded
AGAIN_S: Final = 1.0  # before a writer that has just ended is started once more
_END_S: Final = 10.0
_READ: Final = 1 << 20
_HOUSE: Final = (bytes, bytearray, memoryview)

Asked = tuple[asyncio.Future[list[Any]], tuple[str, ...]]


class Writing:
    """Hands units over and tells their callers. `poke` is told the topics of units that were committed."""

    def __init__(self, path: Path, poke: Callable[[str], None]) -> None:
        self._path = path
        self._poke = poke
        self._loop = asyncio.get_running_loop()
        self._asked: deque[Asked] = deque()  # in the order of their answers
        self._unsent = bytearray()  # what the socket had no room for
        self._closing = False
        self._wire: socket.socket | None = None
        self._start()

    def ask(self, ops: tuple[Op, ...], wake: tuple[str, ...], patience_s: float) -> asyncio.Future[list[Any]]:
        """One unit. Raises Invalid or Unavailable at once; the future raises what the writer meets."""
        if self._closing:
            raise Unavailable("the store is closed")
        if len(self._asked) >= MAX_WAITING:
            raise Unavailable("too many writes are waiting")
        frame = _frame(time.monotonic() + patience_s, ops)
        if self._wire is None:
            self._restart()
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._asked.append((future, wake))
        if self._unsent:
            self._unsent += frame
        else:  # at once: the writer begins while this turn of the loop goes on
            self._send(frame)
        return future

    async def finish(self) -> None:
        """Take no more, and wait for what was taken."""
        self._closing = True
        while self._asked:  # noqa: ASYNC110 - at the end only
            await asyncio.sleep(0.001)

    async def end(self) -> None:
        """End the process. If nobody else has the file open, it copies the log into the database."""
        self._hang_up()
        await self._loop.run_in_executor(None, self._bury)

    # -- the process ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._started = time.monotonic()
        mine, its = socket.socketpair()
        with its:
            command = [sys.executable, "-I", "-S", writer.__file__, str(self._path), str(its.fileno())]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()])
        mine.setblocking(False)
        self._frames = writer.Frames()
        self._wire = mine
        self._loop.add_reader(mine, self._heard)

    def _restart(self) -> None:
        if time.monotonic() < self._started + AGAIN_S:
            raise Unavailable("the process that writes has ended")
        self._start()

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._loop.remove_reader(self._wire)
            self._loop.remove_writer(self._wire)
            self._wire.close()
            self._wire = None

    def _bury(self) -> None:
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _lost(self) -> None:
        """The process has ended by itself or was killed: what it was asked may have happened."""
        self._hang_up()
        self._unsent.clear()
        if (code := self._process.poll()) is None:  # it let go of us, and shall not keep the loop waiting
            self._process.kill()
            code = self._process.wait()
        _log.error("storage.writer.ended", code=code, units=len(self._asked))
        while self._asked:
            future, _ = self._asked.popleft()
            if not future.done():
                future.set_exception(Unavailable("the process that writes has ended", unknown=True))

    # -- to and fro -------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        if (sent := self._sent(data)) < len(data) and self._wire is not None:
            self._unsent += data[sent:]
            self._loop.add_writer(self._wire, self._send_rest)

    def _send_rest(self) -> None:
        del self._unsent[: self._sent(bytes(self._unsent[:_READ]))]
        if not self._unsent and self._wire is not None:
            self._loop.remove_writer(self._wire)

    def _sent(self, data: bytes) -> int:
        """How many octets the socket took."""
        assert self._wire is not None
        try:
            return self._wire.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._lost()
            return 0

    def _heard(self) -> None:
        assert self._wire is not None
        try:
            data = self._wire.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        topics: dict[str, None] = {}
        for group in self._frames.feed(data):
            for answer in group:
                self._answer(answer, topics)
        for topic in topics:
            self._poke(topic)

    def _answer(self, answer: writer.Answer, topics: dict[str, None]) -> None:
        future, wake = self._asked.popleft()
        kind, told = answer
        if kind is None and wake:
            topics.update(dict.fromkeys(wake))
        if future.done():  # the caller has gone; what it wrote stands
            return
        if kind is None:
            future.set_result(told)
        else:
            future.set_exception(refusal(kind, told))


def refusal(kind: str, reason: str) -> StoreError:
    """A failure as its caller meets it."""
    if kind == writer.CONFLICT:
        return Conflict(reason)
    if kind == writer.INVALID:
        return Invalid(reason)
    return Unavailable(reason, unknown=kind == writer.UNKNOWN)


def _frame(deadline: float, ops: tuple[Op, ...]) -> bytes:
    asked = [_plain(op) for op in ops]
    with suppress(ValueError):
        return writer.frame((deadline, asked))
    try:  # enumerations become their values
        return writer.frame((deadline, msgspec.to_builtins(asked, builtin_types=_HOUSE)))
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"{ops[0].statement.name}: {error}") from error


def _plain(op: Op) -> writer.Op:
    statement = op.statement
    if statement.many:
        return (statement.name, statement.sqlite, len(statement.columns), False, op.params, op.expect)
    assert not isinstance(op.params, list | tuple)
    params = statement.sqlite_params(op.params)  # type: ignore[arg-type]
    return (statement.name, statement.sqlite, 0, statement.returns, params, op.expect)
