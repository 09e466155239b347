"""What becomes of a text: the checks, the policy, and what was decided on review. In memory, for the hot path.

What the checks found is kept by text, as long as neither a policy nor a domain nor a protected name changes; what was
decided on review is looked up each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from chappe.fraud.content import (
    NO_BRANDS,
    Action,
    Brands,
    Facts,
    Finding,
    Found,
    Policy,
    decide,
    examine,
    finding,
)
from chappe.fraud.content.alike import alike
from chappe.fraud.firewall.digest import digest
from chappe.fraud.firewall.kept import Kept
from chappe.fraud.firewall.policy import NEW_FOR_DAYS, FirewallPolicy, Policies
from chappe.fraud.firewall.review import Decisions

if TYPE_CHECKING:
    from chappe.fraud.model import Domains

_DAY_MS: Final = 86_400_000
_LOG_EVERY_MS: Final = 10_000  # a check that breaks, breaks for each message
_RANK: Final[dict[str, int]] = {"allow": 0, "review": 1, "block": 2}


class Subject(NamedTuple):
    """What a check is asked about."""

    text: str
    sender: str
    country: str
    purpose: str
    facts: Facts


class Check(NamedTuple):
    """One more check, such as the list of a reputation service: in memory, quick, and it asks nobody. It tells what it
    finds as (code, start, end, what, why), with codes of the catalogue of findings."""

    name: str
    run: Callable[[Subject], Iterable[Found]]


class Judged(Struct, frozen=True, gc=False):
    """What becomes of a text. `digest` names it to reviewers. `would`: what would have become of it if its policy did
    not only observe, or if it were no test."""

    action: Action
    findings: tuple[Finding, ...] = ()
    digest: str = ""
    would: Action = "allow"

    @property
    def strictest(self) -> Finding | None:
        """The first of the findings that decide."""
        return max(self.findings, key=lambda one: _RANK[one.action], default=None)

    @property
    def code(self) -> str:
        return "" if self.strictest is None or self.would == "allow" else self.strictest.code

    @property
    def message(self) -> str:
        """All that speaks against the text, in words."""
        return " ".join(one.message for one in self.findings if one.action != "allow")


PASSES: Final = Judged("allow")


class _Examined:
    """What was found in a text, and its digest once somebody has asked."""

    __slots__ = ("action", "digest", "findings")

    def __init__(self, action: Action, findings: tuple[Finding, ...]) -> None:
        self.action, self.findings = action, findings
        self.digest = ""


_CLEAN: Final = _Examined("allow", ())


class Firewall:
    """One for each process. `checks` are asked beside our own; who changes them calls `forget`.

    `created_at(account_id)` in milliseconds since the epoch.
    """

    def __init__(self, log: Any, created_at: Callable[[int], int | None]) -> None:
        self.checks: list[Check] = []
        self.failures = 0
        """How often a check has broken. It only grows."""
        self.policies = Policies()
        self.decisions = Decisions()
        self._log = log
        self._created_at = created_at
        self._domains: Domains | None = None
        self._brands = NO_BRANDS
        self._kept: Kept[tuple[int, str, str, str, str], _Examined] = Kept()
        self._about: dict[tuple[int, str], tuple[Policy, Facts]] = {}
        self._logged_at = 0
        self._allowed: defaultdict[int, int] = defaultdict(int)
        self._counted: defaultdict[tuple[int, str, str], int] = defaultdict(int)

    def follow(self, policies: Policies, domains: Domains) -> None:
        """These hold now."""
        self.policies, self._domains = policies, domains
        self.forget()

    def forget(self) -> None:
        """Look at every text anew."""
        self._kept.clear()
        self._about.clear()

    def judge(
        self,
        account_id: int,
        text: str,
        sender: str,
        country: str,
        purpose: str,
        now: int,
        *,
        test: bool = False,
        dry_run: bool = False,
        brands: Brands = NO_BRANDS,
    ) -> Judged:
        """What becomes of a text of an account, from a sender to a country (ISO, or empty), at a time (milliseconds).

        `brands` are the protected names. A test is judged, but neither held nor counted; a dry run is not counted.
        Never raises.
        """
        policy = self.policies.of(account_id)
        if policy.mode == "off" or purpose not in policy.purposes:
            return PASSES
        if brands is not self._brands:
            self._brands = brands
            self.forget()
        key = (account_id, purpose, country, sender, text)
        examined = self._kept.get(key)
        if examined is None:
            examined = self._like(key, now)
        if examined is _CLEAN and not policy.review_first:
            if not test and not dry_run:
                self._allowed[account_id] += 1
            return PASSES
        judged = self._judged(policy, examined, key, now, test=test)
        if not test and not dry_run:
            self._count(account_id, judged)
        return judged

    def counted(self) -> list[tuple[int, str, str, int]]:
        """What was decided since the last call: (account, verdict, code, how often)."""
        allowed, self._allowed = self._allowed, defaultdict(int)
        others, self._counted = self._counted, defaultdict(int)
        rows = [(account_id, "allow", "", count) for account_id, count in allowed.items()]
        return [*rows, *((*key, count) for key, count in others.items())]

    # -- inside -----------------------------------------------------------------------------------------------------

    def _judged(
        self, policy: FirewallPolicy, examined: _Examined, key: tuple[int, str, str, str, str], now: int, *, test: bool
    ) -> Judged:
        account_id, _, _, sender, text = key
        action, findings = examined.action, examined.findings
        content = self._content(key)[0]
        if action == "allow" and self._is_new(policy, account_id, now):
            findings = (*findings, finding(("first_texts", 0, len(text), "", ""), content))
            action = findings[-1].action
        name = ""
        if action == "review":
            name = examined.digest or digest(text, examined.findings)
            if examined is not _CLEAN:
                examined.digest = name
            decision = self.decisions.get(account_id, name, sender, now)
            if decision is not None and decision.state == "approved":
                action = "allow"
            elif decision is not None:
                why = f": {decision.note}" if decision.note else ""
                findings = (*findings, finding(("review_rejected", 0, len(text), "", why), content))
                action = findings[-1].action
        passes = policy.mode == "observe" or (test and action == "review")
        return Judged("allow" if passes else action, findings, name, action)

    def _count(self, account_id: int, judged: Judged) -> None:
        if judged.action == "allow":
            self._allowed[account_id] += 1
            if judged.would != "allow":
                self._counted[account_id, f"would_{judged.would}", judged.code] += 1
        else:
            self._counted[account_id, judged.action, judged.code] += 1

    def _is_new(self, policy: FirewallPolicy, account_id: int, now: int) -> bool:
        if self.decisions.approved(account_id) >= policy.review_first:
            return False
        created_at = self._created_at(account_id)
        return created_at is not None and now < created_at + NEW_FOR_DAYS * _DAY_MS

    def _content(self, key: tuple[int, str, str, str, str]) -> tuple[Policy, Facts]:
        """By what the texts of an account are judged."""
        account_id, purpose = key[:2]
        known = self._about.get((account_id, purpose))
        if known is None:
            domains = frozenset() if self._domains is None else self._domains.usable(account_id)
            policy = self.policies.of(account_id).content(bool(domains))
            known = self._about[account_id, purpose] = (policy, Facts(account_id, domains, self._brands, purpose))
        return known

    def _like(self, key: tuple[int, str, str, str, str], now: int) -> _Examined:
        """What is found in a text; nothing, if nothing was in one that has other numbers only."""
        likeness = key[-1] if self.checks else alike(key[-1], self._brands)
        like = (*key[:-1], likeness)
        if likeness != key[-1] and self._kept.get(like) is _CLEAN:
            return _CLEAN
        return self._examine(key, now, like)

    def _examine(
        self, key: tuple[int, str, str, str, str], now: int, like: tuple[int, str, str, str, str]
    ) -> _Examined:
        """What all checks find. Nothing is remembered of all texts like it, what broke of none."""
        _, purpose, country, sender, text = key
        policy, facts = self._content(key)
        found: list[Finding] = []
        broken = False
        try:
            found += examine(text, sender, country, policy, facts).findings
        except Exception as error:
            broken = True
            found.append(self._broken("content", error, text, policy, now))
        for check in self.checks:
            try:
                subject = Subject(text, sender, country, purpose, facts)
                found += [finding(one, policy) for one in check.run(subject)]
            except Exception as error:  # one that breaks must not silence the others
                broken = True
                found.append(self._broken(check.name, error, text, policy, now))
        decision = decide(found)
        examined = _Examined(decision.action, decision.findings) if found else _CLEAN
        if not broken:
            self._kept.put(like if examined is _CLEAN else key, examined, len(text))
        return examined

    def _broken(self, name: str, error: Exception, text: str, policy: Policy, now: int) -> Finding:
        self.failures += 1
        if now - self._logged_at >= _LOG_EVERY_MS:
            self._logged_at = now
            self._log.error("a content check failed", check=name, error=repr(error), failures=self.failures)
        return finding(("check_failed", 0, len(text), "", f"{name}: {type(error).__name__}"), policy)


__all__ = ["PASSES", "Check", "Firewall", "Judged", "Subject"]
