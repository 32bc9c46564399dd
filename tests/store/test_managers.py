"""The manager's code: a try is taken before anything is compared, in any crowd, whatever is lost (semantics 10)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import scrypt
from threading import Lock
from typing import Any

import pytest

from prepaid.core.errors import Busy, CodeLocked, InvalidRequest, PrepaidError, SessionInvalid, WrongCode
from prepaid.core.manager_code import MAX_TRIES, ManagerSession
from prepaid.store import managers
from prepaid.store.dynamodb import LostCondition, Transient
from prepaid.store.managers import change_code, check_code, open_session, require_session, token_digest
from tests.store.builders import (
    DAY,
    HOUR,
    NOW,
    PEPPER,
    SECOND,
    TICK,
    Desk,
    FakeTime,
    a_purchase,
    stored,
    until_told,
)
from tests.store.wire import Wire, answer_lost, first, no_answer, reset_after_commit
from tests.store.workers import at_once

CODE, WRONG = "482915", "482916"
MINUTE = timedelta(minutes=1)
RECORD = ("ACCOUNT#acme", "MANAGER")


class Comparisons:
    """How often the slow function was asked, without its slowness unless it matters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self._lock = Lock()
        monkeypatch.setattr(managers, "scrypt", self._counted)

    def _counted(self, password: bytes, **parameters: Any) -> bytes:
        with self._lock:
            self.made += 1
        return scrypt(password, **{**parameters, "n": 2})


@pytest.fixture(autouse=True)
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    return Comparisons(monkeypatch)


def set_code(desk: Desk, code: str, current: str | None = None, *, account: str = "acme", at: datetime = NOW) -> None:
    change_code(desk.table, account, code, current, PEPPER, now=at, patience=desk.patience)


def try_code(desk: Desk, code: str, *, at: datetime = NOW, account: str = "acme") -> str:
    """right, wrong or locked."""
    try:
        until_told(lambda: check_code(desk.table, account, code, PEPPER, now=at, patience=desk.patience))
    except WrongCode:
        return "wrong"
    except CodeLocked:
        return "locked"
    return "right"


def require(desk: Desk, token: str, account: str = "acme", at: datetime = NOW) -> ManagerSession:
    return require_session(desk.table, account, token, now=at, patience=desk.patience)


def number(desk: Desk, name: str) -> int:
    return int(stored(desk.table)[RECORD][name]["N"])


# The code


def test_the_code_is_kept_in_no_readable_form_and_the_pepper_not_at_all(desk: Desk) -> None:
    set_code(desk, CODE)

    item = stored(desk.table)[RECORD]

    everything = repr(item).encode() + bytes(item["digest"]["B"]) + bytes(item["salt"]["B"])
    assert CODE.encode() not in everything
    assert PEPPER.encode() not in everything
    assert (len(item["salt"]["B"]), len(item["digest"]["B"])) == (16, 64)


def test_the_digest_is_as_costly_as_was_decided() -> None:
    assert managers.SCRYPT == {"n": 2**14, "r": 8, "p": 1, "maxmem": 2**26}


def test_the_real_function_runs_within_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managers, "scrypt", scrypt)

    digest = managers._digest(CODE, b"salt" * 4, PEPPER)

    assert digest != managers._digest(WRONG, b"salt" * 4, PEPPER)
    assert digest != managers._digest(CODE, b"malt" * 4, PEPPER)
    assert digest != managers._digest(CODE, b"salt" * 4, "another pepper")


def test_one_code_of_two_accounts_is_kept_differently(desk: Desk) -> None:
    set_code(desk, CODE)
    set_code(desk, CODE, account="other")

    items = stored(desk.table)
    assert items[RECORD]["digest"] != items["ACCOUNT#other", "MANAGER"]["digest"]


