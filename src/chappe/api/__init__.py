"""The HTTP API. A door: it translates requests into calls of the rooms and their answers into JSON; it decides nothing.

`start(rt)` before `rt.jobs.start`; `create_app(rt, pipeline, webhooks)` gives the ASGI app, `serve(app, settings.http)`
a running server.
"""

from __future__ import annotations

from chappe.api.app import RESOURCES, App, create_app, start
from chappe.api.openapi import document
from chappe.api.server import Server, serve

__all__ = ["RESOURCES", "App", "Server", "create_app", "document", "serve", "start"]
