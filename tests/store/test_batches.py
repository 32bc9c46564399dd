"""Many debits appended at once: what fits in a transaction, rivals in between, lost replies, parallel batches."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from prepaid.core.errors import AccountNotFound, Busy, IdempotencyKeyReused, InsufficientCredits
from prepaid.core.ledger import Debit
from prepaid.store.ledger import Appended
from prepaid.store.waiting import KeyedDebit
from prepaid.use_cases.debiting import Crowds, Outcome, append_each
from tests.support.ledger_audit import audit
from tests.support.store_driver import DAY, NOW, FakeTime, StoreDriver, claim_keys, stored, types, until_answered
from tests.support.wire import Fault, Wire, answer_lost, cancels, first, no_answer, nothing, reset_after_commit
from tests.support.workers import at_once

TRANSACTION = "TransactWriteItems"
LOST: dict[str, Fault] = {"timed out": answer_lost, "reset": reset_after_commit}


def batch(driver: StoreDriver, items: Sequence[tuple[str, int]], *, at: datetime = NOW) -> tuple[Outcome, ...]:
    """Stickers by key and quantity."""
    debits = [KeyedDebit(key, Debit(actor="app", feature="sticker", quantity=quantity)) for key, quantity in items]
    return append_each(driver.table, "acme", debits, catalog=driver.catalog, now=at, crowds=Crowds())


def numbers(outcomes: Sequence[Outcome]) -> list[int]:
    """The numbers of the entries; 0 for a refused debit."""
    return [outcome.entries[-1].number if isinstance(outcome, Appended) else 0 for outcome in outcomes]


def replayed(outcomes: Sequence[Outcome]) -> list[bool]:
    return [isinstance(outcome, Appended) and outcome.replayed for outcome in outcomes]


def ones(count: int) -> list[tuple[str, int]]:
    return [(f"k{n}", 1) for n in range(count)]


def test_a_batch_is_the_calls_of_a_debit(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=100)
    wire.forget()

    batch(driver, ones(40))

    assert wire.calls == ["Query", TRANSACTION]
    # One to read the newest entry, four for each entry with its claim.
    assert wire.units == 1 + 40 * 4


def test_more_writes_than_fit_are_several_transactions(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=1_000)
    driver.grant(5, validity=NOW + DAY)
    wire.forget()

    outcomes = batch(driver, ones(110), at=NOW + DAY)

    # An expiry and 49 debits with their claims, then 50, then the rest.
    assert wire.calls == ["Query", TRANSACTION] * 3
    assert numbers(outcomes) == list(range(5, 115))
    assert types(stored(driver.table))[3:] == ["expiry", *["consumption"] * 110]
    assert audit(stored(driver.table)).spent == 110


def test_more_bytes_than_fit_are_several_transactions(driver: StoreDriver, wire: Wire) -> None:
    """Every entry holds the whole account, here of more than a hundred kilobytes."""
    driver.open_with_lots(5_000)
    wire.forget()

    outcomes = batch(driver, ones(40))

    assert wire.calls.count(TRANSACTION) > 1
    assert numbers(outcomes) == list(range(2, 42))


def test_the_bytes_of_a_batchs_first_debit_count(driver: StoreDriver, wire: Wire) -> None:
    """Its own entry follows one of an expired lot. An entry has 271 kilobytes here: eleven fit."""
    driver.open_with_lots(10_000)
    wire.forget()

    outcomes = batch(driver, ones(11), at=NOW + 1_000 * DAY)

    assert wire.calls.count(TRANSACTION) == 2
    assert numbers(outcomes) == list(range(3, 14))


def test_a_batch_that_stops_between_two_transactions_continues(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=1_000)
    wire.plan(TRANSACTION, nothing)
    wire.always(TRANSACTION, no_answer)
    with pytest.raises(Busy):
        batch(driver.with_deadline(FakeTime().deadline(1.0)), ones(60))
    wire.end_faults()
    assert audit(stored(driver.table)).spent == 50

    outcomes = batch(driver, ones(60))

    assert numbers(outcomes) == list(range(3, 63))
    assert replayed(outcomes) == [True] * 50 + [False] * 10
    assert audit(stored(driver.table)).spent == 60


@pytest.mark.parametrize("fault", list(LOST.values()), ids=list(LOST))
@pytest.mark.parametrize("times", [1, 2])
def test_a_batch_whose_response_is_lost_happens_once(driver: StoreDriver, wire: Wire, fault: Fault, times: int) -> None:
    driver.open(credits=3)
    wire.plan(TRANSACTION, *[fault] * times)
    wire.forget()

    outcomes = batch(driver, [("k1", 1), ("k2", 2), ("k3", 1)])

    assert numbers(outcomes) == [3, 4, 0]
    assert audit(stored(driver.table)).spent == 3
    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#k1", "CLAIM#acme#k2"]
    # botocore sends a call twice. After that the first failed condition is enough to find the effects.
    assert wire.calls.count(TRANSACTION) == times + 1


def test_a_refusal_counts_what_a_lost_response_spent(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=100)
    wire.plan(TRANSACTION, answer_lost, answer_lost)

    outcomes = batch(driver, [("k1", 3), ("k2", 2), ("k3", 200)])

    refused = outcomes[2]
    assert numbers(outcomes) == [3, 4, 0]
    assert isinstance(refused, InsufficientCredits)
    assert (refused.needed, refused.available) == (200, 95)


def test_a_refusal_counts_what_a_rival_spent_under_its_keys(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=100)
    wire.plan(TRANSACTION, first(lambda: batch(rival, [("k1", 3), ("k2", 2)])))

    outcomes = batch(driver, [("k1", 3), ("k2", 2), ("k3", 200)])

    refused = outcomes[2]
    assert replayed(outcomes) == [True, True, False]
    assert isinstance(refused, InsufficientCredits)
    assert refused.available == 95


def test_a_batch_that_lost_a_race_reads_what_waits(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=4)
    wire.plan(TRANSACTION, first(lambda: rival.debit(2, key="theirs")))
    wire.forget()

    outcomes = batch(driver, [("k1", 1), ("k2", 2), ("k3", 1)])

    # The newest entries, then the rows of debits that wait; at the end the claim of the item that is refused.
    assert wire.calls == ["Query", TRANSACTION, "Query", "Query", TRANSACTION, "GetItem"]
    assert numbers(outcomes) == [4, 0, 5]
    refused = outcomes[1]
    assert isinstance(refused, InsufficientCredits)
    assert (refused.needed, refused.available) == (2, 1)


def test_a_rival_with_some_of_the_keys_gives_us_its_responses(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    """Its debits are not charged again, so enough is left for the rest."""
    driver.open(credits=6)
    wire.plan(TRANSACTION, first(lambda: batch(rival, [("k2", 2), ("k4", 1)])))

    outcomes = batch(driver, [("k1", 1), ("k2", 2), ("k3", 2), ("k4", 2)])

    assert numbers(outcomes) == [5, 3, 6, 0]
    assert replayed(outcomes) == [False, True, False, False]
    assert isinstance(outcomes[3], IdempotencyKeyReused)
    assert audit(stored(driver.table)).spent == 6


def test_a_refused_item_that_took_effect_before_is_a_replay(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=4)
    batch(driver, [("k1", 3)])
    wire.forget()

    outcomes = batch(driver, [("k1", 3), ("k2", 3), ("k3", 1)])

    assert numbers(outcomes) == [3, 0, 4]
    assert replayed(outcomes) == [True, False, False]
    # The claims of the refused two, and the entry of one.
    assert wire.calls == ["Query", TRANSACTION, "BatchGetItem", "GetItem"]


def test_a_claim_that_does_not_exist_after_all_is_tried_again(driver: StoreDriver, wire: Wire) -> None:
    """The database reported that the claim exists, and it doesn't."""
    driver.open(credits=4)
    wire.plan(TRANSACTION, cancels("None", "None", "ConditionalCheckFailed", "None"))

    outcomes = batch(driver, [("k1", 1), ("k2", 1)])

    assert numbers(outcomes) == [3, 4]
    assert replayed(outcomes) == [False, False]


