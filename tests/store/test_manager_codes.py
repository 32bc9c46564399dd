"""A manager's code: how it is stored, tried and changed (rule 10)."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from hashlib import scrypt
from typing import Any

import pytest

from prepaid.core.errors import CodeLocked, InvalidRequest, WrongCode
from prepaid.core.manager_code import MAX_TRIES
from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases.approving import CodeSecrets, check_code, code_digest, slow_digest
from tests.support.manager_codes import (
    CODE,
    RECORD,
    WRONG,
    Comparisons,
    comparisons,
    number,
    require,
    set_code,
    try_code,
)
from tests.support.store_driver import CODES, NOW, SECOND, TICK, StoreDriver, stored, until_answered
from tests.support.wire import Wire, answer_lost, first, nothing, reset_after_commit
from tests.support.workers import at_once

__all__ = ["comparisons"]


MINUTE = timedelta(minutes=1)
ANOTHER = Versions(versions_of("another pepper"))


# The code


def test_the_table_holds_no_readable_code_and_no_pepper(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    item = stored(driver.table)[RECORD]

    everything = repr(item).encode() + bytes(item["digest"]["B"]) + bytes(item["salt"]["B"])
    assert CODE.encode() not in everything
    assert CODES.peppers.value(1).encode() not in everything
    assert (len(item["salt"]["B"]), len(item["digest"]["B"])) == (16, 64)


def test_the_digest_has_the_decided_cost() -> None:
    salt = b"salt" * 4

    digest = CodeSecrets(peppers=Versions(versions_of("p"))).slow_digest(b"peppered", salt)

    assert digest == scrypt(b"peppered", salt=salt, n=2**14, r=8, p=1)


def test_the_real_function_runs_within_its_memory() -> None:
    """It has room for a cost twice as high."""
    real = CodeSecrets(peppers=Versions(versions_of("pepper")))

    digest = code_digest(CODE, b"salt" * 4, 1, real)

    assert digest != code_digest(WRONG, b"salt" * 4, 1, real)
    assert digest != code_digest(CODE, b"malt" * 4, 1, real)
    assert digest != code_digest(CODE, b"salt" * 4, 1, replace(real, peppers=ANOTHER))
    assert digest != code_digest(CODE, b"salt" * 4, 1, replace(real, slow_digest=partial(slow_digest, cost=2**15)))


def test_the_same_code_of_two_accounts_is_stored_differently(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    set_code(driver, CODE, account="other")

    items = stored(driver.table)
    assert items[RECORD]["digest"] != items["ACCOUNT#other", "MANAGER"]["digest"]


def test_a_wrong_code_says_how_many_tries_are_left(driver: StoreDriver) -> None:
    """The right code opens."""
    set_code(driver, CODE)

    left = []
    for _ in range(MAX_TRIES - 1):
        with pytest.raises(WrongCode) as wrong:
            check_code(driver.table, "acme", WRONG, CODES, now=NOW)
        left.append(wrong.value.tries_left)

    assert left == [4, 3, 2, 1]
    assert try_code(driver, CODE) == "right"
    assert (number(driver, "tries"), number(driver, "locks")) == (0, 0)


def test_a_code_hashed_with_another_pepper_is_wrong(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    with pytest.raises(WrongCode):
        check_code(driver.table, "acme", CODE, replace(CODES, peppers=ANOTHER), now=NOW)


def test_an_account_without_a_code_accepts_none(driver: StoreDriver) -> None:
    codes = (CODE, "", "000000", "\0" * 6)

    assert [try_code(driver, code) for code in codes] == ["wrong"] * len(codes)


def test_an_account_without_a_code_looks_like_any_other(
    driver: StoreDriver, wire: Wire, comparisons: Comparisons
) -> None:
    """The response, the computation and the writes are those of an account whose code was not guessed."""
    set_code(driver, CODE, account="other")

    def watched(account: str) -> list[object]:
        seen: list[object] = []
        for at in [NOW] * 7 + [NOW + MINUTE] * 6 + [NOW + 6 * MINUTE - TICK]:
            comparisons.count = 0
            wire.forget()
            try:
                check_code(driver.table, account, WRONG, comparisons.codes, now=at)
            except (WrongCode, CodeLocked) as refused:
                refusal = vars(refused)
                seen.append((type(refused), refusal, comparisons.count, tuple(wire.calls)))
        return seen

    without, with_one = watched("acme"), watched("other")

    assert without == with_one
    assert len(without) == 14
    items = stored(driver.table)
    counted = [{name: items[key][name] for name in ("tries", "locks", "tried_at")} for key in items]
    assert counted == [{"tries": {"N": "5"}, "locks": {"N": "1"}, "tried_at": counted[0]["tried_at"]}] * 2


def test_a_first_code_resets_earlier_tries(driver: StoreDriver) -> None:
    for _ in range(MAX_TRIES + 1):
        try_code(driver, WRONG)

    set_code(driver, CODE)

    assert (number(driver, "version"), number(driver, "tries")) == (1, 0)
    assert try_code(driver, CODE) == "right"


def test_a_first_code_set_while_another_is_tried_is_set(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    wire.plan("PutItem", first(lambda: set_code(rival, CODE)))

    assert try_code(driver, CODE) == "right"


def test_a_try_is_written_before_the_comparison(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    seen: list[int] = []

    def watching(_peppered: bytes, _salt: bytes) -> bytes:
        seen.append(number(driver, "tries"))
        return b"wrong"

    codes = replace(CODES, slow_digest=watching)

    assert [try_code(driver, WRONG, codes=codes) for _ in range(MAX_TRIES)] == ["wrong"] * MAX_TRIES
    assert seen == [1, 2, 3, 4, 5]


# Changing it


def test_a_change_needs_the_current_code_and_takes_its_tries(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            set_code(driver, "739164", WRONG)
    with pytest.raises(CodeLocked):
        set_code(driver, "739164", CODE)

    set_code(driver, "739164", CODE, at=NOW + MINUTE)
    assert try_code(driver, CODE, at=NOW + MINUTE) == "wrong"
    assert try_code(driver, "739164", at=NOW + MINUTE) == "right"


def test_without_a_code_there_is_nothing_to_change(driver: StoreDriver) -> None:
    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            set_code(driver, CODE, "000000")
    with pytest.raises(CodeLocked):
        set_code(driver, CODE, "000000")

    assert number(driver, "version") == 0


def test_the_new_code_must_differ(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    version = number(driver, "version")

    with pytest.raises(InvalidRequest) as refused:
        set_code(driver, CODE, CODE)

    assert refused.value.errors == (("code", "must differ from the current one"),)
    assert number(driver, "version") == version


def test_an_administrators_retry_ends_no_session(driver: StoreDriver) -> None:
    """It changes nothing that the first request wrote."""
    set_code(driver, CODE)
    token, session = driver.session(CODE)
    before = stored(driver.table)[RECORD]

    set_code(driver, CODE, at=NOW + SECOND)

    assert require(driver, token) == session
    assert stored(driver.table)[RECORD] == {**before, "revision": {"N": str(int(before["revision"]["N"]) + 1)}}


def test_an_administrators_retry_ends_a_lock(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    for _ in range(MAX_TRIES):
        try_code(driver, WRONG)

    set_code(driver, CODE)

    assert try_code(driver, CODE) == "right"


def test_an_administrators_retry_resets_no_later_try(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """The write that fails reads the record again before it replaces it."""
    set_code(driver, CODE)
    wire.plan("PutItem", first(lambda: set_code(rival, "739164")))

    set_code(driver, CODE)

    assert number(driver, "version") == 3
    assert try_code(driver, CODE) == "right"


def test_an_administrator_needs_no_code_and_ends_a_lock(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    for _ in range(MAX_TRIES):
        try_code(driver, WRONG)

    set_code(driver, "739164")

    assert try_code(driver, "739164") == "right"
    assert number(driver, "version") == 2


def test_a_change_salts_anew(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    first_salt = stored(driver.table)[RECORD]["salt"]
    set_code(driver, "739164", CODE)

    assert stored(driver.table)[RECORD]["salt"] != first_salt


@pytest.mark.parametrize("fault", [answer_lost, reset_after_commit])
@pytest.mark.parametrize("current", [CODE, None])
@pytest.mark.parametrize("times", [1, 2])
def test_a_change_with_a_lost_response_takes_effect_once(
    driver: StoreDriver, wire: Wire, current: str | None, times: int, fault: Any
) -> None:
    set_code(driver, CODE)
    taken = [nothing] * (2 if current else 0)
    wire.plan("PutItem", *taken, *[fault] * times)

    set_code(driver, "739164", current)

    assert wire.undone == 0
    assert number(driver, "version") == 2
    assert try_code(driver, "739164") == "right"


def test_a_first_code_with_a_lost_response_is_set(driver: StoreDriver, wire: Wire) -> None:
    wire.plan("PutItem", answer_lost, answer_lost)

    set_code(driver, CODE)

    assert try_code(driver, CODE) == "right"


def test_a_code_removed_while_it_is_compared_changes_nothing(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    set_code(driver, CODE)
    # The try, the reset of the tries, then the change itself.
    wire.plan("PutItem", nothing, nothing, first(lambda: set_code(rival, "860357")))

    with pytest.raises(WrongCode):
        set_code(driver, "739164", CODE)

    assert [try_code(driver, code) for code in ("739164", "860357")] == ["wrong", "right"]


def test_one_of_two_changes_with_one_current_code_fails(driver: StoreDriver) -> None:
    set_code(driver, CODE)

    def change(code: str) -> str:
        try:
            until_answered(lambda: set_code(driver, code, CODE))
        except (WrongCode, CodeLocked):
            return "refused"
        return code

    answers = at_once(change, ["739164", "860357"], threads=2)

    done = [answer for answer in answers if answer != "refused"]
    assert len(done) == 1
    assert number(driver, "version") == 2
