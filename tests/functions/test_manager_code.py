"""The manager's six digits: who sets them, how often they may be guessed, and the sessions they open."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases import approving
from tests.support.api import CODE, GRANT, MANAGER_CODE, MANAGER_SESSION, Answer
from tests.support.gateway_events import ADMIN, BUYER, Context
from tests.support.handlers import Clock
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
OTHER = "830164"
WRONG = "115599"
TRIVIAL = [
    *("000000", "777777", "123456", "012345", "345678", "567890", "987654", "543210", "098765", "123123", "909909"),
    *("121212", "112233", "112211", "123321", "000001", "101112", "135791"),
]
# As JSON texts.
NO_CODES = [
    "274913",
    "274913.0",
    "2.74913e5",
    "true",
    "null",
    '""',
    '"27491"',
    '"2749133"',
    '"２７４９１３"',
    '"27491３"',
    '"٢٧٤٩١٣"',
    '"27491²"',
    '"27491a"',
    '" 274913"',
    '"274913 "',
    '"274913\\n"',
    '"\\n274913"',
    '"27\\u0000913"',
    '"+27491"',
    '"-27491"',
    '"0x2749"',
    '"1_2749"',
    '["274913"]',
    "[2,7,4,9,1,3]",
    '{"code": "274913"}',
]


@pytest.fixture
def shop(service: Service) -> Service:
    """Account acme has a code."""
    service.open()
    assert service.set_code().status == 204
    return service


def wrong(answer: Answer, tries_left: int) -> bool:
    assert (answer.status, answer.code, answer.body["tries_left"]) == (403, "wrong_code", tries_left), answer
    return True


def locked(answer: Answer, seconds: int) -> bool:
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, "code_locked", str(seconds)), answer
    return True


def test_a_comparison_is_slow() -> None:
    assert approving.SCRYPT_COST * 8 * 128 == 16 * 2**20


def test_a_code_opens_a_session_of_ten_minutes(shop: Service) -> None:
    answer = shop.try_code()
    assert answer.status == 201
    assert answer.body["expires_at"] == "2026-06-16T13:10:00.000Z"
    assert len(answer.body["manager_session"]) >= 43
    assert "idempotent-replayed" not in answer.headers
    assert shop.try_code().body["manager_session"] != answer.body["manager_session"]


def test_a_retry_gets_the_same_session(shop: Service, clock: Clock) -> None:
    first = shop.try_code(key="k")
    for passed in (SECOND, 10 * MINUTE, timedelta(days=400)):
        clock.now += passed
        again = shop.try_code(key="k")
        assert (again.status, again.text, again.headers["idempotent-replayed"]) == (201, first.text, "true")
    sessions = [key for key in shop.stored() if key[1] == "SESSION"]
    assert len(sessions) == 1


def test_a_retry_does_not_reveal_whether_a_code_is_right(shop: Service) -> None:
    shop.try_code(key="known")
    for key, left in (("known", 4), ("new", 3), ("known", 2), ("new", 1), ("known", 0)):
        assert wrong(shop.try_code(WRONG, key=key), left)
    assert locked(shop.try_code(key="known"), 60)
    assert locked(shop.try_code(WRONG, key="known"), 60)


@pytest.mark.parametrize("current", [None, CODE])
def test_a_key_used_with_the_old_code_is_rejected(shop: Service, current: str | None) -> None:
    shop.try_code(key="k")
    assert shop.set_code(OTHER, current=current).status == 204
    answer = shop.try_code(OTHER, key="k")
    assert (answer.status, answer.code) == (409, "idempotency_key_reused")
    assert wrong(shop.try_code(key="k"), 4)
    assert shop.try_code(OTHER, key="k2").status == 201


def test_a_key_serves_a_session_or_another_request(shop: Service) -> None:
    shop.give(5)
    session = shop.manager_session()
    assert shop.spend(key="spent").status == 201
    assert shop.try_code(key="opened").status == 201
    answers = [
        shop.try_code(key="spent"),
        shop.spend(key="opened"),
        shop.buy(key="opened", session=session),
        shop(GRANT, json={"credits": 1, "kind": "promotion", "reason": "x"}, key="opened"),
    ]
    assert [(answer.status, answer.code) for answer in answers] == [(409, "idempotency_key_reused")] * 4
    # Six right codes with one key: none of them counts as a try.
    assert [shop.try_code(key="spent").status for _ in range(6)] == [409] * 6


def test_the_table_holds_neither_code_nor_token(shop: Service) -> None:
    token = shop.manager_session()
    written = repr(shop.stored())
    assert CODE not in written
    assert token not in written
    assert hashlib.sha256(token.encode()).hexdigest() in written


def test_the_table_alone_does_not_verify_a_code(shop: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(shop.codes_of("checkout"), peppers=Versions(versions_of("another pepper")))
    shop.functions.change("checkout", codes=lambda _deadline: other)
    assert wrong(shop.try_code(), 4)


def test_only_an_administrator_sets_a_code_without_the_current_one(shop: Service) -> None:
    shop.codes.add(OTHER)
    answer = shop(MANAGER_CODE, json={"code": OTHER}, by=BUYER)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert shop.try_code().status == 201
    assert shop.set_code(OTHER).status == 204
    assert wrong(shop.try_code(), 4)
    assert shop.try_code(OTHER).status == 201


@pytest.mark.parametrize("claims", [BUYER, ADMIN], ids=["buyer", "admin"])
def test_the_current_code_authorizes_a_new_one(shop: Service, claims: Any) -> None:
    shop.codes |= {OTHER, WRONG}
    assert wrong(shop(MANAGER_CODE, json={"code": OTHER, "current_code": WRONG}, by=claims), 4)
    assert shop(MANAGER_CODE, json={"code": OTHER, "current_code": CODE}, by=claims).status == 204
    assert shop.try_code(OTHER).status == 201
    assert wrong(shop.try_code(), 4)


def test_the_new_code_must_differ(shop: Service) -> None:
    answer = shop.set_code(CODE, current=CODE)
    assert (answer.status, answer.fields) == (422, ["code"])


def test_an_administrators_retry_gets_the_original_response(shop: Service) -> None:
    session = shop.manager_session()
    for _ in range(5):
        shop.try_code(WRONG)
    assert [shop.set_code(CODE).status for _ in range(3)] == [204] * 3
    assert shop.try_code().status == 201
    # The code is the same, so its sessions stay valid: this request fails only because of its pack.
    assert shop.buy("no-such-pack", session=session).fields == ["pack"]


def test_a_wrong_code_hides_that_the_new_code_is_the_current(shop: Service) -> None:
    """Without the current code the response doesn't tell that the new code is the current one."""
    assert wrong(shop.set_code(CODE, current=WRONG), 4)


