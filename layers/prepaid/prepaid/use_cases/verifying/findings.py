"""The verifier's findings. docs/operating.md explains each code and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "unreadable",
    "unknown_row",
    "record_changed",
    "entry_missing",
    "chain_broken",
    "rewritten",
    "texts_changed",
    "time_backwards",
    "not_replayed",
    "not_conserved",
    "history_cut",
    "history_changed",
    "ledger_missing",
    "profile_missing",
    "listed_missing",
    "listed_dangling",
    "manager_missing",
    "claim_missing",
    "claim_dangling",
    "due_missing",
    "due_dangling",
    "purchase_missing",
    "purchase_differs",
    "reversal_missing",
    "reversal_differs",
    "payment_missing",
    "payment_dangling",
    "pending_check_missing",
    "row_differs",
    "statement_differs",
    "catalog_missing",
    "catalog_differs",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row in the table that the service can't have written under its rules, or a row that is missing.

    account: "" if the row belongs to none. where: the row, or a field of it. expected, found: numbers, ids and digests;
    never a text from a client or customer.
    """

    code: Code
    account: str
    where: str
    expected: str = ""
    found: str = ""
