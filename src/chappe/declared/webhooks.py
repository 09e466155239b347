"""The section of the room `webhooks`: the endpoints of an account, by their URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from chappe import webhooks
from chappe.accounts import checked
from chappe.declared.people import variable
from chappe.declared.secrets import SecretRef
from chappe.declared.section import Item, Key, Section, World, slugs
from chappe.errors import Refused
from chappe.outgoing import check_url
from chappe.webhooks import Endpoint, EventType, Mode

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_HOW = 'Make one with: echo "whsec_$(openssl rand -base64 32)"'


class EndpointForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """No `events` means all. Whether an endpoint is paused is no configuration and stays as it is."""

    url: Annotated[str, Meta(min_length=1, max_length=2_048)]
    secret: SecretRef | str | None = None
    events: tuple[EventType, ...] = ()
    mode: Mode = "both"
    description: str | None = None


class Webhooks(Section):
    name = "webhooks"
    nested = True
    label = "url"
    shape = EndpointForm
    records = webhooks.ENDPOINTS

    async def start(self, rt: Runtime) -> None:
        await webhooks.load(rt)

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {
            (slug, endpoint.url): endpoint
            for number, slug in slugs(rt).items()
            for endpoint in webhooks.endpoints(rt, number)
        }

    def wanted(self, item: Item, before: Endpoint | None, world: World) -> Endpoint:
        form: EndpointForm = item.declared
        rt = world.rt
        if code := check_url(form.url, allow_private=rt.settings.webhooks.allow_private):
            raise Refused(code, param="url")
        secret = world.secret(form.secret, "secret", " ".join(item.key), stored=before is not None)
        if secret is not None:
            _check(secret)
        events = tuple(dict.fromkeys(form.events))
        if before is None:
            assert secret is not None
            account_id = world.account(item.key).id
            what = {"events": events, "mode": form.mode, "description": form.description}
            return webhooks.new_endpoint(rt, account_id, secret=secret, url=form.url, **what)  # type: ignore[arg-type]
        after = msgspec.structs.replace(before, events=events, mode=form.mode, description=form.description)
        if secret is not None and not _opens(rt, before, secret):
            after = webhooks.rotated(rt, after, secret, webhooks.KEEP_PREVIOUS_S)
        return checked(after)

    def declare(self, key: Key, value: Endpoint, index: int, world: World) -> EndpointForm:
        # URLs make no good variable names, and two of them may differ in what a name cannot say
        secret = SecretRef(env=variable("webhook", key[0], str(index + 1), "secret"))
        return EndpointForm(value.url, secret, value.events, value.mode, value.description)


def _check(secret: str) -> None:
    try:
        webhooks.key_of(secret)
    except ValueError:
        raise Refused("invalid_value", "This is no webhook secret.", param="secret", action=_HOW) from None


def _opens(rt: Runtime, endpoint: Endpoint, secret: str) -> bool:
    """Whether the endpoint has this secret already."""
    try:
        return rt.vault.decrypt(endpoint.secret) == secret
    except ValueError:  # sealed under another secret_key: this one replaces it
        return False
