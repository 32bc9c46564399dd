"""A right code opens a session, which buys once; retries with its key return the same session (rule 10)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prepaid.core.errors import (
    CodeLocked,
    IdempotencyKeyReused,
    PrepaidError,
    SessionInvalid,
    WrongCode,
)
from prepaid.core.manager_code import MAX_TRIES
from prepaid.store.dynamodb import ConditionFailed
from prepaid.store.manager_codes import SessionClaim, session_claim_from_item
from prepaid.store.purchases import find_purchase_by_key
from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases.approving import derive_session, token_digest
from tests.support.manager_codes import CODE, RECORD, WRONG, number, require, set_code, try_code
from tests.support.store_driver import (
    CODES,
    DAY,
    HOUR,
    NOW,
    TICK,
    StoreDriver,
    a_purchase,
    a_session,
    stored,
    until_answered,
)
from tests.support.wire import Wire, answer_lost, first, no_answer, reset_after_commit
from tests.support.workers import at_once

MINUTE = timedelta(minutes=1)

CLAIM = ("CLAIM#acme#k", "CLAIM")


# Sessions


def test_a_code_opens_a_session_of_ten_minutes(driver: StoreDriver) -> None:
    """Its token is stored nowhere."""
    set_code(driver, CODE)

    token, session = driver.session(CODE)

    assert session.expires_at == NOW + 10 * MINUTE
    assert (session.digest, session.account, session.purchase) == (token_digest(token), "acme", None)
    items = stored(driver.table)
    assert token not in repr(items)
    assert len(token) >= 43
    row = items[f"SESSION#{session.digest}", "SESSION"]
    assert int(row["ttl"]["N"]) == int((NOW + 10 * MINUTE + DAY).timestamp())
    assert require(driver, token) == session


def test_a_wrong_code_opens_none(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    with pytest.raises(WrongCode):
        driver.session(WRONG)

    assert [key for key in stored(driver.table) if key[0].startswith("SESSION#")] == []


def test_each_key_opens_a_session_of_its_own(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    assert driver.session(CODE)[0] != driver.session(CODE)[0]


def test_session_claim_and_reset_tries_are_one_transaction(driver: StoreDriver, wire: Wire) -> None:
    set_code(driver, CODE)
    try_code(driver, WRONG)
    wire.forget()

    opened = driver.open_session(CODE, key="k")

    assert wire.calls == ["GetItem", "PutItem", "TransactWriteItems"]
    items = stored(driver.table)
    assert items.keys() == {RECORD, CLAIM, (f"SESSION#{opened.session.digest}", "SESSION")}
    assert items[CLAIM].keys() == {"PK", "SK", "request_hash", "code_version", "expires_at", "nonce"}
    assert number(driver, "tries") == 0


@pytest.mark.parametrize("fault", [no_answer, answer_lost, reset_after_commit])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_session_with_a_lost_response_is_open_and_the_only_one(
    driver: StoreDriver, wire: Wire, times: int, fault: Any
) -> None:
    set_code(driver, CODE)
    wire.plan("TransactWriteItems", *[fault] * times)

    token, session = driver.session(CODE)

    assert wire.undone == 0
    assert require(driver, token) == session
    assert sessions(driver) == [f"SESSION#{session.digest}"]
    assert number(driver, "tries") == 0


# Retries


def sessions(driver: StoreDriver) -> list[str]:
    return [partition for partition, _ in stored(driver.table) if partition.startswith("SESSION#")]


def test_a_retry_with_the_right_code_gets_the_same_session(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    opened = driver.open_session(CODE, key="k")
    try_code(driver, WRONG)
    before = stored(driver.table)

    for at in (NOW, NOW + HOUR, NOW + 400 * DAY):
        assert driver.open_session(CODE, key="k", at=at) == replace(opened, replayed=True)

    assert not opened.replayed
    after = stored(driver.table)
    # Retries never lock out a caller with the right code.
    assert number(driver, "tries") == 0
    del before[RECORD], after[RECORD]
    assert after == before


@pytest.mark.parametrize("code", [WRONG, "739164"])
def test_a_guess_with_a_known_key_counts_and_reveals_nothing(driver: StoreDriver, code: str) -> None:
    set_code(driver, CODE)
    driver.open_session(CODE, key="k")

    tries_left = []
    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode) as wrong:
            driver.open_session(code, key="k")
        tries_left.append(wrong.value.tries_left)
    for guess in (code, CODE):
        with pytest.raises(CodeLocked):
            driver.open_session(guess, key="k")

    assert tries_left == [4, 3, 2, 1, 0]


def test_the_claim_is_read_after_the_code_is_right(driver: StoreDriver, wire: Wire) -> None:
    set_code(driver, CODE)
    driver.open_session(CODE, key="k")
    calls = {}
    for key in ("k", "never used"):
        wire.forget()
        with pytest.raises(WrongCode):
            driver.open_session(WRONG, key=key)
        calls[key] = list(wire.calls)

    # The one read is of the manager's record: a try, and no more.
    assert calls == {"k": ["GetItem", "PutItem"], "never used": ["GetItem", "PutItem"]}


@pytest.mark.parametrize("current", [CODE, None])
def test_a_key_of_an_older_code_is_refused_to_the_new_one(driver: StoreDriver, current: str | None) -> None:
    set_code(driver, CODE)
    opened = driver.open_session(CODE, key="k")
    set_code(driver, "739164", current)

    with pytest.raises(IdempotencyKeyReused):
        driver.open_session("739164", key="k")
    with pytest.raises(WrongCode):
        driver.open_session(CODE, key="k")

    assert refused_session(lambda: require(driver, opened.token))
    # A new code with the old digits is a different code.
    set_code(driver, CODE)
    with pytest.raises(IdempotencyKeyReused):
        driver.open_session(CODE, key="k")
    assert sessions(driver) == [f"SESSION#{opened.session.digest}"]


def test_a_used_session_is_replayed_as_the_used_one(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    opened = driver.open_session(CODE, key="k")
    driver.record(a_purchase(), session=opened.session)

    again = driver.open_session(CODE, key="k")

    assert again.token == opened.token
    assert require(driver, again.token).purchase == "pur_1"
    with pytest.raises(ConditionFailed) as lost:
        driver.record(a_purchase("pur_2"), session=again.session)
    assert lost.value.existing.keys() == {"manager_session"}


def test_no_key_serves_a_session_and_another_request(driver: StoreDriver) -> None:
    driver.open(credits=10)
    set_code(driver, CODE)
    opened = driver.open_session(CODE, key="opened")
    driver.debit(1, key="spent")
    driver.grant(1, key="given")
    driver.record(a_purchase(), key="bought", session=opened.session)
    before = stored(driver.table)

    for key in ("spent", "given", "bought"):
        with pytest.raises(IdempotencyKeyReused):
            driver.open_session(CODE, key=key)
    with pytest.raises(IdempotencyKeyReused):
        driver.debit(1, key="opened")
    with pytest.raises(IdempotencyKeyReused):
        driver.grant(1, key="opened")
    with pytest.raises(IdempotencyKeyReused):
        find_purchase_by_key(driver.table, "acme", "opened", "credits-100")

    after = stored(driver.table)
    # Neither a refused key nor a retry costs a caller with the right code any tries.
    assert number(driver, "tries") == 0
    del before[RECORD], after[RECORD]
    assert after == before


def test_a_key_belongs_to_its_account(driver: StoreDriver) -> None:
    for account in ("acme", "other"):
        set_code(driver, CODE, account=account)

    opened = [driver.open_session(CODE, account, key="k") for account in ("acme", "other")]

    assert [session.replayed for session in opened] == [False, False]
    assert opened[0].token != opened[1].token


def test_a_token_cannot_be_made_from_the_table_alone(driver: StoreDriver) -> None:
    """The same rows under another pepper give another token, so reading them reveals none."""
    set_code(driver, CODE)
    opened = driver.open_session(CODE, key="k")
    claim = session_claim_from_item(stored(driver.table)[CLAIM])

    derived = derive_session(
        claim, "acme", "k", replace(CODES, peppers=Versions(versions_of("another pepper"))), replayed=True
    )

    assert derive_session(claim, "acme", "k", CODES, replayed=False) == opened
    assert derived.token != opened.token
    assert opened.token.encode() not in claim.nonce + repr(stored(driver.table)).encode()


def test_a_token_depends_on_account_key_code_and_claim(driver: StoreDriver) -> None:
    claim = SessionClaim(code_version=1, pepper=1, expires_at=NOW, nonce=b"m" * 16)

    def token(claim: SessionClaim = claim, account: str = "acme", key: str = "k") -> str:
        return derive_session(claim, account, key, CODES, replayed=False).token

    others = [
        token(replace(claim, code_version=2)),
        token(replace(claim, nonce=b"n" * 16)),
        token(account="acm", key="ek"),
        token(account="other"),
        token(key="k2"),
    ]

    assert token() == token()
    assert len({token(), *others}) == 6


def test_one_key_used_twice_at_once_opens_one_session(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    def ask(_: int) -> tuple[str, bool] | None:
        try:
            opened = until_answered(lambda: driver.open_session(CODE, key="k"))
        except CodeLocked:
            # Eight at once may have taken five tries before the first reset them.
            return None
        return opened.token, opened.replayed

    answers = [answer for answer in at_once(ask, range(8), threads=8) if answer]

    assert len({token for token, _ in answers}) == 1
    assert len(sessions(driver)) == 1
    assert [replayed for _, replayed in answers].count(False) <= 1


def test_a_key_that_a_rival_uses_first_is_replayed(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    set_code(driver, CODE)
    theirs: list[Any] = []
    wire.plan("TransactWriteItems", first(lambda: theirs.append(rival.open_session(CODE, key="k"))))

    ours = driver.open_session(CODE, key="k")

    assert [ours] == [replace(session, replayed=True) for session in theirs]
    assert len(sessions(driver)) == 1


def test_a_right_code_opens_during_wrong_guesses(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """It doesn't reset their tries."""
    set_code(driver, CODE)
    wire.plan("TransactWriteItems", first(lambda: try_code(rival, WRONG)), first(lambda: try_code(rival, WRONG)))

    token, session = driver.session(CODE)

    assert require(driver, token) == session
    assert number(driver, "tries") == 3


