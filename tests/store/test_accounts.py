"""Accounts: opened once, then changed by each PUT and PATCH."""

from dataclasses import replace

import pytest

from prepaid.core.errors import AccountNotFound, InvalidRequest
from prepaid.store.accounts import Profile, read_account
from tests.support.ledger_audit import audit
from tests.support.store_driver import DAY, NO_QUOTA, NOW, PROFILE, QUOTA_100, StoreDriver, lines, stored, types
from tests.support.wire import Wire


def test_opening_an_account_writes_entry_and_profile_together(driver: StoreDriver, wire: Wire) -> None:
    opened = driver.put_account(terms=QUOTA_100)

    items = stored(driver.table)
    assert opened
    own = [("ACCOUNT#acme", "ENTRY#000000000001"), ("ACCOUNT#acme", "PROFILE")]
    assert sorted(items) == [*own, ("ACCOUNTS", "acme")]
    assert wire.calls.count("TransactWriteItems") == 1
    [line] = lines(items)
    assert (line["type"], line["quota"], line["balance_after"]) == ("plan_change", 100, 0)
    assert audit(items).entries == 1
    assert read_account(driver.table, "acme") == (QUOTA_100, PROFILE)


@pytest.mark.parametrize("contact", [None, "ana@example.com"])
def test_a_profile_is_read_back_as_it_was_given(driver: StoreDriver, contact: str | None) -> None:
    profile = Profile(name="Ração & Cia ✓", language="es", manager_contact=contact)

    driver.put_account(profile=profile)

    assert read_account(driver.table, "acme")[1] == profile


def test_an_identical_request_changes_nothing(driver: StoreDriver, wire: Wire) -> None:
    driver.put_account(terms=QUOTA_100)
    before = stored(driver.table)
    wire.forget()

    opened = driver.put_account(terms=QUOTA_100, at=NOW + DAY)

    assert not opened
    assert wire.calls == ["GetItem", "Query"]
    assert stored(driver.table) == before


def test_changed_terms_are_an_entry_and_keep_the_profile(driver: StoreDriver) -> None:
    driver.put_account()
    before = stored(driver.table)

    driver.put_account(terms=QUOTA_100)

    after = stored(driver.table)
    assert types(after) == ["plan_change", "plan_change"]
    assert lines(after)[-1]["quota"] == 100
    assert after["ACCOUNT#acme", "PROFILE"]["name"] == before["ACCOUNT#acme", "PROFILE"]["name"]


def test_a_changed_profile_is_no_entry(driver: StoreDriver) -> None:
    driver.put_account()

    driver.put_account(profile=replace(PROFILE, name="New"))

    items = stored(driver.table)
    assert types(items) == ["plan_change"]
    assert items["ACCOUNT#acme", "PROFILE"]["version"]["N"] == "2"
    assert read_account(driver.table, "acme")[1].name == "New"


def test_a_changed_threshold_of_low_credits_is_an_entry(driver: StoreDriver) -> None:
    driver.put_account()

    driver.put_account(terms=replace(NO_QUOTA, low_credit_threshold=99))

    items = stored(driver.table)
    assert types(items) == ["plan_change", "plan_change"]
    assert (lines(items)[-1]["credits"], lines(items)[-1]["quota"]) == (0, 0)
    assert read_account(driver.table, "acme")[0].low_credit_threshold == 99


def test_a_removed_contact_is_gone(driver: StoreDriver) -> None:
    driver.put_account(profile=replace(PROFILE, manager_contact="ana@example.com"))

    driver.put_account(profile=PROFILE)

    assert read_account(driver.table, "acme")[1].manager_contact is None


def test_terms_and_profile_change_in_one_transaction(driver: StoreDriver, wire: Wire) -> None:
    driver.put_account()
    wire.forget()

    driver.put_account(terms=QUOTA_100, profile=replace(PROFILE, name="New"))

    assert wire.calls.count("TransactWriteItems") == 1
    assert types(stored(driver.table)) == ["plan_change", "plan_change"]


def test_an_unknown_plan_is_refused_and_changes_nothing(driver: StoreDriver) -> None:
    driver.put_account()
    before = stored(driver.table)

    with pytest.raises(InvalidRequest) as refused:
        driver.put_account(terms=replace(QUOTA_100, plan="gold"), profile=replace(PROFILE, name="New"))

    assert [name for name, _ in refused.value.errors] == ["plan"]
    assert stored(driver.table) == before


def test_an_unknown_plan_opens_no_account(driver: StoreDriver) -> None:
    with pytest.raises(InvalidRequest):
        driver.put_account(terms=replace(QUOTA_100, plan="gold"))

    assert stored(driver.table) == {}


def test_changing_an_account_keeps_its_credits_and_its_used_quota(driver: StoreDriver) -> None:
    driver.open(terms=QUOTA_100, credits=5)
    driver.debit(30, feature="ai_service")

    driver.put_account(terms=replace(QUOTA_100, plan="trio"))

    account = driver.account()
    assert (account.available, account.quotas_used) == (5, {"ai_service": 30})
    assert lines(stored(driver.table))[-1]["quota_remaining"] == 270


def test_an_unknown_account_is_not_found(driver: StoreDriver) -> None:
    driver.open("acme")

    for stranger in ("acm", "acme2", "ACME"):
        with pytest.raises(AccountNotFound):
            read_account(driver.table, stranger)


def test_accounts_with_a_common_prefix_are_separate(driver: StoreDriver) -> None:
    driver.open("acme", credits=5)

    opened = driver.put_account("acme-2", NO_QUOTA)

    assert opened
    assert driver.account("acme-2").available == 0
    assert driver.account("acme").available == 5


def test_an_unknown_plan_opens_no_account_without_ai_either(driver: StoreDriver) -> None:
    with pytest.raises(InvalidRequest):
        driver.put_account(terms=replace(NO_QUOTA, plan="gold"))

    assert stored(driver.table) == {}
