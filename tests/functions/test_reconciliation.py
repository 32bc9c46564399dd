"""What Stripe says and what was granted, compared both ways: lost webhooks heal, what doesn't fit is told."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from local.stripe import lifecycle
from local.stripe.faults import Fault
from prepaid import purchasing
from prepaid.payments import sessions
from prepaid.payments.errors import PaymentsUnavailable
from tests.functions.client import Service
from tests.functions.conftest import Clock, Output
from tests.functions.events import Context
from tests.functions.payments import Till
from tests.functions.rights import acting_as
from tests.store.builders import types

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SCHEDULED = {"version": "0", "source": "aws.scheduler"}
ENOUGH = 300_000
NOTHING = {"healed": 0, "quarantined": 0, "failed": 0, "finished": True}

type Run = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Countdown(Context):
    """Lambda's clock: so many looks, then it is time to stop. One is for a page, the next ones for what is on it."""

    looks: Iterator[int] = field(default_factory=lambda: itertools.repeat(ENOUGH))

    def get_remaining_time_in_millis(self) -> int:
        return next(self.looks)


def looks(number: int) -> Countdown:
    return Countdown(looks=itertools.chain(itertools.repeat(ENOUGH, number), itertools.repeat(60_000)))


@pytest.fixture
def run(apps: dict[str, ModuleType]) -> Run:
    """One run."""

    def once(context: Context | None = None) -> dict[str, Any]:
        with acting_as("reconcile"):
            answer: dict[str, Any] = apps["reconcile"].handler(SCHEDULED, context or Context(remaining=ENOUGH))
        return answer

    return once


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)


def quarantined(service: Service) -> list[tuple[str, list[str]]]:
    """The purchase and the mismatches of each row that waits for a person."""
    return [
        (item["purchase"]["S"], [name["S"] for name in item["mismatches"]["L"]])
        for (partition, _), item in sorted(service.stored().items())
        if partition.startswith("QUARANTINE#")
    ]


def available(service: Service, account: str = "acme") -> int:
    return int(service.balance(account)["credits"]["available"])


def test_nothing_to_do(till: Till, run: Run, output: Output, service: Service) -> None:
    before = service.stored()
    assert run() == NOTHING
    after = service.stored()
    assert after.keys() - before.keys() == {("RECONCILIATION", "CHECKPOINT")}
    assert run() == NOTHING
    assert service.stored() == after
    for name in ("PurchasesHealed", "PurchaseQuarantined", "ReconciliationFailures"):
        assert output.metric(name) == [0, 0]


def test_a_webhook_that_was_down_for_three_days(till: Till, run: Run, service: Service, clock: Clock) -> None:
    """Nothing at all is told from here on."""
    old = till.buy()
    till.tell_all(till.pay(old))
    assert run()["finished"]
    clock.now += HOUR
    card, pix, boleto, failed, expired, late = (till.buy("credits-50") for _ in range(6))
    till.pay(card)
    till.happen(pix, "confirm", "pix")
    till.happen(boleto, "confirm", "boleto")
    till.happen(failed, "confirm", "pix")
    till.happen(late, "expire")
    till.refund(old, 2495)
    clock.now += DAY
    till.happen(pix, "pay")
    till.dispute(card)
    till.happen(failed, "fail")
    till.happen(late, "pay_after_expiry", "pix")
    clock.now += 2 * DAY
    till.happen(boleto, "pay")
    clock.now += HOUR
    with till.fake.state.lock:
        lifecycle.expire_due(till.fake.state)
    assert run() == {"healed": 7, "quarantined": 0, "failed": 0, "finished": True}
    assert {name: till.purchase(one).state for name, one in locals().items() if name in NAMES} == {
        "old": "partially_refunded",
        "card": "disputed",
        "pix": "granted",
        "boleto": "granted",
        "failed": "failed",
        "expired": "expired",
        "late": "granted",
    }
    # Half of the old one, and three times 50.
    assert available(service) == 200
    after = service.stored()
    assert run() == NOTHING
    assert {key: item for key, item in service.stored().items() if key[0] != "RECONCILIATION"} == {
        key: item for key, item in after.items() if key[0] != "RECONCILIATION"
    }
    # The webhook is up again, and Stripe sends what waited.
    till.tell_all(till.since(0))
    assert available(service) == 200
    assert quarantined(service) == []


