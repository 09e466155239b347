"""What the doctor says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`action` tells what to do where the verdict is not ok."""

    verdict: Verdict
    subject: str
    words: str
    action: str = ""


def ok(subject: str, words: str) -> Finding:
    return Finding("ok", subject, words)


def warn(subject: str, words: str, action: str) -> Finding:
    return Finding("warn", subject, words, action)


def fail(subject: str, words: str, action: str) -> Finding:
    return Finding("fail", subject, words, action)
