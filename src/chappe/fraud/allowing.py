"""Domains of accounts: added, changed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.fraud.content import Brands, Facts, check, shorteners
from chappe.fraud.model import Domain, Status
from chappe.fraud.room import domains
from chappe.fraud.store import DOMAINS
from chappe.text.domains import ascii_host, ip_address, registrable

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MAX_DOMAINS = 1_000  # of an account
_DOUBTS = ("link_brand", "link_lookalike", "link_similar", "link_disguised")


async def create_domain(
    rt: Runtime,
    actor: str,
    account_id: int,
    *,
    domain: str,
    note: str = "",
    brands: Brands,
    vouched: bool = False,
) -> Domain:
    """A domain in any spelling. It is in review if it is a shortener or looks like a name of `brands` that is
    somebody else's, unless `vouched`: the operator knows whose it is.

    Raises Refused: invalid_value, duplicate_name.
    """
    wire, known = wire_domain(domain), domains(rt).of(account_id)
    if any(one.domain == wire for one in known):
        raise Refused("duplicate_name", f"The account already has the domain {wire}.", param="domain")
    if len(known) >= MAX_DOMAINS:
        raise Refused("invalid_value", f"An account has at most {MAX_DOMAINS} domains.", param="domain")
    status: Status = "active" if vouched or usable(wire, account_id, brands) else "review"
    one = checked(Domain(rt.ids.next(), account_id, wire, status, note, rt.clock.now()))
    change = Change(rt, actor)
    change.create(DOMAINS, one)
    await change.commit()
    return one


async def update_domain(rt: Runtime, actor: str, account_id: int, domain_id: int, **fields: Any) -> Domain:
    """Change status (the operator alone decides it) or note. Raises Refused: not_found, invalid_value."""
    before = found_domain(rt, account_id, domain_id)
    after = checked(msgspec.structs.replace(before, **fields))
    change = Change(rt, actor)
    change.update(DOMAINS, before, after)
    await change.commit()
    return after


async def delete_domain(rt: Runtime, actor: str, account_id: int, domain_id: int) -> None:
    """Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(DOMAINS, found_domain(rt, account_id, domain_id))
    await change.commit()


def found_domain(rt: Runtime, account_id: int, domain_id: int) -> Domain:
    one = domains(rt).get(account_id, domain_id)
    if one is None:
        raise Refused("not_found", "There is no such domain.", param="id")
    return one


def wire_domain(domain: str) -> str:
    """A domain as it is kept. Raises Refused invalid_value for what nobody can have registered."""
    wire = ascii_host(domain.strip())
    if wire is None or ip_address(wire) is not None or registrable(wire) is None:
        words = f"{domain[:80]} is no domain that somebody can have registered."
        raise Refused(
            "invalid_value", words, param="domain", action="Give a name such as example.com, without https://."
        )
    return wire


def usable(wire: str, account_id: int, brands: Brands) -> bool:
    """Whether an account may link to a domain without the operator having looked at it."""
    if wire in shorteners() or registrable(wire) in shorteners():
        return False
    found = check(f"https://{wire}/", facts=Facts(account_id, brands=brands)).findings
    return not any(one.code in _DOUBTS for one in found)
