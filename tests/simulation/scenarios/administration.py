"""Scenarios of administration: accounts, grants, voids, the catalog and erasures."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from prepaid.store.catalog import first_catalog
from prepaid.use_cases.publishing import publish_missing
from tests.simulation.bench import Bench
from tests.simulation.scenarios.scenario import (
    KEY,
    Outcome,
    Scenario,
    opened,
    outcome_of,
    read,
    renames,
    spends,
    with_an_expired_lot,
)
from tests.support.api import (
    ACCOUNTS,
    CONSUME,
    FEED,
    GET_ACCOUNT,
    GET_CATALOG,
    GRANT,
    PACKS,
    PATCH_ACCOUNT,
    PUT_ACCOUNT,
    PUT_CATALOG,
)
from tests.support.gateway_events import ADMIN
from tests.support.publishing import Outside, Publisher


def changes_the_catalog(bench: Bench, _: object) -> Outcome:
    return put_catalog(3100)(bench, asdict(first_catalog()))


def expired_with_more_left(bench: Bench) -> None:
    """The same, with more credits that stay whatever happens to the first lot."""
    with_an_expired_lot(bench)
    bench.service.give(10)


def read_as_administrator(route: str) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service(route, by=ADMIN, may_fail=True))


def follow(bench: Bench, _: Any) -> Outcome:
    """Read the feed from an hour ago, an hour without events and the one with them."""
    after = f"{bench.now - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}.000#"
    return outcome_of(bench.service(FEED, None, query={"after": after}, by=ADMIN, may_fail=True))


def put_account(plan: str) -> Callable[[Bench, Any], Outcome]:
    body = {
        "name": "Pet & Cia",
        "plan": plan,
        "ai_enabled": plan != "none",
        "quota_anchor_day": 1,
        "time_zone": "America/Sao_Paulo",
        "language": "pt-BR",
        "low_credit_threshold": 10,
        "manager_contact": None,
    }

    def ask(bench: Bench, _: Any) -> Outcome:
        status, answered = outcome_of(bench.service(PUT_ACCOUNT, json=body, by=ADMIN, may_fail=True))
        # A repeat finds the account that the first request opened.
        return (200 if status == 201 else status), answered

    return ask


def patch_account(**body: Any) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service(PATCH_ACCOUNT, json=body, by=ADMIN, may_fail=True))


def grant(bench: Bench, _: Any) -> Outcome:
    body = {"credits": 10, "kind": "promotion", "reason": "welcome"}
    return outcome_of(bench.service(GRANT, json=body, key=KEY, by=ADMIN, may_fail=True))


def erase(bench: Bench, _: Any) -> Outcome:
    """Maria's texts, of two entries of four."""
    return outcome_of(bench.service.erase("Maria", key=KEY, may_fail=True))


def void(bench: Bench, _: Any) -> Outcome:
    """All that remains of the account's first lot."""
    return outcome_of(bench.service.void("gra_000000000002", key=KEY, may_fail=True))


def void_too_much(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service.void("gra_000000000002", credits=101, key=KEY, may_fail=True))


def put_catalog(amount: int) -> Callable[[Bench, Any], Outcome]:
    """Another price for the first pack, over the version that was read."""

    def ask(bench: Bench, catalog: Any) -> Outcome:
        first, *others = catalog["packs"]
        catalog_body = {"features": catalog["features"], "plans": catalog["plans"]}
        catalog_body["packs"] = [{**first, "amount": amount}, *others]
        headers = {"if-match": '"1"'}
        return outcome_of(
            bench.service(PUT_CATALOG, account=None, json=catalog_body, headers=headers, by=ADMIN, may_fail=True)
        )

    return ask


def granted_other(bench: Bench) -> None:
    """More credits, which stay whatever happens to the first lot."""
    opened(bench)
    bench.service.give(10)


def named(bench: Bench) -> None:
    opened(bench)
    for customer in ("Maria", "customer-118", "Maria"):
        assert bench.service(CONSUME, json={"feature": "sticker", "customer": customer}).status == 201


def erased_before(bench: Bench) -> None:
    named(bench)
    assert erase(bench, None)[0] == 201


def granted_before(bench: Bench) -> None:
    opened(bench)
    assert grant(bench, None)[0] == 201


def voided_before(bench: Bench) -> None:
    granted_other(bench)
    assert void(bench, None)[0] == 201


def catalog_of_yesterday(bench: Bench) -> Any:
    changes_the_catalog(bench, None)
    return asdict(first_catalog())


def published(bench: Bench) -> None:
    """The account's events are in the feed, long enough to be listed."""
    opened(bench)
    publisher = Publisher(bench.service.table, Outside(), now=bench.now)
    assert publish_missing(publisher.context()).events > 0
    bench.now += timedelta(minutes=1)


SCENARIOS = (
    Scenario("accounts: account", opened, read_as_administrator(GET_ACCOUNT), spends, reads=True),
    Scenario("accounts: list", opened, read_as_administrator(ACCOUNTS), spends, reads=True),
    Scenario("accounts: events", published, follow, spends, reads=True),
    Scenario("accounts: packs", opened, read(PACKS), spends, reads=True),
    Scenario("accounts: current catalog", opened, read_as_administrator(GET_CATALOG), spends, reads=True),
    Scenario("accounts: open", lambda _: None, put_account("none"), put_account("trio")),
    Scenario("accounts: change", opened, put_account("trio"), spends),
    Scenario("accounts: patch", opened, patch_account(plan="trio"), renames),
    Scenario("accounts: freeze", opened, patch_account(status="frozen"), spends),
    Scenario("accounts: grant", opened, grant, spends),
    Scenario("accounts: replay of a grant", granted_before, grant, spends, reads=True),
    Scenario("accounts: void", granted_other, void, spends),
    Scenario("accounts: void after an expiry", expired_with_more_left, void, spends),
    Scenario("accounts: replay of a void", voided_before, void, spends, reads=True),
    Scenario("accounts: void of too much", opened, void_too_much, spends, reads=True),
    Scenario("erasures: two entries", named, erase, spends),
    Scenario("erasures: of nobody", opened, erase, spends),
    Scenario("erasures: replay", erased_before, erase, spends, reads=True),
    Scenario("accounts: catalog", lambda _: asdict(first_catalog()), put_catalog(3000), changes_the_catalog),
    Scenario("accounts: catalog of yesterday", catalog_of_yesterday, put_catalog(3000), spends, reads=True),
)
