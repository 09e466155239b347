"""The page in a real browser: on a phone and a desk, light and dark, by keyboard, without script.

`PAGE_SHOTS=FOLDER` keeps a picture of every state, to be looked at.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.pages.conftest import Town, town
from tests.pages.test_download import code_sent
from tests.support.browser import chromium

__all__ = ["town"]

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SHOTS = os.environ.get("PAGE_SHOTS")
MARKETING = "Black week at Acme: -30% on everything until Sunday. Stop: {opt_out_link}"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


async def opened(browser: Browser, **how: Any) -> BrowserContext:
    return await browser.new_context(**{"viewport": PHONE, "locale": "en-GB", "java_script_enabled": False, **how})


async def accessible(page: Page) -> None:
    """By axe-core's rules, WCAG 2.2 AA and best practices among them."""
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nobody scrolls sideways"
    small = await page.evaluate(
        """[...document.querySelectorAll('button, a, input:not([type=hidden]), label.choice')]
        .filter(one => one.closest('label.choice') === null || one.matches('label.choice'))
        .filter(one => one.getBoundingClientRect().height < 44).map(one => one.outerHTML)"""
    )
    assert small == [], "fingers need 44 pixels"


async def test_somebody_stops_undoes_and_stops_again_without_script(town: Town, browser: Browser) -> None:
    await town.agreed(wording="Yes, Acme may send me offers by SMS. I can stop at any time.")
    address = await town.sent(text=MARKETING, purpose="marketing")
    page = await (await opened(browser)).new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(address)
    assert await page.title() == "Messages from Acme"
    await page.get_by_role("button", name="Stop messages sent as Acme").click()
    assert "Done." in await page.get_by_role("status").inner_text()
    assert await town.may() == "opted_out"
    await page.reload()
    await page.get_by_role("button", name="Undo: I still want these messages").click()
    assert await town.may() is None
    await page.go_back()
    await page.goto(address)
    await page.get_by_role("button", name="Stop everything from Acme").click()
    assert await town.may() == "opted_out"
    await page.get_by_role("link", name="Русский").click()
    assert "Готово" in await page.get_by_role("status").inner_text(), "the news is kept in the other language"
    assert all(url.startswith((town.site, "data:")) for url in requests), requests


async def test_all_that_is_kept_is_downloaded_with_a_code(town: Town, browser: Browser) -> None:
    page = await (await opened(browser, accept_downloads=True)).new_page()
    await page.goto(await town.sent(text=MARKETING))
    await page.get_by_role("button", name="Send me a code").click()
    field = page.get_by_label("Code from the text message")
    await field.fill("000000" if await code_sent(town) != "000000" else "111111")
    await page.keyboard.press("Enter")
    assert "wrong or too old" in await page.get_by_role("alert").inner_text()
    await field.fill(await code_sent(town))
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download my data").click()
    download = await waiting.value
    assert download.suggested_filename == "my-data.json"
    assert MARKETING.partition("{")[0] in (await asyncio.to_thread((await download.path()).read_text))


async def test_the_keyboard_leads_through_in_reading_order(town: Town, browser: Browser) -> None:
    page = await (await opened(browser, java_script_enabled=True)).new_page()
    await page.goto(await town.sent())
    order = []
    for _ in range(5):
        await page.keyboard.press("Tab")
        order.append(await page.evaluate("document.activeElement.innerText"))
        ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring != "none", "who uses keys sees where they are"
    assert order == ["Stop messages sent as Acme", "Stop everything from Acme", "Send me a code", "Français", "Русский"]


@pytest.mark.parametrize(
    ("size", "viewport", "scheme", "languages"),
    [
        ("phone", PHONE, "light", ("en", "fr", "ru")),
        ("phone", PHONE, "dark", ("fr",)),
        ("desk", DESK, "light", ("ru",)),
        ("desk", DESK, "dark", ("fr",)),
        ("tiny", {"width": 320, "height": 568}, "light", ("ru",)),
    ],
)
async def test_the_page_fits_and_is_accessible(
    town: Town, browser: Browser, size: str, viewport: dict[str, int], scheme: str, languages: tuple[str, ...]
) -> None:
    await town.agreed(wording="Yes, Acme may send me offers by SMS. I can stop at any time.")
    await town.agreed(channel="email")
    address = await town.sent(text=MARKETING, purpose="marketing")
    for language in languages:
        context = await opened(
            browser, viewport=viewport, color_scheme=scheme, java_script_enabled=True, bypass_csp=True
        )
        page = await context.new_page()
        await page.goto(f"{address}?lang={language}")
        await accessible(page)
        await shot(page, f"{size}-{scheme}-{language}-1")
        if language == "fr":
            await page.locator("button").nth(0).click()
            await accessible(page)
            await shot(page, f"{size}-{scheme}-{language}-2-stopped")
            await page.locator("button").first.click()  # undo
            await page.locator("form:has(input[value=send_code]) button").click()
            await page.get_by_label("Code").fill("1")
            await page.locator("form:has(input[value=download]) button").click()
            await accessible(page)
            await shot(page, f"{size}-{scheme}-{language}-3-code")
            await page.goto(f"{town.site}/o/unknown?lang={language}")
            await accessible(page)
            await shot(page, f"{size}-{scheme}-{language}-4-unknown")
        await context.close()
