"""Accounts with every kind of entry and of purchase, and a table that holds every kind of row."""

from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime

from prepaid.core.account import Terms
from prepaid.core.catalog import Catalog
from prepaid.core.errors import WrongCode
from prepaid.core.events import event_of_lock
from prepaid.core.purchase import with_cancellation
from prepaid.store.catalog import first_catalog
from prepaid.store.customers import save_customer
from prepaid.store.dynamodb import put
from prepaid.store.items import key_digest
from prepaid.store.ledger import read_tail
from prepaid.store.purchases import record_cancellation, save_purchase
from prepaid.store.reconciliation import ReconciliationCheckpoint, save_checkpoint, save_failed_check
from prepaid.store.webhook import stop
from prepaid.use_cases.administering import replace_catalog
from prepaid.use_cases.approving import change_code
from prepaid.use_cases.entering import LinkRequest, enter, make_link, open_link
from prepaid.use_cases.publishing import Published, publish_alert, publish_missing
from prepaid.use_cases.reporting import read_span, statements_between
from prepaid.use_cases.sweeping import SweepContext, sweep
from prepaid.use_cases.warning import publish_warnings
from tests.support.core_builders import a_payment_status
from tests.support.publishing import Outside, Publisher
from tests.support.store_driver import (
    CODES,
    DAY,
    HOUR,
    NO_QUOTA,
    NOW,
    QUOTA_100,
    SECOND,
    StoreDriver,
    a_purchase,
)
from tests.support.waiting_rows import a_waiting_row

YEAR = 366 * DAY


def dearer(catalog: Catalog, version: int) -> Catalog:
    """Another price, another quota, another pack."""
    features = tuple(
        replace(feature, price=version) if feature.id == "ai_service" else feature for feature in catalog.features
    )
    plans = tuple(
        replace(plan, quotas={"ai_service": 7 * version, "sticker": version}) if plan.id == "trio" else plan
        for plan in catalog.plans
    )
    return replace(catalog, features=features, plans=plans)


def change_catalog(driver: StoreDriver, version: int) -> StoreDriver:
    """The driver once version `version` is in force."""
    successor = replace_catalog(
        driver.table,
        dearer(driver.catalog, version),
        expected_version=version - 1,
        now=NOW + version * HOUR,
    )
    return replace(driver, catalog=successor)


def live_a_full_life(driver: StoreDriver, account: str = "acme") -> None:
    """Grants, voids and debits of each kind, an expiry, a renewal, plan and catalog changes, holds and reversals,
    purchases that were refunded, disputed, won and lost. Needs version 1 of the catalog in force; leaves version 3."""
    driver.open(account, QUOTA_100)
    driver.grant(3, account=account, key="welcome", validity=1, description="Welcome")
    driver.grant(4, account=account, key="sorry", kind="adjustment", validity=NOW + 30 * DAY, description="Sorry")
    driver.grant(5, account=account, key="mistake 2", kind="adjustment", validity=24)
    driver.void(4, 3, account=account, key="void of a part", description="3 too many")
    driver.void(4, account=account, key="void of the rest")
    driver.grant(6, account=account, key="mistake 3", validity=24)
    driver.void(7, 6, account=account, key="void of all, by its number")
    driver.grant(5, account=account, key="corrected", kind="adjustment", validity=24)
    driver.debit(2, account=account, key="d1", customer="Maria", reference="r1", description="Rex")
    driver.debit(98, account=account, key="d2", feature="ai_service")
    driver.debit(5, account=account, key="d3", feature="ai_service")
    driver.debit(1, account=account, at=NOW + HOUR)
    driver = change_catalog(driver, 2)
    driver.debit(1, account=account, key="d4", feature="ai_service", at=NOW + 3 * HOUR)
    # Two months on: a lot has expired, the quota has been renewed.
    later = NOW + 61 * DAY
    driver.debit(1, account=account, key="d5", feature="ai_service", at=later)
    hold_and_reverse(driver, account, later)
    later += HOUR
    driver.change_terms(Terms(plan="trio", ai_enabled=True, quota_anchor_day=31, time_zone="Asia/Kathmandu"), at=later)
    buy_and_return(driver, account)
    driver = change_catalog(driver, 3)
    driver.debit(2, account=account, key="d6", feature="ai_service", at=later + YEAR)
    driver.change_terms(NO_QUOTA, account=account, at=later + YEAR)
    driver.grant(50, account=account, key="last", at=later + YEAR, validity=36)
    driver.debit(3, account=account, key="d7", at=later + YEAR)
    driver.debit(1, account=account, key="d8", customer="Ana", at=later + YEAR)
    driver.erase("Ana", account=account, key="erase", at=later + YEAR)