def test_the_right_code_opens_and_a_wrong_one_says_how_many_tries_are_left(desk: Desk) -> None:
    set_code(desk, CODE)

    left = []
    for _ in range(MAX_TRIES - 1):
        with pytest.raises(WrongCode) as wrong:
            check_code(desk.table, "acme", WRONG, PEPPER, now=NOW, patience=desk.patience)
        left.append(wrong.value.tries_left)

    assert left == [4, 3, 2, 1]
    assert try_code(desk, CODE) == "right"
    assert (number(desk, "tries"), number(desk, "locks")) == (0, 0)


def test_another_pepper_opens_nothing(desk: Desk) -> None:
    set_code(desk, CODE)

    with pytest.raises(WrongCode):
        check_code(desk.table, "acme", CODE, "another pepper", now=NOW, patience=desk.patience)


def test_an_account_without_a_code_compares_as_much_and_opens_to_none(desk: Desk, comparisons: Comparisons) -> None:
    for code in (CODE, "", "000000"):
        comparisons.made = 0
        assert try_code(desk, code) == "wrong"
        assert comparisons.made == 1
    assert stored(desk.table) == {}


def test_a_try_is_written_before_the_comparison(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    set_code(desk, CODE)
    seen: list[int] = []

    def watching(_password: bytes, **_: Any) -> bytes:
        seen.append(number(desk, "tries"))
        return b"wrong"

    monkeypatch.setattr(managers, "scrypt", watching)

    assert [try_code(desk, WRONG) for _ in range(MAX_TRIES)] == ["wrong"] * MAX_TRIES
    assert seen == [1, 2, 3, 4, 5]


# Locked


def test_after_five_wrong_codes_the_right_one_is_refused_uncompared_until_the_lock_ends(
    desk: Desk, comparisons: Comparisons
) -> None:
    set_code(desk, CODE)
    for _ in range(MAX_TRIES):
        try_code(desk, WRONG)
    before, comparisons.made = stored(desk.table), 0

    for at, seconds in ((NOW, 60), (NOW + 30 * SECOND, 30), (NOW + MINUTE - TICK, 1)):
        with pytest.raises(CodeLocked) as locked:
            check_code(desk.table, "acme", CODE, PEPPER, now=at, patience=desk.patience)
        assert locked.value.retry_after_seconds == seconds

    assert comparisons.made == 0
    assert stored(desk.table) == before
    assert try_code(desk, CODE, at=NOW + MINUTE) == "right"


def test_locks_grow_while_codes_are_wrong_and_the_right_one_starts_over(desk: Desk) -> None:
    set_code(desk, CODE)
    at, waits = NOW, []
    for _ in range(3):
        for _ in range(MAX_TRIES):
            assert try_code(desk, WRONG, at=at) == "wrong"
        with pytest.raises(CodeLocked) as locked:
            check_code(desk.table, "acme", CODE, PEPPER, now=at, patience=desk.patience)
        waits.append(locked.value.retry_after_seconds)
        at += waits[-1] * SECOND

    assert waits == [60, 300, 900]
    assert try_code(desk, CODE, at=at) == "right"
    assert [try_code(desk, WRONG, at=at) for _ in range(MAX_TRIES + 1)] == ["wrong"] * 5 + ["locked"]
    assert try_code(desk, CODE, at=at + MINUTE) == "right"


@pytest.mark.parametrize("threads", [32])
def test_a_thousand_parallel_wrong_codes_are_compared_at_most_five_times(
    desk: Desk, comparisons: Comparisons, threads: int
) -> None:
    set_code(desk, CODE)
    comparisons.made = 0

    answers = at_once(lambda index: try_code(desk, f"{index:06d}"), range(1_000), threads=threads)

    assert 1 <= comparisons.made <= MAX_TRIES
    assert Counter(answers).keys() <= {"wrong", "locked"}
    assert answers.count("wrong") == comparisons.made
    assert (number(desk, "tries"), number(desk, "locks")) == (5, 0)
    assert try_code(desk, CODE) == "locked"
    assert comparisons.made <= MAX_TRIES


def test_among_parallel_guesses_the_right_one_takes_a_try_like_any_other(desk: Desk, comparisons: Comparisons) -> None:
    set_code(desk, CODE)
    guesses = [f"{index:06d}" for index in range(100)]
    guesses[50] = CODE
    comparisons.made = 0

    answers = at_once(lambda code: try_code(desk, code), guesses, threads=16)

    # Five, and five more if the right one was among them.
    assert comparisons.made <= MAX_TRIES * (1 + answers.count("right"))


def test_a_right_code_forgives_no_try_that_somebody_else_took_meanwhile(desk: Desk, rival: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    wire.plan("PutItem", lambda _: None, first(lambda: try_code(rival, WRONG)))

    assert try_code(desk, CODE) == "right"

    assert number(desk, "tries") == 2


def test_a_try_that_a_rival_takes_first_is_taken_again(desk: Desk, rival: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    wire.plan("PutItem", *[first(lambda: try_code(rival, WRONG))] * 2)

    assert try_code(desk, WRONG) == "wrong"

    assert number(desk, "tries") == 3


@pytest.mark.parametrize("fault", [answer_lost, reset_after_commit])
@pytest.mark.parametrize("times", [1, 2])
def test_a_try_whose_answer_is_lost_may_count_twice_and_never_less(
    desk: Desk, wire: Wire, comparisons: Comparisons, times: int, fault: Any
) -> None:
    set_code(desk, CODE)
    comparisons.made = 0
    wire.plan("PutItem", *[fault] * times)

    assert try_code(desk, WRONG) == "wrong"

    assert comparisons.made == 1
    assert number(desk, "tries") == 2


@pytest.mark.parametrize("times", [1, 2])
def test_the_right_code_opens_though_forgiving_is_not_answered(desk: Desk, wire: Wire, times: int) -> None:
    set_code(desk, CODE)
    wire.plan("PutItem", lambda _: None, *[answer_lost] * times)

    assert try_code(desk, CODE) == "right"

    assert wire.undone == 0
    assert number(desk, "tries") == 0


def test_a_database_that_stays_away_compares_nothing(desk: Desk, wire: Wire, comparisons: Comparisons) -> None:
    set_code(desk, CODE)
    comparisons.made = 0
    wire.always("PutItem", no_answer)
    impatient = desk.with_patience(FakeTime().patience(0.1))

    with pytest.raises(Busy):
        check_code(impatient.table, "acme", CODE, PEPPER, now=NOW, patience=impatient.patience)

    assert comparisons.made == 0


# Changing it


def test_a_change_needs_the_current_code_and_takes_its_tries(desk: Desk) -> None:
    set_code(desk, CODE)

    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            set_code(desk, "739164", WRONG)
    with pytest.raises(CodeLocked):
        set_code(desk, "739164", CODE)

    set_code(desk, "739164", CODE, at=NOW + MINUTE)
    assert try_code(desk, CODE, at=NOW + MINUTE) == "wrong"
    assert try_code(desk, "739164", at=NOW + MINUTE) == "right"


def test_without_a_code_there_is_nothing_to_change(desk: Desk) -> None:
    with pytest.raises(WrongCode):
        set_code(desk, CODE, "000000")

    assert stored(desk.table) == {}


@pytest.mark.parametrize("current", [CODE, None])
def test_the_new_code_must_differ(desk: Desk, current: str | None) -> None:
    set_code(desk, CODE)
    version = number(desk, "version")

    with pytest.raises(InvalidRequest) as refused:
        set_code(desk, CODE, current)

    assert refused.value.errors == (("code", "must differ from the current one"),)
    assert number(desk, "version") == version


def test_an_administrator_needs_no_code_and_ends_a_lock(desk: Desk) -> None:
    set_code(desk, CODE)
    for _ in range(MAX_TRIES):
        try_code(desk, WRONG)

    set_code(desk, "739164")

    assert try_code(desk, "739164") == "right"
    assert number(desk, "version") == 2


def test_a_change_salts_anew(desk: Desk) -> None:
    set_code(desk, CODE)
    first_salt = stored(desk.table)[RECORD]["salt"]
    set_code(desk, "739164", CODE)

    assert stored(desk.table)[RECORD]["salt"] != first_salt


@pytest.mark.parametrize("fault", [answer_lost, reset_after_commit])
@pytest.mark.parametrize("current", [CODE, None])
@pytest.mark.parametrize("times", [1, 2])
def test_a_change_whose_answer_is_lost_is_no_repeat_of_the_same_code(
    desk: Desk, wire: Wire, current: str | None, times: int, fault: Any
) -> None:
    set_code(desk, CODE)
    taken = [lambda _: None] * (2 if current else 0)
    wire.plan("PutItem", *taken, *[fault] * times)

    set_code(desk, "739164", current)

    assert wire.undone == 0
    assert number(desk, "version") == 2
    assert try_code(desk, "739164") == "right"


def test_a_first_code_whose_answer_is_lost_is_set(desk: Desk, wire: Wire) -> None:
    wire.plan("PutItem", answer_lost, answer_lost)

    set_code(desk, CODE)

    assert try_code(desk, CODE) == "right"


def test_a_code_that_was_taken_away_while_it_was_compared_changes_nothing(desk: Desk, rival: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    # Try, forgiveness, then the change itself.
    wire.plan("PutItem", lambda _: None, lambda _: None, first(lambda: set_code(rival, "860357")))

    with pytest.raises(WrongCode):
        set_code(desk, "739164", CODE)

    assert [try_code(desk, code) for code in ("739164", "860357")] == ["wrong", "right"]


def test_of_two_changes_by_one_current_code_one_is_told_that_it_is_not_that_any_more(desk: Desk) -> None:
    set_code(desk, CODE)

    def change(code: str) -> str:
        try:
            until_told(lambda: set_code(desk, code, CODE))
        except (WrongCode, CodeLocked):
            return "refused"
        return code

    answers = at_once(change, ["739164", "860357"], threads=2)

    done = [answer for answer in answers if answer != "refused"]
    assert len(done) == 1
    assert number(desk, "version") == 2


# Sessions


def test_a_code_opens_a_session_of_ten_minutes_whose_token_is_kept_by_nobody(desk: Desk) -> None:
    set_code(desk, CODE)

    token, session = desk.session(CODE)

    assert session.expires_at == NOW + 10 * MINUTE
    assert (session.digest, session.account, session.purchase) == (token_digest(token), "acme", None)
    items = stored(desk.table)
    assert token not in repr(items)
    assert len(token) >= 43
    row = items[f"SESSION#{session.digest}", "SESSION"]
    assert int(row["ttl"]["N"]) == int((NOW + 10 * MINUTE + DAY).timestamp())
    assert require(desk, token) == session


def test_a_wrong_code_opens_none(desk: Desk) -> None:
    set_code(desk, CODE)

    with pytest.raises(WrongCode):
        desk.session(WRONG)

    assert [key for key in stored(desk.table) if key[0].startswith("SESSION#")] == []


def test_each_session_is_one_of_its_own(desk: Desk) -> None:
    set_code(desk, CODE)

    assert desk.session(CODE)[0] != desk.session(CODE)[0]


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_session_whose_answer_is_lost_is_open(desk: Desk, wire: Wire, times: int) -> None:
    set_code(desk, CODE)
    wire.plan("PutItem", lambda _: None, lambda _: None, *[answer_lost] * times)

    token, session = desk.session(CODE)

    assert require(desk, token) == session


def refused_session(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except SessionInvalid:
        return True
    return False


def test_a_session_is_good_until_its_end_and_for_its_account_only(desk: Desk) -> None:
    set_code(desk, CODE)
    set_code(desk, CODE, account="other")
    token, _ = desk.session(CODE)
    theirs, _ = desk.session(CODE, "other")

    require(desk, token, at=NOW + 10 * MINUTE - TICK)
    require(desk, theirs, "other")
    for ask in (
        lambda: require(desk, token, at=NOW + 10 * MINUTE),
        lambda: require(desk, token, "other"),
        lambda: require(desk, theirs),
        lambda: require(desk, token[:-1]),
        lambda: require(desk, ""),
        lambda: require(desk, token_digest(token)),
        lambda: require(desk, token, "nobody"),
    ):
        assert refused_session(ask)


@pytest.mark.parametrize("current", [CODE, None])
def test_a_change_of_the_code_ends_open_sessions(desk: Desk, current: str | None) -> None:
    set_code(desk, CODE)
    token, _ = desk.session(CODE)

    set_code(desk, "739164", current)

    assert refused_session(lambda: require(desk, token))
    later, _ = desk.session("739164")
    require(desk, later)


def test_a_session_opened_while_the_code_was_changed_is_ended(desk: Desk, rival: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    wire.plan("PutItem", lambda _: None, lambda _: None, first(lambda: set_code(rival, "739164")))

    token, _ = desk.session(CODE)

    assert refused_session(lambda: require(desk, token))


def test_wrong_codes_of_others_end_no_session(desk: Desk) -> None:
    set_code(desk, CODE)
    token, _ = desk.session(CODE)
    for _ in range(MAX_TRIES + 1):
        try_code(desk, WRONG)

    require(desk, token)


# One purchase each


def test_a_session_is_spent_on_one_purchase(desk: Desk) -> None:
    set_code(desk, CODE)
    _, session = desk.session(CODE)
    desk.record(a_purchase("pur_1"), session=session)
    before = stored(desk.table)

    with pytest.raises(LostCondition) as lost:
        desk.record(a_purchase("pur_2"), session=session)

    assert lost.value.found.keys() == {"manager_session"}
    assert lost.value.found["manager_session"] == before[f"SESSION#{session.digest}", "SESSION"]
    assert before[f"SESSION#{session.digest}", "SESSION"]["purchase"] == {"S": "pur_1"}
    assert stored(desk.table) == before


def test_a_spent_session_is_read_with_the_purchase_that_spent_it(desk: Desk) -> None:
    set_code(desk, CODE)
    token, session = desk.session(CODE)
    desk.record(a_purchase(), session=session)

    assert require(desk, token) == replace(session, purchase="pur_1")


def test_of_parallel_purchases_on_one_session_one_is_recorded(desk: Desk) -> None:
    set_code(desk, CODE)
    _, session = desk.session(CODE)

    def buy(index: int) -> str:
        try:
            desk.record(a_purchase(f"pur_{index}"), session=session)
        except LostCondition as lost:
            return "lost" if lost.found.keys() == {"manager_session"} else "?"
        except PrepaidError:
            return "?"
        return f"pur_{index}"

    answers = at_once(lambda index: until_sure(lambda: buy(index)), range(8), threads=8)

    items = stored(desk.table)
    recorded = [sort for partition, sort in items if sort.startswith("PURCHASE#")]
    assert len(recorded) == 1
    assert answers.count("lost") >= 7
    assert items[f"SESSION#{session.digest}", "SESSION"]["purchase"]["S"] == recorded[0].removeprefix("PURCHASE#")


def until_sure(buy: Callable[[], str]) -> str:
    """Conflicts of transactions aren't answers."""
    for _ in range(50):
        try:
            return buy()
        except Transient:
            continue
    raise AssertionError("never sure")


def test_opening_takes_the_tries_of_the_code(desk: Desk) -> None:
    set_code(desk, CODE)

    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            desk.session(WRONG)
    with pytest.raises(CodeLocked):
        open_session(desk.table, "acme", CODE, PEPPER, now=NOW, patience=desk.patience)


def test_times_are_kept_to_the_millisecond(desk: Desk) -> None:
    at = datetime(2026, 6, 16, 13, 0, 0, 123000, tzinfo=UTC)
    set_code(desk, CODE, at=at)
    token, session = desk.session(CODE, at=at)

    assert require(desk, token, at=at) == session
    assert refused_session(lambda: require(desk, token, at=at + HOUR))
