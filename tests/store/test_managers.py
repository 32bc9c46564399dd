"""The manager's code: a try is taken before anything is compared, in any crowd, whatever is lost (rule 10)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import scrypt
from threading import Lock
from typing import Any

import pytest

from prepaid.core.errors import (
    Busy,
    CodeLocked,
    IdempotencyKeyReused,
    InvalidRequest,
    PrepaidError,
    SessionInvalid,
    WrongCode,
)
from prepaid.core.manager_code import MAX_TRIES, ManagerSession
from prepaid.store.dynamodb import ConditionFailed
from prepaid.store.manager_codes import SessionClaim, session_claim_from_item
from prepaid.store.purchases import find_purchase_by_key
from prepaid.use_cases import approving
from prepaid.use_cases.approving import (
    CodeSecrets,
    change_code,
    check_code,
    code_digest,
    derive_session,
    require_session,
    token_digest,
)
from tests.support.store_driver import (
    CODES,
    DAY,
    HOUR,
    NOW,
    SECOND,
    TICK,
    Desk,
    FakeTime,
    a_purchase,
    a_session,
    stored,
    until_told,
)
from tests.support.wire import Wire, answer_lost, first, no_answer, nothing, reset_after_commit
from tests.support.workers import at_once

CODE, WRONG = "482915", "482916"
MINUTE = timedelta(minutes=1)
RECORD = ("ACCOUNT#acme", "MANAGER")
CLAIM = ("CLAIM#acme#k", "CLAIM")


class Comparisons:
    """How often the slow function was asked, without its slowness unless it matters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self._lock = Lock()
        monkeypatch.setattr(approving, "scrypt", self._counted)

    def _counted(self, password: bytes, **parameters: Any) -> bytes:
        with self._lock:
            self.made += 1
        return scrypt(password, **{**parameters, "n": 2})


@pytest.fixture(autouse=True)
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    return Comparisons(monkeypatch)


def set_code(desk: Desk, code: str, current: str | None = None, *, account: str = "acme", at: datetime = NOW) -> None:
    change_code(desk.table, account, code, current, CODES, now=at)


def try_code(desk: Desk, code: str, *, at: datetime = NOW, account: str = "acme") -> str:
    """right, wrong or locked."""
    try:
        until_told(lambda: check_code(desk.table, account, code, CODES, now=at))
    except WrongCode:
        return "wrong"
    except CodeLocked:
        return "locked"
    return "right"


def require(desk: Desk, token: str, account: str = "acme", at: datetime = NOW) -> ManagerSession:
    return require_session(desk.table, account, token, now=at)


def number(desk: Desk, name: str) -> int:
    return int(stored(desk.table)[RECORD][name]["N"])


def has_code(desk: Desk, *, is_set: bool) -> None:
    """An account whose manager has a code, or one that looks the same from outside."""
    if is_set:
        set_code(desk, CODE)


either = pytest.mark.parametrize("is_set", [True, False], ids=["with a code", "without a code"])


# The code


def test_the_code_is_kept_in_no_readable_form_and_the_pepper_not_at_all(desk: Desk) -> None:
    set_code(desk, CODE)

    item = stored(desk.table)[RECORD]

    everything = repr(item).encode() + bytes(item["digest"]["B"]) + bytes(item["salt"]["B"])
    assert CODE.encode() not in everything
    assert CODES.pepper.encode() not in everything
    assert (len(item["salt"]["B"]), len(item["digest"]["B"])) == (16, 64)


def test_the_digest_is_as_costly_as_was_decided() -> None:
    assert CodeSecrets(pepper="p").scrypt_cost == 2**14
    assert approving.SCRYPT_MEMORY_BYTES == 2**26


def test_the_real_function_runs_within_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approving, "scrypt", scrypt)

    real = CodeSecrets(pepper="pepper")

    digest = code_digest(CODE, b"salt" * 4, real)

    assert digest != code_digest(WRONG, b"salt" * 4, real)
    assert digest != code_digest(CODE, b"malt" * 4, real)
    assert digest != code_digest(CODE, b"salt" * 4, replace(real, pepper="another pepper"))


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
            check_code(desk.table, "acme", WRONG, CODES, now=NOW)
        left.append(wrong.value.tries_left)

    assert left == [4, 3, 2, 1]
    assert try_code(desk, CODE) == "right"
    assert (number(desk, "tries"), number(desk, "locks")) == (0, 0)


