"""SMPP with sockets: `connect` binds to a message centre, `serve` is one. Callbacks, no task and no future for a
PDU."""

from chappe.smpp.aio.client import Bind, BindFailed, BindType, connect
from chappe.smpp.aio.connection import Connection, Handler
from chappe.smpp.aio.server import Authenticate, Server, Verdict, serve
from chappe.smpp.aio.tls import client_context, server_context
from chappe.smpp.session import NotBound, PeerTooOld, SessionSettings, WindowFull

__all__ = [
    "Authenticate",
    "Bind",
    "BindFailed",
    "BindType",
    "Connection",
    "Handler",
    "NotBound",
    "PeerTooOld",
    "Server",
    "SessionSettings",
    "Verdict",
    "WindowFull",
    "client_context",
    "connect",
    "serve",
    "server_context",
]
