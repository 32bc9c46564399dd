"""`charge` fails closed: a key that charged something else never counts as the payment of this work."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from prepaid_client import AlreadyCaptured, IdempotencyKeyReused
from tests.support.api import CONSUME
from tests.support.charged import TERMS, Job, charges, credits_of, run
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.served import KINDS, Served
from tests.support.stripe_purchases import Storefront

KEY = "sticker-4711"
# What charges the same as the job: its feature, its three units, and its reference.
SAME = {"feature": "sticker", "quantity": 3, "reference": "4711"}


def consumption(**more: Any) -> Callable[[Service], Any]:
    """A consumption with the job's key, which differs from the job's charge in these members."""
    body = {name: value for name, value in {**SAME, **more}.items() if value is not None}
    return lambda service: service(CONSUME, json=body, key=KEY)


def batch_item(**more: Any) -> Callable[[Service], Any]:
    return lambda service: service.batch({"idempotency_key": KEY, **SAME, **more})


def captured_hold(**more: Any) -> Callable[[Service], Any]:
    """A hold that has nothing to do with the job, captured with the job's key."""
    return lambda service: service.capture(service.hold(3).body["id"], key=KEY, **more)


def captured_part(service: Service) -> Any:
    """The job's own hold, of which two units are captured with the job's key."""
    placed = service.hold(3, more={"reference": "4711", "ttl_seconds": 60}, key=f"hold-1:{KEY}")
    return service.capture(placed.body["id"], 2, key=KEY)


def reversed_charge(service: Service) -> Any:
    return service.reverse(service.spend(1).body["id"], key=KEY)


OTHER_USES: dict[str, Callable[[Service], Any]] = {
    "a consumption of another feature": consumption(feature="ai_service"),
    "a consumption of fewer units": consumption(quantity=1),
    "a consumption of more units": consumption(quantity=4),
    "a consumption for another customer": consumption(customer="cus_2"),
    "a consumption with another reference": consumption(reference="4712"),
    "a consumption without the reference": consumption(reference=None),
    "an item of a batch": batch_item(quantity=2),
    "a hold": lambda service: service.hold(3, key=KEY, more={"reference": "4711", "ttl_seconds": 60}),
    "a capture of another hold": captured_hold(),
    "a capture of a part": captured_part,
    "a release": lambda service: service.release(service.hold(1).body["id"], key=KEY),
    "a reversal": reversed_charge,
    "a link to the page": lambda service: service.portal_session(key=KEY),
}
# One of each kind: a consumption that differs by its hash, one that differs by its texts, a capture, anything else.
WHILE_IT_RUNS = (
    "a consumption of fewer units",
    "a consumption for another customer",
    "a capture of another hold",
    "a reversal",
)
SAME_CHARGES: dict[str, Callable[[Service], Any]] = {
    "a consumption": consumption(),
    "an item of a batch": batch_item(),
}


def use(shop: Served, use_key: Callable[[Service], Any]) -> tuple[list[str], tuple[int, int]]:
    """Use the key. Returns what is charged and what the account has then."""
    answer = use_key(shop.service)
    assert answer.status < 300, answer
    return charges(shop), credits_of(shop)


@pytest.mark.parametrize(
    ("kind", "name"), [*(("sync", name) for name in OTHER_USES), *(("async", name) for name in WHILE_IT_RUNS)]
)
def test_a_key_of_something_else_pays_no_work(shop: Served, kind: str, name: str) -> None:
    before = use(shop, OTHER_USES[name])
    results: list[Any] = []

    with pytest.raises(IdempotencyKeyReused):
        results.append(run(shop, kind, lambda job: job.id))

    assert results == []
    assert (charges(shop), credits_of(shop)) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WHILE_IT_RUNS)
def test_a_key_of_something_else_pays_no_late_work(shop: Served, kind: str, name: str, clock: Clock) -> None:
    """The hold lapses while the function runs, and the key is used meanwhile."""
    before: list[Any] = []

    def slow(_job: Job) -> None:
        clock.now += timedelta(seconds=61)
        before.append(use(shop, OTHER_USES[name]))

    with pytest.raises(IdempotencyKeyReused):
        run(shop, kind, slow)

    assert [(charges(shop), credits_of(shop))] == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WHILE_IT_RUNS)
def test_a_key_of_something_else_pays_no_released_work(shop: Served, kind: str, name: str) -> None:
    """Another delivery fails and releases the hold that both share, and the key is used meanwhile."""
    before: list[Any] = []

    def fails(_job: Job) -> None:
        raise RuntimeError

    def outer(job: Job) -> None:
        with pytest.raises(RuntimeError), shop.client() as client:
            client.charge("sticker", **TERMS)(fails)(job)
        before.append(use(shop, OTHER_USES[name]))

    with pytest.raises(IdempotencyKeyReused):
        run(shop, kind, outer)

    assert [(charges(shop), credits_of(shop))] == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAME_CHARGES)
@pytest.mark.parametrize("seconds", [0, 61])
def test_the_same_charge_without_a_hold_pays(shop: Served, kind: str, name: str, seconds: int, clock: Clock) -> None:
    """A job may be charged by a program that doesn't hold first: before this one, or after the hold lapsed."""

    def work(job: Job) -> str:
        clock.now += timedelta(seconds=seconds)
        use(shop, SAME_CHARGES[name])
        return job.id

    results = [run(shop, kind, work), run(shop, kind, lambda job: job.id)]

    assert results == ["4711", "4711"]
    assert (charges(shop), credits_of(shop)) == (["consumption"], (7, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_deliverys_capture_pays_all_deliveries(shop: Served, kind: str, clock: Clock) -> None:
    """Three deliveries overlap. Each hold lapses before the next begins, and the last one is done first."""

    def innermost(_job: Job) -> None:
        assert credits_of(shop) == (7, 3)

    def inner(job: Job) -> None:
        clock.now += timedelta(seconds=61)
        with shop.client() as client:
            client.charge("sticker", **TERMS)(innermost)(job)

    def outer(job: Job) -> None:
        clock.now += timedelta(seconds=61)
        with shop.client() as client:
            client.charge("sticker", **TERMS)(inner)(job)

    run(shop, kind, outer)

    assert (charges(shop), credits_of(shop)) == (["capture"], (7, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_captured_with_another_key_pays_no_work(shop: Served, kind: str) -> None:
    def captures(_job: Job) -> None:
        hold = shop.service.hold(3, more={"reference": "4711", "ttl_seconds": 60}, key=f"hold-1:{KEY}").body["id"]
        assert shop.service.capture(hold, 1, key="by-hand").status == 200

    with pytest.raises(AlreadyCaptured):
        run(shop, kind, captures)
    with pytest.raises(AlreadyCaptured):
        run(shop, kind, lambda job: job)

    assert (charges(shop), credits_of(shop)) == (["capture"], (9, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_of_a_purchase_pays_no_work(served: Served, kind: str, storefront: Storefront) -> None:
    served.service.give(10)
    storefront.buy(key=KEY)

    with pytest.raises(IdempotencyKeyReused):
        run(served, kind, lambda job: job)

    assert (charges(served), credits_of(served)) == ([], (10, 0))
