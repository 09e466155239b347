"""HTTP requests to addresses that customers chose: never into our own network, never further than asked.

The name is resolved here, every address is judged, and the connection goes to a judged address: what the name resolves
to a moment later does not matter (DNS rebinding). No redirect is followed, no more than `MAX_BODY` of the answer is
read, and the time is limited as a whole.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from chappe import __version__

MAX_URL = 2_048
MAX_BODY = 16 * 1024
MAX_CONNECTIONS = 512
MAX_CONNECTIONS_A_HOST = 64
_RESOLVE_S = 5.0

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


class Unreachable(Exception):
    """No answer came. `code` is stable: refused_address, dns, connection, tls, timeout, protocol."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Response:
    """What the other side answered: the body cut at MAX_BODY, `elapsed` in seconds, headers found by any case."""

    status: int
    body: bytes
    elapsed: float
    headers: Mapping[str, str]


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


class Outgoing:
    """A client for customers' URLs. Make it inside a running loop, close it at the end."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._resolver = _JudgingResolver(allow_private)
        connector = aiohttp.TCPConnector(
            resolver=self._resolver, limit=MAX_CONNECTIONS, limit_per_host=MAX_CONNECTIONS_A_HOST, ttl_dns_cache=30
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"User-Agent": f"Chappe/{__version__}", "Accept-Encoding": "identity"},
            auto_decompress=False,  # 16 KB of gzip can be a gigabyte
            max_line_size=8_190,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Response:  # noqa: ASYNC109
        """POST and read the answer, whatever its status. Raises Unreachable."""
        return await self.request("POST", url, body, headers, timeout)

    async def request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109
    ) -> Response:
        """One request, answered within `timeout` seconds in all. Raises Unreachable."""
        if problem := check_url(url, allow_private=self._allow_private):
            raise Unreachable("refused_address", "private address" if problem == PRIVATE else "invalid URL")
        start = time.perf_counter()
        try:
            async with asyncio.timeout(timeout):
                async with self._session.request(
                    method, url, data=body, headers=headers, allow_redirects=False, timeout=_NO_OTHER_LIMIT
                ) as answer:
                    content = await _read(answer.content)
                    return Response(answer.status, content, time.perf_counter() - start, answer.headers)
        except TimeoutError:
            raise Unreachable("timeout", f"no answer within {timeout:g} s") from None
        except aiohttp.ClientError as error:
            raise _unreachable(error) from error
        except ValueError as error:  # a header or a host name that cannot be written
            raise Unreachable("protocol", str(error)) from error

    async def check_url(self, url: str) -> str | None:
        """The error code of a URL that is invalid or private now, also by what its name resolves to; else None.

        A name that does not resolve (yet) is no error.
        """
        if problem := check_url(url, allow_private=self._allow_private):
            return problem
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(_RESOLVE_S):
                await self._resolver.resolve(parts.hostname or "", parts.port or 443, socket.AF_UNSPEC)
        except Unreachable:
            return PRIVATE
        except (OSError, TimeoutError, UnicodeError):
            return None
        return None

    async def close(self) -> None:
        await self._session.close()


_NO_OTHER_LIMIT = aiohttp.ClientTimeout(total=None)


class _JudgingResolver(AbstractResolver):
    """Resolves by the system and lets only public addresses through."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results = [_result(host, *info) for info in infos if self._allow_private or is_public(str(info[4][0]))]
        if infos and not results:
            raise Unreachable("refused_address", f"{host} resolves to a private address")
        return results

    async def close(self) -> None:
        pass


def _result(host: str, family: int, _kind: int, proto: int, _name: str, address: Any) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address[0],
        port=address[1],
        family=family,
        proto=proto,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


async def _read(content: aiohttp.StreamReader) -> bytes:
    chunks: list[bytes] = []
    missing = MAX_BODY
    while missing and (chunk := await content.read(missing)):
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)


def _unreachable(error: aiohttp.ClientError) -> Unreachable:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Unreachable("dns", "the host name does not resolve")
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return Unreachable("tls", str(error))
    if isinstance(error, aiohttp.ClientConnectionError):
        return Unreachable("connection", str(error) or type(error).__name__)
    return Unreachable("protocol", str(error) or type(error).__name__)
