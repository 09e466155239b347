"""How a command talks to a running Chappe: over its HTTP API, as any other client does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import typer

from chappe.cli.terminal import fail

T = TypeVar("T")

URL = "http://127.0.0.1:8080"
_PATIENCE = aiohttp.ClientTimeout(total=30, sock_connect=5)

UrlOption = Annotated[str, typer.Option("--url", envvar="CHAPPE_API_URL", help="Where Chappe's API is.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar="CHAPPE_API_KEY", help="An API key (ck_...).", show_default=False)
]


class ApiError(Exception):
    """An answer that is no success. `message` and `action` are for people, `code` is of the catalogue."""

    def __init__(self, status: int, code: str, message: str, action: str = "") -> None:
        super().__init__(" ".join(filter(None, (message, action))))
        self.status = status
        self.code = code


class NotThere(Exception):
    """Nobody answers at the address, or not in time."""


class Api:
    """A session with the API. `get` and `post` give the decoded JSON; they raise ApiError and NotThere."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Api:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **query: Any) -> Any:
        """A query value of None is left out, a list is repeated."""
        pairs = [
            (name, str(one))
            for name, value in query.items()
            if value is not None
            for one in (value if isinstance(value, (list, tuple)) else [value])
        ]
        return await self._ask("GET", path, params=pairs)

    async def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return await self._ask("POST", path, json=body, headers=headers)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._ask("PATCH", path, json=body)

    async def upload(self, path: str, body: bytes, media_type: str, **query: Any) -> Any:
        """POST what is no JSON; the answer is."""
        pairs = [(name, str(value)) for name, value in query.items() if value is not None]
        return await self._ask("POST", path, data=body, headers={"Content-Type": media_type}, params=pairs)

    async def download(self, path: str, write: Callable[[bytes], object], **query: str) -> None:
        """GET what may be long, piece by piece."""
        assert self._session is not None
        patience = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
        try:
            async with self._session.get(self.url + path, params=query, timeout=patience) as response:
                if response.status >= 400:
                    raise _error(response.status, await response.text())
                async for piece in response.content.iter_any():
                    write(piece)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotThere(str(error) or type(error).__name__) from error

    async def delete(self, path: str) -> Any:
        return await self._ask("DELETE", path)

    async def text(self, path: str) -> str:
        """What is no JSON, such as /metrics."""
        raw: str = await self._ask("GET", path, decoded=False)
        return raw

    async def _ask(self, method: str, path: str, decoded: bool = True, **more: Any) -> Any:
        assert self._session is not None
        try:
            async with self._session.request(method, self.url + path, **more) as response:
                body = await response.text()
                if response.status >= 400:
                    raise _error(response.status, body)
                return json.loads(body) if decoded and body else body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotThere(str(error) or type(error).__name__) from error
        except json.JSONDecodeError as error:
            raise NotThere(f"{self.url} answers, but not as Chappe does") from error


def _error(status: int, body: str) -> ApiError:
    try:
        told = json.loads(body)["error"]
        place = f"{told['param']}: " if "[" in (told.get("param") or "") else ""  # which of many
        return ApiError(status, told["code"], place + told["message"], told.get("action") or "")
    except (ValueError, KeyError, TypeError):
        return ApiError(status, f"http_{status}", f"The server answered {status}.", "Is this Chappe's address?")


def talk(work: Callable[[Api], Awaitable[T]], url: str, key: str | None) -> T:
    """Run `work` with the API. What goes wrong ends the process with a message and 1."""
    if urlsplit(url).scheme not in ("http", "https"):
        fail(f"{url} is no address: write http://HOST:PORT.")
    if not key:
        fail("No API key: give --key, or set CHAPPE_API_KEY. `chappe keys create` makes one.")

    async def run() -> T:
        async with Api(url, key) as api:
            return await work(api)

    try:
        return asyncio.run(run())
    except ApiError as error:
        fail(f"{error} ({error.code})")
    except NotThere as error:
        fail(
            f"Chappe does not answer at {url}: {error}\n"
            "Start it with `chappe serve` or `chappe demo`, or give its address by --url or CHAPPE_API_URL."
        )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