def test_another_pepper_opens_nothing(desk: Desk) -> None:
    set_code(desk, CODE)

    with pytest.raises(WrongCode):
        check_code(desk.table, "acme", CODE, replace(CODES, pepper="another pepper"), now=NOW)


def test_an_account_without_a_code_opens_to_none(desk: Desk) -> None:
    codes = (CODE, "", "000000", "\0" * 6)

    assert [try_code(desk, code) for code in codes] == ["wrong"] * len(codes)


def test_an_account_without_a_code_answers_works_and_writes_as_one_whose_code_is_not_guessed(
    desk: Desk, wire: Wire, comparisons: Comparisons
) -> None:
    set_code(desk, CODE, account="other")

    def watched(account: str) -> list[object]:
        seen: list[object] = []
        for at in [NOW] * 7 + [NOW + MINUTE] * 6 + [NOW + 6 * MINUTE - TICK]:
            comparisons.made = 0
            wire.forget()
            try:
                check_code(desk.table, account, WRONG, CODES, now=at)
            except (WrongCode, CodeLocked) as refused:
                told = vars(refused)
                seen.append((type(refused), told, comparisons.made, tuple(wire.calls)))
        return seen

    without, with_one = watched("acme"), watched("other")

    assert without == with_one
    assert len(without) == 14
    items = stored(desk.table)
    counted = [{name: items[key][name] for name in ("tries", "locks", "tried_at")} for key in items]
    assert counted == [{"tries": {"N": "5"}, "locks": {"N": "1"}, "tried_at": counted[0]["tried_at"]}] * 2


def test_a_first_code_forgives_what_was_tried_before_there_was_one(desk: Desk) -> None:
    for _ in range(MAX_TRIES + 1):
        try_code(desk, WRONG)

    set_code(desk, CODE)

    assert (number(desk, "version"), number(desk, "tries")) == (1, 0)
    assert try_code(desk, CODE) == "right"


def test_a_first_code_set_while_another_is_tried_is_set(desk: Desk, rival: Desk, wire: Wire) -> None:
    wire.plan("PutItem", first(lambda: set_code(rival, CODE)))

    assert try_code(desk, CODE) == "right"


