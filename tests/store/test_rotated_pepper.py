"""A pepper is replaced: every code stays right, and moves to the new pepper at its next use (rule 10)."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from prepaid.core.errors import CodeLocked, WrongCode
from prepaid.store.manager_codes import read_code
from prepaid.store.secrets import Versions
from prepaid.use_cases.approving import CodeSecrets, check_code, require_session
from prepaid.use_cases.entering import LinkRequest, enter, make_link, open_link
from tests.support.manager_codes import CODE, RECORD, WRONG, number, set_code, try_code
from tests.support.store_driver import CODES, NOW, StoreDriver, stored
from tests.support.wire import Wire, first

OTHER = "739164"
SECRET = {1: "first", 2: "second", 3: "third"}
WANTED = LinkRequest(language="pt-BR", return_url="https://shop.example.com/credits", request_hash=b"a request")


def holding(*versions: int, secret: Mapping[int, str] = SECRET) -> CodeSecrets:
    """A process that has read these versions, and reads the whole secret again when it misses one."""
    known = {version: secret[version] for version in versions}
    return replace(CODES, peppers=Versions(known, lambda: secret))


def holding_only(*versions: int) -> CodeSecrets:
    """A process whose secret has no other versions any more."""
    known = {version: SECRET[version] for version in versions}
    return replace(CODES, peppers=Versions(known, lambda: known))


BEFORE, AFTER = holding(1), holding(1, 2)


def test_a_code_stays_right_under_a_new_pepper(driver: StoreDriver) -> None:
    set_code(driver, CODE, codes=BEFORE)

    assert try_code(driver, WRONG, codes=AFTER) == "wrong"
    assert try_code(driver, CODE, codes=AFTER) == "right"


def test_the_next_right_code_moves_to_the_new_pepper(driver: StoreDriver) -> None:
    set_code(driver, CODE, codes=BEFORE)
    before = stored(driver.table)[RECORD]
    try_code(driver, WRONG, codes=AFTER)
    assert stored(driver.table)[RECORD]["digest"] == before["digest"]

    check_code(driver.table, "acme", CODE, AFTER, now=NOW)

    after = stored(driver.table)[RECORD]
    assert after["pepper"] == {"N": "2"}
    assert after["salt"] != before["salt"]
    assert try_code(driver, CODE, codes=holding_only(2)) == "right"
    assert try_code(driver, WRONG, codes=holding_only(2)) == "wrong"


@pytest.mark.parametrize("how", ["session", "page", "change", "reset to the same"])
def test_every_use_of_the_right_code_moves_it(driver: StoreDriver, how: str) -> None:
    set_code(driver, CODE, codes=BEFORE)
    code = CODE

    match how:
        case "session":
            driver.open_session(CODE, key="k", codes=AFTER)
        case "page":
            link = make_link(driver.table, "acme", "l", WANTED, AFTER, now=NOW)
            enter(driver.table, open_link(driver.table, link.token, now=NOW), CODE, AFTER, now=NOW)
        case "change":
            set_code(driver, code := OTHER, CODE, codes=AFTER)
        case _:
            set_code(driver, CODE, codes=AFTER)

    assert read_code(driver.table, "acme").pepper == 2
    assert try_code(driver, code, codes=holding_only(2)) == "right"


def test_moving_a_code_ends_no_session(driver: StoreDriver) -> None:
    set_code(driver, CODE, codes=BEFORE)
    token = driver.open_session(CODE, key="k", codes=BEFORE).token

    driver.open_session(CODE, key="k2", codes=AFTER)

    assert require_session(driver.table, "acme", token, now=NOW).account == "acme"
    assert number(driver, "version") == 1


def test_a_process_with_the_old_secret_takes_a_moved_code(driver: StoreDriver) -> None:
    """For minutes, warm functions know different versions. None of them counts a right code as wrong."""
    set_code(driver, CODE, codes=AFTER)

    assert try_code(driver, CODE, codes=BEFORE) == "right"
    assert try_code(driver, WRONG, codes=BEFORE) == "wrong"
    assert read_code(driver.table, "acme").pepper == 2


def test_a_retry_after_the_rotation_gets_the_same_session(driver: StoreDriver) -> None:
    set_code(driver, CODE, codes=BEFORE)
    opened = driver.open_session(CODE, key="k", codes=BEFORE)

    again = driver.open_session(CODE, key="k", codes=AFTER)

    assert (again.token, again.replayed) == (opened.token, True)
    assert driver.open_session(CODE, key="new", codes=AFTER).token != opened.token


def test_a_session_made_after_it_is_replayed_by_an_old_process(driver: StoreDriver) -> None:
    set_code(driver, CODE, codes=AFTER)
    opened = driver.open_session(CODE, key="k", codes=AFTER)

    again = driver.open_session(CODE, key="k", codes=BEFORE)

    assert (again.token, again.replayed) == (opened.token, True)


def test_a_retry_after_the_rotation_gets_the_same_link(driver: StoreDriver) -> None:
    link = make_link(driver.table, "acme", "k", WANTED, BEFORE, now=NOW)

    again = make_link(driver.table, "acme", "k", WANTED, AFTER, now=NOW)

    assert (again.token, again.replayed) == (link.token, True)
    newer = make_link(driver.table, "acme", "k2", WANTED, AFTER, now=NOW)
    assert make_link(driver.table, "acme", "k2", WANTED, BEFORE, now=NOW).token == newer.token


def test_a_code_of_a_removed_pepper_has_to_be_set_again(driver: StoreDriver) -> None:
    """It behaves as an account without a code."""
    set_code(driver, CODE, codes=BEFORE)

    assert [try_code(driver, CODE, codes=holding_only(2)) for _ in range(6)] == ["wrong"] * 5 + ["locked"]

    set_code(driver, CODE, codes=holding_only(2))
    assert try_code(driver, CODE, codes=holding_only(2)) == "right"


def test_a_guess_while_the_code_moves_stays_counted(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    set_code(driver, CODE, codes=BEFORE)
    wire.plan("TransactWriteItems", first(lambda: try_code(rival, WRONG, codes=AFTER)))

    driver.open_session(CODE, key="k", codes=AFTER)

    # The try of the guess and the one of the right code; the next right code moves the digest.
    assert number(driver, "tries") == 2
    assert try_code(driver, CODE, codes=AFTER) == "right"
    assert read_code(driver.table, "acme").pepper == 2


def test_an_account_without_a_code_asks_for_no_pepper(driver: StoreDriver) -> None:
    calls: list[str] = []

    def again() -> Mapping[int, str]:
        calls.append("the secret")
        return SECRET

    codes = replace(CODES, peppers=Versions({2: "second"}, again))

    assert try_code(driver, CODE, codes=codes) == "wrong"
    assert calls == []


@pytest.mark.parametrize("seed", range(6))
def test_no_rotation_locks_anybody_out(driver: StoreDriver, seed: int) -> None:
    """Processes that know different versions, in any order: a code is right exactly if it is the one that was set."""
    chance = random.Random(seed)
    set_code(driver, CODE, codes=BEFORE)
    right, rotated = CODE, 1
    for _ in range(25):
        rotated = max(rotated, chance.choice([rotated, rotated, min(rotated + 1, 3)]))
        # The secret holds every version so far; a process has read it some time ago.
        secret = {version: SECRET[version] for version in range(1, rotated + 1)}
        codes = holding(*range(1, chance.randint(1, rotated) + 1), secret=secret)
        if chance.random() < 0.2:
            right = chance.choice([CODE, OTHER])
            set_code(driver, right, codes=codes)
            continue
        tried = chance.choice([CODE, OTHER])
        try:
            check_code(driver.table, "acme", tried, codes, now=NOW)
            found = "right"
        except WrongCode:
            found = "wrong"
        except CodeLocked:
            # Only wrong codes count towards a lock.
            set_code(driver, right, codes=codes)
            continue
        assert found == ("right" if tried == right else "wrong")
    assert read_code(driver.table, "acme").pepper <= rotated
