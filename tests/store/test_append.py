"""Append: one entry, one claim, one transaction; and what a retry gets (rules 4, 5, 6)."""

from collections.abc import Callable
from datetime import timezone

import pytest

from prepaid.core.errors import AccountNotFound, IdempotencyKeyReused, InsufficientCredits, InvalidRequest, TooManyLots
from prepaid.core.ledger import MAX_LOTS, Debit, Settle
from prepaid.store import keys
from prepaid.store.ledger import append, find_replay, read_entries, read_entry
from tests.support.ledger_audit import audit
from tests.support.store_driver import (
    DAY,
    HOUR,
    NO_QUOTA,
    NOW,
    QUOTA_100,
    TICK,
    StoreDriver,
    claim_keys,
    due_keys,
    entry_items,
    lines,
    stored,
    types,
)
from tests.support.wire import Wire


def test_a_debit_writes_one_entry_and_its_claim_only(driver: StoreDriver) -> None:
    driver.open(credits=10)
    before = stored(driver.table)

    done = driver.debit(3, key="k1", customer="customer-118", reference="order-7", description="A sticker")

    after = stored(driver.table)
    new = after.keys() - before.keys()
    assert new == {("ACCOUNT#acme", "ENTRY#000000000003"), ("CLAIM#acme#k1", "CLAIM")}
    assert {key: after[key] for key in before} == before
    assert after["CLAIM#acme#k1", "CLAIM"]["number"] == {"N": "3"}
    line = lines(after)[-1]
    assert (line["type"], line["credits"], line["balance_after"]) == ("consumption", -3, 7)
    assert (line["customer"], line["reference"], line["description"]) == ("customer-118", "order-7", "A sticker")
    assert (line["actor"], line["feature"], line["quantity"]) == ("app", "sticker", 3)
    assert done.entries[-1].after.available == 7
    assert not done.replayed


def test_the_stored_entry_equals_the_response(driver: StoreDriver) -> None:
    driver.open(terms=QUOTA_100)
    driver.grant(5, kind="adjustment", validity=NOW + DAY, key="g1", description="Sorry")
    done = driver.debit(103, feature="ai_service", key="k1", description="Größe ✓ \n\u2028", customer="Zé")

    entry = done.entries[-1]

    assert read_entry(driver.table, "acme", entry.number) == entry
    assert driver.account() == entry.after
    assert entry.source == "both"
    assert (entry.credits, entry.quota) == (-3, -100)


def test_a_grant_leaves_its_entry_its_claim_and_its_due_row(driver: StoreDriver) -> None:
    driver.open()
    before = stored(driver.table)

    driver.grant(7, key="g1", validity=NOW + DAY)

    after = stored(driver.table)
    [entry, claim, due] = sorted(after.keys() - before.keys())
    assert entry == ("ACCOUNT#acme", "ENTRY#000000000002")
    assert claim == ("CLAIM#acme#g1", "CLAIM")
    assert due[0].startswith("DUE#2026-06-17#")
    assert due[1] == "acme#lot_000000000002"
    assert after[due]["ends_at"]["N"] == str(int((NOW + DAY).timestamp() * 1000))


@pytest.mark.parametrize("times", [1, 5])
def test_a_retry_gets_the_original_response_and_writes_nothing(driver: StoreDriver, times: int) -> None:
    """It is marked as a replay."""
    driver.open(credits=10)
    answer = driver.debit(3, key="k1")
    before = stored(driver.table)

    repeats = [driver.debit(3, key="k1", at=NOW + index * HOUR) for index in range(times)]

    assert all(repeat.replayed for repeat in repeats)
    assert all(repeat.entries == answer.entries for repeat in repeats)
    assert stored(driver.table) == before


def test_a_late_retry_gets_the_original_response(driver: StoreDriver) -> None:
    """Whatever the account did since."""
    driver.open(credits=10)
    answer = driver.debit(3, key="k1")
    driver.debit(1, key="k2")
    driver.grant(100)

    repeat = driver.debit(3, key="k1", at=NOW + 400 * DAY)

    assert repeat.replayed
    assert repeat.entries == answer.entries
    assert repeat.entries[-1].after.available == 7


def test_a_retry_by_another_actor_is_the_same_request(driver: StoreDriver) -> None:
    driver.open(credits=10)
    answer = driver.debit(3, key="k1", actor="app")

    repeat = driver.debit(3, key="k1", actor="another-app")

    assert repeat.replayed
    assert repeat.entries == answer.entries
    assert repeat.entries[-1].actor == "app"


