"""The scheduled verifier: a pass a day, in as many runs as it takes, and every finding counted and logged."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from prepaid.core.errors import Busy
from prepaid.store.dynamodb import Item
from prepaid.store.verification import read_pass
from prepaid.use_cases.verifying.running import PAGES_PER_PLACE
from prepaid.use_cases.verifying.scan_pass import unpack
from tests.support.gateway_events import Context
from tests.support.handlers import Clock, Output
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.store_driver import HOUR, FakeTime, entry_items
from tests.support.stripe_purchases import Storefront

DAY = timedelta(days=1)
SCHEDULED = {"version": "0", "source": "aws.scheduler"}
PLENTY, NONE = 900_000, 60_000


@pytest.fixture
def verify(service: Service) -> Any:
    """The counts of one run; `remaining`: milliseconds that Lambda says are left."""

    def run(remaining: int = PLENTY) -> dict[str, Any]:
        with acting_as("verify"):
            answer: dict[str, Any] = service.functions["verify"](SCHEDULED, Context(remaining=remaining))
        return {name: answer[name] for name in ("read", "found", "finished")}

    return run


def tamper(service: Service, key: tuple[str, str], name: str) -> None:
    """Change the table from outside the service."""
    table = service.table
    where = {"PK": {"S": key[0]}, "SK": {"S": key[1]}}
    item = table.client.get_item(TableName=table.name, Key=where)["Item"]
    changed = {**item, name: {"S": item[name]["S"].replace("5", "6")}}
    table.client.put_item(TableName=table.name, Item=changed)


def test_a_run_says_when_its_pass_began_and_the_next_is_due(service: Service, clock: Clock) -> None:
    service.open()
    began = clock.now
    with acting_as("verify"):
        service.functions["verify"](SCHEDULED, Context(remaining=PLENTY))
        clock.now += HOUR
        nothing_due = service.functions["verify"](SCHEDULED, Context(remaining=PLENTY))

    assert nothing_due["read"] == 0
    assert datetime.fromisoformat(nothing_due["began_at"]) == began
    assert datetime.fromisoformat(nothing_due["due_at"]) == began + DAY


def test_a_table_written_by_the_service_alone_is_sound(
    verify: Any, service: Service, storefront: Storefront, clock: Clock, output: Output
) -> None:
    """A whole pass is finished at once and is due again after some days; the days between read what is new."""
    service.give(5, "acme")
    # By the manager's session, whose key has a claim too.
    storefront.deliver_all(storefront.pay(storefront.buy()))

    first = verify()
    again = verify()
    clock.now += DAY
    next_day = verify()
    clock.now += 6 * DAY
    next_week = verify()

    assert (first["found"], first["finished"]) == (0, True)
    assert first["read"] >= 5
    assert again == {"read": 0, "found": 0, "finished": True}
    # One account, and no entry since.
    assert next_day == {"read": 1, "found": 0, "finished": True}
    # Its own rows are there by now: two passes, the account's mark and its audit. The recent pass lists the account.
    assert next_week == {**first, "read": first["read"] + 4 + 1}
    assert output.metric("RowsVerified")[:2] == [first["read"], 0]
    assert output.metric("VerificationFindings") == []


def test_a_changed_row_is_logged_and_counted(verify: Any, service: Service, output: Output) -> None:
    service.open("acme")
    service.give(5, "acme")
    tamper(service, ("ACCOUNT#acme", "ENTRY#000000000002"), "state")

    answer = verify()

    assert answer["found"] >= 2
    assert sum(output.metric("VerificationFindings")) == answer["found"]
    found = {line["code"] for line in output.lines if line.get("message") == "finding"}
    assert {"chain_broken", "not_replayed"} <= found


def test_a_run_continues_where_the_last_ran_out_of_time(
    verify: Any, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.functions.limits["verify"] = {"page_rows": 2}
    for account in ("acme", "zoo"):
        service.open(account)
        service.give(5, account)

    answers = [verify(NONE)]
    while not answers[-1]["finished"]:
        assert len(answers) < 100
        answers.append(verify(NONE))

    assert len(answers) > 3
    assert all(answer["found"] == 0 for answer in answers)
    assert {("VERIFIED#acme", "VERIFIED"), ("VERIFIED#zoo", "VERIFIED")} <= service.stored().keys()


def before_page(service: Service, monkeypatch: pytest.MonkeyPatch, which: int, act: Callable[[], None]) -> list[Item]:
    """Pages of two rows; `act` comes before one of them is read. Gives what each page is asked with, as they come."""
    service.functions.limits["verify"] = {"page_rows": 2}
    client, pages = service.table.client, []
    scan = client.scan

    def scanned(**params: Any) -> Any:
        pages.append(params)
        if len(pages) >= which:
            act()
        return scan(**params)

    monkeypatch.setattr(client, "scan", scanned)
    return pages


def throttled() -> None:
    raise ClientError({"Error": {"Code": "ThrottlingException"}}, "Scan")


def refused() -> None:
    raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "Scan")


@pytest.mark.parametrize(("act", "error"), [(throttled, Busy), (refused, ClientError)])
def test_the_next_run_continues_at_the_page_that_failed(
    verify: Any,
    service: Service,
    output: Output,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[], None],
    error: type[Exception],
) -> None:
    for number in range(4):
        service.open(f"shop-{number}")
        service.give(5, f"shop-{number}")
        tamper(service, (f"ACCOUNT#shop-{number}", "ENTRY#000000000002"), "state")
    rows = len(service.stored())
    service.functions.change(table=replace(service.table, deadline=FakeTime().deadline()))

    with monkeypatch.context() as failing:
        before_page(service, failing, 5, act)
        with pytest.raises(error):
            verify()
    found_first = sum(output.metric("VerificationFindings"))
    with monkeypatch.context() as well:
        pages = before_page(service, well, 1, lambda: None)
        answer = verify()

    assert "ExclusiveStartKey" in pages[0]
    # Four pages of two were read before. The place itself is a row that the first run added.
    assert rows - 8 <= answer["read"] <= rows - 8 + 1
    assert answer["finished"]
    findings = [line for line in output.lines if line.get("message") == "finding"]
    reported = Counter((line["code"], line["account"], line["where"]) for line in findings)
    assert 0 < found_first < len(findings) == found_first + answer["found"]
    assert {account for _, account, _ in reported} == {f"shop-{number}" for number in range(4)}
    assert set(reported.values()) == {1}


def test_a_pass_that_does_not_finish_is_measured(verify: Any, service: Service, clock: Clock, output: Output) -> None:
    """Whichever of the two it is: here the whole pass, then the recent one."""
    service.functions.limits["verify"] = {"page_rows": 2}
    for number in range(3):
        service.open(f"shop-{number}")
    assert not verify(NONE)["finished"]
    clock.now += DAY
    assert not verify(NONE)["finished"]
    assert verify()["finished"]
    for number in range(3):
        service.give(5, f"shop-{number}")
    clock.now += DAY / 2
    assert not verify(NONE)["finished"]
    clock.now += DAY / 4
    assert not verify(NONE)["finished"]

    assert output.metric("VerificationBehind") == [0, 24 * 3600, 0, 6 * 3600]


def test_a_killed_run_resumes_a_few_pages_back(verify: Any, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    few = PAGES_PER_PLACE
    for number in range(few):
        service.open(f"shop-{number}")
    kept: list[bytes | None] = []

    # A killed run saves nothing at its end: what counts is what it saved while it read.
    before_page(service, monkeypatch, 1, lambda: kept.append(read_pass(service.table)))
    verify()

    assert [place is None for place in kept[: few + 1]] == [True] * few + [False]
    assert unpack(kept[few] or b"").read == 2 * few


def test_a_position_too_large_for_a_row_is_dropped(
    verify: Any, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It blocks nothing."""
    service.open("acme")
    service.give(5)
    rows = len(service.stored())
    service.functions.limits["verify"] = {"page_rows": 2, "max_place_bytes": 1}

    assert verify(NONE) == {"read": 2, "found": 0, "finished": False}
    service.functions.limits.clear()
    kept = read_pass(service.table)

    assert kept is not None
    assert unpack(kept).read == 0
    # The place itself is a row.
    assert verify() == {"read": rows + 1, "found": 0, "finished": True}
    assert verify() == {"read": 0, "found": 0, "finished": True}


