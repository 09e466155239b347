"""`python -m bench firewall`: what the content firewall costs a message: texts that come again, texts of a template,
and texts that nobody has seen."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any

import structlog
from rich.table import Table as Shown

from bench import machine
from bench.speed import console
from chappe.fraud import Domain, Domains, Firewall, Policies
from chappe.fraud.content import Brand, Brands

RESULTS = Path(__file__).parent / "results" / "firewall.json"
BATCH = 100
MUST_CACHED_US = 15.0
ACCOUNTS = 1_000
BRANDS = 500
TEXTS = 2_000  # campaigns that run at the same time: far more than fit into one batch
NOW = 1_800_000_000_000
_NAMES = ("Anna", "Ben", "Chloé", "Dario", "Eva", "Farid", "Greta", "Hugo", "Ida", "Jonas", "Karim", "Lena", "Marie")
_SENTENCES = """your order is on its way and will be there before noon tomorrow please have your ticket ready at the
counter thank you for shopping with us we look forward to seeing you again this week only all shoes are half the price
the appointment with your doctor is confirmed if you cannot come call us in time reply stop to opt out"""
_WORDS = tuple(_SENTENCES.split())

Sent = tuple[int, str, str, str, str]  # account, text, sender, country, purpose


def main(words: list[str]) -> int:
    """0, or 1 when a text that is known costs more than it must."""
    asked = _options(words)
    chance = Random(1)
    brands = _brands(chance)
    kinds: dict[str, Callable[[Random], Iterator[Sent]]] = {
        "cached": _campaigns,
        "codes": _codes,
        "names": _names,
        "new": _new,
        "new_link": _links,
        "unlisted_link": _unlisted,
    }
    found: dict[str, Any] = {}
    for name, made in kinds.items():
        firewall = _firewall()
        sent = islice(made(Random(2)), asked.messages)
        found[f"{name}_median_us"], found[f"{name}_p99_us"] = _measured(firewall, brands, sent)
    found["memory_mb"] = _memory(brands, asked.messages)
    found |= {"met": found["cached_median_us"] < MUST_CACHED_US} | machine.facts()
    console().print(_shown(found))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps([found], indent=1) + "\n")
    return 0 if found["met"] else 1


def _measured(firewall: Firewall, brands: Brands, sent: Iterator[Sent]) -> tuple[float, float]:
    """Microseconds a message in batches of 100, (median, p99), from a firewall that has seen nothing yet."""
    clock, judge = time.perf_counter_ns, firewall.judge
    taken: list[float] = []
    gc.collect()
    gc.freeze()  # as `chappe serve` does with what it keeps
    while batch := list(islice(sent, BATCH)):
        began = clock()
        for account_id, text, sender, country, purpose in batch:
            judge(account_id, text, sender, country, purpose, NOW, brands=brands)
        taken.append((clock() - began) / len(batch) / 1000)
    taken.sort()
    return round(taken[len(taken) // 2], 3), round(taken[int(0.99 * len(taken))], 3)


def _memory(brands: Brands, messages: int) -> float:
    """Megabytes that a firewall holds after so many texts with findings, all different."""
    firewall = _firewall()
    sent = list(islice(_unlisted(Random(3)), messages))
    gc.collect()
    tracemalloc.start()
    for account_id, text, sender, country, purpose in sent:
        firewall.judge(account_id, text, sender, country, purpose, NOW, brands=brands)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(held / 1e6, 1)


def _firewall() -> Firewall:
    """By the usual policy, with a domain for each account."""
    made = Firewall(structlog.get_logger("bench"), lambda _account_id: 0)
    own = (Domain(one, one, f"shop{one}.example.com", "active", "", 0) for one in range(ACCOUNTS))
    made.follow(Policies(), Domains(own))
    return made


def _brands(chance: Random) -> Brands:
    letters = "abcdefghijklmnoprstuvwz"
    return Brands(Brand("".join(chance.choices(letters, k=chance.randint(6, 10))).title()) for _ in range(BRANDS))


def _words_of(chance: Random) -> str:
    start = chance.randrange(len(_WORDS) - 18)
    return " ".join(_WORDS[start : start + 18])


def _sent(chance: Random, account_id: int, text: str, purpose: str = "transactional") -> Sent:
    return account_id, text, f"Shop{account_id % 50}", chance.choice(("FR", "DE", "GB", "ES", "PL")), purpose


def _campaigns(chance: Random) -> Iterator[Sent]:
    """The same texts to many people, from all accounts at once."""
    texts = [
        _sent(chance, chance.randrange(ACCOUNTS), f"{_words_of(chance)}. https://shop{n}.example.com/a")
        for n in range(TEXTS)
    ]
    for _ in count():
        yield chance.choice(texts)


def _codes(chance: Random) -> Iterator[Sent]:
    """One-time codes: each differs in six digits."""
    for _ in count():
        text = f"{chance.randrange(10**6):06} is your code for Shop. It is valid for 5 minutes. Do not share it."
        yield _sent(chance, chance.randrange(ACCOUNTS), text, "otp")


def _names(chance: Random) -> Iterator[Sent]:
    """A template: each differs in a name and the number of an order."""
    for at in count():
        text = f"Hi {chance.choice(_NAMES)}, {_words_of(chance)}. Order {100_000 + at}. Track it in the app."
        yield _sent(chance, chance.randrange(ACCOUNTS), text)


def _new(chance: Random) -> Iterator[Sent]:
    """No two alike, without a link."""
    for at in count():
        text = f"{' '.join(chance.sample(_WORDS, 20))}. Thank you, it is our visit number {at}"
        yield _sent(chance, chance.randrange(ACCOUNTS), text, "service")


def _links(chance: Random) -> Iterator[Sent]:
    """No two alike, each with a link to a domain of the account."""
    for at in count():
        account_id = chance.randrange(ACCOUNTS)
        text = f"{' '.join(chance.sample(_WORDS, 18))}: https://shop{account_id}.example.com/{at:x}"
        yield _sent(chance, account_id, text, "marketing")


def _unlisted(chance: Random) -> Iterator[Sent]:
    """No two alike, each with a link that somebody must look at."""
    for at in count():
        text = f"{' '.join(chance.sample(_WORDS, 18))}: https://shop{at % 997}.example.net/{at:x}"
        yield _sent(chance, chance.randrange(ACCOUNTS), text, "marketing")


def _options(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench firewall", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="how many of each kind are judged")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go")
    return parser.parse_args(words)


def _shown(found: dict[str, Any]) -> Shown:
    made = Shown(title=f"batches of {BATCH}, {BRANDS} protected names")
    made.add_column("texts", no_wrap=True)
    made.add_column("us, median", justify="right", no_wrap=True)
    made.add_column("p99", justify="right", no_wrap=True)
    made.add_column("must", justify="right", no_wrap=True)
    kinds = {
        "cached": "that come again",
        "codes": "of a template: codes",
        "names": "of a template: names and numbers",
        "new": "all new",
        "new_link": "all new, with a link of one's own",
        "unlisted_link": "all new, to be reviewed",
    }
    for name, told in kinds.items():
        must = f"< {MUST_CACHED_US:.0f}" if name == "cached" else ""
        made.add_row(told, f"{found[f'{name}_median_us']:.2f}", f"{found[f'{name}_p99_us']:.2f}", must)
    made.add_row("memory, MB", f"{found['memory_mb']:.1f}", "", "")
    return made
