"""The loop guard: two systems that answer each other fill any queue in minutes."""

from __future__ import annotations

from chappe.messages.model import Submission

WINDOW_MS = 60_000
SAME = 100  # of one text from one sender to one number within the window
_REMEMBERED = 50_000


class LoopGuard:
    """Counts identical messages in two alternating windows: bounded memory, no timer."""

    def __init__(self, same: int = SAME, window_ms: int = WINDOW_MS) -> None:
        self._same = same
        self._window = window_ms
        self._now: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._turned = 0

    def looping(self, submission: Submission, digits: str, sender: str, now: int) -> bool:
        if now - self._turned >= self._window or len(self._now) > _REMEMBERED:
            self._before, self._now, self._turned = self._now, {}, now
        key = hash((submission.account_id, digits, sender, submission.text, submission.wire))
        count = self._now.get(key, 0) + 1
        self._now[key] = count
        return count + self._before.get(key, 0) > self._same
