"""Every kind of request to every function: what stood before, the request as its caller makes it, and its rival.

Those to the subscription page: page_scenarios.py.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from prepaid.core.purchase import Purchase
from prepaid.store.catalog import first_catalog
from prepaid.store.due import SweepCheckpoint, save_checkpoint
from prepaid.store.keys import DUE_SHARDS
from tests.simulation.bench import Bench, Context
from tests.support.api import (
    ACCOUNTS,
    BALANCE,
    BUY,
    CANCEL,
    CODE,
    CONSUME,
    CONSUMPTION,
    EVENTS,
    FEED,
    GET_ACCOUNT,
    GET_CATALOG,
    GRANT,
    HISTORY,
    HOLD,
    MANAGER_CODE,
    MANAGER_SESSION,
    PACKS,
    PATCH_ACCOUNT,
    PURCHASE,
    PURCHASES,
    PURCHASES_BY_STATE,
    PUT_ACCOUNT,
    PUT_CATALOG,
    STATEMENT,
    USAGE,
    Answer,
)
from tests.support.gateway_events import ADMIN, BUYER
from tests.support.stripe_purchases import deliver, signed

SCHEDULED = {"version": "0", "source": "aws.scheduler"}
KEY = "the-key"
OTHER_CODE = "830164"
DAY = timedelta(days=1)

type Given = Callable[[Bench], Any]
# The answer's status and body; for a scheduled function 200 when it finished and 500 when it must run again.
type Outcome = tuple[int, Any]


@dataclass(frozen=True)
class Scenario:
    """given: what happened before; its result goes to `ask` and `rival`.

    rival: who else changes the same thing meanwhile.
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
    """Somebody else spends two credits of the same account."""
    return bench.service.spend(2, key="of-a-rival", may_fail=True)


def tries_a_code(bench: Bench, _: object) -> Answer:
    return bench.service.try_code("111222", key="of-a-rival", may_fail=True)


def changes_the_catalog(bench: Bench, _: object) -> Outcome:
    return put_catalog(3100)(bench, asdict(first_catalog()))


def renames(bench: Bench, _: object) -> Answer:
    """Somebody else changes other fields of the same account."""
    body = {"name": "Outra", "quota_anchor_day": 15}
    return bench.service(PATCH_ACCOUNT, json=body, by=ADMIN, may_fail=True)


def freezes(bench: Bench) -> Answer:
    """Support freezes the same account."""
    return bench.service(PATCH_ACCOUNT, json={"status": "frozen"}, by=ADMIN, may_fail=True)


def outcome_of(answer: Answer) -> Outcome:
    return answer.status, answer.body


def opened(bench: Bench) -> None:
    bench.service.open(credits=100)


def buyer(bench: Bench) -> None:
    opened(bench)
    bench.service.set_code()


def with_session(bench: Bench) -> str:
    buyer(bench)
    return bench.service.manager_session()


def lapsed(bench: Bench) -> None:
    """A promotional grant that ended an hour ago, with no entry yet; more credits that have not ended."""
    opened(bench)
    bench.service.give(7, expires_at="2026-06-16T14:00:00Z")
    bench.now += timedelta(hours=2)


def lapsed_other(bench: Bench) -> None:
    """As lapsed, and still more credits, which are left whatever becomes of the first lot."""
    lapsed(bench)
    bench.service.give(10)


def lapsed_in_the_last_shards(bench: Bench) -> None:
    """The same, and a sweep has come so far today: the two shards that are left make each kind of call."""
    lapsed(bench)
    [shard] = {int(shard) for kind, day, shard in due_partitions(bench) if day == bench.now.date().isoformat()}
    save_checkpoint(bench.service.table, SweepCheckpoint(day=bench.now.date(), shard=min(shard, DUE_SHARDS - 2)))


def due_partitions(bench: Bench) -> list[list[str]]:
    return [partition.split("#") for partition, _ in bench.items() if partition.startswith("DUE#")]