def test_a_saved_pass_with_a_future_time_blocks_nothing(verify: Any, service: Service, clock: Clock) -> None:
    service.open("acme")
    clock.now += 400 * DAY
    verify()
    clock.now -= 400 * DAY

    assert verify()["read"] > 0


def test_a_row_of_an_unknown_kind_is_found(verify: Any, service: Service) -> None:
    """It blocks nothing."""
    service.open("acme")
    unknown: dict[str, Any] = {"PK": {"S": "VOUCHER#1"}, "SK": {"S": "VOUCHER"}}
    service.table.client.put_item(TableName=service.table.name, Item=unknown)

    assert verify() == {"read": 4, "found": 1, "finished": True}


def test_a_day_later_only_what_is_new_is_read(verify: Any, service: Service, clock: Clock) -> None:
    for account in ("acme", "zoo"):
        service.open(account)
        service.give(5, account)
    verify()
    for _ in range(3):
        service.give(1, "zoo")
    clock.now += DAY

    # Two accounts in the list; of one of them three entries and its profile.
    assert verify() == {"read": 2 + 3 + 1, "found": 0, "finished": True}
    clock.now += DAY
    assert verify() == {"read": 2, "found": 0, "finished": True}


def test_a_change_of_new_rows_is_found_within_a_day(verify: Any, service: Service, clock: Clock) -> None:
    service.open("acme")
    service.give(5, "acme")
    verify()
    service.give(5, "acme")
    tamper(service, ("ACCOUNT#acme", "ENTRY#000000000003"), "state")
    clock.now += DAY

    assert verify()["found"] >= 2