@pytest.mark.parametrize("code", TRIVIAL)
def test_easily_guessed_codes_are_rejected(shop: Service, code: str) -> None:
    before = shop.stored()
    for current in (None, CODE):
        answer = shop.set_code(code, current=current)
        assert (answer.status, answer.fields) == (422, ["code"])
    assert shop.stored() == before
    # As a try it counts like any other.
    assert wrong(shop.try_code(code), 4)


@pytest.mark.parametrize("text", NO_CODES)
def test_malformed_codes_are_rejected(shop: Service, text: str) -> None:
    before = shop.stored()
    answers = [
        shop(MANAGER_CODE, body=f'{{"code": {text}}}', by=ADMIN),
        shop(MANAGER_SESSION, body=f'{{"code": {text}}}', by=BUYER),
    ]
    for answer in answers:
        assert answer.status == 422
        assert {field.partition(".")[0] for field in answer.fields} == {"code"}
    if text != "null":
        answer = shop(MANAGER_CODE, body=f'{{"code": "{OTHER}", "current_code": {text}}}', by=BUYER)
        assert answer.status == 422
        assert {field.partition(".")[0] for field in answer.fields} == {"current_code"}
    assert shop.stored() == before


@pytest.mark.parametrize("code", ["012987", "000871"])
def test_a_leading_zero_is_part_of_the_code(shop: Service, code: str) -> None:
    assert shop.set_code(code).status == 204
    assert shop.try_code(code).status == 201
    assert shop(MANAGER_SESSION, json={"code": int(code)}, by=BUYER).status == 422
    assert shop(MANAGER_SESSION, json={"code": str(int(code))}, by=BUYER).status == 422


def test_a_duplicate_code_field_is_rejected(shop: Service) -> None:
    body = f'{{"code": "{WRONG}", "code": "{CODE}"}}'
    assert (shop(MANAGER_SESSION, body=body, by=BUYER).code) == "malformed_body"


