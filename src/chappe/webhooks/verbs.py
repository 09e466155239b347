"""Endpoints and callback secrets: created, changed, rotated, paused, resumed, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from chappe import jobs
from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.webhooks.book import book
from chappe.webhooks.model import REQUEUE, CallbackSecret, Endpoint, Health, PauseReason
from chappe.webhooks.signature import key_of, new_secret
from chappe.webhooks.store import CALLBACK_SECRETS, ENDPOINTS, FORGIVE, HEALTH, ROOM

if TYPE_CHECKING:
    from chappe.runtime import Runtime

T = TypeVar("T", Endpoint, CallbackSecret)

MAX_ENDPOINTS = 50  # of an account: each of its events is posted to as many
KEEP_PREVIOUS_S = 86_400


def endpoints(rt: Runtime, account_id: int) -> Sequence[Endpoint]:
    """The account's endpoints, oldest first."""
    return book(rt).of(account_id)


def found_endpoint(rt: Runtime, account_id: int, endpoint_id: int) -> Endpoint:
    """Raises Refused not_found, also for an endpoint of another account."""
    endpoint = book(rt).get(account_id, endpoint_id)
    if endpoint is None:
        raise Refused("not_found", "There is no such webhook endpoint.")
    return endpoint


async def health(rt: Runtime, account_id: int) -> dict[int, Health]:
    """How the account's endpoints have been doing, by id; none for one that was never posted to."""
    numbers = [endpoint.id for endpoint in endpoints(rt, account_id)]
    return {row[0]: Health(*row) for row in await rt.store.read(HEALTH({"ids": numbers}))}


async def create_endpoint(
    rt: Runtime,
    actor: str,
    account_id: int,
    *,
    url: str,
    events: Sequence[str] = (),
    mode: str = "both",
    description: str | None = None,
) -> tuple[Endpoint, str]:
    """The second value is the signing secret, shown now and never again.

    Raises Refused: webhook_url_invalid, webhook_url_private, invalid_value, duplicate_name, conflict (too many).
    """
    await check_address(rt, url)
    secret = new_secret()
    endpoint = new_endpoint(rt, account_id, secret=secret, url=url, events=events, mode=mode, description=description)
    mine = endpoints(rt, account_id)
    _check_unique(mine, endpoint)
    if len(mine) >= MAX_ENDPOINTS:
        raise Refused(
            "conflict", f"An account has at most {MAX_ENDPOINTS} webhook endpoints.", action="Delete one first."
        )
    change = Change(rt, actor)
    change.create(ENDPOINTS, endpoint)
    await change.commit()
    return endpoint, secret


async def update_endpoint(rt: Runtime, actor: str, account_id: int, endpoint_id: int, **fields: Any) -> Endpoint:
    """Change url, events, mode or description. What waits goes to the new address.

    Raises Refused: not_found, webhook_url_invalid, webhook_url_private, invalid_value, duplicate_name.
    """
    before = found_endpoint(rt, account_id, endpoint_id)
    if "events" in fields:
        fields["events"] = tuple(dict.fromkeys(fields["events"]))
    after = checked(msgspec.structs.replace(before, **fields))
    if after.url != before.url:
        await check_address(rt, after.url)
        _check_unique(endpoints(rt, account_id), after)
    change = Change(rt, actor)
    change.update(ENDPOINTS, before, after)
    await change.commit()
    return after


async def rotate_secret(
    rt: Runtime, actor: str, account_id: int, endpoint_id: int, *, keep_previous_s: int = KEEP_PREVIOUS_S
) -> tuple[Endpoint, str]:
    """A new secret; for `keep_previous_s` deliveries carry a signature of the old one as well. Raises Refused."""
    before = found_endpoint(rt, account_id, endpoint_id)
    secret = new_secret()
    after = rotated(rt, before, secret, keep_previous_s)
    change = Change(rt, actor)
    change.update(ENDPOINTS, before, after, "rotate")
    await change.commit()
    return after, secret


async def pause_endpoint(
    rt: Runtime, actor: str, account_id: int, endpoint_id: int, reason: PauseReason = "manual", at: int | None = None
) -> Endpoint:
    """Post nothing more to it; its events are kept for three days. Pausing twice is no error. Raises Refused."""
    before = found_endpoint(rt, account_id, endpoint_id)
    if before.status == "paused":
        return before
    paused_at = rt.clock.now() if at is None else at
    after = msgspec.structs.replace(before, status="paused", paused_reason=reason, paused_at=paused_at)
    change = Change(rt, actor)
    change.update(ENDPOINTS, before, after, "pause")
    await change.commit()
    return after


