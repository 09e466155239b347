"""A recipient's page: who wrote and why, stop it, undo a slip. Anybody may knock at this door."""

from __future__ import annotations

import random
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from chappe import accounts, consent, ids, senders
from chappe.consent import Entry, Forbidden, Proof, links
from chappe.messages import State, query, store
from chappe.pages.opt_out import FORM_MS
from chappe.pages.seals import Done, Form, seal
from chappe.storage import Statement, Unavailable, sql
from tests.pages.conftest import ALICE, BOB, OTHER, Town, both, town
from tests.support.eventually import eventually

__all__ = ["both", "town"]

WORDS = "Customers of Shoes tick a box at https://shoes.example to get offers."
BRAND = senders.BrandDetails(
    entity_type="PRIVATE_PROFIT",
    display_name="Shoes",
    company_name="Shoes Inc.",
    ein="12-3456789",
    country="US",
    email="ops@shoes.example",
    vertical="RETAIL",
)
CAMPAIGN = senders.CampaignDetails(
    use_case="MARKETING", description=WORDS, message_flow=WORDS, samples=("Shoes: half price on all boots today.",)
)
TABLES = ("consent_entries", "consents", "suppressions", "page_codes")


async def counts(town: Town) -> list[int]:
    return [(await town.rt.store.scan(sql(f"select count(*) from {table}")()))[0][0] for table in TABLES]


async def entries(town: Town) -> list[consent.Said]:
    key = consent.persons(town.rt).key(town.account_ids["acme"], False, ALICE)
    return list((await consent.recall(town.rt, key)).entries)


def sealed(town: Town, address: str, value: Any) -> str:
    """As the page seals it."""
    message_id = links.read(links.secret_of(town.rt), address.rpartition("/")[2])
    assert message_id is not None
    return seal(town.rt.vault.key_for("page forms"), message_id, value)


async def test_the_page_tells_who_wrote_what_and_why_and_reading_it_changes_nothing(town: Town) -> None:
    await town.agreed()
    address = await town.sent(text="<b>Sale</b> & more. {opt_out_link}", purpose="marketing")
    before = await counts(town)
    page = await town.get(address)
    assert page.status == 200
    shown = unescape(page.text)
    for words in ("Messages from Acme", "+336 •••• 78", "Yes, send me <offers>.", "by a form", "Relay & Sons"):
        assert words in shown, words
    assert "<b>" not in page.text and "&lt;b&gt;Sale&lt;/b&gt; &amp; more" in page.text
    assert ALICE not in page.text, "who finds the link does not learn the number"
    async with town.browser.head(address) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    assert await counts(town) == before


async def test_the_link_that_stands_in_the_message_opens_its_page(town: Town) -> None:
    address = await town.sent(text="Your parcel is here. Stop: {opt_out_link}")
    message_id = links.read(links.secret_of(town.rt), address.rpartition("/")[2])
    text = (await query.get(town.rt, None, message_id or 0)).text or ""
    assert text == f"Your parcel is here. Stop: {address}"
    page = await town.get(text.rpartition(" ")[2])
    assert page.status == 200 and address in page.text


async def test_no_page_is_kept_indexed_framed_or_runs_a_script(town: Town) -> None:
    for page in (await town.get(await town.sent()), await town.get(f"{town.site}/o/{'x' * 19}")):
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ") and "script" not in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert "noindex" in page.headers["x-robots-tag"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in page.headers
        assert "<script" not in page.text and "http://" not in page.text and "https://" not in page.text


async def test_the_page_speaks_the_recipients_language(town: Town) -> None:
    address = await town.sent()
    assert (await town.get(address)).language == "en"
    french = await town.get(address, Accept_Language="fr-FR,fr;q=0.9,en;q=0.8")
    assert french.language == french.headers["content-language"] == "fr"
    assert "Arrêter les messages signés Acme" in french.text
    russian = await town.get(f"{address}?lang=ru", Accept_Language="fr")
    assert russian.language == "ru"
    assert (await town.press(russian, "stop_sender")).language == "ru"


