"""Rivals that act at one exact moment: between what an operation read and what it writes."""

from dataclasses import replace

import pytest

from prepaid.core.errors import AccountFrozen, IdempotencyKeyReused, InsufficientCredits
from prepaid.store.accounts import Profile, read_account
from prepaid.use_cases.administering import put_account
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import (
    DAY,
    NO_QUOTA,
    NOW,
    PROFILE,
    QUOTA_100,
    FakeTime,
    StoreDriver,
    a_purchase,
    claim_keys,
    quarantined,
    stored,
    types,
)
from tests.support.wire import Wire, cancels, first, nothing

TRANSACTION = "TransactWriteItems"


def test_a_debit_that_lost_a_race_waits_and_looks(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: rival.debit(4, key="theirs")))
    wire.forget()

    done = driver.debit(3, key="ours")

    # Its row, and whether it is the first; its claim, which nobody has made for it; the newest entries, and who waits.
    assert wire.calls == ["Query", TRANSACTION, "PutItem", "Query", "GetItem", "Query", "Query", TRANSACTION]
    assert (done.entries[-1].number, done.entries[-1].after.available) == (4, 3)
    assert audit(stored(driver.table)).spent == 7


FROZEN = replace(NO_QUOTA, status="frozen")


def test_a_freeze_before_the_write_of_a_debit_refuses_it(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: rival.put_account(terms=FROZEN)))

    with pytest.raises(AccountFrozen):
        driver.debit(3, key="ours")

    assert types(stored(driver.table)) == ["plan_change", "grant", "plan_change"]
    assert claim_keys(stored(driver.table)) == []


def test_a_debit_before_the_write_of_a_freeze_stands(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: rival.debit(3, key="theirs")))

    driver.put_account(terms=FROZEN)

    assert types(stored(driver.table)) == ["plan_change", "grant", "consumption", "plan_change"]
    assert driver.debit(3, key="theirs").replayed


def test_a_freeze_while_another_field_is_set_stays(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """A PUT that keeps the status must not undo it."""
    driver.open()
    wire.plan(TRANSACTION, first(lambda: rival.put_account(terms=FROZEN)))

    put_account(
        driver.table, "acme", QUOTA_100, PROFILE, keep=["status"], actor="admin", catalog=driver.catalog, now=NOW
    )

    assert read_account(driver.table, "acme")[0] == replace(QUOTA_100, status="frozen")


def test_two_rivals_one_after_the_other_are_both_taken_into_account(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: rival.debit(4, key="one")), first(lambda: rival.debit(2, key="two")))
    wire.forget()

    done = driver.debit(3, key="ours")

    # Having lost a turn, the debit reads no rows in the next one: a rival that reads none is quicker.
    turn, hurried = ["GetItem", "Query", "Query", TRANSACTION], ["GetItem", "Query", TRANSACTION]
    assert wire.calls == ["Query", TRANSACTION, "PutItem", "Query", *turn, *hurried]
    assert (done.entries[-1].number, done.entries[-1].after.available) == (5, 1)
    assert audit(stored(driver.table)).spent == 9


def test_two_rivals_before_one_write_are_both_taken_into_account(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: (rival.debit(4, key="one"), rival.debit(2, key="two"))))

    done = driver.debit(3, key="ours")

    assert (done.entries[-1].number, done.entries[-1].after.available) == (5, 1)
    assert audit(stored(driver.table)).spent == 9


def test_a_rival_that_takes_the_last_credit_first_leaves_a_refusal(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=3)
    wire.plan(TRANSACTION, first(lambda: rival.debit(3, key="theirs")))

    with pytest.raises(InsufficientCredits) as refused:
        driver.debit(3, key="ours")

    assert refused.value.available == 0
    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#theirs"]


def test_a_rival_that_grants_first_is_spent_from(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=3)
    wire.plan(TRANSACTION, first(lambda: rival.grant(5, validity=NOW + DAY)))

    done = driver.debit(3, key="ours")

    assert [lot.remaining for lot in done.entries[-1].after.lots] == [2, 3]
    audit(stored(driver.table))


@pytest.mark.parametrize("credits", [3, 10], ids=["the last ones", "plenty"])
def test_the_response_of_a_rival_with_the_same_request_is_returned(
    driver: StoreDriver, rival: StoreDriver, wire: Wire, credits: int
) -> None:
    driver.open(credits=credits)
    wire.plan(TRANSACTION, first(lambda: rival.debit(3, key="k1", actor="rival")))

    done = driver.debit(3, key="k1")

    assert done.replayed
    assert (done.entries[-1].number, done.entries[-1].actor) == (3, "rival")
    assert audit(stored(driver.table)).spent == 3