def with_quota(bench: Bench) -> None:
    """Three units of the month's quota are left, and a period has passed since it was last renewed."""
    bench.service.open(plan="individual", ai_enabled=True, quota_anchor_day=1, credits=100)
    bench.now += 20 * DAY
    assert bench.service.spend(97, feature="ai_service").status == 201


def frozen(bench: Bench) -> None:
    opened(bench)
    assert freezes(bench).status == 200


def frozen_after_a_debit(bench: Bench) -> None:
    spent_before(bench)
    assert freezes(bench).status == 200


def spent_before(bench: Bench) -> None:
    opened(bench)
    assert bench.service.spend(3, key=KEY).status == 201


def just_enough(bench: Bench) -> None:
    bench.service.open(credits=3)


def poor(bench: Bench) -> None:
    bench.service.open(credits=4)


def spend(quantity: int, feature: str = "sticker") -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service.spend(quantity, feature, key=KEY, may_fail=True))


def batch(*items: tuple[str, int]) -> Callable[[Bench, Any], Outcome]:
    """Stickers, each item with a key of its own.

    A repeat finds items that had their effect, and judges those that were refused by what is there now.
    """

    def ask(bench: Bench, _: Any) -> Outcome:
        status, body = outcome_of(bench.service.batch(*items, may_fail=True))
        for result in body.get("results", ()):
            for name in ("replayed", "available", "detail"):
                result.pop(name, None)
        return status, body

    return ask


def spends_one_of_them(bench: Bench, _: Any) -> Answer:
    """Somebody else sends one of the batch's items alone."""
    return bench.service.spend(2, key="b2", may_fail=True)


def partly_sent_before(bench: Bench) -> None:
    opened(bench)
    assert batch(("b1", 3), ("b2", 2))(bench, None)[0] == 200


def place_hold(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service.hold(4, key=KEY, may_fail=True))


def held(bench: Bench) -> str:
    """The id of a hold of four units."""
    opened(bench)
    return str(bench.service.hold(4, key="held").body["id"])


def held_across_an_expiry(bench: Bench) -> str:
    """Two of its credits have ended since, and the rest of their lot with them."""
    opened(bench)
    bench.service.give(2, expires_at="2026-06-16T13:04:00Z")
    hold = str(bench.service.hold(4, key="held").body["id"])
    # Late and early enough for clocks that are five minutes off.
    bench.now += timedelta(minutes=9, seconds=30)
    return hold


def captured_before(bench: Bench) -> str:
    hold = held(bench)
    assert capture(3)(bench, hold)[0] == 200
    return hold


def capture(quantity: int) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, hold: outcome_of(bench.service.capture(hold, quantity, key=KEY, may_fail=True))


def release(bench: Bench, hold: Any) -> Outcome:
    return outcome_of(bench.service.release(hold, key=KEY, may_fail=True))


def read_hold(bench: Bench, hold: str) -> Outcome:
    return outcome_of(bench.service(HOLD, id=hold, may_fail=True))


def captured(bench: Bench) -> str:
    """The id of a capture of three units."""
    return str(bench.service.capture(held(bench), 3, key="captured").body["id"])


def spent_of_a_lot_that_ended(bench: Bench) -> str:
    bench.service.open()
    bench.service.give(5, expires_at="2026-06-16T14:00:00Z")
    charge = str(bench.service.spend(4, key="spent").body["id"])
    bench.now += timedelta(hours=2)
    return charge


def partly_reversed(bench: Bench) -> str:
    charge = captured(bench)
    assert bench.service.reverse(charge, 1, key="first").status == 201
    return charge


def reverse(quantity: int | None = None) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, charge: outcome_of(bench.service.reverse(charge, quantity, key=KEY, may_fail=True))


def read(route: str, query: dict[str, str] | None = None) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service(route, query=query, may_fail=True))


def read_statement(bench: Bench, _: Any) -> Outcome:
    """Of the month in which the account was opened, once it is closed. The first to read it stores it."""
    return outcome_of(bench.service(STATEMENT, month="2026-06", may_fail=True))


def a_month_ago(bench: Bench) -> None:
    spent_before(bench)
    bench.now += timedelta(days=40)