def test_a_try_is_written_before_the_comparison(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    set_code(desk, CODE)
    seen: list[int] = []

    def watching(_password: bytes, **_: Any) -> bytes:
        seen.append(number(desk, "tries"))
        return b"wrong"

    monkeypatch.setattr(approving, "scrypt", watching)

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
            check_code(desk.table, "acme", CODE, CODES, now=at)
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
            check_code(desk.table, "acme", CODE, CODES, now=at)
        waits.append(locked.value.retry_after_seconds)
        at += waits[-1] * SECOND

    assert waits == [60, 300, 900]
    assert try_code(desk, CODE, at=at) == "right"
    assert [try_code(desk, WRONG, at=at) for _ in range(MAX_TRIES + 1)] == ["wrong"] * 5 + ["locked"]
    assert try_code(desk, CODE, at=at + MINUTE) == "right"


@either
def test_a_thousand_parallel_wrong_codes_are_compared_at_most_five_times(
    desk: Desk, comparisons: Comparisons, is_set: bool
) -> None:
    has_code(desk, is_set=is_set)
    comparisons.made = 0

    answers = at_once(lambda index: try_code(desk, f"{index:06d}"), range(1_000), threads=32)

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
    wire.plan("PutItem", nothing, first(lambda: try_code(rival, WRONG)))

    assert try_code(desk, CODE) == "right"

    assert number(desk, "tries") == 2


@either
def test_a_try_that_a_rival_takes_first_is_taken_again(desk: Desk, rival: Desk, wire: Wire, is_set: bool) -> None:
    has_code(desk, is_set=is_set)
    wire.plan("PutItem", *[first(lambda: try_code(rival, WRONG))] * 2)

    assert try_code(desk, WRONG) == "wrong"

    assert number(desk, "tries") == 3


@pytest.mark.parametrize("fault", [answer_lost, reset_after_commit])
@pytest.mark.parametrize("times", [1, 2])
@either
def test_a_try_whose_answer_is_lost_may_count_twice_and_never_less(
    desk: Desk, wire: Wire, comparisons: Comparisons, times: int, fault: Any, is_set: bool
) -> None:
    has_code(desk, is_set=is_set)
    comparisons.made = 0
    wire.plan("PutItem", *[fault] * times)

    assert try_code(desk, WRONG) == "wrong"

    assert comparisons.made == 1
    assert number(desk, "tries") == 2


@pytest.mark.parametrize("fault", [answer_lost, reset_after_commit])
def test_a_fifth_try_whose_answer_is_lost_locks_the_right_code_out_too(
    desk: Desk, wire: Wire, comparisons: Comparisons, fault: Any
) -> None:
    set_code(desk, CODE)
    assert [try_code(desk, WRONG) for _ in range(4)] == ["wrong"] * 4
    comparisons.made = 0
    wire.plan("PutItem", fault)

    assert try_code(desk, CODE) == "locked"

    assert comparisons.made == 0
    assert number(desk, "tries") == 5


@pytest.mark.parametrize("times", [1, 2])
def test_the_right_code_opens_though_forgiving_is_not_answered(desk: Desk, wire: Wire, times: int) -> None:
    set_code(desk, CODE)
    wire.plan("PutItem", nothing, *[answer_lost] * times)

    assert try_code(desk, CODE) == "right"

    assert wire.undone == 0
    assert number(desk, "tries") == 0


@either
def test_a_database_that_stays_away_compares_nothing(
    desk: Desk, wire: Wire, comparisons: Comparisons, is_set: bool
) -> None:
    has_code(desk, is_set=is_set)
    comparisons.made = 0
    wire.always("PutItem", no_answer)
    impatient = desk.with_deadline(FakeTime().deadline(0.1))

    with pytest.raises(Busy):
        check_code(impatient.table, "acme", CODE, CODES, now=NOW)

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
    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            set_code(desk, CODE, "000000")
    with pytest.raises(CodeLocked):
        set_code(desk, CODE, "000000")

    assert number(desk, "version") == 0


def test_the_new_code_must_differ(desk: Desk) -> None:
    set_code(desk, CODE)
    version = number(desk, "version")

    with pytest.raises(InvalidRequest) as refused:
        set_code(desk, CODE, CODE)

    assert refused.value.errors == (("code", "must differ from the current one"),)
    assert number(desk, "version") == version


def test_an_administrators_repeat_ends_no_session_and_leaves_what_the_first_one_left(desk: Desk) -> None:
    set_code(desk, CODE)
    token, session = desk.session(CODE)
    before = stored(desk.table)[RECORD]

    set_code(desk, CODE, at=NOW + SECOND)

    assert require(desk, token) == session
    assert stored(desk.table)[RECORD] == {**before, "revision": {"N": str(int(before["revision"]["N"]) + 1)}}


def test_an_administrators_repeat_ends_a_lock(desk: Desk) -> None:
    set_code(desk, CODE)
    for _ in range(MAX_TRIES):
        try_code(desk, WRONG)

    set_code(desk, CODE)

    assert try_code(desk, CODE) == "right"


def test_an_administrators_repeat_forgives_no_try_that_somebody_takes_after_it_was_read(
    desk: Desk, rival: Desk, wire: Wire
) -> None:
    """The write that loses reads again, so that what it writes over is what stood there."""
    set_code(desk, CODE)
    wire.plan("PutItem", first(lambda: set_code(rival, "739164")))

    set_code(desk, CODE)

    assert number(desk, "version") == 3
    assert try_code(desk, CODE) == "right"


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
    taken = [nothing] * (2 if current else 0)
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
    wire.plan("PutItem", nothing, nothing, first(lambda: set_code(rival, "860357")))

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


def test_each_key_opens_a_session_of_its_own(desk: Desk) -> None:
    set_code(desk, CODE)

    assert desk.session(CODE)[0] != desk.session(CODE)[0]


def test_a_session_its_claim_and_the_forgiven_tries_are_written_together(desk: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    try_code(desk, WRONG)
    wire.forget()

    opened = desk.open_session(CODE, key="k")

    assert wire.calls == ["GetItem", "PutItem", "TransactWriteItems"]
    items = stored(desk.table)
    assert items.keys() == {RECORD, CLAIM, (f"SESSION#{opened.session.digest}", "SESSION")}
    assert items[CLAIM].keys() == {"PK", "SK", "request_hash", "code_version", "expires_at", "nonce"}
    assert number(desk, "tries") == 0


@pytest.mark.parametrize("fault", [no_answer, answer_lost, reset_after_commit])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_session_whose_answer_is_lost_is_open_and_the_only_one(
    desk: Desk, wire: Wire, times: int, fault: Any
) -> None:
    set_code(desk, CODE)
    wire.plan("TransactWriteItems", *[fault] * times)

    token, session = desk.session(CODE)

    assert wire.undone == 0
    assert require(desk, token) == session
    assert sessions(desk) == [f"SESSION#{session.digest}"]
    assert number(desk, "tries") == 0


# Repeats


def sessions(desk: Desk) -> list[str]:
    return [partition for partition, _ in stored(desk.table) if partition.startswith("SESSION#")]


def test_a_repeat_with_the_right_code_hears_of_the_same_session(desk: Desk) -> None:
    set_code(desk, CODE)
    opened = desk.open_session(CODE, key="k")
    try_code(desk, WRONG)
    before = stored(desk.table)

    for at in (NOW, NOW + HOUR, NOW + 400 * DAY):
        assert desk.open_session(CODE, key="k", at=at) == replace(opened, replayed=True)

    assert not opened.replayed
    after = stored(desk.table)
    # Repeats never lock out who knows the code.
    assert number(desk, "tries") == 0
    del before[RECORD], after[RECORD]
    assert after == before


@pytest.mark.parametrize("code", [WRONG, "739164"])
def test_a_known_key_tells_nothing_about_a_guess_and_each_guess_counts(desk: Desk, code: str) -> None:
    set_code(desk, CODE)
    desk.open_session(CODE, key="k")

    told = []
    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode) as wrong:
            desk.open_session(code, key="k")
        told.append(wrong.value.tries_left)
    for guess in (code, CODE):
        with pytest.raises(CodeLocked):
            desk.open_session(guess, key="k")

    assert told == [4, 3, 2, 1, 0]


def test_the_claim_is_not_looked_at_before_the_code_is_right(desk: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    desk.open_session(CODE, key="k")
    calls = {}
    for key in ("k", "never used"):
        wire.forget()
        with pytest.raises(WrongCode):
            desk.open_session(WRONG, key=key)
        calls[key] = list(wire.calls)

    # The one read is of the manager's record: a try, and no more.
    assert calls == {"k": ["GetItem", "PutItem"], "never used": ["GetItem", "PutItem"]}


@pytest.mark.parametrize("current", [CODE, None])
def test_a_key_of_an_older_code_is_refused_to_the_new_one(desk: Desk, current: str | None) -> None:
    set_code(desk, CODE)
    opened = desk.open_session(CODE, key="k")
    set_code(desk, "739164", current)

    with pytest.raises(IdempotencyKeyReused):
        desk.open_session("739164", key="k")
    with pytest.raises(WrongCode):
        desk.open_session(CODE, key="k")

    assert refused_session(lambda: require(desk, opened.token))
    # Back at the old digits it is a code of its own all the same.
    set_code(desk, CODE)
    with pytest.raises(IdempotencyKeyReused):
        desk.open_session(CODE, key="k")
    assert sessions(desk) == [f"SESSION#{opened.session.digest}"]


def test_a_used_session_is_replayed_as_the_used_one(desk: Desk) -> None:
    set_code(desk, CODE)
    opened = desk.open_session(CODE, key="k")
    desk.record(a_purchase(), session=opened.session)

    again = desk.open_session(CODE, key="k")

    assert again.token == opened.token
    assert require(desk, again.token).purchase == "pur_1"
    with pytest.raises(ConditionFailed) as lost:
        desk.record(a_purchase("pur_2"), session=again.session)
    assert lost.value.existing.keys() == {"manager_session"}


def test_no_key_serves_a_session_and_another_request(desk: Desk) -> None:
    desk.open(credits=10)
    set_code(desk, CODE)
    opened = desk.open_session(CODE, key="opened")
    desk.debit(1, key="spent")
    desk.grant(1, key="given")
    desk.record(a_purchase(), key="bought", session=opened.session)
    before = stored(desk.table)

    for key in ("spent", "given", "bought"):
        with pytest.raises(IdempotencyKeyReused):
            desk.open_session(CODE, key=key)
    with pytest.raises(IdempotencyKeyReused):
        desk.debit(1, key="opened")
    with pytest.raises(IdempotencyKeyReused):
        desk.grant(1, key="opened")
    with pytest.raises(IdempotencyKeyReused):
        find_purchase_by_key(desk.table, "acme", "opened", "credits-100")

    after = stored(desk.table)
    # Neither a refusal of the key nor a repeat takes tries from who knows the code.
    assert number(desk, "tries") == 0
    del before[RECORD], after[RECORD]
    assert after == before


def test_a_key_belongs_to_its_account(desk: Desk) -> None:
    for account in ("acme", "other"):
        set_code(desk, CODE, account=account)

    opened = [desk.open_session(CODE, account, key="k") for account in ("acme", "other")]

    assert [one.replayed for one in opened] == [False, False]
    assert opened[0].token != opened[1].token


def test_the_table_alone_does_not_hold_what_makes_a_token(desk: Desk) -> None:
    """The same rows under another pepper stand for another token: whoever reads them all has none."""
    set_code(desk, CODE)
    opened = desk.open_session(CODE, key="k")
    claim = session_claim_from_item(stored(desk.table)[CLAIM])

    derived = derive_session(claim, "acme", "k", replace(CODES, pepper="another pepper"), replayed=True)

    assert derive_session(claim, "acme", "k", CODES, replayed=False) == opened
    assert derived.token != opened.token
    assert opened.token.encode() not in claim.nonce + repr(stored(desk.table)).encode()


def test_a_token_is_of_its_account_key_code_and_claim(desk: Desk) -> None:
    claim = SessionClaim(code_version=1, expires_at=NOW, nonce=b"m" * 16)

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


def test_one_key_used_twice_at_once_opens_one_session(desk: Desk) -> None:
    set_code(desk, CODE)

    def ask(_: int) -> tuple[str, bool] | None:
        try:
            opened = until_told(lambda: desk.open_session(CODE, key="k"))
        except CodeLocked:
            # Eight at once may have taken five tries before the first was forgiven.
            return None
        return opened.token, opened.replayed

    answers = [answer for answer in at_once(ask, range(8), threads=8) if answer]

    assert len({token for token, _ in answers}) == 1
    assert len(sessions(desk)) == 1
    assert [replayed for _, replayed in answers].count(False) <= 1


def test_a_key_that_a_rival_uses_first_is_replayed(desk: Desk, rival: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    theirs: list[Any] = []
    wire.plan("TransactWriteItems", first(lambda: theirs.append(rival.open_session(CODE, key="k"))))

    ours = desk.open_session(CODE, key="k")

    assert [ours] == [replace(one, replayed=True) for one in theirs]
    assert len(sessions(desk)) == 1


def test_a_right_code_opens_while_others_guess_and_forgives_them_nothing(desk: Desk, rival: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    wire.plan("TransactWriteItems", first(lambda: try_code(rival, WRONG)), first(lambda: try_code(rival, WRONG)))

    token, session = desk.session(CODE)

    assert require(desk, token) == session
    assert number(desk, "tries") == 3


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


@pytest.mark.parametrize("guesses", [0, 1])
def test_no_session_opens_by_a_code_that_was_changed_after_it_was_compared(
    desk: Desk, rival: Desk, wire: Wire, guesses: int
) -> None:
    set_code(desk, CODE)
    guessed = [first(lambda: try_code(rival, WRONG))] * guesses
    wire.plan("TransactWriteItems", *guessed, first(lambda: set_code(rival, "739164")))

    with pytest.raises(WrongCode):
        desk.session(CODE)

    assert wire.undone == 0
    assert [key for key in stored(desk.table) if key != RECORD] == []


def test_wrong_codes_of_others_end_no_session(desk: Desk) -> None:
    set_code(desk, CODE)
    token, _ = desk.session(CODE)
    for _ in range(MAX_TRIES + 1):
        try_code(desk, WRONG)

    require(desk, token)


# One purchase each, by the code that holds


@pytest.mark.parametrize("current", [CODE, None])
def test_a_code_changed_after_the_session_was_read_ends_the_purchase(
    desk: Desk, rival: Desk, wire: Wire, current: str | None
) -> None:
    set_code(desk, CODE)
    token, _ = desk.session(CODE)
    session = require(desk, token)
    wire.plan("TransactWriteItems", first(lambda: set_code(rival, "739164", current)))

    with pytest.raises(ConditionFailed) as lost:
        desk.record(a_purchase(), session=session)

    assert lost.value.existing.keys() == {"manager"}
    assert [sort for _, sort in stored(desk.table) if sort.startswith("PURCHASE#")] == []
    assert "purchase" not in stored(desk.table)[f"SESSION#{session.digest}", "SESSION"]


def test_guesses_and_an_administrators_repeat_end_no_purchase(desk: Desk, rival: Desk, wire: Wire) -> None:
    set_code(desk, CODE)
    _, session = desk.session(CODE)

    def meanwhile() -> None:
        for _ in range(MAX_TRIES + 1):
            try_code(rival, WRONG)
        set_code(rival, CODE)

    wire.plan("TransactWriteItems", first(meanwhile))

    desk.record(a_purchase(), session=session)

    assert stored(desk.table)[f"SESSION#{session.digest}", "SESSION"]["purchase"] == {"S": "pur_1"}


def test_an_account_without_a_code_buys_nothing(desk: Desk) -> None:
    with pytest.raises(ConditionFailed) as lost:
        desk.record(a_purchase(), session=a_session(code_version=1))
    try_code(desk, WRONG)
    with pytest.raises(ConditionFailed):
        desk.record(a_purchase(), session=a_session(code_version=1))

    assert lost.value.existing.keys() == {"manager"}


def test_a_session_is_spent_on_one_purchase(desk: Desk) -> None:
    set_code(desk, CODE)
    _, session = desk.session(CODE)
    desk.record(a_purchase("pur_1"), session=session)
    before = stored(desk.table)

    with pytest.raises(ConditionFailed) as lost:
        desk.record(a_purchase("pur_2"), session=session)

    assert lost.value.existing.keys() == {"manager_session"}
    assert lost.value.existing["manager_session"] == before[f"SESSION#{session.digest}", "SESSION"]
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
        except ConditionFailed as failed:
            return "lost" if failed.existing.keys() == {"manager_session"} else "?"
        except PrepaidError:
            return "?"
        return f"pur_{index}"

    answers = at_once(buy, range(8), threads=8)

    items = stored(desk.table)
    recorded = [sort for partition, sort in items if sort.startswith("PURCHASE#")]
    assert len(recorded) == 1
    assert answers.count("lost") >= 7
    assert items[f"SESSION#{session.digest}", "SESSION"]["purchase"]["S"] == recorded[0].removeprefix("PURCHASE#")


def test_opening_takes_the_tries_of_the_code(desk: Desk) -> None:
    set_code(desk, CODE)

    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            desk.session(WRONG)
    with pytest.raises(CodeLocked):
        desk.session(CODE)


def test_times_are_kept_to_the_millisecond(desk: Desk) -> None:
    at = datetime(2026, 6, 16, 13, 0, 0, 123000, tzinfo=UTC)
    set_code(desk, CODE, at=at)
    token, session = desk.session(CODE, at=at)

    assert require(desk, token, at=at) == session
    assert refused_session(lambda: require(desk, token, at=at + HOUR))
