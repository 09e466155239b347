"""Which URLs and which IP addresses may be called. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

MAX_URL = 2_048

INVALID = "webhook_url_invalid"
PRIVATE = "webhook_url_private"

# https://www.iana.org/assignments/iana-ipv4-special-registry: all that is not globally reachable
_REFUSED_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service is in it
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform service
        "169.254.0.0/16",  # link-local; 169.254.169.254 is the metadata service of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]
# https://www.iana.org/assignments/ipv6-unicast-address-assignments: only 2000::/3 is assigned. Thereby IPv4-mapped
# (::ffff:0:0/96), NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique local, link-local and multicast are refused.
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address inside
        "3fff::/20",  # documentation
    )
]


def is_public(address: str) -> bool:
    """Whether an IP address is a globally reachable unicast address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _REFUSED_V4)
    return ip.scope_id is None and ip in _UNICAST_V6 and not any(ip in network for network in _REFUSED_V6)


def check_url(url: str, *, allow_private: bool = False) -> str | None:
    """The error code of a URL that can never be called, judged by its text alone, or None."""
    if len(url) > MAX_URL or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        return INVALID
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return INVALID
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.username is not None:
        return INVALID
    if allow_private:
        return None
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return PRIVATE
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return None
    return None if is_public(name) else PRIVATE
