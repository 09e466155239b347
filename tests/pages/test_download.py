"""A recipient downloads what is kept of them, after a code has shown that the phone is theirs."""

from __future__ import annotations

import json

from chappe import accounts, privacy
from chappe.messages import Filter, listed
from chappe.pages import codes
from chappe.storage import sql
from tests.pages.conftest import ALICE, BOB, Page, Town, both, town

__all__ = ["both", "town"]


async def code_sent(town: Town, person: str = ALICE) -> str:
    """The code in the latest message that our side wrote to the phone."""
    messages = await listed(town.rt, Filter(town.account_ids["acme"], to=person))
    [latest, *_] = [one for one in messages if one.origin == "reply"]
    assert (latest.purpose, latest.sender) == ("otp", "Acme") and latest.text
    return latest.text[:6]


async def download(town: Town, page: Page, code: str) -> Page:
    return await town.press(page, "download", code=code)


async def test_who_has_the_phone_gets_all_that_is_kept_of_it(town: Town) -> None:
    page = await town.get(await town.sent(text="For Alice"))
    await town.sent(BOB, text="For Bob")
    assert "download" not in page.forms
    asked = await town.press(page, "send_code")
    assert "We have sent a code to +336 •••• 78" in asked.text
    code = await code_sent(town)
    file = await download(town, asked, f"{code[:3]} {code[3:]}")
    assert (file.status, file.headers["content-type"]) == (200, "application/json")
    assert file.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    assert file.headers["cache-control"] == "no-store"
    rows = json.loads(file.text)
    assert (rows[0]["kind"], rows[-1]["kind"]) == ("export", "end")
    assert [row["text"] for row in rows if row["kind"] == "message"].count("For Alice") == 1
    assert BOB not in file.text and "For Bob" not in file.text
    [looked] = await privacy.entries(town.rt, town.account_ids["acme"], person=ALICE)
    assert (looked.actor, looked.action) == ("recipient", "page")
    again = await download(town, asked, code)
    assert again.status == 422 and "wrong or too old" in again.text and 'aria-invalid="true"' in again.text


async def test_a_code_is_for_one_person_and_good_for_five_guesses(both: Town) -> None:
    town = both
    alice, bob = await town.get(await town.sent()), await town.get(await town.sent(BOB))
    asked = await town.press(alice, "send_code")
    await town.press(bob, "send_code")
    right = await code_sent(town)
    if await code_sent(town, BOB) != right:
        assert (await download(town, asked, await code_sent(town, BOB))).status == 422
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for code in (wrong, "", "abcdef", "１２３４５６", right + "0", wrong):
        assert (await download(town, asked, code)).status == 422
    assert (await download(town, asked, right)).status == 200, "what cannot be a code is no guess"
    asked = await town.press(asked, "send_code")
    for _ in range(codes.TRIES):
        await download(town, asked, wrong)
    assert (await download(town, asked, await code_sent(town))).status == 422


async def test_a_code_ends_with_its_time_and_with_the_next_one(town: Town) -> None:
    page = await town.get(await town.sent())
    asked = await town.press(page, "send_code")
    first = await code_sent(town)
    await town.press(page, "send_code")
    if await code_sent(town) != first:
        assert (await download(town, asked, first)).status == 422
    await town.rt.store.write(sql("update page_codes set expires_at = :now")({"now": town.rt.clock.now()}))
    assert (await download(town, asked, await code_sent(town))).status == 422


async def test_a_phone_gets_three_codes_a_day(town: Town) -> None:
    first, second = await town.sent(), await town.sent()
    for address in (first, second, first):
        assert "download" in (await town.press(await town.get(address), "send_code")).forms
    asked = await town.press(await town.get(second), "send_code")
    assert "as many codes as we may" in asked.text
    messages = await listed(town.rt, Filter(town.account_ids["acme"], to=ALICE))
    assert sum(one.origin == "reply" for one in messages) == codes.A_DAY
    await town.rt.store.write(sql("update page_codes set day = day - 1")())
    assert "download" in (await town.press(await town.get(second), "send_code")).forms
    await town.rt.store.write(sql("update page_codes set day = day - 1, expires_at = 1")())
    await codes.forget(town.rt)
    assert await town.rt.store.scan(sql("select * from page_codes")()) == []


async def test_the_code_comes_although_everything_is_stopped(town: Town) -> None:
    page = await town.get(await town.sent())
    asked = await town.press(await town.press(page, "stop_all"), "send_code")
    assert (await download(town, asked, await code_sent(town))).status == 200


async def test_a_code_that_cannot_be_sent_is_said_to_be(town: Town) -> None:
    page = await town.get(await town.sent())
    await accounts.update_account(town.rt, "test", town.account_ids["acme"], status="suspended")
    asked = await town.press(page, "send_code")
    assert "could not send a code" in asked.text and "download" not in asked.forms
