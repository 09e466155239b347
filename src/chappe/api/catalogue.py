"""The catalogue of errors, for programs and for people; no key is needed to read it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from chappe.api.house import House
from chappe.api.operations import Resource
from chappe.errors import DELIVERY, ERRORS, Refused

resource = Resource("Errors", "What can go wrong, and what to do about it.", scope=None)


class RequestError(Struct, frozen=True):
    """Why a request is refused."""

    code: Annotated[str, Meta(examples=["number_not_e164"])]
    status: Annotated[int, Meta(description="The HTTP status.")]
    type: str
    group: str
    message: str
    action: str


class DeliveryFault(Struct, frozen=True):
    """Why an accepted message is not delivered."""

    code: Annotated[str, Meta(examples=["absent_subscriber"])]
    group: str
    permanent: bool
    message: str
    action: str


class Catalogue(Struct, frozen=True):
    """All codes. They are added, never renamed."""

    requests: list[RequestError]
    deliveries: list[DeliveryFault]


def catalogue() -> Catalogue:
    return Catalogue(
        [RequestError(e.code, e.status, e.type, e.group, e.message, e.action) for e in ERRORS.values()],
        [DeliveryFault(e.code, e.group, e.permanent, e.message, e.action) for e in DELIVERY.values()],
    )


@resource.get("/v1/errors")
async def list_(house: House) -> Catalogue:
    """List all error codes."""
    return catalogue()


@resource.get("/v1/errors/{code:word}")
async def get(house: House, code: str) -> RequestError | DeliveryFault:
    """Show an error code."""
    known = catalogue()
    entries: list[RequestError | DeliveryFault] = [*known.requests, *known.deliveries]
    for entry in entries:
        if entry.code == code:
            return entry
    raise Refused("not_found", f"There is no error {code[:100]}.", param="code")