@pytest.mark.parametrize(
    "other",
    [
        lambda driver: driver.debit(4, key="k1"),
        lambda driver: driver.debit(3, key="k1", feature="ai_service"),
        lambda driver: driver.debit(3, key="k1", customer="customer-118"),
        lambda driver: driver.debit(3, key="k1", reference="order-7"),
        lambda driver: driver.debit(3, key="k1", description="A sticker"),
        lambda driver: driver.grant(3, key="k1"),
        # More than there is: a reused key is refused as reused, not for missing credits.
        lambda driver: driver.debit(1000, key="k1"),
    ],
    ids=["amount", "feature", "customer", "reference", "description", "a grant", "more than there is"],
)
def test_a_key_reused_for_another_request_changes_nothing(
    driver: StoreDriver, other: Callable[[StoreDriver], object]
) -> None:
    driver.open(credits=10)
    driver.debit(3, key="k1")
    before = stored(driver.table)

    with pytest.raises(IdempotencyKeyReused):
        other(driver)

    assert stored(driver.table) == before


@pytest.mark.parametrize(
    "other",
    [
        lambda driver: driver.debit(5, key="g1"),
        lambda driver: driver.grant(6, key="g1"),
        lambda driver: driver.grant(5, key="g1", validity=11),
        lambda driver: driver.grant(5, key="g1", kind="adjustment"),
        lambda driver: driver.grant(5, key="g1", description="again"),
    ],
    ids=["a debit", "amount", "validity", "kind", "reason"],
)
def test_a_grants_key_serves_no_other_request(driver: StoreDriver, other: Callable[[StoreDriver], object]) -> None:
    driver.open()
    driver.grant(5, key="g1")
    before = stored(driver.table)

    with pytest.raises(IdempotencyKeyReused):
        other(driver)

    assert stored(driver.table) == before


def test_a_grant_repeated_with_the_same_instant_of_expiry_is_a_replay(driver: StoreDriver) -> None:
    driver.open()
    answer = driver.grant(5, key="g1", validity=NOW + DAY)

    repeat = driver.grant(5, key="g1", validity=NOW + DAY, at=NOW + HOUR)

    assert repeat.replayed
    assert repeat.entries == answer.entries


def test_after_a_refusal_the_same_key_succeeds_with_new_credits(driver: StoreDriver) -> None:
    """A refusal claims nothing."""
    driver.open(credits=2)
    before = stored(driver.table)

    with pytest.raises(InsufficientCredits) as refused:
        driver.debit(3, key="k1")

    assert stored(driver.table) == before
    assert (refused.value.needed, refused.value.available) == (3, 2)

    driver.grant(1)
    done = driver.debit(3, key="k1")

    assert not done.replayed
    assert done.entries[-1].after.available == 0
    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#k1"]


def test_a_retry_of_the_last_debit_gets_its_response(driver: StoreDriver) -> None:
    driver.open(credits=1)
    answer = driver.debit(1, key="k1")

    repeat = driver.debit(1, key="k1")

    assert repeat.replayed
    assert repeat.entries == answer.entries
    with pytest.raises(InsufficientCredits):
        driver.debit(1, key="k2")


def test_a_retry_is_recognized_before_any_other_rule(driver: StoreDriver) -> None:
    driver.open(credits=1)
    answer = driver.grant(1, key="g1", validity=NOW + HOUR)
    gone = Debit(actor="app", feature="no-such-feature", quantity=1)

    # A new grant of that lot would be refused now, because it would end in the past.
    repeat = driver.grant(1, key="g1", validity=NOW + HOUR, at=NOW + 2 * HOUR)

    assert repeat.replayed
    assert repeat.entries == answer.entries
    with pytest.raises(InvalidRequest):
        append(
            driver.table,
            "acme",
            gone,
            catalog=driver.catalog,
            now=NOW,
            idempotency_key="k-gone",
        )


def test_a_retried_grant_is_replayed_at_the_limit_of_lots(driver: StoreDriver) -> None:
    driver.open_with_lots(MAX_LOTS - 1)
    answer = driver.grant(1, key="g1")

    repeat = driver.grant(1, key="g1")

    assert repeat.replayed
    assert repeat.entries == answer.entries
    with pytest.raises(TooManyLots):
        driver.grant(1, key="g2")


@pytest.mark.parametrize("ask", [lambda driver: driver.debit(1, key="k1"), lambda driver: driver.settle()])
def test_an_unknown_account_is_refused_and_nothing_is_written(
    driver: StoreDriver, ask: Callable[[StoreDriver], object]
) -> None:
    driver.open("other", credits=5)
    before = stored(driver.table)

    with pytest.raises(AccountNotFound):
        ask(driver)

    assert stored(driver.table) == before


