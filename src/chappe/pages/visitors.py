"""From which address somebody came: as the proof of what they pressed says, and as limits hold them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any


def address_of(scope: Mapping[str, Any]) -> str:
    """The peer's address; where the peer is a proxy of ours, on this machine or in a private network, the last one of
    X-Forwarded-For, which that proxy wrote itself. What stands before it anybody may have written."""
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    if not _is_near(peer):
        return peer
    named = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    last = named[-1].decode("latin-1").rpartition(",")[2].strip() if named else ""
    try:
        return str(ip_address(last))
    except ValueError:
        return peer


def _is_near(address: str) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_private
