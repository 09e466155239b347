"""What looks like personal data and is in no holding, column by column, with the reason.

A test keeps it whole: a new column whose name is among `SUSPICIOUS` is either a holding's or stands here. Most of them
are the customer's own: people write their names and words there for themselves, and change or delete them as any
setting.
"""

from __future__ import annotations

from typing import Final

SUSPICIOUS: Final = frozenset(
    (
        *(
            "address",
            "digits",
            "email",
            "ip",
            "ip_address",
            "mail",
            "number",
            "numbers",
            "person",
            "person_key",
            "phone",
        ),
        *("recipient", "sender", "source"),
        *("body", "content", "data", "excerpt", "findings", "note", "options", "payload", "raw", "reason", "receipt"),
        *("request", "response", "result", "results", "sample", "text", "texts", "value", "words"),
        *("after", "before", "correlation_id", "digest", "hash", "metadata", "object", "proof", "salt"),
    )
)
"""Names of columns of which somebody has to say what is in them."""

_KEYED = "a keyed hash, from which nobody comes back to the address"
_HASHED = "a hash of something else than a person"
_SENDER = "the account's own sender, which it sends from and receives at"
_WORD = "one of a few words"
_OWN = "a setting: the account's or the operator's own words"
_BOOKS = "an invoice and its parts: the customer's, and the law says how long it is kept"
_COUNTED = "a number in a row: it counts"
_DAY = "ids and codes; deleted after a day"

ELSEWHERE: Final[dict[str, str]] = {
    # keyed hashes: what an erasure leaves on purpose
    "access_log.person_key": _KEYED,
    "consent_entries.person_key": _KEYED,
    "consent_links.person_key": _KEYED,
    "consent_replies.person_key": _KEYED,
    "consents.person_key": _KEYED,
    "erasures.person_key": _KEYED,
    "message_touches.person_key": _KEYED,
    "page_codes.person_key": _KEYED,
    "suppressions.person_key": _KEYED,
    "unknown_subscribers.person_key": _KEYED,
    # what an erasure needs, and tells
    "erasures.person": "the address, until the erasure is finished",
    "erasures.reason": "kept as the receipt of the erasure; it is refused if it names the person",
    # senders
    "consent_links.sender": _SENDER,
    "consent_replies.sender": _SENDER,
    "content_held.sender": _SENDER,
    "content_reviews.sender": _SENDER,
    "inbound.recipient": _SENDER,
    "inbound_parts.recipient": _SENDER,
    "messages.sender": _SENDER,
    "sender_defaults.sender": _SENDER,
    "senders.address": _SENDER,
    "throttles.sender": _SENDER,
    "usage.sender": _SENDER,
    "usage_news.sender": _SENDER,
    # words and sums
    "consent_chains.hash": _HASHED,
    "consent_entries.hash": _HASHED,
    "consent_entries.source": _WORD,
    "consents.source": _WORD,
    "suppressions.reason": _WORD,
    "suppressions.source": _WORD,
    "suppression_lists.reason": _WORD,
    "suppressions.value": "a brand, a sender or a country",
    "parked_receipts.reason": _WORD,
    "page_codes.digest": "of a code that is valid for minutes",
    "api_keys.hash": _HASHED,
    "content_held.digest": _HASHED,
    "content_reviews.digest": _HASHED,
    "price_list_previews.digest": _HASHED,
    "fx_imports.source": _WORD,
    "fx_rates.source": _WORD,
    "lookup_ranges.source": _WORD,
    "template_versions.number": _COUNTED,
    "webhook_attempts.number": _COUNTED,
    # for a day
    "api_idempotency.body": "sealed by the vault, and deleted after a day",
    "api_idempotency.digest": _DAY,
    "idempotency.digest": _DAY,
    "idempotency.results": _DAY,
    "jobs.payload": "ids of what is to be done; deleted when it is done",
    "history.data": "what was decided about a message: names of connectors, states, codes",
    # settings and papers
    "audit_log.object": "the id of what was changed; persons are not named in it",
    "audit_log.before": "settings as they were; they name no recipient",
    "audit_log.after": "settings as they became; they name no recipient",
    "canary_numbers.number": "the operator's own telephones, for trying routes",
    "canary_numbers.note": _OWN,
    "consent_reply_texts.text": _OWN,
    "content_domains.note": _OWN,
    "content_reviews.findings": "what the firewall saw in a text: codes and places",
    "content_reviews.note": _OWN,
    "credit_notes.data": _BOOKS,
    "credit_notes.number": _BOOKS,
    "invoices.data": _BOOKS,
    "invoices.number": _BOOKS,
    "ledger_notes.reason": _OWN,
    "price_list_previews.content": _OWN,
    "price_list_versions.content": _OWN,
    "price_list_versions.note": _OWN,
    "route_demotions.reason": _OWN,
    "route_quality_log.words": "why a route was judged as it was",
    "route_draft_edits.content": _OWN,
    "route_drafts.note": _OWN,
    "route_versions.content": _OWN,
    "route_versions.note": _OWN,
    "rule_adjustments.reason": _OWN,
    "rule_adjustments.value": _OWN,
    "sender_documents.content": "papers about the account itself, for registrations",
    "sender_registrations.reason": _OWN,
    "suppression_lists.note": _OWN,
    "template_versions.content": _OWN,
    "template_versions.reason": _OWN,
}
"""`table.column`: why nothing of it is exported or erased."""