def hold_and_reverse(driver: StoreDriver, account: str, at: datetime) -> None:
    """Holds that end in each way, on quota and on lots, before and after a lot's end; reversals in part and in whole.
    Needs 99 units of quota; takes what is left of its grants."""
    driver.debit(97, account=account, key="most of the quota", feature="ai_service", at=at)
    plenty = driver.grant(40, account=account, key="plenty", at=at, validity=36).entries[-1].number
    driver.grant(6, account=account, key="short", at=at, validity=at + HOUR)
    held = [
        # Two units of quota, and one that costs two credits of the short lot.
        driver.hold(3, account=account, key="hold 1", feature="ai_service", customer="Maria", at=at),
        # The rest of the short lot, which ends before all of it is captured, and one credit of another.
        driver.hold(5, account=account, key="hold 2", at=at, ttl_seconds=2 * 60 * 60),
        driver.hold(1, account=account, key="hold 3", at=at),
        driver.hold(1, account=account, key="hold 4", at=at, ttl_seconds=60),
    ]
    driver.capture(held[0], 2, account=account, key="capture 1", at=at)
    driver.release(held[2], account=account, key="release", at=at)
    spent = driver.debit(3, account=account, key="to be reversed", reference="r2", at=at).entries[-1].number
    driver.reverse(spent, 1, account=account, key="reversal 1", at=at)
    driver.reverse(spent, account=account, key="reversal 2", at=at + HOUR)
    captured = driver.capture(held[1], 3, account=account, key="capture 2", at=at + HOUR).entries[-1].number
    # Its lot has ended: the credits come back in a lot of a week.
    driver.reverse(captured, account=account, key="reversal 3", at=at + HOUR)
    driver.void(plenty, account=account, key="void of plenty", at=at + HOUR)


def buy_and_return(driver: StoreDriver, account: str) -> None:
    """Purchases in every state."""
    at = NOW + 62 * DAY
    for number in range(1, 10):
        driver.record(a_purchase(f"pur_{account}{number}", account), key=f"buy {number}")
    statuses = {n: a_payment_status("paid", driver.purchase(f"pur_{account}{n}", account)) for n in range(1, 10)}
    for number in range(1, 7):
        driver.receive(statuses[number], at=at + number * HOUR)
    # 1: half refunded. 2: disputed in full when most was spent, then the next grant pays the debt, then it is won.
    driver.receive(replace(statuses[1], refunded=2495), at=at + 8 * HOUR)
    driver.debit(480, account=account, key="much", at=at + 9 * HOUR)
    driver.receive(replace(statuses[2], disputed=4990), at=at + 10 * HOUR)
    driver.grant(60, account=account, key="pays the debt", at=at + 11 * HOUR, validity=24)
    driver.receive(statuses[2], at=at + 12 * HOUR)
    # 6: a refund that fails. 4: disputed, and won after its end. 5: refunded in part, then disputed and lost.
    driver.receive(replace(statuses[6], refunded=4990), at=at + 13 * HOUR)
    driver.receive(statuses[6], at=at + 14 * HOUR)
    driver.receive(replace(statuses[4], disputed=4990), at=at + 15 * HOUR)
    driver.receive(replace(statuses[5], refunded=1000), at=at + 16 * HOUR)
    driver.receive(replace(statuses[5], refunded=1000, disputed=3990), at=at + 17 * HOUR)
    driver.receive(statuses[7], at=at + 18 * HOUR)
    end = at + YEAR + 10 * DAY
    driver.receive(statuses[4], at=end)
    # 7: its remaining credits had expired before the refund, so nothing comes back.
    driver.receive(replace(statuses[7], refunded=4990), at=end + DAY)
    driver.receive(replace(statuses[7], refunded=1000), at=end + 2 * DAY)
    # 3: refunded in full after its end.
    driver.receive(replace(statuses[3], refunded=4990), at=end + 3 * DAY)
    # 8 is pending, 9 failed.
    driver.receive(replace(statuses[8], progress="awaiting_payment", payment=None), at=at)
    driver.receive(replace(statuses[9], progress="payment_failed", payment=None), at=at)
    leave_unpaid(driver, account)


def leave_unpaid(driver: StoreDriver, account: str) -> None:
    """An open purchase, one whose page expired, and one that a client cancelled."""
    for name in ("open", "expired", "cancelled"):
        driver.record(a_purchase(f"pur_{account}_{name}", account), key=f"buy {name}")
    expired = a_payment_status("session_expired", driver.purchase(f"pur_{account}_expired", account))
    driver.receive(expired, at=NOW + HOUR)
    purchase = driver.purchase(f"pur_{account}_cancelled", account)
    closing = replace(purchase, cancelling=True, version=purchase.version + 1)
    save_purchase(driver.table, closing)
    record_cancellation(driver.table, with_cancellation(closing, key_digest("cancel"), NOW + HOUR), "cancel")


