"""The scheduled verifier: a pass a day, in as many runs as it takes, and every finding counted and logged."""

from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from prepaid import wiring
from prepaid.verifying import passes
from tests.functions.client import Service
from tests.functions.conftest import Clock, Output
from tests.functions.events import Context
from tests.functions.payments import Till
from tests.functions.rights import acting_as

DAY = timedelta(days=1)
SCHEDULED = {"version": "0", "source": "aws.scheduler"}
PLENTY, NONE = 900_000, 60_000


@pytest.fixture
def verify(apps: dict[str, ModuleType], service: Service) -> Any:
    """One run; `remaining`: milliseconds that Lambda says are left."""

    def run(remaining: int = PLENTY) -> dict[str, Any]:
        with acting_as("verify"):
            answer: dict[str, Any] = apps["verify"].handler(SCHEDULED, Context(remaining=remaining))
        return answer

    return run


def tamper(key: tuple[str, str], name: str) -> None:
    """Somebody else has a hand in the table."""
    table = wiring.table()
    where = {"PK": {"S": key[0]}, "SK": {"S": key[1]}}
    item = table.client.get_item(TableName=table.name, Key=where)["Item"]
    changed = {**item, name: {"S": item[name]["S"].replace("5", "6")}}
    table.client.put_item(TableName=table.name, Item=changed)


def test_a_table_that_only_the_service_wrote_is_found_whole_once_a_day(
    verify: Any, service: Service, till: Till, clock: Clock, output: Output
) -> None:
    service.give(5, "acme")
    # By the manager's session, whose key has a claim too.
    till.tell_all(till.pay(till.buy()))

    first = verify()
    again = verify()
    clock.now += DAY
    next_day = verify()

    assert (first["found"], first["finished"]) == (0, True)
    assert first["read"] >= 5
    assert again == {"read": 0, "found": 0, "finished": True}
    # Its own rows are there by now.
    assert next_day == {**first, "read": first["read"] + 2}
    assert output.metric("VerificationFindings") == []


def test_a_row_that_somebody_changed_is_logged_and_counted(verify: Any, service: Service, output: Output) -> None:
    service.open("acme")
    service.give(5, "acme")
    tamper(("ACCOUNT#acme", "ENTRY#000000000002"), "state")

    answer = verify()

    assert answer["found"] >= 2
    assert sum(output.metric("VerificationFindings")) == answer["found"]
    found = {line["code"] for line in output.lines if line.get("message") == "finding"}
    assert {"chain_broken", "not_replayed"} <= found


def test_a_pass_goes_on_where_the_last_run_had_no_time_left(
    verify: Any, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes.go_on, "__defaults__", (2,))
    for account in ("acme", "zoo"):
        service.open(account)
        service.give(5, account)

    answers = [verify(NONE)]
    while not answers[-1]["finished"]:
        answers.append(verify(NONE))

    assert len(answers) > 3
    assert all(answer["found"] == 0 for answer in answers)
    assert {("VERIFIED#acme", "VERIFIED"), ("VERIFIED#zoo", "VERIFIED")} <= service.stored().keys()


def test_a_pass_of_the_future_holds_up_nothing(verify: Any, service: Service, clock: Clock) -> None:
    service.open("acme")
    clock.now += 400 * DAY
    verify()
    clock.now -= 400 * DAY

    assert verify()["read"] > 0


def test_a_row_of_a_kind_that_nobody_knows_is_found_and_holds_up_nothing(verify: Any, service: Service) -> None:
    service.open("acme")
    unknown: dict[str, Any] = {"PK": {"S": "VOUCHER#1"}, "SK": {"S": "VOUCHER"}}
    service.table.client.put_item(TableName=service.table.name, Item=unknown)

    assert verify() == {"read": 3, "found": 1, "finished": True}