def test_expiries_and_renewals_are_written_with_the_next_debit(driver: StoreDriver, wire: Wire) -> None:
    """In one transaction."""
    driver.open(terms=QUOTA_100, credits=10)
    driver.grant(5, validity=NOW + DAY)
    driver.debit(40, feature="ai_service")
    later = NOW + 20 * DAY
    wire.forget()

    done = driver.debit(101, feature="ai_service", key="k1", at=later)

    items = stored(driver.table)
    assert [entry.type for entry in done.entries] == ["expiry", "quota_renewal", "consumption"]
    assert types(items)[-3:] == ["expiry", "quota_renewal", "consumption"]
    assert wire.calls.count("TransactWriteItems") == 1
    assert items["CLAIM#acme#k1", "CLAIM"]["number"] == {"N": str(done.entries[-1].number)}
    assert lines(items)[-1]["balance_after"] == 9
    assert audit(items).expired == 5


def test_the_replay_of_a_debit_that_settled_is_the_debit_alone(driver: StoreDriver) -> None:
    driver.open(credits=10)
    driver.grant(5, validity=NOW + DAY)
    done = driver.debit(1, key="k1", at=NOW + 2 * DAY)
    assert len(done.entries) == 2

    repeat = driver.debit(1, key="k1", at=NOW + 2 * DAY)

    assert repeat.entries == done.entries[-1:]
    assert repeat.entries[0].type == "consumption"


def test_a_refused_debit_changes_no_byte_of_the_table(driver: StoreDriver) -> None:
    """Though there was an expiry to record."""
    driver.open(credits=1)
    driver.grant(5, validity=NOW + DAY)
    before = stored(driver.table)

    with pytest.raises(InsufficientCredits) as refused:
        driver.debit(2, key="k1", at=NOW + DAY)

    assert refused.value.available == 1
    assert stored(driver.table) == before


def test_settling_when_nothing_happened_writes_nothing(driver: StoreDriver, wire: Wire) -> None:
    driver.open(terms=QUOTA_100, credits=5)
    driver.grant(5, validity=NOW + DAY)
    before = stored(driver.table)
    wire.forget()

    done = driver.settle(at=NOW + DAY - TICK)

    assert done.entries == ()
    assert wire.calls == ["Query"]
    assert stored(driver.table) == before


def test_at_the_boundary_instant_the_lot_is_settled(driver: StoreDriver) -> None:
    driver.open()
    driver.grant(5, validity=NOW + DAY)

    done = driver.settle(at=NOW + DAY)

    assert [entry.type for entry in done.entries] == ["expiry"]
    assert lines(stored(driver.table))[-1]["credits"] == -5
    assert claim_keys(stored(driver.table)) == []


def test_setting_the_same_terms_writes_nothing(driver: StoreDriver) -> None:
    driver.open()
    before = stored(driver.table)

    done = driver.change_terms(NO_QUOTA)

    assert done.entries == ()
    assert stored(driver.table) == before


def test_two_accounts_never_share_a_claim(driver: StoreDriver) -> None:
    driver.open("acme", credits=5)
    driver.open("acme-2", credits=5)
    mine = driver.debit(1, key="k1", account="acme")

    theirs = driver.debit(2, key="k1", account="acme-2")

    assert not theirs.replayed
    assert mine.entries[-1].after.id == "acme"
    assert theirs.entries[-1].after.id == "acme-2"
    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#k1", "CLAIM#acme-2#k1"]
    assert find_replay(driver.table, "acme-3", Debit(actor="app", feature="sticker", quantity=1), "k1") is None


def test_a_refusal_does_not_reveal_another_accounts_claim(driver: StoreDriver) -> None:
    driver.open("acme", credits=1)
    driver.open("acme-2")
    driver.debit(1, key="k1", account="acme")

    with pytest.raises(InsufficientCredits):
        driver.debit(1, key="k1", account="acme-2")


@pytest.mark.parametrize(
    "key",
    ["a" * 255, "ü" * 255, "𝕂" * 255, "with spaces # and / signs", "CLAIM", "k1#CLAIM", "0"],
    ids=["ascii", "two bytes", "four bytes", "signs", "word", "hash", "zero"],
)
def test_any_key_of_up_to_255_characters_claims_once(driver: StoreDriver, key: str) -> None:
    driver.open(credits=5)
    answer = driver.debit(1, key=key)
    neighbour = driver.debit(1, key=key[:-1] + "x")

    repeat = driver.debit(1, key=key)

    assert not neighbour.replayed
    assert repeat.replayed
    assert repeat.entries == answer.entries
    assert audit(stored(driver.table)).spent == 2