def test_a_claim_that_is_taken_is_read_before_another_write(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: rival.debit(3, key="k1")))
    wire.forget()

    assert driver.debit(3, key="k1").replayed

    # Claim and number are both taken: the claim decides, so nothing is computed and written on the rival's entry.
    assert wire.calls == ["Query", TRANSACTION, "GetItem", "GetItem"]


def test_a_claim_of_a_transaction_that_did_not_commit_is_no_claim(driver: StoreDriver, wire: Wire) -> None:
    """The condition failed on a claim that doesn't exist when it is read."""
    driver.open(credits=10)
    wire.plan(TRANSACTION, cancels("None", "ConditionalCheckFailed"))

    done = driver.debit(3, key="k1")

    assert wire.undone == 0
    assert not done.replayed
    assert audit(stored(driver.table)).spent == 3


def test_a_rivals_other_request_with_our_key_makes_ours_a_reuse(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: rival.debit(4, key="k1")))

    with pytest.raises(IdempotencyKeyReused):
        driver.debit(3, key="k1")

    assert audit(stored(driver.table)).spent == 4


def test_an_overtaken_retry_gets_the_original_response(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """Its original and other requests write first."""
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: (rival.debit(3, key="k1"), rival.debit(7, key="k2"))))

    done = driver.debit(3, key="k1")

    assert done.replayed
    assert done.entries[-1].number == 3
    assert audit(stored(driver.table)).spent == 10