def refused_session(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except SessionInvalid:
        return True
    return False


def test_a_session_is_good_until_its_end_and_for_its_account_only(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    set_code(driver, CODE, account="other")
    token, _ = driver.session(CODE)
    theirs, _ = driver.session(CODE, "other")

    require(driver, token, at=NOW + 10 * MINUTE - TICK)
    require(driver, theirs, "other")
    for ask in (
        lambda: require(driver, token, at=NOW + 10 * MINUTE),
        lambda: require(driver, token, "other"),
        lambda: require(driver, theirs),
        lambda: require(driver, token[:-1]),
        lambda: require(driver, ""),
        lambda: require(driver, token_digest(token)),
        lambda: require(driver, token, "nobody"),
    ):
        assert refused_session(ask)


@pytest.mark.parametrize("current", [CODE, None])
def test_a_change_of_the_code_ends_open_sessions(driver: StoreDriver, current: str | None) -> None:
    set_code(driver, CODE)
    token, _ = driver.session(CODE)

    set_code(driver, "739164", current)

    assert refused_session(lambda: require(driver, token))
    later, _ = driver.session("739164")
    require(driver, later)


@pytest.mark.parametrize("guesses", [0, 1])
def test_a_code_changed_after_it_was_compared_opens_no_session(
    driver: StoreDriver, rival: StoreDriver, wire: Wire, guesses: int
) -> None:
    set_code(driver, CODE)
    guessed = [first(lambda: try_code(rival, WRONG))] * guesses
    wire.plan("TransactWriteItems", *guessed, first(lambda: set_code(rival, "739164")))

    with pytest.raises(WrongCode):
        driver.session(CODE)

    assert wire.undone == 0
    assert [key for key in stored(driver.table) if key != RECORD] == []


def test_wrong_codes_end_no_session(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    token, _ = driver.session(CODE)
    for _ in range(MAX_TRIES + 1):
        try_code(driver, WRONG)

    require(driver, token)


# One purchase per session, by the current code


@pytest.mark.parametrize("current", [CODE, None])
def test_a_code_changed_after_the_session_was_read_ends_the_purchase(
    driver: StoreDriver, rival: StoreDriver, wire: Wire, current: str | None
) -> None:
    set_code(driver, CODE)
    token, _ = driver.session(CODE)
    session = require(driver, token)
    wire.plan("TransactWriteItems", first(lambda: set_code(rival, "739164", current)))

    with pytest.raises(ConditionFailed) as lost:
        driver.record(a_purchase(), session=session)

    assert lost.value.existing.keys() == {"manager"}
    assert [sort for _, sort in stored(driver.table) if sort.startswith("PURCHASE#")] == []
    assert "purchase" not in stored(driver.table)[f"SESSION#{session.digest}", "SESSION"]


def test_guesses_and_an_administrators_retry_end_no_purchase(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    set_code(driver, CODE)
    _, session = driver.session(CODE)

    def meanwhile() -> None:
        for _ in range(MAX_TRIES + 1):
            try_code(rival, WRONG)
        set_code(rival, CODE)

    wire.plan("TransactWriteItems", first(meanwhile))

    driver.record(a_purchase(), session=session)

    assert stored(driver.table)[f"SESSION#{session.digest}", "SESSION"]["purchase"] == {"S": "pur_1"}


def test_an_account_without_a_code_buys_nothing(driver: StoreDriver) -> None:
    with pytest.raises(ConditionFailed) as lost:
        driver.record(a_purchase(), session=a_session(code_version=1))
    try_code(driver, WRONG)
    with pytest.raises(ConditionFailed):
        driver.record(a_purchase(), session=a_session(code_version=1))

    assert lost.value.existing.keys() == {"manager"}


def test_a_session_is_spent_on_one_purchase(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    _, session = driver.session(CODE)
    driver.record(a_purchase("pur_1"), session=session)
    before = stored(driver.table)

    with pytest.raises(ConditionFailed) as lost:
        driver.record(a_purchase("pur_2"), session=session)

    assert lost.value.existing.keys() == {"manager_session"}
    assert lost.value.existing["manager_session"] == before[f"SESSION#{session.digest}", "SESSION"]
    assert before[f"SESSION#{session.digest}", "SESSION"]["purchase"] == {"S": "pur_1"}
    assert stored(driver.table) == before


def test_a_spent_session_is_read_with_the_purchase_that_spent_it(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    token, session = driver.session(CODE)
    driver.record(a_purchase(), session=session)

    assert require(driver, token) == replace(session, purchase="pur_1")


def test_one_of_parallel_purchases_on_one_session_is_recorded(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    _, session = driver.session(CODE)

    def buy(index: int) -> str:
        try:
            driver.record(a_purchase(f"pur_{index}"), session=session)
        except ConditionFailed as failed:
            return "lost" if failed.existing.keys() == {"manager_session"} else "?"
        except PrepaidError:
            return "?"
        return f"pur_{index}"

    answers = at_once(buy, range(8), threads=8)

    items = stored(driver.table)
    recorded = [sort for partition, sort in items if sort.startswith("PURCHASE#")]
    assert len(recorded) == 1
    assert answers.count("lost") >= 7
    assert items[f"SESSION#{session.digest}", "SESSION"]["purchase"]["S"] == recorded[0].removeprefix("PURCHASE#")


def test_opening_a_session_counts_a_try(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            driver.session(WRONG)
    with pytest.raises(CodeLocked):
        driver.session(CODE)


def test_times_are_kept_to_the_millisecond(driver: StoreDriver) -> None:
    at = datetime(2026, 6, 16, 13, 0, 0, 123000, tzinfo=UTC)
    set_code(driver, CODE, at=at)
    token, session = driver.session(CODE, at=at)

    assert require(driver, token, at=at) == session
    assert refused_session(lambda: require(driver, token, at=at + HOUR))