def stored_before(bench: Bench) -> None:
    a_month_ago(bench)
    assert read_statement(bench, None)[0] == 200


def read_as_administrator(route: str) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service(route, by=ADMIN, may_fail=True))


def read_consumption(bench: Bench, _: Any) -> Outcome:
    """The first one of an account that had been granted credits."""
    return outcome_of(bench.service(CONSUMPTION, id="con_000000000003", may_fail=True))


def look_up(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service.find(KEY, may_fail=True))


def quote(quantity: int) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service.quote(quantity, may_fail=True))


def read_purchase(bench: Bench, purchase: Purchase) -> Outcome:
    return outcome_of(bench.service(PURCHASE, id=purchase.id, may_fail=True))


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


def open_purchases(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service(PURCHASES_BY_STATE, None, query={"state": "open"}, may_fail=True))


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


def set_code(bench: Bench, _: Any) -> Outcome:
    body = {"code": OTHER_CODE, "current_code": CODE}
    return outcome_of(bench.service(MANAGER_CODE, json=body, by=BUYER, may_fail=True))


def first_code(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service(MANAGER_CODE, json={"code": CODE}, by=ADMIN, may_fail=True))


def open_session(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service(MANAGER_SESSION, json={"code": CODE}, key=KEY, by=BUYER, may_fail=True))


def make_link(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service.portal_session(key=KEY, may_fail=True))


def link_before(bench: Bench) -> str:
    """The path of a link to the page."""
    buyer(bench)
    return str(make_link(bench, None)[1]["url"]).removeprefix("https://api.example.com")


def buy(bench: Bench, token: str) -> Outcome:
    headers = {"manager-session": token}
    return outcome_of(
        bench.service(BUY, json={"pack": "credits-100"}, key=KEY, headers=headers, by=BUYER, may_fail=True)
    )


def bought(bench: Bench) -> Purchase:
    buyer(bench)
    return bench.storefront.buy()


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


def granted(bench: Bench) -> Purchase:
    purchase = bought(bench)
    bench.storefront.deliver_all(bench.storefront.pay(purchase))
    return purchase


def partly_spent(bench: Bench) -> Purchase:
    """All promotional credits and thirty of the bought credits are spent."""
    purchase = granted(bench)
    assert bench.service.spend(130).status == 201
    return purchase


def refunded(bench: Bench) -> Any:
    return bench.storefront.refund(partly_spent(bench))[0]


def disputed(bench: Bench) -> Any:
    return bench.storefront.dispute(partly_spent(bench))[0]


def won(bench: Bench) -> Any:
    """The dispute took credits; then it was won. The event that says that it is closed."""
    bench.storefront.deliver_all(bench.storefront.dispute(partly_spent(bench)))
    return bench.storefront.later("dispute", "close_dispute", "won")[-1]


def granted_other(bench: Bench) -> None:
    """More credits that are left whatever becomes of the first lot."""
    opened(bench)
    bench.service.give(10)


def named(bench: Bench) -> None:
    opened(bench)
    for customer in ("Maria", "Rex", "Maria"):
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


def session_before(bench: Bench) -> None:
    buyer(bench)
    assert open_session(bench, None)[0] == 201


def bought_before(bench: Bench) -> str:
    token = with_session(bench)
    assert buy(bench, token)[0] == 201
    return token


def spent_some(bench: Bench) -> None:
    opened(bench)
    assert bench.service.spend(3).status == 201
    bench.now += timedelta(hours=2)


def overpaid(bench: Bench) -> Any:
    """A payment whose amount isn't the record's."""
    event = paid(bench)
    bench.storefront.session(event["data"]["object"]["id"])["amount_total"] = 1
    return event


def webhook(bench: Bench, event: Any) -> Outcome:
    """A delivery, signed by Stripe's own clock."""
    body = json.dumps(event | {"pending_webhooks": 1}).encode()
    return outcome_of(deliver(bench.service, body, signed(body, bench.now), may_fail=True))


