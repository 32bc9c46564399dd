"""Scenarios of buying: the manager's code, purchases, Stripe's deliveries and the reconciliation."""

import json
from datetime import timedelta
from typing import Any

from prepaid.core.purchase import Purchase
from tests.simulation.bench import Bench
from tests.simulation.scenarios.scenario import (
    KEY,
    Outcome,
    Scenario,
    bought,
    buyer,
    link_before,
    make_link,
    opened,
    outcome_of,
    partly_spent,
    read,
    scheduled,
    set_code,
    spends,
    tries_a_code,
)
from tests.support.api import (
    BUY,
    CANCEL,
    CODE,
    MANAGER_CODE,
    MANAGER_SESSION,
    PURCHASE,
    PURCHASES,
    PURCHASES_BY_STATE,
)
from tests.support.gateway_events import ADMIN, BUYER
from tests.support.stripe_purchases import deliver, signed


def with_session(bench: Bench) -> str:
    buyer(bench)
    return bench.service.manager_session()


def read_purchase(bench: Bench, purchase: Purchase) -> Outcome:
    return outcome_of(bench.service(PURCHASE, id=purchase.id, may_fail=True))


def open_purchases(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service(PURCHASES_BY_STATE, None, query={"state": "open"}, may_fail=True))


def first_code(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service(MANAGER_CODE, json={"code": CODE}, by=ADMIN, may_fail=True))


def open_session(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service(MANAGER_SESSION, json={"code": CODE}, key=KEY, by=BUYER, may_fail=True))


def buy(bench: Bench, token: str) -> Outcome:
    headers = {"manager-session": token}
    return outcome_of(
        bench.service(BUY, json={"pack": "credits-100"}, key=KEY, headers=headers, by=BUYER, may_fail=True)
    )


def cancel(bench: Bench, purchase: Purchase) -> Outcome:
    return outcome_of(bench.service(CANCEL, id=purchase.id, key=KEY, by=BUYER, may_fail=True))


def cancelled_before(bench: Bench) -> Purchase:
    purchase = bought(bench)
    assert cancel(bench, purchase)[0] == 200
    return purchase


def paid_without_event(bench: Bench) -> Purchase:
    purchase = bought(bench)
    bench.storefront.pay(purchase)
    return purchase


def paid(bench: Bench) -> Any:
    """Paid by card; the event that says so."""
    [event] = bench.storefront.pay(bought(bench))
    return event


def refunded(bench: Bench) -> Any:
    return bench.storefront.refund(partly_spent(bench))[0]


def disputed(bench: Bench) -> Any:
    return bench.storefront.dispute(partly_spent(bench))[0]


def won(bench: Bench) -> Any:
    """The dispute took credits; then it was won. The event that says that it is closed."""
    bench.storefront.deliver_all(bench.storefront.dispute(partly_spent(bench)))
    return bench.storefront.later("dispute", "close_dispute", "won")[-1]


def session_before(bench: Bench) -> None:
    buyer(bench)
    assert open_session(bench, None)[0] == 201


def bought_before(bench: Bench) -> str:
    token = with_session(bench)
    assert buy(bench, token)[0] == 201
    return token


def overpaid(bench: Bench) -> Any:
    """A payment whose amount isn't the record's."""
    event = paid(bench)
    bench.storefront.session(event["data"]["object"]["id"])["amount_total"] = 1
    return event


def webhook(bench: Bench, event: Any) -> Outcome:
    """A delivery, signed by Stripe's own clock."""
    body = json.dumps(event | {"pending_webhooks": 1}).encode()
    return outcome_of(deliver(bench.service, body, signed(body, bench.now), may_fail=True))


def failed(bench: Bench) -> Any:
    """A Pix that failed. Returns its event."""
    purchase = bought(bench)
    bench.storefront.deliver_all(bench.storefront.happen(purchase, "confirm", "pix"))
    return bench.storefront.happen(purchase, "fail")[-1]


def refund_failed(bench: Bench) -> Any:
    """The refund took credits; then the customer's bank sent it back. The event that says so."""
    bench.storefront.deliver_all(bench.storefront.refund(partly_spent(bench)))
    return bench.storefront.later("refund", "fail_refund")[-1]


def dispute_without_event(bench: Bench) -> None:
    bench.storefront.dispute(partly_spent(bench))
    bench.now += timedelta(minutes=10)


def misfit_without_event(bench: Bench) -> None:
    overpaid(bench)
    bench.now += timedelta(minutes=10)


def payment_without_event(bench: Bench) -> None:
    """Paid, and no event was delivered. The next run is ten minutes later, so that a clock that is behind sees it
    too."""
    bench.storefront.pay(bought(bench))
    bench.now += timedelta(minutes=10)


def refund_without_event(bench: Bench) -> None:
    bench.storefront.refund(partly_spent(bench), 2495)
    bench.now += timedelta(minutes=10)


SCENARIOS = (
    Scenario("checkout: first code", opened, first_code, spends),
    Scenario("checkout: change of code", buyer, set_code, tries_a_code, late_refusal="wrong_code"),
    Scenario("checkout: session", buyer, open_session, tries_a_code),
    Scenario("checkout: replay of a session", session_before, open_session, spends),
    Scenario("checkout: link to the page", buyer, make_link, spends),
    Scenario("checkout: replay of a link", link_before, make_link, spends, reads=True),
    Scenario("checkout: purchase", with_session, buy, spends),
    Scenario("checkout: replay of a purchase", bought_before, buy, spends),
    Scenario("checkout: cancel", bought, cancel, spends),
    Scenario("checkout: replay of a cancel", cancelled_before, cancel, spends, reads=True),
    Scenario("checkout: cancel of a paid purchase", paid_without_event, cancel, spends, reads=True),
    Scenario("checkout: list of purchases", bought, read(PURCHASES), spends, reads=True),
    Scenario("checkout: open purchases of all accounts", bought, open_purchases, spends, reads=True),
    Scenario("checkout: one purchase", bought, read_purchase, spends, reads=True),
    Scenario("webhook: grant", paid, webhook, spends, paired=True),
    Scenario("webhook: payment failed", failed, webhook, spends, paired=True),
    Scenario("webhook: refund", refunded, webhook, spends, paired=True),
    Scenario("webhook: refund failed", refund_failed, webhook, spends, paired=True),
    Scenario("webhook: dispute", disputed, webhook, spends, paired=True),
    Scenario("webhook: dispute won", won, webhook, spends, paired=True),
    Scenario("webhook: quarantine", overpaid, webhook, spends, paired=True),
    Scenario("reconcile: payment", payment_without_event, scheduled("reconcile"), spends),
    Scenario("reconcile: refund", refund_without_event, scheduled("reconcile"), spends),
    Scenario("reconcile: dispute", dispute_without_event, scheduled("reconcile"), spends),
    Scenario("reconcile: quarantine", misfit_without_event, scheduled("reconcile"), spends),
)