def test_after_a_rival_settles_there_is_nothing_to_settle(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    driver.grant(5, validity=NOW + DAY)
    wire.plan(TRANSACTION, first(lambda: rival.settle(at=NOW + DAY)))

    done = driver.debit(3, key="k1", at=NOW + DAY)

    assert [entry.type for entry in done.entries] == ["consumption"]
    assert types(stored(driver.table)).count("expiry") == 1
    assert audit(stored(driver.table)).expired == 5


def test_two_settlements_of_one_lot_record_it_once(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open()
    driver.grant(5, validity=NOW + DAY)
    wire.plan(TRANSACTION, first(lambda: rival.settle(at=NOW + DAY)))
    wire.forget()

    done = driver.settle(at=NOW + DAY)

    assert done.entries == ()
    assert wire.calls == ["Query", TRANSACTION]
    assert types(stored(driver.table)).count("expiry") == 1


def test_a_rival_whose_clock_is_ahead_expires_the_lot_for_us_too(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open()
    driver.grant(5, validity=NOW + DAY)
    wire.plan(TRANSACTION, first(lambda: rival.grant(1, at=NOW + DAY)))

    with pytest.raises(InsufficientCredits):
        driver.debit(5, key="k1", at=NOW)

    assert audit(stored(driver.table)).expired == 5


def test_a_lot_after_a_lost_race_is_due_by_its_final_number(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, first(lambda: rival.debit(1)))

    done = driver.grant(5, key="g1", validity=NOW + DAY)

    items = stored(driver.table)
    assert done.entries[-1].lot
    assert done.entries[-1].lot.id == "lot_000000000004"
    assert [sort for partition, sort in items if partition.startswith("DUE#2026-06-17#")] == ["acme#lot_000000000004"]
    assert items["CLAIM#acme#g1", "CLAIM"]["number"] == {"N": "4"}


@pytest.mark.parametrize("rival_fact", ["awaiting_payment", "payment_failed", "session_expired"])
def test_a_purchase_changed_before_its_grant_is_granted_anew(
    driver: StoreDriver, rival: StoreDriver, wire: Wire, rival_fact: object
) -> None:
    """Another process changes it between our read and our write: the grant starts from its new state."""
    driver.open()
    purchase = a_purchase()
    driver.record(purchase)
    wire.plan(TRANSACTION, first(lambda: rival.receive(a_payment_status(rival_fact, purchase), event="evt_0")))  # type: ignore[arg-type]

    outcome = driver.receive(a_payment_status("paid", purchase))

    assert outcome == "changed"
    found = driver.purchase()
    assert (found.state, found.version, driver.granted_by()) == ("granted", 3, 2)
    assert audit(stored(driver.table)).granted == 100


def test_a_purchase_granted_by_a_rival_is_not_granted_again(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    """The rival writes between our read and our write."""
    driver.open()
    purchase = a_purchase()
    driver.record(purchase)
    wire.plan(TRANSACTION, first(lambda: rival.receive(a_payment_status("paid", purchase), event="evt_0")))

    outcome = driver.receive(a_payment_status("paid", purchase), event="evt_1")

    assert outcome == "unchanged"
    assert audit(stored(driver.table)).granted == 100
    assert driver.granted_by() == 2


def test_a_purchase_granted_and_spent_is_not_granted_again(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """Both happen between our read and our write."""
    driver.open()
    purchase = a_purchase()
    driver.record(purchase)
    wire.plan(
        TRANSACTION,
        first(lambda: (rival.receive(a_payment_status("paid", purchase), event="evt_0"), rival.debit(100))),
        first(lambda: rival.grant(1)),
    )

    outcome = driver.receive(a_payment_status("paid", purchase), event="evt_1")

    assert outcome == "unchanged"
    assert audit(stored(driver.table)).granted == 101


def test_a_purchase_granted_by_a_rival_first_stays_granted(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open()
    purchase = a_purchase()
    driver.record(purchase)
    wire.plan("PutItem", first(lambda: rival.receive(a_payment_status("paid", purchase), event="evt_0")))

    statuses = iter([a_payment_status("session_expired", purchase), a_payment_status("paid", purchase)])

    outcome = driver.follow(lambda: next(statuses), event="evt_1")

    assert outcome == "unchanged"
    assert driver.purchase().state == "granted"
    assert quarantined(stored(driver.table)) == []


def test_a_debit_between_read_and_grant_does_not_change_the_grant(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=5)
    purchase = a_purchase()
    driver.record(purchase)
    wire.plan(TRANSACTION, first(lambda: rival.debit(2)))

    outcome = driver.receive(a_payment_status("paid", purchase))

    assert outcome == "changed"
    assert driver.granted_by() == 4
    assert audit(stored(driver.table)).available == 103


def test_a_payment_used_by_a_rival_meanwhile_is_quarantined(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    """For another purchase."""
    driver.open()
    for name in ("pur_1", "pur_2"):
        driver.record(a_purchase(name))
    wire.plan(
        TRANSACTION,
        first(lambda: rival.receive(a_payment_status("paid", a_purchase("pur_2"), payment="pi_1"), event="evt_0")),
    )

    outcome = driver.receive(a_payment_status("paid", a_purchase("pur_1"), payment="pi_1"), event="evt_1")

    assert outcome == "quarantined"
    assert driver.purchase("pur_1").state == "open"
    assert audit(stored(driver.table)).granted == 100
    [row] = [item for (partition, _), item in stored(driver.table).items() if partition.startswith("QUARANTINE#")]
    assert row["mismatches"] == {"L": [{"S": "payment"}]}


def test_an_account_opened_by_a_rival_first_is_changed(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    wire.plan(TRANSACTION, first(lambda: rival.put_account(terms=QUOTA_100)))
    ours = replace(PROFILE, name="Ours")

    opened = driver.put_account(terms=replace(QUOTA_100, plan="trio"), profile=ours)

    assert not opened
    assert read_account(driver.table, "acme") == (replace(QUOTA_100, plan="trio"), ours)
    assert types(stored(driver.table)) == ["plan_change", "plan_change"]


def test_the_later_of_two_profile_changes_has_read_the_earlier(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open()
    theirs, ours = replace(PROFILE, name="Theirs"), replace(PROFILE, name="Ours")
    wire.plan(TRANSACTION, first(lambda: rival.put_account(profile=theirs)))

    driver.put_account(profile=ours)

    assert read_account(driver.table, "acme")[1] == ours
    assert stored(driver.table)["ACCOUNT#acme", "PROFILE"]["version"]["N"] == "3"


def test_a_profile_is_changed_though_a_debit_came_between(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=5)
    wire.plan(TRANSACTION, first(lambda: rival.debit(1)))
    ours = Profile(name="Ours", language="es", manager_contact="ana@example.com")

    driver.put_account(terms=QUOTA_100, profile=ours)

    assert read_account(driver.table, "acme") == (QUOTA_100, ours)
    assert audit(stored(driver.table)).available == 4


def test_a_rival_at_every_try_is_retried_until_the_deadline(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=100)
    time = FakeTime(dice=0.01)
    wire.plan(TRANSACTION, *[first(lambda: rival.debit(1))] * 20, nothing)

    done = driver.with_deadline(time.deadline()).debit(1, key="k1")

    assert done.entries[-1].number == 23
    assert wire.undone == 0
    assert audit(stored(driver.table)).spent == 21


def test_the_later_of_two_account_changes_wins_entirely(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open()
    theirs = (replace(QUOTA_100, plan="team"), replace(PROFILE, name="Theirs"))
    # Our profile is the one that stands already: only our terms are new.
    ours = (replace(QUOTA_100, plan="trio"), PROFILE)
    wire.plan(TRANSACTION, first(lambda: rival.put_account("acme", *theirs)))

    driver.put_account("acme", *ours)

    assert read_account(driver.table, "acme") == ours