def scheduled(function: str) -> Callable[[Bench, Any], Outcome]:
    def run(bench: Bench, _: Any) -> Outcome:
        answer = bench.service.functions[function](SCHEDULED, Context(bench))
        return (200 if answer["finished"] and not answer["failed"] else 500), None

    return run


def verify(bench: Bench, _: Any) -> Outcome:
    """A pass, which must find nothing."""
    answer = bench.service.functions["verify"](SCHEDULED, Context(bench))
    return (200 if answer["finished"] else 500), {"found": answer["found"]}


def traded(bench: Bench) -> None:
    """Bought, spent and refunded in part, long enough ago to be there as a whole."""
    bench.storefront.deliver_all(bench.storefront.refund(partly_spent(bench), 2495))
    bench.now += timedelta(hours=3)


def catalog_of_yesterday(bench: Bench) -> Any:
    changes_the_catalog(bench, None)
    return asdict(first_catalog())


def second_page(bench: Bench) -> str:
    spent_before(bench)
    return str(bench.service(HISTORY, query={"limit": "2"}).body["next_cursor"])


def read_on(bench: Bench, cursor: str) -> Outcome:
    return outcome_of(bench.service(HISTORY, query={"limit": "2", "cursor": cursor}, may_fail=True))


def read_lines(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service(HISTORY, headers={"accept": "text/csv"}, may_fail=True))


def failed(bench: Bench) -> Any:
    """A Pix that came to nothing. The event that says so."""
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
    """Paid, and no delivery came through. The next run is a while later: one whose clock is behind would see it too."""
    bench.storefront.pay(bought(bench))
    bench.now += timedelta(minutes=10)


def refund_without_event(bench: Bench) -> None:
    bench.storefront.refund(partly_spent(bench), 2495)
    bench.now += timedelta(minutes=10)