def buy_with_a_code(driver: StoreDriver, account: str) -> None:
    """Two manager sessions, one of them used; a customer at Stripe; a payment that matches no record."""
    change_code(driver.table, account, "271828", None, CODES, now=NOW)
    with suppress(WrongCode):
        driver.session("000000", account)
    _, session = driver.session("271828", account, key="open 1")
    driver.session("271828", account, key="open 2", at=NOW + SECOND)
    bought = a_purchase(f"pur_{account}1", account, created_at=NOW, changed_at=NOW)
    driver.record(bought, key="buy 1", session=session)
    save_customer(driver.table, account, f"cus_{account}")
    driver.receive(a_payment_status("paid", bought, amount=1), at=NOW + HOUR)


def enter_the_page(driver: StoreDriver, account: str) -> None:
    """Two links to the subscription page, of which one opened a session. Needs the code 271828."""
    wanted = LinkRequest(language="pt-BR", return_url="https://shop.example.com/credits", request_hash=b"a request")
    links = [
        make_link(driver.table, account, f"link {number}", wanted, CODES, now=NOW + number * SECOND)
        for number in (1, 2)
    ]
    at = NOW + 3 * SECOND
    enter(driver.table, open_link(driver.table, links[0].token, now=at), "271828", CODES, now=at)


def publish(driver: StoreDriver) -> None:
    """Everything so far, a locked code, warnings of expiry, a run without time, and a webhook that wants no more."""
    context = Publisher(driver.table, Outside()).context()
    assert publish_missing(context).failed == 0
    publish_alert(context, Published(), event_of_lock("zoo", 7, NOW))
    publish_warnings(context)
    looks = iter((True, True))
    interrupted = Publisher(driver.table, Outside(), now=NOW + HOUR, has_time=lambda: next(looks, False)).context()
    assert not publish_warnings(interrupted).finished
    assert not publish_missing(interrupted).finished
    stop(driver.table, "https://app.example.com/prepaid", NOW)


def wait_in_a_crowd(driver: StoreDriver, account: str, at: datetime) -> None:
    """A debit that leaves a row and carries the one of another request along; and a tombstone."""
    place = read_tail(driver.table, account).entry.number
    version = {"N": str(driver.catalog.version)}
    row = a_waiting_row(account, place, int(at.timestamp() * 1000) - 1000, "carried", catalog=version)
    put(driver.table, {"Item": row})
    driver.crowds.note(account)
    driver.debit(1, account=account, key="in a crowd", at=at)
    tombstone = a_waiting_row(account, place + 1, int(at.timestamp() * 1000), "gave up")
    put(driver.table, {"Item": {name: tombstone[name] for name in ("PK", "SK", "ttl")}})
    assert driver.debit(1, account=account, key="carried", at=at).replayed


def live(driver: StoreDriver) -> None:
    """Several accounts, after a sweep and a reconciliation."""
    live_a_full_life(driver)
    later = replace(driver, catalog=dearer(first_catalog(), 3))
    for account in ("zoo", "idle"):
        later.open(account, QUOTA_100, credits=20 if account == "zoo" else 0)
    buy_with_a_code(driver, "zoo")
    enter_the_page(driver, "zoo")
    for number in range(5):
        driver.debit(1, account="zoo", key=f"same {number}", at=NOW + number * HOUR)
    wait_in_a_crowd(driver, "zoo", NOW + 5 * HOUR)
    sweep(
        SweepContext(
            piece=driver.piece,
            catalog=driver.catalog,
            now=NOW + 40 * DAY,
            has_time=lambda: True,
            on_failure=lambda row, error: None,
        )
    )
    save_checkpoint(driver.table, ReconciliationCheckpoint(since=NOW + 40 * DAY, until=NOW + 41 * DAY, event="evt_1"))
    span = read_span(driver.table, "acme")
    statements_between(
        driver.table, span, date(2026, 1, 1), date(2026, 12, 1), catalog=later.catalog, now=NOW + 400 * DAY
    )
    publish(driver)
    # Reserved since the sweep came by: one on the quota, one on a lot.
    for number, feature in enumerate(("ai_service", "sticker"), start=1):
        driver.hold(2, account="zoo", key=f"hold {number}", feature=feature, at=NOW + 41 * DAY)
    save_failed_check(driver.table, "evt_3", {"id": "evt_3"}, NOW + 40 * DAY)
