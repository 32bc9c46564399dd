"""Purchases: recorded before anybody can pay, granted exactly once from the record (rule 11, 12)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from prepaid.core.calendar import milliseconds
from prepaid.core.purchase import Progress, PurchaseState
from prepaid.store.dynamodb import ConditionFailed
from prepaid.store.purchases import read_purchase
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import (
    DAY,
    NOW,
    StoreDriver,
    a_purchase,
    due_keys,
    lines,
    stored,
    types,
)
from tests.support.wire import Wire


def test_a_recorded_purchase_is_read_back_as_it_was(driver: StoreDriver) -> None:
    purchase = a_purchase(session=None, state="created")

    driver.record(purchase)

    assert driver.purchase() == purchase


def test_a_purchase_is_not_found_under_another_account(driver: StoreDriver) -> None:
    driver.record(a_purchase())

    assert read_purchase(driver.table, "other", "pur_1") is None
    assert read_purchase(driver.table, "acme", "pur_2") is None


def test_an_id_that_is_taken_is_refused_and_the_first_record_stands(driver: StoreDriver) -> None:
    driver.record(a_purchase())
    before = stored(driver.table)

    with pytest.raises(ConditionFailed):
        driver.record(a_purchase(credits=100_000))

    assert stored(driver.table) == before


def test_a_payment_writes_lot_purchase_and_payment_reference(driver: StoreDriver, wire: Wire) -> None:
    """The reference leads from the payment to its purchase."""
    driver.open()
    driver.record(a_purchase())
    wire.forget()

    outcome = driver.receive(a_payment_status("paid", a_purchase()), at=NOW)

    assert outcome == "changed"
    assert wire.calls == ["GetItem", "Query", "TransactWriteItems"]
    items = stored(driver.table)
    line = lines(items)[-1]
    assert (line["type"], line["credits"], line["purchase"], line["actor"]) == ("purchase", 100, "pur_1", "shop")
    [lot] = driver.account().lots
    # Paid on 2026-06-16 in Sao Paulo: good through 2027-06-16 there.
    assert lot.expires_at == datetime(2027, 6, 17, 3, 0, tzinfo=UTC)
    assert due_keys(items) == [f"acme#{lot.id}"]
    found = driver.purchase()
    assert (found.state, found.version, found.payment) == ("granted", 2, "pi_pur_1")
    assert found.lots == (lot,)
    assert found.changed_at == NOW
    way_back = items["PAYMENT#pi_pur_1", "PAYMENT"]
    assert (way_back["account"], way_back["purchase"]) == ({"S": "acme"}, {"S": "pur_1"})


def test_the_grant_comes_from_the_record_not_from_the_catalog(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase(pack="no-longer-sold", credits=77, valid_months=1))

    driver.receive(a_payment_status("paid", a_purchase()))

    [lot] = driver.account().lots
    assert lot.remaining == 77
    assert lot.expires_at == datetime(2026, 7, 17, 3, 0, tzinfo=UTC)


def test_a_payment_without_an_id_leaves_no_way_back(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase())

    outcome = driver.receive(a_payment_status("paid", a_purchase(), payment=None))

    assert outcome == "changed"
    assert not [key for key in stored(driver.table) if key[0].startswith("PAYMENT#")]


@pytest.mark.parametrize("days", [0, 1, 400])
def test_a_repeated_payment_changes_nothing(driver: StoreDriver, days: int) -> None:
    driver.open()
    driver.record(a_purchase())
    driver.receive(a_payment_status("paid", a_purchase()), event="evt_1")
    driver.debit(30)
    before = stored(driver.table)

    outcome = driver.receive(a_payment_status("paid", a_purchase()), event="evt_2", at=NOW + days * DAY)

    assert outcome == "unchanged"
    assert stored(driver.table) == before


@pytest.mark.parametrize("state", ["created", "open", "pending", "failed", "expired"])
def test_money_grants_from_every_state_but_granted(driver: StoreDriver, state: PurchaseState) -> None:
    driver.open()
    driver.record(a_purchase(state=state))

    assert driver.receive(a_payment_status("paid", a_purchase())) == "changed"
    assert audit(stored(driver.table)).granted == 100


@pytest.mark.parametrize(
    ("kind", "state", "ends"),
    [
        ("awaiting_payment", "open", "pending"),
        ("payment_failed", "pending", "failed"),
        ("session_expired", "open", "expired"),
        ("awaiting_payment", "expired", "pending"),
    ],
)
def test_a_status_without_a_payment_changes_the_purchase_only(
    driver: StoreDriver, kind: Progress, state: PurchaseState, ends: PurchaseState
) -> None:
    driver.open()
    driver.record(a_purchase(state=state))
    before = stored(driver.table)

    outcome = driver.receive(a_payment_status(kind, a_purchase()))

    after = stored(driver.table)
    assert outcome == "changed"
    assert driver.purchase() == a_purchase(state=ends, version=2, changed_at=NOW)
    assert {key for key in after if after[key] != before.get(key)} == {("ACCOUNT#acme", "PURCHASE#pur_1")}


def test_a_status_that_changes_nothing_writes_nothing(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    driver.record(a_purchase(state="pending"))
    before = stored(driver.table)
    wire.forget()

    outcome = driver.receive(a_payment_status("session_expired", a_purchase()))

    assert outcome == "unchanged"
    assert wire.calls == ["GetItem"]
    assert stored(driver.table) == before


@pytest.mark.parametrize(
    ("difference", "named"),
    [
        ({"amount": 1}, ["amount"]),
        ({"currency": "usd"}, ["currency"]),
        ({"live": True}, ["live"]),
        ({"session": "cs_other"}, ["session"]),
        ({"mode": "subscription"}, ["mode"]),
        ({"quantity": 2}, ["quantity"]),
        ({"amount": 1, "currency": "usd"}, ["amount", "currency"]),
        ({"purchase": "pur_unknown"}, ["unknown_purchase"]),
        ({"account": "stranger"}, ["unknown_purchase"]),
        (
            {"session": "cs_other", "live": True, "mode": "setup", "quantity": 0},
            ["session", "live", "mode", "quantity"],
        ),
    ],
)
def test_a_mismatch_is_quarantined_and_grants_nothing(
    driver: StoreDriver, difference: dict[str, object], named: list[str]
) -> None:
    driver.open()
    driver.record(a_purchase())
    before = stored(driver.table)

    outcome = driver.receive(a_payment_status("paid", a_purchase(), **difference), event="evt_9")

    after = stored(driver.table)
    [new] = after.keys() - before.keys()
    assert outcome == "quarantined"
    purchase_id = str(difference.get("purchase", "pur_1"))
    assert new == ("QUARANTINE#payments", f"pi_pur_1#{'+'.join(named)}")
    row = after[new]
    assert (driver.reported, row["reason"]["S"]) == (["evt_9"], "evt_9")
    assert [mismatch["S"] for mismatch in row["mismatches"]["L"]] == named
    assert (row["account"]["S"], row["purchase"]["S"]) == (difference.get("account", "acme"), purchase_id)
    assert row["status"]["M"]["session"]["S"] == difference.get("session", "cs_pur_1")
    assert row["status"]["M"]["amount"]["S"] == str(difference.get("amount", 4990))
    assert row["at"]["N"] == str(milliseconds(NOW))
    changed = {key for key in before if after[key] != before[key]}
    # A purchase is paid only by its own session, not by the payment of another one.
    own = not difference.keys() & {"session", "purchase", "account"}
    assert changed == ({("ACCOUNT#acme", "PURCHASE#pur_1")} if own else set())
    assert driver.purchase() == a_purchase(state="paid", version=2, changed_at=NOW) if own else a_purchase()


def test_a_mismatch_is_granted_once_stripe_reports_a_match(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase())
    driver.receive(a_payment_status("paid", a_purchase(), amount=1), event="evt_1")
    assert driver.purchase().state == "paid"
    driver.receive(a_payment_status("paid", a_purchase(), amount=1), event="evt_2")
    assert driver.purchase().version == 2

    assert driver.receive(a_payment_status("paid", a_purchase()), event="evt_3") == "changed"

    assert driver.purchase().state == "granted"
    assert driver.account().available == 100


@pytest.mark.parametrize("kind", ["awaiting_payment", "payment_failed", "session_expired"])
def test_a_mismatch_without_money_is_ignored(driver: StoreDriver, kind: Progress) -> None:
    driver.open()
    driver.record(a_purchase())
    before = stored(driver.table)

    assert driver.receive(a_payment_status(kind, a_purchase(), amount=1)) == "ignored"
    assert driver.receive(a_payment_status(kind, a_purchase("pur_unknown"))) == "ignored"

    assert stored(driver.table) == before
    assert driver.reported == []


def test_another_stacks_payment_is_ignored(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase())
    before = stored(driver.table)

    for sold in (a_purchase("pur_unknown"), a_purchase(session="cs_another")):
        assert driver.receive(a_payment_status("paid", sold, other_stack="theirs")) == "ignored"

    assert stored(driver.table) == before


def test_a_misfit_is_one_row_whichever_events_find_it(driver: StoreDriver) -> None:
    """Two payments are two rows."""
    driver.open()
    driver.record(a_purchase())
    wrong = a_payment_status("paid", a_purchase(), amount=1)

    outcomes = [driver.receive(wrong, event=event) for event in ("evt_1", "evt_1", "evt_2", "reconciliation")]
    outcomes.append(driver.receive(replace(wrong, session="cs_other", payment="pi_other"), event="evt_3"))

    rows = [sort for partition, sort in sorted(stored(driver.table)) if partition.startswith("QUARANTINE#")]
    assert rows == ["pi_other#session+amount", "pi_pur_1#amount"]
    assert outcomes == ["quarantined", "unchanged", "unchanged", "unchanged", "quarantined"]
    assert driver.reported == ["evt_1", "evt_3"]


def test_a_quarantined_purchase_is_granted_by_a_matching_status(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase())
    driver.receive(a_payment_status("paid", a_purchase(), amount=1), event="evt_1")

    outcome = driver.receive(a_payment_status("paid", a_purchase()), event="evt_2")

    assert outcome == "changed"
    assert audit(stored(driver.table)).granted == 100


def test_one_payment_pays_for_one_purchase(driver: StoreDriver) -> None:
    driver.open()
    for name in ("pur_1", "pur_2"):
        driver.record(a_purchase(name))
    driver.receive(a_payment_status("paid", a_purchase("pur_1"), payment="pi_1"), event="evt_1")
    before = stored(driver.table)

    outcome = driver.receive(a_payment_status("paid", a_purchase("pur_2"), payment="pi_1"), event="evt_2")

    after = stored(driver.table)
    assert outcome == "quarantined"
    assert driver.purchase("pur_2").state == "open"
    assert after.keys() - before.keys() == {("QUARANTINE#payments", "pi_1#payment")}
    assert after["PAYMENT#pi_1", "PAYMENT"] == before["PAYMENT#pi_1", "PAYMENT"]


def test_the_grant_records_an_expiry_before_it(driver: StoreDriver) -> None:
    driver.open()
    driver.grant(5, validity=NOW + DAY)
    driver.record(a_purchase())

    driver.receive(a_payment_status("paid", a_purchase()), at=NOW + 2 * DAY)

    assert types(stored(driver.table))[-2:] == ["expiry", "purchase"]
    assert driver.granted_by() == 4
    assert audit(stored(driver.table)).expired == 5
