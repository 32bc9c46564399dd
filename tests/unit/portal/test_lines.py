"""Lines of the history: which entries are lines, and what they are called."""

from dataclasses import replace
from typing import get_args

import pytest

from prepaid.core.account import Status
from prepaid.core.entry import Entry
from prepaid.core.languages import LANGUAGES
from prepaid.core.ledger import Operation, open_account
from prepaid.portal.languages import texts_of
from prepaid.portal.lines import is_shown, line_details, line_name
from tests.support.core_builders import (
    CATALOG,
    NOW,
    STICKER,
    a_change_to,
    a_debit,
    a_grant,
    a_lot,
    a_return,
    a_revocation,
    an_account,
    priced,
    run,
    some_terms,
)

LOT = a_lot(10)
ACCOUNT = an_account(LOT, terms=some_terms("trio"))


def the_last(*operations: Operation) -> Entry:
    _, entries = run(ACCOUNT, *operations)
    return entries[-1]


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (the_last(a_grant()), "type.purchase"),
        (the_last(a_grant(kind="promotion")), "type.grant"),
        (the_last(a_debit()), "type.consumption"),
        (the_last(a_revocation(LOT, 5)), "type.refund"),
        (the_last(a_revocation(LOT, 5), a_return(LOT, 5)), "type.refund_undone"),
        (the_last(a_revocation(LOT, 5, cause="dispute")), "type.dispute"),
        (the_last(a_revocation(LOT, 5, cause="dispute"), a_return(LOT, 5, cause="dispute")), "type.dispute_undone"),
        # No credits come back: they had been spent, and their debt is cancelled.
        (the_last(a_debit(quantity=10), a_revocation(LOT, 5), a_return(LOT, 5, debt=5)), "type.refund_undone"),
        (the_last(a_change_to(some_terms("team"))), "type.plan_change"),
        (open_account("acme", some_terms("trio"), actor="a", catalog=CATALOG, now=NOW), "type.opened"),
    ],
)
def test_a_line_is_named_by_what_happened(entry: Entry, name: str) -> None:
    assert line_name(entry) == name
    assert is_shown(entry)
    assert all(name in texts_of(language) for language in LANGUAGES)


@pytest.mark.parametrize("status", get_args(Status))
def test_a_changed_status_is_named_not_a_change_of_plan(status: Status) -> None:
    other: Status = "closed" if status == "active" else "active"
    before = a_change_to(replace(ACCOUNT.terms, status=other))

    entries = [
        the_last(before, a_change_to(replace(ACCOUNT.terms, plan=plan, status=status))) for plan in ("trio", "team")
    ]

    assert {line_name(entry) for entry in entries} == {f"type.became_{status}"}
    assert all(f"type.became_{status}" in texts_of(language) for language in LANGUAGES)


def test_a_change_that_moves_nothing_is_no_line() -> None:
    entry = the_last(a_change_to(some_terms("trio", time_zone="America/Manaus")))

    assert (entry.credits, entry.quota, entry.owed) == (0, 0, 0)
    assert not is_shown(entry)


def test_a_free_use_is_a_line() -> None:
    _, entries = run(ACCOUNT, a_debit(), catalog=priced(STICKER, 0))

    assert (entries[-1].credits, entries[-1].quota) == (0, 0)
    assert is_shown(entries[-1])


def test_descriptions_by_the_service_are_not_shown() -> None:
    purchase, change = the_last(a_grant()), the_last(a_change_to(some_terms("team")))

    assert line_details(replace(purchase, description="credits-500")) == ()
    assert change.description
    assert line_details(change) == ()


def test_a_use_shows_the_texts_of_the_platform() -> None:
    entry = replace(the_last(a_debit()), description="Bath", customer="customer-118", reference="os-1")

    assert line_details(entry) == ("Bath", "customer-118", "os-1")