async def test_messages_of_one_sender_are_stopped_and_others_go_on(both: Town) -> None:
    town = both
    await town.agreed()
    page = await town.get(await town.sent())
    done = await town.press(page, "stop_sender")
    assert done.status == 200 and "Done. You get no more messages sent as Acme." in done.text
    assert "stop_sender" not in done.forms and "stop_all" in done.forms
    assert await town.may() == await town.may(purpose="marketing") == "opted_out"
    assert await town.may(purpose="otp") is None
    assert await town.may(sender=OTHER) is await town.may(sender=OTHER, purpose="marketing") is None
    assert await town.may(BOB) is None
    assert await town.may(account="rival", sender="Rival") is None
    [entry, given] = await entries(town)
    assert (entry.event, entry.channel, entry.purpose, entry.brand, entry.source) == (
        "withdrawn",
        "sms",
        "marketing",
        "Acme",
        "page",
    )
    assert entry.proof is not None and given.event == "given"
    assert (entry.proof.wording, entry.proof.wording_version) == ("Stop messages sent as Acme", "en/1")
    message_id = links.read(links.secret_of(town.rt), page.address.rpartition("/")[2])
    assert (entry.proof.ip, entry.proof.reference) == ("127.0.0.1", ids.public("msg", message_id or 0))


async def test_everything_is_stopped_but_what_people_ask_for_themselves(town: Town) -> None:
    await town.agreed()
    done = await town.press(await town.get(await town.sent()), "stop_all")
    assert "Done. Acme no longer writes to you." in done.text
    assert not {"stop_all", "stop_sender"} & set(done.forms)
    assert "You get no messages from Acme" in (await town.get(done.address.partition("?")[0])).text
    for sender in ("Acme", OTHER):
        for purpose in ("marketing", "service", "transactional"):
            assert await town.may(sender=sender, purpose=purpose) == "opted_out"
    assert await town.may(purpose="otp") is None
    assert await town.may(account="rival", sender="Rival") is None


async def test_who_agreed_to_several_channels_may_stop_one(town: Town) -> None:
    await town.agreed(channel="email")
    page = await town.get(await town.sent())
    assert 'type="radio"' in page.text
    done = await town.press(page, "stop_all", channel="sms")
    assert "no longer sends you text messages" in done.text and "stop_all" in done.forms
    assert (await entries(town))[0].channel == "sms"
    done = await town.press(done, "stop_all", channel="any")
    assert (await entries(town))[0].channel == "any" and "stop_all" not in done.forms


async def test_what_waits_when_the_button_is_pressed_never_leaves(town: Town) -> None:
    address = await town.sent()
    link = town.links["main"]
    await eventually(lambda: len(link.taken) == 1)
    link.silent = True
    waiting = [await town.sent(text=f"Number {n}") for n in range(5)]
    await town.press(await town.get(address), "stop_all")
    link.silent = False
    town.pipeline.dispatcher.wake_all()
    for one in waiting:
        message_id = links.read(links.secret_of(town.rt), one.rpartition("/")[2])
        assert message_id is not None

        async def failed(which: int = message_id) -> bool:
            return (await query.get(town.rt, None, which)).state is State.FAILED

        await eventually(failed)
    assert len(link.taken) == 1


async def test_a_slip_is_undone_and_nothing_else_with_it(both: Town) -> None:
    town = both
    await town.agreed()
    earlier = Entry(town.account_ids["acme"], False, "withdrawn", "sms", "marketing", "keyword", 1, Proof(ALICE), "Old")
    recorded = consent.record(town.rt, [earlier], [[Forbidden("sender", OTHER, "all_but_otp")]])
    await town.rt.events.write(*recorded.ops, tell=recorded.events)
    address = await town.sent()
    for do in ("stop_sender", "stop_all", "stop_sender"):
        done = await town.press(await town.get(address), do)
        assert await town.may() == await town.may(purpose="marketing") == "opted_out"
        undone = await town.press(done, "undo")
        assert "Undone. Everything is as it was before." in undone.text and "stop_sender" in undone.forms
        assert await town.may() is await town.may(purpose="marketing") is None
        assert await town.may(sender=OTHER) == "opted_out", "they had refused that before"
        again = await town.press(done, "undo")
        assert again.status == 200
        assert "Done." not in (await town.get(done.address)).text, "it is no news any more"
    said = [(one.event, one.source, one.brand) for one in await entries(town)]
    assert said == [
        ("given", "page", "Acme"),
        ("withdrawn", "page", "Acme"),
        ("given", "page", ""),
        ("withdrawn", "page", ""),
        ("given", "page", "Acme"),
        ("withdrawn", "page", "Acme"),
        ("withdrawn", "keyword", "Old"),
        ("given", "form", ""),
    ]


