"""`chappe send` and `chappe messages` against a running Chappe and its operator."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.support.processes import Process

Command = Callable[..., Any]


def test_a_message_is_sent_and_followed_until_it_is_delivered(chappe: Command) -> None:
    done = chappe("send", "+33612345678", "Hello [world]", "--from", "Chappe", "--wait")
    assert done.code == 0, done
    first, *steps = done.stdout.splitlines()
    assert re.fullmatch(r"msg_\w{13}  queued, GSM-7, 1 segment", first)
    assert [step.split()[2] for step in steps] == ["accepted", "sent", "receipt", "delivered"]


def test_waiting_fails_for_a_message_that_is_not_delivered_and_says_why(chappe: Command) -> None:
    done = chappe("send", "+33612555002", "Hello", "--wait")
    assert done.code == 1
    assert "undelivered absent_subscriber: " in done.stdout.splitlines()[-1]


def test_each_part_of_a_long_message_is_told_once_while_it_is_followed(chappe: Command) -> None:
    done = chappe("send", "+447700900123", "Long texts go in parts. " * 12, "--wait")
    for number in (1, 2):
        assert done.stdout.count(f"part {number} of 2 taken by sandbox") == 1
        assert done.stdout.count(f"part {number} of 2 delivered") == 1


def test_what_the_api_refuses_is_told_with_its_code(chappe: Command) -> None:
    done = chappe("send", "12", "Hello")
    assert done.code == 1
    assert done.stderr.rstrip().endswith("(number_not_e164)")
    assert "Traceback" not in done.stderr
    wrong = chappe("send", "+33612345678", "Hello", "--key", "ck_live_wrong")
    assert wrong.code == 1 and "(" in wrong.stderr and "Traceback" not in wrong.stderr


def test_smart_encoding_is_asked_for(chappe: Command) -> None:
    plain = chappe("send", "+33612345678", "Le thé est prêt")
    smart = chappe("send", "+33612345678", "Le thé est prêt", "--smart", "--purpose", "otp")
    assert "UCS-2" in plain.stdout and "GSM-7" in smart.stdout


def test_messages_are_listed_shown_and_explained(chappe: Command) -> None:
    sent = chappe("send", "+33612555009", "Rejected in the end", "--wait").stdout
    id = sent.split()[0]
    listed = chappe("messages", "list", "--to", "+33612555009", "--limit", "1").stdout
    assert id in listed and "Rejected in the end" in listed
    assert id not in chappe("messages", "list", "--status", "delivered").stdout
    shown = chappe("messages", "show", id).stdout
    assert re.search(r"status +undelivered", shown) and re.search(r"to +\+33612555009", shown)
    explained = chappe("messages", "explain", id).stdout
    for words in ("→ submit_sm", "← submit_sm_resp", "ESME_ROK", "← deliver_sm", "REJECTD", "receipted_message_id"):
        assert words in explained, words
    assert explained.count("Rejected in the end") == 1  # the head; in the PDUs it is blanked
    assert b"Rejected".hex() not in explained


def test_an_id_that_is_not_there_is_told(chappe: Command) -> None:
    done = chappe("messages", "show", "msg_0000000000000")
    assert (done.code, done.stdout) == (1, "")
    assert "(not_found)" in done.stderr


def test_tail_follows_what_happens_and_a_phones_answer_can_be_explained(chappe: Command, demo: Process) -> None:
    def send() -> None:
        time.sleep(1)  # it tells what happens from now on
        body = {"to": "+33612555070", "from": demo.ready["number"], "text": "Are you there?"}
        headers = {"Authorization": f"Bearer {demo.ready['api_key']}", "Content-Type": "application/json"}
        request = urllib.request.Request(demo.ready["api_url"] + "/v1/messages", json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=10).close()

    sending = threading.Thread(target=send)
    sending.start()
    told = chappe("messages", "tail", "--for", "6").stdout
    sending.join()
    assert re.search(rf"delivered +\{demo.ready['number']} → \+33612555070  Are you there\?", told), told
    answer = re.search(r"(inb_\w{13})  received", told)
    assert answer, told
    assert answer[1] in chappe("messages", "list", "--inbound").stdout
    explained = chappe("messages", "explain", answer[1]).stdout
    assert "received    by sandbox" in explained and "← deliver_sm" in explained


def test_a_chappe_that_is_not_there_is_told_with_what_to_do(command: Command) -> None:
    for arguments in (("send", "+33612345678", "Hello"), ("messages", "list")):
        done = command(*arguments, "--url", "http://127.0.0.1:9", CHAPPE_API_KEY="ck_live_x")
        assert done.code == 1
        assert "Chappe does not answer at http://127.0.0.1:9" in done.stderr and "chappe serve" in done.stderr
        assert "Traceback" not in done.stderr
    assert "CHAPPE_API_KEY" in command("messages", "list").stderr
    assert "is no address" in command("messages", "list", "--url", "localhost", CHAPPE_API_KEY="x").stderr
