"""Each magic number over TCP: what the submit is answered, what comes back."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import pytest

from chappe import text
from chappe.sandbox.behaviour import TABLE
from chappe.smpp import Dialect, Pdu, receipt, status, tlv
from chappe.smpp.receipt import IdMode
from chappe.text import StoredPart

NUMBERS = {row.name: f"336125550{row.number:02}" for row in TABLE}
assert all(len(number) == 11 for number in NUMBERS.values())


class Fate(NamedTuple):
    """What a customer meets who sends again until the message is accepted: statuses, then states with their err."""

    statuses: tuple[int | str, ...] = (0,)
    states: tuple[str, ...] = ("DELIVERED",)
    err: str = "000"


PLAIN = Fate()
FATES = {
    "delivered": PLAIN,
    "absent": Fate(states=("UNDELIVERABLE",), err="060"),
    "unknown_subscriber": Fate(states=("UNDELIVERABLE",), err="001"),
    "barred": Fate(states=("UNDELIVERABLE",), err="013"),
    "memory_full": Fate(states=("UNDELIVERABLE",), err="040"),
    "busy": Fate(states=("UNDELIVERABLE",), err="031"),
    "expired": Fate(states=("EXPIRED",), err="060"),
    "deleted": Fate(states=("DELETED",)),
    "rejected": Fate(states=("REJECTED",), err="069"),
    "accepted_then_delivered": Fate(states=("ACCEPTED", "DELIVERED")),
    "enroute_then_delivered": Fate(states=("ENROUTE", "DELIVERED")),
    "expired_then_delivered": Fate(states=("EXPIRED", "DELIVERED"), err="060"),
    "undelivered_then_delivered": Fate(states=("UNDELIVERABLE", "DELIVERED"), err="060"),
    "accepted_only": Fate(states=("ACCEPTED",)),
    "unknown_state": Fate(states=("UNKNOWN",)),
    "no_receipt": Fate(states=()),
    "late_receipt": PLAIN,
    "duplicate_receipts": Fate(states=("DELIVERED",) * 3),
    "receipt_before_response": PLAIN,
    "receipt_hex": PLAIN,
    "receipt_decimal": PLAIN,
    "receipt_padded": PLAIN,
    "receipt_upper": PLAIN,
    "receipt_text": PLAIN,
    "receipt_tlvs": PLAIN,
    "receipt_payload": PLAIN,
    "receipt_reordered": PLAIN,
    "receipt_broken": PLAIN,
    "receipt_garbage": Fate(states=("UNKNOWN",)),
    "receipt_as_mo": Fate(states=()),
    "receipt_as_submitted": PLAIN,
    "invalid_destination": Fate((status.ESME_RINVDSTADR,), ()),
    "invalid_sender": Fate((status.ESME_RINVSRCADR,), ()),
    "throttled": Fate((status.ESME_RTHROTTLED,) * 3 + (0,)),
    "queue_full": Fate((status.ESME_RMSGQFUL,) * 2 + (0,)),
    "system_error": Fate((status.ESME_RSYSERR,) * 2 + (0,)),
    "system_error_always": Fate((status.ESME_RSYSERR,) * 4, ()),
    "throttled_always": Fate((status.ESME_RTHROTTLED,) * 4, ()),
    "submit_failed": Fate((status.ESME_RSUBMITFAIL,) * 4, ()),
    "vendor_error": Fate((0x401,) * 4, ()),
    "prohibited": Fate((status.ESME_RPROHIBITED,), ()),
    "no_response": Fate(("silence",)),
    "no_response_lost": Fate(("silence", 0)),
    "drop_before": Fate(("drop", 0)),
    "drop_after": Fate(("drop",)),
    "slow_response": PLAIN,
    "empty_id": Fate(states=()),
    "echo": PLAIN,
    "stop": PLAIN,
    "long_reply": PLAIN,
    "long_reply_with_gap": PLAIN,
    "emoji_reply": PLAIN,
    "latin1_reply": PLAIN,
}


def test_every_magic_number_has_a_fate_here():
    assert list(FATES) == [row.name for row in TABLE]
    assert len({row.number for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("name", FATES)
async def test_a_message_to_a_magic_number_meets_its_fate(name: str, operator: Any, customer: Any):
    fate, to, started = FATES[name], NUMBERS[name], time.monotonic()
    for expected in fate.statuses:
        answer = customer.send(to, b"Fate")
        if expected == "silence":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(answer), 0.3)
            continue
        response = await asyncio.wait_for(answer, 20)
        if expected == "drop":
            assert response is None, "the connection was to be lost"
            await customer.bind()
        else:
            assert response.command_status == expected
    await customer.until(lambda: len(customer.receipts) >= len(fate.states))
    await asyncio.sleep(0.05)  # for what must not come
    if name == "slow_response":
        assert time.monotonic() - started >= 2 and customer.order == ["response", "delivery"]
    assert tuple(found.state.name for found in customer.receipts) == fate.states
    if name not in ("receipt_garbage", "receipt_broken"):  # their text says no err
        errors = [
            found.err for found in customer.receipts if found.state.name not in ("DELIVERED", "ACCEPTED", "ENROUTE")
        ]
        assert all(err == fate.err for err in errors)
    submits = (await operator.get(f"/submits?to={to}&system_id={customer.system_id}"))["data"]
    assert len(submits) == len(fate.statuses)
    assert {submit["behaviour"] for submit in submits} == {name}


async def one(customer: Any, name: str, count: int = 1, **fields: Any) -> tuple[Pdu, list[Pdu]]:
    """The submit response and the deliveries that follow it."""
    response = await customer.send(NUMBERS[name], b"What a day", **fields)
    await customer.until(lambda: len(customer.deliveries) >= count)
    return response, customer.deliveries


async def test_any_other_number_is_delivered_to_its_phone(operator: Any, customer: Any):
    response, _ = await customer.send("33612000017", b"Hello"), await customer.until(lambda: customer.receipts)
    found = customer.receipts[0]
    assert (found.id, found.state.name, found.err) == (response.fields["message_id"], "DELIVERED", "000")
    assert (found.sub, found.dlvrd, found.text) == (1, 1, "Hello")
    pdu = customer.deliveries[0]
    assert (pdu.fields["source_addr"], pdu.fields["destination_addr"]) == ("33612000017", "Acme")
    page = await operator.get("/messages?to=33612000017")
    assert [item["text"] for item in page["data"]] == ["Hello"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (0, []),
        (1, ["delivered", "absent"]),
        (2, ["absent"]),
        (3, ["delivered"]),
    ],
)
async def test_receipts_come_as_registered_delivery_asks(asked: int, names: list[str], customer: Any):
    for name in ("delivered", "absent"):
        await customer.send(NUMBERS[name], registered_delivery=asked)
    await customer.until(lambda: len(customer.deliveries) >= len(names))
    await asyncio.sleep(0.15)
    assert sorted(pdu.fields["source_addr"] for pdu in customer.deliveries) == sorted(NUMBERS[name] for name in names)


async def test_an_expired_message_waits_for_its_validity(operator: Any, customer: Any):
    await operator.post("/scenario", "max_validity_s = 1.5")

    async def expires_after(validity: str) -> float:
        customer.deliveries.clear()
        started = time.monotonic()
        await customer.send(NUMBERS["expired"], validity_period=validity)
        await customer.until(lambda: customer.receipts)
        return time.monotonic() - started

    assert await expires_after("000000000000000R") < 1.4  # it was over at once
    assert await expires_after("000007000000000R") >= 1.5  # a week is cut to max_validity_s


async def test_a_receipt_can_come_before_the_response(customer: Any):
    await one(customer, "receipt_before_response")
    assert customer.order == ["delivery", "response"]


async def test_a_late_receipt_is_late(customer: Any):
    started = asyncio.get_running_loop().time()
    await one(customer, "late_receipt")
    assert asyncio.get_running_loop().time() - started >= 0.4


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("receipt_hex", Dialect(id_mode=IdMode.RESP_DEC_RECEIPT_HEX)),
        ("receipt_decimal", Dialect(id_mode=IdMode.RESP_HEX_RECEIPT_DEC)),
        ("receipt_padded", Dialect()),
        ("receipt_upper", Dialect()),
    ],
)
async def test_ids_differ_but_mean_the_same(name: str, dialect: Dialect, customer: Any):
    response, deliveries = await one(customer, name)
    submitted, reported = response.fields["message_id"], receipt.from_pdu(deliveries[0]).id
    assert submitted != reported
    assert receipt.normalise_id(submitted, "response", dialect) == receipt.normalise_id(reported, "receipt", dialect)


@pytest.mark.parametrize(
    ("name", "text_begins", "tlvs"),
    [
        ("delivered", b"id:", {tlv.RECEIPTED_MESSAGE_ID, tlv.MESSAGE_STATE}),
        ("absent", b"id:", {tlv.RECEIPTED_MESSAGE_ID, tlv.MESSAGE_STATE, tlv.NETWORK_ERROR_CODE}),
        ("receipt_text", b"id:", set()),
        ("receipt_tlvs", b"", {tlv.RECEIPTED_MESSAGE_ID, tlv.MESSAGE_STATE}),
        ("receipt_payload", b"", {tlv.MESSAGE_PAYLOAD}),
        ("receipt_reordered", b"STAT:DELIVRD ID:", set()),
        ("receipt_broken", b"id:", {tlv.RECEIPTED_MESSAGE_ID, tlv.MESSAGE_STATE}),
        ("receipt_garbage", b"DLR \x00\xff", set()),
        ("receipt_as_mo", b"id:", set()),
    ],
)
async def test_receipts_have_the_form_that_was_asked_for(name: str, text_begins: bytes, tlvs: set[int], customer: Any):
    response, deliveries = await one(customer, name)
    pdu = deliveries[0]
    words = pdu.fields["short_message"]
    assert words.startswith(text_begins) and bool(words) == bool(text_begins)
    assert {tag for tag, _ in pdu.tlvs} == tlvs
    assert pdu.fields["esm_class"] == (0 if name == "receipt_as_mo" else 4)
    if name == "absent":
        assert pdu.tlv(tlv.NETWORK_ERROR_CODE) == b"\x03\x00\x3c"
    if name not in ("receipt_garbage", "receipt_as_mo"):
        found = receipt.from_pdu(pdu)
        assert found.id == response.fields["message_id"]
    if name == "receipt_as_mo":
        forged = receipt.from_pdu(pdu, Dialect(plain_text_receipts=True))
        assert (forged.id, forged.state.name) == (response.fields["message_id"], "DELIVERED")


async def test_a_receipt_can_keep_the_addresses_of_the_submit(customer: Any):
    _, deliveries = await one(customer, "receipt_as_submitted")
    fields = deliveries[0].fields
    assert (fields["source_addr"], fields["destination_addr"]) == ("Acme", NUMBERS["receipt_as_submitted"])


async def test_an_enroute_notification_is_marked_as_intermediate(customer: Any):
    _, deliveries = await one(customer, "enroute_then_delivered", 2)
    assert [pdu.fields["esm_class"] for pdu in deliveries] == [0x20, 0x04]


async def test_a_message_without_an_id_is_accepted_all_the_same(operator: Any, customer: Any):
    response = await customer.send(NUMBERS["empty_id"])
    assert (response.command_status, response.fields["message_id"]) == (0, "")


async def test_what_was_sent_before_a_drop_is_answered(customer: Any):
    before = [customer.send(f"3361200{n:04}") for n in range(20)]
    dropped, behind = customer.send(NUMBERS["drop_before"]), customer.send("33612009999")
    answers = await asyncio.gather(*before, dropped, behind)
    assert all(answer is not None and answer.command_status == 0 for answer in answers[:-2])
    assert answers[-2:] == [None, None]
    assert len(customer.lost) == 1 and len(customer.lost[0]) == 2


async def test_a_drop_after_makes_a_duplicate_of_who_sends_again(operator: Any, customer: Any):
    assert await customer.send(NUMBERS["drop_after"], b"Pay 10") is None
    await customer.bind()
    assert (await customer.send(NUMBERS["drop_after"], b"Pay 10")).command_status == 0
    await customer.until(lambda: len(customer.receipts) == 2)
    counts = (await operator.get(f"/submits/counts?to={NUMBERS['drop_after']}&min=2"))["data"]
    assert [(item["text"], item["submits"], item["taken"]) for item in counts if item["text"] == "Pay 10"] == [
        ("Pay 10", 2, 2)
    ]


# -- phones that answer


def read(pdu: Pdu) -> str | None:
    return text.decode(
        pdu.fields["short_message"], pdu.fields["data_coding"], bool(pdu.fields["esm_class"] & 0x40)
    ).text


@pytest.mark.parametrize(
    ("name", "answer"), [("echo", "What a day"), ("stop", "STOP"), ("emoji_reply", "Merci 👍🏽 à bientôt 👨‍👩‍👧")]
)
async def test_phones_answer(name: str, answer: str, customer: Any):
    await one(customer, name, 2)
    (pdu,) = customer.messages
    assert read(pdu) == answer
    assert (pdu.fields["source_addr"], pdu.fields["destination_addr"]) == (NUMBERS[name], "Acme")
    assert pdu.fields["esm_class"] == 0


async def test_an_answer_can_be_latin_1_in_the_default_alphabet(customer: Any):
    await one(customer, "latin1_reply", 2)
    (pdu,) = customer.messages
    assert pdu.fields["data_coding"] == 0
    assert pdu.fields["short_message"] == "Été à Noël: ça va, très bien".encode("latin-1")


def parts(messages: list[Pdu]) -> list[StoredPart]:
    found = []
    for pdu in messages:
        header, _ = text.parse_udh(pdu.fields["short_message"])
        assert header.concat is not None
        found.append(
            StoredPart(
                header.concat.sequence,
                header.concat.total,
                pdu.fields["short_message"],
                pdu.fields["data_coding"],
                True,
            )
        )
    return found


async def test_a_long_answer_comes_in_mixed_order_with_a_duplicate(customer: Any):
    await one(customer, "long_reply", 5)
    stored = parts(customer.messages)
    assert [part.sequence for part in stored] == [2, 3, 2, 1]
    joined = text.join(stored).text
    assert (
        joined.startswith("Thank you for the message.") and joined.endswith("See you then!") and "{A7} [left" in joined
    )


async def test_a_long_answer_can_lack_its_last_part(customer: Any):
    await one(customer, "long_reply_with_gap", 3)
    await asyncio.sleep(0.1)
    assert text.missing(parts(customer.messages)) == (3,)


async def test_a_phone_echoes_a_long_message_as_a_whole(operator: Any, customer: Any):
    words = "Ünïcode 👍 " * 20
    encoded = text.encode(words, text.Options(), reference=9)
    assert len(encoded.parts) > 2
    for part in reversed(encoded.parts):
        await customer.send(NUMBERS["echo"], part.user_data, esm_class=0x40, data_coding=encoded.data_coding)
    await customer.until(lambda: len(customer.messages) == len(encoded.parts))
    assert text.join(parts(customer.messages)).text == words
    page = await operator.get(f"/messages?to={NUMBERS['echo']}")
    assert page["data"][-1]["text"] == words
    assert page["data"][-1]["segments"] == len(encoded.parts)