def test_a_change_of_old_rows_is_found_by_the_next_whole_pass(verify: Any, service: Service, clock: Clock) -> None:
    service.open("acme")
    for _ in range(2):
        service.give(5, "acme")
    verify()
    tamper(service, ("ACCOUNT#acme", "ENTRY#000000000002"), "state")
    found = []
    for _ in range(7):
        clock.now += DAY
        found.append(verify()["found"])

    assert found[:6] == [0] * 6
    assert found[6] >= 2


def test_the_days_between_whole_passes_are_a_setting(verify: Any, service: Service, clock: Clock) -> None:
    service.functions.limits["verify"] = {"whole_every": DAY}
    service.open("acme")
    rows = verify()["read"]
    clock.now += DAY

    # Every day a whole pass, so none of what is new.
    assert verify()["read"] == rows + 4


def test_no_recent_pass_begins_before_the_first_whole_one_is_done(verify: Any, service: Service, clock: Clock) -> None:
    """Without marks it would read every account, as the whole pass does."""
    service.functions.limits["verify"] = {"page_rows": 2}
    for number in range(3):
        service.open(f"shop-{number}")
    reads = []
    while not (answer := verify(NONE))["finished"]:
        clock.now += DAY
        reads.append(answer["read"])

    assert reads == [2] * len(reads)
    assert len(reads) > 3


def test_a_recent_pass_continues_where_the_last_ran_out_of_time(verify: Any, service: Service, clock: Clock) -> None:
    for account in ("acme", "zoo"):
        service.open(account)
    verify()
    for account in ("acme", "zoo"):
        for _ in range(5):
            service.give(5, account)
        tamper(service, (f"ACCOUNT#{account}", "ENTRY#000000000004"), "state")
    clock.now += DAY
    service.functions.limits["verify"] = {"page_rows": 2}

    answers = [verify(NONE)]
    while not answers[-1]["finished"]:
        assert len(answers) < 100
        answers.append(verify(NONE))

    assert len(answers) > 6
    assert sum(answer["found"] for answer in answers) >= 4
    assert verify()["read"] == 0


def test_a_recent_pass_with_a_future_time_blocks_nothing(verify: Any, service: Service, clock: Clock) -> None:
    service.open("acme")
    verify()
    clock.now += 3 * DAY
    verify()
    clock.now -= 2 * DAY

    assert verify()["read"] == 1


def test_a_refund_follows_from_what_was_kept_of_its_purchase(
    verify: Any, service: Service, storefront: Storefront, clock: Clock
) -> None:
    """The day before, its purchase and grant were verified."""
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    charge = service.spend(2).body["id"]
    service.reverse(charge, 1)
    assert verify()["found"] == 0
    entries = len(entry_items(service.stored()))
    storefront.deliver_all(storefront.refund(purchase, 2495))
    service.reverse(charge, 1)
    clock.now += DAY

    answer = verify()

    others = [key for key in service.stored() if key[0] == "ACCOUNT#acme" and key[1] > "ENTRY$"]
    new = len(entry_items(service.stored())) - entries
    assert (answer["found"], answer["read"]) == (0, 1 + new + len(others))
    # Nothing looked wrong, so the account is marked: a day later, only the list is read.
    clock.now += DAY
    assert verify() == {"read": 1, "found": 0, "finished": True}
