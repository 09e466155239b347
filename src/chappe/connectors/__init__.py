"""Connectors: the supplier accounts that messages leave by, their settings, and their credentials sealed at rest."""

from __future__ import annotations

from chappe.channels.settings import Connector, SmppCredentials, SmppSettings
from chappe.connectors.book import Book, book, start
from chappe.connectors.leases import Leases, Slot
from chappe.connectors.model import StoredConnector, opened, read_credentials, read_settings, sealed
from chappe.connectors.store import CONNECTORS, ROOM
from chappe.connectors.verbs import create_connector, delete_connector, update_connector

__all__ = [
    "CONNECTORS",
    "ROOM",
    "Book",
    "Connector",
    "Leases",
    "Slot",
    "SmppCredentials",
    "SmppSettings",
    "StoredConnector",
    "book",
    "create_connector",
    "delete_connector",
    "opened",
    "read_credentials",
    "read_settings",
    "sealed",
    "start",
    "update_connector",
]