async def resume_endpoint(rt: Runtime, actor: str, account_id: int, endpoint_id: int) -> Endpoint:
    """Post again, beginning with what waited. Resuming twice is no error. Raises Refused not_found."""
    before = found_endpoint(rt, account_id, endpoint_id)
    if before.status == "active":
        return before
    # first, and harmless alone: else the old failures would pause it again at once
    requeue = rt.jobs.enqueue(REQUEUE, {"target": endpoint_id})
    await rt.store.write(FORGIVE({"endpoint_id": endpoint_id}), requeue, wake=(jobs.TOPIC,))
    after = msgspec.structs.replace(before, status="active", paused_reason=None, paused_at=None)
    change = Change(rt, actor)
    change.update(ENDPOINTS, before, after, "resume")
    await change.commit()
    rt.store.poke(ROOM)
    return after


async def delete_endpoint(rt: Runtime, actor: str, account_id: int, endpoint_id: int) -> None:
    """What waits for it is dropped soon; its log stays as long as any log. Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(ENDPOINTS, found_endpoint(rt, account_id, endpoint_id))
    await change.commit()


# -- callbacks ------------------------------------------------------------------------------------------------------


async def callback_secret(rt: Runtime, account_id: int) -> str:
    """What signs the deliveries to the `callback_url` of the account's messages; made at its first use."""
    return rt.vault.decrypt((await ensure_callback_secret(rt, account_id)).secret)


async def ensure_callback_secret(rt: Runtime, account_id: int) -> CallbackSecret:
    known = book(rt).callbacks.get(account_id)
    if known is not None:
        return known
    sealed = rt.vault.encrypt(new_secret())
    change = Change(rt, "system:webhooks")
    change.create(CALLBACK_SECRETS, CallbackSecret(account_id, sealed, None, None, rt.clock.now()))
    try:
        await change.commit()
    except Refused:  # another node made it at this moment
        await rt.snapshots.check()
    return book(rt).callbacks[account_id]


async def rotate_callback_secret(
    rt: Runtime, actor: str, account_id: int, *, keep_previous_s: int = KEEP_PREVIOUS_S
) -> str:
    """The new secret; for `keep_previous_s` callbacks carry a signature of the old one as well."""
    before = await ensure_callback_secret(rt, account_id)
    secret = new_secret()
    change = Change(rt, actor)
    change.update(CALLBACK_SECRETS, before, rotated(rt, before, secret, keep_previous_s), "rotate")
    await change.commit()
    return secret


# -- rules ----------------------------------------------------------------------------------------------------------


def new_endpoint(
    rt: Runtime,
    account_id: int,
    *,
    secret: str,
    url: str,
    events: Sequence[str] = (),
    mode: str = "both",
    description: str | None = None,
) -> Endpoint:
    """An endpoint that is not written yet. Raises Refused webhook_url_invalid or invalid_value."""
    try:
        key_of(secret)
    except ValueError as error:
        raise Refused("invalid_value", f"{str(error)[0].upper()}{str(error)[1:]}.", param="secret") from None
    return checked(
        Endpoint(
            id=rt.ids.next(),
            account_id=account_id,
            url=url,
            events=tuple(dict.fromkeys(events)),  # type: ignore[arg-type]  # `checked` looks at each
            mode=mode,  # type: ignore[arg-type]
            status="active",
            paused_reason=None,
            paused_at=None,
            description=description,
            secret=rt.vault.encrypt(secret),
            previous_secret=None,
            previous_until=None,
            created_at=rt.clock.now(),
        )
    )


async def check_address(rt: Runtime, url: str) -> None:
    """Raises Refused for an address that can never be posted to. Each connection judges it again."""
    if code := await rt.http.check_url(url):
        raise Refused(code, param="url")


def _check_unique(others: Sequence[Endpoint], endpoint: Endpoint) -> None:
    if any(other.url == endpoint.url and other.id != endpoint.id for other in others):
        raise Refused("duplicate_name", "The account already has an endpoint with this URL.", param="url")


def rotated(rt: Runtime, before: T, secret: str, keep_previous_s: int) -> T:
    """The holder of a secret with another one; the old one, if it can be opened, still signs for `keep_previous_s`."""
    keep = keep_previous_s > 0 and _opens(rt, before.secret)
    return msgspec.structs.replace(
        before,
        secret=rt.vault.encrypt(secret),
        previous_secret=before.secret if keep else None,
        previous_until=rt.clock.now() + keep_previous_s * 1000 if keep else None,
    )


def _opens(rt: Runtime, sealed: str) -> bool:
    try:
        rt.vault.decrypt(sealed)
    except ValueError:
        return False
    return True