NAMES = {"old", "card", "pix", "boleto", "failed", "expired", "late"}


def test_the_first_run_looks_at_all_that_stripe_keeps(till: Till, run: Run, service: Service, clock: Clock) -> None:
    till.pay(till.buy())
    clock.now += 28 * DAY
    assert run()["healed"] == 1
    assert available(service) == 100


def test_each_run_goes_on_where_the_last_one_ended(
    till: Till, run: Run, service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, Any]] = []
    real = sessions.events_page

    def page(client: Any, **named: Any) -> Any:
        asked.append((named["since"], named["until"]))
        return real(client, **named)

    monkeypatch.setattr(purchasing, "events_page", page)
    first = clock.now
    run()
    clock.now += HOUR
    run()
    clock.now += HOUR
    run()
    assert asked == [
        (first - 29 * DAY - HOUR, first),
        (first - HOUR, first + HOUR),
        (first, first + 2 * HOUR),
    ]


def test_an_event_that_is_listed_late_is_found(till: Till, run: Run, service: Service, clock: Clock) -> None:
    [event] = till.pay(till.buy())
    with till.fake.state.lock:
        hidden = till.fake.state.tables["event"].pop(event["id"])
    clock.now += 4 * DAY
    assert run()["healed"] == 0
    clock.now += timedelta(minutes=30)
    with till.fake.state.lock:
        hidden["created"] = int((clock.now - timedelta(minutes=45)).timestamp())
        till.fake.state.tables["event"][event["id"]] = hidden
    assert run()["healed"] == 1


def test_a_payment_without_an_event_is_found_from_our_side(
    till: Till, run: Run, service: Service, clock: Clock
) -> None:
    purchase = till.buy()
    till.pay(purchase)
    with till.fake.state.lock:
        till.fake.state.tables["event"].clear()
    clock.now += 3 * DAY
    assert run() == NOTHING | {"healed": 1}
    assert till.purchase(purchase).state == "granted"


