"""What a scenario is, and the situations and rivals that several areas use."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prepaid.core.purchase import Purchase
from tests.simulation.bench import Bench, Context
from tests.support.api import (
    CODE,
    MANAGER_CODE,
    PATCH_ACCOUNT,
    Answer,
)
from tests.support.gateway_events import ADMIN, BUYER

SCHEDULED = {"version": "0", "source": "aws.scheduler"}
KEY = "the-key"
OTHER_CODE = "830164"
type Given = Callable[[Bench], Any]
# The answer's status and body; for a scheduled function 200 when it finished and 500 when it must run again.
type Outcome = tuple[int, Any]


@dataclass(frozen=True)
class Scenario:
    """given: what happened before; its result goes to `ask` and `rival`.

    rival: another request that changes the same thing meanwhile.
    reads: whether it must leave the table as it was. paired: whether all pairs of faults are tried.
    late_refusal: the code of a refusal that a retry may get although the first request had its effect.
    """

    name: str
    given: Given
    ask: Callable[[Bench, Any], Outcome]
    rival: Callable[[Bench, Any], object]
    reads: bool = False
    paired: bool = False
    late_refusal: str = ""


def spends(bench: Bench, _: object) -> Answer:
    """Another client spends two credits of the same account."""
    return bench.service.spend(2, key="of-a-rival", may_fail=True)


def tries_a_code(bench: Bench, _: object) -> Answer:
    return bench.service.try_code("111222", key="of-a-rival", may_fail=True)


def renames(bench: Bench, _: object) -> Answer:
    """Another client changes other fields of the same account."""
    body = {"name": "Outra", "quota_anchor_day": 15}
    return bench.service(PATCH_ACCOUNT, json=body, by=ADMIN, may_fail=True)


def outcome_of(answer: Answer) -> Outcome:
    return answer.status, answer.body


def opened(bench: Bench) -> None:
    bench.service.open(credits=100)


def buyer(bench: Bench) -> None:
    opened(bench)
    bench.service.set_code()


def with_an_expired_lot(bench: Bench) -> None:
    """A promotional grant that ended an hour ago, with no entry yet; more credits that have not ended."""
    opened(bench)
    bench.service.give(7, expires_at="2026-06-16T14:00:00Z")
    bench.now += timedelta(hours=2)


def spent_before(bench: Bench) -> None:
    opened(bench)
    assert bench.service.spend(3, key=KEY).status == 201


def read(route: str, query: dict[str, str] | None = None) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service(route, query=query, may_fail=True))


def a_month_ago(bench: Bench) -> None:
    spent_before(bench)
    bench.now += timedelta(days=40)


def set_code(bench: Bench, _: Any) -> Outcome:
    body = {"code": OTHER_CODE, "current_code": CODE}
    return outcome_of(bench.service(MANAGER_CODE, json=body, by=BUYER, may_fail=True))


def make_link(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service.portal_session(key=KEY, may_fail=True))


def link_before(bench: Bench) -> str:
    """The path of a link to the page."""
    buyer(bench)
    return str(make_link(bench, None)[1]["url"]).removeprefix("https://api.example.com")


def bought(bench: Bench) -> Purchase:
    buyer(bench)
    return bench.storefront.buy()


def granted(bench: Bench) -> Purchase:
    purchase = bought(bench)
    bench.storefront.deliver_all(bench.storefront.pay(purchase))
    return purchase


def partly_spent(bench: Bench) -> Purchase:
    """All promotional credits and thirty of the bought credits are spent."""
    purchase = granted(bench)
    assert bench.service.spend(130).status == 201
    return purchase


def scheduled(function: str) -> Callable[[Bench, Any], Outcome]:
    def run(bench: Bench, _: Any) -> Outcome:
        answer = bench.service.functions[function](SCHEDULED, Context(bench))
        return (200 if answer["finished"] and not answer["failed"] else 500), None

    return run
