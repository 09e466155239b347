"""What people write to refuse messages, to get help, or to get messages again. Pure; data beside it.

`keywords.csv` holds the words, `sentences.csv` what a longer text says that is a refusal, `words.csv` what may stand
around a keyword (`polite`), what must not be taken for one (`another`, `goes_on`) and what turns a sentence into its
opposite (`unless`). Each keyword has a source and a confidence; where neither law nor an operator names one for a
language, its ordinary word is there with low confidence.
"""

from __future__ import annotations

from chappe.consent.keywords.hearing import LONGEST, Meaning, hear
from chappe.consent.keywords.spelling import near, plain
from chappe.consent.keywords.table import Keyword, Kind, table

__all__ = ["LONGEST", "Keyword", "Kind", "Meaning", "hear", "near", "plain", "table"]
