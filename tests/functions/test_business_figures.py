"""The dashboard's business figures: what entries moved, counted as they are published, and what was refused."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from prepaid.store import keys
from tests.support.api import BATCH, CONSUME, PLACE_HOLD
from tests.support.gateway_events import Context
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.publishing import Publish, nothing
from tests.support.stripe_purchases import Storefront

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.fixture
def publish(service: Service) -> Publish:
    return Publish(service)


def spent(output: Output) -> dict[str, int]:
    """Credits by the dimension `feature`."""
    found: Counter[str] = Counter()
    for line in output.lines:
        if "CreditsSpent" in line:
            [dimensions] = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
            assert sorted(dimensions) == ["feature", "service"]
            found[line["feature"]] += sum(line["CreditsSpent"])
    return dict(found)


def test_what_is_granted_and_spent_is_counted(publish: Publish, service: Service, output: Output) -> None:
    service.open(credits=20)
    service.give(10, kind="adjustment")
    service.spend(5)
    service.spend(2)
    service.spend(3, "ai_service")

    publish.heal()

    assert output.metric("CreditsGranted") == [30]
    assert sorted(output.metric("CreditsSpent")) == [3, 7]
    assert spent(output) == {"sticker": 7, "ai_service": 3}


def test_units_of_a_quota_are_no_spent_credits(publish: Publish, service: Service, output: Output) -> None:
    service.open(plan="individual", ai_enabled=True)
    service.spend(5, "ai_service")

    publish.heal()

    assert spent(output) == {}


def test_a_hold_counts_what_is_captured(publish: Publish, service: Service, output: Output) -> None:
    service.open(credits=20)
    held = service.hold(5)
    publish.heal()
    assert spent(output) == {}

    assert service.capture(held.body["id"], 3).status < 300
    publish.heal()

    assert spent(output) == {"sticker": 3}
    assert output.metric("CreditsGranted") == [20]
    assert output.metric("CreditsExpired") == []


def test_what_is_sold_and_taken_back_is_counted(
    publish: Publish, service: Service, storefront: Storefront, output: Output
) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    service.spend(30)
    publish.heal()
    grant = service.give(10)
    service.void(grant["id"], credits=4)
    publish.heal()

    storefront.deliver_all(storefront.refund(purchase))
    publish.heal()

    assert output.metric("CreditsSold") == [100]
    assert output.metric("CreditsTakenBack") == [4, 70]
    # What was spent of the purchase is owed.
    assert output.metric("CreditsOwed") == [30]


def test_expired_credits_are_counted(publish: Publish, service: Service, clock: Clock, output: Output) -> None:
    service.open()
    service.give(5, expires_at="2026-06-20T13:00:00Z")
    service.spend(1)
    clock.now += 10 * DAY
    service.functions["expiry_sweep"]({}, Context(remaining=60_000))

    publish.heal()

    assert output.metric("CreditsExpired") == [4]


def test_a_repeated_change_is_counted_once(publish: Publish, service: Service, output: Output) -> None:
    service.open(credits=5)
    change = keys.entry("acme", 2)

    publish(change, change)
    publish(change)
    publish.heal()

    assert output.metric("CreditsGranted") == [5]


def test_a_publisher_that_loses_a_race_counts_nothing(publish: Publish, service: Service, output: Output) -> None:
    service.open(credits=5)

    def rival(call: str) -> None:
        if call == "put events":
            publish.outside.before = nothing
            publish.heal()

    publish.outside.before = rival

    publish(keys.entry("acme", 2))

    assert len(publish.outside.bus) == 4
    assert output.metric("CreditsGranted") == [5]


def test_a_locked_code_is_counted(publish: Publish, service: Service, clock: Clock, output: Output) -> None:
    service.open()
    service.set_code()
    for _ in range(5):
        service.try_code("830164")
    clock.now += 6 * SECOND

    publish(keys.manager("acme"))
    publish(keys.manager("acme"))

    assert output.metric("CodesLocked") == [1]


@pytest.mark.parametrize("route", [CONSUME, PLACE_HOLD])
def test_a_refusal_for_lack_of_credits_is_counted(service: Service, output: Output, route: str) -> None:
    service.open(credits=1)

    assert service(route, json={"feature": "sticker", "quantity": 2}).status == 402

    assert output.metric("SpendingRefused") == [1]


def test_refused_items_of_a_batch_are_counted(service: Service, output: Output) -> None:
    service.open(credits=1)
    items: list[dict[str, Any]] = [
        {"idempotency_key": f"k{quantity}", "feature": "sticker", "quantity": quantity} for quantity in (1, 2, 3, -1)
    ]

    answer = service(BATCH, json={"items": items})

    assert [item["status"] for item in answer.body["results"]] == [201, 402, 402, 422]
    assert output.metric("SpendingRefused") == [2]


def test_other_refusals_are_not_counted(service: Service, output: Output) -> None:
    service.open(credits=1)

    assert service.spend(1, "nothing").status == 422
    assert service.spend(1).status == 201

    assert not [line for line in output.lines if "SpendingRefused" in line]


def test_no_figure_names_an_account(publish: Publish, service: Service, output: Output) -> None:
    """A dimension for each account would be a metric for each."""
    service.open("acme-of-the-test", credits=5)
    service.spend(1, account="acme-of-the-test")

    publish.heal()

    figures = [line for line in output.lines if "_aws" in line]
    assert figures
    assert "acme-of-the-test" not in str(figures)