async def test_an_undo_makes_nobody_agree_who_never_did(town: Town) -> None:
    address = await town.sent()
    for _ in range(2):
        await town.press(await town.press(await town.get(address), "stop_all"), "undo")
        assert await town.may() is None
        assert await town.may(purpose="marketing") == "consent_missing"


async def test_an_undo_makes_a_stricter_refusal_as_mild_as_it_was(town: Town) -> None:
    refused = Entry(town.account_ids["acme"], False, "withdrawn", "any", "marketing", "api", 1, Proof(ALICE))
    recorded = consent.record(town.rt, [refused])
    await town.rt.events.write(*recorded.ops, tell=recorded.events)
    done = await town.press(await town.get(await town.sent()), "stop_all")
    assert await town.may() == "opted_out"
    await town.press(done, "undo")
    assert (await town.may(), await town.may(purpose="marketing")) == (None, "opted_out")


async def test_after_ten_minutes_it_is_too_late_to_undo(town: Town) -> None:
    address = await town.sent()
    page = await town.get(address)
    await town.press(page, "stop_all")
    entry_id = (await entries(town))[0].id
    old = sealed(town, address, Done(town.rt.clock.now() - 601_000, "all", entry_id))
    late = await town.post(address, {"form": page.forms["stop_all"]["form"], "do": "undo", "said": old})
    assert "too late" in late.text
    assert await town.may() == "opted_out"


async def test_what_a_list_forbids_is_no_word_of_the_persons_own(town: Town) -> None:
    acme, now = town.account_ids["acme"], town.rt.clock.now()
    key = consent.persons(town.rt).key(acme, False, ALICE)
    for name, expires_at in (("", now + 86_400_000), ("L", None)):
        what = ("any", "account", "", "all", "list", "import", name, "")
        row = (town.rt.ids.next(), key, acme, 0, ALICE, *what, now, expires_at, None)
        await town.rt.store.write(*consent.suppress([row]))
    address = await town.sent(origin="reply")
    await town.press(await town.get(address), "stop_all")
    await town.rt.store.write(sql("delete from suppressions where reason = 'list'")())
    assert await town.may() == "opted_out", "the list is gone, and they still said stop"