def test_a_purchase_without_a_page_has_nothing_to_compare(till: Till, run: Run, service: Service) -> None:
    till.fake.api.faults.plan(10, Fault(status=500))
    assert service.buy(trouble=True).status == 503
    till.fake.api.faults.plan(0, Fault())
    assert run() == NOTHING


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({"payment_status": "unpaid"}, ["progress"]),
        ({"payment_status": "unpaid", "status": "expired"}, ["progress"]),
        ({"amount_total": 4989}, ["amount"]),
        ({"currency": "usd"}, ["currency"]),
        ({"livemode": True}, ["live"]),
        ({"payment_intent": "pi_another"}, ["payment"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_granted_and_not_paid_so_is_told(
    till: Till, run: Run, service: Service, output: Output, told: dict[str, Any], names: list[str]
) -> None:
    purchase = till.buy()
    till.tell_all(till.pay(purchase))
    till.session(purchase.session or "").update(told)
    ledger = types(service.stored())
    assert run()["quarantined"] > 0
    assert {tuple(one) for _, one in quarantined(service)} == {tuple(names)}
    assert {one for one, _ in quarantined(service)} == {purchase.id}
    assert max(output.metric("PurchaseQuarantined")) > 0
    # Nothing is taken back by a machine.
    assert types(service.stored()) == ledger
    assert till.purchase(purchase).state == "granted"


def test_granted_and_gone_at_stripe_is_told(till: Till, run: Run, service: Service) -> None:
    purchase = till.buy()
    till.tell_all(till.pay(purchase))
    with till.fake.state.lock:
        till.fake.state.tables["checkout.session"].clear()
        till.fake.state.tables["event"].clear()
    assert run()["quarantined"] == 1
    assert quarantined(service) == [(purchase.id, ["unknown_session"])]


def test_a_paid_session_that_nobody_recorded_is_told(till: Till, run: Run, service: Service, output: Output) -> None:
    session = till.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with till.fake.state.lock:
        lifecycle.pay(till.fake.state, session["id"], "card")
    assert run() == NOTHING | {"quarantined": 1}
    assert quarantined(service) == [("pur_" + "0" * 20, ["unknown_purchase"])]
    assert types(service.stored()) == ["plan_change"]
    assert output.metric("PurchaseQuarantined")[-1] == 1


def test_what_others_sell_through_the_same_account_is_ignored(till: Till, run: Run, service: Service) -> None:
    sale = till.sell(session=till.open_session({"order": "4711"})["id"])
    till.pay(sale)
    till.refund(sale, 100)
    with till.fake.state.lock:
        till.fake.state.tables["event"] = {
            name: event for name, event in till.fake.state.tables["event"].items() if "session" not in event["type"]
        }
    before = types(service.stored())
    answer = run()
    assert (answer["healed"], answer["quarantined"]) == (0, 0)
    assert types(service.stored()) == before


# Time, and whatever stops it


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "EVENTS_PAGE", 2)
    monkeypatch.setattr(purchasing, "PAGE_PURCHASES", 2)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("number", [2, 3, 7])
def test_it_stops_with_time_to_spare_and_the_next_run_goes_on(
    till: Till, run: Run, service: Service, clock: Clock, number: int
) -> None:
    for _ in range(5):
        till.pay(till.buy())
    answers = [run(looks(number))]
    while not answers[-1]["finished"]:
        assert len(answers) < 100
        clock.now += timedelta(minutes=1)
        answers.append(run(looks(number)))
    assert sum(answer["healed"] for answer in answers) == 5
    assert available(service) == 500
    assert run() == NOTHING


@pytest.mark.usefixtures("small_pages")
def test_killed_it_loses_no_more_than_a_page(
    till: Till, run: Run, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    for _ in range(6):
        till.pay(till.buy())
    seen: list[str] = []
    real = purchasing.follow_event

    def dies(*given: Any, **named: Any) -> Any:
        seen.append(given[2].id)
        if len(seen) in {4, 7}:
            raise Killed
        return real(*given, **named)

    monkeypatch.setattr(purchasing, "follow_event", dies)
    for _ in range(2):
        with pytest.raises(Killed):
            run()
    assert run()["finished"]
    assert len(seen) == 6 + 3
    assert available(service) == 600


@pytest.mark.usefixtures("small_pages")
def test_a_place_that_stripe_forgot(till: Till, run: Run, service: Service) -> None:
    """The event that the last run had come to is pruned, or was one of test mode."""
    for _ in range(3):
        till.pay(till.buy())
    assert not run(looks(2))["finished"]
    with till.fake.state.lock:
        events = till.fake.state.tables["event"]
        newest = next(one for one in till.fake.state.newest_first("event") if "session" in one["type"])
        del events[newest["id"]]
    assert run()["finished"]
    assert available(service) == 300


def test_what_could_not_be_looked_at_is_looked_at_again(
    till: Till, run: Run, service: Service, output: Output, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky, lucky = till.buy(), till.buy()
    for purchase in (unlucky, lucky):
        till.pay(purchase)
    real = sessions.look_at_session

    def look(client: Any, session: str, **named: Any) -> Any:
        if session == unlucky.session:
            raise PaymentsUnavailable
        return real(client, session, **named)

    clock.now += 5 * DAY
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(purchasing, "look_at_session", look)
        assert run() == {"healed": 1, "quarantined": 0, "failed": 1, "finished": True}
    assert output.metric("ReconciliationFailures") == [1]
    [failure] = [line for line in output.lines if line.get("message") == "not reconciled"]
    assert (failure["level"], failure["exception_name"]) == ("ERROR", "PaymentsUnavailable")
    clock.now += 5 * DAY
    assert run() == NOTHING | {"healed": 1}
    assert available(service) == 200


def test_stripe_is_down(till: Till, run: Run, service: Service) -> None:
    """The function fails, so that Lambda counts it and tries again."""
    till.pay(till.buy())
    before = service.stored()
    till.fake.api.faults.plan(10, Fault(status=503))
    with pytest.raises(PaymentsUnavailable):
        run()
    assert service.stored() == before
    till.fake.api.faults.plan(0, Fault())
    assert run()["healed"] == 1


def test_two_runs_and_the_webhook_at_once(till: Till, run: Run, service: Service) -> None:
    events = [event for _ in range(4) for event in till.pay(till.buy())]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(run) for _ in range(2)]
        told = [pool.submit(till.tell, event) for event in events]
        assert all(one.result()["failed"] == 0 for one in runs)
        assert {one.result().status for one in told} == {200}
    assert available(service) == 400
    assert types(service.stored()).count("purchase") == 4