def test_endless_conflicts_are_busy(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=4)
    wire.always(TRANSACTION, cancels("TransactionConflict", "None"))

    with pytest.raises(Busy):
        batch(driver.with_deadline(FakeTime().deadline()), [("k1", 1)])

    assert audit(stored(driver.table)).spent == 0


def test_a_missing_account_is_not_found(driver: StoreDriver) -> None:
    for items in ([("k1", 1)], []):
        with pytest.raises(AccountNotFound):
            batch(driver, items)


def test_parallel_batches_of_the_same_items_take_effect_once(driver: StoreDriver) -> None:
    driver.open(credits=25)
    keyed = ones(30)

    def ask(start: int) -> list[int]:
        part = [*keyed[start:], *keyed[:start]][:20]
        return numbers(until_answered(lambda: batch(driver, part)))

    at_once(ask, [0, 5, 10, 15, 20, 25] * 3, threads=6)

    audited = audit(stored(driver.table))
    assert (audited.spent, audited.consumptions) == (25, 25)
    assert len(claim_keys(stored(driver.table))) == 25


def test_parallel_batches_and_debits_spend_each_credit_once(driver: StoreDriver) -> None:
    driver.open(credits=100)

    def ask(index: int) -> list[int]:
        if index % 2:
            return numbers(until_answered(lambda: batch(driver, [(f"b{index}-{n}", 1) for n in range(10)])))
        try:
            return [until_answered(lambda: driver.debit(1, key=f"d{index}")).entries[-1].number]
        except InsufficientCredits:
            return [0]

    answers = at_once(ask, range(40), threads=8)

    served = sorted(number for answer in answers for number in answer if number)
    assert served == list(range(3, 103))
    assert audit(stored(driver.table)).available == 0
