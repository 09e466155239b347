"""Pools, defaults and protected names in the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from chappe import declared, senders
from chappe.accounts import directory
from chappe.declared import SECTIONS, Invalid, Secrets
from chappe.runtime import Runtime
from chappe.senders import Particulars, book

FILE = """
[[accounts]]
slug = "acme"
name = "Acme"

[[accounts.senders]]
address = "Acme"

[[accounts.senders]]
address = "Shop"

[[accounts.sender_pools]]
name = "all"
senders = ["Acme", "Shop"]

[[accounts.sender_defaults]]
country = "FR"
sender = "pool:all"

[[protected_senders]]
name = "Acme"
accounts = ["acme"]
contained = false
countries = ["FR"]
"""


def plan(rt: Runtime, text: str, *, prune: bool = False) -> declared.Plan:
    return declared.make_plan(rt, SECTIONS, text, "f.toml", Secrets({}, Path()), prune=prune)


async def apply(rt: Runtime, text: str, *, prune: bool = False) -> None:
    await declared.apply_plan(rt, plan(rt, text, prune=prune), "test")


async def test_a_file_makes_pools_defaults_and_protected_names(rt: Runtime) -> None:
    await apply(rt, FILE)
    known = book(rt)
    account = directory(rt).by_slug("acme")
    assert account is not None
    assert known.default(account.id, "FR") == "pool:all"
    pool = known.pool(account.id, "all")
    assert pool is not None and len(pool.sender_ids) == 2
    assert [(one.name, one.account_ids, one.countries) for one in known.names.all] == [("Acme", (account.id,), ("FR",))]
    assert not plan(rt, FILE)
    assert not plan(rt, declared.export(rt, SECTIONS))
    await apply(rt, FILE.replace('["Acme", "Shop"]', '["Shop"]').replace("pool:all", "Acme"))
    assert len(book(rt).pools[pool.id].sender_ids) == 1 and book(rt).default(account.id, "FR") == "Acme"


@pytest.mark.parametrize(
    ("written", "instead", "line", "words"),
    [
        ('["Acme", "Shop"]', '["Acme", "Other"]', 14, "sender_pools[0].senders[1]: Other is not a sender"),
        ('["Acme", "Shop"]', '["Acme", "Acme"]', 14, "names each sender once"),
        ('"pool:all"', '"pool:none"', 18, "There is no pool none."),
        ('accounts = ["acme"]', 'accounts = ["rival"]', 22, "There is no account rival."),
        ("contained = false", "contained = true", 21, "Too short"),
    ],
)
async def test_a_mistake_is_told_with_its_line(rt: Runtime, written: str, instead: str, line: int, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        plan(rt, FILE.replace(written, instead))
    [problem] = caught.value.problems
    assert problem.line == line and words in str(problem)


async def test_a_sender_with_registrations_is_suspended_when_the_file_lets_go_of_it(rt: Runtime) -> None:
    await apply(rt, FILE)
    account = directory(rt).by_slug("acme")
    assert account is not None
    sender = book(rt).find(account.id, "Acme")
    assert sender is not None
    await senders.create_registration(
        rt, "test", account.id, sender_id=sender.id, country="IT", particulars=Particulars()
    )
    await apply(rt, '[[accounts]]\nslug = "acme"\nname = "Acme"\n', prune=True)
    assert [(one.address, one.status) for one in book(rt).of(account.id)] == [("Acme", "suspended")]
    assert not book(rt).pools and not book(rt).defaults and not book(rt).names.all
