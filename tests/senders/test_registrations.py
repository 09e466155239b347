from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe import senders
from chappe.accounts import Account
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.senders import Fees, Particulars, Registration, book, check
from chappe.senders.registrations import VERBS, moved
from chappe.settings import Senders as SendersSettings
from tests.accounts.runtime import start

DAY = 86_400_000
PDF = b"%PDF-1.7\n" + bytes(range(256))
COMPANY = Particulars(company="Acme SARL", tax_id="FR40303265045")


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def draft(rt: Runtime, account: Account, country: str = "IT", **more: Any) -> Registration:
    known = book(rt).find(account.id, "Acme")
    sender = known or await senders.create_sender(rt, "owner", account.id, address="Acme")
    return await senders.create_registration(
        rt, "owner", account.id, sender_id=sender.id, country=country, particulars=COMPANY, **more
    )


async def approved(rt: Runtime, account: Account, country: str = "IT", *, until: int | None = None) -> Registration:
    made = await draft(rt, account, country)
    await senders.submit(rt, "owner", account.id, made.id)
    return await senders.approve(rt, "staff", made.id, valid_until=until)


def may(rt: Runtime, account: Account, country: str = "IT", *, at: int = 0) -> bool:
    return check(book(rt), account, "Acme", country, rt.clock.now() + at) is None


async def test_a_sender_may_be_used_from_its_approval_on(
    rt: Runtime, acme: Account, tmp_path: Path, store_url: str
) -> None:
    made = await draft(rt, acme)
    assert not may(rt, acme)
    await senders.submit(rt, "owner", acme.id, made.id)
    await senders.review(rt, "staff", made.id)
    assert not may(rt, acme)
    done = await senders.approve(rt, "staff", made.id, reference="AGCOM-1", fees=Fees(25_000_000, 5_000_000, "EUR"))
    assert (done.state, done.reference, done.fees) == ("approved", "AGCOM-1", Fees(25_000_000, 5_000_000, "EUR"))
    assert may(rt, acme) and not may(rt, acme, "ES")
    node = await start(store_url, tmp_path)
    assert book(node).registrations[made.id] == done and may(node, acme)
    await node.close()
    await senders.suspend(rt, "staff", made.id, "complaints")
    assert not may(rt, acme)
    await senders.resume(rt, "staff", made.id)
    assert may(rt, acme)
    await senders.withdraw(rt, "owner", acme.id, made.id)
    assert not may(rt, acme)
    history = await senders.history(rt, made)
    assert [(step.actor, step.action) for step in history] == [
        ("owner", "create"),
        ("owner", "submit"),
        ("staff", "review"),
        ("staff", "approve"),
        ("staff", "suspend"),
        ("staff", "resume"),
        ("owner", "withdraw"),
    ]
    assert history[4].after["reason"] == "complaints" and history[4].before["state"] == "approved"


async def test_a_rejected_one_is_mended_and_handed_in_again(rt: Runtime, acme: Account) -> None:
    made = await draft(rt, acme)
    await senders.submit(rt, "owner", acme.id, made.id)
    error = await refused(senders.update_registration(rt, "owner", acme.id, made.id, Particulars()))
    assert (error.code, error.status) == ("sender_registration_state", 409)
    told = await senders.reject(rt, "staff", made.id, "The tax id is another company's.")
    assert (told.state, told.reason) == ("rejected", "The tax id is another company's.")
    await senders.update_registration(rt, "owner", acme.id, made.id, Particulars(company="Acme", tax_id="IT1"))
    again = await senders.submit(rt, "owner", acme.id, made.id)
    assert (again.state, again.reason) == ("submitted", None)


async def test_what_the_register_asks_for_must_be_there(rt: Runtime, acme: Account) -> None:
    made = await draft(rt, acme, "IN")
    sender = await senders.create_sender(rt, "owner", acme.id, address="ACMEIN")
    header = await senders.create_registration(rt, "owner", acme.id, sender_id=sender.id, country="IN")
    for registration in (made, header):
        error = await refused(senders.submit(rt, "owner", acme.id, registration.id))
        assert (error.code, error.param) == ("missing_field", "particulars.dlt_entity_id")
    bad = senders.update_registration(rt, "owner", acme.id, header.id, Particulars(dlt_entity_id="12"))
    assert (await refused(bad)).param == "particulars.dlt_entity_id"
    await senders.update_registration(rt, "owner", acme.id, header.id, Particulars(dlt_entity_id="1" * 19))
    assert (await senders.submit(rt, "owner", acme.id, header.id)).state == "submitted"


async def test_an_operator_s_registration_is_for_that_operator(rt: Runtime, acme: Account) -> None:
    made = await draft(rt, acme, operator="22201")
    await senders.submit(rt, "owner", acme.id, made.id)
    await senders.approve(rt, "staff", made.id)
    now = rt.clock.now()
    found = {
        operator: [one.code for one in senders.findings(book(rt), acme, "Acme", "IT", now, operator=operator)]
        for operator in (None, "22201", "22210")
    }
    assert found == {None: [], "22201": [], "22210": ["sender_not_registered"]}
    error = await refused(draft(rt, acme, operator="22201"))
    assert error.code == "duplicate_name"
    assert (await refused(draft(rt, acme, operator="TIM"))).param == "operator"


