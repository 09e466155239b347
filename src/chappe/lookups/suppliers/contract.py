"""What an adapter to a supplier's HTTP interface is: requests out of numbers, findings out of answers. No I/O."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from chappe.lookups.model import Told


class Request(Struct, frozen=True):
    """A request to the supplier's server: `path` is escaped and has the query, `headers` are lines with their CRLF.

    It holds credentials: no repr shows it.
    """

    method: Literal["GET", "POST"]
    path: str
    headers: bytes
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request({self.method})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("method", self.method)]


class Supplier(Protocol):
    """One supplier's wire contract, with an account's credentials in it.

    `request_size` numbers fit in one request. `secrets` must not appear in any reason. `uncovered` are the HTTP
    statuses by which the supplier says that it has nothing for this number.
    """

    @property
    def base_url(self) -> str: ...
    @property
    def request_size(self) -> int: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...
    @property
    def uncovered(self) -> frozenset[int]: ...

    def request(self, digits: Sequence[str]) -> Request:
        """For at most `request_size` numbers, E.164 without +."""

    def read(self, digits: Sequence[str], answer: Any) -> list[Told]:
        """One for each number, out of the JSON of a status of 2xx, whatever it is. Never raises."""

    def words(self, answer: Any) -> str:
        """What the supplier says went wrong, out of the JSON of another status; empty when it is not understood."""


def basic(username: str, password: str) -> str:
    """The credentials of HTTP basic authentication (RFC 7617)."""
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def authorization(scheme: str, credentials: str) -> bytes:
    return f"Authorization: {scheme} {credentials}\r\n".encode("ascii")
