"""Channels: the far end. A channel opens a `Link` to a supplier account and tells a `Sink` what it hears, in the values
of `contract`.

`CHANNELS` is the whole list. A new channel is a module with `open`, a line here, its settings in `settings`, a case
table for the shared runner of the tests and a page in the docs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, Protocol

from chappe.channels import smpp
from chappe.channels.contract import (
    Done,
    Inbound,
    Link,
    LinkStatus,
    Outcome,
    Outgoing,
    Receipt,
    ReceiptState,
    SendError,
    Sink,
    Verdict,
)
from chappe.channels.settings import Connector
from chappe.clock import Clock


class Opener(Protocol):
    def __call__(
        self, connector: Connector, sink: Sink, clock: Clock, slots: Collection[int] | None = None, *, log: Any = None
    ) -> Link: ...


CHANNELS: Final[dict[str, Opener]] = {"smpp": smpp.open}


def open_link(
    connector: Connector, sink: Sink, clock: Clock, slots: Collection[int] | None = None, *, log: Any = None
) -> Link:
    """A link that starts to connect at once, in the running event loop. `slots` are those of the connector's binds,
    from 0, that it opens, and by which the rate is shared; None: all. `log` is a structlog logger.

    Raises KeyError for a channel that this installation does not have.
    """
    return CHANNELS[connector.channel](connector, sink, clock, slots, log=log)


__all__ = [
    "CHANNELS",
    "Connector",
    "Done",
    "Inbound",
    "Link",
    "LinkStatus",
    "Opener",
    "Outcome",
    "Outgoing",
    "Receipt",
    "ReceiptState",
    "SendError",
    "Sink",
    "Verdict",
    "open_link",
]