async def test_pressing_twice_is_recorded_once(town: Town) -> None:
    page = await town.get(await town.sent())
    await town.press(page, "stop_all")
    before = await counts(town)
    assert "Done." in (await town.press(page, "stop_all")).text
    assert "Done." in (await town.press(page, "stop_sender")).text
    assert await counts(town) == before


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_one_click_stops_as_a_stop_by_message_does(town: Town, kind: str) -> None:
    await town.agreed()
    address = await town.sent()
    if kind == "urlencoded":
        page = await town.post(address, {"List-Unsubscribe": "One-Click"})
    else:
        body = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
        page = await town.post(address, body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert page.status == 200, "RFC 8058 wants no redirect"
    assert await town.may() == await town.may(purpose="marketing", sender=OTHER) == "opted_out"
    assert await town.may(sender=OTHER) is None
    assert (await entries(town))[0].source == "link"


async def test_a_form_that_is_not_of_this_page_changes_nothing(town: Town) -> None:
    address, other = await town.sent(), await town.sent(BOB)
    before = await counts(town)
    foreign = (await town.get(other)).forms["stop_all"]["form"]
    old = sealed(town, address, Form(town.rt.clock.now() - FORM_MS - 1))
    for form in ("", "x", foreign, old, sealed(town, address, Done(town.rt.clock.now(), "all"))):
        page = await town.post(address, {"form": form, "do": "stop_all"})
        assert page.status == 403 and "open for too long" in page.text
        assert page.forms["stop_all"]["form"], "with a new form, so that pressing again works"
    right = (await town.get(address)).forms["stop_all"]["form"]
    assert (await town.post(address, {"form": right, "do": "dance"})).status == 400
    assert (await town.post(address, {"form": right, "do": "stop_all", "x": "y" * 9_000})).status == 403
    assert await counts(town) == before


async def test_forged_links_ask_no_table_and_guessing_ends_soon(town: Town) -> None:
    token = (await town.sent()).rpartition("/")[2]
    asked: list[Statement] = []
    read = town.rt.store.read

    async def noted(op: Any) -> Any:
        asked.append(op.statement)
        return await read(op)

    town.rt.store.read = noted  # type: ignore[method-assign]
    statuses = []
    for n in range(20):
        forged = token[:n] + ("a" if token[n : n + 1] != "a" else "b") + token[n + 1 :]
        statuses.append((await town.get(f"{town.site}/o/{forged}")).status)
    assert statuses[:10] == [404] * 10 and statuses[-1] == 429
    assert not [one for one in asked if one.name in ("kept link", "entries of a person") or one is store.GET]
    assert (await town.get(f"{town.site}/o/{token}")).status == 200, "who has a link is not held up by who guesses"


async def test_a_link_that_is_loaded_all_the_time_has_to_wait(town: Town) -> None:
    address = await town.sent()
    pages = [await town.get(address) for _ in range(40)]
    assert pages[0].status == 200 and pages[-1].status == 429
    assert int(pages[-1].headers["retry-after"]) >= 1


async def forget_message(town: Town, address: str, sent_at: int | None = None) -> int:
    """As retention deletes it."""
    message_id = links.read(links.secret_of(town.rt), address.rpartition("/")[2])
    assert message_id is not None

    async def settled() -> bool:
        return (await query.get(town.rt, None, message_id)).state is State.DELIVERED

    await eventually(settled)
    message = await query.get(town.rt, None, message_id)
    row = (message.id, message.account_id, message.test, message.recipient, message.sender)
    ops = consent.keep_links(town.rt, [(*row, sent_at or town.rt.clock.now())])
    await town.rt.store.write(*ops, store.DELETE_MESSAGES([(message_id,)]))
    return message_id


async def test_a_link_works_after_its_message_is_deleted(both: Town) -> None:
    town = both
    address = await town.sent(text="Secret")
    message_id = await forget_message(town, address)
    [row] = await town.rt.store.scan(sql("select * from consent_links")())
    assert not any("336" in str(value) for value in row if not isinstance(value, int)), "no number is kept for it"
    page = await town.get(address)
    assert "The message itself is deleted." in page.text and "Secret" not in page.text
    assert "send_code" not in page.forms
    done = await town.press(page, "stop_all")
    assert "Done. Acme no longer writes to you." in done.text
    assert await town.may() == await town.may(sender=OTHER) == "opted_out"
    await town.press(done, "undo")
    assert await town.may() is None
    await town.post(address, {"List-Unsubscribe": "One-Click"})
    assert await town.may() == "opted_out"
    assert await town.may(BOB) is None
    await town.rt.store.write(sql("update consent_links set until = 1")())
    await consent.forget_links(town.rt)
    assert await consent.kept_link(town.rt, message_id) is None
    old = await town.get(address)
    assert old.status == 410 and "too old" in old.text


async def test_links_are_kept_sixty_days_from_when_the_message_was_sent(town: Town) -> None:
    day = 86_400_000
    now = town.rt.clock.now()
    assert (await town.get(await town.sent())).status == 200
    recent, old = await town.sent(), await town.sent()
    await forget_message(town, recent, now - 59 * day)
    await forget_message(town, old, now - 61 * day)
    assert ((await town.get(recent)).status, (await town.get(old)).status) == (200, 410)
    assert consent.keep_links(town.rt, [(1, 1, 0, ALICE, "Acme", None)]) == [], "it was never sent"


async def test_who_was_forgotten_still_stops_messages(town: Town) -> None:
    address = await town.sent()
    key = consent.persons(town.rt).key(town.account_ids["acme"], False, ALICE)
    gone = f"{consent.GONE_PREFIX}{key & (1 << 64) - 1:016x}"
    await town.rt.store.write(sql("update messages set recipient = :gone")({"gone": gone}))
    assert consent.key_of_gone(gone) == key
    page = await town.get(address)
    assert page.status == 200 and gone[-16:] not in page.text
    await town.press(page, "stop_all")
    assert await town.may() == "opted_out"


async def test_test_messages_and_live_ones_are_apart(town: Town) -> None:
    page = await town.get(await town.sent(test=True))
    assert "test message" in page.text
    await town.press(page, "stop_all")
    assert await town.may(test=True) == "opted_out"
    assert await town.may() is None


async def test_a_brand_is_stopped_with_its_sender_however_its_number_is_written(town: Town) -> None:
    acme = town.account_ids["acme"]
    await senders.create_brand(town.rt, "test", acme, reference="shoes", details=BRAND)
    made = await senders.create_campaign(town.rt, "test", acme, brand="shoes", reference="offers", details=CAMPAIGN)
    await senders.create_sender(town.rt, "test", acme, address="+12025550123", campaign_id=made.id)
    address = await town.sent()
    await town.rt.store.write(sql("update messages set sender = '+12025550123'")())
    await town.press(await town.get(address), "stop_sender")
    assert (await entries(town))[0].brand == "Shoes"
    scopes = await town.rt.store.scan(sql("select scope, value, covers from suppressions order by scope")())
    assert [tuple(row) for row in scopes] == [("brand", "Shoes", "marketing"), ("sender", "12025550123", "all_but_otp")]


async def test_whatever_is_sent_to_the_door_it_answers_and_records_nothing(town: Town) -> None:
    address = await town.sent()
    before, dice = await counts(town), random.Random(5)
    seal_ = (await town.get(address)).forms["stop_all"]["form"]
    names = ["form", "do", "said", "code", "channel", "List-Unsubscribe", "lang", "\x00", "é" * 9]
    values = ["", "undo", "download", "send_codes", "One-Clic", "123456", "\ud7ff\x00\n", "x" * 3_000, "[]", "A" * 30]
    kinds = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json", "", "x"]
    for n in range(150):
        address = address if n % 25 else await town.sent()  # each link may be used so often only
        if n % 3:
            form = urlencode({dice.choice(names): dice.choice(values) for _ in range(4)}).encode()
            where = f"{address}?{urlencode({'said': dice.choice(values), 'lang': dice.choice(names)})}"
            page = await town.post(where, form, headers={"Content-Type": kinds[0]})
        else:
            body = dice.randbytes(dice.randrange(300)) + dice.choice([b"", seal_.encode(), b"&" * 200])
            page = await town.post(address, body, headers={"Content-Type": dice.choice(kinds)})
        assert page.status in (200, 303, 400, 403, 422), (n, page.status, page.text[:200])
        assert page.status != 200 or "stop_all" in page.forms
    for path in ("%ff", "..%2f..", "\u202e", "x" * 5_000, "%00", "x/y"):
        status = (await town.get(f"{town.site}/o/{path}")).status
        assert status in (404, 429), (path, status)
    assert await counts(town) == before


async def test_the_name_of_an_account_that_is_gone_is_that_of_the_sender(town: Town) -> None:
    address = await town.sent()
    await accounts.update_account(town.rt, "test", town.account_ids["acme"], name="Acme & <Co>")
    page = await town.get(address)
    assert "Acme &amp; &lt;Co&gt;" in page.text and "<Co>" not in page.text
    await town.rt.store.write(sql("update messages set account_id = 4711")())
    assert "Messages from Acme<" in (await town.get(address)).text


async def test_while_the_store_is_away_nothing_is_said_to_be_done(town: Town) -> None:
    address = await town.sent()
    page = await town.get(address)

    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("the store is away")

    town.rt.store.write = away  # type: ignore[method-assign]
    try:
        failed = await town.press(page, "stop_all")
    finally:
        del town.rt.store.write
    assert failed.status == 503 and "Nothing was changed" in failed.text and failed.headers["retry-after"]
    assert await town.may() is None
