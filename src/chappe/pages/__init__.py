"""Pages: what a recipient opens. They work without script, in the recipient's language, and tell of one message.

`/o/<token>`, the opt-out link of a message: who sent it, why, stop it, undo a slip, and all that is kept of one's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from chappe import consent
from chappe.pages import codes
from chappe.pages.opt_out import OptOutPage

if TYPE_CHECKING:
    from chappe.messages import Pipeline
    from chappe.runtime import Runtime

FORGET_S = 3_600.0


def start(rt: Runtime) -> None:
    """Register the door's own chores; before `rt.jobs.start`."""
    rt.jobs.every("pages.forget", FORGET_S, _forget)


def handlers(rt: Runtime, pipeline: Pipeline) -> list[HTTPRouteHandler]:
    """For `api.create_app`, which serves them beside /v1."""
    page = OptOutPage(rt, pipeline)

    async def opt_out(request: Request[Any, Any, Any]) -> Response[Any]:
        return await page(request)

    methods: Any = ["GET", "HEAD", "POST"]
    return [HTTPRouteHandler(f"{consent.LINK_PATH}{{token:str}}", http_method=methods, status_code=200)(opt_out)]


async def _forget(rt: Runtime) -> None:
    await consent.forget_links(rt)
    await codes.forget(rt)


__all__ = ["handlers", "start"]