API_SCENARIOS = (
    Scenario("consume: debit", opened, spend(3), spends, paired=True),
    # Its retry finds no credits left, and must still get the original response.
    Scenario("consume: debit of the last credits", just_enough, spend(3), spends, paired=True),
    Scenario("consume: debit after an expiry", lapsed, spend(3), spends, paired=True),
    Scenario("consume: debit of quota and credits", with_quota, spend(5, "ai_service"), spends, paired=True),
    Scenario("consume: replay", spent_before, spend(3), spends, reads=True, paired=True),
    Scenario("consume: refusal", poor, spend(5), spends, reads=True, paired=True),
    Scenario("batch", opened, batch(("b1", 3), ("b2", 2), ("b3", 200)), spends, paired=True),
    Scenario(
        "batch: a rival with one of its keys", opened, batch(("b1", 3), ("b2", 2)), spends_one_of_them, paired=True
    ),
    Scenario("batch: of the last credits", just_enough, batch(("b1", 2), ("b2", 2), ("b3", 1)), spends, paired=True),
    Scenario("batch: after an expiry", lapsed, batch(("b1", 3), ("b1", 3), ("b2", 1)), spends),
    Scenario(
        "batch: partly sent before", partly_sent_before, batch(("b2", 2), ("b4", 1), ("b1", 3)), spends, paired=True
    ),
    Scenario("batch: replay", partly_sent_before, batch(("b1", 3), ("b2", 2)), spends, reads=True),
    Scenario("batch: refusals only", poor, batch(("b1", 5), ("b2", 6)), spends, reads=True),
    Scenario("consume: refusal of a frozen account", frozen, spend(5), spends, reads=True, paired=True),
    Scenario("consume: replay of a frozen account", frozen_after_a_debit, spend(3), spends, reads=True),
    Scenario("hold", opened, place_hold, spends, paired=True),
    Scenario("hold: after an expiry", lapsed, place_hold, spends),
    Scenario("hold: capture of a part", held, capture(3), spends, paired=True),
    Scenario("hold: capture across an expiry", held_across_an_expiry, capture(1), spends),
    Scenario("hold: replay of a capture", captured_before, capture(3), spends, reads=True),
    Scenario("hold: release", held, release, spends, paired=True),
    Scenario("reversal", captured, reverse(), spends, paired=True),
    Scenario("reversal: of what is left", partly_reversed, reverse(), spends, paired=True),
    Scenario("reversal: for a week", spent_of_a_lot_that_ended, reverse(2), spends),
    Scenario("reversal: of too much", partly_reversed, reverse(3), spends, reads=True),
    Scenario("hold: read", held, read_hold, spends, reads=True),
    Scenario("hold: read of a captured one", captured_before, read_hold, spends, reads=True),
    Scenario("consumption", spent_before, read_consumption, spends, reads=True),
    Scenario("consumption: by key", spent_before, look_up, spends, reads=True),
    Scenario("consumption: none by key", opened, look_up, spends, reads=True),
    Scenario("quote", lapsed, quote(3), spends, reads=True),
    Scenario("quote: not affordable", poor, quote(5), spends, reads=True),
    Scenario("balance", opened, read(BALANCE), spends, reads=True),
    Scenario("balance of a time", spent_some, read(BALANCE, {"at": "2026-06-16T13:30:00Z"}), spends, reads=True),
    Scenario("history", opened, read(HISTORY), spends, reads=True),
    Scenario("history: second page", second_page, read_on, spends, reads=True),
    Scenario("history: as CSV", spent_before, read_lines, spends, reads=True),
    Scenario("statement", a_month_ago, read_statement, spends),
    Scenario("statement: stored", stored_before, read_statement, spends, reads=True),
    Scenario("usage", a_month_ago, read(USAGE, {"from": "2026-06-01", "to": "2026-07-01"}), spends, reads=True),
    Scenario("events", spent_some, read(EVENTS, {"after": "1"}), spends, reads=True),
    Scenario("events: beyond the newest", opened, read(EVENTS, {"after": "99"}), spends, reads=True),
    Scenario("accounts: account", opened, read_as_administrator(GET_ACCOUNT), spends, reads=True),
    Scenario("accounts: list", opened, read_as_administrator(ACCOUNTS), spends, reads=True),
    Scenario("accounts: events", opened, read_as_administrator(FEED), spends, reads=True),
    Scenario("accounts: packs", opened, read(PACKS), spends, reads=True),
    Scenario("accounts: current catalog", opened, read_as_administrator(GET_CATALOG), spends, reads=True),
    Scenario("accounts: open", lambda _: None, put_account("none"), put_account("trio")),
    Scenario("accounts: change", opened, put_account("trio"), spends),
    Scenario("accounts: patch", opened, patch_account(plan="trio"), renames),
    Scenario("accounts: freeze", opened, patch_account(status="frozen"), spends),
    Scenario("accounts: grant", opened, grant, spends),
    Scenario("accounts: replay of a grant", granted_before, grant, spends, reads=True),
    Scenario("accounts: void", granted_other, void, spends),
    Scenario("accounts: void after an expiry", lapsed_other, void, spends),
    Scenario("accounts: replay of a void", voided_before, void, spends, reads=True),
    Scenario("accounts: void of too much", opened, void_too_much, spends, reads=True),
    Scenario("erasures: two entries", named, erase, spends),
    Scenario("erasures: of nobody", opened, erase, spends),
    Scenario("erasures: replay", erased_before, erase, spends, reads=True),
    Scenario("accounts: catalog", lambda _: asdict(first_catalog()), put_catalog(3000), changes_the_catalog),
    Scenario("accounts: catalog of yesterday", catalog_of_yesterday, put_catalog(3000), spends, reads=True),
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
    Scenario("expiry_sweep", lapsed_in_the_last_shards, scheduled("expiry_sweep"), spends),
    Scenario("reconcile: payment", payment_without_event, scheduled("reconcile"), spends),
    Scenario("reconcile: refund", refund_without_event, scheduled("reconcile"), spends),
    Scenario("reconcile: dispute", dispute_without_event, scheduled("reconcile"), spends),
    Scenario("reconcile: quarantine", misfit_without_event, scheduled("reconcile"), spends),
    Scenario("verify", traded, verify, spends),
)
