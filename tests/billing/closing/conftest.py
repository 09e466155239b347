"""A month of October 2026 and somebody who is to pay for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chappe import accounts, ids
from chappe.billing import rating
from chappe.billing.closing import Month, Registered
from chappe.billing.closing import store as tables
from chappe.billing.ledger.store import ADD_ENTRIES, ADD_USAGE, BALANCES, MOVE
from chappe.clock import FakeClock
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Billing, Seller, Settings
from chappe.storage import migrate, sql
from tests.support.furnished import Furnished
from tests.support.postgres import Postgres, apart

OCTOBER = Month(2026, 10)
DAY_MS = 86_400_000
SELLER = Seller(
    name="Chappe Télécom SAS", address="12 rue de la Paix\n75002 Paris", country="FR", vat_id="FR12345678901"
)
LODZ = rating.Particulars(
    legal_name="Łódź Wiadomości / Связь",
    address=("ul. Piotrkowska 104", "90-926 Łódź"),
    country="PL",
    vat_id="PL7251234567",
)
PARIS = rating.Particulars(legal_name="Acme SARL", address=("1 rue de Rivoli", "75001 Paris"), country="FR")
assert tables.invoices.name == "invoices"

LEDGER = sql(
    "select kind, wallet, held, revenue, tax, reference from ledger_entries where account_id = :account_id order by id"
)


async def no_names(_account_id: int, _month: Month) -> list[Registered]:
    return []


class Town:
    """A node and its accounts. `count` is a day's usage of one, charged to its wallet as the pipeline does."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self._booked = 0

    def moment(self, day: int) -> int:
        """An id of about noon on that day."""
        self._booked += 1
        return ids.at(day * DAY_MS + DAY_MS // 2) + self._booked

    async def list(self, name: str = "prices", *, currency: str = "EUR", **more: Any) -> int:
        made = await rating.create_list(self.rt, "test", name=name, kind="customer", currency=currency, **more)
        return made.id

    async def account(
        self,
        slug: str,
        list_id: int,
        *,
        particulars: rating.Particulars = PARIS,
        currency: str = "EUR",
        credit_limit: int | None = None,
        **more: Any,
    ) -> int:
        account = await accounts.create_account(self.rt, "test", slug=slug, name=slug)
        await rating.create_terms(
            self.rt,
            "test",
            account.id,
            currency=currency,
            price_list_id=list_id,
            credit_limit=credit_limit,
            particulars=particulars,
            **more,
        )
        return account.id

    async def count(
        self,
        account_id: int,
        messages: int,
        charged: int,
        *,
        country: str = "FR",
        operator: str = "20801",
        purpose: str = "otp",
        day: int = OCTOBER.days.start,
        parts: int | None = None,
        delivered: int | None = None,
        currency: str = "EUR",
    ) -> None:
        counts = (messages, parts or messages, messages if delivered is None else delivered, 0, charged, 0)
        key = (day, account_id, "", country, operator, 1, 1, f"{purpose}{day}", purpose, currency, "")
        entry = (self.moment(day), account_id, currency, "settle", messages, -charged, 0, charged, 0, 0, 0, 0, None)
        await self.rt.store.write(
            ADD_USAGE([(*key, *counts)]), ADD_ENTRIES([entry]), MOVE([(account_id, -charged, 0)], expect=1)
        )

    async def entries(self, account_id: int) -> list[tuple[Any, ...]]:
        """(kind, wallet, held, revenue, tax, reference)"""
        return [tuple(row) for row in await self.rt.store.scan(LEDGER({"account_id": account_id}))]

    async def wallet(self, account_id: int) -> int:
        [(_, _, wallet, _, _)] = await self.rt.store.scan(BALANCES({"ids": [account_id]}))
        return int(wallet)

    async def check_books(self, account_id: int) -> None:
        """What the entries come to is in the wallet, and each of them balances."""
        entries = await self.entries(account_id)
        assert sum(entry[1] for entry in entries) == await self.wallet(account_id)
        assert all(entry[1] + entry[2] + entry[3] + entry[4] == 0 for entry in entries)


Open = Callable[..., Awaitable[Town]]


@pytest.fixture(scope="session")
def with_tables(postgres_server: Postgres) -> Iterator[Furnished]:
    with postgres_server.database() as template:
        apart(asyncio.to_thread(migrate.create_all, template))
        yield Furnished(postgres_server, template)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        lite = f"sqlite:///{tmp_path}/chappe.db"
        migrate.create_all(lite)
        yield lite
    else:
        with request.getfixturevalue("with_tables").database() as dsn:
            yield dsn


async def open_town(url: str, folder: Path, **billing: Any) -> Town:
    """A node on the fifth of November, or whenever its clock is put to."""
    settings = Settings(
        data_dir=folder, database=url, secret_key="test", billing=Billing(**{"seller": SELLER, **billing})
    )
    rt = await open_runtime(settings, clock=FakeClock(OCTOBER.starts))
    await accounts.start(rt)
    await rating.start(rt)
    return Town(rt)


@pytest.fixture
async def open_(url: str, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a node on the store; call it twice for two."""
    opened: list[Town] = []

    async def one(**billing: Any) -> Town:
        town = await open_town(url, tmp_path, **billing)
        opened.append(town)
        return town

    yield one
    for town in opened:
        await town.rt.close()


@pytest.fixture
async def town(open_: Open) -> Town:
    return await open_()


def november(town: Town) -> None:
    """The month is over, and its grace."""
    clock = town.rt.clock
    assert isinstance(clock, FakeClock)
    clock.advance((OCTOBER.ends + 4 * DAY_MS - clock.now()) / 1000)
