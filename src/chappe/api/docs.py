"""The browsable documentation, from files of our own: no page of it asks another host for anything."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from chappe.api.answers import Answer, encode
from chappe.api.house import House

_STATIC = Path(__file__).with_name("static")
_FILES = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": ("swagger-ui.css", "text/css; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
}
# Swagger UI sets styles and draws its icons from data: URLs; scripts come from files alone
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Page:
    plain: bytes
    packed: bytes
    tag: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def pages(house: House, document: Mapping[str, Any]) -> dict[str, Page]:
    """Every page by its address; the document itself is there also when the pages are switched off."""
    found = {"/v1/openapi.json": _page(encode(document), "application/json")}
    if house.rt.settings.http.docs:
        found |= {path: _file(name, kind) for path, (name, kind) in _FILES.items()}
    return found


async def page(made: Page, scope: Mapping[str, Any]) -> Answer:
    headers = dict(scope["headers"])
    if headers.get(b"if-none-match") == made.tag:
        return Answer(304, b"", made.headers)
    if b"gzip" in headers.get(b"accept-encoding", b""):
        return Answer(200, made.packed, (*made.headers, (b"content-encoding", b"gzip")))
    return Answer(200, made.plain, made.headers)


@lru_cache(maxsize=8)
def _file(name: str, kind: str) -> Page:
    return _page((_STATIC / name).read_bytes(), kind)


def _page(content: bytes, kind: str) -> Page:
    tag = b'"' + hashlib.sha256(content).hexdigest()[:16].encode() + b'"'
    headers = (
        (b"content-type", kind.encode()),
        (b"etag", tag),
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding"),
        (b"content-security-policy", _POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
    )
    return Page(content, gzip.compress(content, 6), tag, headers)