def test_keys_differ_by_case_and_by_unicode_form(driver: StoreDriver) -> None:
    driver.open(credits=5)

    answers = [driver.debit(1, key=key) for key in ("k", "K", "\u00e9", "e\u0301")]

    assert not any(answer.replayed for answer in answers)
    assert driver.account().available == 1


def test_every_debit_without_a_key_takes_effect(driver: StoreDriver) -> None:
    driver.open(credits=5)

    driver.debit(1)
    driver.debit(1)

    assert driver.account().available == 3
    assert claim_keys(stored(driver.table)) == []


def test_a_debit_of_quota_writes_an_entry_and_a_claim_too(driver: StoreDriver) -> None:
    driver.open(terms=QUOTA_100)

    done = driver.debit(1, feature="ai_service", key="k1")

    assert done.entries[-1].credits == 0
    assert done.entries[-1].quota == -1
    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#k1"]


def test_amounts_beyond_what_a_float_holds_keep_every_digit(driver: StoreDriver) -> None:
    driver.open()
    huge = 2**53 + 1

    driver.grant(huge, key="g1")
    driver.debit(1, key="k1")

    assert driver.account().available == huge - 1
    assert audit(stored(driver.table)).available == huge - 1


def test_a_mixed_history_has_no_gap_and_adds_up(driver: StoreDriver) -> None:
    driver.open(terms=QUOTA_100)
    for index in range(6):
        at = NOW + index * 7 * DAY
        driver.grant(10 + index, validity=at + 10 * DAY, at=at, key=f"g{index}")
        driver.debit(40, feature="ai_service", key=f"a{index}", at=at + HOUR)
        driver.debit(3, key=f"s{index}", at=at + 2 * HOUR)
    driver.change_terms(NO_QUOTA, at=NOW + 40 * DAY)
    driver.settle(at=NOW + 100 * DAY)

    items = stored(driver.table)

    audited = audit(items)
    assert audited.available == 0
    assert audited.granted == audited.spent + audited.expired == 75
    assert set(types(items)) == {"plan_change", "grant", "consumption", "expiry", "quota_renewal"}
    assert len(due_keys(items)) == 6
    newest_first = read_entries(driver.table, "acme", first=1, last=audited.entries, limit=200)
    assert [entry.number for entry in newest_first] == list(range(audited.entries, 0, -1))


@pytest.mark.parametrize("part", ["line", "state", "hash"])
def test_the_auditor_finds_a_changed_byte(driver: StoreDriver, part: str) -> None:
    driver.open(credits=10)
    driver.debit(1)
    driver.debit(1)
    items = stored(driver.table)
    [_, _, third, _] = entry_items(items)
    kind, value = next(iter(third[part].items()))
    third[part] = {kind: value[:-1] + (b"!" if isinstance(value, bytes) else "!")}

    with pytest.raises(AssertionError, match="the chain breaks"):
        audit(items)


def test_a_debit_behind_the_ledgers_time_is_dated_at_the_ledgers_time(driver: StoreDriver) -> None:
    driver.open(credits=10, at=NOW)

    done = driver.debit(1, at=NOW - HOUR)

    assert done.entries[-1].at == NOW
    assert audit(stored(driver.table)).spent == 1


def test_settling_takes_no_key(driver: StoreDriver) -> None:
    driver.open()
    driver.grant(1, validity=NOW + HOUR)

    with pytest.raises(AssertionError):
        append(
            driver.table,
            "acme",
            Settle(),
            catalog=driver.catalog,
            now=NOW + DAY,
            idempotency_key="k1",
        )


def test_the_key_of_an_entry_is_padded_so_that_it_sorts_as_a_number() -> None:
    assert keys.entry_sort(9) < keys.entry_sort(10) < keys.entry_sort(999_999) < keys.LAST_ENTRY
    assert keys.entry_sort(42) == "ENTRY#000000000042"


def test_instants_are_stored_in_whole_milliseconds(driver: StoreDriver) -> None:
    """So no lot outlives its end."""
    driver.open()

    driver.grant(5, validity=NOW + DAY + TICK - TICK / 10)

    [lot] = driver.account().lots
    assert lot.expires_at == NOW + DAY


def test_a_grant_retried_in_another_time_zone_is_a_replay(driver: StoreDriver) -> None:
    """The expiry is the same instant."""
    driver.open()
    answer = driver.grant(5, key="g1", validity=NOW + DAY)

    repeat = driver.grant(5, key="g1", validity=(NOW + DAY).astimezone(timezone(-3 * HOUR)))

    assert repeat.replayed
    assert repeat.entries == answer.entries
