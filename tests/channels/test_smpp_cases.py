"""The case table of the SMPP channel, by the runner that all channels share."""

from __future__ import annotations

import pytest

from chappe.channels import CHANNELS, Verdict
from chappe.channels.settings import CHANNELS as SETTINGS
from chappe.channels.smpp.errors import StatusTable
from chappe.errors import DELIVERY
from chappe.smpp import status
from tests.channels.runner import Refusal, keeps_its_secrets, shows_refusal
from tests.channels.supplier import Supplier

REFUSALS = [
    Refusal(status.ESME_RSYSERR, "supplier_error", Verdict.RETRY, "0x00000008 ESME_RSYSERR", 2),
    Refusal(status.ESME_RSUBMITFAIL, "supplier_error", Verdict.RETRY, "0x00000045 ESME_RSUBMITFAIL", 3),
    Refusal(status.ESME_RTHROTTLED, "throttled", Verdict.THROTTLE, "0x00000058 ESME_RTHROTTLED"),
    Refusal(status.ESME_RMSGQFUL, "queue_full_supplier", Verdict.THROTTLE, "0x00000014 ESME_RMSGQFUL"),
    Refusal(status.ESME_RINVDSTADR, "destination_rejected", Verdict.PERMANENT, "0x0000000B ESME_RINVDSTADR"),
    Refusal(status.ESME_RINVSRCADR, "sender_rejected", Verdict.NEXT, "0x0000000A ESME_RINVSRCADR"),
    Refusal(status.ESME_RPROHIBITED, "supplier_rejected", Verdict.NEXT, "0x00000101 ESME_RPROHIBITED"),
    Refusal(status.ESME_RINVBNDSTS, "supplier_unreachable", Verdict.NEXT, "0x00000004 ESME_RINVBNDSTS"),
    Refusal(status.ESME_RINVESMCLASS, "supplier_rejected", Verdict.NEXT, "0x00000043 ESME_RINVESMCLASS"),
    Refusal(status.ESME_RX_P_APPN, "supplier_rejected", Verdict.PERMANENT, "0x00000065 ESME_RX_P_APPN"),
    Refusal(0x400, "supplier_error", Verdict.RETRY, "0x00000400", 3),
    Refusal(0xDEADBEEF, "supplier_error", Verdict.RETRY, "0xDEADBEEF", 3),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.supplier)
async def test_a_refusal_tells_the_dispatcher_what_to_do(supplier: Supplier, refusal: Refusal) -> None:
    await shows_refusal(supplier, refusal)


async def test_no_secret_is_ever_shown(supplier: Supplier) -> None:
    await keeps_its_secrets(supplier)


def test_every_status_has_a_code_of_the_catalogue_and_an_end() -> None:
    table = StatusTable({})
    for code in [*status.TABLE, 0x401, 0xFFFFFFFF]:
        error = table.error(code)
        assert error.code in DELIVERY
        assert error.supplier.startswith("0x")
        assert error.verdict is not Verdict.RETRY or error.tries


def test_a_flood_of_unknown_codes_takes_no_memory() -> None:
    table = StatusTable({})
    for code in range(0x10000, 0x10000 + 3000):
        assert table.error(code).supplier == f"0x{code:08X}"
    assert len(table._known) <= 1000


def test_every_channel_has_settings_and_a_way_to_open_it() -> None:
    assert CHANNELS.keys() == SETTINGS.keys()