def test_five_wrong_codes_lock_out_the_right_one(shop: Service, clock: Clock, comparisons: list[int]) -> None:
    for left in (4, 3, 2, 1, 0):
        assert wrong(shop.try_code(WRONG), left)
    assert locked(shop.try_code(WRONG), 60)
    assert locked(shop.try_code(), 60)
    assert locked(shop.set_code(OTHER, current=CODE), 60)
    assert len(comparisons) == 5
    clock.now += MINUTE - timedelta(milliseconds=1)
    assert locked(shop.try_code(), 1)
    clock.now += timedelta(milliseconds=1)
    assert shop.try_code().status == 201


def test_each_lock_is_longer(shop: Service, clock: Clock) -> None:
    for seconds in (60, 300, 900, 3600, 14_400, 14_400):
        for left in (4, 3, 2, 1, 0):
            assert wrong(shop.try_code(WRONG), left)
        assert locked(shop.try_code(), seconds)
        clock.now += seconds * SECOND
    assert shop.try_code().status == 201
    # The right code resets everything.
    for left in (4, 3, 2, 1, 0):
        assert wrong(shop.try_code(WRONG), left)
    assert locked(shop.try_code(), 60)


def test_the_right_code_resets_the_tries(shop: Service) -> None:
    for _ in range(3):
        for left in (4, 3, 2, 1):
            assert wrong(shop.try_code(WRONG), left)
        assert shop.try_code().status == 201


def test_an_administrator_ends_a_lock_with_a_new_code(shop: Service) -> None:
    for _ in range(5):
        shop.try_code(WRONG)
    assert locked(shop.try_code(), 60)
    assert shop.set_code(OTHER).status == 204
    assert shop.try_code(OTHER).status == 201


def test_tries_on_one_account_lock_no_other(shop: Service) -> None:
    shop.open("zoo")
    shop.set_code(account="zoo")
    for _ in range(6):
        shop.try_code(WRONG)
    assert shop.try_code(account="zoo").status == 201


def test_an_account_without_a_code_is_indistinguishable(service: Service, clock: Clock, comparisons: list[int]) -> None:
    start = clock.now

    def watched(account: str) -> list[tuple[int, str, str | None]]:
        clock.now = start
        seen = []
        for wait in (0, 59, 1, 299, 1):
            clock.now += wait * SECOND
            for _ in range(6):
                comparisons.clear()
                answer = service.try_code(WRONG, account)
                seen.append((len(comparisons), answer.text, answer.headers.get("retry-after")))
                comparisons.clear()
                answer = service.set_code(OTHER, account, current=WRONG)
                seen.append((len(comparisons), answer.text, answer.headers.get("retry-after")))
        return seen

    for account in ("with", "without"):
        service.open(account)
    service.set_code(account="with")

    assert watched("without") == watched("with")


def test_a_change_is_logged_without_the_code(shop: Service, output: Any) -> None:
    output.forget()
    shop.set_code(OTHER, current=CODE)
    shop.try_code(WRONG)
    # check_discreet looks for codes, bodies and tokens after every test; here: that anything was logged at all.
    assert [line["status"] for line in output.lines] == [204, 403]
    assert json.dumps(OTHER) not in output.getvalue()


def test_the_verifier_knows_what_is_under_a_new_pepper(shop: Service) -> None:
    shop.manager_session()
    codes = shop.codes_of("checkout")
    rotated = replace(codes, peppers=Versions({**codes.peppers.values, 2: "new"}))
    shop.functions.change("checkout", codes=lambda _deadline: rotated)

    assert shop.try_code(key="after").status == 201

    assert sum("pepper" in item for item in shop.stored().values()) == 2
    with acting_as("verify"):
        assert shop.functions["verify"]({}, Context(remaining=900_000))["found"] == 0


@pytest.mark.parametrize("made_up", ["1", "0", "-2"])
def test_the_verifier_finds_a_pepper_that_nobody_names(shop: Service, made_up: str) -> None:
    shop.manager_session()
    record = next(item for item in shop.stored().values() if item["SK"] == {"S": "MANAGER"})
    shop.table.client.put_item(TableName=shop.table.name, Item={**record, "pepper": {"N": made_up}})

    with acting_as("verify"):
        assert shop.functions["verify"]({}, Context(remaining=900_000))["found"] == 1