async def test_an_approval_ends_on_its_day_and_is_warned_of_before(rt: Runtime, acme: Account) -> None:
    now = rt.clock.now()
    ending = await approved(rt, acme, until=now + 20 * DAY)
    far = await approved(rt, acme, "IE", until=now + 300 * DAY)
    assert may(rt, acme) and not may(rt, acme, at=20 * DAY)
    for _ in range(2):
        await senders.watch_expiry(rt)
    history = [step.action for step in await senders.history(rt, ending)]
    assert history.count("warn of expiry") == 1 and book(rt).registrations[far.id].warned_at is None
    rt.clock.now = lambda: now + 21 * DAY  # type: ignore[method-assign]
    await senders.watch_expiry(rt)
    assert book(rt).registrations[ending.id].state == "expired"
    await senders.submit(rt, "owner", acme.id, ending.id)
    again = await senders.approve(rt, "staff", ending.id, valid_until=now + 400 * DAY)
    assert (again.state, again.warned_at) == ("approved", None)
    assert (await refused(approved(rt, acme, "ES", until=now - DAY))).param == "valid_until"


async def test_of_two_who_decide_at_once_one_is_told_so(rt: Runtime, acme: Account) -> None:
    made = await draft(rt, acme)
    await senders.submit(rt, "owner", acme.id, made.id)
    done = await asyncio.gather(
        senders.approve(rt, "ann", made.id), senders.reject(rt, "bob", made.id, "no"), return_exceptions=True
    )
    errors = [one.code for one in done if isinstance(one, Refused)]
    assert errors == ["conflict"]
    [state] = [one.state for one in done if isinstance(one, Registration)]
    assert book(rt).registrations[made.id].state == state


async def test_who_hands_in_does_not_approve_where_two_must_decide(rt: Runtime, acme: Account) -> None:
    rt.settings.senders = SendersSettings(four_eyes=True)
    made = await draft(rt, acme)
    await senders.submit(rt, "ann", acme.id, made.id)
    assert (await refused(senders.approve(rt, "ann", made.id))).code == "scope_missing"
    assert (await senders.approve(rt, "bob", made.id)).state == "approved"


async def test_documents_are_kept_apart_and_read_back(
    rt: Runtime, acme: Account, store_url: str, tmp_path: Path
) -> None:
    made = await draft(rt, acme)
    paper = await senders.add_document(
        rt, "owner", acme.id, made.id, name="letter.pdf", media_type="application/pdf", content=PDF
    )
    assert (await senders.read_document(rt, paper.id, acme.id))[1] == PDF
    assert book(rt).documents[paper.id].content == b""
    node = await start(store_url, tmp_path)
    assert (await senders.read_document(node, paper.id))[1] == PDF
    await node.close()
    audit = [entry for entry in await _audit(rt, acme) if entry.kind == "sender_document"]
    assert audit[0].after is not None and audit[0].after["content"] == "***"
    await senders.submit(rt, "owner", acme.id, made.id)
    late = senders.add_document(rt, "owner", acme.id, made.id, name="b", media_type="application/pdf", content=PDF)
    assert (await refused(late)).code == "sender_registration_state"
    await senders.withdraw(rt, "owner", acme.id, made.id)
    await senders.delete_registration(rt, "owner", acme.id, made.id)
    assert (await refused(senders.read_document(rt, paper.id, acme.id))).code == "not_found"


async def test_a_paper_that_is_too_large_or_something_else_is_refused(rt: Runtime, acme: Account) -> None:
    made = await draft(rt, acme)
    for media_type, content, param in (
        ("text/html", b"<script>", "media_type"),
        ("application/pdf", b"<script>", "content"),
        ("application/pdf", b"", "content"),
        ("image/png", PDF, "content"),
        ("application/pdf", b"%PDF-" + bytes(senders.MAX_DOCUMENT), "content"),
    ):
        work = senders.add_document(rt, "owner", acme.id, made.id, name="x", media_type=media_type, content=content)
        error = await refused(work)
        assert (error.code, error.param) == ("invalid_value", param)
    path = senders.add_document(rt, "owner", acme.id, made.id, name="../x", media_type="application/pdf", content=PDF)
    assert (await refused(path)).param == "name"


async def test_a_registration_is_its_owner_s(rt: Runtime, acme: Account, other: Account) -> None:
    made = await draft(rt, acme)
    paper = await senders.add_document(
        rt, "owner", acme.id, made.id, name="a", media_type="application/pdf", content=PDF
    )
    for work in (
        senders.update_registration(rt, "x", other.id, made.id, Particulars()),
        senders.submit(rt, "x", other.id, made.id),
        senders.withdraw(rt, "x", other.id, made.id),
        senders.delete_registration(rt, "x", other.id, made.id),
        senders.read_document(rt, paper.id, other.id),
        senders.delete_document(rt, "x", other.id, paper.id),
        senders.add_document(rt, "x", other.id, made.id, name="a", media_type="application/pdf", content=PDF),
        senders.create_registration(rt, "x", other.id, sender_id=made.sender_id, country="ES"),
    ):
        assert (await refused(work)).code == "not_found"
    assert (await refused(senders.delete_sender(rt, "owner", acme.id, made.sender_id))).code == "in_use"


@given(st.lists(st.sampled_from(sorted(VERBS)), max_size=30))
def test_nothing_is_approved_that_was_not_handed_in(verbs: list[str]) -> None:
    """Whatever is tried in whatever order."""
    state, handed_in = "draft", False
    for verb in verbs:
        try:
            state = moved(state, verb)  # type: ignore[arg-type]
        except Refused as error:
            assert error.code == "sender_registration_state"
            continue
        handed_in = (handed_in or verb == "submit") and verb not in ("withdraw", "reject", "expire")
        assert state != "approved" or handed_in


async def _audit(rt: Runtime, account: Account) -> list[Any]:
    from chappe.accounts import audit_entries

    return list(await audit_entries(rt, account.id))
