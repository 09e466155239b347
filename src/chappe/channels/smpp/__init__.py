"""SMPP as a client of suppliers: many sessions, one rate, receipts and replies.

`link` is the connector as a whole, `line` one session held up against all odds; `outgoing`, `incoming` and `errors`
translate between PDUs and the values of the contract; `pace` and `circuit` say when nothing may be sent.
"""

from __future__ import annotations

from chappe.channels.smpp.link import SmppLink, open

__all__ = ["SmppLink", "open"]
