"""The rows of all earlier tests, read from the table and recomputed by an independent audit."""

from typing import Any

import pytest

from tests.oracle import stored_form
from tests.support.ledger_audit import audit
from tests.support.over_http import HttpApi
from tests.support.payment_page import StackStorefront
from tests.support.store_driver import Stored, entry_items, stored

# A renewal and a change of plan move it too, without draws.
MOVE_QUOTA = {"consumption", "hold", "capture", "release", "reversal"}


@pytest.fixture(scope="module")
def items(api: HttpApi, cashier: StackStorefront, swept: object) -> Stored:
    """The whole table, including the account of the life stages."""
    return stored(cashier.table())


def accounts_of(items: Stored) -> list[str]:
    return sorted({partition.removeprefix("ACCOUNT#") for partition, _ in items if partition.startswith("ACCOUNT#")})


def test_every_account_adds_up(api: HttpApi, items: Stored) -> None:
    for account in accounts_of(items):
        audited = audit(items, account)

        balance = api.balance(account)
        assert (balance["entry"], balance["credits"]["available"]) == (audited.entries, audited.available)
        assert balance["credits"]["owed"] == audited.owed
        gone = audited.spent + audited.expired + audited.voided + audited.taken + audited.settled
        assert audited.granted == audited.available + balance["credits"]["held"] + gone


def units_of_quota(draws: list[Any]) -> int:
    return sum(row[1] for row in draws if row[0] == "quota")


def test_used_quota_matches_the_entries(items: Stored) -> None:
    for account in accounts_of(items):
        remaining = 0
        for item in entry_items(items, account):
            line, state = stored_form.read(item)
            # What a capture spends had left the quota when it was held; what it doesn't spend comes back.
            moved = units_of_quota(line.get("returned", []) if line["type"] == "capture" else line["draws"])
            remaining += line["quota"]
            assert remaining == line["quota_remaining"] >= 0
            assert moved == (-line["quota"] if line["type"] in MOVE_QUOTA else 0)
            assert sum(state["quotas_used"].values()) >= moved


def test_the_history_shows_the_ledger_and_nothing_else(api: HttpApi, items: Stored) -> None:
    for account in accounts_of(items):
        written = [stored_form.line_of(item) for item in entry_items(items, account)]

        shown = api.history(account, limit="100")[::-1]

        assert [(line["type"], line["credits"], line["quota"], line["balance_after"]) for line in shown] == [
            (line["type"], line["credits"], line["quota"], line["balance_after"]) for line in written
        ]


def test_the_auditor_finds_one_changed_letter(items: Stored) -> None:
    account = max(accounts_of(items), key=lambda account: len(entry_items(items, account)))
    [*_, (key, item), _, _] = [
        (key, item) for key, item in sorted(items.items()) if key[0] == f"ACCOUNT#{account}" and "line" in item
    ]
    forged = {**items, key: {**item, "line": {"S": item["line"]["S"].replace('"by":"', '"by":"x')}}}

    with pytest.raises(AssertionError, match="the chain breaks"):
        audit(forged, account)


def test_nothing_was_quarantined(items: Stored) -> None:
    assert [partition for partition, _ in items if partition.startswith("QUARANTINE#")] == []
